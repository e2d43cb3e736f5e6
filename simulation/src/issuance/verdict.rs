//! What must hold of a run, by what the CA knows: it is outside of the cluster, and does
//! not forget.

use std::collections::BTreeSet;

use devca::Ledger;
use state::{Hostname, NodeId, State};

/// Whether each of the hostnames has a certificate in `state`.
pub(super) fn served(state: &State, hostnames: &[Hostname]) -> bool {
    hostnames.iter().all(|hostname| {
        let record = state.hostname(hostname.as_str());
        record.is_some_and(|record| record.certificate.is_some())
    })
}

/// What of the ledger is not as it must be: the invariant's name, and in what way.
pub(super) fn of_ledger(ledger: &Ledger, hostnames: &[Hostname]) -> Option<(&'static str, String)> {
    let authorized: BTreeSet<&str> = hostnames.iter().map(Hostname::as_str).collect();
    for order in &ledger.orders {
        if !order
            .names
            .iter()
            .all(|name| authorized.contains(name.as_str()))
        {
            let what = format!("the order {} is for {:?}", order.id, order.names);
            return Some(("only authorized names are ordered", what));
        }
    }
    for hostname in hostnames {
        let count = ledger.certificates_for(&[hostname.as_str()]).count();
        if count != 1 {
            let what = format!("the CA issued {count} for {hostname}");
            return Some(("each hostname gets one certificate", what));
        }
    }
    if ledger.certificates.len() != hostnames.len() {
        let what = format!("the CA issued {} in all", ledger.certificates.len());
        return Some(("each hostname gets one certificate", what));
    }
    if ledger.accounts.len() != 1 {
        let what = format!("the CA has {} of them", ledger.accounts.len());
        return Some(("the cluster has one account", what));
    }
    None
}

/// How a node's state differs from the ledger: what it serves must be what was issued.
pub(super) fn of_state(
    node: NodeId,
    state: &State,
    ledger: &Ledger,
    hostnames: &[Hostname],
) -> Option<(&'static str, String)> {
    let bare = |serial: &str| serial.trim_start_matches('0').to_owned();
    for hostname in hostnames {
        let record = state.hostname(hostname.as_str());
        let id = record.and_then(|record| record.certificate);
        let certificate = id.and_then(|id| state.certificate(&id));
        let served = certificate.map(|certificate| bare(&certificate.serial_hex()));
        let names = [hostname.as_str()];
        let mut issued = ledger.certificates_for(&names);
        if served != issued.next().map(|entry| bare(&entry.serial)) {
            let what = format!("node {node} serves {served:?} at {hostname}");
            return Some(("what was issued is served", what));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use devca::{
        AccountEntry, AccountStatus, CertificateEntry, OrderEntry, OrderStatus, Timestamp,
        limits::Exemption,
    };
    use state::testing::host;

    fn now() -> Timestamp {
        Timestamp::from_unix(0)
    }

    fn ledger(ordered: &[&str], issued: &[&str]) -> Ledger {
        let account = AccountEntry {
            id: "a".into(),
            status: AccountStatus::Valid,
            created: now(),
        };
        let order = |name: &&str| OrderEntry {
            id: (*name).into(),
            account: "a".into(),
            names: vec![(*name).into()],
            status: OrderStatus::Valid,
            created: now(),
            profile: None,
            replaces: None,
            exemption: Exemption::None,
        };
        let certificate = |name: &&str| CertificateEntry {
            serial: "01".into(),
            order: (*name).into(),
            account: "a".into(),
            names: vec![(*name).into()],
            issued: now(),
            not_before: now(),
            not_after: now(),
            revoked: None,
            is_rsa: false,
        };
        Ledger {
            accounts: vec![account],
            orders: ordered.iter().map(order).collect(),
            finalizations: Vec::new(),
            certificates: issued.iter().map(certificate).collect(),
        }
    }

    #[track_caller]
    fn check(ordered: &[&str], issued: &[&str], expected: Option<&str>) {
        let hostnames = ["a.example", "b.example"].map(host);
        let found = of_ledger(&ledger(ordered, issued), &hostnames);
        assert_eq!(found.map(|(_, what)| what).as_deref(), expected);
    }

    #[test]
    fn a_ledger_with_more_or_less_than_one_of_each_is_a_violation() {
        let (a, b, c) = ("a.example", "b.example", "c.example");
        check(&[a, b], &[a, b], None);
        // An order more, that came to nothing, costs a little and breaks nothing.
        check(&[a, a, b], &[a, b], None);
        check(&[a], &[a], Some("the CA issued 0 for b.example"));
        check(&[a, b], &[a, b, a], Some("the CA issued 2 for a.example"));
        check(&[a, b], &[a, b, c], Some("the CA issued 3 in all"));
        let what = r#"the order c.example is for ["c.example"]"#;
        check(&[a, b, c], &[a, b], Some(what));
    }

    #[test]
    fn an_account_more_is_a_violation() {
        let mut twice = ledger(&["a.example"], &["a.example"]);
        twice.accounts.push(twice.accounts[0].clone());
        assert!(of_ledger(&twice, &[host("a.example")]).is_some());
    }

    #[test]
    fn a_node_that_serves_nothing_of_what_was_issued_is_a_violation() {
        let (state, names) = (State::default(), [host("a.example")]);
        assert!(!served(&state, &names));
        let issued = ledger(&["a.example"], &["a.example"]);
        assert!(of_state(NodeId(2), &state, &issued, &names).is_some());
    }
}
