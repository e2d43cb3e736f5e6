//! All nodes restarted in turn, with clients under way.

use harness::{Cluster, Load, Options, cluster::SOON, load::DRAINING};
use tokio::time::Instant;

const HOSTNAME: &str = "known.customer.example";
/// Clients that keep an HTTP/2 connection, and that close one after each request.
const CLIENTS: (usize, usize) = (4, 8);

/// Restarts the nodes round after round until so many requests were made.
pub(crate) async fn restart(requests: usize) {
    let options = Options {
        extra: DRAINING.to_owned(),
        ..Options::default()
    };
    let mut cluster = Cluster::start(options).await;
    cluster.onboard(HOSTNAME).await;
    cluster.served_alike(&[0, 1, 2], HOSTNAME).await;
    let load = Load::start(&cluster, HOSTNAME, CLIENTS.0, CLIENTS.1).await;
    let began = Instant::now();
    let mut restarts = 0;
    while restarts < 3 || load.tally().requests() < requests {
        let place = restarts % 3;
        cluster.nodes[place].stop(SOON).await.unwrap();
        cluster.restart(place, &[]).await;
        cluster.settled().await;
        restarts += 1;
    }
    let tally = load.stop().await;
    println!(
        "{restarts} restarts in {:.0} s: {} of {} requests on {} connections failed {:?}; {} more were never begun and asked again",
        began.elapsed().as_secs_f64(),
        tally.failed(),
        tally.requests(),
        tally.connections(),
        tally.told(),
        tally.unbegun(),
    );
}
