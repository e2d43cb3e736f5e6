//! What operators see and may do.

use harness::{Cluster, Options};

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_and_changes_nothing() {
    let cluster = Cluster::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await;
    cluster
        .cli
        .run(&["hostname", "add", "shop.customer.example"])
        .await
        .ok();
    let token = cluster.token("viewer").await;
    let address = cluster.nodes[0].files.admin().to_string();
    let login = [
        "login",
        "--token-file",
        token.to_str().unwrap(),
        "--address",
        &address,
        "--name",
        "eve",
        "--context",
        "eve",
    ];
    cluster.cli.run(&login).await.ok();
    let list = cluster
        .cli
        .run(&["--context", "eve", "hostname", "list"])
        .await
        .ok();
    assert!(list.contains("shop.customer.example"), "{list}");
    let said = cluster
        .cli
        .run(&[
            "--context",
            "eve",
            "hostname",
            "add",
            "other.customer.example",
        ])
        .await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.err.contains("viewer") || said.err.contains("permission"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_answered_with_what_is_wrong() {
    let cluster = Cluster::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await;
    for (arguments, expected) in [
        (&["hostname", "add", "localhost"][..], "one label"),
        (&["hostname", "add", "*.customer.example"], "wildcard"),
        (&["hostname", "add", "10.0.0.1"], "address"),
        (
            &["hostname", "show", "nobody.customer.example"],
            "no hostname",
        ),
        (
            &["hostname", "remove", "nobody.customer.example"],
            "no hostname",
        ),
        (
            &["hostname", "explain", "nobody.customer.example"],
            "no hostname",
        ),
        (&["origin", "set", "ftp://x"], "http"),
        (&["cluster", "remove", "99"], "no member"),
        (&["cluster", "remove", "1"], "no voter would remain"),
        (&["token", "create", "--role", "node", "--ttl", "1s"], "60"),
        (&["token", "revoke", "99"], "no invitation"),
    ] {
        let said = cluster.cli.run(arguments).await;
        assert_ne!(said.code, 0, "{arguments:?}: {said:?}");
        assert!(said.err.contains(expected), "{arguments:?}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_has_an_audit_line() {
    let cluster = Cluster::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await;
    cluster
        .cli
        .run(&["hostname", "add", "shop.customer.example"])
        .await
        .ok();
    let log = std::fs::read_to_string(cluster.nodes[0].files.log()).unwrap();
    let line = log
        .lines()
        .find(|line| line.contains("audit") && line.contains("shop.customer.example"));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("founder"), "{line}");
}
