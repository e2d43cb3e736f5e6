//! Authorizations and their challenges (RFC 8555 sections 7.5 and 8).

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::Account;
use crate::book::{Record, Row};
use crate::core::{Core, read};
use crate::problem::{Identifier, Kind, Problem};
use crate::reply::Reply;
use crate::routes::{ChallengeKind, Route};
use crate::step::Turn;
use crate::timestamp::Timestamp;

/// The right of one order to one name, and how it is being proven.
///
/// All challenges share the token: it is the key authorization that proves, and only one
/// challenge of an authorization is ever tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
    pub(crate) state: Proof,
    /// Whether dns-01 is among its challenges.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) dns_01: bool,
    /// For how many seconds after its proof other orders may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) valid_for: Option<u64>,
    /// The profile of the order that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<String>,
}

/// Where the proof stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// No challenge was chosen yet.
    Pending,
    /// The CA is looking.
    Processing {
        /// By which challenge.
        kind: ChallengeKind,
    },
    /// The name answered rightly.
    Valid {
        /// By which challenge.
        kind: ChallengeKind,
        /// When.
        at: Timestamp,
    },
    /// The name did not answer rightly.
    Invalid {
        /// By which challenge.
        kind: ChallengeKind,
        /// What it did instead.
        problem: Problem,
    },
    /// The account gave it up.
    Deactivated,
}

/// The status an authorization has on the wire (RFC 8555 section 7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuthorizationStatus {
    Pending,
    Valid,
    Invalid,
    Deactivated,
    Expired,
}

impl Row for Authorization {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Authorization {
    /// The status at `now`: time alone makes a valid one expired, an unproven one invalid.
    pub(crate) fn status(&self, now: Timestamp) -> AuthorizationStatus {
        let expired = now >= self.expires;
        match &self.state {
            Proof::Pending | Proof::Processing { .. } if expired => AuthorizationStatus::Invalid,
            Proof::Pending | Proof::Processing { .. } => AuthorizationStatus::Pending,
            Proof::Valid { .. } if expired => AuthorizationStatus::Expired,
            Proof::Valid { .. } => AuthorizationStatus::Valid,
            Proof::Invalid { .. } => AuthorizationStatus::Invalid,
            Proof::Deactivated => AuthorizationStatus::Deactivated,
        }
    }

    /// What became of one of its challenges.
    fn challenge_status(&self, kind: ChallengeKind) -> &'static str {
        match &self.state {
            Proof::Processing { kind: chosen } if *chosen == kind => "processing",
            Proof::Valid { kind: chosen, .. } if *chosen == kind => "valid",
            Proof::Invalid { kind: chosen, .. } if *chosen == kind => "invalid",
            _ => "pending",
        }
    }

    /// Once one challenge decided, only that one is shown (RFC 8555 section 7.1.4).
    fn shown(&self) -> Vec<ChallengeKind> {
        match &self.state {
            Proof::Valid { kind, .. } | Proof::Invalid { kind, .. } => vec![*kind],
            _ => self.offered().collect(),
        }
    }

    /// The ways by which it can be proven: a wildcard by dns-01 alone.
    pub(crate) fn offered(&self) -> impl Iterator<Item = ChallengeKind> {
        let (wildcard, dns_01) = (self.is_wildcard(), self.dns_01);
        ChallengeKind::ALL
            .into_iter()
            .filter(move |kind| match kind {
                ChallengeKind::Dns01 => dns_01,
                ChallengeKind::Http01 | ChallengeKind::TlsAlpn01 => !wildcard,
            })
    }

    /// The name without its asterisk, as the wire has it.
    pub(crate) fn bare_name(&self) -> &str {
        self.name.strip_prefix("*.").unwrap_or(&self.name)
    }

    pub(crate) fn is_wildcard(&self) -> bool {
        self.name.starts_with("*.")
    }
}

#[derive(Deserialize)]
struct AuthorizationUpdate {
    status: String,
}

impl Core {
    /// RFC 8555 sections 7.5 and 7.5.2: reads or deactivates an authorization.
    pub(crate) fn authorization(
        &mut self,
        account: &Account,
        id: &str,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Reply, Problem> {
        let mut authorization = self.own_authorization(account, id)?.clone();
        if !payload.is_empty() {
            let update: AuthorizationUpdate = read(payload)?;
            if update.status != "deactivated" {
                return Err(Problem::malformed(format!(
                    "an authorization's status can be set to \"deactivated\", not to {:?}",
                    update.status
                )));
            }
            let status = authorization.status(turn.now);
            if !matches!(
                status,
                AuthorizationStatus::Pending | AuthorizationStatus::Valid
            ) {
                return Err(Problem::malformed(format!(
                    "an authorization that is {} cannot be deactivated",
                    json!(status)
                )));
            }
            if status == AuthorizationStatus::Pending {
                // As Boulder: whoever gives up a proof counts as having failed it.
                self.count_failure(&authorization.account, &authorization.name, turn.moment);
            }
            authorization.state = Proof::Deactivated;
            self.put(Record::Authorization(authorization.clone()), turn);
        }
        let body = self.authorization_json(&authorization, turn.now);
        Ok(Reply::json(StatusCode::OK, &body))
    }

    pub(crate) fn own_authorization(
        &self,
        account: &Account,
        id: &str,
    ) -> Result<&Authorization, Problem> {
        let row = self.book.authorizations.get(id);
        let row = row.ok_or_else(|| Problem::not_found(&format!("the authorization {id:?}")))?;
        if row.account == account.id {
            Ok(row)
        } else {
            Err(self.anothers(&format!("the authorization {id:?}")))
        }
    }

    fn authorization_json(&self, row: &Authorization, now: Timestamp) -> Value {
        let challenges = row.shown().into_iter();
        let challenges: Vec<_> = challenges
            .map(|kind| self.challenge_json(row, kind))
            .collect();
        let mut body = json!({
            "identifier": Identifier::dns(row.bare_name()),
            "status": row.status(now),
            "expires": row.expires.to_string(),
            "challenges": challenges,
        });
        if row.is_wildcard() {
            body["wildcard"] = true.into();
        }
        body
    }

    pub(crate) fn challenge_json(&self, row: &Authorization, kind: ChallengeKind) -> Value {
        let mut body = json!({
            "type": kind,
            "url": self.links.to(&Route::Challenge(row.id.clone(), kind)),
            "token": row.token,
            "status": row.challenge_status(kind),
        });
        match &row.state {
            Proof::Valid { kind: chosen, at } if *chosen == kind => {
                body["validated"] = at.to_string().into();
            }
            Proof::Invalid {
                kind: chosen,
                problem,
            } if *chosen == kind => body["error"] = json!(problem),
            _ => {}
        }
        body
    }
}

/// What an order is told about an authorization that will never be valid.
pub(crate) fn failure(row: &Authorization, now: Timestamp) -> Option<Problem> {
    let name = &row.name;
    match (&row.state, row.status(now)) {
        (_, AuthorizationStatus::Pending | AuthorizationStatus::Valid) => None,
        (Proof::Invalid { problem, .. }, _) => Some(Problem {
            detail: format!("{name}: {}", problem.detail),
            ..problem.clone()
        }),
        (Proof::Deactivated, _) => Some(Problem::new(
            Kind::Unauthorized,
            format!("{name}: the authorization was deactivated"),
        )),
        _ => Some(Problem::malformed(format!(
            "{name}: the authorization expired at {}",
            row.expires
        ))),
    }
}
