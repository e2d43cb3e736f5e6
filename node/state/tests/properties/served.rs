//! What is served, kept and forgotten.

use std::collections::BTreeSet;

use proptest::prelude::*;
use state::{
    Batch, Certificate, Change, Hostname, HostnameRecord, Index, KeyAlgorithm, Outcome, Proof,
    ProofMethod, RevocationState, Source, State, Timestamp, command::Authorize,
};

use crate::{
    history::{command, live, plan},
    invariants::{alone, rank},
    step::HOSTNAMES,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_served_is_for_its_hostname_and_stays(plan in plan()) {
        for entry in live(&plan) {
            let state = &entry.after;
            let mut served = BTreeSet::new();
            for (name, record) in state.hostnames() {
                for algorithm in KeyAlgorithm::ALL {
                    let Some(id) = record.certificate_of(algorithm) else { continue };
                    let certificate = state.certificate(&id);
                    let certificate = certificate.expect("a hostname's certificate exists");
                    prop_assert_eq!((&certificate.hostname, certificate.algorithm), (name, algorithm));
                    prop_assert_eq!((certificate.forget_at, certificate.kept), (None, false));
                    served.insert(id);
                }
            }
            let mut kept = BTreeSet::new();
            for certificate in state.certificates().filter(|one| !served.contains(&one.id)) {
                prop_assert!(certificate.forget_at.is_some(), "what is not served may go");
                if certificate.kept {
                    let slot = (&certificate.hostname, certificate.algorithm);
                    prop_assert!(kept.insert(slot), "one is kept");
                    prop_assert_eq!(&certificate.revocation, &None);
                }
            }
        }
    }

    #[test]
    fn no_order_begins_while_a_certificate_is_not_due(plan in plan()) {
        for entry in live(&plan) {
            alone(&entry, |before, command, outcome, _| {
                let Change::AdmitOrder(admit) = &command.change else { return Ok(()) };
                let Some(record) = before.hostname(admit.hostname.as_str()) else { return Ok(()) };
                let served = record.certificate_of(admit.algorithm);
                let served = served.and_then(|id| before.certificate(&id));
                if served.is_some_and(|served| {
                    command.at < served.renew_at && served.wildcard >= record.is_wildcard()
                }) {
                    prop_assert!(matches!(outcome, Outcome::Refused(_)));
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn nothing_is_forgotten_that_is_served_or_whose_revocation_is_untold(plan in plan()) {
        for entry in live(&plan) {
            alone(&entry, |before, command, _, after| {
                let gone = before.certificates().filter(|one| after.certificate(&one.id).is_none());
                for certificate in gone {
                    prop_assert!(certificate.forget_at.is_some());
                    let asked = certificate.revocation.as_ref().map(|asked| &asked.state);
                    let untold = matches!(asked, Some(RevocationState::Wanted { .. }));
                    prop_assert!(!untold || command.at >= certificate.not_after);
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn a_hostname_that_comes_back_costs_the_ca_nothing(plan in plan()) {
        for entry in live(&plan) {
            for name in HOSTNAMES {
                let Some(record) = entry.after.hostname(name) else { continue };
                if record.ownership.standing == Proof::Unproven {
                    continue;
                }
                let at = entry.batch.commands.last().map_or(Timestamp(0), |last| last.at);
                let state = returned(&entry.after, name, record, at);
                let again = state.hostname(name).expect("it is authorized again");
                prop_assert!(again.ownership.standing.holds());
                for algorithm in KeyAlgorithm::ALL {
                    let expected = waiting(&entry.after, name, record, algorithm);
                    let expected = expected.filter(|one| at < one.not_after).map(|one| one.id);
                    prop_assert_eq!(again.certificate_of(algorithm), expected);
                }
                let finalizing = record.order.filter(|id| {
                    let order = entry.after.order(*id);
                    order.is_some_and(|order| rank(&order.stage) == 3)
                });
                prop_assert_eq!(again.order, finalizing);
            }
        }
    }
}

/// Removed, authorized again for the same tenant and proven, at once.
fn returned(state: &State, name: &str, record: &HostnameRecord, at: Timestamp) -> State {
    let mut state = state.clone();
    let hostname: Hostname = state::testing::host(name);
    let index = Index(state.index().0 + 1);
    let changes = [
        Change::RemoveHostname {
            hostname: hostname.clone(),
            revision: None,
        },
        Change::AuthorizeHostname(Box::new(Authorize {
            hostname: hostname.clone(),
            tenant: record.tenant.clone(),
            token: record.ownership.token,
            wants: record.wants(),
            on_demand: false,
        })),
        Change::RecordOwnership {
            hostname,
            claim: index,
            standing: Proof::Proven(ProofMethod::Address),
            fault: None,
            next_check: None,
        },
    ];
    let term = state.epoch().term;
    let commands = changes.map(|change| {
        let duty = change.is_duty().then_some(term);
        command(at, duty, change)
    });
    let batch = Batch {
        commands: commands.to_vec(),
    };
    let (outcomes, _) = state.apply(index, &batch);
    assert_eq!(outcomes, [Outcome::DONE, Outcome::DONE, Outcome::DONE]);
    state
}

/// What waits for the hostname's return once it is removed.
fn waiting(
    state: &State,
    name: &str,
    record: &HostnameRecord,
    algorithm: KeyAlgorithm,
) -> Option<Certificate> {
    let served = record.certificate_of(algorithm);
    let served = served.and_then(|id| state.certificate(&id));
    let served = served.filter(|one| {
        let theirs = one.source == Source::Uploaded && one.reissue.is_some();
        one.revocation.is_none() && !theirs
    });
    let mut kept = state
        .certificates()
        .filter(|one| one.kept && one.hostname.as_str() == name && one.algorithm == algorithm);
    match (served, kept.next()) {
        (Some(served), Some(kept)) if kept.not_after > served.not_after => Some(kept),
        (Some(served), _) => Some(served),
        (None, kept) => kept,
    }
    .map(|one| (**one).clone())
}
