//! How the simulated cluster comes to be: by the same commands, and the same changes
//! of the membership, as a real one. Certificates and keys are doubles.

use std::time::Duration;

use consensus::Replica;
use state::command::Newcomer;
use state::ports::{Clock, Members, MembersError, Propose};
use state::testing::{found as founding, newcomer};
use state::{Actor, Change, NodeId, Outcome, Role, outcome::Done};
use tokio::time::{Instant, sleep};

use crate::clock::MachineClock;
use crate::network::address;

/// Nothing disturbs the founding: it takes some seconds at most.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// Founds the cluster at `replica`, the first of `nodes`, and makes all voters.
pub(crate) async fn found(replica: &Replica, nodes: &[NodeId]) -> Result<(), String> {
    let deadline = Instant::now() + WITHIN;
    let Some((first, others)) = nodes.split_first() else {
        return Err("there are no nodes".into());
    };
    replica
        .form(&address(*first))
        .await
        .map_err(|error| error.to_string())?;
    let mut command = founding();
    command.founder = machine(*first);
    done(replica, Change::Found(Box::new(command))).await?;
    for node in others {
        admit(replica, *node).await?;
        let address = address(*node);
        until(deadline, || replica.add_learner(*node, &address)).await?;
    }
    until(deadline, || replica.set_voters(nodes.to_vec())).await
}

/// The machine of `node`, as its operator registers it.
pub(crate) fn machine(node: NodeId) -> Newcomer {
    let number = u8::try_from(node.0).unwrap_or(u8::MAX);
    Newcomer {
        peer_address: address(node),
        ..newcomer(number)
    }
}

/// Makes `node` a member, as an invitation would.
pub(crate) async fn admit(replica: &Replica, node: NodeId) -> Result<(), String> {
    let invite = Change::CreateInvitation {
        role: Role::Node,
        verifier: [u8::try_from(node.0).unwrap_or(u8::MAX); 32],
        expires_at: MachineClock.now().plus(WITHIN),
    };
    let Done::Invitation(invitation) = done(replica, invite).await? else {
        return Err("no invitation was made".into());
    };
    match done(
        replica,
        Change::AdmitNode {
            invitation,
            newcomer: machine(node),
        },
    )
    .await?
    {
        Done::Node(admitted) if admitted == node => Ok(()),
        other => Err(format!("node {node} was admitted as {other:?}")),
    }
}

/// Proposes as the operator at the machine itself; what was refused is an error.
pub(crate) async fn done(replica: &Replica, change: Change) -> Result<Done, String> {
    let applied = replica
        .propose(Actor::socket(), change)
        .await
        .map_err(|error| error.to_string())?;
    match applied.outcome {
        Outcome::Done(done) => Ok(done),
        Outcome::Refused(refusal) => Err(refusal.to_string()),
    }
}

/// Tries until it is done: a new learner needs a moment before it counts.
async fn until<F: Future<Output = Result<(), MembersError>>>(
    deadline: Instant,
    mut change: impl FnMut() -> F,
) -> Result<(), String> {
    loop {
        match change().await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error.to_string()),
            Err(_) => sleep(PAUSE).await,
        }
    }
}
