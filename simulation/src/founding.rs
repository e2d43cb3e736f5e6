//! How the simulated cluster comes to be, and how machines enter it later: by the same
//! commands as a real one. Who takes part in Raft is left to the leader. Certificates and
//! keys are doubles.

use std::net::IpAddr;
use std::time::Duration;

use consensus::Replica;
use state::command::Newcomer;
use state::ports::{Applied, Members, Propose};
use state::testing::{START, found as founding, newcomer};
use state::{
    Actor, Change, InvitationId, Limit, LimitKind, NodeId, Outcome, OwnershipPolicy, Role,
    outcome::Done,
};
use tokio::time::{Instant, sleep};

use crate::dns::BALANCER;
use crate::machine::World;
use crate::operation::{Answer, Op};
use crate::scenario::Allowance;

/// Nothing disturbs the founding: it takes some seconds at most.
pub(crate) const WITHIN: Duration = Duration::from_secs(30);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// How long an invitation lasts: longer than any clock is off.
const INVITED_FOR: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Founds the cluster at `replica`, the first of `machines`, admits the others and waits
/// until as many vote as shall.
pub(crate) async fn found(
    replica: &Replica,
    world: &World,
    machines: &[u64],
) -> Result<(), String> {
    let deadline = Instant::now() + WITHIN;
    let Some((first, others)) = machines.split_first() else {
        return Err("there are no machines".into());
    };
    let formed = replica.form(&newcomer_of(*first).peer_address).await;
    formed.map_err(|error| error.to_string())?;
    let mut command = founding();
    command.founder = newcomer_of(*first);
    if let Some(ca) = &mut command.ca {
        ca.settings.trust_roots_pem.clone_from(&world.root_pem);
        ca.settings.limits = world.orders.iter().map(limit).collect();
    }
    command.zone.addresses = vec![IpAddr::V4(BALANCER)];
    if world.proof {
        command.zone.ownership = OwnershipPolicy::Proof;
    }
    done(replica, Change::Found(Box::new(command))).await?;
    for machine in others {
        let node = admit(replica, *machine).await?;
        world.roll.enrol(*machine, node);
    }
    let wanted = machines.len().min(5);
    let wanted = wanted - usize::from(wanted.is_multiple_of(2));
    loop {
        let configuration = replica.configuration();
        let members = configuration.voters.len() + configuration.learners.len();
        if configuration.voters.len() == wanted && members == machines.len() && !configuration.joint
        {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(format!("the members are {configuration:?}"));
        }
        sleep(PAUSE).await;
    }
}

fn limit(allowance: &Allowance) -> Limit {
    Limit {
        kind: LimitKind::Orders,
        burst: allowance.burst,
        refill: Duration::from_millis(allowance.refill),
    }
}

/// A machine, as its operator registers it.
pub(crate) fn newcomer_of(machine: u64) -> Newcomer {
    let number = u8::try_from(machine).unwrap_or(u8::MAX);
    Newcomer {
        peer_address: format!("machine-{machine}:7443"),
        ..newcomer(number)
    }
}

/// Makes a right to enter.
pub(crate) fn invite(machine: u64) -> Change {
    Change::CreateInvitation {
        role: Role::Node,
        verifier: [u8::try_from(machine).unwrap_or(u8::MAX); 32],
        expires_at: START.plus(INVITED_FOR),
    }
}

/// What spends it.
pub(crate) fn spend(invitation: InvitationId, machine: u64) -> Change {
    Change::AdmitNode {
        invitation,
        newcomer: newcomer_of(machine),
    }
}

async fn admit(replica: &Replica, machine: u64) -> Result<NodeId, String> {
    let Done::Invitation(invitation) = done(replica, invite(machine)).await? else {
        return Err("no invitation was made".into());
    };
    match done(replica, spend(invitation, machine)).await? {
        Done::Node(node) => Ok(node),
        other => Err(format!("machine {machine} was admitted as {other:?}")),
    }
}

/// Invites a machine and lets it in.
pub(crate) async fn join(replica: &Replica, op: Op, machine: u64) -> Answer {
    let invited = replica.propose(Actor::socket(), invite(machine)).await;
    let invitation = match invited {
        Ok(Applied {
            outcome: Outcome::Done(Done::Invitation(invitation)),
            ..
        }) => invitation,
        Ok(_) => return Answer::NotProposed("no invitation was made"),
        Err(error) => return Answer::of_error(&error),
    };
    let admitted = replica
        .propose(op.actor(), spend(invitation, machine))
        .await;
    Answer::of_proposal(admitted)
}

/// Proposes as the operator at the machine itself; what was refused is an error.
async fn done(replica: &Replica, change: Change) -> Result<Done, String> {
    let applied = replica
        .propose(Actor::socket(), change)
        .await
        .map_err(|error| error.to_string())?;
    match applied.outcome {
        Outcome::Done(done) => Ok(done),
        Outcome::Refused(refusal) => Err(refusal.to_string()),
    }
}
