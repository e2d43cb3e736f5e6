//! Its key, wrapped by KMS.

use std::net::TcpListener;

use crate::daemon::{Node, REGION};

fn kms(action: &str, body: &str) -> String {
    moto::ask("kms", REGION, &format!("TrentService.{action}"), body)
}

/// A new key's ARN.
pub(crate) fn make_key() -> String {
    let made = kms("CreateKey", "{}");
    let (_, after) = made.split_once("\"Arn\": \"").unwrap();
    after.split_once('"').unwrap().0.to_owned()
}

#[tokio::test]
async fn a_daemon_makes_its_key_once_and_starts_as_itself_only() {
    let key = make_key();
    let node = Node::new("a", &key);
    let running = node.start(moto::url());
    node.says("waiting for `hostquorum cluster init`").await;
    let wrapped = node.wrapped();
    assert!(wrapped.contains(&key), "{wrapped}");
    running.stop();

    let running = node.start(moto::url());
    node.says("waiting for `hostquorum cluster init`").await;
    assert_eq!(node.wrapped(), wrapped);
    running.stop();

    node.of("\"other\"");
    let output = node.start(moto::url()).ended().await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    for part in [
        "wrapped-key.json, which was wrapped by",
        &key,
        "InvalidCiphertextException",
        "hostquorum:cluster=other",
        "are name, aws.cluster and data_dir the right ones?",
    ] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
}

#[tokio::test]
async fn a_start_waits_for_kms_and_can_be_ended_meanwhile() {
    let node = Node::new("a", &make_key());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let running = node.start(&format!("http://{address}"));
    node.says("waiting for KMS to open this node's key").await;
    running.stop();
    assert!(!node.data().join("wrapped-key.json").exists());
}
