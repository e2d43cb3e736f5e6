//! The SaaS's customers to whom hostnames belong.

use std::{fmt, str::FromStr, sync::Arc};

use data_encoding::BASE32_DNSSEC;
use sha2::{Digest, Sha256};

use crate::{ClusterId, Hostname};

/// A tenant, by the name that the SaaS gives: 1 to 64 of letters, digits and `-_.:`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
// A thin pointer: each hostname holds one, and equal ones are shared.
pub struct Tenant(Arc<String>);

/// Longest name of a tenant: that of a UUID with a prefix, twice.
const NAME_MAX: usize = 64;

/// How many octets of a digest make a label: 32 characters, and no two tenants alike.
const LABEL_OCTETS: usize = 20;

/// Why a text names no tenant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tenant's name is 1 to 64 of letters, digits and the characters - _ . :")]
pub struct TenantError;

impl Tenant {
    /// Whose hostnames are when nobody says.
    pub const DEFAULT: &'static str = "default";

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The label of this tenant's own CNAME target. It names the tenant, so that a name
    /// that points to it is proven to be that tenant's.
    pub fn label(&self, cluster: ClusterId) -> String {
        label(b"tenant", cluster, &[self.as_str()])
    }

    /// The label to which `_acme-challenge` of a hostname of this tenant is delegated. It
    /// stays when the tenant removes the hostname and adds it again, and is another for
    /// another tenant.
    pub fn delegation_label(&self, cluster: ClusterId, hostname: &Hostname) -> String {
        label(
            b"acme-challenge",
            cluster,
            &[self.as_str(), hostname.as_str()],
        )
    }
}

fn label(purpose: &[u8], cluster: ClusterId, parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    digest.update(purpose);
    digest.update(cluster.0);
    for part in parts {
        digest.update([0]);
        digest.update(part.as_bytes());
    }
    BASE32_DNSSEC.encode(&digest.finalize()[..LABEL_OCTETS])
}

/// True if `text` has the shape of such a label.
pub fn is_label(text: &str) -> bool {
    let character = |b: u8| b.is_ascii_digit() || (b'a'..=b'v').contains(&b.to_ascii_lowercase());
    text.len() == LABEL_OCTETS * 8 / 5 && text.bytes().all(character)
}

impl Default for Tenant {
    fn default() -> Self {
        Self(Arc::new(Self::DEFAULT.to_owned()))
    }
}

impl FromStr for Tenant {
    type Err = TenantError;

    fn from_str(text: &str) -> Result<Self, TenantError> {
        let fits = (1..=NAME_MAX).contains(&text.len());
        let character = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        if fits && text.bytes().all(character) {
            Ok(Self(Arc::new(text.to_owned())))
        } else {
            Err(TenantError)
        }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_name_their_tenant_and_hostname_and_nothing_else() {
        let cluster = ClusterId([7; 16]);
        let host = |name| Hostname::parse(name).unwrap();
        let tenant = |name: &str| name.parse::<Tenant>().unwrap();
        let labels = [
            tenant("a").label(cluster),
            tenant("b").label(cluster),
            tenant("a").label(ClusterId([8; 16])),
            tenant("a").delegation_label(cluster, &host("shop.example")),
            tenant("a").delegation_label(cluster, &host("b.example")),
            tenant("b").delegation_label(cluster, &host("shop.example")),
        ];
        let distinct: std::collections::BTreeSet<_> = labels.iter().collect();
        assert_eq!(distinct.len(), labels.len());
        assert!(labels.iter().all(|label| is_label(label)), "{labels:?}");
    }

    #[test]
    fn a_label_never_changes_for_customers_have_it_in_their_dns() {
        let label = Tenant::default().label(ClusterId([7; 16]));
        assert_eq!(label, "v7cdumckskfokiae151oqsnvo2r4dash");
        let shop = Hostname::parse("shop.example").unwrap();
        let delegation = Tenant::default().delegation_label(ClusterId([7; 16]), &shop);
        assert_eq!(delegation, "oe71c70isanvmkcr7fq41lijbv1eadj5");
    }

    #[test]
    fn bad_names_are_refused() {
        for text in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert_eq!(text.parse::<Tenant>(), Err(TenantError), "{text}");
        }
        assert!("org_1:cust.2-3".parse::<Tenant>().is_ok());
    }
}
