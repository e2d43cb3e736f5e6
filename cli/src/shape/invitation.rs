//! Invitations and their tokens.

use std::fmt;

use proto::admin::v1 as wire;
use serde::Serialize;

use super::{id, moment};
use crate::output::{Shape, rows};

/// A right to enter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Invitation {
    pub(crate) id: String,
    /// node, admin or viewer.
    pub(crate) role: &'static str,
    /// open, spent, expired or revoked.
    pub(crate) state: String,
    pub(crate) created_at: Option<String>,
    pub(crate) expires_at: Option<String>,
    pub(crate) created_by: String,
    /// Who spent it; empty if nobody did.
    pub(crate) redeemed_by: String,
}

impl From<wire::Invitation> for Invitation {
    fn from(wire: wire::Invitation) -> Self {
        Self {
            id: id(&wire.name).to_owned(),
            role: match wire.role() {
                wire::Role::Unspecified => "unknown",
                wire::Role::Node => "node",
                wire::Role::Admin => "admin",
                wire::Role::Viewer => "viewer",
            },
            created_at: moment(wire.created_at.as_ref()),
            expires_at: moment(wire.expires_at.as_ref()),
            state: wire.state,
            created_by: wire.created_by,
            redeemed_by: wire.redeemed_by,
        }
    }
}

/// All invitations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Invitations {
    pub(crate) invitations: Vec<Invitation>,
}

impl Shape for Invitations {
    fn table(&self) -> String {
        let row = |one: &Invitation| {
            vec![
                one.id.clone(),
                one.role.to_owned(),
                one.state.clone(),
                one.expires_at.clone().unwrap_or_default(),
                one.created_by.clone(),
                one.redeemed_by.clone(),
            ]
        };
        let header = ["id", "role", "state", "expires at", "created by", "used by"];
        rows(&header, self.invitations.iter().map(row).collect())
    }
}

/// A token that was made.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Made {
    pub(crate) invitation: Option<Invitation>,
    /// The token; absent if it was written to a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// Where it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
}

/// The token is a secret: it goes to whoever asked for it and into no message.
impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Made({:?})", self.invitation)
    }
}

/// The token alone, so that `> file` holds just that.
impl Shape for Made {
    fn table(&self) -> String {
        match (&self.token, &self.file) {
            (Some(token), _) => token.clone(),
            (None, Some(file)) => format!("the token was written to {file}"),
            (None, None) => String::new(),
        }
    }
}

/// An invitation that was withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Revoked {
    pub(crate) id: String,
    /// The log index of the change.
    pub(crate) index: u64,
}

impl Shape for Revoked {
    fn table(&self) -> String {
        format!("invitation {} was revoked at index {}", self.id, self.index)
    }
}
