//! Nodes that meet in the parameter store: one founds, the others are let in.

use std::{fs, io, path::PathBuf, time::Duration};

use enroll::PrivateKey;
use hyper_util::rt::TokioIo;
use proto::{
    admin::v1::{CreateInvitationRequest, Role, invitations_client::InvitationsClient},
    cluster::v1::{AcmeDirectory, InitReply, InitRequest, bootstrap_client::BootstrapClient},
};
use tokio::{
    net::UnixStream,
    time::{Instant, sleep, timeout},
};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use crate::{
    daemon::{Node, REGION, WITHIN},
    kms::make_key,
};

/// A channel to the node's own socket.
async fn socket(node: &Node) -> Channel {
    let stream = UnixStream::connect(node.data().join("hostquorumd.sock"))
        .await
        .unwrap();
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_| {
        let stream = stream.take();
        async move { stream.ok_or_else(|| io::Error::other("the node hung up")) }
    });
    let endpoint = Endpoint::from_static("http://socket");
    endpoint.connect_with_connector(connector).await.unwrap()
}

pub(crate) async fn init(node: &Node) -> Result<InitReply, Status> {
    let acme = AcmeDirectory {
        url: "https://127.0.0.1:1/directory".to_owned(),
        terms_agreed: true,
        ..AcmeDirectory::default()
    };
    let request = InitRequest {
        acme: Some(acme),
        admin_name: "admin".to_owned(),
        csr: PrivateKey::generate().unwrap().request().unwrap().into(),
        ..InitRequest::default()
    };
    let mut client = BootstrapClient::new(socket(node).await);
    let reply = timeout(WITHIN, client.init(request)).await;
    Ok(reply.unwrap()?.into_inner())
}

/// Leaves an invitation by `sponsor` for `guest`, as `hostquorum-aws invite` does.
async fn invite(cluster: &str, sponsor: &Node, guest: &str) {
    let request = CreateInvitationRequest {
        role: Role::Node.into(),
        ttl_seconds: 900,
    };
    let mut client = InvitationsClient::new(socket(sponsor).await);
    let created = client.create_invitation(request).await.unwrap();
    let token = created.into_inner().token;
    let value = format!(
        "{{\\\"sponsor\\\": \\\"{}\\\", \\\"token\\\": \\\"{token}\\\"}}",
        sponsor.admin()
    );
    let body = format!(
        "{{\"Name\": \"/{cluster}/nodes/{guest}/invitation\", \"Type\": \"SecureString\", \
         \"Value\": \"{value}\"}}"
    );
    moto::ask("ssm", REGION, "AmazonSSM.PutParameter", &body);
}

pub(crate) async fn exists(file: PathBuf) {
    let begun = Instant::now();
    while !file.exists() {
        assert!(begun.elapsed() < WITHIN, "{} is missing", file.display());
        sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn identity(node: &Node) -> String {
    let text = fs::read_to_string(node.data().join("identity.json")).unwrap();
    let (_, after) = text.split_once("\"cluster\": \"").unwrap();
    after.split_once('"').unwrap().0.to_owned()
}

const WAITS: &str = "waiting for `hostquorum cluster init`, or for an invitation";

#[tokio::test]
async fn one_node_founds_and_the_other_is_let_in() {
    let (cluster, key) = ("met", make_key());
    let (a, b) = (
        Node::new("a", &key).meets(cluster),
        Node::new("b", &key).meets(cluster),
    );
    let (running_a, running_b) = (a.start(moto::url()), b.start(moto::url()));
    a.says(WAITS).await;
    b.says(WAITS).await;
    let founded = init(&a).await.unwrap();

    let refused = init(&b).await.unwrap_err();
    let told = refused.message();
    for part in ["node a has founded", &founded.cluster_id, "invitation"] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
    assert!(!b.data().join("identity.json").exists());
    b.says(WAITS).await;

    invite(cluster, &a, "b").await;
    exists(b.data().join("identity.json")).await;
    assert_eq!(identity(&b), founded.cluster_id);
    b.says(" 200 ").await;

    // A member looks nowhere: it starts as who it is.
    running_b.stop();
    let running_b = b.start(moto::url());
    b.says(" 200 ").await;
    running_b.stop();
    running_a.stop();

    // Whether they would start once more.
    let looked_at = b.key_looked_at(moto::url());
    assert!(looked_at.starts_with("good"), "{looked_at}");
    let closed = "http://127.0.0.1:1";
    let looked_at = b.key_looked_at(closed);
    assert!(looked_at.starts_with("BAD"), "{looked_at}");
    assert!(looked_at.contains("kms:Decrypt"), "{looked_at}");
}

#[tokio::test]
async fn a_founder_whose_disk_was_lost_does_not_found_again() {
    let (cluster, key) = ("lost", make_key());
    let first = Node::new("a", &key).meets(cluster);
    let running = first.start(moto::url());
    first.says(WAITS).await;
    init(&first).await.unwrap();
    running.stop();

    let emptied = Node::new("a", &key).meets(cluster);
    let running = emptied.start(moto::url());
    emptied.says(WAITS).await;
    let refused = init(&emptied).await.unwrap_err();
    assert!(refused.message().contains("has founded"), "{refused}");
    running.stop();
}
