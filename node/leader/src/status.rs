//! What the leader is at, for whoever asks.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use state::{CaName, Hostname, OrderId, Term, Timestamp};

use crate::{issuance::weather::Pause, scheduler::Queue};

/// What only the leader does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Duty {
    /// Our accounts at the CAs.
    Account,
    /// Orders.
    Issuance,
    /// When certificates are to be renewed.
    Renewal,
    /// What must not be trusted any more.
    Revocation,
    /// Raft's membership and who has which data key.
    Membership,
    /// The cluster's own certificates.
    Identities,
    /// Secrets under data keys that were replaced.
    Resealing,
    /// What CAs allow, where a clock that was off has counted it.
    Ledger,
    /// Looking whether hostnames are their tenants'.
    Verification,
    /// Clearing away what ended.
    Expiry,
}

impl Duty {
    /// Its name in the API and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Issuance => "issuance",
            Self::Renewal => "renewal",
            Self::Revocation => "revocation",
            Self::Membership => "membership",
            Self::Identities => "identities",
            Self::Resealing => "resealing",
            Self::Ledger => "ledger",
            Self::Verification => "verification",
            Self::Expiry => "expiry",
        }
    }
}

/// What the leader is at. Empty while this node does not lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The term in which this node has taken over.
    pub term: Option<Term>,
    /// Each duty that has run or failed.
    pub duties: BTreeMap<Duty, DutyStatus>,
    /// Each order in hand.
    pub orders: BTreeMap<Hostname, OrderProgress>,
    /// Each CA.
    pub cas: BTreeMap<CaName, CaStatus>,
    /// Orders that wait to begin.
    pub queue: Queue,
    /// How many certificates their CAs are asked about from time to time.
    pub polled: usize,
    /// Set while the CA that is asked first is left alone.
    pub pause: Option<Pause>,
    /// Set while what is driven by time rests, and why.
    pub clock: Option<String>,
    /// When the next thing falls due.
    pub next_due: Option<Timestamp>,
}

/// How a CA is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaStatus {
    /// Orders in flight there.
    pub orders: usize,
    /// Set while it is left alone.
    pub pause: Option<Pause>,
    /// What is being done about our account there.
    pub doing: Option<&'static str>,
    /// What is wrong with our account there.
    pub error: Option<String>,
}

/// What a duty is at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DutyStatus {
    /// What it does at present, in a few words each.
    pub doing: Vec<String>,
    /// When it last had something to do.
    pub at: Timestamp,
    /// What went wrong then.
    pub error: Option<String>,
}

/// What an order is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderProgress {
    /// Which; absent until it is admitted.
    pub order: Option<OrderId>,
    /// What is being done.
    pub doing: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// The last fault that did not end it.
    pub error: Option<String>,
}

/// Where the duties write what they are at.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Status>);

impl Board {
    /// Of a term that is over nothing is shown, though a task that is being cancelled may
    /// still write its last word.
    pub(crate) fn read(&self) -> Status {
        let status = self.status();
        status.term.map(|_| status.clone()).unwrap_or_default()
    }

    /// This node leads no more.
    pub(crate) fn wipe(&self) {
        *self.status() = Status::default();
    }

    pub(crate) fn edit(&self, edit: impl FnOnce(&mut Status)) {
        edit(&mut self.status());
    }

    pub(crate) fn order(&self, hostname: &Hostname, doing: &'static str, now: Timestamp) {
        let mut status = self.status();
        match status.orders.get_mut(hostname) {
            Some(progress) if progress.doing == doing => {}
            Some(progress) => {
                progress.doing = doing;
                progress.since = now;
            }
            None => {
                let progress = OrderProgress {
                    order: None,
                    doing,
                    since: now,
                    error: None,
                };
                status.orders.insert(hostname.clone(), progress);
            }
        }
    }

    pub(crate) fn edit_order(&self, hostname: &Hostname, edit: impl FnOnce(&mut OrderProgress)) {
        if let Some(progress) = self.status().orders.get_mut(hostname) {
            edit(progress);
        }
    }

    pub(crate) fn order_done(&self, hostname: &Hostname) {
        self.status().orders.remove(hostname);
    }

    /// What is being done about the account at a CA, and what is wrong with it. The duty
    /// shows all of them.
    pub(crate) fn account(
        &self,
        ca: &CaName,
        doing: Option<&'static str>,
        error: Option<String>,
        now: Timestamp,
    ) {
        let mut status = self.status();
        let shown = status.cas.entry(ca.clone()).or_default();
        if doing.is_none() && shown.doing.is_none() && shown.error == error {
            return;
        }
        shown.doing = doing;
        // What was wrong is shown until it is known to be better.
        if doing.is_none() {
            shown.error = error;
        }
        let cas = &status.cas;
        let doing = cas
            .iter()
            .filter_map(|(ca, at)| Some(format!("{ca}: {}", at.doing?)));
        let errors = cas
            .iter()
            .filter_map(|(ca, at)| Some(format!("{ca}: {}", at.error.as_ref()?)));
        let (doing, errors): (Vec<_>, Vec<_>) = (doing.collect(), errors.collect());
        let duty = status.duties.entry(Duty::Account).or_default();
        duty.at = now;
        duty.doing = doing;
        duty.error = (!errors.is_empty()).then(|| errors.join("; "));
    }

    pub(crate) fn began(&self, duty: Duty, doing: Vec<String>, now: Timestamp) {
        let mut status = self.status();
        let entry = status.duties.entry(duty).or_default();
        entry.doing = doing;
        entry.at = now;
    }

    pub(crate) fn ended(&self, duty: Duty, error: Option<String>) {
        let mut status = self.status();
        let entry = status.duties.entry(duty).or_default();
        entry.doing.clear();
        entry.error = error;
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
