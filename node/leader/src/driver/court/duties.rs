//! The duties beside accounts and orders: one task at a time each, but for looks.

use state::{State, Timestamp};

use super::{Court, Work};
use crate::{
    expiry, identities, ledger, membership, renewal, resealing, revocation, status::Duty,
    verification,
};

impl Court {
    pub(super) fn membership(&mut self) {
        // Surveyed at every turn, for who keeps up; acted upon one round at a time.
        let steps = membership::survey(&self.reign, &mut self.membership, &mut self.doubt);
        if steps.is_empty() || !self.is_free(Duty::Membership) {
            return;
        }
        let doing = steps.iter().map(membership::Step::describe).collect();
        let reign = self.reign.clone();
        self.begin(Duty::Membership, doing, async move {
            let done = membership::act(&reign, steps).await;
            done.map_err(|error| error.to_string())
        });
    }

    pub(super) fn identities(&mut self, state: &State, now: Timestamp, trusted: bool) {
        if !self.is_free(Duty::Identities) {
            return;
        }
        let steps = identities::plan(state, now, trusted);
        if steps.is_empty() {
            return;
        }
        let doing = vec![format!("signing {} certificates", steps.len())];
        let reign = self.reign.clone();
        self.begin(Duty::Identities, doing, async move {
            let done = identities::act(&reign, steps).await;
            done.map_err(|error| error.to_string())
        });
    }

    pub(super) fn resealing(&mut self, state: &State) {
        if !self.is_free(Duty::Resealing) {
            return;
        }
        let Some(doing) = resealing::plan(state) else {
            return;
        };
        let reign = self.reign.clone();
        self.begin(Duty::Resealing, vec![doing], async move {
            let done = resealing::act(&reign).await;
            done.map_err(|error| error.to_string())
        });
    }

    pub(super) fn expiry(&mut self, state: &State, now: Timestamp) {
        if !self.is_free(Duty::Expiry) {
            return;
        }
        let changes = expiry::plan(state, now);
        if changes.is_empty() {
            return;
        }
        let doing = vec![format!("clearing {} records away", changes.len())];
        let reign = self.reign.clone();
        self.begin(Duty::Expiry, doing, async move {
            let done = expiry::act(&reign, changes).await;
            done.map_err(|error| error.to_string())
        });
    }

    /// Puts right what a clock that was ahead has written.
    pub(super) fn ledger(&mut self, state: &State, now: Timestamp) {
        if !self.is_free(Duty::Ledger) {
            return;
        }
        let (boottime, tolerance) = (self.reign.boottime(), self.reign.config.clock_tolerance);
        let changes = self.ledger.plan(state, (now, boottime), tolerance);
        if changes.is_empty() {
            return;
        }
        let doing = vec![format!("putting {} limits right", changes.len())];
        let reign = self.reign.clone();
        self.begin(Duty::Ledger, doing, async move {
            let done = ledger::act(&reign, changes).await;
            done.map_err(|error| error.to_string())
        });
    }

    /// Asks the CAs when certificates are to be renewed.
    pub(super) fn renewal(&mut self, state: &State, now: Timestamp) {
        self.polls.follow(state, now);
        if !self.is_free(Duty::Renewal) {
            return;
        }
        let ids = self.polls.take(state, now, renewal::ROUND);
        if ids.is_empty() {
            return;
        }
        let doing = vec![format!("asking when to renew {} certificates", ids.len())];
        let (reign, polls, cas) = (self.reign.clone(), self.polls.clone(), self.calm_cas());
        self.begin(Duty::Renewal, doing, async move {
            let done = renewal::act(&reign, &cas, &polls, ids).await;
            done.map_err(|error| error.to_string())
        });
    }

    pub(super) fn revocation(&mut self, state: &State, now: Timestamp) {
        if !self.is_free(Duty::Revocation) {
            return;
        }
        let ids = revocation::plan(state, now);
        if ids.is_empty() {
            return;
        }
        let doing = vec![format!("revoking {} certificates", ids.len())];
        let (reign, cas) = (self.reign.clone(), self.calm_cas());
        self.begin(Duty::Revocation, doing, async move {
            let done = revocation::act(&reign, &cas, ids).await;
            done.map_err(|error| error.to_string())
        });
    }

    /// Looks at the claims of hostnames, each in a task of its own.
    pub(super) fn verification(&mut self, state: &State, now: Timestamp, trusted: bool) {
        if !self.is_free(Duty::Verification) {
            return;
        }
        for look in self.rota.plan(state, now, trusted) {
            let work = verification::act(self.reign.clone(), look.clone());
            let id = self.tasks.spawn(work).id();
            self.works.insert(id, Work::Look(look));
        }
    }
}
