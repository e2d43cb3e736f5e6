//! Entering and leaving.

use std::{fs, time::Duration};

use harness::{
    Cluster, Options, binaries,
    cluster::SOON,
    process::{NodeFiles, NodeProcess, Ports},
    request, wait,
};

/// Snapshots so often that a newcomer gets one, and no log from before it.
const COMPACT: &str = "[raft]\nsnapshot_entries = 20\nkeep_entries = 0\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_node_added_late_gets_a_snapshot_and_serves() {
    let mut options = Options::default();
    options.extra.push_str(COMPACT);
    let mut cluster = Cluster::start(options).await;
    for number in 0..5 {
        cluster
            .onboard(&format!("shop-{number}.customer.example"))
            .await;
    }
    cluster.join(4).await;
    for number in 0..5 {
        cluster
            .served_alike(&[0, 1, 2, 3], &format!("shop-{number}.customer.example"))
            .await;
    }
    let metrics = request::plain(cluster.nodes[3].files.health(), "/metrics")
        .await
        .unwrap()
        .1;
    let metrics = String::from_utf8(metrics.to_vec()).unwrap();
    let snapshot = metrics
        .lines()
        .find_map(|line| line.strip_prefix("hostquorum_log_snapshot_index "));
    assert!(snapshot.unwrap().parse::<f64>().unwrap() > 0.0, "{metrics}");
    assert_eq!(cluster.ca.issued(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_is_refused_and_the_others_go_on() {
    let mut cluster = Cluster::start(Options::default()).await;
    cluster.onboard("before.customer.example").await;
    let leader = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    let admin = cluster.nodes[others[0]].files.admin().to_string();
    let removed = format!("{}", leader + 1);
    cluster.look_at(others[0]);
    cluster
        .cli
        .run(&["--address", &admin, "cluster", "remove", &removed, "--wait"])
        .await
        .ok();
    let ended = tokio::time::timeout(Duration::from_secs(10), cluster.nodes[leader].wait()).await;
    assert_eq!(ended.expect("a removed node ends").unwrap().code(), Some(1));
    assert!(
        refused_to_return(&cluster, leader)
            .await
            .contains("removed from its cluster")
    );
    let name = "after.customer.example";
    cluster
        .cli
        .run(&["--address", &admin, "hostname", "add", name])
        .await
        .ok();
    cluster
        .cli
        .run(&[
            "--address",
            &admin,
            "hostname",
            "wait",
            name,
            "--timeout",
            "60s",
        ])
        .await
        .ok();
    cluster.served_alike(&others, name).await;
    assert_eq!(cluster.ca.issued(), 2);
    // The data keys were rotated: a newcomer needs the old ones too.
    cluster.join_by(4, others[0]).await;
    let all = [others[0], others[1], 3];
    for name in ["before.customer.example", name] {
        cluster.served_alike(&all, name).await;
    }
}

/// What a removed node says when it is started once more on its old data.
async fn refused_to_return(cluster: &Cluster, place: usize) -> String {
    let files = &cluster.nodes[place].files;
    fs::remove_file(files.log()).unwrap();
    let mut node = NodeProcess::start(&binaries::path("hostquorumd"), files, &[], &[]).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), node.wait()).await;
    assert_eq!(ended.expect("it is told and ends").unwrap().code(), Some(1));
    fs::read_to_string(files.log()).unwrap()
}

/// What a newcomer with this token says before it gives up.
async fn refused(cluster: &Cluster, token: &str) -> String {
    let path = cluster.dir().join("bad.token");
    fs::write(&path, token).unwrap();
    let files = NodeFiles::write(
        cluster.dir(),
        "stranger",
        std::net::Ipv4Addr::new(127, 0, 0, 9),
        Ports::from(20_000),
        "",
    )
    .unwrap();
    let sponsor = cluster.nodes[0].files.admin().to_string();
    let arguments = ["--join", &sponsor, "--token-file", path.to_str().unwrap()];
    let mut node =
        NodeProcess::start(&binaries::path("hostquorumd"), &files, &arguments, &[]).unwrap();
    let status = tokio::time::timeout(Duration::from_secs(30), node.wait())
        .await
        .expect("it gives up")
        .unwrap();
    assert_ne!(status.code(), Some(0));
    let log = fs::read_to_string(files.log()).unwrap();
    fs::remove_file(files.log()).unwrap();
    let _ = fs::remove_dir_all(files.data());
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_spent_expired_revoked_or_of_another_root_are_refused() {
    let mut cluster = Cluster::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await;

    let spent = cluster.token("node").await;
    let text = fs::read_to_string(&spent).unwrap();
    let files = "node-2";
    cluster.join(2).await;
    assert_eq!(cluster.nodes[1].files.name, files);
    // node-2 took a token of its own; spend this one by a third.
    let sponsor = cluster.nodes[0].files.admin().to_string();
    let third = NodeFiles::write(
        cluster.dir(),
        "third",
        std::net::Ipv4Addr::new(127, 0, 0, 8),
        Ports::from(21_000),
        "",
    )
    .unwrap();
    let arguments = ["--join", &sponsor, "--token-file", spent.to_str().unwrap()];
    let mut third =
        NodeProcess::start(&binaries::path("hostquorumd"), &third, &arguments, &[]).unwrap();
    third.ready(Duration::from_secs(60)).await.unwrap();
    assert!(refused(&cluster, &text).await.contains("used already"));

    let revoked = cluster
        .cli
        .json(&["token", "create", "--role", "node"])
        .await;
    let name = revoked["invitation"]["id"].as_str().unwrap();
    cluster.cli.run(&["token", "revoke", name]).await.ok();
    assert!(
        refused(&cluster, revoked["token"].as_str().unwrap())
            .await
            .contains("revoked")
    );

    let viewer = cluster
        .cli
        .json(&["token", "create", "--role", "viewer"])
        .await;
    assert!(
        refused(&cluster, viewer["token"].as_str().unwrap())
            .await
            .contains("role")
    );

    let other = Cluster::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await;
    let foreign = other.cli.json(&["token", "create", "--role", "node"]).await;
    assert!(
        refused(&cluster, foreign["token"].as_str().unwrap())
            .await
            .contains("root")
    );

    assert!(refused(&cluster, "hq1.not.a.token").await.contains("token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_refused_once_its_time_is_over() {
    let cluster = Cluster::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await;
    let made = cluster
        .cli
        .json(&["token", "create", "--role", "node", "--ttl", "60s"])
        .await;
    tokio::time::sleep(Duration::from_secs(61)).await; // what is tested: that its time is over
    assert!(
        refused(&cluster, made["token"].as_str().unwrap())
            .await
            .contains("expired")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_dead_makes_room_for_one_that_joined() {
    let mut options = Options::default();
    options
        .extra
        .push_str("[membership]\nremove_silent_after = \"1m\"\n");
    let mut cluster = Cluster::start(options).await;
    cluster.join(4).await;
    let dead = (cluster.leader().await + 1) % 3;
    cluster.nodes[dead].kill().await.unwrap();
    let id = format!("{}", dead + 1);
    let within = Duration::from_secs(60) + SOON;
    wait::until("three voters without the dead", within, || async {
        let members = cluster.members().await?;
        let gone = members.iter().all(|member| member["id"] != id.as_str());
        let voting = members
            .iter()
            .filter(|member| member["standing"] == "voting");
        (gone && voting.count() == 3).then_some(())
    })
    .await;
    // It takes three to go on losing one.
    cluster.onboard("shop.customer.example").await;
}
