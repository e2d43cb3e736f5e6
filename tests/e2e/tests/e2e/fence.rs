//! What a leader that is one no more can still send to the CA: nothing.
//!
//! All of it is seen by the development CA's ledger, so these tests are left out of the
//! suite's run on Pebble.

use std::time::Duration;

use harness::{
    Agreement, Behaviour, Blow, Ca, Cluster, Endpoint, FinalizeRule, Options,
    cluster::{SOON, START},
    since_epoch, wait,
};
use rustix::process::Signal;

/// How long a new leader waits before it finalizes what its predecessor may have.
const WAIT: Duration = Duration::from_secs(8);
/// How long the kernel keeps what it cannot deliver, and some more.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a released leader is watched: it learns within a heartbeat that it leads no
/// more, and a permit lives for three seconds.
const WATCH: Duration = Duration::from_secs(5);

/// At a CA that makes two certificates if it is asked twice at the same time, and that
/// looks for challenges at all nodes of which one may be stopped.
fn options() -> Options {
    Options {
        pebble: false,
        behaviour: Behaviour {
            finalize: FinalizeRule::Race {
                window_millis: 2_000,
            },
            issue_delay_seconds: Some(1),
            ..Behaviour::default()
        },
        agreement: Agreement::AtLeast(2),
        ..Options::default()
    }
}

fn control(cluster: &Cluster) -> harness::Control {
    match &cluster.ca {
        Ca::Development(ca, _) => ca.control(),
        Ca::Pebble(_) => unreachable!("these tests ask for the development CA"),
    }
}

/// Whether this is the suite's run on the development CA.
fn wanted() -> bool {
    !Options::default().pebble
}

/// The POSTs that begin or change something.
fn acts(cluster: &Cluster) -> usize {
    let reads = [
        Endpoint::Order,
        Endpoint::Authorization,
        Endpoint::Certificate,
    ];
    let posts = control(cluster).posts();
    let acts = posts.iter().filter(|post| !reads.contains(&post.endpoint));
    acts.count()
}

/// Authorizes a hostname at a node that is not `not`, as soon as one takes it.
async fn authorize(cluster: &Cluster, hostname: &str, not: Option<usize>) {
    wait::until("the hostname is taken", SOON, || async {
        for place in (0..3).filter(|place| Some(*place) != not) {
            let admin = cluster.nodes[place].files.admin().to_string();
            let said = cluster
                .cli
                .run(&["--address", &admin, "hostname", "add", hostname])
                .await;
            if said.code == 0 || said.err.contains("already") {
                return Some(());
            }
        }
        None
    })
    .await;
}

/// A leader is stopped at `point`, another brings the order to its end, and the first one
/// is released.
async fn released(cluster: &Cluster, point: &'static str) {
    let hostname = format!("{point}.customer.example");
    let issued = cluster.ca.issued();
    cluster.settled().await;
    let leader = cluster.leader().await;
    cluster.arm(&[Blow::Stop(point)]);
    authorize(cluster, &hostname, Some(leader)).await;
    let stopped = cluster.stopped(START).await;
    let others: Vec<usize> = (0..3).filter(|place| *place != stopped).collect();
    cluster.served_alike(&others, &hostname).await;
    let before = acts(cluster);
    cluster.nodes[stopped].signal(Signal::CONT).unwrap();
    tokio::time::sleep(WATCH).await; // what is tested: that nothing happens meanwhile
    assert_eq!(acts(cluster), before, "{point}: it begins a POST");
    cluster.served_alike(&[0, 1, 2], &hostname).await;
    assert_eq!(cluster.ca.issued(), issued + 1, "{point}");
    assert_eq!(control(cluster).ledger().overlaps(), [], "{point}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_stopped_at_a_post_and_released_begins_none() {
    if !wanted() {
        return;
    }
    let cluster = Cluster::start(options()).await;
    for point in [
        "before-post-new-order",
        "before-post-ready",
        "before-post-finalize",
    ] {
        released(&cluster, point).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_learns_late_of_its_commit_begins_no_post() {
    if !wanted() {
        return;
    }
    let cluster = Cluster::start(options()).await;
    for point in [
        "after-admit-order",
        "after-intend-ready",
        "after-intend-finalize",
    ] {
        released(&cluster, point).await;
    }
}

/// What becomes of a leader whose finalize cannot leave its machine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Killed,
    Stopped,
    Deposed,
}

/// The road to the CA is cut when the leader sends finalize, and mended `mended` after
/// another has taken over.
async fn cut_off(fate: Fate, mended: Duration) {
    let mut options = options();
    options.road = true;
    // Long enough that a leader that is stopped for the cut still has its lease.
    options
        .extra
        .push_str("[raft]\nelection_min = \"2s\"\nelection_max = \"3s\"\n");
    let mut cluster = Cluster::start(options).await;
    cluster.onboard("first.customer.example").await;
    let leader = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    let before = takeovers(&cluster, &others).await;
    let seen = control(&cluster).ledger().finalizations.len();
    cluster.arm(&[Blow::Stop("before-post-finalize")]);
    authorize(&cluster, "shop.customer.example", None).await;
    assert_eq!(cluster.stopped(SOON).await, leader);
    cluster.road().cut();
    cluster.nodes[leader].signal(Signal::CONT).unwrap();
    wait::until(
        "finalize is in the socket",
        Duration::from_secs(2),
        || async { cluster.road().holds_back().then_some(()) },
    )
    .await;
    match fate {
        Fate::Killed => cluster.nodes[leader].kill().await.unwrap(),
        Fate::Stopped => cluster.nodes[leader].signal(Signal::STOP).unwrap(),
        Fate::Deposed => {}
    }
    let another = async {
        wait::until("another takes over", SOON, || async {
            (takeovers(&cluster, &others).await > before).then_some(())
        })
        .await;
        since_epoch()
    };
    let taken = if fate == Fate::Deposed {
        // The answer to it may come long after another has taken over.
        let target = format!("{}", others[0] + 1);
        let transfer = ["cluster", "transfer", &target];
        let (taken, said) = tokio::join!(another, cluster.cli.run(&transfer));
        said.ok();
        taken
    } else {
        another.await
    };
    tokio::time::sleep(mended).await; // what is tested: a cut of that length
    cluster.road().mend();
    cluster.served_alike(&others, "shop.customer.example").await;
    if fate == Fate::Stopped {
        cluster.nodes[leader].signal(Signal::CONT).unwrap();
        tokio::time::sleep(WATCH).await; // what is tested: that nothing happens meanwhile
    }
    let ledger = control(&cluster).ledger();
    assert_eq!(ledger.overlaps(), []);
    assert_eq!(ledger.certificates.len(), 2);
    let [finalize] = &ledger.finalizations[seen..] else {
        panic!("finalize came {} times", ledger.finalizations.len() - seen);
    };
    let received = Duration::from_millis(finalize.received.as_unix_millis());
    if mended >= PATIENCE {
        // The old leader's never came: this is the new one's, after its wait. The takeover
        // was seen a little after it happened.
        assert!(
            received + Duration::from_secs(1) > taken + WAIT,
            "{received:?} {taken:?}"
        );
    }
}

/// How often any of `places` has taken over.
async fn takeovers(cluster: &Cluster, places: &[usize]) -> f64 {
    let mut sum = 0.0;
    for place in places {
        let figure = cluster.figure(*place, "hostquorum_takeovers_total").await;
        sum += figure.unwrap_or_default();
    }
    sum
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalize_in_the_socket_of_a_killed_leader_never_arrives_after_the_wait() {
    if !wanted() {
        return;
    }
    cut_off(Fate::Killed, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalize_in_the_socket_of_a_stopped_leader_never_arrives_after_the_wait() {
    if !wanted() {
        return;
    }
    cut_off(Fate::Stopped, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalize_in_the_socket_of_a_deposed_leader_never_arrives_after_the_wait() {
    if !wanted() {
        return;
    }
    cut_off(Fate::Deposed, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalize_that_arrives_before_the_wait_is_over_is_the_only_one() {
    if !wanted() {
        return;
    }
    cut_off(Fate::Stopped, Duration::ZERO).await;
}
