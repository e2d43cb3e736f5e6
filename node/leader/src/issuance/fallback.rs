//! Which CA an order goes to, and when it is given up for another. Pure.
//!
//! Another CA than the first by rank is asked only while that one is out, and only for
//! what cannot wait: a name without a certificate, or with less than a third of its life
//! left. What a CA says of one hostname never leads to another CA. Whether the name's CAA
//! records allow the other one is for `verification` to tell.

use std::sync::Arc;

use state::{Ca, CaName, Certificate, Hostname, KeyAlgorithm, State, Timestamp};

/// The CAs that an order for `hostname` may go to, in the order of preference; none if the
/// one that it must go to takes no orders yet. `out` tells of those that have been out for
/// so long that another is to be asked.
pub(crate) fn preference(
    state: &State,
    hostname: &Hostname,
    algorithm: KeyAlgorithm,
    now: Timestamp,
    out: &dyn Fn(&CaName) -> bool,
) -> Vec<Arc<Ca>> {
    let Some(record) = state.hostname(hostname.as_str()) else {
        return Vec::new();
    };
    let open = |ca: &&Arc<Ca>| ca.takes_orders();
    if let Some(only) = record.wants().ca {
        let only = state.ca(only.as_str()).filter(open);
        return only.cloned().into_iter().collect();
    }
    let ranked = state.cas_by_rank();
    let Some((first, others)) = ranked.split_first() else {
        return Vec::new();
    };
    let served = record.certificate_of(algorithm);
    let served = served.and_then(|id| state.certificate(&id));
    let mut preferred = Vec::new();
    if out(&first.name) && served.is_none_or(|served| cannot_wait(served, now)) {
        let well = others.iter().filter(|ca| !out(&ca.name));
        preferred.extend(well.copied().filter(open).cloned());
    }
    preferred.extend(Some(*first).filter(open).cloned());
    preferred
}

/// Less than a third of its life is left.
fn cannot_wait(served: &Certificate, now: Timestamp) -> bool {
    let life = served.not_after.since(served.not_before);
    served.not_after.since(now) < life / 3
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use state::{
        Actor, CaSettings, Change, KeyPurpose, Sealed, Term, Wants,
        testing::{Alone, ManualClock, START, account_key, ca_name, host},
    };

    use super::*;

    const NAME: &str = "shop.example";
    const TERM: Term = Term(1);

    /// With a second CA, `second`, that takes orders.
    fn cluster() -> Alone {
        let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
        alone.authorize(NAME);
        alone.register(TERM, "first");
        let second: CaName = "second".parse().unwrap();
        let settings = CaSettings {
            directory: "https://second.example/directory".to_owned(),
            terms_agreed: true,
            rank: 9,
            ..CaSettings::default()
        };
        let put = Change::PutCa {
            name: second.clone(),
            settings: Box::new(settings),
            revision: None,
        };
        alone.apply(Actor::operator("ann"), None, put);
        let key = account_key("second");
        let ca = second.clone();
        alone.duty(TERM, Change::CommitAccountKey { ca, key });
        let url = "https://second.example/account/1".to_owned();
        alone.duty(TERM, Change::RegisterAccount { ca: second, url });
        alone
    }

    #[track_caller]
    fn check(alone: &Alone, now: Timestamp, out: &[&str], expected: &[&str]) {
        let (state, name) = (alone.state(), host(NAME));
        let is_out = |ca: &CaName| out.contains(&ca.as_str());
        let found = preference(&state, &name, KeyAlgorithm::Ecdsa, now, &is_out);
        let found: Vec<&str> = found.iter().map(|ca| ca.name.as_str()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_first_by_rank_is_asked_until_it_is_out() {
        let alone = cluster();
        check(&alone, START, &[], &["test-ca"]);
        check(&alone, START, &["second"], &["test-ca"]);
        check(&alone, START, &["test-ca"], &["second", "test-ca"]);
        check(&alone, START, &["test-ca", "second"], &["test-ca"]);
    }

    #[test]
    fn what_can_wait_waits_for_its_own() {
        let alone = cluster();
        let key = Sealed {
            purpose: KeyPurpose::Serving,
            generation: 1,
            nonce: [0; 12],
            ciphertext: Bytes::new(),
        };
        alone.install(TERM, NAME, key, Bytes::from_static(b"leaf"), Vec::new());
        let day = |days: u64| START.plus(Duration::from_secs(days * 86_400));
        check(&alone, day(59), &["test-ca"], &["test-ca"]);
        check(&alone, day(61), &["test-ca"], &["second", "test-ca"]);
    }

    #[test]
    fn a_hostname_that_wants_one_ca_goes_to_no_other() {
        let alone = cluster();
        let wants = Wants {
            ca: Some(ca_name()),
            ..Wants::default()
        };
        let change = Change::SetWants {
            hostname: host(NAME),
            wants: Box::new(wants),
            revision: None,
        };
        alone.apply(Actor::operator("ann"), None, change);
        check(&alone, START, &["test-ca"], &["test-ca"]);
    }
}
