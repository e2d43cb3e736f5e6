//! Nodes whose disks fill, fail or hang, and are mended.

use std::time::Duration;

use harness::{Agreement, Cluster, Failure, Options, cluster::SOON, wait};

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
    let mut cluster = Cluster::start(options("sled")).await;
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
    node_1_leads(&cluster).await;
    let mut filler = std::fs::File::create(data.join("filler")).unwrap();
    while std::io::Write::write_all(&mut filler, &[0; 64 * 1024]).is_ok() {}
    written_by_the_others(&cluster, "d.customer.example").await;
    stands_still(&cluster, "nearly full").await;
    // None of these was asked of it since it started: each is read from the full disk.
    for name in names {
        for _ in 0..20 {
            assert!(cluster.serial(0, name).await.is_some(), "{name}");
        }
    }
    drop(filler);
    std::fs::remove_file(data.join("filler")).unwrap();
    runs_again(&cluster, "d.customer.example").await;
}

async fn node_1_leads(cluster: &Cluster) {
    wait::until("node 1 leads", SOON, || async {
        let said = cluster.cli.run(&["cluster", "transfer", "1"]).await;
        (said.code == 0).then_some(())
    })
    .await;
}

/// Authorizes `name` at nodes 2 and 3, who must first find another leader, and waits
/// until they serve it.
async fn written_by_the_others(cluster: &Cluster, name: &str) {
    cluster.look_at(1);
    let others = [1, 2]
        .map(|place: usize| cluster.nodes[place].files.admin().to_string())
        .join(",");
    let arguments = ["--address", &others, "hostname", "add", name];
    wait::until("the others take a write", SOON, || async {
        let said = cluster.cli.run(&arguments).await;
        (said.code == 0 || said.err.contains("already")).then_some(())
    })
    .await;
    cluster.served_alike(&[1, 2], name).await;
}

/// Node 1 says that it is not ready, and why.
async fn stands_still(cluster: &Cluster, why: &str) {
    wait::until("node 1 says what ails it", SOON, || async {
        let (status, said) = cluster.readiness(0).await?;
        (status == 503 && said.contains("has stopped") && said.contains(why)).then_some(())
    })
    .await;
}

/// Node 1's replica runs again in the same process: it is ready, serves `meanwhile`, which
/// was onboarded without it, and takes writes.
async fn runs_again(cluster: &Cluster, meanwhile: &str) {
    wait::until("node 1 is ready", SOON, || async {
        (cluster.readiness(0).await?.0 == 200).then_some(())
    })
    .await;
    cluster.served_alike(&[0, 1, 2], meanwhile).await;
    let admin = cluster.nodes[0].files.admin().to_string();
    let name = "after.customer.example";
    let arguments = ["--address", &admin, "hostname", "add", name];
    cluster.cli.run(&arguments).await.ok();
    cluster.served_alike(&[0, 1, 2], name).await;
    let reopened = cluster.figure(0, "hostquorum_replica_reopened_total").await;
    assert_eq!(reopened, Some(1.0));
}

/// A node that is not ready knows of no new hostname and answers no challenge for it; a
/// load balancer would not lead the CA there.
fn options(engine: &str) -> Options {
    let Options { extra, .. } = Options::default();
    Options {
        extra: format!("{extra}[raft]\nstore = \"{engine}\"\n"),
        agreement: Agreement::AtLeast(2),
        ..Options::default()
    }
}

/// Onboards `count` hostnames and answers with them and their serials, as nodes 2 and 3
/// serve them: node 1 was asked for none.
async fn onboarded(cluster: &Cluster, count: usize) -> Vec<(String, String)> {
    let name = |number| format!("shop-{number}.customer.example");
    for number in 0..count {
        let added = cluster.cli.run(&["hostname", "add", &name(number)]).await;
        added.ok();
    }
    let mut serials = Vec::new();
    for number in 0..count {
        let serial = cluster.served_alike(&[1, 2], &name(number)).await;
        serials.push((name(number), serial));
    }
    serials
}

/// A disk that fails, and what it says then.
struct Case {
    engine: &'static str,
    /// What of node 1's data is on it.
    folder: &'static str,
    failure: Failure,
    why: &'static str,
}

/// Answers with the number of bodies that node 1 read from others.
async fn serves_on_and_is_back(case: Case) -> f64 {
    let options = options(case.engine);
    // Enough that the engine has to go to its file for them; Pebble takes its time.
    let count = if options.pebble { 6 } else { 60 };
    let mut cluster = Cluster::start(options).await;
    let known = onboarded(&cluster, count).await;
    let disk = cluster.on_a_disk_that_may_fail(0, case.folder).await;
    node_1_leads(&cluster).await;
    disk.fail(case.failure);
    written_by_the_others(&cluster, "during.customer.example").await;
    stands_still(&cluster, case.why).await;
    let (middle, rest) = known.split_at(count / 2);
    serves(&cluster, middle).await;
    // By now it has tried to open its store again.
    tokio::time::sleep(Duration::from_secs(5)).await; // what is tested: time passes
    serves(&cluster, rest).await;
    let borrowed = cluster.figure(0, "hostquorum_bodies_borrowed_total").await;
    disk.mend();
    runs_again(&cluster, "during.customer.example").await;
    borrowed.unwrap()
}

async fn serves(cluster: &Cluster, known: &[(String, String)]) {
    for (name, serial) in known {
        let served = cluster.serial(0, name).await;
        assert_eq!(served.as_ref(), Some(serial), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_disk_breaks_serves_on_and_is_back_once_it_is_mended() {
    serves_on_and_is_back(Case {
        engine: "sled",
        folder: "replica",
        failure: Failure::Broken,
        why: "Input/output error",
    })
    .await;
}

/// The probe does not see it, so that the store is closed and cannot be opened again.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_state_cannot_be_opened_serves_what_others_hold() {
    let borrowed = serves_on_and_is_back(Case {
        engine: "sled",
        folder: "replica/state",
        failure: Failure::Unsynced,
        why: "Input/output error",
    });
    assert!(borrowed.await > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redb_a_leader_whose_state_turns_read_only_serves_what_others_hold() {
    let borrowed = serves_on_and_is_back(Case {
        engine: "redb",
        folder: "replica/state",
        failure: Failure::ReadOnly,
        why: "Read-only file system",
    });
    assert!(borrowed.await > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_disk_hangs_serves_on_and_is_back_once_it_goes_on() {
    let mut cluster = Cluster::start(options("sled")).await;
    let known = onboarded(&cluster, 3).await;
    let disk = cluster.on_a_disk_that_may_fail(0, "replica").await;
    node_1_leads(&cluster).await;
    disk.hang();
    written_by_the_others(&cluster, "during.customer.example").await;
    stands_still(&cluster, "did not finish a write").await;
    serves(&cluster, &known).await;
    disk.mend();
    runs_again(&cluster, "during.customer.example").await;
}
