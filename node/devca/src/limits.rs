//! How much the CA allows: the limits of Let's Encrypt, as buckets that refill steadily.
//!
//! ```text
//! newOrder ──▶ Meter::admit    checks every bucket the order touches; spends one new order
//! issuance ──▶ Meter::issued   spends domain and set, which newOrder only looked at; the
//!                              set even for orders that no limit held up
//! failure  ──▶ Meter::failed   spends the name's failures; pauses it when they never end
//! ```
//!
//! Pure: the time is an argument. Usable without the rest of the CA, so that a planner of
//! orders can be held against the same rules as the server.

mod bucket;
mod meter;
mod tables;

use serde::{Deserialize, Serialize};

pub use meter::{Admission, Denial, Exemption, Meter};

/// One limit: a bucket of tokens that refills steadily (GCRA).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many may be spent at once, after long rest.
    pub burst: u64,
    /// How many come back ...
    pub count: u64,
    /// ... in this many milliseconds, evenly.
    pub period_millis: u64,
}

/// Which limits apply; those that are absent do not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// New orders of one account. Spent at newOrder, also when an order is reused.
    pub new_orders_per_account: Option<Limit>,
    /// Certificates for names below one registered domain (public suffix plus one label).
    /// Checked at newOrder, spent at issuance.
    pub certificates_per_domain: Option<Limit>,
    /// Certificates for exactly one set of names. Checked at newOrder, spent at issuance.
    pub certificates_per_set: Option<Limit>,
    /// Failed validations of one name by one account. Checked at newOrder, spent when a
    /// validation fails or a pending authorization is deactivated.
    pub failed_validations: Option<Limit>,
    /// Failed validations of one name by one account without a success between them; the
    /// failure after the last token pauses the name until its owner resumes it.
    pub consecutive_failures: Option<Limit>,
    /// New accounts from one address.
    pub new_accounts_per_ip: Option<Limit>,
    /// New accounts from one /48 of IPv6.
    pub new_accounts_per_range: Option<Limit>,
    /// Requests of one address, by what they ask for.
    pub requests: RequestLimits,
    /// Buckets of another size than the rest of their kind.
    pub overrides: Vec<Override>,
}

/// How often one address may ask; beyond it the answer is 503 with `Retry-After`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestLimits {
    /// The directory.
    pub directory: Option<Limit>,
    /// newNonce.
    pub new_nonce: Option<Limit>,
    /// newAccount.
    pub new_account: Option<Limit>,
    /// newOrder.
    pub new_order: Option<Limit>,
    /// revokeCert.
    pub revoke: Option<Limit>,
    /// Renewal information.
    pub renewal_info: Option<Limit>,
    /// Everything else of ACME.
    pub other: Option<Limit>,
}

/// One bucket with a size of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Which kind of bucket.
    pub limit: LimitName,
    /// Whose: an account's id, a registered domain, an address, or names joined by commas.
    pub key: String,
    /// Its size.
    pub value: Limit,
}

/// The kinds of buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitName {
    /// [`Limits::new_orders_per_account`].
    NewOrdersPerAccount,
    /// [`Limits::certificates_per_domain`].
    CertificatesPerDomain,
    /// [`Limits::certificates_per_set`].
    CertificatesPerSet,
    /// [`Limits::failed_validations`].
    FailedValidations,
    /// [`Limits::consecutive_failures`].
    ConsecutiveFailures,
    /// [`Limits::new_accounts_per_ip`].
    NewAccountsPerIp,
    /// [`Limits::new_accounts_per_range`].
    NewAccountsPerRange,
    /// One of [`RequestLimits`].
    Requests,
}

impl Limits {
    /// The size of the bucket of this kind and key, if it is limited.
    fn of(&self, name: LimitName, key: &str) -> Option<Limit> {
        let mut overrides = self.overrides.iter();
        let own = overrides.find(|own| own.limit == name && own.key == key);
        own.map(|own| own.value).or(match name {
            LimitName::NewOrdersPerAccount => self.new_orders_per_account,
            LimitName::CertificatesPerDomain => self.certificates_per_domain,
            LimitName::CertificatesPerSet => self.certificates_per_set,
            LimitName::FailedValidations => self.failed_validations,
            LimitName::ConsecutiveFailures => self.consecutive_failures,
            LimitName::NewAccountsPerIp => self.new_accounts_per_ip,
            LimitName::NewAccountsPerRange => self.new_accounts_per_range,
            LimitName::Requests => None,
        })
    }
}

/// What `name` counts for at [`Limits::certificates_per_domain`]: the public suffix plus
/// one label, by the public suffix list; a name that is a suffix itself counts alone.
pub fn registered_domain(name: &str) -> &str {
    let bare = name.strip_prefix("*.").unwrap_or(name);
    psl::domain_str(bare).unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_for_their_registered_domain() {
        for (name, domain) in [
            ("a.b.client.com", "client.com"),
            ("*.client.com", "client.com"),
            ("shop.client.co.uk", "client.co.uk"),
            ("client.github.io", "client.github.io"),
            ("com", "com"),
            ("shop.client.example", "client.example"),
        ] {
            assert_eq!(registered_domain(name), domain, "{name}");
        }
    }
}
