//! Origins: where requests go, whether they are well, and how they are spoken to.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{Origin, Sealed};

/// One of several origins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weighted {
    /// Where.
    pub origin: Arc<Origin>,
    /// Its share of the requests, in relation to the others'.
    pub weight: u16,
}

/// How each node asks an origin whether it is well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HealthCheck {
    /// What is asked for.
    pub path: Box<str>,
    /// How often.
    pub interval: Duration,
    /// When no answer counts as a bad one.
    pub timeout: Duration,
    /// So many good answers in a row make it well.
    pub rise: u8,
    /// So many bad answers in a row make it ill.
    pub fall: u8,
    /// The lowest status that is good.
    pub status_from: u16,
    /// The highest one.
    pub status_to: u16,
}

/// When an origin is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ejection {
    /// After so many failures in a row.
    pub failures: u16,
    /// For so long, and longer each time that it comes at once again.
    pub period: Duration,
}

/// A name that origins are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OriginName {
    /// The one that the client asked for.
    Client,
    /// The origin's own.
    Origin,
    /// That one.
    Fixed(Box<str>),
}

impl OriginName {
    /// Its text in the API and in the store. No name is `client` or `origin`: they have
    /// two labels or more.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Client => "client",
            Self::Origin => "origin",
            Self::Fixed(name) => name,
        }
    }

    /// By its text.
    pub fn parse(text: &str) -> Self {
        match text {
            "client" => Self::Client,
            "origin" => Self::Origin,
            name => Self::Fixed(name.into()),
        }
    }
}

/// How an origin's certificate is verified.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OriginTrust {
    /// By the system's roots and those of this node's configuration.
    System,
    /// By these roots (DER) alone.
    Roots(Arc<[Bytes]>),
    /// Its public key (SHA-256 of SubjectPublicKeyInfo) is one of these, whoever signed it
    /// and whatever its name.
    Pins(Arc<[[u8; 32]]>),
    /// Not at all.
    Off,
}

/// A certificate that we show to origins, and its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OriginIdentity {
    /// The leaf and its issuers (DER).
    pub chain: Vec<Bytes>,
    /// The private key (PKCS #8), under the serving key.
    pub key: Sealed,
}
