use enroll::{
    Leaf,
    chain::{self, ChainError, Usage},
};
use rustls::pki_types::UnixTime;
use state::testing::START;

use super::*;
use crate::entropy::SystemEntropy;

const CLUSTER: ClusterId = ClusterId([5; 16]);

struct Pki {
    root: MadeAuthority,
    issuing: MadeAuthority,
    node: IssuedCertificate,
    operator: IssuedCertificate,
}

fn pki() -> Pki {
    let root = MadeAuthority::root(CLUSTER, START, &SystemEntropy).unwrap();
    let signing = root.signing().unwrap();
    let issuing = MadeAuthority::issuing(&signing, CLUSTER, START, &SystemEntropy).unwrap();
    let signing = issuing.signing().unwrap();
    let key = PrivateKey::generate().unwrap().public_key();
    let node = signing
        .sign_node(CLUSTER, NodeId(3), &key, START, &SystemEntropy)
        .unwrap();
    let names = OperatorNames {
        id: OperatorId(9),
        name: "Zoë",
        role: OperatorRole::Viewer,
    };
    let operator = signing.sign_operator(CLUSTER, &names, &key, START, &SystemEntropy);
    Pki {
        root,
        issuing,
        node,
        operator: operator.unwrap(),
    }
}

fn der(bytes: &Bytes) -> CertificateDer<'static> {
    CertificateDer::from(bytes.to_vec())
}

fn at(moment: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(moment.as_secs()))
}

fn verify(pki: &Pki, leaf: &IssuedCertificate, now: Timestamp, usage: Usage) -> Option<ChainError> {
    let issuing = [der(&leaf.issuing)];
    let root = der(&pki.root.certificate);
    chain::verify(&der(&leaf.leaf), &issuing, &root, at(now), usage).err()
}

#[test]
fn certificates_lead_to_the_root_within_their_dates() {
    let pki = pki();
    let (early, late) = (START.minus(BACKDATED * 2), START.plus(NODE_VALIDITY * 2));
    assert_eq!(verify(&pki, &pki.node, START, Usage::Server), None);
    assert_eq!(verify(&pki, &pki.node, START, Usage::Client), None);
    assert_eq!(
        verify(&pki, &pki.node, START.minus(BACKDATED / 2), Usage::Client),
        None
    );
    assert_eq!(verify(&pki, &pki.operator, late, Usage::Client), None);
    assert_eq!(
        verify(&pki, &pki.node, late, Usage::Client),
        Some(ChainError::Expired)
    );
    assert_eq!(
        verify(&pki, &pki.node, early, Usage::Client),
        Some(ChainError::NotYetValid)
    );
    let server = verify(&pki, &pki.operator, START, Usage::Server);
    assert!(
        matches!(server, Some(ChainError::Untrusted(_))),
        "{server:?}"
    );
    let stranger = Pki {
        root: self::pki().root,
        ..pki
    };
    let wrong = verify(&stranger, &stranger.node, START, Usage::Client);
    assert!(matches!(wrong, Some(ChainError::Untrusted(_))), "{wrong:?}");
}

#[test]
fn a_leaf_cannot_sign() {
    let pki = pki();
    let key = PrivateKey::generate().unwrap();
    let signing = pki.issuing.signing().unwrap();
    let public = key.public_key();
    let node = signing
        .sign_node(CLUSTER, NodeId(3), &public, START, &SystemEntropy)
        .unwrap();
    let rogue = SigningAuthority::new(node.leaf.clone(), &key.to_pkcs8(), node.not_after);
    let forged = rogue
        .unwrap()
        .sign_node(CLUSTER, NodeId(4), &public, START, &SystemEntropy)
        .unwrap();
    let chain = [der(&node.leaf), der(&node.issuing)];
    let root = der(&pki.root.certificate);
    chain::verify(&der(&forged.leaf), &chain, &root, at(START), Usage::Client).unwrap_err();
}

#[test]
fn names_are_the_policys() {
    let pki = pki();
    let node = Leaf::read(&der(&pki.node.leaf)).unwrap();
    assert_eq!(node.subject(), Some((CLUSTER.0, Subject::Node(3))));
    assert_eq!(
        node.hosts,
        [node_host(&CLUSTER.0, 3), cluster_host(&CLUSTER.0)]
    );
    let operator = Leaf::read(&der(&pki.operator.leaf)).unwrap();
    let role = OperatorRole::Viewer;
    assert_eq!(
        operator.subject(),
        Some((CLUSTER.0, Subject::Operator { role, id: 9 }))
    );
    assert!(operator.hosts.is_empty());
}

#[test]
fn what_is_stored_of_dates_is_what_is_signed() {
    let pki = pki();
    for (issued, renew) in [(&pki.node, true), (&pki.operator, false)] {
        let leaf = Leaf::read(&der(&issued.leaf)).unwrap();
        assert_eq!(leaf.not_after.unsigned_abs(), issued.not_after.as_secs());
        assert_eq!(issued.renew_at.is_some(), renew);
    }
    assert_eq!(pki.node.renew_at, Some(START.plus(NODE_VALIDITY / 2)));
    assert_eq!(pki.issuing.renew_at, START.plus(ISSUING_VALIDITY / 2));
}

#[test]
fn nothing_outlives_its_issuer() {
    let pki = pki();
    let late = pki.issuing.not_after.minus(Duration::from_secs(86_400));
    let key = PrivateKey::generate().unwrap().public_key();
    let signing = pki.issuing.signing().unwrap();
    let node = signing
        .sign_node(CLUSTER, NodeId(3), &key, late, &SystemEntropy)
        .unwrap();
    assert_eq!(node.not_after, pki.issuing.not_after);
}
