//! What operators do meanwhile, drawn from the seed.

use state::ports::Applied;
use state::{Hostname, InvitationId, NodeId, Outcome, Role, outcome::Done};

use crate::chance::Chance;
use crate::operation::{Answer, Op, Operation};

/// Few names, so that calls meet.
const NAMES: usize = 8;

/// Calls in flight: far below what a replica turns away, enough to be coalesced.
pub(crate) const IN_FLIGHT_MAX: usize = 24;

/// Invitations that may be revoked; older ones are left alone.
const INVITATIONS_MAX: usize = 32;

/// Draws calls.
#[derive(Debug)]
pub(crate) struct Workload {
    chance: Chance,
    names: Vec<Hostname>,
    invitations: Vec<InvitationId>,
    drawn: u64,
    named: u64,
    /// A call or more begins in one of so many steps.
    one_in: u64,
}

/// A call to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) op: Op,
    pub(crate) node: NodeId,
    pub(crate) operation: Operation,
}

impl Workload {
    pub(crate) fn new(mut chance: Chance) -> Self {
        let one_in = chance.between(8, 60);
        let mut workload = Self {
            chance,
            names: Vec::new(),
            invitations: Vec::new(),
            drawn: 0,
            named: 0,
            one_in,
        };
        workload.names = (0..NAMES).filter_map(|_| workload.name()).collect();
        workload
    }

    fn name(&mut self) -> Option<Hostname> {
        self.named += 1;
        Hostname::parse(&format!("shop-{}.example", self.named)).ok()
    }

    /// The calls of this step, at nodes that are up.
    pub(crate) fn due(&mut self, up: &[NodeId], in_flight: usize) -> Vec<Call> {
        if !self.chance.one_in(self.one_in) {
            return Vec::new();
        }
        let room = IN_FLIGHT_MAX.saturating_sub(in_flight) as u64;
        let count = self.chance.between(1, 4).min(room);
        (0..count).filter_map(|_| self.call(up)).collect()
    }

    fn call(&mut self, up: &[NodeId]) -> Option<Call> {
        let node = *self.chance.pick(up)?;
        let operation = self.operation()?;
        Some(Call {
            op: self.op(),
            node,
            operation,
        })
    }

    fn operation(&mut self) -> Option<Operation> {
        let name = self.chance.pick(&self.names).cloned()?;
        let invitation = self.chance.pick(&self.invitations).copied();
        let role = self.chance.pick(&Role::ALL).copied()?;
        Some(match (self.chance.between(0, 99), invitation) {
            (0..35, _) => Operation::Authorize(name),
            (35..60, _) => Operation::Remove(name),
            (60..70, _) => Operation::SetOrigin,
            (70..74, Some(id)) => Operation::Revoke(id),
            (70..80, _) => Operation::Invite(role),
            _ => Operation::Read,
        })
    }

    fn op(&mut self) -> Op {
        self.drawn += 1;
        Op(self.drawn)
    }

    /// One more write at `node`, of a hostname that nobody used before.
    pub(crate) fn fresh(&mut self, node: NodeId) -> Option<Call> {
        let hostname = self.name()?;
        Some(Call {
            op: self.op(),
            node,
            operation: Operation::Authorize(hostname),
        })
    }

    /// Learns from an answer: what to revoke, and which name is spoilt, because
    /// nobody knows what became of it.
    pub(crate) fn answered(&mut self, operation: &Operation, answer: &Answer) {
        match (operation, answer) {
            (
                _,
                Answer::Applied(Applied {
                    outcome: Outcome::Done(Done::Invitation(id)),
                    ..
                }),
            ) => {
                if self.invitations.len() == INVITATIONS_MAX {
                    self.invitations.remove(0);
                }
                self.invitations.push(*id);
            }
            (_, Answer::Unknown) => {
                if let Some(place) = self
                    .names
                    .iter()
                    .position(|name| Some(name) == operation.hostname())
                {
                    self.names.remove(place);
                    let name = self.name();
                    self.names.extend(name);
                }
            }
            _ => {}
        }
    }
}
