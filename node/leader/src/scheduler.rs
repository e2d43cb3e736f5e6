//! Which order begins next, at which CA, and what it costs.
//!
//! A queue of what is due, in five [`Lane`]s. It is read from the state once, at the
//! takeover, and follows it by what changed and by the clock; nothing of it is stored. What
//! a limit refuses rests until it is free, and holds nobody else: a domain's or a set's
//! limit holds its own names, the account's holds what counts as new. Renewals never wait
//! for new hostnames, tenants take turns, and what nobody waits for gets its share.
//!
//! Nothing here waits, asks or draws: time and state are arguments.

mod budget;
mod fair;
mod follow;
mod lane;
mod pick;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use imbl::{OrdMap, OrdSet};
use state::{
    Budget, CaName, Certificate, CertificateId, Due, Hostname, Index, KeyAlgorithm, State, Tenant,
    Timestamp,
};

use self::{
    budget::Pledges,
    fair::Fair,
    lane::{Job, Sort, judge},
};

pub(crate) use self::budget::without_replaces;
pub use self::lane::Lane;

/// Most names looked at in one [`Scheduler::pick`], so that a domain with a hundred thousand
/// of them, all refused by one limit, holds nobody for long: the rest are looked at next.
const LOOKED_AT_ONCE: usize = 1_000;

/// Most names read in one [`Scheduler::follow`]: some tens of milliseconds, in which nothing
/// else is planned.
const READ_AT_ONCE: usize = 5_000;

/// How long a name rests for which no CA can be asked now, or whose order came to nothing
/// without a word in the state.
pub(crate) const REST: Duration = Duration::from_secs(1);

/// How long a name rests that must wait for its CA while others go to another.
const REST_FOR_CA: Duration = Duration::from_secs(60);

/// Which lane of new hostnames and calm work is looked at first, turn by turn: what is
/// first most often is served first, and the last gets one of eight.
const TURNS: [[Lane; 3]; 8] = {
    use Lane::{Arriving, Calm, New};
    let usual = [Arriving, New, Calm];
    let (new, calm) = ([New, Arriving, Calm], [Calm, Arriving, New]);
    [usual, usual, usual, new, usual, usual, usual, calm]
};

/// An order that may begin now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    pub(crate) lane: Lane,
    pub(crate) hostname: Hostname,
    pub(crate) claim: Index,
    pub(crate) ca: CaName,
    pub(crate) algorithm: KeyAlgorithm,
    pub(crate) profile: Option<String>,
    pub(crate) budget: Budget,
    /// What is served, from the same CA: the order can say that it replaces it.
    pub(crate) replaces: Option<CertificateId>,
    pub(crate) domain: String,
}

/// What a pick depends on beside the state and the queue.
pub(crate) struct Prospect<'a> {
    pub(crate) now: Timestamp,
    /// This leader's clock can be trusted: what only time makes due may begin.
    pub(crate) trusted: bool,
    /// Nothing may begin: this leader's clock is so far off that it would be counted at a
    /// time that is not, or an operator has paused issuance.
    pub(crate) held: bool,
    /// How many orders more may go forward.
    pub(crate) free: usize,
    /// How many of them are for renewals only.
    pub(crate) kept: usize,
    /// The CA can be asked at the moment.
    pub(crate) calm: &'a dyn Fn(&CaName) -> bool,
    /// The CA has been out for so long that others are asked for what cannot wait.
    pub(crate) out: &'a dyn Fn(&CaName) -> bool,
}

/// How much is waiting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// By lane, in the order of [`Lane::ALL`]: what could begin if there were room.
    pub lanes: [usize; Lane::ALL.len()],
    /// What rests until a limit is free, or for a moment.
    pub resting: usize,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    /// As of the state that was followed last.
    dues: OrdSet<(Timestamp, Due)>,
    certificates: OrdMap<CertificateId, Arc<Certificate>>,
    /// All that is due up to then, or up to that one of then, is in the queue.
    reached: Option<(Timestamp, Option<Due>)>,
    first: Option<CaName>,
    jobs: HashMap<Hostname, Held>,
    lanes: Lanes,
    resting: BTreeSet<(Timestamp, Hostname)>,
    rising: BTreeSet<(Timestamp, Hostname)>,
    in_hand: HashSet<Hostname>,
    pledges: Pledges,
    turn: usize,
    /// Whose turn it is where tenants take none.
    everybody: Tenant,
}

type Lanes = [BTreeMap<Sort, Fair>; Lane::ALL.len()];

/// A job and where it is.
#[derive(Debug)]
struct Held {
    job: Job,
    due_at: Timestamp,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Lane,
    Resting(Timestamp),
    /// Its hostname is in hand.
    InHand,
}

fn queue_of<'a>(lanes: &'a mut Lanes, job: &Job) -> &'a mut Fair {
    let sorts = &mut lanes[job.lane as usize];
    sorts.entry(job.sort.clone()).or_default()
}

impl Scheduler {
    /// Takes in what changed since the last call: in the state, and by the clock. The first
    /// calls read the whole: true if there is more to read.
    pub(crate) fn follow(&mut self, state: &State, now: Timestamp) -> bool {
        let first = state.cas_by_rank().first().map(|ca| ca.name.clone());
        if first != self.first {
            self.forget();
            self.first = first;
        }
        let more = self.follow_dues(state, now);
        self.follow_certificates(state, now);
        self.follow_clock(state, now);
        more
    }

    /// All is to be read anew, but for what is in hand.
    fn forget(&mut self) {
        let (in_hand, pledges) = (
            std::mem::take(&mut self.in_hand),
            std::mem::take(&mut self.pledges),
        );
        *self = Self {
            in_hand,
            pledges,
            ..Self::default()
        };
    }

    fn add(
        &mut self,
        state: &State,
        name: &Hostname,
        (at, algorithm): (Timestamp, KeyAlgorithm),
        now: Timestamp,
    ) {
        self.take_out(name);
        let Some(record) = state.hostname(name.as_str()) else {
            return;
        };
        let first = self.first.as_ref();
        let job = judge(state, record, (at, algorithm), first, &self.everybody, now);
        if let Some(rises_at) = job.rises_at {
            self.rising.insert((rises_at, name.clone()));
        }
        let held = Held {
            job,
            due_at: at,
            place: Place::InHand,
        };
        self.jobs.insert(name.clone(), held);
        if !self.in_hand.contains(name) {
            self.put(name, Place::Lane);
        }
    }

    /// What was due is due no more, or not as it was.
    fn undo(&mut self, name: &Hostname, at: Timestamp, algorithm: KeyAlgorithm) {
        let held = self.jobs.get(name);
        if held.is_some_and(|held| (held.due_at, held.job.algorithm) == (at, algorithm)) {
            self.take_out(name);
            self.pledges.take_back(name);
        }
    }

    fn judge_again(&mut self, state: &State, name: &Hostname, now: Timestamp) {
        if let Some(held) = self.jobs.get(name) {
            let due = (held.due_at, held.job.algorithm);
            self.add(state, name, due, now);
        }
    }

    fn take_out(&mut self, name: &Hostname) {
        self.put(name, Place::InHand);
        if let Some(held) = self.jobs.remove(name)
            && let Some(rises_at) = held.job.rises_at
        {
            self.rising.remove(&(rises_at, name.clone()));
        }
    }

    /// Moves a job from where it is to another place.
    fn put(&mut self, name: &Hostname, place: Place) {
        let Some(held) = self.jobs.get_mut(name) else {
            return;
        };
        let (job, from) = (&held.job, std::mem::replace(&mut held.place, place));
        match from {
            Place::InHand => {}
            Place::Resting(until) => {
                self.resting.remove(&(until, name.clone()));
            }
            Place::Lane => {
                queue_of(&mut self.lanes, job).remove(&job.tenant, job.rank, name);
            }
        }
        match place {
            Place::InHand => {}
            Place::Resting(until) => {
                self.resting.insert((until, name.clone()));
            }
            Place::Lane => {
                queue_of(&mut self.lanes, job).insert(&job.tenant, job.rank, name.clone());
            }
        }
    }

    /// A hostname is in hand: its order was picked, or is being carried on.
    pub(crate) fn begun(&mut self, name: Hostname) {
        self.put(&name, Place::InHand);
        self.in_hand.insert(name);
    }

    /// It is in hand no more. What is still due is tried again after a rest.
    pub(crate) fn ended(&mut self, name: &Hostname, now: Timestamp) {
        self.in_hand.remove(name);
        self.pledges.take_back(name);
        let held = self.jobs.get(name);
        if held.is_some_and(|held| held.place == Place::InHand) {
            self.put(name, Place::Resting(now.plus(REST)));
        }
    }

    /// Hostnames whose orders are in hand.
    pub(crate) fn in_hand(&self) -> &HashSet<Hostname> {
        &self.in_hand
    }

    /// How much is waiting.
    pub(crate) fn queue(&self) -> Queue {
        Queue {
            lanes: self
                .lanes
                .each_ref()
                .map(|sorts| sorts.values().map(Fair::len).sum()),
            resting: self.resting.len(),
        }
    }
}

#[cfg(test)]
mod tests;
