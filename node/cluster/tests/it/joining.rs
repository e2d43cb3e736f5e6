//! Tokens over a real admin port: who becomes a member, and who does not.

use std::{sync::Arc, time::Duration};

use cluster::{NodeCredential, facts::FactError, join::JoinError};
use enroll::{EnrollError, RootPin, Secret, Token, chain::ChainError, trust::TrustError};
use rustls::{ServerConfig, crypto::aws_lc_rs, server::ResolvesServerCert, version::TLS13};
use state::{
    Actor, Change, InvitationId, KeyPurpose, NodeId, Role, ports::Seal, sealed::SealContext,
};
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;

use crate::support::{Cluster, Machine, chain, init_request, listen};

fn enroll_error(error: JoinError) -> EnrollError {
    match error {
        JoinError::Enroll { source, .. } => source,
        other => panic!("{}", chain(&other)),
    }
}

#[tokio::test]
async fn a_machine_with_a_token_becomes_a_member_and_can_open_what_it_serves() {
    let cluster = Cluster::form().await;
    let machine = Machine::new("second").await;
    let identity = cluster
        .join_with(&machine, &cluster.invite(Role::Node))
        .await
        .unwrap();
    assert_eq!(identity.public.node, NodeId(2));
    assert_eq!(identity.public.cluster, cluster.id());
    let state = cluster.replica.state();
    let member = state.member(NodeId(2)).unwrap();
    assert_eq!(member.name, "second");
    assert_eq!(member.public_key, identity.keys.public_key());
    let seeds: Vec<_> = identity.public.seeds.iter().map(|seed| seed.node).collect();
    assert_eq!(seeds, [NodeId(1)]);

    let context = SealContext::CertificateKey(state::testing::host("shop.example"));
    let sealed = cluster
        .keyring
        .seal(KeyPurpose::Serving, &context, b"key")
        .unwrap();
    let entropy = Arc::new(cluster::SystemEntropy);
    let keyring = cluster::Keyring::new(&identity, entropy);
    assert_eq!(keyring.open(&sealed, &context).unwrap().expose(), b"key");
    let control = cluster
        .keyring
        .seal(KeyPurpose::Control, &SealContext::IssuingKey, b"k");
    keyring
        .open(&control.unwrap(), &SealContext::IssuingKey)
        .unwrap_err();
}

#[tokio::test]
async fn asking_again_with_the_same_key_admits_once_even_after_the_token_has_expired() {
    let cluster = Cluster::form().await;
    let machine = Machine::new("second").await;
    let token = cluster.invite(Role::Node);
    let before = machine.store.candidate().unwrap();
    assert!(before.is_none());
    let first = cluster.join_with(&machine, &token).await.unwrap();
    assert!(
        machine.store.candidate().unwrap().is_none(),
        "the answer was kept"
    );

    // The answer was lost instead: the keys are still there, the identity is not.
    let lost = cluster::identity::Candidate {
        for_token: (&token).into(),
        keys: first.keys.clone(),
    };
    machine.store.save_candidate(&lost).unwrap();
    std::fs::remove_file(machine.store.path().join("identity.json")).unwrap();
    cluster.clock.advance(Duration::from_secs(3600));
    let second = cluster.join_with(&machine, &token).await.unwrap();
    assert_eq!(second.public.node, first.public.node);
    assert_eq!(cluster.replica.state().members().count(), 2);
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused() {
    let cluster = Cluster::form().await;
    let good = || cluster.invite(Role::Node);
    let spent = good();
    cluster
        .join_with(&Machine::new("first-comer").await, &spent)
        .await
        .unwrap();
    let revoked = good();
    let revoke = Change::RevokeInvitation {
        id: InvitationId(revoked.invitation),
    };
    cluster.replica.apply(Actor::operator("test"), None, revoke);
    let expired = good();
    let other_role = cluster.invite(Role::Admin);
    cluster.clock.advance(Duration::from_secs(1000));
    let unknown = Token {
        invitation: 999,
        ..good()
    };
    let guessed = Token {
        secret: Secret::generate().unwrap(),
        ..good()
    };
    let cases = [
        ("spent", spent, "used already"),
        ("revoked", revoked, "revoked"),
        ("expired", expired, "expired"),
        ("an admin's", Token { ..other_role }, "another role"),
        ("unknown", unknown, "not valid"),
        ("guessed", guessed, "not valid"),
    ];
    for (what, token, words) in cases {
        let machine = Machine::new("late-comer").await;
        // An admin's token has run out as well; its role is looked at first.
        let error = cluster.join_with(&machine, &token).await.unwrap_err();
        assert!(!error.is_transient(), "{what}");
        assert!(chain(&error).contains(words), "{what}: {}", chain(&error));
        assert!(machine.store.load().unwrap().is_none(), "{what}");
    }
    assert_eq!(cluster.replica.state().members().count(), 2);
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let cluster = Cluster::form().await;
    let guess = || Token {
        secret: Secret::generate().unwrap(),
        ..cluster.invite(Role::Node)
    };
    let machine = Machine::new("guesser").await;
    for _ in 0..10 {
        let error = cluster.join_with(&machine, &guess()).await.unwrap_err();
        assert!(chain(&error).contains("not valid"), "{}", chain(&error));
    }
    let error = cluster
        .join_with(&machine, &cluster.invite(Role::Node))
        .await
        .unwrap_err();
    assert!(chain(&error).contains("wait"), "{}", chain(&error));
    cluster.clock.advance(Duration::from_secs(61));
    cluster
        .join_with(&machine, &cluster.invite(Role::Node))
        .await
        .unwrap();
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_with_another_root() {
    let (ours, theirs) = (Cluster::form().await, Cluster::form().await);
    let token = ours.invite(Role::Node);

    // Another cluster, as it is.
    let machine = Machine::new("second").await;
    let error = ours
        .join_at(&machine, &token, &theirs.admin_address)
        .await
        .unwrap_err();
    let error = enroll_error(error);
    assert!(
        matches!(error, EnrollError::Trust(TrustError::WrongRoot)),
        "{}",
        chain(&error)
    );

    // Somebody in the middle who shows our root behind a chain of its own.
    let mut forged = theirs.founder_identity.clone();
    forged.public.root = ours.founder_identity.public.root.clone();
    let (error, sent) = try_middle(&ours, &token, &forged).await;
    let chained = matches!(
        error,
        EnrollError::Trust(TrustError::Chain(ChainError::Untrusted(_)))
    );
    assert!(chained, "{}", chain(&error));
    assert_eq!(sent, 0, "bytes of the request");
}

/// Joins over a server that presents `identity`; tells the error and how many bytes
/// of a request arrived there.
async fn try_middle(
    cluster: &Cluster,
    token: &Token,
    identity: &cluster::Identity,
) -> (EnrollError, usize) {
    let credential: Arc<dyn ResolvesServerCert> = Arc::new(NodeCredential::new(identity).unwrap());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(credential);
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        match TlsAcceptor::from(Arc::new(config)).accept(stream).await {
            Ok(mut stream) => {
                let mut sent = Vec::new();
                let _ = stream.read_to_end(&mut sent).await;
                sent.len()
            }
            Err(_) => 0,
        }
    });
    let machine = Machine::new("second").await;
    let error = cluster
        .join_at(&machine, token, &address.to_string())
        .await
        .unwrap_err();
    (enroll_error(error), server.await.unwrap())
}

#[tokio::test]
async fn a_token_with_another_pin_or_cluster_does_not_even_ask() {
    let cluster = Cluster::form().await;
    let token = cluster.invite(Role::Node);
    let machine = Machine::new("second").await;
    let pinned = Token {
        root: RootPin([7; 32]),
        ..token.clone()
    };
    let error = enroll_error(cluster.join_with(&machine, &pinned).await.unwrap_err());
    assert!(
        matches!(error, EnrollError::Trust(TrustError::WrongRoot)),
        "{}",
        chain(&error)
    );
    let named = Token {
        cluster: [0; 4],
        ..token
    };
    let error = enroll_error(cluster.join_with(&machine, &named).await.unwrap_err());
    assert!(
        matches!(error, EnrollError::Trust(TrustError::WrongName)),
        "{}",
        chain(&error)
    );
}

#[tokio::test]
async fn a_joiner_believes_no_expired_server() {
    let cluster = Cluster::form().await;
    let machine = Machine::new("second").await;
    cluster.leader.abort();
    cluster.clock.advance(Duration::from_secs(8 * 86_400));
    let token = cluster.invite(Role::Node);
    let error = enroll_error(cluster.join_with(&machine, &token).await.unwrap_err());
    let expired = matches!(
        error,
        EnrollError::Trust(TrustError::Chain(ChainError::Expired))
    );
    assert!(expired, "{}", chain(&error));
}

#[tokio::test]
async fn names_and_keys_that_are_taken_or_unusable_are_refused() {
    let cluster = Cluster::form().await;
    let twin = Machine::new("founder").await;
    let error = cluster
        .join_with(&twin, &cluster.invite(Role::Node))
        .await
        .unwrap_err();
    assert!(
        chain(&error).contains("member of that name"),
        "{}",
        chain(&error)
    );

    let mut bad = Machine::new("second").await;
    bad.facts.name = "Not A Name".to_owned();
    let error = cluster
        .join_with(&bad, &cluster.invite(Role::Node))
        .await
        .unwrap_err();
    assert!(
        matches!(error, JoinError::Fact(FactError::NodeName)),
        "{}",
        chain(&error)
    );
}

#[tokio::test]
async fn without_a_leader_a_join_can_be_tried_again() {
    let cluster = Cluster::form().await;
    let nobody = Machine::new("second").await;
    let (listener, address) = listen().await;
    drop(listener);
    let token = cluster.invite(Role::Node);
    let error = cluster
        .join_at(&nobody, &token, &address.to_string())
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{}", chain(&error));
    assert!(
        nobody.store.candidate().unwrap().is_some(),
        "its keys are kept"
    );
}

#[tokio::test]
async fn the_founders_answer_can_be_asked_for_again_by_its_key_only() {
    let cluster = Cluster::form().await;
    let state = cluster.replica.state();
    let request = init_request(&cluster.admin_key);
    let reply = cluster::founding::answer(&state, &request.csr, "h:1").unwrap();
    assert_eq!((reply.node_id, &*reply.admin_address), (1, "h:1"));
    assert_eq!(reply.cluster_id, cluster.id().to_string());
    let stranger = init_request(&enroll::PrivateKey::generate().unwrap());
    assert_eq!(
        cluster::founding::answer(&state, &stranger.csr, "h:1"),
        None
    );
}
