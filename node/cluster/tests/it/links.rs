//! Links between members: committed keys and nothing else.

use std::{sync::Arc, time::Duration};

use cluster::{
    Identity, Links, NodeCredential, Roster, Upkeep,
    identity::NodeKeys,
    peer::LinkError,
    roster::{NotAMember, Standing},
    wire::Tcp,
};
use state::{
    Actor, Change, KeyPurpose, NodeId, Role, State, Term,
    ports::{Clock, Identities, NodeReport, Seal, ServingSet},
    sealed::SealContext,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    time::timeout,
};

use crate::support::{Cluster, Machine, Node, SOON, chain, eventually, until};

/// Somebody who presents `identity` and knows what the cluster knows.
fn caller(cluster: &Cluster, identity: &Identity) -> Links {
    let roster = Arc::new(Roster::new(identity));
    roster.follow(cluster.replica.states());
    let credential = Arc::new(NodeCredential::new(identity).unwrap());
    Links::new(roster, credential, Box::new(Tcp), cluster.clock.clone()).unwrap()
}

#[tokio::test]
async fn members_link_both_ways() {
    let cluster = Cluster::form().await;
    let founder = cluster.start_founder();
    let (_machine, _, second) = cluster.add("second").await;
    let there = founder.links.dial(NodeId(2), "").await.unwrap();
    assert_eq!(there.peer().node, NodeId(2));
    let back = second.links.dial(NodeId(1), "").await.unwrap();
    assert_eq!(back.peer().node, NodeId(1));
}

#[tokio::test]
async fn a_cluster_off_for_longer_than_its_certificates_links_again() {
    let cluster = Cluster::form().await;
    cluster.leader.abort();
    let founder = cluster.start_founder();
    let cluster_again = cluster.certifier.clone();
    let leader = crate::support::lead(cluster.replica.clone(), cluster_again);
    let (_machine, _, second) = cluster.add("second").await;
    leader.abort();
    cluster.clock.advance(Duration::from_secs(400 * 86_400));
    founder.links.dial(NodeId(2), "").await.unwrap();
    second.links.dial(NodeId(1), "").await.unwrap();
}

#[tokio::test]
async fn another_key_under_a_members_name_is_refused_by_both_ends() {
    let cluster = Cluster::form().await;
    let _founder = cluster.start_founder();
    let machine = Machine::new("second").await;
    let token = cluster.invite(Role::Node);
    let identity = cluster.join_with(&machine, &token).await.unwrap();

    // A certificate that our own CA signed for node 2, but for another key.
    let mut forged = identity.clone();
    forged.keys = NodeKeys::generate().unwrap();
    let state = cluster.replica.state();
    let mut member = (**state.member(NodeId(2)).unwrap()).clone();
    member.public_key = forged.keys.public_key().into();
    let now = cluster.clock.now();
    let change = cluster
        .certifier
        .certify_node(&state, &member, now)
        .unwrap();
    let Change::CertifyNode { certificate, .. } = change else {
        panic!("{change:?}");
    };
    forged.public.chain = vec![certificate.leaf, certificate.issuing];

    let refused = caller(&cluster, &forged)
        .dial(NodeId(1), "")
        .await
        .unwrap_err();
    assert!(
        matches!(refused, LinkError::Refused(NodeId(1))),
        "{}",
        chain(&refused)
    );
    let impostor = Node::start(
        &forged,
        &machine,
        &cluster.replica,
        cluster.replica.states(),
    );
    let founder = caller(&cluster, &cluster.founder_identity);
    let refused = founder.dial(NodeId(2), "").await.unwrap_err();
    let stranger = matches!(refused, LinkError::Stranger(NotAMember::Unknown));
    assert!(stranger, "{}", chain(&refused));
    drop(impostor);
}

#[tokio::test]
async fn a_member_at_anothers_address_is_not_taken_for_it() {
    let cluster = Cluster::form().await;
    let (machine, _, second) = cluster.add("second").await;
    let mut third = Machine::new("third").await;
    third.facts.peer_address = machine.facts.peer_address.clone();
    let token = cluster.invite(Role::Node);
    cluster.join_with(&third, &token).await.unwrap();
    let founder = caller(&cluster, &cluster.founder_identity);
    let refused = founder.dial(NodeId(3), "").await.unwrap_err();
    let other = NotAMember::Other {
        expected: NodeId(3),
        found: NodeId(2),
    };
    assert!(
        matches!(&refused, LinkError::Stranger(found) if *found == other),
        "{refused}"
    );
    drop(second);
}

#[tokio::test]
async fn a_removed_node_is_cut_off_refused_and_told() {
    let cluster = Cluster::form().await;
    let founder = cluster.start_founder();
    let (_machine, _, second) = cluster.add("second").await;
    let mut inbound = second.links.dial(NodeId(1), "").await.unwrap();
    let mut outbound = founder.links.dial(NodeId(2), "").await.unwrap();
    assert_eq!(*second.links.expelled().borrow(), None);

    // It does not hear of its own removal: its state stands still.
    let behind = watch::Sender::new(cluster.replica.state());
    let identity = _machine.store.load().unwrap().unwrap();
    let roster = Arc::new(Roster::new(&identity));
    roster.follow(behind.subscribe());
    let credential = Arc::new(NodeCredential::new(&identity).unwrap());
    let returning = Links::new(roster, credential, Box::new(Tcp), cluster.clock.clone()).unwrap();

    cluster.remove(NodeId(2));
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_secs(5), inbound.read_to_end(&mut rest)).await;
    let _how = ended.expect("the session is cut within 5 s");
    let ended = timeout(Duration::from_secs(5), outbound.write_all(&[0; 1024])).await;
    ended.expect("and in the other direction").unwrap_err();

    let refused = returning.dial(NodeId(1), "").await.unwrap_err();
    assert!(
        matches!(refused, LinkError::Expelled(NodeId(1))),
        "{}",
        chain(&refused)
    );
    assert_eq!(*returning.expelled().borrow(), Some(NodeId(1)));
    let gone = founder.links.dial(NodeId(2), "").await.unwrap_err();
    assert!(matches!(gone, LinkError::Removed(NodeId(2))), "{gone}");
}

#[tokio::test]
async fn a_newcomer_that_was_removed_before_it_had_any_state_is_told() {
    let cluster = Cluster::form().await;
    let founder = cluster.start_founder();
    let machine = Machine::new("second").await;
    let invitation = cluster.invite(Role::Node);
    let identity = cluster.join_with(&machine, &invitation).await.unwrap();
    let nothing = watch::Sender::new(Arc::new(State::default()));
    let newcomer = Node::start(&identity, &machine, &cluster.replica, nothing.subscribe());
    let report = eventually("its report", || async {
        let reports = founder.serving.reports();
        let of_newcomer = |report: &NodeReport| report.node == identity.public.node;
        reports
            .into_iter()
            .find(|it| of_newcomer(it) && !it.version.is_empty())
    });
    let faults = report.await.faults;
    assert_eq!(faults, ["it has not received the cluster's state yet"]);
    assert_eq!(*newcomer.links.expelled().borrow(), None);

    cluster.remove(identity.public.node);
    let mut expelled = newcomer.links.expelled();
    let told = timeout(SOON, expelled.wait_for(Option::is_some)).await;
    assert_eq!(*told.expect("it is told").unwrap(), Some(NodeId(1)));
}

#[tokio::test]
async fn whoever_was_admitted_while_a_node_was_away_is_believed_by_its_certificate() {
    let cluster = Cluster::form().await;
    let early = watch::Sender::new(cluster.replica.state());
    let away = Node::start(
        &cluster.founder_identity,
        &cluster.founder,
        &cluster.replica,
        early.subscribe(),
    );
    let (_machine, identity, later) = cluster.add("later").await;
    assert_eq!(away.roster.standing(NodeId(2)), Standing::Later);
    later.links.dial(NodeId(1), "").await.unwrap();

    // Such a certificate must hold by itself, dates included.
    cluster.leader.abort();
    cluster.clock.advance(Duration::from_secs(8 * 86_400));
    let refused = caller(&cluster, &identity)
        .dial(NodeId(1), "")
        .await
        .unwrap_err();
    assert!(
        matches!(refused, LinkError::Refused(NodeId(1))),
        "{}",
        chain(&refused)
    );
    early.send_replace(cluster.replica.state());
    later.links.dial(NodeId(1), "").await.unwrap();
}

#[tokio::test]
async fn a_newcomer_knows_its_seeds_until_its_state_knows_itself() {
    let cluster = Cluster::form().await;
    let _founder = cluster.start_founder();
    let machine = Machine::new("second").await;
    let token = cluster.invite(Role::Node);
    let identity = cluster.join_with(&machine, &token).await.unwrap();
    let empty = watch::Sender::default();
    let newcomer = Node::start(&identity, &machine, &cluster.replica, empty.subscribe());
    newcomer.links.dial(NodeId(1), "").await.unwrap();
    empty.send_replace(cluster.replica.state());
    assert!(matches!(
        newcomer.roster.standing(NodeId(1)),
        Standing::Member(_)
    ));
    newcomer.links.dial(NodeId(1), "").await.unwrap();
}

#[tokio::test]
async fn certificates_renew_at_half_their_life_and_are_presented_and_kept() {
    let cluster = Cluster::form().await;
    let (machine, identity, node) = cluster.add("second").await;
    let upkeep = Upkeep {
        identity: identity.clone(),
        store: machine.store.clone(),
        credential: node.credential.clone(),
        keyring: Arc::new(cluster::Keyring::new(
            &identity,
            Arc::new(cluster::SystemEntropy),
        )),
    };
    let task = tokio::spawn(upkeep.run(cluster.replica.states()));
    let before = node.credential.chain();
    cluster.clock.advance(Duration::from_secs(4 * 86_400));
    cluster
        .replica
        .apply(Actor::leader(), Some(Term(1)), Change::Confirm);
    let week = Duration::from_secs(7 * 86_400);
    let fresh = cluster.clock.now().plus(week);
    until(&cluster.replica, |state| {
        let member = state.member(NodeId(2)).unwrap();
        member.certificate.as_ref().unwrap().not_after == fresh
    })
    .await;
    eventually("the next certificate is presented", || async {
        (node.credential.chain() != before).then_some(())
    })
    .await;
    let state = cluster.replica.state();
    let member = state.member(NodeId(2)).unwrap();
    let leaf = member.certificate.as_ref().unwrap().leaf.clone();
    eventually("and kept", || async {
        let kept = machine.reopened().load().unwrap().unwrap();
        (kept.public.chain[0] == leaf).then_some(())
    })
    .await;
    assert_eq!(
        member.public_key,
        identity.keys.public_key(),
        "the key stays"
    );
    task.abort();
}

#[tokio::test]
async fn the_online_ca_renews_and_signs_under_the_same_root() {
    let cluster = Cluster::form().await;
    let before = cluster.replica.state().authority().unwrap().clone();
    cluster.clock.advance(Duration::from_secs(183 * 86_400));
    cluster
        .replica
        .apply(Actor::leader(), Some(Term(1)), Change::Confirm);
    let state = until(&cluster.replica, |state| {
        state.authority().unwrap().issuing != before.issuing
            && state
                .member(NodeId(1))
                .unwrap()
                .certificate
                .as_ref()
                .unwrap()
                .issuing
                != before.issuing
    })
    .await;
    assert_eq!(state.authority().unwrap().root, before.root);
    assert!(state.authority().unwrap().issuing_renew_at > cluster.clock.now());
}

#[tokio::test]
async fn a_rotated_key_seals_what_a_removed_node_cannot_open() {
    let cluster = Cluster::form().await;
    let (_second, second, _node) = cluster.add("second").await;
    let (machine, third, node) = cluster.add("third").await;
    let context = SealContext::CertificateKey(state::testing::host("shop.example"));
    let old = cluster
        .keyring
        .seal(KeyPurpose::Serving, &context, b"old")
        .unwrap();
    let keyring = Arc::new(cluster::Keyring::new(
        &third,
        Arc::new(cluster::SystemEntropy),
    ));
    keyring.follow(cluster.replica.states());
    let upkeep = Upkeep {
        identity: third,
        store: machine.store.clone(),
        credential: node.credential.clone(),
        keyring: keyring.clone(),
    };
    let task = tokio::spawn(upkeep.run(cluster.replica.states()));

    cluster.remove(NodeId(2));
    let state = cluster.replica.state();
    assert!(state.rotations_due().contains(&KeyPurpose::Serving));
    let holders = [NodeId(1), NodeId(3)];
    let rotate = cluster
        .certifier
        .rotate_data_key(&state, KeyPurpose::Serving, &holders);
    cluster
        .replica
        .apply(Actor::leader(), Some(Term(1)), rotate.unwrap());

    let new = cluster
        .keyring
        .seal(KeyPurpose::Serving, &context, b"new")
        .unwrap();
    assert_eq!((old.generation, new.generation), (1, 2));
    for (sealed, secret) in [(&old, b"old"), (&new, b"new")] {
        assert_eq!(keyring.open(sealed, &context).unwrap().expose(), secret);
    }
    let removed = cluster::Keyring::new(&second, Arc::new(cluster::SystemEntropy));
    removed.follow(cluster.replica.states());
    removed.open(&new, &context).unwrap_err();
    removed
        .seal(KeyPurpose::Serving, &context, b"x")
        .unwrap_err();

    let kept = timeout(SOON, async {
        eventually("the new key is kept", || async {
            let kept = machine.reopened().load().unwrap().unwrap();
            kept.data_keys
                .contains_key(&(KeyPurpose::Serving, 2))
                .then_some(kept)
        })
        .await
    });
    let restarted = cluster::Keyring::new(&kept.await.unwrap(), Arc::new(cluster::SystemEntropy));
    assert_eq!(restarted.open(&new, &context).unwrap().expose(), b"new");
    task.abort();
}
