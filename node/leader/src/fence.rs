//! The permission to send something that has an effect at the CA.
//!
//! That an intent is committed is not enough: a leader that was cut off can learn of its
//! commit many seconds after another has taken over. So each permission also ends by the
//! machine's own clock, and holds only while a quorum acknowledges this leader. It is
//! checked right before bytes are written, never earlier.

use std::{fmt, sync::Arc, time::Duration};

use state::{
    Term,
    ports::{Clock, Lease},
};

/// How long a permission lasts, from before its intent was proposed. Together with
/// [`USER_TIMEOUT`] it is less than [`FINALIZE_WAIT`]: what an old leader could still
/// send has arrived or died when the next one sends the same again.
pub const PERMIT_LIFE: Duration = Duration::from_secs(3);

/// How long written bytes may stay unacknowledged before the kernel drops them with their
/// connection (`TCP_USER_TIMEOUT`).
pub const USER_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a new leader waits after its takeover before it finalizes an order that its
/// predecessor may have finalized: a permission's life, the kernel's patience, and two
/// seconds for clocks of different speed and the CA's own queues.
pub const FINALIZE_WAIT: Duration = Duration::from_secs(8);

const _: () = assert!(
    FINALIZE_WAIT.as_millis() >= PERMIT_LIFE.as_millis() + USER_TIMEOUT.as_millis() + 2000,
    "the wait outlasts what the predecessor may still have in flight"
);

/// The permission that a committed intent gives to the leader of a term, for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    term: Term,
    deadline: Duration,
}

impl Permit {
    /// For an intent of `term` whose proposal began at `before` by [`Clock::boottime`].
    pub fn new(term: Term, before: Duration) -> Self {
        Self {
            term,
            deadline: before.saturating_add(PERMIT_LIFE),
        }
    }
}

/// Tells whether a [`Permit`] still holds.
#[derive(Clone)]
pub struct Fence {
    lease: Arc<dyn Lease>,
    clock: Arc<dyn Clock>,
}

impl Fence {
    /// A fence by this node's lease and clock.
    pub fn new(lease: Arc<dyn Lease>, clock: Arc<dyn Clock>) -> Self {
        Self { lease, clock }
    }

    /// Whether bytes may leave at this instant. Never waits.
    ///
    /// # Errors
    /// [`Shut`] says why not.
    pub fn check(&self, permit: &Permit) -> Result<(), Shut> {
        if self.clock.boottime() >= permit.deadline {
            return Err(Shut::Late);
        }
        if !self.lease.holds(permit.term) {
            return Err(Shut::Deposed);
        }
        Ok(())
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fence")
    }
}

/// Why a request was not sent. Nothing of it left this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shut {
    /// Too long since the intent was proposed.
    #[error("the permission to send has expired")]
    Late,
    /// The term has changed, or no quorum acknowledged this leader lately.
    #[error("this node may lead no more")]
    Deposed,
    /// A request with an effect came without a permission.
    #[error("a request with an effect came without a permission")]
    Unasked,
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::testing::ManualClock;
    use std::sync::atomic::{AtomicBool, Ordering};

    struct Switch(AtomicBool);

    impl Lease for Switch {
        fn holds(&self, term: Term) -> bool {
            self.0.load(Ordering::SeqCst) && term == Term(4)
        }
    }

    #[test]
    fn a_permission_ends_by_time_by_term_and_by_lease() {
        let clock = Arc::new(ManualClock::default());
        let lease = Arc::new(Switch(AtomicBool::new(true)));
        let fence = Fence::new(lease.clone(), clock.clone());
        let permit = Permit::new(Term(4), clock.boottime());
        assert_eq!(fence.check(&permit), Ok(()));
        let older = Permit::new(Term(3), clock.boottime());
        assert_eq!(fence.check(&older), Err(Shut::Deposed));

        clock.advance(Duration::from_millis(2_999));
        assert_eq!(fence.check(&permit), Ok(()));
        lease.0.store(false, Ordering::SeqCst);
        assert_eq!(fence.check(&permit), Err(Shut::Deposed));
        lease.0.store(true, Ordering::SeqCst);
        clock.advance(Duration::from_millis(1));
        assert_eq!(fence.check(&permit), Err(Shut::Late));
    }
}
