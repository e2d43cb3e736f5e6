//! What a hostname must show, as the verification needs it.

use std::{fmt, net::IpAddr};

use aws_lc_rs::digest;
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use state::{Hostname, OwnershipToken};

use super::name::{DnsName, DnsNameError};

/// The label below which a customer publishes the token.
pub const TXT_LABEL: &str = "_hostquorum";
/// What stands before the token in the text.
pub const TXT_PREFIX: &str = "hostquorum-verify=";
/// Where a name that does not point here yet may show the token.
pub const HTTP_PATH: &str = "/.well-known/hostquorum/";
/// The label of challenges by DNS (RFC 8555 section 8.4).
pub const CHALLENGE_LABEL: &str = "_acme-challenge";

/// A hostname, or all names one label below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The name, without `*.`.
    pub host: Hostname,
    /// Whether `*.host` is meant.
    pub wildcard: bool,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.wildcard { "*." } else { "" };
        write!(f, "{star}{}", self.host)
    }
}

/// One tenant's wish to serve a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name.
    pub subject: Subject,
    /// Drawn at random for this claim: who publishes it means this claim and no other.
    pub token: Token,
    /// The tenant's own name below the edge's domain. It is nobody else's, so a CNAME to it
    /// says which tenant is meant. `None` if the zone has no such domain.
    pub target: Option<DnsName>,
    /// Where challenges for this claim are answered; no other claim has the same. `None` if
    /// the zone has no DNS servers.
    pub delegation: Option<DnsName>,
    /// What the claim is for.
    pub purpose: Purpose,
}

/// What a proof is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Nobody else holds the name, or held it lately.
    First,
    /// The claim was proven before: this is the look before an order, or one that looks
    /// whether a lapsed proof is back.
    Recheck,
    /// Another tenant held the name: it was removed there and left a tombstone.
    Transfer,
    /// Another tenant holds the name.
    Contest,
}

/// Random letters that a customer publishes. No secret: all the world may read them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Token(String);

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token is 22 to 64 letters, digits, `-` and `_`")]
pub struct TokenError;

impl Token {
    /// From text.
    ///
    /// # Errors
    /// Unless it is base64url of 128 bits or more, and short enough for one TXT string.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if (22..=64).contains(&text.len()) && text.bytes().all(letter) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TokenError)
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<OwnershipToken> for Token {
    fn from(token: OwnershipToken) -> Self {
        Self(token.to_text())
    }
}

impl Claim {
    /// Where the token is looked for: `_hostquorum.<host>`, for a wildcard too.
    ///
    /// # Errors
    /// If the hostname is too long for a label more.
    pub fn txt_name(&self) -> Result<DnsName, DnsNameError> {
        DnsName::from(&self.subject.host).under(TXT_LABEL)
    }

    /// The text to publish there.
    pub fn txt_value(&self) -> String {
        format!("{TXT_PREFIX}{}", self.token.as_str())
    }

    /// Where challenges are looked for: `_acme-challenge.<host>`.
    ///
    /// # Errors
    /// If the hostname is too long for a label more.
    pub fn challenge_name(&self) -> Result<DnsName, DnsNameError> {
        DnsName::from(&self.subject.host).under(CHALLENGE_LABEL)
    }

    /// Where the host may show the token by HTTP.
    pub fn http_path(&self) -> String {
        format!("{HTTP_PATH}{}", self.token.as_str())
    }

    /// What must stand there, alone. Not the token itself: a server that repeats the path
    /// that it was asked for would then prove whatever one likes.
    pub fn http_body(&self) -> String {
        let text = format!(
            "hostquorum http {} {}",
            self.token.as_str(),
            self.subject.host
        );
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        format!("{TXT_PREFIX}{}", BASE64URL_NOPAD.encode(hash.as_ref()))
    }
}

/// What is true of the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The domain below which tenants' targets stand, if there is one.
    pub edge: Option<DnsName>,
    /// The addresses that customers are told to point at: those of the accelerator or
    /// balancer, or of the nodes.
    pub addresses: Vec<IpAddr>,
}

impl Cluster {
    /// True if `address` is one of the cluster's.
    pub fn has(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address.to_canonical())
    }

    /// The first name in a chain of CNAMEs that is below the edge's domain: the tenant that
    /// it names.
    pub fn tenant_of<'a>(&self, chain: &'a [DnsName]) -> Option<&'a DnsName> {
        let edge = self.edge.as_ref()?;
        chain.iter().find(|target| target.is_within(edge))
    }

    /// Its addresses as text.
    pub fn have(&self) -> String {
        listed(&self.addresses)
    }
}

/// Things as text, with commas.
pub(crate) fn listed<T: fmt::Display>(things: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = things.into_iter().map(|thing| thing.to_string()).collect();
    if texts.is_empty() {
        "nothing".to_owned()
    } else {
        texts.join(", ")
    }
}

/// Who must change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Who runs the name's DNS, or the server that it points to: the customer.
    Owner,
    /// Who runs this cluster.
    Operator,
    /// Nobody: it passes with time.
    Nobody,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "the owner of the name",
            Self::Operator => "the operator of this cluster",
            Self::Nobody => "nobody",
        })
    }
}
