//! Whether a hostname is its tenant's.

use std::sync::Arc;

use data_encoding::BASE32_DNSSEC;

use crate::{Index, Tenant, Timestamp};

/// What a customer publishes to prove a claim: random, drawn with the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnershipToken(pub [u8; 16]);

impl OwnershipToken {
    /// As it stands in DNS: 26 characters.
    pub fn to_text(self) -> String {
        BASE32_DNSSEC.encode(&self.0)
    }
}

/// A hostname's proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// What the claim's proof must show.
    pub token: OwnershipToken,
    /// How it stands.
    pub standing: Proof,
    /// Since when it stands so.
    pub since: Timestamp,
    /// When it was last looked at; absent before the first time.
    pub checked_at: Option<Timestamp>,
    /// When to look again; absent where nobody looks.
    pub next_check: Option<Timestamp>,
    /// What the last look found wrong, and who must change what.
    pub fault: Option<Arc<str>>,
}

/// How a claim's proof stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// An operator's word is enough in this zone.
    Vouched,
    /// Not yet.
    Unproven,
    /// By that.
    Proven(ProofMethod),
    /// It was, and is no more: what is served stays, nothing new is ordered.
    Lapsed,
}

impl Proof {
    /// True if orders may begin.
    pub fn holds(self) -> bool {
        matches!(self, Self::Vouched | Self::Proven(_))
    }

    /// Its name in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vouched => "vouched",
            Self::Unproven => "unproven",
            Self::Proven(method) => method.as_str(),
            Self::Lapsed => "lapsed",
        }
    }

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "vouched" => Some(Self::Vouched),
            "unproven" => Some(Self::Unproven),
            "lapsed" => Some(Self::Lapsed),
            method => ProofMethod::parse(method).map(Self::Proven),
        }
    }
}

/// What proved a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofMethod {
    /// A TXT record with the claim's token.
    Txt,
    /// A CNAME to the tenant's own target.
    Cname,
    /// Addresses of the cluster. Proves that traffic comes here, not whose it is:
    /// never enough to take a hostname from another tenant.
    Address,
    /// The claim's token by HTTP, while the name pointed elsewhere.
    Http,
}

impl ProofMethod {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Txt, Self::Cname, Self::Address, Self::Http];

    /// Its name in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Cname => "cname",
            Self::Address => "address",
            Self::Http => "http",
        }
    }

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }

    /// True if it names the tenant, and not only this cluster.
    pub fn names_tenant(self) -> bool {
        !matches!(self, Self::Address)
    }
}

/// Another tenant's claim to a hostname that is somebody's. Nothing changes before it is
/// proven by something that names that tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contest {
    /// Who claims it.
    pub tenant: Tenant,
    /// What the proof must show.
    pub token: OwnershipToken,
    /// Since when.
    pub since: Timestamp,
    /// When to look next; after [`Contest::ends`] never.
    pub next_check: Timestamp,
    /// What the last look found wrong.
    pub fault: Option<Arc<str>>,
    /// The log index of the claim.
    pub claim: Index,
}

/// Who had a hostname that was removed: another tenant must prove afresh, by something
/// that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Whose it was.
    pub tenant: Tenant,
    /// When it was removed.
    pub removed_at: Timestamp,
}

/// How long a removed hostname is remembered: as long as the longest certificate that a
/// CA's documents allow from 2026 on, rounded up, for DNS that was left dangling.
pub const TOMBSTONE_KEPT: std::time::Duration = std::time::Duration::from_secs(200 * 86400);

/// How long a contest may take.
pub const CONTEST_OPEN: std::time::Duration = std::time::Duration::from_secs(7 * 86400);

impl Contest {
    /// From when on it is given up.
    pub fn ends(&self) -> Timestamp {
        self.since.plus(CONTEST_OPEN)
    }
}

impl Tombstone {
    /// From when on it is forgotten.
    pub fn forget_at(&self) -> Timestamp {
        self.removed_at.plus(TOMBSTONE_KEPT)
    }
}
