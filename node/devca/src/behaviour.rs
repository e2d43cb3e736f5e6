//! How the CA behaves, as one value: by default plain RFC 8555, and as much of Let's
//! Encrypt as is switched on. It can be changed while the CA runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::external::ExternalAccounts;
use crate::limits::Limits;
use crate::timestamp::Timestamp;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// What this CA does beyond, or otherwise than, its plain self. Everything is off by
/// default; durations are in the unit that their name says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// newOrder answers with the account's pending or ready order for the same names and
    /// profile, if the earliest-expiring order for those names that has no certificate is
    /// such a one. As Boulder, only that one is looked at: an invalid order, one that is
    /// being processed and one of another account shadow the others until they expire.
    pub order_reuse: bool,
    /// For how long a name that was proven needs no new proof by the same account under the
    /// same profile. Without it each order has authorizations of its own. A proof with
    /// less than an eighth of the order's life left (1 h to a day) is not used again.
    pub authorization_reuse_seconds: Option<u64>,
    /// Orders are not found once they have expired, whatever became of them.
    pub forget_expired_orders: bool,
    /// What happens when an order is finalized twice.
    pub finalize: FinalizeRule,
    /// How long an order stays `processing`, in place of the configured time.
    pub issue_delay_seconds: Option<u64>,
    /// How long a validation waits before it looks.
    pub validation_delay_millis: u64,
    /// Renewal information (RFC 9773) and `replaces`.
    pub renewal_info: Option<RenewalInfo>,
    /// The profiles offered, by name; with none the request's `profile` is not looked at.
    pub profiles: BTreeMap<String, Profile>,
    /// Profiles are advertised, and a request for one is accepted and ignored.
    pub ignore_profiles: bool,
    /// External account binding (RFC 8555 section 7.3.4) is required, with these keys.
    pub external_accounts: Option<ExternalAccounts>,
    /// dns-01 is offered, and with it wildcards.
    pub dns_01: bool,
    /// Names must also be such as Let's Encrypt takes: at most ten labels, below a suffix
    /// of the public suffix list and not one themselves.
    pub public_names: bool,
    /// How many further chains each certificate is offered with (by `Link:
    /// rel="alternate"`), each to a root of its own: at most 8.
    pub alternate_chains: u8,
    /// Whether accounts have a list of their orders, which Let's Encrypt does not offer.
    pub orders_list: bool,
    /// What belongs to another account is not found (404) rather than refused (403).
    pub hide_from_strangers: bool,
    /// How much is allowed, to whom; everything by default.
    pub limits: Limits,
    /// The page that a paused account is sent to.
    pub self_service_url: String,
    /// `meta.caaIdentities` of the directory.
    pub caa_identities: Vec<String>,
    /// `meta.termsOfService`, in place of this CA's own page.
    pub terms_of_service: Option<String>,
    /// `meta.website`, in place of this CA's own page.
    pub website: Option<String>,
    /// New connections are accepted, and nothing is ever said on them.
    pub black_hole: bool,
}

/// What happens when an order is finalized twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalizeRule {
    /// One request is accepted; the others are told `orderNotReady`.
    #[default]
    Atomic,
    /// Requests that come within this time of the first are accepted too, and each makes
    /// a certificate: what Pebble 2.4 does to simultaneous ones.
    Race {
        /// How long after the first, in milliseconds.
        window_millis: u64,
    },
}

/// One certificate profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// For people: a sentence or the URL of one.
    pub description: String,
    /// How long certificates are valid; without it as configured.
    pub validity_seconds: Option<u64>,
    /// The most names an order may have; without it as many as the CA takes.
    pub max_names: Option<usize>,
    /// How long orders may be worked on; without it as configured.
    pub order_lifetime_seconds: Option<u64>,
    /// In place of [`Behaviour::authorization_reuse_seconds`], where that is set.
    pub authorization_reuse_seconds: Option<u64>,
}

/// How renewal information (RFC 9773) is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RenewalInfo {
    /// The `Retry-After` of each answer.
    pub retry_after_seconds: u64,
    /// Windows that are otherwise than the rule, by serial number (lower-case hex).
    pub windows: BTreeMap<String, Window>,
    /// Every certificate issued before this (Unix seconds) has a window that is past, as
    /// in a mass revocation.
    pub incident_before: Option<u64>,
    /// `explanationURL` of windows that are past.
    pub explanation_url: Option<String>,
    /// Certificates, by serial number, whose information is not found.
    pub missing: Vec<String>,
}

impl Default for RenewalInfo {
    /// As Let's Encrypt: asked every six hours.
    fn default() -> Self {
        Self {
            retry_after_seconds: 6 * HOUR,
            windows: BTreeMap::new(),
            incident_before: None,
            explanation_url: None,
            missing: Vec::new(),
        }
    }
}

/// A suggested renewal window. It is given out as it stands, also when it ends before it
/// begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Its first second.
    pub start: Timestamp,
    /// The second after its last.
    pub end: Timestamp,
}

impl Window {
    /// Whether `now` is within it.
    pub fn contains(self, now: Timestamp) -> bool {
        (self.start..self.end).contains(&now)
    }
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            order_reuse: false,
            authorization_reuse_seconds: None,
            forget_expired_orders: false,
            finalize: FinalizeRule::Atomic,
            issue_delay_seconds: None,
            validation_delay_millis: 0,
            renewal_info: None,
            profiles: BTreeMap::new(),
            ignore_profiles: false,
            external_accounts: None,
            dns_01: false,
            public_names: false,
            alternate_chains: 0,
            orders_list: true,
            hide_from_strangers: false,
            limits: Limits::default(),
            self_service_url: "https://self-service.hostquorum.invalid/unpause".into(),
            caa_identities: vec!["devca.hostquorum.invalid".into()],
            terms_of_service: None,
            website: None,
            black_hole: false,
        }
    }
}

impl Behaviour {
    /// As Let's Encrypt's Boulder is known to behave in August 2026, without its limits
    /// ([`Limits::production`], [`Limits::staging`]) and without its rules on names
    /// ([`Self::public_names`]), which would forbid names reserved for tests.
    pub fn boulder() -> Self {
        Self {
            order_reuse: true,
            authorization_reuse_seconds: Some(30 * DAY),
            forget_expired_orders: true,
            // It answers before it has signed, so that there always is something to poll.
            issue_delay_seconds: Some(1),
            renewal_info: Some(RenewalInfo::default()),
            profiles: profiles(),
            dns_01: true,
            alternate_chains: 1,
            orders_list: false,
            hide_from_strangers: true,
            ..Self::default()
        }
    }
}

/// The profiles of Let's Encrypt.
fn profiles() -> BTreeMap<String, Profile> {
    let classic = Profile {
        description: "90 days, up to 100 names".into(),
        validity_seconds: Some(90 * DAY),
        ..Profile::default()
    };
    // An order of eight hours is bounded by its pending authorizations, which have one.
    let short = |description: &str, validity| Profile {
        description: description.into(),
        validity_seconds: Some(validity),
        max_names: Some(25),
        order_lifetime_seconds: Some(HOUR),
        authorization_reuse_seconds: Some(7 * HOUR),
    };
    BTreeMap::from([
        ("classic".to_owned(), classic),
        (
            "tlsserver".to_owned(),
            short("45 days, up to 25 names", 45 * DAY),
        ),
        (
            "shortlived".to_owned(),
            short("160 hours, up to 25 names", 160 * HOUR),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_behaviour_is_written_and_read_and_may_be_partial() {
        let mut behaviour = Behaviour::boulder();
        behaviour.limits = Limits::production();
        let text = serde_json::to_string(&behaviour).unwrap();
        assert_eq!(serde_json::from_str::<Behaviour>(&text).unwrap(), behaviour);
        let partial: Behaviour = serde_json::from_str(r#"{"order_reuse":true}"#).unwrap();
        assert!(partial.order_reuse && partial.orders_list);
        assert!(serde_json::from_str::<Behaviour>(r#"{"order_resue":true}"#).is_err());
    }
}
