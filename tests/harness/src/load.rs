//! Clients under way all the while, led to nodes as a balancer leads them that asks
//! `/readyz`: each new connection goes to a node that was ready when it was last asked, and
//! connections that are open stay where they are.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, header::CONNECTION};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use node::dev::request;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::Cluster;

/// Nodes that end as behind a balancer which asks as often as we do, and that know no bound
/// for one client: all come from one address.
pub const DRAINING: &str = "[edge]\nthreads = 1\nlame_duck = \"1s\"\ngrace = \"5s\"\nconnections_per_client = 0\nconnection_rate_per_client = 0\n[issuance]\nretry = \"1s\"\n";
/// How often nodes are asked whether they are ready.
const ASKED_EVERY: Duration = Duration::from_millis(100);
/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Requests at once on an HTTP/2 connection.
const STREAMS: usize = 4;
/// Failures that are kept to be told.
const TOLD: usize = 10;

/// Clients that ask until they are stopped.
pub struct Load {
    stop: CancellationToken,
    tally: Arc<Tally>,
    clients: JoinSet<()>,
    _asking: AbortOnDropHandle<()>,
}

/// How it went.
#[derive(Debug, Default)]
pub struct Tally {
    requests: AtomicUsize,
    failed: AtomicUsize,
    connections: AtomicUsize,
    /// Requests that a node said it had not begun, which were asked again.
    unbegun: AtomicUsize,
    told: Mutex<Vec<String>>,
}

impl Load {
    /// So many clients that keep an HTTP/2 connection for as long as they may, and so many
    /// that close an HTTP/1.1 connection after each request.
    pub async fn start(cluster: &Cluster, hostname: &str, keeping: usize, closing: usize) -> Self {
        let roots = cluster.ca.issuing_root_pem().await;
        let health: Vec<(SocketAddr, SocketAddr)> = cluster
            .nodes
            .iter()
            .map(|node| (node.files.health(), node.files.https()))
            .collect();
        let ready = Arc::<Mutex<Vec<SocketAddr>>>::default();
        ask(&health, &ready).await;
        let stop = CancellationToken::new();
        let tally = Arc::<Tally>::default();
        let mut clients = JoinSet::new();
        for number in 0..keeping + closing {
            let keeps = number < keeping;
            let client = Client {
                hostname: hostname.to_owned(),
                tls: trusting(&roots, if keeps { "h2" } else { "http/1.1" }),
                ready: ready.clone(),
                turn: number,
                tally: tally.clone(),
            };
            let stop = stop.clone();
            clients.spawn(async move {
                if keeps {
                    client.keep(&stop).await;
                } else {
                    client.close(&stop).await;
                }
            });
        }
        let asking = tokio::spawn(async move {
            loop {
                sleep(ASKED_EVERY).await;
                ask(&health, &ready).await;
            }
        });
        Self {
            stop,
            tally,
            clients,
            _asking: AbortOnDropHandle::new(asking),
        }
    }

    /// How it has gone so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Ends it after what was begun.
    pub async fn stop(mut self) -> Arc<Tally> {
        self.stop.cancel();
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        self.tally
    }
}

impl Tally {
    /// Requests that were answered or failed.
    pub fn requests(&self) -> usize {
        self.requests.load(Relaxed)
    }

    /// Those that failed.
    pub fn failed(&self) -> usize {
        self.failed.load(Relaxed)
    }

    /// Connections that were opened.
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// Requests that were asked again, because the node said that it had not begun them.
    pub fn unbegun(&self) -> usize {
        self.unbegun.load(Relaxed)
    }

    /// The first failures.
    pub fn told(&self) -> Vec<String> {
        let told = self.told.lock();
        told.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts one, with the status that it was answered with.
    pub fn count(&self, outcome: io::Result<u16>) {
        self.requests.fetch_add(1, Relaxed);
        let failure = match outcome {
            Ok(200) => return,
            Ok(status) => format!("status {status}"),
            Err(error) => format!("{error:?}"),
        };
        self.failed.fetch_add(1, Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < TOLD {
            told.push(failure);
        }
    }
}

/// Notes which nodes are ready.
async fn ask(nodes: &[(SocketAddr, SocketAddr)], ready: &Mutex<Vec<SocketAddr>>) {
    let asked = nodes.iter().map(|(health, https)| async move {
        let status = timeout(ASKED_EVERY * 5, request::plain_status(*health, "/readyz")).await;
        matches!(status, Ok(Ok(200))).then_some(*https)
    });
    let found: Vec<SocketAddr> = join_all(asked).await.into_iter().flatten().collect();
    // As balancers do: if none is ready, all are.
    if !found.is_empty() {
        *ready.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

/// A client that trusts these roots and speaks one protocol.
pub fn trusting(roots_pem: &str, alpn: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    TlsConnector::from(Arc::new(config))
}

struct Client {
    hostname: String,
    tls: TlsConnector,
    ready: Arc<Mutex<Vec<SocketAddr>>>,
    turn: usize,
    tally: Arc<Tally>,
}

type Kept = http2::SendRequest<Empty<Bytes>>;

impl Client {
    async fn close(mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let outcome = timeout(PATIENCE, self.ask_and_close()).await;
            self.tally.count(outcome.unwrap_or_else(late));
        }
    }

    async fn ask_and_close(&mut self) -> io::Result<u16> {
        let stream = TokioIo::new(self.connect().await?);
        let hands = http1::handshake(stream).await;
        let (mut sender, connection) = hands.map_err(io::Error::other)?;
        let driven = tokio::spawn(connection);
        let request = Request::get("/")
            .header("host", &self.hostname)
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(io::Error::other)?;
        let response = sender.send_request(request).await;
        let response = response.map_err(io::Error::other)?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await;
        body.map_err(io::Error::other)?;
        driven.await?.map_err(io::Error::other)?;
        Ok(status)
    }

    async fn keep(mut self, stop: &CancellationToken) {
        let mut kept: Option<Kept> = None;
        while !stop.is_cancelled() {
            let sender = match kept.take().filter(|sender| !sender.is_closed()) {
                Some(sender) => sender,
                None => match timeout(PATIENCE, self.open()).await.unwrap_or_else(late) {
                    Ok(sender) => sender,
                    Err(error) => {
                        self.tally.count(Err(error));
                        continue;
                    }
                },
            };
            let asked = (0..STREAMS).map(|_| self.ask_on(sender.clone()));
            for outcome in join_all(asked).await.into_iter().flatten() {
                self.tally.count(outcome);
            }
            kept = Some(sender);
        }
    }

    /// `None`: the connection was told to go before the request left, or the node said that
    /// it had not begun it, which it may even of one that was on its way (RFC 9113 section
    /// 6.8). As all clients do, it is then asked on another.
    async fn ask_on(&self, mut sender: Kept) -> Option<io::Result<u16>> {
        let request = Request::get(format!("https://{}/", self.hostname));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        if sender.ready().await.is_err() {
            return None;
        }
        let exchange = async {
            let response = match sender.try_send_request(request).await {
                Ok(response) => response,
                Err(error) if error.message().is_some() => return None,
                Err(error) if is_unbegun(error.error()) => {
                    self.tally.unbegun.fetch_add(1, Relaxed);
                    return None;
                }
                Err(error) => return Some(Err(io::Error::other(error.into_error()))),
            };
            let status = response.status().as_u16();
            let body = response.into_body().collect().await;
            Some(body.map(|_| status).map_err(io::Error::other))
        };
        timeout(PATIENCE, exchange)
            .await
            .unwrap_or_else(|elapsed| Some(late(elapsed)))
    }

    async fn open(&mut self) -> io::Result<Kept> {
        let stream = TokioIo::new(self.connect().await?);
        let hands = http2::handshake(TokioExecutor::new(), stream).await;
        let (sender, connection) = hands.map_err(io::Error::other)?;
        // What it ends with is seen by its requests.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// To the next of those that are ready.
    async fn connect(&mut self) -> io::Result<TlsStream<TcpStream>> {
        self.turn += 1;
        let address = {
            let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            ready[self.turn % ready.len()]
        };
        self.tally.connections.fetch_add(1, Relaxed);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(self.hostname.clone()).map_err(io::Error::other)?;
        self.tls.connect(name, stream).await
    }
}

/// `h2` ends streams so that are above the last that a GOAWAY names.
fn is_unbegun(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    let source = source.and_then(|source| source.downcast_ref::<h2::Error>());
    source.is_some_and(|error| {
        error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
    })
}

fn late<T>(_: tokio::time::error::Elapsed) -> io::Result<T> {
    Err(io::ErrorKind::TimedOut.into())
}
