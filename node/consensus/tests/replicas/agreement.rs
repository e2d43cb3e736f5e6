//! Writing, reading, restarting.

use std::time::Duration;

use consensus::Config;
use state::ports::{Bodies, Lease, Propose, ProposeError};
use state::{Actor, Change, Done, FeatureLevel, Hostname, NodeId, Outcome, Refusal, Term};
use tokio::time::Instant;

use crate::world::{World, authorize, name, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_through_any_node_is_applied_there_and_on_all() {
    let world = World::founded(3, Config::default()).await;
    let mut last = None;
    for (number, id) in [1, 2, 3, 1, 2, 3].into_iter().enumerate() {
        let applied = world.write(id, number as u64).await.unwrap();
        assert_eq!(applied.outcome, Outcome::DONE);
        let state = world.state(id);
        assert!(state.index() >= applied.index && state.hostname(&name(number as u64)).is_some());
        last = Some(applied.index);
    }
    world.converge(&[1, 2, 3], last.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_an_outcome() {
    let world = World::founded(1, Config::default()).await;
    let hostname: Hostname = state::testing::host("absent.customer.example");
    let applied = world
        .propose(
            1,
            Change::RemoveHostname {
                hostname,
                revision: None,
            },
        )
        .await;
    assert!(
        matches!(applied.outcome, Outcome::Refused(Refusal::NotFound(_))),
        "{applied:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_of_a_higher_level_enters_no_log_before_the_level_is_agreed_on() {
    let world = World::founded(3, Config::default()).await;
    let (leader, _) = world.leader().await;
    let follower = 1 + leader % 3;
    let admit = || Change::AdmitMachine {
        machine: "machine".to_owned(),
        newcomer: state::testing::newcomer(9),
    };
    let needs = admit().level();
    let is = FeatureLevel::FIRST;
    let before = world.write(leader, 1).await.unwrap().index;
    for node in [leader, follower] {
        let answer = world
            .replica(node)
            .propose(Actor::operator("test"), admit())
            .await;
        assert_eq!(answer, Err(ProposeError::Level { needs, is }));
    }
    let index = world.write(leader, 2).await.unwrap().index;
    assert_eq!(index.0, before.0 + 1, "nothing stands between");

    let members = world.state(leader).members().map(|it| it.id).collect();
    let raise = Change::RaiseLevel {
        level: needs,
        members,
    };
    let term = world.term(leader);
    let take_over = Change::TakeOver {
        node: NodeId(leader),
    };
    let duties = [take_over, raise].into_iter();
    for duty in duties {
        let applied = world.replica(leader).propose_as(term, duty).await.unwrap();
        assert_ne!(applied.outcome, Outcome::Refused(Refusal::NotDue));
    }
    let index = world.write(leader, 3).await.unwrap().index;
    world.converge(&[follower], index).await;
    let applied = world.propose(follower, admit()).await;
    assert!(
        matches!(applied.outcome, Outcome::Done(Done::Node(_))),
        "{applied:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_barrier_on_any_node_sees_what_was_acknowledged_before() {
    let world = World::founded(3, Config::default()).await;
    for number in 0..10 {
        let applied = world.write(1 + number % 3, number).await.unwrap();
        let reader = 1 + (number + 1) % 3;
        assert!(world.replica(reader).barrier().await.unwrap() >= applied.index);
        assert!(world.state(reader).hostname(&name(number)).is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_stopped_and_started_again_have_what_they_had() {
    let mut world = World::founded(3, Config::default()).await;
    let mut index = None;
    for number in 0..20 {
        index = Some(world.write(1, number).await.unwrap().index);
    }
    for id in 1..=3 {
        world.stop(id).await;
    }
    for id in 1..=3 {
        world.start(id).await.unwrap();
        assert!(
            world.state(id).hostname_count() > 0,
            "the state is there before anybody answers"
        );
    }
    world.leader().await;
    world.replica(1).barrier().await.unwrap();
    world.converge(&[1, 2, 3], index.unwrap()).await;
    for id in 1..=3 {
        let state = world.state(id);
        assert_eq!(state.hostname_count(), 20);
        let host = state::testing::host(&name(7));
        let events = world
            .replica(id)
            .events(&host, state.hostname(&name(7)).unwrap())
            .unwrap();
        assert!(!events.is_empty(), "bodies are there, too");
    }
    world.write(2, 100).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duties_are_never_forwarded_and_end_with_their_term() {
    let world = World::founded(3, Config::default()).await;
    let (id, leader) = world.leader().await;
    let term = world.term(id);
    let follower = world.replica(1 + id % 3);
    let node = NodeId(id);
    let error = follower
        .propose_as(term, Change::Confirm)
        .await
        .unwrap_err();
    assert!(matches!(error, ProposeError::NotLeader(_)), "{error:?}");
    let error = leader
        .propose_as(Term(term.0 + 1), Change::Confirm)
        .await
        .unwrap_err();
    assert!(matches!(error, ProposeError::NotLeader(_)), "{error:?}");
    let refused = leader
        .propose_as(term, Change::Confirm)
        .await
        .unwrap()
        .outcome;
    assert!(
        matches!(refused, Outcome::Refused(Refusal::StaleTerm { .. })),
        "no takeover yet: {refused:?}"
    );
    let taken = leader
        .propose_as(term, Change::TakeOver { node })
        .await
        .unwrap()
        .outcome;
    assert!(taken.into_result().is_ok());
    assert_eq!(
        leader
            .propose_as(term, Change::Confirm)
            .await
            .unwrap()
            .outcome,
        Outcome::DONE
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_nothing_is_acknowledged_and_the_answer_comes_in_time() {
    let world = World::founded(3, Config::default()).await;
    let (id, leader) = world.leader().await;
    let term = world.term(id);
    until("the leader has its lease", || leader.holds(term)).await;
    assert!(
        !world.replica(1 + id % 3).holds(term),
        "a follower has none"
    );
    world.gates.isolate(id);
    let begun = Instant::now();
    let (write, read) = tokio::join!(world.write(id, 1), leader.barrier());
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        matches!(write, Err(ProposeError::Unknown | ProposeError::NoLeader)),
        "{write:?}"
    );
    assert!(read.is_err(), "{read:?}");
    assert!(!leader.holds(term), "cut off, it has no lease");
    // What was unknown may come true; what others agree on stays.
    world.gates.heal();
    let other = 1 + id % 3;
    let applied = world
        .replica(other)
        .propose(Actor::operator("test"), authorize(2))
        .await
        .unwrap();
    world.converge(&[1, 2, 3], applied.index).await;
}
