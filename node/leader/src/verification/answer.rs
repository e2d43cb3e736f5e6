//! What DNS said, to whom.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::name::DnsName;

/// What is looked up. A CNAME is never asked for by itself: each answer carries the chain
/// that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Text.
    Txt,
    /// Who may issue (RFC 8659).
    Caa,
    /// Name servers.
    Ns,
    /// The start of a zone.
    Soa,
}

/// The content of one record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// A text, its strings joined; bytes that are no UTF-8 replaced.
    Txt(String),
    /// A CAA property.
    Caa(Property),
    /// A name server.
    Ns(DnsName),
    /// A zone's primary server and serial.
    Soa(DnsName, u32),
}

/// A CAA property (RFC 8659 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Property {
    /// Whoever does not know the tag must not issue.
    pub critical: bool,
    /// Lower case.
    pub tag: String,
    /// As it stands; bytes that are no UTF-8 replaced.
    pub value: String,
}

/// How a look-up ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Records of the kind that was asked for, sorted.
    Records(Vec<Data>),
    /// The name exists, but has no such record.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// The CNAMEs lead in a circle, or on and on.
    Loop,
    /// SERVFAIL: the resolver could not find out.
    ServFail,
    /// SERVFAIL, and an answer when asked not to check signatures: DNSSEC is broken.
    Bogus,
    /// The server refused, or answered with another error.
    Refused,
    /// The zone's servers do not serve it.
    Lame,
    /// No answer in time.
    Timeout,
    /// The network would not carry the question.
    Unreachable,
    /// The answer could not be read, or was for another question.
    Malformed,
    /// The zone names a server at an address that must not be asked from here.
    Forbidden(IpAddr),
}

impl Outcome {
    /// True if it says what DNS holds, rather than that this could not be seen.
    pub fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::Records(_) | Self::NoData | Self::NxDomain | Self::Loop
        )
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records(records) => {
                let texts: Vec<String> = records.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join(", "))
            }
            Self::NoData => f.write_str("nothing"),
            Self::NxDomain => f.write_str("no such name"),
            Self::Loop => f.write_str("CNAMEs in a circle"),
            Self::ServFail => f.write_str("SERVFAIL"),
            Self::Bogus => f.write_str("broken DNSSEC"),
            Self::Refused => f.write_str("refused"),
            Self::Lame => f.write_str("servers that do not serve the zone"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Malformed => f.write_str("an unreadable answer"),
            Self::Forbidden(address) => {
                write!(f, "a name server at {address}, which is not public")
            }
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => address.fmt(f),
            Self::Aaaa(address) => address.fmt(f),
            Self::Txt(text) => write!(f, "\"{text}\""),
            Self::Caa(property) => property.fmt(f),
            Self::Ns(name) => name.fmt(f),
            Self::Soa(primary, serial) => write!(f, "{primary} {serial}"),
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = if self.critical { 128 } else { 0 };
        write!(f, "{flags} {} \"{}\"", self.tag, self.value)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Txt => "TXT",
            Self::Caa => "CAA",
            Self::Ns => "NS",
            Self::Soa => "SOA",
        })
    }
}

/// An outcome and the CNAMEs that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Targets, from the first CNAME on; empty if the name is no alias.
    pub chain: Vec<DnsName>,
    /// What the last name has.
    pub outcome: Outcome,
}

impl Answer {
    /// Without CNAMEs.
    pub fn plain(outcome: Outcome) -> Self {
        Self {
            chain: Vec::new(),
            outcome,
        }
    }

    /// Its records; none if there are none or this could not be seen.
    pub fn records(&self) -> &[Data] {
        match &self.outcome {
            Outcome::Records(records) => records,
            _ => &[],
        }
    }

    /// Its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.records().iter().filter_map(|record| match record {
            Data::A(address) => Some(IpAddr::V4(*address)),
            Data::Aaaa(address) => Some(IpAddr::V6(*address)),
            _ => None,
        })
    }

    /// Its texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.records().iter().filter_map(|record| match record {
            Data::Txt(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Its CAA properties.
    pub fn properties(&self) -> impl Iterator<Item = &Property> {
        self.records().iter().filter_map(|record| match record {
            Data::Caa(property) => Some(property),
            _ => None,
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for target in &self.chain {
            write!(f, "CNAME {target}, ")?;
        }
        self.outcome.fmt(f)
    }
}

/// Who was asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vantage {
    /// One of our recursive resolvers.
    Recursive(SocketAddr),
    /// A server of the name's own zone.
    Authoritative(DnsName, SocketAddr),
    /// The servers of the zone were looked for, and none found.
    NoAuthority,
}

impl Vantage {
    /// True for a recursive resolver.
    pub fn is_recursive(&self) -> bool {
        matches!(self, Self::Recursive(_))
    }
}

impl fmt::Display for Vantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recursive(address) => write!(f, "resolver {}", address.ip()),
            Self::Authoritative(name, address) => write!(f, "{name} ({})", address.ip()),
            Self::NoAuthority => f.write_str("the zone's servers"),
        }
    }
}

/// One answer, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Who was asked.
    pub vantage: Vantage,
    /// What it said.
    pub answer: Answer,
}

/// One question as all vantages answered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The name that was asked for.
    pub name: DnsName,
    /// The kind that was asked for.
    pub kind: Kind,
    /// Each answer.
    pub sightings: Vec<Sighting>,
}

impl Look {
    /// A question that nobody was asked.
    pub fn unasked(name: DnsName, kind: Kind) -> Self {
        Self {
            name,
            kind,
            sightings: Vec::new(),
        }
    }

    /// The answers alone.
    pub fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.sightings.iter().map(|sighting| &sighting.answer)
    }

    /// What is there in one line: all that was seen, each once.
    pub fn have(&self) -> String {
        let mut texts: Vec<String> = self.answers().map(ToString::to_string).collect();
        texts.sort();
        texts.dedup();
        if texts.is_empty() {
            "not looked at".to_owned()
        } else {
            texts.join(" / ")
        }
    }
}
