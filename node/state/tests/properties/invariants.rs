//! What no history breaks.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, sample::Index as Place, test_runner::TestCaseError};
use state::{
    Batch, Change, Command, Done, Due, Index, Order, OrderId, Outcome, Refusal, Stage, State, Term,
    Timestamp,
};

use crate::{
    history::{Entry, live, plan, plan_of_members},
    step::HOSTNAMES,
};

type Checked = Result<(), TestCaseError>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_hostname_has_at_most_one_order_and_names_it(plan in plan()) {
        for entry in live(&plan) {
            let mut busy = BTreeMap::new();
            for order in entry.after.orders() {
                let other = busy.insert(order.hostname.clone(), order.id);
                prop_assert_eq!(other, None, "{} has two orders", order.hostname);
                let authorized = entry.after.hostname(order.hostname.as_str());
                prop_assert!(
                    authorized.is_some() || matches!(order.stage, Stage::FinalizeIntent(_)),
                    "an order that cannot have issued went with its hostname"
                );
            }
            for (name, record) in entry.after.hostnames() {
                prop_assert_eq!(record.order, busy.get(name).copied());
            }
        }
    }

    #[test]
    fn an_order_goes_one_way_and_keeps_its_url_and_key(plan in plan()) {
        for entry in live(&plan) {
            let before: BTreeMap<OrderId, &Order> =
                entry.before.orders().map(|order| (order.id, &**order)).collect();
            for order in entry.after.orders() {
                let Some(earlier) = before.get(&order.id) else { continue };
                prop_assert!(rank(&order.stage) >= rank(&earlier.stage));
                prop_assert_eq!(&order.hostname, &earlier.hostname);
                prop_assert_eq!(order.claim, earlier.claim);
                prop_assert_eq!((&order.key, &order.csr), (&earlier.key, &earlier.csr));
                prop_assert!(order.epoch >= earlier.epoch);
                if let Some(placed) = earlier.stage.placed() {
                    prop_assert_eq!(Some(placed), order.stage.placed());
                }
            }
        }
    }

    #[test]
    fn a_certificate_comes_of_a_finalized_order_only(plan in plan()) {
        for entry in live(&plan) {
            alone(&entry, |before, command, outcome, after| {
                let Change::InstallCertificate(install) = &command.change else {
                    return gone_by_evidence(before, command, outcome, after);
                };
                let order = before.order(install.order);
                let finalized = order.is_some_and(|order| rank(&order.stage) == 3);
                prop_assert!(finalized || matches!(outcome, Outcome::Refused(_)));
                if *outcome == Outcome::DONE {
                    prop_assert!(after.order(install.order).is_none());
                    prop_assert!(after.certificate(&install.id).is_some());
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn ids_are_drawn_in_order_and_never_twice(plan in prop_oneof![plan(), plan_of_members()]) {
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        for entry in live(&plan) {
            alone(&entry, |before, command, outcome, _| {
                let Outcome::Done(done) = outcome else { return Ok(()) };
                let (kind, id, known) = match (done, &command.change) {
                    (Done::Node(id), Change::AdmitNode { .. }) => {
                        ("node", id.0, before.member(*id).is_some())
                    }
                    (Done::Operator(id), Change::AdmitOperator { .. }) => {
                        ("operator", id.0, before.operator(*id).is_some())
                    }
                    (Done::Invitation(id), _) => ("invitation", id.0, false),
                    (Done::Order(id), _) => ("order", id.0, false),
                    _ => return Ok(()),
                };
                if !known {
                    let before = last.insert(kind, id).unwrap_or_default();
                    prop_assert!(id > before, "{kind} {id} after {before}");
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn what_is_refused_changes_nothing(plan in plan()) {
        for entry in live(&plan) {
            let mut state = entry.before.clone();
            for (number, command) in (0..).zip(&entry.batch.commands) {
                let before: Vec<_> = state.records().collect();
                let commands = vec![command.clone()];
                let index = Index(entry.index.0 + number);
                let (outcomes, changes) = state.apply(index, &Batch { commands });
                if outcomes != [Outcome::Done(Done::Unchanged)]
                    && !matches!(outcomes[..], [Outcome::Refused(_)])
                {
                    continue;
                }
                prop_assert_eq!(&changes, &state::Changes::default());
                prop_assert_eq!(before, state.records().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn duties_of_older_epochs_are_refused_in_any_order(
        plan in plan(),
        places in proptest::collection::vec((any::<Place>(), any::<Place>()), 1..40),
    ) {
        let entries = live(&plan);
        let duties: Vec<Command> = entries
            .iter()
            .flat_map(|entry| entry.batch.commands.iter().cloned())
            .filter(|command| command.change.is_duty())
            .collect();
        prop_assume!(!duties.is_empty());
        for (when, which) in places {
            let mut state = when.get(&entries).after.clone();
            let mut late = which.get(&duties).clone();
            let now = state.epoch().term;
            if late.duty.is_some_and(|term| term >= now) {
                late.duty = Some(Term(now.0 - 1));
            }
            let commands = vec![late];
            let before: Vec<_> = state.records().collect();
            let index = Index(state.index().0 + 1);
            let (outcomes, changes) = state.apply(index, &Batch { commands });
            prop_assert_eq!(outcomes, [Outcome::Refused(Refusal::StaleTerm { now })]);
            prop_assert_eq!(changes, state::Changes::default());
            prop_assert_eq!(before, state.records().collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_due_follows_from_the_records(plan in plan()) {
        for entry in live(&plan) {
            let state = &entry.after;
            let all: BTreeSet<(Timestamp, Due)> = state.due(Timestamp(u64::MAX)).cloned().collect();
            let mut expected = BTreeSet::new();
            for (name, record) in state.hostnames() {
                expected.extend(state.hostname_due(record).map(|at| (at, Due::Order(name.clone()))));
            }
            for certificate in state.certificates() {
                let at = certificate.forget_at;
                expected.extend(at.map(|at| (at, Due::Forget(certificate.id))));
            }
            let sweeps = all.iter().filter(|(_, due)| matches!(due, Due::Sweep(_)));
            prop_assert_eq!(sweeps.count(), state.invitations().count());
            let others = |due: &&(Timestamp, Due)| !matches!(due.1, Due::Sweep(_));
            prop_assert!(all.iter().filter(others).eq(expected.iter()));
        }
    }

    #[test]
    fn what_is_served_is_valid_for_its_hostname_and_stays(plan in plan()) {
        for entry in live(&plan) {
            let state = &entry.after;
            let mut served = BTreeSet::new();
            for (name, record) in state.hostnames() {
                let Some(id) = record.certificate else { continue };
                let certificate = state.certificate(&id);
                let certificate = certificate.expect("a hostname's certificate exists");
                prop_assert_eq!(&certificate.hostname, name);
                prop_assert_eq!((certificate.forget_at, certificate.kept), (None, false));
                served.insert(id);
            }
            let mut kept = BTreeSet::new();
            for certificate in state.certificates().filter(|one| !served.contains(&one.id)) {
                prop_assert!(certificate.forget_at.is_some(), "what is not served may go");
                if certificate.kept {
                    prop_assert!(kept.insert(&certificate.hostname), "one is kept");
                }
            }
        }
    }

    #[test]
    fn no_order_begins_while_a_certificate_is_not_due(plan in plan()) {
        for entry in live(&plan) {
            alone(&entry, |before, command, outcome, _| {
                let Change::AdmitOrder { hostname, .. } = &command.change else { return Ok(()) };
                let record = before.hostname(hostname.as_str());
                let served = record.and_then(|record| before.certificate(&record.certificate?));
                if served.is_some_and(|certificate| command.at < certificate.renew_at) {
                    prop_assert!(matches!(outcome, Outcome::Refused(_)));
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
                let mut state = entry.after.clone();
                let at = entry.batch.commands.last().map_or(Timestamp(0), |last| last.at);
                let hostname = state::testing::host(name);
                let changes = [
                    Change::RemoveHostname { hostname: hostname.clone(), revision: None },
                    Change::AuthorizeHostname { hostname },
                ];
                let commands = changes.map(|change| crate::history::command(at, None, change));
                let index = Index(state.index().0 + 1);
                let batch = Batch { commands: commands.to_vec() };
                let (outcomes, _) = state.apply(index, &batch);
                prop_assert_eq!(outcomes, [Outcome::DONE, Outcome::DONE]);
                let again = state.hostname(name).expect("it is authorized again");
                let valid = record.certificate.filter(|id| {
                    let certificate = entry.after.certificate(id);
                    certificate.is_some_and(|certificate| at < certificate.not_after)
                });
                prop_assert_eq!(again.certificate, valid);
                let finalizing = record.order.filter(|id| {
                    let order = entry.after.order(*id);
                    order.is_some_and(|order| rank(&order.stage) == 3)
                });
                prop_assert_eq!(again.order, finalizing);
            }
        }
    }

    #[test]
    fn who_was_removed_never_comes_back_and_holds_no_key(plan in plan_of_members()) {
        for entry in live(&plan) {
            let state = &entry.after;
            for removed in state.removed() {
                prop_assert!(state.member(removed.id).is_none());
                let mut keys = state.members().map(|member| &member.public_key);
                prop_assert!(!keys.any(|key| *key == removed.public_key));
                let holds = |key: &std::sync::Arc<state::DataKey>| {
                    key.sealed_for.contains_key(&removed.id)
                };
                prop_assert!(!state.data_keys().any(holds));
            }
            let named: BTreeSet<&str> = state.members().map(|member| &*member.name).collect();
            prop_assert_eq!(named.len(), state.members().count(), "a name is one member's");
        }
    }
}

/// Applies an entry's commands one by one and shows each to `check`.
fn alone(
    entry: &Entry,
    mut check: impl FnMut(&State, &Command, &Outcome, &State) -> Checked,
) -> Checked {
    let mut state = entry.before.clone();
    for (number, command) in (0..).zip(&entry.batch.commands) {
        let before = state.clone();
        let commands = vec![command.clone()];
        let index = Index(entry.index.0 + number);
        let (outcomes, _) = state.apply(index, &Batch { commands });
        check(&before, command, &outcomes[0], &state)?;
    }
    Ok(())
}

/// An order that may have issued ends by its certificate or by evidence, never by
/// anything else.
fn gone_by_evidence(
    before: &State,
    command: &Command,
    outcome: &Outcome,
    after: &State,
) -> Checked {
    let given_up = match (&command.change, outcome) {
        (Change::FailOrder { order, .. }, Outcome::Done(_)) => Some(*order),
        _ => None,
    };
    for order in before.orders().filter(|order| rank(&order.stage) == 3) {
        let there = after.order(order.id).is_some();
        prop_assert!(
            there || given_up == Some(order.id),
            "order {} is lost",
            order.id
        );
    }
    Ok(())
}

fn rank(stage: &Stage) -> u8 {
    match stage {
        Stage::Admitted => 0,
        Stage::Prepared(_) => 1,
        Stage::ReadyIntent(_) => 2,
        Stage::FinalizeIntent(_) => 3,
    }
}
