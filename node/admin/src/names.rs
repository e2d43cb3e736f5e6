//! Resource names: `hostnames/shop.example`, `members/3`, `invitations/7`,
//! `cas/letsencrypt`, `certificates/{SHA-256}` and `zones/default`, parsed at the
//! border, and the keys of limits.

use state::{CaName, CertificateId, Hostname, InvitationId, LimitKind, NodeId, order::set_of};

use crate::problem::Problem;

/// The only zone's name.
pub(crate) const ZONE: &str = "zones/default";
/// All hostnames that have no numbers of their own.
pub(crate) const OTHER_HOSTNAMES: &str = "hostnames/-";

pub(crate) fn hostname_name(hostname: &Hostname) -> String {
    format!("hostnames/{hostname}")
}

pub(crate) fn member_name(id: NodeId) -> String {
    format!("members/{id}")
}

pub(crate) fn invitation_name(id: InvitationId) -> String {
    format!("invitations/{id}")
}

pub(crate) fn ca_name(name: &CaName) -> String {
    format!("cas/{name}")
}

pub(crate) fn certificate_name(id: CertificateId) -> String {
    format!("certificates/{id}")
}

/// The hostname of `hostnames/{hostname}`; Unicode is turned into A-labels.
pub(crate) fn hostname(name: &str) -> Result<Hostname, Problem> {
    hostname_in("name", name)
}

/// The hostname of `hostnames/{hostname}`, from the field called `field`.
pub(crate) fn hostname_in(field: &'static str, name: &str) -> Result<Hostname, Problem> {
    let id = resource(field, name, "hostnames", "shop.example")?;
    Hostname::parse(id).map_err(|error| Problem::field(field, error.to_string()))
}

/// The CA of `cas/{name}`, from the field called `field`.
pub(crate) fn ca(field: &'static str, name: &str) -> Result<CaName, Problem> {
    ca_id(field, resource(field, name, "cas", "letsencrypt")?)
}

/// What a CA is called, without its collection.
pub(crate) fn ca_id(field: &'static str, id: &str) -> Result<CaName, Problem> {
    id.parse()
        .map_err(|error: state::ca::CaNameError| Problem::field(field, error.to_string()))
}

/// The certificate of `certificates/{id}`.
pub(crate) fn certificate(name: &str) -> Result<CertificateId, Problem> {
    const EXAMPLE: &str = "{its id, 64 hexadecimal digits}";
    let id = resource("name", name, "certificates", EXAMPLE)?;
    id.to_ascii_lowercase()
        .parse()
        .map_err(|()| malformed("name", name, "certificates", EXAMPLE))
}

/// The key of a limit's bucket as the ledger writes it: nothing for the account's
/// orders, a registered domain, a set of names, or a name.
pub(crate) fn limit_key(
    field: &'static str,
    kind: LimitKind,
    key: &str,
) -> Result<String, Problem> {
    let parse = |name: &str| {
        Hostname::parse(name)
            .map_err(|error| Problem::field(field, format!("the key of {kind}: {error}")))
    };
    match kind {
        LimitKind::Orders if key.is_empty() => Ok(String::new()),
        LimitKind::Orders => Err(Problem::field(
            field,
            format!("{kind} are counted for the whole account: they have no key"),
        )),
        LimitKind::Certificates | LimitKind::Failures => Ok(parse(key)?.to_string()),
        LimitKind::Sets => {
            let (name, wildcard) = match key.split_once(',') {
                None => (parse(key)?, None),
                Some((name, wildcard)) => (parse(name)?, Some(wildcard)),
            };
            let set = set_of(&name, wildcard.is_some());
            let base = wildcard.map(|text| text.trim().trim_start_matches("*."));
            if base.is_some_and(|base| parse(base).ok().as_ref() != Some(&name)) {
                let message = format!("a set of names looks like `{name}` or `{name},*.{name}`");
                return Err(Problem::field(field, message));
            }
            Ok(set.to_string())
        }
    }
}

/// The member of `members/{id}`, from the field called `field`.
pub(crate) fn member(field: &'static str, name: &str) -> Result<NodeId, Problem> {
    number(field, name, "members").map(NodeId)
}

pub(crate) fn invitation(name: &str) -> Result<InvitationId, Problem> {
    number("name", name, "invitations").map(InvitationId)
}

/// Under which domain a CA counts a hostname (the public suffix list); one that is a suffix
/// itself is counted alone.
pub(crate) fn registered_domain(hostname: &Hostname) -> &str {
    psl::domain_str(hostname.as_str()).unwrap_or(hostname.as_str())
}

/// There is one zone.
pub(crate) fn zone(name: &str) -> Result<(), Problem> {
    if name == ZONE {
        return Ok(());
    }
    let message = format!("`{}` is no zone; the only one is `{ZONE}`", shown(name));
    Err(Problem::field("name", message))
}

fn number(field: &'static str, name: &str, collection: &str) -> Result<u64, Problem> {
    let id = resource(field, name, collection, "3")?;
    let digits = id.bytes().all(|b| b.is_ascii_digit()) && !id.starts_with('0');
    id.parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| malformed(field, name, collection, "3"))
}

fn resource<'a>(
    field: &'static str,
    name: &'a str,
    collection: &str,
    example: &str,
) -> Result<&'a str, Problem> {
    name.strip_prefix(collection)
        .and_then(|rest| rest.strip_prefix('/'))
        .filter(|id| !id.is_empty())
        .ok_or_else(|| malformed(field, name, collection, example))
}

fn malformed(field: &'static str, name: &str, collection: &str, example: &str) -> Problem {
    let message = format!(
        "`{}` is no name of this kind; it looks like `{collection}/{example}`",
        shown(name)
    );
    Problem::field(field, message)
}

/// What a caller sent, fit for an error text.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    text.chars()
        .filter(|c| !c.is_control())
        .take(SHOWN_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed() {
        assert_eq!(
            hostname("hostnames/SHOP.example").unwrap().as_str(),
            "shop.example"
        );
        assert_eq!(member("name", "members/3").unwrap(), NodeId(3));
        assert_eq!(
            invitation("invitations/18446744073709551615").unwrap(),
            InvitationId(u64::MAX)
        );
        zone("zones/default").unwrap();
        assert_eq!(ca("name", "cas/le-2").unwrap().as_str(), "le-2");
        let id = "AB".repeat(32);
        let id = certificate(&format!("certificates/{id}")).unwrap();
        assert_eq!(id, CertificateId([0xab; 32]));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in [
            "",
            "shop.example",
            "hostnames",
            "hostnames/",
            "hostname/a.b",
        ] {
            assert!(hostname(name).is_err(), "{name}");
        }
        for name in [
            "3",
            "members/",
            "members/x",
            "members/+3",
            "members/03",
            "members/0",
            "members/-1",
            "members/18446744073709551616",
            "nodes/3",
        ] {
            assert!(member("name", name).is_err(), "{name}");
        }
        for name in ["", "letsencrypt", "cas/", "cas/A", "cas/a/b"] {
            assert!(ca("name", name).is_err(), "{name}");
        }
        for name in ["", "certificates/", "certificates/ab", "ab"] {
            assert!(certificate(name).is_err(), "{name}");
        }
        for name in ["", "zones/", "zones/other", "default"] {
            assert!(zone(name).is_err(), "{name}");
        }
    }

    #[test]
    fn keys_of_limits_are_written_as_the_ledger_does() {
        use LimitKind::{Certificates, Failures, Orders, Sets};
        let good = |kind, key: &str| limit_key("key", kind, key).unwrap();
        assert_eq!(good(Orders, ""), "");
        assert_eq!(good(Certificates, "Client.Example"), "client.example");
        assert_eq!(good(Failures, "shop.example."), "shop.example");
        assert_eq!(good(Sets, "shop.example"), "shop.example");
        let both = "shop.example,*.shop.example";
        assert_eq!(good(Sets, both), both);
        assert_eq!(good(Sets, "Shop.example, *.shop.example"), both);
        for (kind, key) in [
            (Orders, "a.example"),
            (Certificates, ""),
            (Certificates, "*.a.example"),
            (Sets, "a.example,*.b.example"),
            (Sets, "a.example,"),
            (Failures, "a b"),
        ] {
            assert!(limit_key("key", kind, key).is_err(), "{kind} {key}");
        }
    }

    #[test]
    fn an_error_never_quotes_without_bound() {
        let problem = zone(&"ä\n".repeat(5000)).unwrap_err();
        assert!(problem.message.len() < 300 && !problem.message.contains('\n'));
    }
}
