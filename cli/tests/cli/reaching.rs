//! Reaching a cluster of which some nodes are down, hang, or are somebody else's.

use std::time::Duration;

use enroll::OperatorRole;
use tokio::{
    net::TcpListener,
    time::{Instant, timeout},
};

use crate::{
    node::Node,
    program::{Home, stand},
};

/// A port where nobody listens.
async fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_address_is_taken_when_one_is_down_or_hangs() {
    let (node, home) = stand().await;
    // Accepted by the kernel, answered by nobody: as a stopped process.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs = hanging.local_addr().unwrap().to_string();
    let credential = node.pki.credential(1, OperatorRole::Admin);
    let addresses = vec![closed().await, hangs, node.address.clone()];
    home.write_context("default", addresses, credential);
    let begun = Instant::now();
    home.run("cluster status").await.ends(0);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_to_reach_is_told_with_each_reason() {
    let (node, home) = stand().await;
    let credential = node.pki.credential(1, OperatorRole::Admin);
    let (one, two) = (closed().await, closed().await);
    home.write_context("default", vec![one.clone(), two.clone()], credential);
    let ran = home.run("cluster status").await.ends(1);
    for words in [&one[..], &two, "could not be reached", "--address"] {
        ran.complains(words);
    }
    assert_eq!(ran.err.matches(&one).count(), 1, "named once: {ran:?}");
    let line = format!("cluster status --address {}", node.address);
    home.run(&line).await.ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_is_not_believed() {
    let (node, home) = stand().await;
    let other = Node::start().await;
    let credential = node.pki.credential(1, OperatorRole::Admin);
    home.write_context("default", vec![other.address.clone()], credential);
    let ran = home.run("hostname add shop.example").await.ends(1);
    ran.complains("could not reach a node");
    assert_eq!(other.alone.state().hostname_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_no_cluster_is_refused() {
    let (node, home) = stand().await;
    let stranger = node.pki.credential(99, OperatorRole::Admin);
    home.write_context("default", vec![node.address.clone()], stranger);
    let ran = home.run("cluster status").await.ends(1);
    ran.complains("OPERATOR_UNKNOWN");
    ran.complains("hostquorum login");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_new_members_are_taken_up() {
    let (node, home) = stand().await;
    node.second_member();
    home.run("origin show").await.ends(0);
    let shown = home.run("context show -o json").await.ends(0).json();
    let addresses: Vec<&str> = shown["addresses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|address| address.as_str().unwrap())
        .collect();
    assert_eq!(addresses[0], node.address, "the one that works comes first");
    assert!(addresses.contains(&"127.0.0.2:7444"), "{addresses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_survives_its_node() {
    let pki = std::sync::Arc::new(crate::pki::Pki::new());
    let one = Node::start_with(pki.clone()).await;
    let two = Node::start_with(pki.clone()).await;
    for node in [&one, &two] {
        node.alone.authorize("shop.example");
    }
    let home = Home::new();
    let credential = pki.credential(1, OperatorRole::Admin);
    let addresses = vec![one.address.clone(), two.address.clone()];
    home.write_context("default", addresses, credential);
    let waiting = home.run("hostname wait shop.example --timeout 20s");
    let failing_over = async {
        one.watched().await;
        drop(one);
        two.alone.register(state::Term(1), "thumbprint");
        let key = state::Sealed {
            purpose: state::KeyPurpose::Serving,
            generation: 1,
            nonce: [0; 12],
            ciphertext: bytes::Bytes::new(),
        };
        let leaf = bytes::Bytes::from_static(b"leaf");
        two.alone
            .install(state::Term(1), "shop.example", key, leaf, Vec::new());
    };
    let both = async { tokio::join!(waiting, failing_over) };
    let (waited, ()) = timeout(Duration::from_secs(25), both).await.unwrap();
    waited.ends(0);
}
