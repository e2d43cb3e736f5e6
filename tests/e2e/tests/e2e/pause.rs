//! Issuance is paused and resumed, also by whoever has nothing but a machine.

use std::time::Duration;

use harness::{Cli, Cluster, Options, wait};

const SHOP: &str = "shop.customer.example";
const NEXT: &str = "next.customer.example";

/// Long enough for the leader to have begun what is due: it looks on every change and twice
/// a second.
const LOOKED: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ordered_while_issuance_is_paused() {
    let cluster = Cluster::start(Options::default()).await;
    cluster.onboard(SHOP).await;
    let issued = cluster.ca.issued();
    let orders = cluster.ca.orders();
    cluster
        .cli
        .run(&["issuance", "pause", "a drill"])
        .await
        .ok();
    cluster.cli.run(&["hostname", "add", NEXT]).await.ok();
    // Whoever leads next holds to it, too.
    cluster.lead((cluster.leader().await + 1) % 3).await;
    // What does not happen cannot be waited for.
    let ordered = wait::within(LOOKED, || async {
        (cluster.ca.orders() > orders).then_some(())
    });
    assert!(ordered.await.is_none(), "an order was begun");
    let status = cluster.cli.json(&["cluster", "status"]).await;
    assert_eq!(status["issuance_pause"]["reason"], "a drill");
    assert_eq!(status["issuance_pause"]["by"], "operator:founder");
    let said = cluster.cli.run(&["hostname", "explain", NEXT]).await.out;
    assert!(
        said.contains("paused issuance") && said.contains("a drill"),
        "{said}"
    );
    for place in 0..3 {
        assert!(
            cluster.serial(place, SHOP).await.is_some(),
            "what there is is served"
        );
        let paused = cluster.figure(place, "hostquorum_issuance_paused").await;
        assert_eq!(paused, Some(1.0));
    }
    assert_eq!((cluster.ca.orders(), cluster.ca.issued()), (orders, issued));
    cluster.cli.run(&["issuance", "resume"]).await.ok();
    cluster
        .cli
        .run(&["hostname", "wait", NEXT, "--timeout", "60s"])
        .await
        .ok();
    assert_eq!(cluster.ca.issued(), issued + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_a_machine_can_pause_and_make_an_administrator() {
    let cluster = Cluster::start(Options::default()).await;
    // No context, no identity: nothing but the machine of node 2.
    let bare = Cli::new(&cluster.dir().join("elsewhere"));
    let socket = format!("unix:{}", cluster.nodes[1].files.socket().display());
    let pause = [
        "--address",
        &socket,
        "issuance",
        "pause",
        "the administrator is gone",
    ];
    bare.run(&pause).await.ok();
    let status = cluster.cli.json(&["cluster", "status"]).await;
    assert_eq!(status["issuance_pause"]["by"], "socket:2");
    let create = ["--address", &socket, "token", "create", "--role", "admin"];
    let token = bare.json(&create).await;
    let file = cluster.dir().join("admin.token");
    std::fs::write(&file, token["token"].as_str().unwrap()).unwrap();
    let address = cluster.nodes[0].files.admin().to_string();
    let login = [
        "login",
        "--token-file",
        file.to_str().unwrap(),
        "--address",
        &address,
        "--name",
        "rescuer",
    ];
    bare.run(&login).await.ok();
    bare.run(&["issuance", "resume"]).await.ok();
    let log = std::fs::read_to_string(cluster.nodes[1].files.log()).unwrap();
    let mut lines = log.lines().filter(|line| line.contains("audit"));
    assert!(
        lines.any(|line| line.contains("socket:2") && line.contains("CreateInvitation")),
        "{log}"
    );
}
