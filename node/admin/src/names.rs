//! Resource names: `hostnames/shop.example`, `members/3`, `invitations/7` and
//! `zones/default`, parsed at the border.

use state::{Hostname, InvitationId, NodeId};

use crate::problem::Problem;

/// The only zone's name.
pub(crate) const ZONE: &str = "zones/default";

pub(crate) fn hostname_name(hostname: &Hostname) -> String {
    format!("hostnames/{hostname}")
}

pub(crate) fn member_name(id: NodeId) -> String {
    format!("members/{id}")
}

pub(crate) fn invitation_name(id: InvitationId) -> String {
    format!("invitations/{id}")
}

/// The hostname of `hostnames/{hostname}`; Unicode is turned into A-labels.
pub(crate) fn hostname(name: &str) -> Result<Hostname, Problem> {
    let id = resource("name", name, "hostnames", "shop.example")?;
    Hostname::parse(id).map_err(|error| Problem::field("name", error.to_string()))
}

/// The member of `members/{id}`, from the field called `field`.
pub(crate) fn member(field: &'static str, name: &str) -> Result<NodeId, Problem> {
    number(field, name, "members").map(NodeId)
}

pub(crate) fn invitation(name: &str) -> Result<InvitationId, Problem> {
    number("name", name, "invitations").map(InvitationId)
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
        for name in ["", "zones/", "zones/other", "default"] {
            assert!(zone(name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_error_never_quotes_without_bound() {
        let problem = zone(&"ä\n".repeat(5000)).unwrap_err();
        assert!(problem.message.len() < 300 && !problem.message.contains('\n'));
    }
}
