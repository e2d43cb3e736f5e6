//! Which names this CA issues for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::problem::{Identifier, Kind, Problem, Subproblem};

/// As at Let's Encrypt; also bounds the probes one order can cause.
const MAX_IDENTIFIERS: usize = 100;
/// The longest name DNS can carry, in text (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;
/// The longest label (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// The most labels of a name under [`NameRules::public`]; as at Let's Encrypt.
const MAX_LABELS: usize = 10;

/// Which names are taken beyond plain hostnames, and which of them are not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NameRules {
    /// Wildcards are taken.
    pub(crate) wildcards: bool,
    /// Only names that exist in the public DNS are.
    pub(crate) public: bool,
}

/// The names of a new order: checked, sorted, each once.
///
/// # Errors
/// `malformed` for names that are no names and for names that a wildcard beside them
/// covers, `unsupportedIdentifier` for types other than `dns`, `rejectedIdentifier` for
/// wildcards where they are not taken and for bare top-level names; with a subproblem for
/// each identifier when several are at fault.
pub(crate) fn order_names(
    identifiers: &[Identifier],
    rules: NameRules,
) -> Result<Vec<String>, Problem> {
    if identifiers.is_empty() {
        return Err(Problem::malformed("the order names no identifier"));
    }
    if identifiers.len() > MAX_IDENTIFIERS {
        return Err(Problem::malformed(format!(
            "the order names {} identifiers, more than the {MAX_IDENTIFIERS} one certificate may have",
            identifiers.len()
        )));
    }
    let faults: Vec<_> = identifiers
        .iter()
        .filter_map(|identifier| Some((identifier, check(identifier, rules).err()?)))
        .collect();
    match faults.as_slice() {
        [] => {
            let names: BTreeSet<_> = identifiers.iter().map(|i| i.value.clone()).collect();
            match names.iter().find(|name| is_covered(name, &names)) {
                Some(name) => Err(Problem::malformed(format!(
                    "{name:?} is redundant with a wildcard in the same order; remove one of them"
                ))),
                None => Ok(names.into_iter().collect()),
            }
        }
        [(_, problem)] => Err(problem.clone()),
        several => Err(summary(several, identifiers.len())),
    }
}

/// Whether a wildcard among `names` covers `name`.
fn is_covered(name: &str, names: &BTreeSet<String>) -> bool {
    let parent = name.split_once('.').map(|(_, parent)| parent);
    !name.starts_with("*.") && parent.is_some_and(|it| names.contains(&format!("*.{it}")))
}

fn summary(faults: &[(&Identifier, Problem)], all: usize) -> Problem {
    let kind = faults
        .first()
        .map_or(Kind::Malformed, |(_, first)| first.kind);
    let mut problem = Problem::new(
        kind,
        format!("{} of {all} identifiers were refused", faults.len()),
    );
    problem.subproblems = faults
        .iter()
        .map(|(identifier, fault)| Subproblem {
            kind: fault.kind,
            detail: fault.detail.clone(),
            identifier: (*identifier).clone(),
        })
        .collect();
    problem
}

fn check(identifier: &Identifier, rules: NameRules) -> Result<(), Problem> {
    let Identifier { kind, value } = identifier;
    if kind != "dns" {
        return Err(Problem::new(
            Kind::UnsupportedIdentifier,
            format!("identifiers of type {kind:?} are not supported; this CA knows \"dns\""),
        ));
    }
    let bare = value.strip_prefix("*.");
    if bare.is_some() && !rules.wildcards {
        return Err(Problem::new(
            Kind::RejectedIdentifier,
            format!(
                "{value:?} is a wildcard, which needs dns-01; this CA offers http-01 and tls-alpn-01"
            ),
        ));
    }
    if value.parse::<IpAddr>().is_ok() {
        return Err(Problem::malformed(format!(
            "{value:?} is an address, not a DNS name"
        )));
    }
    let name = bare.unwrap_or(value);
    if let Some(fault) = fault_in_name(name) {
        return Err(Problem::malformed(format!("{value:?} {fault}")));
    }
    let fault = if !name.contains('.') {
        Some("has one label only")
    } else if rules.public {
        fault_in_public(name)
    } else {
        None
    };
    fault.map_or(Ok(()), |fault| {
        let detail = format!("{value:?} {fault}");
        Err(Problem::new(Kind::RejectedIdentifier, detail))
    })
}

/// Why no public CA would take `name`, if none would.
fn fault_in_public(name: &str) -> Option<&'static str> {
    if name.split('.').count() > MAX_LABELS {
        return Some("has more than 10 labels");
    }
    match psl::suffix(name.as_bytes()) {
        Some(suffix) if !suffix.is_known() => Some("does not end in a public suffix"),
        Some(suffix) if suffix == name.as_bytes() => Some("is a public suffix itself"),
        _ => None,
    }
}

/// Why `name` is not a lower-case DNS name of A-labels, if it is not.
fn fault_in_name(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Some("is not 1 to 253 bytes long");
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some("has upper-case letters; ACME names are lower-case");
    }
    name.split('.').find_map(fault_in_label).or_else(|| {
        let top = name.rsplit('.').next().unwrap_or(name);
        top.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some("ends in a number")
    })
}

fn fault_in_label(label: &str) -> Option<&'static str> {
    let bytes = label.as_bytes();
    if bytes.is_empty() || bytes.len() > MAX_LABEL {
        return Some("has a label that is not 1 to 63 bytes long");
    }
    if !bytes
        .iter()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
    {
        return Some("has a character that is not a letter, a digit or a hyphen");
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Some("has a label that begins or ends with a hyphen");
    }
    // RFC 5890 section 2.3.1 reserves these; "xn--" is the one that is in use.
    if bytes.get(2..4) == Some(b"--") && !label.starts_with("xn--") {
        return Some("has a reserved label");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[&str], expected: Result<&[&str], Kind>) {
        let identifiers: Vec<_> = names.iter().map(|name| Identifier::dns(name)).collect();
        let found = order_names(&identifiers, NameRules::default());
        let found = found.map_err(|problem| problem.kind);
        let expected = expected.map(|names| names.iter().map(ToString::to_string).collect());
        assert_eq!(found, expected, "{names:?}");
    }

    #[test]
    fn names_are_sorted_and_each_stands_once() {
        check(
            &["b.example", "a.example", "b.example"],
            Ok(&["a.example", "b.example"]),
        );
        check(&["xn--bcher-kva.example"], Ok(&["xn--bcher-kva.example"]));
    }

    #[test]
    fn what_is_no_name_is_malformed() {
        let long = format!("{}.example", "a".repeat(64));
        for name in [
            "",
            "a.example.",
            "A.example",
            "a..example",
            "-a.example",
            "a-.example",
            "ab--c.example",
            "a_b.example",
            "bücher.example",
            "192.0.2.1",
            "::1",
            "a.1",
            "a.*.example",
            &long,
        ] {
            check(&[name], Err(Kind::Malformed));
        }
        check(&[], Err(Kind::Malformed));
        check(&["a.example"; MAX_IDENTIFIERS + 1], Err(Kind::Malformed));
    }

    #[test]
    fn wildcards_and_bare_names_are_rejected() {
        check(&["*.example.com"], Err(Kind::RejectedIdentifier));
        check(&["localhost"], Err(Kind::RejectedIdentifier));
    }

    #[track_caller]
    fn check_public(names: &[&str], expected: Option<Kind>) {
        let rules = NameRules {
            wildcards: true,
            public: true,
        };
        let identifiers: Vec<_> = names.iter().map(|name| Identifier::dns(name)).collect();
        let found = order_names(&identifiers, rules).err();
        assert_eq!(found.map(|problem| problem.kind), expected, "{names:?}");
    }

    #[test]
    fn a_wildcard_goes_with_its_base_and_not_with_what_it_covers() {
        check_public(&["client.com", "*.client.com"], None);
        check_public(&["a.b.client.com", "*.client.com"], None);
        check_public(&["www.client.com", "*.client.com"], Some(Kind::Malformed));
        for name in ["*.*.client.com", "*.", "*", "a.*.client.com"] {
            check_public(&[name], Some(Kind::Malformed));
        }
    }

    #[test]
    fn names_outside_of_the_public_dns_are_told_apart() {
        check_public(&["a.b.c.d.e.f.g.h.client.com"], None);
        check_public(&["client.github.io"], None);
        for name in [
            "a.b.c.d.e.f.g.h.i.client.com",
            "shop.client.example",
            "co.uk",
            "*.co.uk",
            "github.io",
        ] {
            check_public(&[name], Some(Kind::RejectedIdentifier));
        }
    }

    #[test]
    fn several_faults_are_told_one_by_one() {
        let identifiers = [
            Identifier::dns("*.a.example"),
            Identifier::dns("good.example"),
            Identifier::dns("B.example"),
        ];
        let problem = order_names(&identifiers, NameRules::default()).unwrap_err();
        let told: Vec<_> = problem
            .subproblems
            .iter()
            .map(|sub| (sub.kind, sub.identifier.value.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (Kind::RejectedIdentifier, "*.a.example"),
                (Kind::Malformed, "B.example")
            ]
        );
    }
}
