//! Changes of some fields of a record: read, edit, and write on condition that nobody
//! else wrote in between.

use std::sync::Arc;

use state::{Change, Index, Refusal, State};
use tokio::time::{Instant, timeout_at};

use super::Desk;
use crate::{audit::Asked, limits, problem::Problem};

/// What a record is to become: its revision as it was read, and the change that is on
/// condition of that revision.
pub(super) type Planned = (Index, Change);

impl Desk {
    /// Carries out what `plan` makes of the present state, and answers with the state
    /// after it. Unless the caller named the revision it is planned anew, a few times, when
    /// something else was changed in between.
    pub(super) async fn edit(
        &self,
        asked: Asked,
        revision: Option<Index>,
        deadline: Instant,
        plan: impl Fn(&State) -> Result<Planned, Problem>,
    ) -> Result<Arc<State>, Problem> {
        let mut state = match revision {
            // The caller may have read it elsewhere: a revision is a place in the log.
            Some(revision) => self
                .state_at(revision, deadline)
                .await
                .unwrap_or_else(|_| self.state()),
            None => self.state(),
        };
        for last in (0..limits::EDITS_MAX).rev().map(|left| left == 0) {
            let (seen, change) = plan(&state)?;
            if revision.is_some_and(|named| named != seen) {
                let refusal = Refusal::RevisionMismatch { current: seen };
                let problem = Problem::refused(&refusal, &asked.what);
                self.audit.change(&asked, &Err(problem.clone()));
                return Err(problem);
            }
            match self.change(asked.clone(), change, deadline).await {
                Ok(changed) => return self.state_at(changed.index, deadline).await,
                Err(problem)
                    if problem.reason == "REVISION_MISMATCH" && revision.is_none() && !last =>
                {
                    let mut states = self.states.clone();
                    let moved = |state: &Arc<State>| {
                        plan(state).map_or(true, |(revision, _)| revision != seen)
                    };
                    let next = timeout_at(deadline, states.wait_for(moved)).await;
                    let Ok(Ok(next)) = next else {
                        return Err(problem);
                    };
                    state = next.clone();
                }
                Err(problem) => return Err(problem),
            }
        }
        Err(Problem::internal())
    }
}
