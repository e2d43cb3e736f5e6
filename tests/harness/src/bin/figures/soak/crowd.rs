//! Clients of all kinds, good and bad, spread over the nodes.

mod connection;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use harness::{
    Cluster,
    load::{self, Tally},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use self::connection::Connection;
use super::origin::LONG;

/// A visit that takes longer has failed: some seconds, on a machine that is not busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// Requests on a kept connection, and messages of a WebSocket.
const KEPT: usize = 50;
/// Between two of them, and between two pieces of a slow client: all of a head must be said
/// within ten seconds, even on a busy machine.
const PAUSE: Duration = Duration::from_millis(20);
const UPLOAD: usize = 1 << 20;

/// Clients until they are ended.
pub(super) struct Crowd {
    kinds: Vec<(Kind, Arc<Tally>)>,
    clients: JoinSet<()>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Keeps an HTTP/1.1 connection.
    Keeping,
    Uploading,
    /// Talks over a WebSocket.
    Talking,
    /// Says its request piece by piece.
    SlowToSay,
    /// Takes a long answer piece by piece.
    SlowToHear,
    /// Goes away in the midst of something.
    Aborting,
}

const KINDS: [Kind; 6] = [
    Kind::Keeping,
    Kind::Uploading,
    Kind::Talking,
    Kind::SlowToSay,
    Kind::SlowToHear,
    Kind::Aborting,
];

/// Somewhere to go to.
#[derive(Clone)]
struct Visitor {
    tls: TlsConnector,
    nodes: Vec<SocketAddr>,
    hostname: String,
}

impl Crowd {
    /// Two of each kind.
    pub(super) async fn start(cluster: &Cluster, hostname: &str, stop: &CancellationToken) -> Self {
        let roots = cluster.ca.issuing_root_pem().await;
        let visitor = Visitor {
            tls: load::trusting(&roots, "http/1.1"),
            nodes: (0..cluster.nodes.len())
                .map(|place| cluster.https_of(place))
                .collect(),
            hostname: hostname.to_owned(),
        };
        let kinds = KINDS.map(|kind| (kind, Arc::<Tally>::default()));
        let mut clients = JoinSet::new();
        for (kind, tally) in kinds.iter().chain(&kinds) {
            let (kind, tally) = (*kind, Arc::clone(tally));
            let (visitor, stop) = (visitor.clone(), stop.clone());
            clients.spawn(async move {
                // So that not all begin at the same node.
                let mut turn = kind as usize;
                while !stop.is_cancelled() {
                    turn += 1;
                    let visit = timeout(PATIENCE, visitor.visit(kind, turn, &tally));
                    if let Err(error) = visit.await.unwrap_or_else(|late| Err(late.into())) {
                        tally.count(Err(error));
                    }
                }
            });
        }
        Self {
            kinds: kinds.to_vec(),
            clients,
        }
    }

    /// Waits for what was begun, and tells how it went.
    pub(super) async fn end(mut self) {
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        for (kind, tally) in &self.kinds {
            println!(
                "{kind:?}: {} of {} failed {:?}",
                tally.failed(),
                tally.requests(),
                tally.told()
            );
        }
    }
}

impl Visitor {
    async fn connect(&self, turn: usize) -> io::Result<Connection> {
        Connection::open(
            &self.tls,
            self.nodes[turn % self.nodes.len()],
            &self.hostname,
        )
        .await
    }

    /// A whole visit; each answer is counted.
    async fn visit(&self, kind: Kind, turn: usize, tally: &Tally) -> io::Result<()> {
        let mut connection = self.connect(turn).await?;
        match kind {
            Kind::Keeping => {
                for _ in 0..KEPT {
                    connection.say(&self.head("GET / HTTP/1.1", "")).await?;
                    tally.count(connection.hear(b"0").await);
                    sleep(PAUSE / 4).await;
                }
            }
            Kind::Uploading => {
                let head = self.head("POST / HTTP/1.1", &format!("Content-Length: {UPLOAD}\r\n"));
                connection.say(&head).await?;
                connection.say(&vec![b'x'; UPLOAD]).await?;
                tally.count(connection.hear(UPLOAD.to_string().as_bytes()).await);
            }
            Kind::Talking => {
                let fields = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
                connection.say(&self.head("GET / HTTP/1.1", fields)).await?;
                connection.switched().await?;
                for turn in 0..KEPT {
                    let message = vec![b'0' + (turn % 10) as u8; 4096];
                    connection.say(&message).await?;
                    tally.count(connection.exactly(&message).await.map(|()| 200));
                    sleep(PAUSE).await;
                }
            }
            Kind::SlowToSay => {
                for piece in self.head("GET / HTTP/1.1", "").chunks(8) {
                    connection.say(piece).await?;
                    sleep(PAUSE).await;
                }
                tally.count(connection.hear(b"0").await);
            }
            Kind::SlowToHear => {
                connection.say(&self.head("GET /long HTTP/1.1", "")).await?;
                sleep(PAUSE * KEPT as u32).await;
                tally.count(connection.hear(&vec![b'x'; LONG]).await);
            }
            Kind::Aborting => {
                let half = match turn % 4 {
                    0 => self.head("GET / HTTP/1.1", "")[..30].to_vec(),
                    1 => self.head("POST / HTTP/1.1", "Content-Length: 90\r\n"),
                    2 => self.head("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n"),
                    _ => self.head("GET /long HTTP/1.1", ""),
                };
                connection.say(&half).await?;
                sleep(PAUSE).await;
                tally.count(Ok(200));
            }
        }
        Ok(())
    }

    fn head(&self, line: &str, fields: &str) -> Vec<u8> {
        format!("{line}\r\nHost: {}\r\n{fields}\r\n", self.hostname).into_bytes()
    }
}
