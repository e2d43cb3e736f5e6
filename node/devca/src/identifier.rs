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

/// The names of a new order: checked, sorted, each once.
///
/// # Errors
/// `malformed` for names that are no names, `unsupportedIdentifier` for types other than
/// `dns`, `rejectedIdentifier` for wildcards (which need dns-01) and bare top-level
/// names; with a subproblem for each identifier when several are at fault.
pub(crate) fn order_names(identifiers: &[Identifier]) -> Result<Vec<String>, Problem> {
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
        .filter_map(|identifier| Some((identifier, check(identifier).err()?)))
        .collect();
    match faults.as_slice() {
        [] => {
            let names: BTreeSet<_> = identifiers.iter().map(|i| i.value.clone()).collect();
            Ok(names.into_iter().collect())
        }
        [(_, problem)] => Err(problem.clone()),
        several => Err(summary(several, identifiers.len())),
    }
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

fn check(identifier: &Identifier) -> Result<(), Problem> {
    let Identifier { kind, value } = identifier;
    if kind != "dns" {
        return Err(Problem::new(
            Kind::UnsupportedIdentifier,
            format!("identifiers of type {kind:?} are not supported; this CA knows \"dns\""),
        ));
    }
    if value.starts_with("*.") {
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
    if let Some(fault) = fault_in_name(value) {
        return Err(Problem::malformed(format!("{value:?} {fault}")));
    }
    if !value.contains('.') {
        return Err(Problem::new(
            Kind::RejectedIdentifier,
            format!("{value:?} has one label only"),
        ));
    }
    Ok(())
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
        let found = order_names(&identifiers).map_err(|problem| problem.kind);
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

    #[test]
    fn several_faults_are_told_one_by_one() {
        let identifiers = [
            Identifier::dns("*.a.example"),
            Identifier::dns("good.example"),
            Identifier::dns("B.example"),
        ];
        let problem = order_names(&identifiers).unwrap_err();
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
