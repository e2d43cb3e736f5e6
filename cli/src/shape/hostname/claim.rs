//! What a hostname is to have, and whose it is.

use proto::admin::v1 as wire;
use serde::Serialize;

use super::super::{id, moment};

/// What certificates it is to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Wants {
    pub(crate) wildcard: bool,
    /// ecdsa, rsa or both.
    pub(crate) keys: &'static str,
    /// Nothing is ordered.
    pub(crate) manual: bool,
    /// Empty: by rank.
    pub(crate) ca: String,
    /// Empty: as the CA is configured.
    pub(crate) profile: String,
    /// auto, http-01, tls-alpn-01 or dns-01.
    pub(crate) challenge: &'static str,
}

/// Whether it is proven to be its tenant's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Ownership {
    /// vouched, unproven, lapsed, or what proved it: txt, cname, address or http.
    pub(crate) standing: String,
    pub(crate) since: Option<String>,
    pub(crate) checked_at: Option<String>,
    pub(crate) next_check: Option<String>,
    pub(crate) fault: String,
    /// What proves it when it is published.
    pub(crate) token: String,
    /// The tenant's own CNAME target.
    pub(crate) cname_target: String,
    /// What `_acme-challenge` is to point to.
    pub(crate) challenge_target: String,
}

/// Another tenant's claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Contest {
    pub(crate) tenant: String,
    pub(crate) since: Option<String>,
    pub(crate) next_check: Option<String>,
    pub(crate) ends_at: Option<String>,
    pub(crate) fault: String,
    pub(crate) token: String,
    pub(crate) cname_target: String,
}

impl From<wire::Wants> for Wants {
    fn from(wire: wire::Wants) -> Self {
        let keys = match wire.keys() {
            wire::KeyAlgorithms::Unspecified | wire::KeyAlgorithms::Ecdsa => "ecdsa",
            wire::KeyAlgorithms::Rsa => "rsa",
            wire::KeyAlgorithms::Both => "both",
        };
        let challenge = match wire.challenge() {
            wire::ChallengeKind::Unspecified => "auto",
            wire::ChallengeKind::Http01 => "http-01",
            wire::ChallengeKind::TlsAlpn01 => "tls-alpn-01",
            wire::ChallengeKind::Dns01 => "dns-01",
        };
        Self {
            wildcard: wire.wildcard,
            keys,
            manual: wire.manual,
            ca: id(&wire.ca).to_owned(),
            profile: wire.profile,
            challenge,
        }
    }
}

impl From<wire::Ownership> for Ownership {
    fn from(wire: wire::Ownership) -> Self {
        Self {
            since: moment(wire.since.as_ref()),
            checked_at: moment(wire.checked_at.as_ref()),
            next_check: moment(wire.next_check.as_ref()),
            standing: wire.standing,
            fault: wire.fault,
            token: wire.token,
            cname_target: wire.cname_target,
            challenge_target: wire.challenge_target,
        }
    }
}

impl From<wire::Contest> for Contest {
    fn from(wire: wire::Contest) -> Self {
        Self {
            since: moment(wire.since.as_ref()),
            next_check: moment(wire.next_check.as_ref()),
            ends_at: moment(wire.ends_at.as_ref()),
            tenant: wire.tenant,
            fault: wire.fault,
            token: wire.token,
            cname_target: wire.cname_target,
        }
    }
}

impl Wants {
    /// What most do not want.
    pub(super) fn text(&self) -> String {
        let mut said = Vec::new();
        if self.wildcard {
            said.push("the names below".to_owned());
        }
        if self.keys != "ecdsa" {
            said.push(format!("keys: {}", self.keys));
        }
        if self.manual {
            said.push("nothing ordered".to_owned());
        }
        for (what, value) in [("ca", &self.ca), ("profile", &self.profile)] {
            if !value.is_empty() {
                said.push(format!("{what}: {value}"));
            }
        }
        if self.challenge != "auto" {
            said.push(self.challenge.to_owned());
        }
        said.join(", ")
    }
}

impl Ownership {
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let since = self.since.as_deref().unwrap_or("-");
        let mut said = vec![("ownership", format!("{} since {since}", self.standing))];
        if self.standing == "vouched" {
            return said;
        }
        said.push(("fault", self.fault.clone()));
        said.push(("next check", self.next_check.clone().unwrap_or_default()));
        said.push(("token", self.token.clone()));
        said.push(("cname target", self.cname_target.clone()));
        said.push(("challenge target", self.challenge_target.clone()));
        said
    }
}
