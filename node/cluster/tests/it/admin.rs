//! Operators: from a token to a certificate, and what the admin port makes of it.

use std::{sync::Arc, time::Duration};

use cluster::{AdminConnection, AdminPort, NodeCredential, operators::AdminError};
use enroll::{Credential, EnrollError, OperatorRole, PrivateKey, Session, Token, Trust};
use rustls::{
    pki_types::{CertificateDer, UnixTime},
    time_provider::TimeProvider,
};
use state::{
    Role,
    ports::{Clock, Identities},
    testing::ManualClock,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::server::Connected;

use crate::support::{Cluster, Machine, chain, listen};

#[derive(Debug)]
struct Time(Arc<ManualClock>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let now = Duration::from_secs(self.0.now().as_secs());
        Some(UnixTime::since_unix_epoch(now))
    }
}

async fn login(
    cluster: &Cluster,
    token: &Token,
    key: &PrivateKey,
    name: &str,
) -> Result<enroll::Login, EnrollError> {
    let stream = enroll::session::dial(&cluster.admin_address).await?;
    let time = Arc::new(Time(cluster.clock.clone()));
    let now = time.current_time().unwrap();
    let session = Session::open(stream, Trust::of_token(token), time).await?;
    session.login(token, key, name, now).await
}

/// Who the admin port says that somebody with this credential is.
async fn shown(
    cluster: &Cluster,
    credential: Option<Credential>,
) -> Result<AdminConnection, AdminError> {
    let port = AdminPort::new(
        cluster.roster(),
        Arc::new(NodeCredential::new(&cluster.founder_identity).unwrap()),
        cluster.clock.clone(),
    )
    .unwrap();
    let (listener, address) = listen().await;
    let time = Arc::new(Time(cluster.clock.clone()));
    let config = match credential {
        Some(credential) => credential.client_config(time).unwrap(),
        None => {
            let trust = Trust::Known {
                root: cluster.founder_identity.public.root(),
                cluster: cluster.id().0,
            };
            trust.client_config(None, time).unwrap()
        }
    };
    let caller = tokio::spawn(async move {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = "unused.example".try_into().unwrap();
        let tls = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await;
        tls.ok()
    });
    let (stream, from) = listener.accept().await.unwrap();
    let accepted = port.accept(Box::new(stream), from, None).await;
    let _open = caller.await.unwrap();
    accepted.map(|stream| stream.connect_info())
}

fn credential(login: &enroll::Login, key: PrivateKey) -> Credential {
    Credential {
        cluster: login.cluster,
        root: login.root.clone(),
        chain: login.chain.clone(),
        key: Arc::new(key),
    }
}

#[tokio::test]
async fn a_token_becomes_an_operator_whom_the_admin_port_knows() {
    let cluster = Cluster::form().await;
    for (role, expected) in [
        (Role::Admin, OperatorRole::Admin),
        (Role::Viewer, OperatorRole::Viewer),
    ] {
        let (token, key) = (cluster.invite(role), PrivateKey::generate().unwrap());
        let first = login(&cluster, &token, &key, "Zoë").await.unwrap();
        assert_eq!((first.role, &*first.name), (expected, "Zoë"));
        assert_eq!(first.admin_addresses.join(" "), cluster.admin_address);
        let again = login(&cluster, &token, &key, "Zoë").await.unwrap();
        assert_eq!(
            again.operator, first.operator,
            "the same key, the same operator"
        );
        let other = login(&cluster, &token, &PrivateKey::generate().unwrap(), "x").await;
        let error = other.unwrap_err();
        assert!(chain(&error).contains("used already"), "{}", chain(&error));

        let connection = shown(&cluster, Some(credential(&first, key)))
            .await
            .unwrap();
        let operator = connection.operator.unwrap();
        assert_eq!((operator.role, &*operator.name), (role, "Zoë"));
        assert_eq!(operator.operator.0, first.operator);
    }
}

#[tokio::test]
async fn the_founders_administrator_is_known() {
    let cluster = Cluster::form().await;
    let csr = cluster.admin_key.request().unwrap();
    let reply = cluster::founding::answer(&cluster.replica.state(), &csr, "").unwrap();
    let granted = reply.credential.unwrap();
    let credential = Credential {
        cluster: cluster.id().0,
        root: CertificateDer::from(granted.root.to_vec()),
        chain: enroll::session::certificates(&granted.certificate_chain),
        key: Arc::new(PrivateKey::from_pkcs8(&cluster.admin_key.to_pkcs8()).unwrap()),
    };
    let operator = shown(&cluster, Some(credential))
        .await
        .unwrap()
        .operator
        .unwrap();
    assert_eq!((operator.role, &*operator.name), (Role::Admin, "founder"));
}

#[tokio::test]
async fn a_caller_without_a_certificate_is_nobody() {
    let cluster = Cluster::form().await;
    let connection = shown(&cluster, None).await.unwrap();
    assert_eq!(connection.operator, None);
    assert_ne!(connection.exporter, [0; 32]);
}

#[tokio::test]
async fn certificates_that_are_not_an_operators_of_this_cluster_are_refused() {
    let (cluster, other) = (Cluster::form().await, Cluster::form().await);
    let key = PrivateKey::generate().unwrap();
    let granted = login(&cluster, &cluster.invite(Role::Admin), &key, "a")
        .await
        .unwrap();
    let stranger_key = PrivateKey::generate().unwrap();
    let stranger = login(&other, &other.invite(Role::Admin), &stranger_key, "a")
        .await
        .unwrap();
    let stranger = Credential {
        cluster: granted.cluster,
        root: granted.root.clone(),
        ..credential(&stranger, stranger_key)
    };
    let refused = shown(&cluster, Some(stranger)).await.unwrap_err();
    assert!(
        chain(&refused).contains("root"),
        "another cluster's: {}",
        chain(&refused)
    );

    let machine = Machine::new("second").await;
    let member = cluster
        .join_with(&machine, &cluster.invite(Role::Node))
        .await
        .unwrap();
    let node = Credential {
        cluster: granted.cluster,
        root: granted.root.clone(),
        chain: member.public.presented(),
        key: member.keys.tls.clone(),
    };
    let refused = shown(&cluster, Some(node)).await.unwrap_err();
    assert!(
        chain(&refused).contains("does not name"),
        "a node's: {}",
        chain(&refused)
    );

    cluster.leader.abort();
    cluster.clock.advance(Duration::from_secs(91 * 86_400));
    let state = cluster.replica.state();
    let founder = state.member(state::NodeId(1)).unwrap();
    let change = cluster
        .certifier
        .certify_node(&state, founder, cluster.clock.now())
        .unwrap();
    let state::Change::CertifyNode { certificate, .. } = change else {
        panic!("{change:?}");
    };
    let mut renewed = cluster;
    renewed.founder_identity.public.chain = vec![certificate.leaf, certificate.issuing];
    let refused = shown(&renewed, Some(credential(&granted, key)))
        .await
        .unwrap_err();
    assert!(
        chain(&refused).contains("expired"),
        "an old one: {}",
        chain(&refused)
    );
}
