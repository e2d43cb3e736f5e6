//! Nodes that are let in by what AWS says of their machines.

use crate::{
    daemon::{Node, REGION},
    kms::make_key,
    parameters::{exists, identity, init},
};

const WAITS: &str = "waiting for `hostquorum cluster init`, for a member to let this machine in";

#[tokio::test]
async fn a_machine_of_the_cluster_is_let_in_unasked_and_another_is_not() {
    let (cluster, key) = ("machines", make_key());
    let a = Node::new("a", &key);
    let (b, c) = (
        Node::new("b", &key).beside(&a),
        Node::new("c", &key).beside(&a),
    );
    for node in [&a, &b, &c] {
        node.of(&format!("\"{cluster}\"\nparameters = true\njoin = true"));
    }
    // Where each calls from on this machine; the other of the two is known by its address alone.
    let of_a = moto::machine(REGION, "127.0.0.1", [cluster, "a", "machines-a"]);
    let of_b = moto::machine(REGION, "127.0.0.1", [cluster, "b", "machines-b"]);
    // It has the role of another node.
    let of_c = moto::machine(REGION, "127.0.0.1", [cluster, "c", "machines-b"]);
    let start = |node: &Node, machine: &[String; 4]| {
        let [_, credentials @ ..] = machine;
        let credentials = credentials.each_ref().map(String::as_str);
        node.start_as(moto::url(), &credentials)
    };
    let running_a = start(&a, &of_a);
    let running_b = start(&b, &of_b);
    b.says(WAITS).await;
    a.says(WAITS).await;
    let founded = init(&a).await.unwrap();

    exists(b.data().join("identity.json")).await;
    assert_eq!(identity(&b), founded.cluster_id);
    b.says(" 200 ").await;
    running_b.stop();

    let running_c = start(&c, &of_c);
    c.says(WAITS).await;
    running_c.says("not machines-c").await;
    assert!(!c.data().join("identity.json").exists());
    running_a.stop();
}
