//! The tasks of one term.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use state::{Budget, Ca, Due, Hostname, State, Timestamp};
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep_until},
};

use crate::{
    account, expiry, identities,
    issuance::{self, Outlook, authority::Authority},
    membership::{self, Readiness},
    reign::Reign,
    status::Duty,
    verification::{
        self, Look, Rota,
        name::{DnsName, registered_domain},
    },
};

/// How long a duty rests after it failed: what it waits for takes about that long to
/// change, and a fault that stays must not fill the log.
const REST: Duration = Duration::from_secs(1);

/// All that is being done in one term. Dropping it cancels all.
pub(super) struct Court {
    reign: Arc<Reign>,
    tasks: JoinSet<Result<(), String>>,
    works: HashMap<Id, Work>,
    busy: HashSet<Duty>,
    in_hand: HashSet<Hostname>,
    resting: HashMap<Duty, Instant>,
    readiness: Readiness,
    rota: Rota,
    authority: Option<(Arc<Ca>, Arc<dyn Authority>)>,
}

enum Work {
    Duty(Duty),
    Look(Look),
    Order(Hostname),
}

impl Court {
    pub(super) fn new(reign: Arc<Reign>) -> Self {
        Self {
            reign,
            tasks: JoinSet::new(),
            works: HashMap::new(),
            busy: HashSet::new(),
            in_hand: HashSet::new(),
            resting: HashMap::new(),
            readiness: Readiness::default(),
            rota: Rota::default(),
            authority: None,
        }
    }

    /// Until the state ends, or for ever.
    pub(super) async fn hold(mut self) {
        let mut states = self.reign.ports.states.clone();
        loop {
            let state = states.borrow_and_update().clone();
            let wake = self.plan(&state);
            tokio::select! {
                changed = states.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Plans every duty that is free, begins what is to be done, and says when to look
    /// again.
    fn plan(&mut self, state: &Arc<State>) -> Instant {
        let now = self.reign.now();
        let clock = self.reign.clock_doubt();
        let trusted = clock.is_none();
        let next_due = state.next_due(now);
        let pause = account::first(state).and_then(|ca| self.reign.weather(&ca.name).pause());
        let calm = pause.is_none();
        self.reign.board.edit(|status| {
            status.clock = clock;
            status.next_due = next_due;
            status.pause = pause;
        });
        self.membership();
        self.identities(state, now, trusted);
        self.account(state, now, calm);
        self.issuance(state, now, trusted, calm);
        self.verification(state, now, trusted);
        if trusted {
            self.expiry(state, now);
        }
        let tick = self.reign.config.tick;
        let due_in = next_due.map_or(tick, |due| due.since(now));
        Instant::now() + due_in.clamp(Duration::from_millis(1), tick)
    }

    fn membership(&mut self) {
        // Surveyed at every turn, for who keeps up; acted upon one round at a time.
        let steps = membership::survey(&self.reign, &mut self.readiness);
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

    fn identities(&mut self, state: &State, now: Timestamp, trusted: bool) {
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

    fn account(&mut self, state: &State, now: Timestamp, calm: bool) {
        let Some(ca) = account::first(state) else {
            return;
        };
        match account::plan(&ca) {
            Ok(None) => {}
            Err(error) => self.note(Duty::Account, error.to_string(), now),
            Ok(Some(step)) => {
                let needs_calm = step == account::Step::Register;
                if !self.is_free(Duty::Account) || (needs_calm && !calm) {
                    return;
                }
                let doing = match step {
                    account::Step::CommitKey => "making the account's key",
                    account::Step::Register => "registering at the CA",
                };
                let reign = self.reign.clone();
                self.begin(Duty::Account, vec![doing.to_owned()], async move {
                    let done = account::act(&reign, step).await;
                    done.map_err(|error| error.to_string())
                });
            }
        }
    }

    fn issuance(&mut self, state: &State, now: Timestamp, trusted: bool, calm: bool) {
        if !self.is_free(Duty::Issuance) {
            return;
        }
        let steps = issuance::plan(
            state,
            &Outlook {
                now,
                in_hand: &self.in_hand,
                bound: self.reign.config.orders_in_flight,
                trusted,
                calm,
            },
        );
        if steps.is_empty() {
            return;
        }
        let authority = match self.authority(state) {
            Ok(Some(authority)) => authority,
            // Not registered yet: the account's duty will see to it.
            Ok(None) => return,
            Err(error) => {
                self.note(Duty::Issuance, error, now);
                self.rest(Duty::Issuance);
                return;
            }
        };
        for step in steps {
            let (reign, authority) = (self.reign.clone(), authority.clone());
            match step {
                issuance::Step::Resume(hostname, id) => {
                    self.carry(hostname, issuance::resume(reign, authority, id));
                }
                issuance::Step::Admit(hostname, claim) => {
                    let Some(ca) = account::first(state) else {
                        return;
                    };
                    let domain = registered_domain(&hostname);
                    let domain = domain.unwrap_or_else(|| DnsName::from(&hostname));
                    let Some(record) = state.hostname(hostname.as_str()) else {
                        continue;
                    };
                    let Some((_, Due::Order(_, algorithm))) = state.hostname_due(&hostname, record)
                    else {
                        continue;
                    };
                    let own = record.wants().profile;
                    let ticket = issuance::Ticket {
                        claim,
                        algorithm,
                        profile: own.or_else(|| ca.settings.profile.clone()),
                        ca: ca.name.clone(),
                        replaces: None,
                        budget: Budget::New,
                        domain: domain.to_string(),
                        hostname: hostname.clone(),
                    };
                    self.carry(hostname, issuance::admit(reign, authority, ticket));
                }
            }
        }
    }

    fn verification(&mut self, state: &State, now: Timestamp, trusted: bool) {
        if !self.is_free(Duty::Verification) {
            return;
        }
        for look in self.rota.plan(state, now, trusted) {
            let work = verification::act(self.reign.clone(), look.clone());
            let id = self.tasks.spawn(work).id();
            self.works.insert(id, Work::Look(look));
        }
    }

    fn expiry(&mut self, state: &State, now: Timestamp) {
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

    /// The CA with our registered account; opened again when the account changes.
    fn authority(&mut self, state: &State) -> Result<Option<Arc<dyn Authority>>, String> {
        let Some(ca) = account::first(state).filter(|ca| ca.takes_orders()) else {
            return Ok(None);
        };
        if let Some((known, authority)) = &self.authority
            && (Arc::ptr_eq(known, &ca) || *known == ca)
        {
            return Ok(Some(authority.clone()));
        }
        let authority = account::open(&self.reign, &ca).map_err(|error| error.to_string())?;
        self.authority = Some((ca, authority.clone()));
        Ok(Some(authority))
    }

    fn begin(
        &mut self,
        duty: Duty,
        doing: Vec<String>,
        work: impl Future<Output = Result<(), String>> + Send + 'static,
    ) {
        self.reign.board.began(duty, doing, self.reign.now());
        self.busy.insert(duty);
        let id = self.tasks.spawn(work).id();
        self.works.insert(id, Work::Duty(duty));
    }

    fn carry(
        &mut self,
        hostname: Hostname,
        work: impl Future<Output = Result<(), String>> + Send + 'static,
    ) {
        self.in_hand.insert(hostname.clone());
        let id = self.tasks.spawn(work).id();
        self.works.insert(id, Work::Order(hostname));
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), String>), JoinError>) {
        let (id, result) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), Err(error.to_string())),
        };
        let error = result.err();
        match self.works.remove(&id) {
            None => {}
            Some(Work::Duty(duty)) => {
                self.busy.remove(&duty);
                self.failed(duty, error.as_deref());
                self.reign.board.ended(duty, error);
            }
            Some(Work::Look(look)) => {
                self.rota.done(&look);
                if error.is_some() {
                    self.failed(Duty::Verification, error.as_deref());
                    self.reign.board.ended(Duty::Verification, error);
                }
            }
            Some(Work::Order(hostname)) => {
                self.in_hand.remove(&hostname);
                self.reign.board.order_done(&hostname);
                if error.is_some() {
                    self.failed(Duty::Issuance, error.as_deref());
                    self.reign.board.ended(Duty::Issuance, error);
                }
            }
        }
    }

    fn failed(&mut self, duty: Duty, error: Option<&str>) {
        if let Some(error) = error {
            tracing::warn!(
                duty = duty.as_str(),
                error,
                "a duty failed; it will be tried again"
            );
            self.rest(duty);
        }
    }

    fn note(&self, duty: Duty, error: String, now: Timestamp) {
        self.reign.board.began(duty, Vec::new(), now);
        self.reign.board.ended(duty, Some(error));
    }

    fn rest(&mut self, duty: Duty) {
        self.resting.insert(duty, Instant::now() + REST);
    }

    fn is_free(&self, duty: Duty) -> bool {
        let rested = self.resting.get(&duty);
        !self.busy.contains(&duty) && rested.is_none_or(|until| *until <= Instant::now())
    }
}
