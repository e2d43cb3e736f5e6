//! CAs.

use proto::admin::v1 as wire;
use serde::Serialize;

use super::id;
use crate::output::{Shape, pairs, rows};

/// A CA with our account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Ca {
    pub(crate) name: String,
    pub(crate) directory: String,
    /// The lowest is asked first.
    pub(crate) rank: u32,
    /// none, key-committed, registered, rollover-wanted or rolling.
    pub(crate) registration: String,
    pub(crate) account_url: String,
    /// RFC 7638, base64url.
    pub(crate) key_thumbprint: String,
    /// Empty: none is bound.
    pub(crate) external_account_key_id: String,
    pub(crate) contacts: Vec<String>,
    pub(crate) terms_agreed: bool,
    pub(crate) finalize_atomic: bool,
    pub(crate) caa_identities: Vec<String>,
    pub(crate) profile: String,
    pub(crate) preferred_chain: String,
    /// It has trust roots of its own.
    pub(crate) private_roots: bool,
    pub(crate) limits: Vec<Limit>,
    pub(crate) overrides: Vec<Override>,
    pub(crate) orders_in_flight: u64,
    pub(crate) revision: u64,
}

/// So many at once, and one more each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Limit {
    /// orders, certificates-per-domain, certificates-per-set or failed-validations.
    pub(crate) kind: &'static str,
    pub(crate) burst: u32,
    pub(crate) refill_ms: u64,
}

/// An exception for one key of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Override {
    /// Empty for the account.
    pub(crate) key: String,
    #[serde(flatten)]
    pub(crate) limit: Limit,
}

impl From<wire::Ca> for Ca {
    fn from(wire: wire::Ca) -> Self {
        let settings = wire.settings.unwrap_or_default();
        let exception = |one: wire::LimitOverride| Override {
            key: one.key,
            limit: Limit::from(one.limit.unwrap_or_default()),
        };
        Self {
            name: id(&wire.name).to_owned(),
            directory: settings.directory,
            rank: settings.rank.unwrap_or_default(),
            registration: wire.registration,
            account_url: wire.account_url,
            key_thumbprint: wire.key_thumbprint,
            external_account_key_id: wire.external_account_key_id,
            contacts: settings.contacts,
            terms_agreed: settings.terms_agreed,
            finalize_atomic: settings.finalize_atomic,
            caa_identities: settings.caa_identities,
            profile: settings.profile,
            preferred_chain: settings.preferred_chain,
            private_roots: !settings.trust_roots_pem.is_empty(),
            limits: settings.limits.into_iter().map(Limit::from).collect(),
            overrides: settings.overrides.into_iter().map(exception).collect(),
            orders_in_flight: wire.orders_in_flight,
            revision: wire.revision,
        }
    }
}

impl From<wire::Limit> for Limit {
    fn from(wire: wire::Limit) -> Self {
        let refill = wire.refill.unwrap_or_default();
        let whole = u64::try_from(refill.seconds)
            .unwrap_or(0)
            .saturating_mul(1000);
        let part = u64::try_from(refill.nanos).unwrap_or(0) / 1_000_000;
        Self {
            kind: kind(wire.kind()),
            burst: wire.burst,
            refill_ms: whole.saturating_add(part),
        }
    }
}

impl Limit {
    /// `300, one more each 36s`.
    pub(crate) fn text(&self) -> String {
        let refill = std::time::Duration::from_millis(self.refill_ms);
        let refill = humantime::format_duration(refill);
        format!("{}, one more each {refill}", self.burst)
    }
}

pub(crate) fn kind(kind: wire::LimitKind) -> &'static str {
    match kind {
        wire::LimitKind::Unspecified => "unknown",
        wire::LimitKind::Orders => "orders",
        wire::LimitKind::CertificatesPerDomain => "certificates-per-domain",
        wire::LimitKind::CertificatesPerSet => "certificates-per-set",
        wire::LimitKind::FailedValidations => "failed-validations",
    }
}

impl Shape for Ca {
    fn table(&self) -> String {
        let yes = |yes: bool| if yes { "yes" } else { "" }.to_owned();
        let mut said = pairs(vec![
            ("ca", self.name.clone()),
            ("directory", self.directory.clone()),
            ("rank", self.rank.to_string()),
            ("account", self.registration.clone()),
            ("account url", self.account_url.clone()),
            ("key", self.key_thumbprint.clone()),
            ("external account", self.external_account_key_id.clone()),
            ("contacts", self.contacts.join(", ")),
            ("terms agreed", yes(self.terms_agreed)),
            ("finalize atomic", yes(self.finalize_atomic)),
            ("caa identities", self.caa_identities.join(", ")),
            ("profile", self.profile.clone()),
            ("preferred chain", self.preferred_chain.clone()),
            ("private roots", yes(self.private_roots)),
            ("orders in flight", self.orders_in_flight.to_string()),
            ("revision", self.revision.to_string()),
        ]);
        let limit =
            |limit: &Limit, key: &str| vec![limit.kind.to_owned(), key.to_owned(), limit.text()];
        let mut limits: Vec<_> = self.limits.iter().map(|one| limit(one, "")).collect();
        limits.extend(self.overrides.iter().map(|one| limit(&one.limit, &one.key)));
        if !limits.is_empty() {
            said.push_str("\n\n");
            said.push_str(&rows(&["limit", "but for", "allows"], limits));
        }
        said
    }
}

/// All CAs, in the order in which they are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Cas {
    pub(crate) cas: Vec<Ca>,
}

impl Shape for Cas {
    fn table(&self) -> String {
        let row = |ca: &Ca| {
            vec![
                ca.rank.to_string(),
                ca.name.clone(),
                ca.registration.clone(),
                ca.orders_in_flight.to_string(),
                ca.directory.clone(),
            ]
        };
        let header = ["rank", "ca", "account", "orders", "directory"];
        rows(&header, self.cas.iter().map(row).collect())
    }
}

/// A CA that is asked no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Removed {
    pub(crate) name: String,
    /// The log index of the change.
    pub(crate) index: u64,
}

impl Shape for Removed {
    fn table(&self) -> String {
        format!("{} was removed at index {}", self.name, self.index)
    }
}
