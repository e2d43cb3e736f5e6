//! A random history: entries of a log, and replicas that apply them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};
use state::{
    Actor, Batch, Change, Changes, Command, Index, NodeId, Outcome, Registration, State, Term,
    Timestamp, Write, testing,
};

use crate::step::{Step, limits, step, step_of_members};

/// Steps in the groups that share a log entry.
pub(crate) type Plan = Vec<Vec<Step>>;

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    vec(vec(step(), 1..4), 1..80)
}

/// A history in which members come and go.
pub(crate) fn plan_of_members() -> impl Strategy<Value = Plan> {
    vec(vec(step_of_members(), 1..4), 1..80)
}

/// The records and bodies of a replica as its store has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Store {
    pub(crate) records: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) bodies: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Store {
    pub(crate) fn write(&mut self, changes: &Changes) {
        for (tree, writes) in [
            (&mut self.records, &changes.records),
            (&mut self.bodies, &changes.bodies),
        ] {
            for write in writes {
                match write {
                    Write::Put { key, value } => tree.insert(key.clone(), value.clone()),
                    Write::Delete { key } => tree.remove(key),
                };
            }
        }
    }
}

/// One entry of the log, and what it did.
pub(crate) struct Entry {
    pub(crate) index: Index,
    pub(crate) batch: Batch,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) changes: Changes,
    /// The state before it.
    pub(crate) before: State,
    /// The state after it.
    pub(crate) after: State,
}

impl Entry {
    /// The members that Raft has from here on: all but those that leave.
    pub(crate) fn voters(&self) -> BTreeSet<NodeId> {
        let staying = self.after.members().filter(|member| !member.leaving);
        staying.map(|member| member.id).collect()
    }
}

/// Lives a plan through: each group becomes the next log entry, resolved against
/// the state before it, as proposers do. Raft's membership follows each.
pub(crate) fn live(plan: &Plan) -> Vec<Entry> {
    let mut now = testing::START;
    let mut unique = 0;
    let mut entries = vec![applied(&State::default(), begin())];
    for steps in plan {
        let state = entries.last().map(|entry| &entry.after).cloned();
        let state = state.unwrap_or_default();
        let commands = steps.iter().map(|step| {
            now = step.at(now);
            unique += 1;
            step.command(&state, now, unique)
        });
        let commands = commands.collect();
        entries.push(applied(&state, Batch { commands }));
    }
    entries
}

/// The next entry. Indexes are thinned out, so that `replicas.rs` can apply the
/// commands one by one.
fn applied(before: &State, batch: Batch) -> Entry {
    let index = Index(before.index().0 + 1);
    let mut after = before.clone();
    let (outcomes, changes) = after.apply(index, &batch);
    let mut entry = Entry {
        index,
        batch,
        outcomes,
        changes,
        before: before.clone(),
        after,
    };
    let voters = entry.voters();
    entry
        .after
        .set_membership(Index(index.0 + 9), voters, BTreeSet::new());
    entry
}

/// Formed, led, with accounts at two CAs: what nearly all histories begin with.
fn begin() -> Batch {
    let mut found = testing::found();
    let ca = found.ca.as_mut().expect("it begins with a CA");
    ca.settings.limits = limits();
    ca.registration = Registration::Registered {
        key: testing::account_key("thumbprint"),
        url: "https://ca.example/acct/0".to_owned(),
        rollover: false,
    };
    let other = || "other-ca".parse().expect("a CA");
    let (settings, revision) = (Box::default(), None);
    let (key, url) = (testing::account_key("other"), String::new());
    let name = other();
    let asked = [
        Change::Found(Box::new(found)),
        Change::PutCa {
            name,
            settings,
            revision,
        },
    ];
    let duties = [
        Change::TakeOver { node: NodeId(1) },
        Change::CommitAccountKey { ca: other(), key },
        Change::RegisterAccount { ca: other(), url },
    ];
    let asked = asked.map(|change| command(testing::START, None, change));
    let duties = duties.map(|change| command(testing::START, Some(Term(3)), change));
    Batch {
        commands: asked.into_iter().chain(duties).collect(),
    }
}

pub(crate) fn command(at: Timestamp, duty: Option<Term>, change: Change) -> Command {
    Command {
        at,
        actor: Actor::socket(),
        duty,
        change,
    }
}
