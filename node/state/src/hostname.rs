//! A customer's name, valid by construction, and what is agreed about it.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use bytes::Bytes;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::{
    CertificateId, Contest, Failure, Index, KeyAlgorithm, OrderId, Ownership, Proof, Sealed,
    Tenant, Timestamp, Traffic, Wants,
};

/// A DNS name of at least two labels, as lower-case A-labels without a final
/// dot. Never an address, never a wildcard.
///
/// The rules are those that public CAs apply: at most 253 octets, ten labels
/// and 63 octets a label, letters, digits and inner hyphens only, no `--` in
/// third and fourth place but in valid Punycode, and no all-digit last label.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hostname(Arc<str>);

/// Most labels that public CAs accept.
const LABELS_MAX: usize = 10;

/// Why a text is no hostname.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostnameError {
    /// Nothing there.
    #[error("a hostname must not be empty")]
    Empty,
    /// `*.`
    #[error("`{0}` is a wildcard; name each hostname")]
    Wildcard(String),
    /// An address.
    #[error("`{0}` is an address; a hostname is a DNS name")]
    Address(String),
    /// One label only.
    #[error("`{0}` has one label; a hostname has at least two, such as shop.example")]
    OneLabel(String),
    /// More than ten labels.
    #[error("`{0}` has more than ten labels, which no public CA accepts")]
    TooManyLabels(String),
    /// Anything else that DNS or IDNA does not allow.
    #[error(
        "`{0}` is not a valid DNS name (letters, digits and inner hyphens; labels of 1 to 63 and 253 in all)"
    )]
    Invalid(String),
}

impl Hostname {
    /// From text in Unicode or A-labels, any case, with or without a final dot.
    pub fn parse(text: &str) -> Result<Self, HostnameError> {
        // Error texts quote the input: it must be bounded.
        let shown = || {
            text.chars()
                .filter(|c| !c.is_control())
                .take(80)
                .collect::<String>()
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(HostnameError::Empty);
        }
        if name.starts_with("*.") {
            return Err(HostnameError::Wildcard(shown()));
        }
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<std::net::IpAddr>().is_ok() {
            return Err(HostnameError::Address(shown()));
        }
        let ascii = Uts46::new()
            .to_ascii(
                name.as_bytes(),
                AsciiDenyList::STD3,
                Hyphens::Check,
                DnsLength::Verify,
            )
            .map_err(|_| HostnameError::Invalid(shown()))?;
        let labels = ascii.split('.').count();
        if labels < 2 {
            return Err(HostnameError::OneLabel(shown()));
        }
        if labels > LABELS_MAX {
            return Err(HostnameError::TooManyLabels(shown()));
        }
        let last_is_number = ascii
            .rsplit('.')
            .next()
            .is_some_and(|tld| tld.bytes().all(|b| b.is_ascii_digit()));
        if last_is_number {
            return Err(HostnameError::Invalid(shown()));
        }
        Ok(Self(ascii.as_ref().into()))
    }

    /// From text that was a hostname when it was stored. Only its shape is checked:
    /// the tables of IDNA change from release to release, and a replica must go on
    /// reading what all agreed on.
    pub(crate) fn stored(text: &str) -> Option<Self> {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let valid = text.len() <= 253 && text.contains('.') && text.split('.').all(label);
        valid.then(|| Self(text.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name one label above, if that is a hostname.
    pub fn parent(&self) -> Option<&str> {
        let (_, parent) = self.0.split_once('.')?;
        parent.contains('.').then_some(parent)
    }

    /// No name, but one that sorts before all: the lower bound of ranges.
    pub(crate) fn lowest() -> Self {
        Self("".into())
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Hostname {
    type Err = HostnameError;

    fn from_str(text: &str) -> Result<Self, HostnameError> {
        Self::parse(text)
    }
}

impl Borrow<str> for Hostname {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Hostname {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// What is agreed about an authorized hostname.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostnameRecord {
    /// When it was authorized.
    pub authorized_at: Timestamp,
    /// By whom; interned by the state.
    pub authorized_by: Arc<String>,
    /// Whose it is.
    pub tenant: Tenant,
    /// The log index of the authorization: another one is another claim.
    pub claim: Index,
    /// Whether it is proven to be its tenant's.
    pub ownership: Ownership,
    /// What it is to have; absent: [`Wants::default`].
    pub wants: Option<Arc<Wants>>,
    /// How its traffic is served, where that is not as in its zone. Equal sets are one.
    pub traffic: Option<Arc<Traffic>>,
    /// What is served to clients that know ECDSA.
    pub certificate: Option<CertificateId>,
    /// The order in flight.
    pub order: Option<OrderId>,
    /// The last failure since the last success.
    pub failure: Option<Box<Failure>>,
    /// What few hostnames have.
    pub extra: Option<Box<Extra>>,
    /// How many events there were; the last few are bodies.
    pub events: u32,
    /// The log index of its last change.
    pub revision: Index,
}

/// What few hostnames have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// The certificate with an RSA key.
    pub rsa: Option<CertificateId>,
    /// A request that somebody else's CA is to sign.
    pub request: Option<CertificateRequest>,
    /// Another tenant claims the hostname.
    pub contest: Option<Contest>,
}

/// A certification request (PKCS #10) whose key stays here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    /// The private key (PKCS #8), under the serving key.
    pub key: Sealed,
    /// The request (DER).
    pub csr: Bytes,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How a hostname stands, derived from its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not proven to be its tenant's; nothing is served.
    Unproven,
    /// No order yet.
    Pending,
    /// Its first order is in flight.
    Issuing,
    /// It has a certificate.
    Live,
    /// It has one and the next is in flight, or failed.
    Renewing,
    /// It has none and the last order failed.
    Failed,
    /// It failed too often: it is only looked at from time to time.
    Parked,
}

impl HostnameRecord {
    /// What it is to have.
    pub fn wants(&self) -> Wants {
        self.wants.as_deref().cloned().unwrap_or_default()
    }

    /// Every name one label below it is served, too.
    pub fn is_wildcard(&self) -> bool {
        self.wants.as_ref().is_some_and(|wants| wants.wildcard)
    }

    /// What is served with such a key.
    pub fn certificate_of(&self, algorithm: KeyAlgorithm) -> Option<CertificateId> {
        match algorithm {
            KeyAlgorithm::Ecdsa => self.certificate,
            KeyAlgorithm::Rsa => self.extra.as_ref().and_then(|extra| extra.rsa),
        }
    }

    /// All that is served.
    pub fn certificates(&self) -> impl Iterator<Item = CertificateId> {
        KeyAlgorithm::ALL
            .into_iter()
            .filter_map(|algorithm| self.certificate_of(algorithm))
    }

    /// Another tenant claims it.
    pub fn contest(&self) -> Option<&Contest> {
        self.extra.as_ref()?.contest.as_ref()
    }

    /// A request that waits for somebody else's CA.
    pub fn request(&self) -> Option<&CertificateRequest> {
        self.extra.as_ref()?.request.as_ref()
    }

    pub(crate) fn set_certificate(&mut self, algorithm: KeyAlgorithm, id: Option<CertificateId>) {
        match algorithm {
            KeyAlgorithm::Ecdsa => self.certificate = id,
            KeyAlgorithm::Rsa => self.edit_extra(|extra| extra.rsa = id),
        }
    }

    pub(crate) fn edit_extra(&mut self, edit: impl FnOnce(&mut Extra)) {
        let mut extra = self.extra.take().map(|extra| *extra).unwrap_or_default();
        edit(&mut extra);
        self.extra = (extra != Extra::default()).then(|| Box::new(extra));
    }

    /// How it stands, given whether a certificate of its is valid now.
    pub fn standing(&self, valid: bool) -> Standing {
        let failed = self.failure.as_deref();
        let parked = failed.is_some_and(|failure| failure.parked);
        match (valid, self.order.is_some(), failed.is_some()) {
            (true, false, false) if self.ownership.standing != Proof::Lapsed => Standing::Live,
            (true, _, _) => Standing::Renewing,
            (false, true, _) => Standing::Issuing,
            _ if !self.ownership.standing.holds() => Standing::Unproven,
            _ if parked => Standing::Parked,
            (false, false, true) => Standing::Failed,
            (false, false, false) => Standing::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn good(text: &str, expected: &str) {
        assert_eq!(Hostname::parse(text).unwrap().as_str(), expected);
    }

    #[track_caller]
    fn bad(text: &str, expected: &str) {
        let error = Hostname::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[test]
    fn names_become_lower_case_a_labels() {
        good("shop.example", "shop.example");
        good("SHOP.Example.", "shop.example");
        good("bücher.example", "xn--bcher-kva.example");
        good("xn--bcher-kva.example", "xn--bcher-kva.example");
        good("a-1.b2.example", "a-1.b2.example");
        good("1.2.3.example", "1.2.3.example");
    }

    #[test]
    fn what_no_ca_would_accept_is_refused_with_its_reason() {
        bad("", "empty");
        bad(".", "empty");
        bad("*.shop.example", "wildcard");
        bad("127.0.0.1", "address");
        bad("[::1]", "address");
        bad("::1", "address");
        bad("localhost", "one label");
        bad("a.b.c.d.e.f.g.h.i.j.example", "ten labels");
        bad("shop..example", "not a valid");
        bad("-shop.example", "not a valid");
        bad("shop-.example", "not a valid");
        bad("ab--cd.example", "not a valid");
        bad("xn--a.example", "not a valid");
        bad("under_score.example", "not a valid");
        bad("sp ace.example", "not a valid");
        bad("shop.example:443", "not a valid");
        bad("http://shop.example", "not a valid");
        bad("1.2.3.4.5", "not a valid");
        bad(&format!("{}.example", "a".repeat(64)), "not a valid");
        bad(
            &format!("{}.example", ["a".repeat(60).as_str(); 5].join(".")),
            "not a valid",
        );
    }

    #[test]
    fn an_error_never_quotes_without_bound() {
        let error = Hostname::parse(&"ä ".repeat(5000)).unwrap_err().to_string();
        assert!(error.len() < 400);
    }
}
