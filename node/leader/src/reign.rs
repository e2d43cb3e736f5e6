//! One term of this node as leader: what its duties share, and the way they commit.

use std::{sync::Arc, time::Duration};

use state::{
    CaName, Change, Done, Index, Refusal, State, Term, Timestamp,
    ports::{NodeReport, ProposeError},
};

use crate::{
    clocks,
    config::Config,
    fence::Permit,
    issuance::weather::{Skies, Weather},
    metrics::Counters,
    ports::Ports,
    status::Board,
};

/// A member that reports nothing for so long is silent: it reports twice as often, and the
/// barrier does not wait for it any longer (`cluster::serving::HEARD_WITHIN`).
const SILENT_AFTER: Duration = Duration::from_secs(2);

/// A term in which this node leads.
pub(crate) struct Reign {
    pub(crate) term: Term,
    /// When the takeover was known to be committed, by [`state::ports::Clock::boottime`].
    pub(crate) since: Duration,
    pub(crate) ports: Ports,
    pub(crate) config: Arc<Config>,
    pub(crate) board: Arc<Board>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) skies: Skies,
}

/// A change that was committed under this term.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed {
    pub(crate) done: Done,
    pub(crate) index: Index,
    /// What the intent allows, for a moment.
    pub(crate) permit: Permit,
}

/// Why a change was not committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommitError {
    /// Another leads, or this replica has stopped.
    #[error("this node leads no more: {0}")]
    Deposed(String),
    /// The state says no.
    #[error("the change was refused: {0}")]
    Refused(Refusal),
    /// It may be committed or not: the state will tell.
    #[error("the change may or may not be agreed on: {0}")]
    Unsure(ProposeError),
}

impl Reign {
    pub(crate) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    pub(crate) fn boottime(&self) -> Duration {
        self.ports.clock.boottime()
    }

    /// Why nothing that is driven by time should happen, if so.
    pub(crate) fn clock_doubt(&self) -> Option<String> {
        let reports = self.ports.serving.reports();
        clocks::disagreement(&reports, self.config.clock_tolerance)
    }

    /// Whether the clock is so far off that no order may begin or go on.
    pub(crate) fn clock_misleads(&self) -> bool {
        let reports = self.ports.serving.reports();
        clocks::misleads(&reports, self.config.clock_tolerance)
    }

    /// Whether a CA can be asked.
    pub(crate) fn weather(&self, ca: &CaName) -> Arc<Weather> {
        self.skies.over(ca)
    }

    /// A CA has been out for so long that what cannot wait is to be ordered elsewhere.
    pub(crate) fn is_out(&self, ca: &CaName) -> bool {
        let out = self.weather(ca).out_for();
        out.is_some_and(|out| out >= self.config.fallback_after)
    }

    /// The latest state.
    pub(crate) fn state(&self) -> Arc<State> {
        self.ports.states.borrow().clone()
    }

    /// Commits a duty of this term. When this returns, [`Reign::state`] shows it.
    pub(crate) async fn commit(&self, change: Change) -> Result<Committed, CommitError> {
        commit(&self.ports, &self.config, self.term, change).await
    }

    /// Waits until every edge that is heard of serves what was committed up to `index`; true
    /// if all do. Those that do not are left to the stateless answer.
    pub(crate) async fn barrier(&self, index: Index) -> bool {
        let silent = self.ports.serving.published(index, self.config.barrier);
        let silent = silent.await;
        if !silent.is_empty() {
            self.counters.silent_at_barrier(silent.len());
            tracing::info!(?silent, "members have not published a challenge in time");
        }
        silent.is_empty()
    }

    /// A member that may be serving was not heard of lately: no barrier waits for it.
    pub(crate) fn has_silent_member(&self) -> bool {
        let reports = self.ports.serving.reports();
        let silent = |report: &NodeReport| {
            !report.draining && (report.published.is_none() || report.silent >= SILENT_AFTER)
        };
        reports.iter().any(silent)
    }
}

/// Commits a duty of `term`.
pub(crate) async fn commit(
    ports: &Ports,
    config: &Config,
    term: Term,
    change: Change,
) -> Result<Committed, CommitError> {
    let name = change.name();
    config.failpoint.before(name);
    // Before the proposal: however late its answer comes, the permission ends in time.
    let permit = Permit::new(term, ports.clock.boottime());
    let applied = match ports.propose.propose_as(term, change).await {
        Ok(applied) => applied,
        Err(error @ (ProposeError::NotLeader(_) | ProposeError::Stopped(_))) => {
            return Err(CommitError::Deposed(error.to_string()));
        }
        Err(
            error @ (ProposeError::Unknown
            | ProposeError::NoLeader
            | ProposeError::Overloaded
            | ProposeError::Level { .. }),
        ) => {
            return Err(CommitError::Unsure(error));
        }
    };
    config.failpoint.after(name);
    let mut states = ports.states.clone();
    let shown = states
        .wait_for(|state| state.index() >= applied.index)
        .await;
    if shown.is_err() {
        return Err(CommitError::Deposed("the replica has ended".to_owned()));
    }
    drop(shown);
    match applied.outcome.into_result() {
        Ok(done) => Ok(Committed {
            done,
            index: applied.index,
            permit,
        }),
        Err(refusal @ Refusal::StaleTerm { .. }) => Err(CommitError::Deposed(refusal.to_string())),
        Err(refusal) => Err(CommitError::Refused(refusal)),
    }
}
