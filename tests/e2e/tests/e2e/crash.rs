//! The leader is killed at every named point of an order, and at every pair of them.
//!
//! All cases take twenty minutes; a run takes as many as fit into its time, from where the hour
//! says on, so that runs go through all of them. `HOSTQUORUM_CRASH_MATRIX=all` takes all
//! of them, `=120` begins with the one of that number.

use std::{ops::ControlFlow, time::Duration};

use harness::{
    Behaviour, Blow, Cluster, FAILPOINTS, FinalizeRule, Options,
    admin::{self, Admin},
    proto::TimelineEvent,
    since_epoch,
};
use tokio::time::Instant;

/// How long a run's part of the cases takes.
const SLICE: Duration = Duration::from_secs(50);
/// How long one case may take: two elections, two restarts of an unoptimised program, the
/// wait before another's finalize is repeated, and a retry.
const CASE: Duration = Duration::from_secs(90);
/// Cases of a run, about; the next hour begins so many later.
const STRIDE: u64 = 8;

/// Between these the CA has an order that the cluster does not know of.
const REPLY_LOST: [&str; 2] = ["after-post-new-order", "before-prepare-order"];

/// How Pebble says that a connection was cut, for http-01 and for tls-alpn-01.
const CUT: [&str; 2] = [
    "challenge: connection: ",
    "challenge: unauthorized: Failed to connect to ",
];

/// One point, or two that are met in turn, whoever leads then.
type Case = Vec<&'static str>;

fn cases() -> Vec<Case> {
    let singles = FAILPOINTS.iter().map(|point| vec![*point]);
    let pairs = FAILPOINTS
        .iter()
        .flat_map(|first| FAILPOINTS.iter().map(|second| vec![*first, *second]));
    singles.chain(pairs).collect()
}

/// Where to begin, and whether all are wanted.
fn wanted(cases: usize) -> (usize, bool) {
    let asked = std::env::vars().find(|(name, _)| name == "HOSTQUORUM_CRASH_MATRIX");
    match asked.as_ref().map(|(_, value)| value.as_str()) {
        Some("all") => (0, true),
        Some(number) => (number.parse().expect("`all` or a number"), false),
        None => {
            let hour = since_epoch().as_secs() / 3600;
            let first = hour.wrapping_mul(STRIDE) % u64::try_from(cases).unwrap();
            (usize::try_from(first).unwrap(), false)
        }
    }
}

/// How the CA takes an order that is placed again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Placing {
    /// As another one.
    New,
    /// As the same one, while nothing came of it.
    Same,
}

/// Says how many cases were met.
async fn matrix(options: Options, placing: Placing) -> String {
    let mut cluster = Cluster::start(options).await;
    cluster.onboard("first.customer.example").await;
    let cases = cases();
    let (first, all) = wanted(cases.len());
    let began = Instant::now();
    let mut met = 0;
    for number in (first..first + cases.len()).map(|number| number % cases.len()) {
        if !all && began.elapsed() > SLICE {
            break;
        }
        let struck = case(&mut cluster, number, &cases[number], placing).await;
        assert!(
            struck > 0,
            "case {number}: {:?} is never reached",
            cases[number]
        );
        met += 1;
    }
    if let harness::Ca::Development(ca, _) = &cluster.ca {
        let ledger = ca.ledger();
        assert_eq!(ledger.overlaps(), [], "finalizations overlap");
        assert_eq!(ledger.accounts.len(), 1);
    }
    let (all, took) = (cases.len(), began.elapsed().as_secs());
    format!("{met} cases of {all}, from {first} on, in {took} s")
}

/// One hostname, one certificate, whatever is struck; how many points were.
async fn case(
    cluster: &mut Cluster,
    number: usize,
    points: &[&'static str],
    placing: Placing,
) -> usize {
    let hostname = format!("case-{number}.customer.example");
    let what = format!("case {number}: {points:?}");
    let (issued, orders) = (cluster.ca.issued(), cluster.ca.orders());
    cluster.settled().await;
    let blows: Vec<Blow> = points.iter().copied().map(Blow::Kill).collect();
    cluster.arm(&blows);
    let deadline = Instant::now() + CASE;
    let mut authorized = false;
    while step(cluster, &hostname, &mut authorized)
        .await
        .is_continue()
    {
        assert!(
            Instant::now() < deadline,
            "{what}: not served within {CASE:?}"
        );
    }
    let left = cluster.armed();
    cluster.disarm();
    cluster.served_alike(&[0, 1, 2], &hostname).await;
    assert_eq!(cluster.ca.issued(), issued + 1, "{what}: certificates");
    let struck = &points[..points.len() - left];
    let lost = struck
        .iter()
        .filter(|point| REPLY_LOST.contains(point))
        .count();
    let most = match placing {
        Placing::New => 1 + lost,
        Placing::Same => 1,
    };
    let placed = cluster.ca.orders() - orders;
    let most = most + cut_short(cluster, &hostname, &what).await;
    assert!((1..=most).contains(&placed), "{what}: {placed} orders");
    struck.len()
}

/// How many of Pebble's validations were cut off, each told with its reason: who dies right
/// after it told the CA to look may be the one that the CA is looking at (seen: `EOF`), and an
/// order of which a look has failed is lost (RFC 8555 section 7.1.6). An answer that was wrong
/// is no excuse, and the development CA has none.
#[expect(clippy::print_stdout, reason = "what a run's report is read for")]
async fn cut_short(cluster: &Cluster, hostname: &str, what: &str) -> usize {
    if matches!(cluster.ca, harness::Ca::Development(..)) {
        return 0;
    }
    let address = cluster.nodes[0].files.admin().to_string();
    let channel = Admin::read(&cluster.context()).connect(&address).await;
    let events = admin::timeline(&channel.unwrap(), hostname).await.unwrap();
    let failed = |event: &&TimelineEvent| {
        let cut = CUT.iter().any(|words| event.detail.starts_with(words));
        event.kind == "order-failed" && cut
    };
    let failed: Vec<_> = events.iter().filter(failed).collect();
    for event in &failed {
        println!("{what}: {}", event.detail);
    }
    failed.len()
}

/// Starts who was struck again (it may lead and be struck before it is ready), asks for the
/// hostname until it is known, and looks whether it is served by all.
async fn step(cluster: &mut Cluster, hostname: &str, authorized: &mut bool) -> ControlFlow<()> {
    if let Some(place) = cluster.dead() {
        cluster.start_again(place, &[]);
    }
    if !*authorized {
        let said = cluster.cli.run(&["hostname", "add", hostname]).await;
        *authorized = said.code == 0 || said.err.contains("already");
    }
    for place in 0..cluster.nodes.len() {
        if cluster.serial(place, hostname).await.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            return ControlFlow::Continue(());
        }
    }
    // Who was struck at the very last point may still die.
    match cluster.dead() {
        Some(_) => ControlFlow::Continue(()),
        None => ControlFlow::Break(()),
    }
}

fn boulder() -> Behaviour {
    Behaviour {
        // Each order is to be proven anew, or half of the points would not be met.
        authorization_reuse_seconds: None,
        ..Behaviour::boulder()
    }
}

/// Finalizes that come within two seconds each make a certificate, a second later.
fn racy() -> Behaviour {
    Behaviour {
        finalize: FinalizeRule::Race {
            window_millis: 2_000,
        },
        issue_delay_seconds: Some(1),
        ..Behaviour::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_at_any_two_points_costs_one_certificate_and_no_order_at_boulder() {
    let options = Options::default();
    if options.pebble {
        return; // The suite's other run is for this one.
    }
    let behaviour = boulder();
    let options = Options {
        behaviour,
        ..options
    };
    println!("as Boulder: {}", matrix(options, Placing::Same).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_at_any_two_points_costs_one_certificate_where_finalizes_race() {
    let options = Options::default();
    if options.pebble {
        return; // The suite's other run is for this one.
    }
    let behaviour = racy();
    let options = Options {
        behaviour,
        ..options
    };
    println!("racing: {}", matrix(options, Placing::New).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_at_any_two_points_costs_one_certificate_from_pebble() {
    let options = Options::default();
    if !options.pebble {
        return; // The suite's other run is for this one.
    }
    println!("Pebble: {}", matrix(options, Placing::New).await);
}
