//! Members come and go: from an admission to a voter, and from a removal to new keys.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use state::{
    Actor, Change, HpkeSealed, InvitationId, IssuedCertificate, KeyPurpose, Member, NodeId,
    Operator, Role, State, Timestamp,
    ports::{Configuration, Identities, IdentitiesError, Members, MembersError},
    testing::{START, newcomer},
};
use tokio::time::sleep;

use crate::world::{Fate, World};

/// Raft's membership, which takes its time.
#[derive(Default)]
struct Raft {
    configuration: Mutex<Configuration>,
    changes: Mutex<Vec<String>>,
}

impl Raft {
    async fn change(&self, what: String, edit: impl FnOnce(&mut Configuration)) {
        assert!(!self.configuration().joint, "one change at a time: {what}");
        self.configuration.lock().unwrap().joint = true;
        self.changes.lock().unwrap().push(what);
        sleep(Duration::from_millis(50)).await;
        let mut configuration = self.configuration.lock().unwrap();
        configuration.joint = false;
        edit(&mut configuration);
    }

    fn changes(&self) -> Vec<String> {
        std::mem::take(&mut *self.changes.lock().unwrap())
    }
}

#[async_trait]
impl Members for Raft {
    fn configuration(&self) -> Configuration {
        self.configuration.lock().unwrap().clone()
    }

    fn lag(&self, _: NodeId) -> Option<u64> {
        Some(3)
    }

    async fn add_learner(&self, node: NodeId, address: &str) -> Result<(), MembersError> {
        let what = format!("learner {node} at {address}");
        self.change(what, |it| it.learners.push(node)).await;
        Ok(())
    }

    async fn set_voters(&self, voters: Vec<NodeId>) -> Result<(), MembersError> {
        let what = format!("voters {voters:?}");
        let edit = |it: &mut Configuration| {
            let all = [it.voters.clone(), it.learners.clone()].concat();
            it.learners = all.into_iter().filter(|id| !voters.contains(id)).collect();
            it.voters = voters;
        };
        self.change(what, edit).await;
        Ok(())
    }

    async fn remove_learner(&self, node: NodeId) -> Result<(), MembersError> {
        let what = format!("without {node}");
        let edit = |it: &mut Configuration| it.learners.retain(|learner| *learner != node);
        self.change(what, edit).await;
        Ok(())
    }

    async fn transfer(&self, target: Option<NodeId>) -> Result<NodeId, MembersError> {
        let what = format!("transfer to {target:?}");
        self.changes.lock().unwrap().push(what);
        Err(MembersError::Unknown)
    }
}

/// Makes certificates and copies of nothing.
struct Mint;

fn issued(now: Timestamp) -> IssuedCertificate {
    IssuedCertificate {
        leaf: Bytes::from_static(b"leaf"),
        issuing: Bytes::from_static(b"issuing"),
        not_after: now.plus(Duration::from_secs(7 * 86_400)),
        renew_at: Some(now.plus(Duration::from_secs(7 * 43_200))),
    }
}

fn sealed() -> HpkeSealed {
    HpkeSealed {
        encapsulated: Bytes::new(),
        ciphertext: Bytes::new(),
    }
}

impl Identities for Mint {
    fn certify_node(
        &self,
        _: &State,
        member: &Member,
        now: Timestamp,
    ) -> Result<Change, IdentitiesError> {
        Ok(Change::CertifyNode {
            node: member.id,
            certificate: issued(now),
        })
    }

    fn certify_operator(
        &self,
        _: &State,
        operator: &Operator,
        now: Timestamp,
    ) -> Result<Change, IdentitiesError> {
        Ok(Change::CertifyOperator {
            operator: operator.id,
            certificate: issued(now),
        })
    }

    fn renew_issuing(&self, _: &State, _: Timestamp) -> Result<Change, IdentitiesError> {
        Err(IdentitiesError::Unusable("it is not due".to_owned()))
    }

    fn share_data_key(
        &self,
        member: &Member,
        purpose: KeyPurpose,
        generation: u32,
    ) -> Result<Change, IdentitiesError> {
        Ok(Change::ShareDataKey {
            node: member.id,
            purpose,
            generation,
            sealed: sealed(),
        })
    }

    fn rotate_data_key(
        &self,
        state: &State,
        purpose: KeyPurpose,
        holders: &[NodeId],
    ) -> Result<Change, IdentitiesError> {
        let present = state.current_data_key(purpose).unwrap().generation;
        Ok(Change::RotateDataKey {
            purpose,
            generation: present + 1,
            sealed_for: holders.iter().map(|node| (*node, sealed())).collect(),
        })
    }
}

fn admit(world: &World, number: u8) {
    let invite = Change::CreateInvitation {
        role: Role::Node,
        verifier: [1; 32],
        expires_at: START.plus(Duration::from_secs(3_600)),
    };
    world.alone.apply(Actor::operator("ann"), None, invite);
    let change = Change::AdmitNode {
        invitation: InvitationId(u64::from(number) - 1),
        newcomer: newcomer(number),
    };
    world.alone.apply(Actor::node(NodeId(1)), None, change);
}

fn holders(state: &State) -> Vec<(KeyPurpose, u32, Vec<u64>)> {
    let keys = state.data_keys();
    keys.map(|key| {
        let holders = key.sealed_for.keys().map(|node| node.0).collect();
        (key.purpose, key.generation, holders)
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn members_join_vote_leave_and_take_no_key_along() {
    use KeyPurpose::{Control, Serving};
    let raft = Arc::new(Raft::default());
    raft.configuration.lock().unwrap().voters.push(NodeId(1));
    let mut world = World::new();
    world.members = raft.clone();
    world.identities = Arc::new(Mint);
    let mut leader = world.lead(Fate::Lives);

    admit(&world, 2);
    leader.linger(Duration::from_secs(10)).await;
    assert_eq!(raft.changes(), ["learner 2 at 127.0.0.2:7443"]);
    assert!(
        world
            .state()
            .member(NodeId(2))
            .unwrap()
            .certificate
            .is_some()
    );
    let two = vec![(Serving, 1, vec![1, 2]), (Control, 1, vec![1])];
    assert_eq!(holders(&world.state()), two);

    admit(&world, 3);
    leader.linger(Duration::from_secs(10)).await;
    let changes = raft.changes();
    let voters = "voters [NodeId(1), NodeId(2), NodeId(3)]";
    assert_eq!(changes, ["learner 3 at 127.0.0.3:7443", voters]);
    let three = vec![(Serving, 1, vec![1, 2, 3]), (Control, 1, vec![1, 2, 3])];
    assert_eq!(holders(&world.state()), three);

    let remove = Change::RemoveNode { node: NodeId(3) };
    world.alone.apply(Actor::operator("ann"), None, remove);
    leader.until(|state| state.is_removed(NodeId(3))).await;
    leader.linger(Duration::from_secs(10)).await;
    assert_eq!(
        raft.changes(),
        ["voters [NodeId(1), NodeId(2)]", "without 3"]
    );
    let both = vec![1, 2];
    let rotated = vec![
        (Serving, 1, both.clone()),
        (Serving, 2, both.clone()),
        (Control, 1, both.clone()),
        (Control, 2, both),
    ];
    assert_eq!(holders(&world.state()), rotated);
}

#[tokio::test(start_paused = true)]
async fn a_leaving_leader_hands_over_and_says_what_keeps_it() {
    let raft = Arc::new(Raft::default());
    let voters = [1, 2, 3].map(NodeId);
    raft.configuration.lock().unwrap().voters.extend(voters);
    let mut world = World::new();
    world.members = raft.clone();
    world.identities = Arc::new(Mint);
    admit(&world, 2);
    admit(&world, 3);
    let leader = world.lead(Fate::Lives);
    leader.linger(Duration::from_secs(2)).await;
    let remove = Change::RemoveNode { node: NodeId(1) };
    world.alone.apply(Actor::operator("ann"), None, remove);
    leader.linger(Duration::from_secs(2)).await;
    let changes = raft.changes();
    assert_eq!(changes.first().unwrap(), "transfer to Some(NodeId(2))");
    assert!(changes.len() <= 3, "it rests between tries: {changes:?}");
    let status = leader.running.status();
    let duty = &status.duties[&leader::status::Duty::Membership];
    assert!(duty.error.as_ref().unwrap().contains("unknown"), "{duty:?}");
    assert!(!world.state().is_removed(NodeId(1)));
}
