//! Same log, same state: byte for byte, from the log or from the store, in one
//! entry or in several.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, sample::Index as Place};
use state::{
    Batch, Bucket, BucketKey, CaName, Change, Command, Hostname, HostnameRecord, Index, Outcome,
    Refusal, State, codec,
};

use crate::history::{Entry, Store, live, plan};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn replicas_agree_byte_for_byte(plan in plan()) {
        let mut other = State::default();
        for entry in live(&plan) {
            // What travels is bytes.
            let batch = codec::batch_from(&codec::batch_to(&entry.batch)).unwrap();
            prop_assert_eq!(&batch, &entry.batch);
            let (outcomes, changes) = other.apply(entry.index, &batch);
            follow(&mut other, &entry);
            prop_assert_eq!(outcomes, entry.outcomes);
            prop_assert_eq!(changes, entry.changes);
            prop_assert_eq!(whole(&other), whole(&entry.after));
        }
    }

    #[test]
    fn a_state_that_was_loaded_is_the_one_that_was_applied(plan in plan(), place: Place) {
        let entries = live(&plan);
        let (past, future) = entries.split_at(place.index(entries.len()) + 1);
        let last = past.last().unwrap();
        let mut loaded = State::default();
        for (key, value) in last.after.records() {
            loaded.load(&key, &value).unwrap();
        }
        follow(&mut loaded, last);
        prop_assert_eq!(whole(&loaded), whole(&last.after));
        for entry in future {
            let (outcomes, changes) = loaded.apply(entry.index, &entry.batch);
            follow(&mut loaded, entry);
            prop_assert_eq!(&outcomes, &entry.outcomes);
            prop_assert_eq!(&changes, &entry.changes);
            prop_assert_eq!(whole(&loaded), whole(&entry.after));
        }
    }

    #[test]
    fn what_is_written_is_what_the_state_holds(plan in plan()) {
        let mut store = Store::default();
        for entry in live(&plan) {
            store.write(&entry.changes);
            let keys: Vec<_> = entry.after.records().map(|(key, _)| key).collect();
            prop_assert!(keys.is_sorted(), "records come in the order of their keys");
            let records: BTreeMap<_, _> = entry.after.records().collect();
            prop_assert_eq!(&store.records, &records);
            // Every body that is named is there, and no other.
            let named: BTreeSet<Vec<u8>> = entry.after.body_keys().collect();
            let held: BTreeSet<Vec<u8>> = store.bodies.keys().cloned().collect();
            prop_assert_eq!(named, held);
        }
    }

    #[test]
    fn commands_have_the_same_outcome_in_one_entry_or_in_several(plan in plan()) {
        let mut single = State::default();
        let mut indexes = Indexes::new();
        for entry in live(&plan) {
            let mut outcomes = Vec::new();
            for (number, command) in (0..).zip(&entry.batch.commands) {
                let commands = vec![translated(command, &indexes)];
                let index = Index(entry.index.0 + number);
                outcomes.extend(single.apply(index, &Batch { commands }).0);
            }
            follow(&mut single, &entry);
            learn(&mut indexes, &entry.after, &single);
            let plain = |outcomes: Vec<Outcome>| outcomes.into_iter().map(unnumbered);
            prop_assert!(plain(outcomes).eq(plain(entry.outcomes.clone())));
            prop_assert_eq!(derived(&single), derived(&entry.after));
        }
    }
}

/// Everything that is observable: the records, and through Debug what is derived
/// from them, down to the last index.
fn whole(state: &State) -> (Vec<codec::record::Pair>, String) {
    (state.records().collect(), format!("{state:?}"))
}

fn follow(state: &mut State, entry: &Entry) {
    state.set_membership(entry.after.index(), entry.voters(), BTreeSet::new());
}

/// What two histories have in common that number their entries differently.
fn derived(state: &State) -> impl PartialEq + std::fmt::Debug {
    let due: Vec<_> = state.due(state::Timestamp(u64::MAX)).cloned().collect();
    let orders: Vec<_> = state
        .orders()
        .map(|order| (order.id, order.hostname.clone(), order.stage.clone()))
        .collect();
    let of_hostname = |(name, record): (&Hostname, &HostnameRecord)| {
        let certificates: Vec<_> = record.certificates().collect();
        let ownership = (record.tenant.clone(), record.ownership.clone());
        (name.clone(), ownership, certificates, record.order)
    };
    let hostnames: Vec<_> = state.hostnames().map(of_hostname).collect();
    let bucket = |(key, bucket): (&BucketKey, &Bucket)| (key.clone(), *bucket);
    let buckets: Vec<_> = state.buckets().map(bucket).collect();
    let certificates: Vec<_> = state.certificates().cloned().collect();
    let members: Vec<_> = state.members().cloned().collect();
    (due, orders, hostnames, buckets, certificates, members)
}

/// Claims and revisions are indexes: what the batched history knows by one, the
/// other knows by another.
type Indexes = BTreeMap<(Numbered, Index), Index>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Numbered {
    Zone,
    Claim(Hostname),
    Contest(Hostname),
    Revision(Hostname),
    Ca(CaName),
}

fn learn(indexes: &mut Indexes, batched: &State, single: &State) {
    let zone = (Numbered::Zone, batched.zone().revision);
    indexes.insert(zone, single.zone().revision);
    for ((name, batched), (_, single)) in batched.hostnames().zip(single.hostnames()) {
        let claim = (Numbered::Claim(name.clone()), batched.claim);
        indexes.insert(claim, single.claim);
        let revision = (Numbered::Revision(name.clone()), batched.revision);
        indexes.insert(revision, single.revision);
        if let (Some(batched), Some(single)) = (batched.contest(), single.contest()) {
            let contest = (Numbered::Contest(name.clone()), batched.claim);
            indexes.insert(contest, single.claim);
        }
    }
    for (batched, single) in batched.cas().zip(single.cas()) {
        let ca = (Numbered::Ca(batched.name.clone()), batched.revision);
        indexes.insert(ca, single.revision);
    }
}

fn translated(command: &Command, indexes: &Indexes) -> Command {
    let mut command = command.clone();
    let Some((what, index)) = numbered(&mut command.change) else {
        return command;
    };
    // One that never was is one that never will be.
    let known = indexes.get(&(what, *index));
    *index = known.copied().unwrap_or(Index(u64::MAX));
    command
}

/// The index that a change names, and what it is the index of.
fn numbered(change: &mut Change) -> Option<(Numbered, &mut Index)> {
    Some(match change {
        Change::RemoveHostname { hostname, revision }
        | Change::SetWants {
            hostname, revision, ..
        }
        | Change::SetTraffic {
            hostname: Some(hostname),
            revision,
            ..
        } => (Numbered::Revision(hostname.clone()), revision.as_mut()?),
        Change::UploadCertificate(upload) => (
            Numbered::Revision(upload.hostname.clone()),
            upload.revision.as_mut()?,
        ),
        Change::AdmitOrder(admit) => (Numbered::Claim(admit.hostname.clone()), &mut admit.claim),
        Change::RecordOwnership {
            hostname, claim, ..
        }
        | Change::DeferHostname {
            hostname, claim, ..
        } => (Numbered::Claim(hostname.clone()), claim),
        Change::RecordContest {
            hostname, claim, ..
        } => (Numbered::Contest(hostname.clone()), claim),
        Change::SetOrigin { revision, .. }
        | Change::SetZone { revision, .. }
        | Change::SetTraffic {
            hostname: None,
            revision,
            ..
        } => (Numbered::Zone, revision.as_mut()?),
        Change::PutCa { name, revision, .. } | Change::RemoveCa { ca: name, revision } => {
            (Numbered::Ca(name.clone()), revision.as_mut()?)
        }
        _ => return None,
    })
}

fn unnumbered(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Refused(Refusal::RevisionMismatch { .. }) => {
            Outcome::Refused(Refusal::RevisionMismatch { current: Index(0) })
        }
        other => other,
    }
}
