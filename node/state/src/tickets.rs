//! What session tickets are sealed with. The serving set hands it from member to member
//! and to the edge; it lives in memory only and never becomes part of the state, the log,
//! a snapshot or a backup.

use crate::{Secret, Timestamp};

/// The secrets of the epochs around now. They are the same on every node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketSecrets {
    /// The epoch whose secret seals now.
    pub sealing: u64,
    /// What is sealed now is not opened from then on.
    pub opens_until: Timestamp,
    /// By epoch: those that open, the sealing one among them.
    pub secrets: Vec<(u64, Secret)>,
}

impl TicketSecrets {
    /// The secret of an epoch, if it is not over and not far ahead.
    pub fn of(&self, epoch: u64) -> Option<&Secret> {
        let held = self.secrets.iter().find(|(held, _)| *held == epoch);
        held.map(|(_, secret)| secret)
    }
}
