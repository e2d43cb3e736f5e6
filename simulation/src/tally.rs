//! How much a run has seen: a simulation in which nothing goes wrong proves nothing.

use std::collections::BTreeSet;
use std::fmt;

use state::ports::{Applied, Leadership};
use state::{Index, Outcome, Term};

use crate::deed::Deed;
use crate::events::{Event, What};
use crate::operation::Answer;

/// Counts of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls made.
    pub asked: u64,
    /// Writes that took effect.
    pub done: u64,
    /// Writes that the state refused.
    pub refused: u64,
    /// Linearizable reads.
    pub read: u64,
    /// Calls that were certainly not proposed.
    pub not_proposed: u64,
    /// Calls whose outcome nobody knows.
    pub unknown: u64,
    /// Changes that a disk had not made durable when its machine lost power.
    pub lost_changes: usize,
    /// Machines that lost their disk, and did not start again for it.
    pub disks_lost: u64,
    /// Bits that flipped on a disk.
    pub rotted: u64,
    /// Snapshots that a replica installed because it lagged behind the log's begin.
    pub snapshots: u64,
    /// Replicas that ran again by themselves after their disk had failed.
    pub resumed: u64,
    /// Handovers of leadership that were asked for and came about.
    pub transferred: u64,
    /// Machines that were switched on after the founding began.
    pub entered: u64,
    /// Members that were removed, and ended.
    pub expelled: u64,
    /// Orders at the CA.
    pub orders: u64,
    /// Certificates that it issued.
    pub certificates: u64,
    /// Troubles that began.
    pub troubles: u64,
    /// Terms in which somebody led.
    pub terms: u64,
    /// The last index published anywhere.
    pub index: u64,
    led: BTreeSet<Term>,
}

impl Tally {
    pub(crate) fn note(&mut self, event: &Event) {
        match &event.what {
            What::Asked { .. } => self.asked += 1,
            What::Answered { answer, .. } => match answer {
                Answer::Applied(Applied {
                    outcome: Outcome::Done(_),
                    ..
                }) => self.done += 1,
                Answer::Applied(Applied {
                    outcome: Outcome::Refused(_),
                    ..
                }) => self.refused += 1,
                Answer::Read(..) => self.read += 1,
                Answer::Transferred(_) => self.transferred += 1,
                Answer::NotProposed(_) => self.not_proposed += 1,
                Answer::Unknown => self.unknown += 1,
            },
            What::Applied { state, .. } => {
                let Index(index) = state.index();
                self.index = self.index.max(index);
            }
            What::Led {
                leadership: Leadership::Leading(term),
                ..
            } => {
                self.led.insert(*term);
                self.terms = self.led.len() as u64;
            }
            What::Crashed { lost, .. } => self.lost_changes += lost,
            What::Ca(Deed::Ordered { .. }) => self.orders += 1,
            What::Ca(Deed::Issued { .. }) => self.certificates += 1,
            What::Entered { .. } => self.entered += 1,
            What::Expelled { .. } => self.expelled += 1,
            What::Rotted { .. } => self.rotted += 1,
            What::Refused { .. } => self.disks_lost += 1,
            What::Troubled { .. } => self.troubles += 1,
            What::Resumed { .. } => self.resumed += 1,
            _ => {}
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls: {} done, {} refused, {} read, {} not proposed, {} unknown, {} transferred; \
             {} orders, {} certificates; {} entered, {} expelled; {} troubles, {} terms, index {}, \
             {} snapshots installed, {} changes lost, {} disks lost, \
             {} rotted, {} resumed",
            self.asked,
            self.done,
            self.refused,
            self.read,
            self.not_proposed,
            self.unknown,
            self.transferred,
            self.orders,
            self.certificates,
            self.entered,
            self.expelled,
            self.troubles,
            self.terms,
            self.index,
            self.snapshots,
            self.lost_changes,
            self.disks_lost,
            self.rotted,
            self.resumed
        )
    }
}
