//! Handshakes for hostnames that have no certificate yet.

use std::{sync::Arc, time::Duration};

use edge::Limits;
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use crate::rig::{HOST, Options, PATIENCE, Rig, eventually};

const NEW: &str = "new.client.example";

fn rig(wait: Duration) -> Rig {
    let rig = Rig::with(Options {
        cores: 1,
        limits: Limits {
            wait_for_certificate: wait,
            waiting: 2,
            ..Limits::default()
        },
        ..Options::default()
    });
    rig.alone.authorize(NEW);
    rig
}

/// A handshake that does not need the rig while it goes on.
fn visit(rig: &Rig) -> impl Future<Output = std::io::Result<()>> + use<> {
    let (address, config) = (rig.https(), rig.ca.client(&["h2"]));
    async move {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(NEW).map_err(std::io::Error::other)?;
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.map(|_| ())
    }
}

fn waiting(rig: &Rig) -> u64 {
    rig.edge.metrics().handshakes_waiting
}

#[tokio::test]
async fn a_handshake_waits_for_the_first_certificate() {
    let rig = rig(PATIENCE);
    rig.settled().await;
    let first = rig.connect(NEW, rig.ca.client(&["h2"]));
    let second = rig.connect(NEW, rig.ca.client(&["http/1.1"]));
    let installed = async {
        eventually("both wait", || waiting(&rig) == 2).await;
        // Other hostnames are not held up, nor is what changes meanwhile taken for it.
        assert!(rig.connect(HOST, rig.ca.client(&["h2"])).await.is_ok());
        rig.serve("other.client.example");
        rig.install(NEW);
    };
    let (first, second, ()) = tokio::join!(first, second, installed);
    assert!(first.is_ok() && second.is_ok());
    let metrics = rig.edge.metrics();
    assert_eq!(
        (metrics.handshakes_waited, metrics.handshakes_waiting),
        (2, 0)
    );
    assert_eq!(metrics.names_without_certificate, 0);
}

#[tokio::test]
async fn it_waits_no_longer_than_it_may_and_no_more_may_than_there_are_places() {
    let rig = rig(Duration::from_millis(600));
    rig.settled().await;
    let begun = Instant::now();
    let visit = || rig.connect(NEW, rig.ca.client(&["h2"]));
    let third = async {
        eventually("both wait", || waiting(&rig) == 2).await;
        assert!(visit().await.is_err());
        assert_eq!(waiting(&rig), 2, "the third was refused at once");
    };
    let (first, second, ()) = tokio::join!(visit(), visit(), third);
    assert!(first.is_err() && second.is_err());
    assert!(begun.elapsed() >= Duration::from_millis(600));
    assert_eq!(rig.edge.metrics().names_without_certificate, 3);
}

#[tokio::test]
async fn whoever_goes_away_and_whoever_is_removed_waits_no_more() {
    let rig = rig(PATIENCE);
    rig.settled().await;
    let handshake = timeout(Duration::from_millis(300), visit(&rig));
    let ended = handshake.await;
    assert!(ended.is_err(), "it waits, and is dropped with its stream");
    eventually("the first is gone", || waiting(&rig) == 0).await;
    let removed = async {
        eventually("the second waits", || waiting(&rig) == 1).await;
        rig.remove(NEW);
    };
    let (second, ()) = tokio::join!(rig.connect(NEW, rig.ca.client(&["h2"])), removed);
    assert!(second.is_err());
    assert_eq!(waiting(&rig), 0);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_certificates() {
    let rig = rig(PATIENCE);
    rig.settled().await;
    let begun = Instant::now();
    let visit = tokio::spawn(visit(&rig));
    eventually("it waits", || waiting(&rig) == 1).await;
    let drained = rig.edge.drain(PATIENCE).await;
    assert!(visit.await.unwrap().is_err());
    assert_eq!(drained.cut_off, 0);
    assert!(begun.elapsed() < PATIENCE);
}
