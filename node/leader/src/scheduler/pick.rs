//! Choosing what begins next.

use std::collections::BTreeSet;

use state::{BucketKey, Budget, CaName, Due, Hostname, Source, State, Timestamp};

use super::{
    LOOKED_AT_ONCE, Pick, Place, Prospect, REST_FOR_CA, Scheduler, TURNS,
    budget::{buckets, budget, orders},
    fair::Fair,
    lane::{Lane, Sort, judge, widens},
};
use crate::{
    issuance::fallback::preference,
    verification::name::{DnsName, registered_domain},
};

/// What is to become of a job that was looked at.
enum Verdict {
    Go(Box<Pick>, Vec<BucketKey>),
    Rest(Timestamp),
    /// It belongs elsewhere by now.
    Judge,
    /// It is due no more.
    Drop,
}

/// What a round has found out.
#[derive(Default)]
struct Round {
    looks: usize,
    /// What cannot go on in this round, whoever waits there.
    shut: BTreeSet<(Lane, Sort)>,
}

impl Scheduler {
    /// What begins now, the first first. Each is in hand from then on. True if there was no
    /// time to look at all that waits: to be called again.
    pub(crate) fn pick(&mut self, state: &State, prospect: &Prospect<'_>) -> (Vec<Pick>, bool) {
        let mut picks = Vec::new();
        let mut round = Round::default();
        let free = if prospect.held { 0 } else { prospect.free };
        while picks.len() < free && round.looks < LOOKED_AT_ONCE {
            let for_all = prospect.free - picks.len() > prospect.kept;
            let Some(name) = self.next(state, prospect, for_all, &mut round) else {
                break;
            };
            match self.consider(state, &name, prospect) {
                Verdict::Go(pick, keys) => {
                    self.pledges.give(name.clone(), keys);
                    self.in_hand.insert(name);
                    if !pick.lane.is_renewal() {
                        self.turn = (self.turn + 1) % TURNS.len();
                    }
                    picks.push(*pick);
                }
                Verdict::Rest(until) => self.put(&name, Place::Resting(until)),
                Verdict::Judge => {
                    self.put(&name, Place::Lane);
                    self.judge_again(state, &name, prospect.now);
                }
                Verdict::Drop => self.take_out(&name),
            }
        }
        (picks, round.looks >= LOOKED_AT_ONCE)
    }

    /// Takes the next name out of its lane.
    fn next(
        &mut self,
        state: &State,
        prospect: &Prospect<'_>,
        for_all: bool,
        round: &mut Round,
    ) -> Option<Hostname> {
        let others: &[Lane] = if for_all { &TURNS[self.turn] } else { &[] };
        let lanes = [Lane::Urgent, Lane::Renewal];
        for lane in lanes.iter().chain(others) {
            for sort in self.sorts(*lane) {
                let place = (*lane, sort);
                if round.shut.contains(&place) {
                    continue;
                }
                if !self.is_open(state, &place.1, prospect) {
                    round.shut.insert(place);
                    continue;
                }
                let queue = self.lanes[*lane as usize].get_mut(&place.1);
                if let Some(name) = queue.and_then(Fair::pop) {
                    round.looks += 1;
                    if let Some(held) = self.jobs.get_mut(&name) {
                        held.place = Place::InHand;
                    }
                    return Some(name);
                }
                self.lanes[*lane as usize].remove(&place.1);
            }
        }
        None
    }

    /// The sorts of a lane in the order in which they are looked at: by whoever is first, or
    /// in turns where tenants take turns.
    fn sorts(&self, lane: Lane) -> Vec<Sort> {
        let sorts = &self.lanes[lane as usize];
        let mut order: Vec<(&Sort, &Fair)> = sorts.iter().collect();
        if lane.has_turns() {
            let begin = self.turn.checked_rem(order.len()).unwrap_or(0);
            order.rotate_left(begin);
        } else {
            order.sort_by_key(|(_, queue)| queue.first());
        }
        order.into_iter().map(|(sort, _)| sort.clone()).collect()
    }

    /// Whether anything of a sort can begin at all.
    fn is_open(&self, state: &State, sort: &Sort, prospect: &Prospect<'_>) -> bool {
        if sort.timed && !prospect.trusted {
            return false;
        }
        let Some(ca) = sort.wish.as_ref().or(self.first.as_ref()) else {
            return false;
        };
        if sort.wish.is_none() && (prospect.out)(ca) {
            // Each for itself: some may go elsewhere.
            return true;
        }
        let takes = state.ca(ca.as_str()).is_some_and(|ca| ca.takes_orders());
        takes && (prospect.calm)(ca) && (!sort.counted || self.has_orders(state, ca, prospect.now))
    }

    /// The CA takes a new order more.
    fn has_orders(&self, state: &State, ca: &CaName, now: Timestamp) -> bool {
        let free = self.pledges.free_at(state, &orders(ca), Budget::New, now);
        free <= now
    }

    fn consider(&self, state: &State, name: &Hostname, prospect: &Prospect<'_>) -> Verdict {
        let now = prospect.now;
        let (Some(held), Some(record)) = (self.jobs.get(name), state.hostname(name.as_str()))
        else {
            return Verdict::Drop;
        };
        let due = match state.hostname_due(name, record) {
            Some((at, Due::Order(_, algorithm))) if algorithm == held.job.algorithm => at,
            _ => return Verdict::Drop,
        };
        if due > now {
            // The clock was set back.
            return Verdict::Rest(due);
        }
        let algorithm = held.job.algorithm;
        let first = self.first.as_ref();
        let job = judge(state, record, (due, algorithm), first, &self.everybody, now);
        if (job.lane, &job.sort) != (held.job.lane, &held.job.sort) {
            return Verdict::Judge;
        }
        let preferred = preference(state, name, algorithm, now, prospect.out);
        let ca = preferred.iter().find(|ca| (prospect.calm)(&ca.name));
        let Some(ca) = ca else {
            return Verdict::Rest(now.plus(REST_FOR_CA));
        };
        let served = record.certificate_of(algorithm);
        let served = served.and_then(|id| state.certificate(&id));
        let served = served.map(|served| &**served);
        let budget = budget(state, record, served, &ca.name, job.lane, now);
        let domain = registered_domain(name).unwrap_or_else(|| DnsName::from(name));
        let keys = buckets((name, record), &ca.name, domain.as_str(), budget);
        let free_at = keys
            .iter()
            .map(|key| self.pledges.free_at(state, key, budget, now))
            .max()
            .unwrap_or_default();
        if free_at > now {
            return Verdict::Rest(free_at);
        }
        let wanted = record.wants.as_ref();
        let profile = wanted.and_then(|wants| wants.profile.clone());
        let pick = Pick {
            lane: job.lane,
            hostname: name.clone(),
            claim: record.claim,
            ca: ca.name.clone(),
            algorithm,
            profile: profile.or_else(|| ca.settings.profile.clone()),
            budget,
            replaces: served
                .filter(|served| served.source == Source::Ca(ca.name.clone()))
                .filter(|served| !widens(record, served) && now < served.not_after)
                .map(|served| served.id),
            domain: domain.as_str().to_owned(),
        };
        Verdict::Go(Box::new(pick), keys)
    }
}
