//! An edge on loopback, its cluster of one, its CA, and clients for it.

use std::{
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use edge::{
    AccessLog, ChallengeSource, Config, Edge, Inputs, Limits, Running, Trace, on_demand::OnDemand,
};
use futures_util::Stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ipnet::IpNet;
use rustls::{ClientConfig, pki_types::ServerName};
use state::{
    Actor, ChallengeKind, Change, KeyPurpose, Origin, Placed, State, Term, TicketSecrets, Traffic,
    Wants,
    challenge::alpn_digest,
    order::{PlacedAuthorization, PlacedChallenge},
    ports::{Bodies, Clock, Reading, Seal},
    sealed::SealContext,
    testing::{Alone, Known, ManualClock, MaskSeal, host, placed},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::parts::{Ca, NoLeader, Store};

/// Whatever takes longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The hostname that every rig serves.
pub(crate) const HOST: &str = "shop.client.example";

pub(crate) type Fault = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Body = BoxBody<Bytes, Fault>;
pub(crate) type Secure = TlsStream<TcpStream>;

pub(crate) struct Rig {
    pub(crate) edge: Running,
    pub(crate) parts: Parts,
    pub(crate) tickets: watch::Sender<Option<Arc<TicketSecrets>>>,
}

/// What an edge is started with.
pub(crate) struct Parts {
    states: watch::Receiver<Arc<State>>,
    pub(crate) alone: Arc<Alone>,
    pub(crate) ca: Arc<Ca>,
    pub(crate) store: Arc<Store>,
    /// What the edge is told of itself.
    pub(crate) behind: Arc<AtomicBool>,
    /// The memory that it is told it has in use.
    pub(crate) memory: Arc<AtomicU64>,
    pub(crate) clock: Arc<ManualClock>,
}

impl Deref for Rig {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Parts {
    fn edge(
        &self,
        options: Options,
        tickets: watch::Receiver<Option<Arc<TicketSecrets>>>,
    ) -> Running {
        let config = Config {
            https: options.listen,
            http: "127.0.0.1:0".parse().unwrap(),
            https_from: options.fronts.clone(),
            http_from: options.fronts,
            public_https_port: options.public_https_port,
            cores: NonZeroUsize::new(options.cores).unwrap(),
            origin_roots: Some(self.ca.pem().into_bytes()),
            limits: options.limits,
            dns: Some(edge::dns::Config {
                listen: vec!["127.0.0.1:0".parse().unwrap()],
                ..edge::dns::Config::default()
            }),
            hostnames_counted: options.hostnames_counted,
            access_log: options.access_log,
            trace: options.trace,
        };
        let inputs = Inputs {
            states: options.states.unwrap_or_else(|| self.states.clone()),
            reading: options.reading,
            bodies: Arc::clone(&self.store) as Arc<dyn Bodies>,
            seal: Arc::new(MaskSeal),
            tickets,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            challenges: options.leader,
            on_demand: options.on_demand,
            reach: Arc::new(Known),
            https: options.inherited,
            http: Vec::new(),
            memory: Arc::new({
                let memory = Arc::clone(&self.memory);
                move || memory.load(Ordering::Relaxed)
            }),
            behind: Arc::new({
                let behind = Arc::clone(&self.behind);
                move || behind.load(Ordering::Relaxed)
            }),
        };
        Edge::start(config, inputs).unwrap()
    }
}

pub(crate) struct Options {
    pub(crate) limits: Limits,
    pub(crate) cores: usize,
    pub(crate) leader: Arc<dyn ChallengeSource>,
    /// Who is asked about hostnames that are not authorized.
    pub(crate) on_demand: Option<OnDemand>,
    /// Instead of those of the rig.
    pub(crate) states: Option<watch::Receiver<Arc<State>>>,
    /// Where hostnames are looked up before the state is whole.
    pub(crate) reading: Arc<dyn Reading>,
    pub(crate) public_https_port: Option<u16>,
    pub(crate) tickets: Option<Arc<TicketSecrets>>,
    /// Who stands in front of both ports.
    pub(crate) fronts: Vec<IpNet>,
    /// Where TLS is served.
    pub(crate) listen: SocketAddr,
    /// Sockets instead of it.
    pub(crate) inherited: Vec<TcpListener>,
    pub(crate) hostnames_counted: usize,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) trace: Trace,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            cores: 2,
            leader: Arc::new(NoLeader),
            on_demand: None,
            states: None,
            reading: Arc::new(State::default()),
            public_https_port: None,
            tickets: None,
            fronts: Vec::new(),
            listen: "127.0.0.1:0".parse().unwrap(),
            inherited: Vec::new(),
            hostnames_counted: 1000,
            access_log: None,
            trace: Trace::default(),
        }
    }
}

impl Rig {
    /// Serves [`HOST`], without an origin.
    pub(crate) fn start() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let (states, watched) = watch::channel(Arc::default());
        let clock = Arc::new(ManualClock::default());
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let alone = Arc::new(Alone::founded(time, move |state| {
            states.send_replace(state);
        }));
        let ca = Arc::new(Ca::new());
        let behind = Arc::new(AtomicBool::new(false));
        let store = Arc::new(Store::new(Arc::clone(&alone)));
        let (tickets, given) = watch::channel(options.tickets.clone());
        let parts = Parts {
            states: watched,
            alone,
            ca,
            store,
            behind,
            memory: Arc::default(),
            clock,
        };
        let edge = parts.edge(options, given);
        let rig = Self {
            edge,
            parts,
            tickets,
        };
        rig.alone.register(Term(1), "thumb");
        rig.serve(HOST);
        rig
    }

    /// Another node's edge, which serves the same.
    pub(crate) fn another(&self) -> Running {
        self.successor(Options::default())
    }

    /// An edge that serves the same otherwise.
    pub(crate) fn successor(&self, options: Options) -> Running {
        self.parts.edge(options, self.tickets.subscribe())
    }

    /// Authorizes a hostname and installs a certificate for it.
    pub(crate) fn serve(&self, name: &str) {
        self.alone.authorize(name);
        self.install(name);
    }

    /// The same with all names one label below.
    pub(crate) fn serve_wildcard(&self, name: &str) {
        self.alone.authorize(name);
        let wants = Wants {
            wildcard: true,
            ..Wants::default()
        };
        self.apply(Change::SetWants {
            hostname: host(name),
            wants: Box::new(wants),
            revision: None,
        });
        let (leaf, key) = self.ca.issue_for(&[name, &format!("*.{name}")]);
        self.install_key(name, leaf, &key);
    }

    /// Installs a new certificate when the one before it is due.
    pub(crate) fn renew(&self, name: &str) {
        self.clock.advance(Duration::from_secs(61 * 86_400));
        self.install(name);
    }

    /// Installs a certificate.
    pub(crate) fn install(&self, name: &str) {
        let (leaf, key) = self.ca.issue(name);
        self.install_key(name, leaf, &key);
    }

    pub(crate) fn install_key(&self, name: &str, leaf: Bytes, key: &[u8]) {
        let context = SealContext::CertificateKey(host(name));
        let sealed = MaskSeal.seal(KeyPurpose::Serving, &context, key).unwrap();
        let issuers = vec![self.ca.der()];
        self.alone.install(Term(1), name, sealed, leaf, issuers);
    }

    /// Authorizes a hostname and places an order whose challenge is tls-alpn-01.
    /// The digest that its CA wants to see.
    pub(crate) fn ask_for_proof(&self, name: &str) -> [u8; 32] {
        self.alone.authorize(name);
        self.place_proof(name)
    }

    /// The same for the renewal of a hostname that is served.
    pub(crate) fn ask_for_proof_again(&self, name: &str) -> [u8; 32] {
        self.clock.advance(Duration::from_secs(61 * 86_400));
        self.place_proof(name)
    }

    fn place_proof(&self, name: &str) -> [u8; 32] {
        self.place(name, &[(ChallengeKind::TlsAlpn01, "proof")]);
        alpn_digest("proof.thumb")
    }

    /// Places an order of `name` with these challenges, each of an authorization.
    pub(crate) fn place(&self, name: &str, challenges: &[(ChallengeKind, &str)]) {
        let context = SealContext::CertificateKey(host(name));
        let key = MaskSeal
            .seal(KeyPurpose::Serving, &context, b"key")
            .unwrap();
        let order = self.alone.admit(Term(1), name, key);
        let authorization = |(kind, token): &(ChallengeKind, &str)| PlacedAuthorization {
            url: format!("https://ca.example/authz/{token}"),
            challenge: Some(PlacedChallenge {
                kind: *kind,
                url: format!("https://ca.example/chall/{token}"),
                token: (*token).to_owned(),
            }),
        };
        let placed = Placed {
            authorizations: challenges.iter().map(authorization).collect(),
            ..placed(order, "none")
        };
        self.alone
            .duty(Term(1), Change::PrepareOrder { order, placed });
    }

    pub(crate) fn remove(&self, name: &str) {
        self.apply(Change::RemoveHostname {
            hostname: host(name),
            revision: None,
        });
    }

    /// What an operator wants.
    pub(crate) fn apply(&self, change: Change) {
        self.alone.apply(Actor::operator("test"), None, change);
    }

    /// How all traffic is served.
    pub(crate) async fn zone(&self, traffic: Traffic) {
        self.decide(None, traffic).await;
    }

    /// How that of [`HOST`] is served.
    pub(crate) async fn own(&self, traffic: Traffic) {
        self.decide(Some(HOST), traffic).await;
    }

    pub(crate) async fn decide(&self, name: Option<&str>, traffic: Traffic) {
        self.apply(Change::SetTraffic {
            hostname: name.map(host),
            traffic: Box::new(traffic),
            revision: None,
        });
        self.settled().await;
    }

    pub(crate) fn set_origin(&self, origin: Origin) {
        self.apply(Change::SetOrigin {
            origin,
            revision: None,
        });
    }

    /// Waits until new connections see the present state.
    pub(crate) async fn settled(&self) {
        self.settled_at(&self.edge).await;
    }

    async fn settled_at(&self, edge: &Running) {
        let index = self.alone.state().index();
        let mut published = edge.published();
        timeout(PATIENCE, published.wait_for(|at| *at >= index))
            .await
            .unwrap()
            .unwrap();
    }

    pub(crate) fn https(&self) -> SocketAddr {
        self.edge.addresses().https
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.edge.addresses().http
    }

    /// A TLS connection for `name`, its certificate checked against our CA.
    pub(crate) async fn connect(
        &self,
        name: &str,
        config: ClientConfig,
    ) -> std::io::Result<Secure> {
        self.connect_to(&self.edge, name, config).await
    }

    /// The same to an edge, this one's or another's.
    pub(crate) async fn connect_to(
        &self,
        edge: &Running,
        name: &str,
        config: ClientConfig,
    ) -> std::io::Result<Secure> {
        self.settled_at(edge).await;
        let stream = TcpStream::connect(edge.addresses().https).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        timeout(
            PATIENCE,
            TlsConnector::from(Arc::new(config)).connect(name, stream),
        )
        .await
        .unwrap()
    }

    pub(crate) async fn secure(&self, alpn: &[&str]) -> Secure {
        self.connect(HOST, self.ca.client(alpn)).await.unwrap()
    }

    pub(crate) async fn http1(&self) -> http1::SendRequest<Body> {
        let stream = TokioIo::new(self.secure(&["http/1.1"]).await);
        let (sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    pub(crate) async fn http2(&self) -> http2::SendRequest<Body> {
        let stream = TokioIo::new(self.secure(&["h2"]).await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
        tokio::spawn(connection);
        sender
    }

    /// One request on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> (http::response::Parts, String) {
        let request = http::Request::builder()
            .uri(path)
            .header("host", HOST)
            .body(empty())
            .unwrap();
        let response = timeout(PATIENCE, self.http1().await.send_request(request))
            .await
            .unwrap()
            .unwrap();
        whole(response).await
    }

    /// Sends bytes on a TLS connection and reads until it is closed or quiet.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.secure(&["http/1.1"]).await;
        stream.write_all(bytes).await.unwrap();
        read_for(&mut stream, Duration::from_millis(300)).await
    }
}

/// What arrives until the stream ends, or rests for `quiet`.
pub(crate) async fn read_for(
    stream: &mut (impl tokio::io::AsyncRead + Unpin),
    quiet: Duration,
) -> String {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    // The first bytes may take their time on a busy machine.
    let mut patience = PATIENCE;
    while let Ok(Ok(length @ 1..)) = timeout(patience, stream.read(&mut piece)).await {
        read.extend_from_slice(&piece[..length]);
        patience = quiet;
    }
    String::from_utf8_lossy(&read).into_owned()
}

pub(crate) fn empty() -> Body {
    full(Bytes::new())
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

pub(crate) fn streamed(
    pieces: impl Stream<Item = Result<Frame<Bytes>, Fault>> + Send + Sync + 'static,
) -> Body {
    StreamBody::new(pieces).boxed()
}

pub(crate) async fn whole(response: http::Response<Incoming>) -> (http::response::Parts, String) {
    let (head, body) = response.into_parts();
    let bytes = timeout(PATIENCE, body.collect())
        .await
        .unwrap()
        .unwrap()
        .to_bytes();
    (head, String::from_utf8_lossy(&bytes).into_owned())
}

/// Polls until it holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let what = what.to_owned();
    async move {
        let polled = timeout(PATIENCE, async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(polled.await.is_ok(), "{what} did not come to hold");
    }
}
