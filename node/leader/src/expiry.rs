//! Clearing away what ended: invitations, and certificates that are served no more.

use state::{Change, Due, State, Timestamp};

use crate::reign::{CommitError, Reign};

/// Most things cleared away in one round: the next follows at once, and orders' commits
/// come between.
const ROUND: usize = 64;

/// What may go at `now`.
pub(crate) fn plan(state: &State, now: Timestamp) -> Vec<Change> {
    let ended = state.due(now).filter_map(|(_, due)| match due {
        Due::Forget(id) => Some(Change::ForgetCertificate { id: **id }),
        Due::Sweep(id) => Some(Change::SweepInvitation { id: *id }),
        Due::Bury(hostname) => Some(Change::ForgetTombstone {
            hostname: hostname.clone(),
        }),
        Due::Order(..) | Due::Check(_) | Due::Contest(_) | Due::Revoke(_) => None,
    });
    ended.take(ROUND).collect()
}

/// Commits them.
pub(crate) async fn act(reign: &Reign, changes: Vec<Change>) -> Result<(), CommitError> {
    for change in changes {
        match reign.commit(change).await {
            // Gone already, or not due by the clock that stamped it.
            Ok(_) | Err(CommitError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::{
        Actor, InvitationId, Role,
        testing::{Alone, ManualClock, START},
    };
    use std::{sync::Arc, time::Duration};

    #[test]
    fn an_invitation_goes_a_day_after_its_end_and_no_order_is_touched() {
        let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
        alone.authorize("shop.example");
        let hour = Duration::from_secs(3_600);
        let change = Change::CreateInvitation {
            role: Role::Node,
            verifier: [1; 32],
            expires_at: START.plus(hour),
        };
        alone.apply(Actor::operator("ann"), None, change);
        assert_eq!(plan(&alone.state(), START.plus(24 * hour)), []);
        let sweep = Change::SweepInvitation {
            id: InvitationId(1),
        };
        assert_eq!(plan(&alone.state(), START.plus(25 * hour)), [sweep]);
    }
}
