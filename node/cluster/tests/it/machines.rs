//! Machines that a cloud vouches for, over a real admin port.

use async_trait::async_trait;
use cluster::join::{JoinError, MachineError, ThisMachine};
use enroll::EnrollError;
use proto::cluster::v1 as wire;
use state::{Actor, Change, FeatureLevel, NodeId, Term};

use crate::{
    cloud::Cloud,
    support::{Cluster, Machine, chain},
};

fn refused(error: JoinError) -> String {
    match error {
        JoinError::Enroll {
            source: EnrollError::Refused(why),
            ..
        } => why,
        other => panic!("{}", chain(&other)),
    }
}

#[tokio::test]
async fn a_machine_that_the_cloud_vouches_for_becomes_a_member_and_asking_again_admits_once() {
    let cluster = Cluster::form().await;
    let machine = Machine::new("second").await;
    let error = cluster.join_vouched(&machine).await.unwrap_err();
    assert!(refused(error).contains("no such machine"));
    cluster.cloud.has("second", "i-2");
    let first = cluster.join_vouched(&machine).await.unwrap();
    let state = cluster.replica.state();
    let member = state.member(first.public.node).unwrap();
    assert_eq!(member.machine.as_deref(), Some("i-2"));
    assert_eq!(member.public_key, first.keys.public_key());

    // The answer was lost: the keys are still there, the identity is not.
    let lost = cluster::identity::Candidate {
        for_token: cluster::identity::Invited {
            cluster: cluster.id().0[..4].try_into().unwrap(),
            invitation: None,
        },
        keys: first.keys.clone(),
    };
    machine.store.save_candidate(&lost).unwrap();
    std::fs::remove_file(machine.store.path().join("identity.json")).unwrap();
    let second = cluster.join_vouched(&machine).await.unwrap();
    assert_eq!(second.public.node, first.public.node);
    assert_eq!(cluster.replica.state().members().count(), 2);
}

#[tokio::test]
async fn a_machine_whose_member_was_removed_or_lost_its_keys_is_not_let_in_again() {
    let cluster = Cluster::form().await;
    cluster.cloud.has("second", "i-2");
    let machine = Machine::new("second").await;
    let identity = cluster.join_vouched(&machine).await.unwrap();
    let emptied = Machine::new("second").await;
    let error = cluster.join_vouched(&emptied).await.unwrap_err();
    assert!(refused(error).contains("machine"));
    cluster.remove(identity.public.node);
    let error = cluster.join_vouched(&emptied).await.unwrap_err();
    assert!(refused(error).contains("machine"));
    // An operator decides otherwise.
    let token = cluster.invite(state::Role::Node);
    let again = cluster.join_with(&emptied, &token).await.unwrap();
    assert_eq!(again.public.node, NodeId(3));
}

/// Shows what was made for another connection.
struct Replayed;

#[async_trait]
impl ThisMachine for Replayed {
    async fn sponsors(&self) -> Result<Vec<String>, MachineError> {
        Ok(Vec::new())
    }

    async fn prove(&self, digest: &[u8; 32]) -> Result<wire::MachineProof, MachineError> {
        let mut other = *digest;
        other[0] ^= 1;
        Cloud::default().prove(&other).await
    }
}

#[tokio::test]
async fn what_was_made_for_another_connection_lets_nobody_in() {
    let cluster = Cluster::form().await;
    cluster.cloud.has("second", "i-2");
    let machine = Machine::new("second").await;
    let error = cluster.join_proven(&machine, &Replayed).await.unwrap_err();
    assert!(refused(error).contains("made for another"));
    assert_eq!(cluster.replica.state().members().count(), 1);
}

#[tokio::test]
async fn a_program_that_knows_less_than_all_members_is_not_let_in() {
    let cluster = Cluster::form().await;
    let raise = Change::RaiseLevel {
        level: FeatureLevel(FeatureLevel::NEWEST.0 + 1),
        members: vec![NodeId(1)],
    };
    cluster.replica.apply(Actor::leader(), Some(Term(1)), raise);
    let machine = Machine::new("second").await;
    let token = cluster.invite(state::Role::Node);
    let error = cluster.join_with(&machine, &token).await.unwrap_err();
    let told = refused(error);
    assert!(told.contains("feature level 3"), "{told}");
    assert!(told.contains("install the version"), "{told}");
}
