//! All machines are lost, and there is a backup.

use std::{
    fs,
    path::{Path, PathBuf},
};

use harness::{Behaviour, Cli, Cluster, Options, cluster::SOON, wait};
use tempfile::TempDir;
use tokio::time::Instant;

const SHOP: &str = "shop.customer.example";
const OTHER: &str = "other.customer.example";
const LATER: &str = "later.customer.example";
const NEW: &str = "new.customer.example";

/// A key that opens backups, and a cluster's configuration that names its recipient.
struct Key {
    folder: TempDir,
    options: Options,
}

impl Key {
    async fn made() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("backup.key");
        let keygen = ["backup", "keygen", file.to_str().unwrap()];
        let made = Cli::new(folder.path()).json(&keygen).await;
        let recipient = made["recipient"].as_str().unwrap();
        let mut options = Options::default();
        let section = format!("[backup]\nrecipients = [\"{recipient}\"]\n");
        options.extra.push_str(&section);
        Self { folder, options }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("backup.key")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The command that looks into a backup.
fn inspect<'a>(file: &'a Path, identity: &'a Path) -> [&'a str; 5] {
    [
        "backup",
        "inspect",
        text(file),
        "--identity",
        text(identity),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_whose_machines_are_all_lost_comes_back_with_every_certificate() {
    let key = Key::made().await;
    let mut cluster = Cluster::start(key.options.clone()).await;
    cluster.onboard(SHOP).await;
    cluster.onboard(OTHER).await;
    let old = cluster.cli.json(&["cluster", "status"]).await;
    let account = old["acme"]["account_url"].clone();
    let shop = cluster.served_alike(&[0, 1, 2], SHOP).await;
    let other = cluster.served_alike(&[0, 1, 2], OTHER).await;
    let file = cluster.dir().join("cluster.backup");
    cluster.cli.run(&["backup", "save", text(&file)]).await.ok();
    let identity = key.file();
    let inspect = inspect(&file, &identity);
    let inspected = cluster.cli.json(&inspect).await;
    assert_eq!(inspected["hostnames"], 2);
    assert_eq!(inspected["certificates"], 2);
    assert_eq!(inspected["cluster_id"], old["cluster_id"]);
    // What comes later is not in it.
    cluster.onboard(LATER).await;
    let issued = cluster.ca.issued();

    let lost = Instant::now();
    cluster.rebuild(&file, &identity).await;
    assert_eq!(cluster.served_alike(&[0, 1, 2], SHOP).await, shop);
    assert_eq!(cluster.served_alike(&[0, 1, 2], OTHER).await, other);
    eprintln!(
        "three nodes serve out of the backup after {:?}",
        lost.elapsed()
    );
    let status = cluster.cli.json(&["cluster", "status"]).await;
    assert_ne!(status["cluster_id"], old["cluster_id"]);
    assert_eq!(status["restored"]["cluster_id"], old["cluster_id"]);
    assert_eq!(status["restored"]["progress"], "quarantined");
    assert_eq!(status["hostnames"]["total"], 2);
    assert_eq!(cluster.serial(0, LATER).await, None);

    // Nothing is ordered before somebody says which cluster is meant.
    cluster.cli.run(&["hostname", "add", NEW]).await.ok();
    let refused = cluster.cli.run(&["issuance", "resume"]).await;
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("QUARANTINED"), "{}", refused.err);
    let former = old["cluster_id"].as_str().unwrap();
    let wrong = ["issuance", "resume", "--cluster-id", former];
    assert_ne!(cluster.cli.run(&wrong).await.code, 0);
    assert_eq!(cluster.ca.issued(), issued);
    let id = status["cluster_id"].as_str().unwrap();
    let resume = ["issuance", "resume", "--cluster-id", id];
    cluster.cli.run(&resume).await.ok();
    let wait = ["hostname", "wait", NEW, "--timeout", "60s"];
    cluster.cli.run(&wait).await.ok();
    // The one that is new, and by the same account.
    assert_eq!(cluster.ca.issued(), issued + 1);
    let status = cluster.cli.json(&["cluster", "status"]).await;
    assert_eq!(status["acme"]["account_url"], account);
    assert_eq!(status["restored"]["progress"], "released");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_in_flight_is_carried_on_by_the_cluster_that_comes_out() {
    let key = Key::made().await;
    let mut cluster = Cluster::start(Options {
        pebble: false,
        behaviour: Behaviour {
            issue_delay_seconds: Some(5),
            ..Behaviour::default()
        },
        ..key.options.clone()
    })
    .await;
    cluster.cli.run(&["hostname", "add", SHOP]).await.ok();
    // The CA is about to issue, and nobody can stop it any more.
    wait::until("the finalization", SOON, || async {
        let explained = cluster.cli.run(&["hostname", "explain", SHOP]).await;
        explained.out.contains("finalizing").then_some(())
    })
    .await;
    let file = cluster.dir().join("cluster.backup");
    cluster.cli.run(&["backup", "save", text(&file)]).await.ok();
    let identity = key.file();
    let inspect = inspect(&file, &identity);
    assert_eq!(cluster.cli.json(&inspect).await["orders"], 1);
    cluster.rebuild(&file, &identity).await;
    let status = cluster.cli.json(&["cluster", "status"]).await;
    let id = status["cluster_id"].as_str().unwrap();
    let resume = ["issuance", "resume", "--cluster-id", id];
    cluster.cli.run(&resume).await.ok();
    let wait = ["hostname", "wait", SHOP, "--timeout", "60s"];
    cluster.cli.run(&wait).await.ok();
    assert_eq!((cluster.ca.orders(), cluster.ca.issued()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_for_those_whom_the_machines_name() {
    let key = Key::made().await;
    let mut cluster = Cluster::start(Options {
        nodes: 1,
        ..key.options.clone()
    })
    .await;
    cluster.onboard(SHOP).await;
    let file = cluster.dir().join("cluster.backup");
    let save = ["backup", "save", text(&file)];
    cluster.cli.run(&save).await.ok();
    // Whoever holds another key, or the file alone, has nothing.
    let stranger = Key::made().await;
    let foreign = stranger.file();
    let inspect = inspect(&file, &foreign);
    let refused = cluster.cli.run(&inspect).await;
    assert_ne!(refused.code, 0);
    assert!(
        refused.err.contains("not encrypted for this"),
        "{}",
        refused.err
    );
    let bytes = fs::read(&file).unwrap();
    assert!(
        !bytes
            .windows(SHOP.len())
            .any(|window| window == SHOP.as_bytes())
    );
    // A file that was cut off forms nothing.
    let cut = cluster.dir().join("cut.backup");
    fs::write(&cut, &bytes[..bytes.len() - 100]).unwrap();
    let identity = key.file();
    let socket = cluster.nodes[0].files.socket().display().to_string();
    let restore = |file| {
        let identity = text(&identity);
        [
            "backup",
            "restore",
            file,
            "--identity",
            identity,
            "--socket",
            &socket,
        ]
    };
    let refused = cluster.cli.run(&restore(text(&cut))).await;
    assert!(
        refused.err.contains("damaged or cut off"),
        "{}",
        refused.err
    );
    // Nor does a node that belongs to a cluster become another's.
    let refused = cluster.cli.run(&restore(text(&file))).await;
    assert!(
        refused.err.contains("belongs to a cluster already"),
        "{}",
        refused.err
    );
    assert!(cluster.serial(0, SHOP).await.is_some());
    // Where no machine names anybody there is none.
    let config = cluster.nodes[0].files.config();
    let named = fs::read_to_string(&config).unwrap();
    let unnamed = named.lines().map(|line| {
        let names = line.starts_with("recipients");
        let line = if names { "recipients = []" } else { line };
        format!("{line}\n")
    });
    fs::write(&config, unnamed.collect::<String>()).unwrap();
    cluster.nodes[0].stop(SOON).await.unwrap();
    cluster.restart(0, &[]).await;
    let none = cluster.dir().join("none.backup");
    let said = wait::until("an answer", SOON, || async {
        let said = cluster.cli.run(&["backup", "save", text(&none)]).await;
        said.err.contains("NO_RECIPIENT").then_some(said)
    })
    .await;
    assert_ne!(said.code, 0);
    assert!(!none.exists());
}
