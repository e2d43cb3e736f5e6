//! What a scenario's tasks mean at the time they are done: which hostname, which
//! invitation, which member there is to do it to.

use std::collections::BTreeMap;

use state::ports::Applied;
use state::testing::host;
use state::{Hostname, InvitationId, NodeId, Outcome, Role, State, outcome::Done};

use crate::operation::{Answer, Op, Operation};
use crate::scenario::Task;
use crate::troubles::round;

/// Calls in flight: far below what a replica turns away, enough to be coalesced.
pub(crate) const IN_FLIGHT_MAX: usize = 24;

/// Nobody takes members out of a cluster that is as small as this.
const MEMBERS_MIN: usize = 3;

/// No more machines than this at a time.
const MEMBERS_MAX: usize = 8;

/// Makes calls of tasks.
#[derive(Debug)]
pub(crate) struct Workload {
    /// How often a name was given up, because nobody knows what became of it.
    spoilt: BTreeMap<String, u64>,
    invitations: Vec<InvitationId>,
    drawn: u64,
    machines: u64,
    named: u64,
}

/// A call to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) op: Op,
    pub(crate) node: NodeId,
    pub(crate) operation: Operation,
}

impl Workload {
    /// `machines` founded the cluster.
    pub(crate) fn new(machines: u64) -> Self {
        Self {
            spoilt: BTreeMap::new(),
            invitations: Vec::new(),
            drawn: 0,
            machines,
            named: 0,
        }
    }

    /// The hostname that `name` stands for at present.
    fn hostname(&self, name: &str) -> Hostname {
        match self.spoilt.get(name) {
            None => host(&format!("{name}.example")),
            Some(times) => host(&format!("{name}-{times}.example")),
        }
    }

    /// What `task` asks now at `node`, of members as in `state`; nothing if there is
    /// nothing to do it to.
    pub(crate) fn call(&mut self, task: &Task, node: NodeId, state: &State) -> Option<Call> {
        let operation = self.operation(task, state)?;
        Some(Call {
            op: self.op(),
            node,
            operation,
        })
    }

    fn operation(&mut self, task: &Task, state: &State) -> Option<Operation> {
        let staying = state.members().filter(|member| !member.leaving);
        let members: Vec<NodeId> = staying.map(|member| member.id).collect();
        Some(match task {
            Task::Authorize(name) => Operation::Authorize(self.hostname(name)),
            Task::Remove(name) => Operation::Remove(self.hostname(name)),
            Task::Read(name) => Operation::Read(self.hostname(name)),
            Task::Reissue(name) => Operation::Reissue(self.hostname(name)),
            Task::SetOrigin => Operation::SetOrigin,
            Task::Invite => Operation::Invite(Role::Viewer),
            Task::Revoke(place) => Operation::Revoke(round(&self.invitations, *place)?),
            Task::Join if members.len() < MEMBERS_MAX => Operation::Join(self.machine()),
            Task::Spend(place) => {
                let spent = state.invitations().filter(|it| it.redemption.is_some());
                let spent: Vec<InvitationId> = spent.map(|it| it.id).collect();
                Operation::Spend(round(&spent, *place)?, self.machine())
            }
            Task::Expel(place) if members.len() > MEMBERS_MIN => {
                Operation::Expel(round(&members, *place)?)
            }
            Task::Transfer(place) => {
                let voters: Vec<NodeId> = state.voters().iter().copied().collect();
                Operation::Transfer(Some(round(&voters, *place)?))
            }
            Task::Join | Task::Expel(_) => return None,
        })
    }

    fn machine(&mut self) -> u64 {
        self.machines += 1;
        self.machines
    }

    fn op(&mut self) -> Op {
        self.drawn += 1;
        Op(self.drawn)
    }

    /// One more write at `node`, of a hostname that nobody used before.
    pub(crate) fn fresh(&mut self, node: NodeId) -> Call {
        self.named += 1;
        let hostname = host(&format!("fresh-{}.example", self.named));
        Call {
            op: self.op(),
            node,
            operation: Operation::Authorize(hostname),
        }
    }

    /// The removal of `node`, asked for at another.
    pub(crate) fn removal(&mut self, at: NodeId, node: NodeId) -> Call {
        Call {
            op: self.op(),
            node: at,
            operation: Operation::Expel(node),
        }
    }

    /// Learns from an answer: what to revoke, and which name is spoilt, because
    /// nobody knows what became of it.
    pub(crate) fn answered(&mut self, operation: &Operation, answer: &Answer) {
        match (operation, answer) {
            (
                Operation::Invite(_),
                Answer::Applied(Applied {
                    outcome: Outcome::Done(Done::Invitation(id)),
                    ..
                }),
            ) => self.invitations.push(*id),
            (Operation::Authorize(hostname) | Operation::Remove(hostname), Answer::Unknown) => {
                let mut parts = hostname.as_str().trim_end_matches(".example").split('-');
                if let (Some(kind), Some(number)) = (parts.next(), parts.next()) {
                    let name = format!("{kind}-{number}");
                    if self.hostname(&name) == *hostname {
                        *self.spoilt.entry(name).or_default() += 1;
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_unknown_standing_is_given_up() {
        let mut workload = Workload::new(3);
        let state = State::default();
        let task = Task::Authorize("shop-1".into());
        let mut call = || {
            let call = workload.call(&task, NodeId(1), &state).unwrap();
            workload.answered(&call.operation, &Answer::Unknown);
            call.operation.to_string()
        };
        assert_eq!(call(), "authorize shop-1.example");
        assert_eq!(call(), "authorize shop-1-1.example");
        assert_eq!(call(), "authorize shop-1-2.example");
    }

    #[test]
    fn a_small_cluster_loses_nobody() {
        let mut workload = Workload::new(3);
        let task = Task::Expel(0);
        assert_eq!(workload.call(&task, NodeId(1), &State::default()), None);
    }
}
