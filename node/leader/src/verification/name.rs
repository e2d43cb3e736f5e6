//! Names as DNS has them: with underscores and wildcards, unlike a hostname.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};
use state::Hostname;

/// A DNS name in lower case without its final dot; the root is the empty name.
///
/// Only letters, digits, `-`, `_` and a leading `*` label: whatever else DNS can carry
/// stands in no record that we look for, and is refused where it comes in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(Arc<str>);

/// Why a text is no such name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no DNS name: labels of 1 to 63 letters, digits, `-` and `_`, 253 in all")]
pub struct DnsNameError(String);

/// Longest name in text, without its final dot (RFC 1035 section 2.3.4).
const OCTETS_MOST: usize = 253;
/// Longest label (RFC 1035 section 2.3.4).
const LABEL_MOST: usize = 63;
/// How much of a bad name an error shows.
const SHOWN_MOST: usize = 80;

impl DnsName {
    /// From text in any case, with or without a final dot.
    ///
    /// # Errors
    /// If it is not a name of the letters above.
    pub fn parse(text: &str) -> Result<Self, DnsNameError> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let mut labels = name.split('.').enumerate();
        let valid = name.is_empty()
            || name.len() <= OCTETS_MOST && labels.all(|(place, label)| is_label(place, label));
        if valid {
            Ok(Self(name.into()))
        } else {
            let shown = text.chars().filter(|c| !c.is_control());
            Err(DnsNameError(shown.take(SHOWN_MOST).collect()))
        }
    }

    /// The root, above all names.
    pub fn root() -> Self {
        Self("".into())
    }

    /// As text; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `prefix.self`, where `prefix` is one or more labels.
    ///
    /// # Errors
    /// If that is too long, or `prefix` no label.
    pub fn under(&self, prefix: &str) -> Result<Self, DnsNameError> {
        if self.0.is_empty() {
            Self::parse(prefix)
        } else {
            Self::parse(&format!("{prefix}.{}", self.0))
        }
    }

    /// The name above; `None` for a top-level name and the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_once('.').map(|(_, rest)| Self(rest.into()))
    }

    /// Labels from the left.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.split('.').filter(|label| !label.is_empty())
    }

    /// True if it is `zone` or below it.
    pub fn is_within(&self, zone: &Self) -> bool {
        match self.0.strip_suffix(&*zone.0) {
            Some(rest) => zone.0.is_empty() || rest.is_empty() || rest.ends_with('.'),
            None => false,
        }
    }

    /// It and all names above it, up to the top-level one: where CAA is looked for
    /// (RFC 8659 section 3).
    pub fn climb(&self) -> Vec<Self> {
        let mut names = vec![self.clone()];
        names.extend(std::iter::successors(self.parent(), Self::parent));
        names
    }
}

fn is_label(place: usize, label: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    place == 0 && label == "*"
        || (1..=LABEL_MOST).contains(&label.len()) && label.bytes().all(plain)
}

impl From<&Hostname> for DnsName {
    fn from(hostname: &Hostname) -> Self {
        Self(hostname.as_str().into())
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

impl fmt::Debug for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for DnsName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The registered domain of `hostname` (a public suffix and one label), by the public
/// suffix list with its private part. `None` if it is a public suffix itself, such as
/// `co.uk` or `github.io`.
pub fn registered_domain(hostname: &Hostname) -> Option<DnsName> {
    psl::domain_str(hostname.as_str()).map(|domain| DnsName(domain.into()))
}

/// True if `hostname` is a registered domain or a public suffix: the apex of its zone, where
/// DNS allows no CNAME (RFC 1034 section 3.6.2). A zone cut further down is known only to
/// DNS: there a SOA stands at the name.
pub fn is_apex(hostname: &Hostname) -> bool {
    registered_domain(hostname).is_none_or(|domain| domain.as_str() == hostname.as_str())
}

/// Why no public CA issues for a name, however it is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPublic {
    /// Its top-level domain is not known to the public suffix list.
    UnknownSuffix,
    /// It is a registry's own suffix, such as `co.uk`: nobody's name, but many people's.
    IsSuffix,
}

/// Whether public CAs take the name at all (Boulder's policy). The private part of the list,
/// such as `github.io`, is somebody's name and may be taken.
///
/// # Errors
/// The rule that it breaks.
pub fn issuable(hostname: &Hostname) -> Result<(), NotPublic> {
    let name = hostname.as_str().as_bytes();
    let Some(suffix) = psl::suffix(name).filter(psl::Suffix::is_known) else {
        return Err(NotPublic::UnknownSuffix);
    };
    let registry = suffix.typ() == Some(psl::Type::Icann);
    if registry && suffix.as_bytes() == name {
        return Err(NotPublic::IsSuffix);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DnsName {
        DnsName::parse(text).unwrap()
    }

    #[test]
    fn names_of_records_are_read_and_strange_ones_refused() {
        for (text, expected) in [
            (
                "_Acme-Challenge.Shop.example.",
                "_acme-challenge.shop.example",
            ),
            ("*.shop.example", "*.shop.example"),
            ("example", "example"),
            (".", ""),
        ] {
            assert_eq!(name(text).as_str(), expected);
        }
        let long = format!("{}.example", "a".repeat(64));
        for text in ["a..b", ".a", "a b.c", "shop.*.example", "bü.example", &long] {
            assert!(DnsName::parse(text).is_err(), "{text}");
        }
        assert!(name("example").under(&"a.".repeat(125)).is_err());
    }

    #[test]
    fn a_name_is_within_its_zones_by_whole_labels() {
        let cases = [
            ("a.edge.example", "edge.example", true),
            ("edge.example", "edge.example", true),
            ("bedge.example", "edge.example", false),
            ("example", "edge.example", false),
            ("a.example", "", true),
        ];
        for (below, zone, expected) in cases {
            assert_eq!(
                name(below).is_within(&name(zone)),
                expected,
                "{below} {zone}"
            );
        }
    }

    #[test]
    fn the_climb_ends_below_the_root() {
        let names: Vec<String> = name("a.b.example")
            .climb()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["a.b.example", "b.example", "example"]);
    }

    #[test]
    fn an_apex_is_known_by_the_public_suffix_list() {
        for (text, domain, apex) in [
            ("client.example", Some("client.example"), true),
            ("shop.client.example", Some("client.example"), false),
            ("client.co.uk", Some("client.co.uk"), true),
            ("shop.client.co.uk", Some("client.co.uk"), false),
            ("client.github.io", Some("client.github.io"), true),
            ("co.uk", None, true),
        ] {
            let hostname = Hostname::parse(text).unwrap();
            let found = registered_domain(&hostname).map(|domain| domain.to_string());
            assert_eq!(found.as_deref(), domain, "{text}");
            assert_eq!(is_apex(&hostname), apex, "{text}");
        }
    }

    #[test]
    fn public_cas_take_names_below_public_suffixes_only() {
        for (text, expected) in [
            ("client.com", Ok(())),
            ("shop.client.co.uk", Ok(())),
            ("github.io", Ok(())),
            ("co.uk", Err(NotPublic::IsSuffix)),
            ("client.example", Err(NotPublic::UnknownSuffix)),
            ("client.internal", Err(NotPublic::UnknownSuffix)),
        ] {
            assert_eq!(
                issuable(&Hostname::parse(text).unwrap()),
                expected,
                "{text}"
            );
        }
    }
}
