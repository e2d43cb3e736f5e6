//! What a CA shows.

use std::{collections::BTreeMap, time::Duration};

use state::{Hostname, Timestamp};

use super::Problem;

/// What a CA says of itself (RFC 8555 section 7.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryView {
    /// The profiles that it offers, each with its description.
    pub profiles: BTreeMap<String, String>,
    /// The names by which CAA records mean it (RFC 8659).
    pub caa_identities: Vec<String>,
    /// Where its terms of service are.
    pub terms_of_service: Option<String>,
    /// Where it says more about itself.
    pub website: Option<String>,
    /// It registers only accounts that are bound to an external one.
    pub external_account_required: bool,
    /// It tells when to renew (RFC 9773).
    pub has_renewal_info: bool,
    /// An account's key can be changed.
    pub has_key_change: bool,
}

/// An order as the CA shows it (RFC 8555 section 7.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderView {
    /// Where it is read.
    pub url: String,
    /// How it stands.
    pub status: OrderStatus,
    /// Its DNS names, in the CA's order, wildcards with their `*.`.
    pub identifiers: Vec<String>,
    /// Where its authorizations are read, in the CA's order: usually one a name.
    pub authorization_urls: Vec<String>,
    /// Where it is finalized.
    pub finalize_url: String,
    /// Where its certificate is read, once it is valid.
    pub certificate_url: Option<String>,
    /// Its profile, if it has one.
    pub profile: Option<String>,
    /// The renewal id of the certificate that it replaces, if it does (RFC 9773 section 5).
    pub replaces: Option<String>,
    /// When the CA forgets it, if it says.
    pub expires: Option<Timestamp>,
    /// Why it is invalid, if it says.
    pub error: Option<Problem>,
    /// How long to wait before the next look, if it says.
    pub retry_after: Option<Duration>,
}

/// How an order stands (RFC 8555 section 7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    /// Not all its authorizations are valid yet.
    Pending,
    /// It can be finalized.
    Ready,
    /// It is being issued.
    Processing,
    /// Its certificate can be read.
    Valid,
    /// It is over, without a certificate.
    Invalid,
}

/// An authorization as the CA shows it (RFC 8555 section 7.1.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationView {
    /// Where it is read.
    pub url: String,
    /// Its name, without a `*.`.
    pub hostname: Hostname,
    /// It is for all names right below the hostname, and not for the hostname.
    pub wildcard: bool,
    /// How it stands.
    pub status: AuthorizationStatus,
    /// When it ends, if the CA says; always said of valid ones.
    pub expires: Option<Timestamp>,
    /// The ways to prove it, in the CA's order.
    pub challenges: Vec<ChallengeView>,
    /// How long to wait before the next look, if the CA says (RFC 8555 section 7.5.1).
    pub retry_after: Option<Duration>,
}

impl AuthorizationView {
    /// Its challenge of this kind, if it offers one.
    pub fn challenge(&self, kind: &ChallengeKind) -> Option<&ChallengeView> {
        self.challenges.iter().find(|it| it.kind == *kind)
    }

    /// Its challenge at this URL, if it is one of its own.
    pub fn challenge_at(&self, url: &str) -> Option<&ChallengeView> {
        self.challenges.iter().find(|it| it.url == url)
    }
}

/// How an authorization stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationStatus {
    /// Nothing was proven yet.
    Pending,
    /// The name is ours to ask for.
    Valid,
    /// Failed, expired, revoked or deactivated.
    Invalid,
}

/// A challenge as the CA shows it (RFC 8555 section 8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeView {
    /// Which one.
    pub kind: ChallengeKind,
    /// Where to say that it is ready.
    pub url: String,
    /// base64url and nothing else; absent where the kind has none.
    pub token: Option<String>,
    /// What dns-persist-01 gives in the place of a token.
    pub persist: Option<Persist>,
    /// How it stands.
    pub status: ChallengeStatus,
    /// Why it failed, if it says.
    pub error: Option<Problem>,
}

/// What a dns-persist-01 challenge gives (draft-ietf-acme-dns-persist): the record names
/// one of the CA's domains and our account, and stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist {
    /// Our account's URL, as the record is to give it.
    pub account_uri: Option<String>,
    /// The CA's domains, any of which the record may name.
    pub issuer_domain_names: Vec<String>,
}

/// The kinds of challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChallengeKind {
    /// RFC 8555 section 8.3.
    Http01,
    /// RFC 8737.
    TlsAlpn01,
    /// RFC 8555 section 8.4.
    Dns01,
    /// draft-ietf-acme-dns-persist.
    DnsPersist01,
    /// One that we do not know.
    Other(String),
}

impl ChallengeKind {
    /// By its name in ACME.
    pub fn of(name: &str) -> Self {
        match name {
            "http-01" => Self::Http01,
            "tls-alpn-01" => Self::TlsAlpn01,
            "dns-01" => Self::Dns01,
            "dns-persist-01" => Self::DnsPersist01,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Its name in ACME.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
            Self::DnsPersist01 => "dns-persist-01",
            Self::Other(name) => name,
        }
    }
}

/// How a challenge stands (RFC 8555 section 7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeStatus {
    /// The CA was not told, or has not begun.
    Pending,
    /// The CA is checking.
    Processing,
    /// Proven.
    Valid,
    /// Failed.
    Invalid,
}

/// A certificate as it is downloaded (RFC 8555 section 7.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainView {
    /// PEM, the leaf first.
    pub pem: String,
    /// Where the same leaf is read with other chains, at most
    /// [`ChainView::ALTERNATES_MOST`].
    pub alternates: Vec<String>,
}

impl ChainView {
    /// Most alternate chains that are told of: no CA has had more than three.
    pub const ALTERNATES_MOST: usize = 8;
}
