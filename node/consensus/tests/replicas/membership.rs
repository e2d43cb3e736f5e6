//! Members that come and go.

use std::time::Duration;

use consensus::Config;
use state::ports::{Members, MembersError, Propose};
use state::{Actor, Change, Done, NodeId, Role, Timestamp};
use tokio::time::timeout;

use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_becomes_a_learner_and_leaves() {
    let world = World::founded(3, Config::default()).await;
    let (id, leader) = world.leader().await;
    let gone = NodeId(1 + id % 3);
    let stay: Vec<NodeId> = (1..=3).map(NodeId).filter(|node| *node != gone).collect();
    let refused = leader.remove_learner(gone).await.unwrap_err();
    assert!(matches!(refused, MembersError::Refused(_)), "{refused}");
    leader.set_voters(stay.clone()).await.unwrap();
    until("it is a learner", || {
        leader.configuration().learners == [gone]
    })
    .await;
    leader.remove_learner(gone).await.unwrap();
    until("it is gone", || leader.configuration().learners.is_empty()).await;
    assert_eq!(leader.configuration().voters, stay);
    world.write(id, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_would_lose_the_quorum_or_the_leader_is_refused() {
    let mut world = World::founded(3, Config::default()).await;
    let (id, leader) = world.leader().await;
    let others: Vec<NodeId> = (1..=3).filter(|node| *node != id).map(NodeId).collect();
    for voters in [others, vec![], vec![NodeId(id), NodeId(8), NodeId(9)]] {
        let refused = leader.set_voters(voters).await.unwrap_err();
        assert!(matches!(refused, MembersError::Refused(_)), "{refused}");
    }
    let refused = world
        .replica(1 + id % 3)
        .set_voters(vec![NodeId(1)])
        .await
        .unwrap_err();
    assert_eq!(refused, MembersError::NotLeader(Some(NodeId(id))));
    world.add_node(4).await;
    world.stop(4).await;
    world.add_learner(4).await;
    let refused = leader
        .set_voters((1..=4).map(NodeId).collect())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, MembersError::Refused(_)),
        "a learner that has nothing: {refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_node_is_refused_by_those_who_know() {
    let world = World::founded(3, Config::default()).await;
    let (id, leader) = world.leader().await;
    let term = world.term(id);
    leader
        .propose_as(term, Change::TakeOver { node: NodeId(id) })
        .await
        .unwrap();
    // The state's own members: nodes 2 and 3 enter by invitation.
    for number in 2..=3 {
        let invite = Change::CreateInvitation {
            role: Role::Node,
            verifier: [number; 32],
            expires_at: Timestamp(u64::MAX),
        };
        let Ok(Done::Invitation(invitation)) =
            world.propose(id, invite).await.outcome.into_result()
        else {
            panic!("no invitation")
        };
        let newcomer = state::testing::newcomer(number);
        let admitted = world
            .propose(
                id,
                Change::AdmitNode {
                    invitation,
                    newcomer,
                },
            )
            .await
            .outcome;
        assert_eq!(
            admitted.into_result(),
            Ok(Done::Node(NodeId(u64::from(number))))
        );
    }
    let gone = if id == 3 { 2 } else { 3 };
    let removed = world.replica(gone);
    leader
        .set_voters((1..=3).filter(|node| *node != gone).map(NodeId).collect())
        .await
        .unwrap();
    leader.remove_learner(NodeId(gone)).await.unwrap();
    world
        .propose(id, Change::RemoveNode { node: NodeId(gone) })
        .await;
    let finished = leader
        .propose_as(term, Change::FinishRemoval { node: NodeId(gone) })
        .await
        .unwrap();
    assert!(finished.outcome.into_result().is_ok());
    assert!(removed.barrier().await.is_err());
    assert!(
        removed
            .propose(Actor::operator("test"), crate::world::authorize(9))
            .await
            .is_err()
    );
    world.write(id, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_in_the_leaders_log_alone_is_not_said_to_be_done() {
    let world = World::founded(3, Config::default()).await;
    let (id, leader) = world.leader().await;
    let gone = NodeId(1 + id % 3);
    let stay: Vec<NodeId> = (1..=3).map(NodeId).filter(|node| *node != gone).collect();
    leader.set_voters(stay).await.unwrap();
    until("it is a learner", || {
        leader.configuration().learners == [gone]
    })
    .await;
    world.gates.isolate(id);
    let first = leader.clone();
    let first = tokio::spawn(async move { first.remove_learner(gone).await });
    // Whoever plans by what is agreed on asks again, and again.
    for _ in 0..5 {
        let asked = timeout(Duration::from_millis(300), leader.remove_learner(gone)).await;
        assert!(!matches!(asked, Ok(Ok(()))), "it was said to be done");
        assert_eq!(leader.configuration().learners, [gone]);
    }
    assert!(!matches!(first.await, Ok(Ok(()))), "nobody agreed on it");
}
