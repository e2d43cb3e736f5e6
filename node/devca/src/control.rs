//! The hand on a running CA: how it behaves, what it does wrong, what it did.

pub(crate) mod http;

use tokio::sync::{mpsc, oneshot, watch};

use crate::behaviour::Behaviour;
use crate::command::{Command, CommandError};
use crate::config::Clocks;
use crate::engine::{Event, SharedCore};
use crate::fault::{Fault, FaultReport};
use crate::ledger::Ledger;
use crate::limits::LimitName;
use crate::post::Post;

/// Changes and reads a running CA; clones act on the same one.
#[derive(Clone)]
pub struct Control {
    pub(crate) core: SharedCore,
    pub(crate) clocks: Clocks,
    /// Weak, so that a hand left somewhere does not keep the CA alive.
    pub(crate) events: mpsc::WeakSender<Event>,
    /// Whether the door says nothing ([`Behaviour::black_hole`]).
    pub(crate) silent: watch::Sender<bool>,
}

impl Control {
    /// How the CA behaves.
    pub fn behaviour(&self) -> Behaviour {
        self.core.lock().behaviour().clone()
    }

    /// Lets the CA behave otherwise from the next request on.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.adjust(|present| *present = behaviour);
    }

    /// Changes a part of how the CA behaves. Nothing else happens at the CA meanwhile, so
    /// that `change` must not wait for it.
    pub fn adjust(&self, change: impl FnOnce(&mut Behaviour)) {
        let mut core = self.core.lock();
        let mut behaviour = core.behaviour().clone();
        change(&mut behaviour);
        self.silent.send_replace(behaviour.black_hole);
        core.set_behaviour(behaviour);
    }

    /// Puts a fault in force.
    pub fn inject(&self, fault: Fault) {
        self.core.lock().inject(fault);
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.core.lock().clear_faults();
    }

    /// The faults in force and what they did.
    pub fn faults(&self) -> Vec<FaultReport> {
        self.core.lock().faults()
    }

    /// What the CA did so far, as of now.
    pub fn ledger(&self) -> Ledger {
        self.core.lock().ledger(self.clocks.moment().timestamp())
    }

    /// The newest POSTs, oldest first.
    pub fn posts(&self) -> Vec<Post> {
        self.core.lock().posts()
    }

    /// How many tokens a bucket has; none when it is not limited.
    pub fn left(&self, limit: LimitName, key: &str) -> Option<u64> {
        let core = self.core.lock();
        let limits = &core.behaviour().limits;
        core.meter().left(limits, limit, key, self.clocks.moment())
    }

    /// Lets all paused names of an account go on; how many there were.
    pub fn unpause(&self, account: &str) -> usize {
        self.core.lock().unpause(account)
    }

    /// Does something to the CA's records.
    ///
    /// # Errors
    /// When what it is about does not exist, or the CA has stopped.
    pub async fn command(&self, command: Command) -> Result<(), CommandError> {
        let events = self.events.upgrade().ok_or(CommandError::Stopped)?;
        let (reply, answered) = oneshot::channel();
        let event = Event::Command { command, reply };
        let sent = events.send(event).await;
        sent.map_err(|_| CommandError::Stopped)?;
        answered.await.unwrap_or(Err(CommandError::Stopped))
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}
