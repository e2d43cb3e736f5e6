//! Nodes that die, stop and lose the quorum.

use std::time::Duration;

use harness::{Cluster, Options, cluster::SOON, request, wait};
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn one_node_of_three_serves_all_known_hostnames_without_quorum() {
    let mut cluster = Cluster::start(Options::default()).await;
    for name in ["a.customer.example", "b.customer.example"] {
        cluster.onboard(name).await;
        cluster.served_alike(&[0, 1, 2], name).await;
    }
    cluster.nodes[0].kill().await.unwrap();
    cluster.nodes[1].kill().await.unwrap();
    for name in ["a.customer.example", "b.customer.example"] {
        for _ in 0..50 {
            assert!(cluster.serial(2, name).await.is_some(), "{name}");
        }
    }
    let health = cluster.nodes[2].files.health();
    assert_eq!(request::plain_status(health, "/readyz").await.unwrap(), 200);
    assert_eq!(
        request::plain_status(health, "/quorumz").await.unwrap(),
        503
    );
    let admin = cluster.nodes[2].files.admin().to_string();
    let said = cluster
        .cli
        .run(&["--address", &admin, "hostname", "add", "c.customer.example"])
        .await;
    assert_eq!(said.code, 5, "{said:?}");
    assert!(
        said.err.contains("unknown") || said.err.contains("no leader"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_leader_is_replaced_and_begins_nothing_when_it_wakes() {
    let cluster = Cluster::start(Options::default()).await;
    cluster.onboard("before.customer.example").await;
    let leader = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    cluster.look_at(others[0]).await;
    cluster.nodes[leader].signal(Signal::STOP).unwrap();
    let admin = cluster.nodes[others[0]].files.admin().to_string();
    wait::until("another leader takes the hostname", SOON, || async {
        let said = cluster
            .cli
            .run(&[
                "--address",
                &admin,
                "hostname",
                "add",
                "during.customer.example",
            ])
            .await;
        (said.code == 0 || said.err.contains("already")).then_some(())
    })
    .await;
    cluster
        .cli
        .run(&[
            "--address",
            &admin,
            "hostname",
            "wait",
            "during.customer.example",
            "--timeout",
            "60s",
        ])
        .await
        .ok();
    cluster
        .served_alike(&others, "during.customer.example")
        .await;
    tokio::time::sleep(Duration::from_secs(30)).await; // what is tested: a pause of that length
    cluster.nodes[leader].signal(Signal::CONT).unwrap();
    cluster
        .served_alike(&[0, 1, 2], "during.customer.example")
        .await;
    cluster.onboard("after.customer.example").await;
    cluster
        .served_alike(&[0, 1, 2], "after.customer.example")
        .await;
    assert_eq!(cluster.ca.issued(), 3);
    assert_eq!(cluster.ca.orders(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_is_transferred_on_request() {
    let cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    let target = (leader + 1) % 3;
    let member = format!("{}", target + 1);
    cluster
        .cli
        .run(&["cluster", "transfer", &member])
        .await
        .ok();
    assert_eq!(cluster.leader().await, target);
}

/// A small disk of its own for a folder, its content moved there. Unmounted when
/// dropped.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn under(folder: &std::path::Path) -> Self {
        let aside = folder.with_extension("aside");
        std::fs::rename(folder, &aside).unwrap();
        std::fs::create_dir(folder).unwrap();
        run(
            "mount",
            &[
                "-t",
                "tmpfs",
                "-o",
                "size=96m,mode=0700",
                "tmpfs",
                folder.to_str().unwrap(),
            ],
        );
        run(
            "cp",
            &[
                "-a",
                &format!("{}/.", aside.display()),
                folder.to_str().unwrap(),
            ],
        );
        Self(folder.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["--lazy", self.0.to_str().unwrap()]);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = std::process::Command::new(program)
        .args(arguments)
        .status()
        .unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_disk_fills_serves_on_and_the_others_lead_on() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: a small disk can be mounted by root only");
        return;
    }
    let mut cluster = Cluster::start(Options::default()).await;
    let names = [
        "a.customer.example",
        "b.customer.example",
        "c.customer.example",
    ];
    for name in names {
        cluster.onboard(name).await;
        cluster.served_alike(&[0, 1, 2], name).await;
    }
    cluster.nodes[0].stop(SOON).await.unwrap();
    let data = cluster.nodes[0].files.data();
    let _disk = SmallDisk::under(&data);
    cluster.restart(0, &[]).await;
    cluster.settled().await;
    wait::until("node 1 leads", SOON, || async {
        let said = cluster.cli.run(&["cluster", "transfer", "1"]).await;
        (said.code == 0).then_some(())
    })
    .await;
    let mut filler = std::fs::File::create(data.join("filler")).unwrap();
    while std::io::Write::write_all(&mut filler, &[0; 64 * 1024]).is_ok() {}
    let others = [1, 2]
        .map(|place: usize| cluster.nodes[place].files.admin().to_string())
        .join(",");
    wait::until("the others take a write", SOON, || async {
        let said = cluster
            .cli
            .run(&[
                "--address",
                &others,
                "hostname",
                "add",
                "d.customer.example",
            ])
            .await;
        (said.code == 0 || said.err.contains("already")).then_some(())
    })
    .await;
    let health = cluster.nodes[0].files.health();
    wait::until("node 1 says what ails it", SOON, || async {
        let (status, body) = request::plain(health, "/readyz").await.ok()?;
        (status == 503 && body.windows(11).any(|words| words == b"nearly full")).then_some(())
    })
    .await;
    // None of these was asked of it since it started: each is read from the full disk.
    for name in names {
        for _ in 0..20 {
            assert!(cluster.serial(0, name).await.is_some(), "{name}");
        }
    }
}
