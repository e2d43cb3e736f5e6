//! What no history breaks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::{prelude::*, sample::Index as Place, test_runner::TestCaseError};
use state::{
    Batch, Change, Command, Done, Due, Index, Order, OrderId, Outcome, Refusal, RevocationState,
    Stage, State, Term, Timestamp, Traffic,
};

use crate::history::{Entry, live, plan, plan_of_members};

pub(crate) type Checked = Result<(), TestCaseError>;

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
    fn equal_sets_of_settings_are_one(plan in plan()) {
        for entry in live(&plan) {
            let mut sets: BTreeMap<&Traffic, *const Traffic> = BTreeMap::new();
            for (name, record) in entry.after.hostnames() {
                let Some(traffic) = &record.traffic else { continue };
                prop_assert!(**traffic != Traffic::default(), "{} decides nothing", name);
                let held = sets.entry(&**traffic).or_insert(Arc::as_ptr(traffic));
                prop_assert_eq!(*held, Arc::as_ptr(traffic), "{} has a copy", name);
            }
            prop_assert_eq!(entry.after.traffic_count(), sets.len());
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
                // A step that seals it anew leaves its ciphertext.
                let keys = (&order.key.ciphertext, &earlier.key.ciphertext);
                prop_assert_eq!((keys.0, &order.csr), (keys.1, &earlier.csr));
                prop_assert_eq!((&order.ca, &order.tenant), (&earlier.ca, &earlier.tenant));
                prop_assert_eq!((order.names(), order.budget), (earlier.names(), earlier.budget));
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
                    prop_assert!(after.certificate(&install.parts.id).is_some());
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
                    (Done::Node(id), Change::AdmitNode { .. } | Change::AdmitMachine { .. }) => {
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
                expected.extend(state.hostname_due(name, record));
                expected.extend(record.contest().map(|contest| {
                    (contest.next_check.min(contest.ends()), Due::Contest(name.clone()))
                }));
            }
            for certificate in state.certificates() {
                let at = certificate.forgotten_at();
                expected.extend(at.map(|at| (at, Due::Forget(certificate.id.into()))));
                let asked = certificate.revocation.as_ref().map(|asked| &asked.state);
                if let Some(RevocationState::Wanted { next_try }) = asked {
                    expected.insert((*next_try, Due::Revoke(certificate.id.into())));
                }
            }
            let tombstones = state.tombstones();
            expected.extend(tombstones.map(|(name, one)| (one.forget_at(), Due::Bury(name.clone()))));
            let sweeps = all.iter().filter(|(_, due)| matches!(due, Due::Sweep(_)));
            prop_assert_eq!(sweeps.count(), state.invitations().count());
            let others = |due: &&(Timestamp, Due)| !matches!(due.1, Due::Sweep(_));
            prop_assert!(all.iter().filter(others).eq(expected.iter()));
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
                let holds = |key: &Arc<state::DataKey>| {
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
pub(crate) fn alone(
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

pub(crate) fn rank(stage: &Stage) -> u8 {
    match stage {
        Stage::Admitted => 0,
        Stage::Prepared(_) => 1,
        Stage::ReadyIntent(_) => 2,
        Stage::FinalizeIntent(_) => 3,
    }
}
