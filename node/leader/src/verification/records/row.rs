//! One record to publish, and how it stands in a zone file.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::verification::name::DnsName;

/// One record to publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: RowKind,
    /// Its owner, without final dot.
    pub name: DnsName,
    /// Its value as most providers ask for it: names without final dot, texts without
    /// quotes; CAA as in a zone file.
    pub value: String,
    /// What it is for.
    pub purpose: RowPurpose,
    /// Whether it must be there.
    pub need: Need,
}

/// A record's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RowKind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// An alias.
    Cname,
    /// A text.
    Txt,
    /// A name server.
    Ns,
    /// Who may issue.
    Caa,
}

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowPurpose {
    /// Brings visitors here.
    Traffic,
    /// Proves whose the name is.
    Ownership,
    /// Lets us answer challenges by DNS.
    Challenge,
    /// Lets a CA issue to our account without a challenge each time (dns-persist-01).
    PersistentChallenge,
    /// Lets our account at the CA issue, and no other.
    Caa,
    /// Gives a zone to our own name servers.
    Delegation,
}

/// Whether a record must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Nothing works without it.
    Required,
    /// It makes something better or earlier; the purpose says what.
    Optional,
}

impl Row {
    /// Its line of a zone file (RFC 1035 section 5.1).
    pub fn zone_line(&self) -> String {
        let value = match self.kind {
            RowKind::Cname | RowKind::Ns => format!("{}.", self.value),
            RowKind::Txt => quoted(&self.value),
            RowKind::A | RowKind::Aaaa | RowKind::Caa => self.value.clone(),
        };
        format!("{}. IN {} {value}", self.name, self.kind)
    }
}

/// Strings of at most 255 octets, quoted.
pub(super) fn quoted(text: &str) -> String {
    let mut strings: Vec<String> = Vec::new();
    for chunk in text.as_bytes().chunks(255) {
        let mut string = String::from("\"");
        for byte in chunk {
            match byte {
                b'"' | b'\\' => string.extend(['\\', char::from(*byte)]),
                0x20..=0x7e => string.push(char::from(*byte)),
                _ => {
                    let _ = write!(string, "\\{byte:03}");
                }
            }
        }
        string.push('"');
        strings.push(string);
    }
    strings.join(" ")
}

impl fmt::Display for RowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Txt => "TXT",
            Self::Ns => "NS",
            Self::Caa => "CAA",
        })
    }
}

impl fmt::Display for RowPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Traffic => "brings visitors here",
            Self::Ownership => "proves whose the name is",
            Self::Challenge => "lets us answer challenges by DNS",
            Self::PersistentChallenge => {
                "lets the CA issue to our account without a challenge each time"
            }
            Self::Caa => "lets our account at the CA issue, and no other",
            Self::Delegation => "gives the zone to our name servers",
        })
    }
}
