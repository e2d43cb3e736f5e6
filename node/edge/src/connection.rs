//! One connection, from its first byte to its end.

mod activity;
mod pending;
mod roll;
mod supervise;
mod watched;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, OnceLock},
};

use arc_swap::ArcSwapOption;
use bytes::{Bytes, BytesMut};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use ipnet::IpNet;
use rustls::{AlertDescription, HandshakeKind};
use state::{Certificate, Hostname, Index};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};

use self::supervise::{End, Graceful, supervise};
pub(crate) use self::{
    activity::{Activity, OpenRequest},
    roll::{Entry, Idle, Roll},
    watched::Watched,
};
use crate::{
    admission::Refused,
    http::{body::ResponseBody, forward, headers::Told, plain, route::Scheme},
    limits,
    listener::Admitted,
    observe::{Session, tally::Tally},
    policy::{Policy, allowance::Connected, client::Asked},
    proxy_protocol,
    tls::{
        alpn, hello,
        identity::Identity,
        keys::Ready,
        replay::Replay,
        resolver::{self, Choice},
        server::{self, Protocol},
        tickets::{self, Scope},
    },
    view::{Known, View},
    worker::Worker,
};

/// A client's connection as its requests see it.
pub(crate) struct Client {
    /// Held until the last tunnel of the connection has ended.
    pub(crate) admitted: Admitted,
    /// The name that the TLS session is for, lower case; empty without TLS.
    pub(crate) name: String,
    pub(crate) activity: Arc<Activity>,
    /// How its requests were served last; absent without TLS.
    policy: ArcSwapOption<Policy>,
    /// Whose certificates it was asked for in the handshake.
    pub(crate) asked: Asked,
    /// Whom it has proven to be.
    pub(crate) identity: Option<Identity>,
    /// How its TLS came about; absent without, and where nobody asks.
    pub(crate) session: Option<Box<Session>>,
    /// Where its requests are added up, and whether that is for the name above.
    tally: OnceLock<(bool, Arc<Tally>)>,
    /// What the origin was told about it last.
    told: ArcSwapOption<Told>,
    /// Held as long as `admitted`, where connections are counted.
    _connected: Option<Connected<Box<str>>>,
}

impl Client {
    /// What the origin is told about it. Made once for a connection whose requests all write
    /// their host alike. `None`: that cannot be told.
    pub(crate) fn told(&self, host: &str) -> Option<Arc<Told>> {
        if let Some(told) = &*self.told.load()
            && told.is_of(host)
        {
            return Some(Arc::clone(told));
        }
        let told = Told::new(self.admitted.address.ip(), host, Scheme::Https)?;
        let told = Arc::new(told);
        self.told.store(Some(Arc::clone(&told)));
        Some(told)
    }

    /// How its requests are served now. Nothing is made while nobody changes the settings.
    pub(crate) fn policy(&self, worker: &Worker, view: &View, known: &Known) -> Arc<Policy> {
        if let Some(held) = &*self.policy.load()
            && held.holds(view, known)
        {
            return Arc::clone(held);
        }
        let policies = &worker.policies;
        let policy = policies.of(&worker.upstream, view, known, &self.name);
        self.policy.store(Some(Arc::clone(&policy)));
        policy
    }

    /// Where its requests are added up now.
    pub(crate) fn tally(&self, worker: &Worker, known: &Known) -> Arc<Tally> {
        let find = || {
            worker
                .hostnames
                .tally(worker.core, known.hostname(&self.name))
        };
        let (below, tally) = self.tally.get_or_init(|| (known.below, find()));
        if *below == known.below {
            Arc::clone(tally)
        } else {
            // The name has become, or was, a hostname of its own meanwhile.
            find()
        }
    }
}

/// Serves a connection of the https port.
pub(crate) async fn secure(worker: Arc<Worker>, mut stream: TcpStream, mut admitted: Admitted) {
    let deadline = Instant::now() + worker.limits.handshake;
    let activity = Arc::clone(&admitted.activity);
    let fronts = &worker.fronts.https;
    let greeted = async {
        let refused = introduced(&worker, &mut stream, &mut admitted, fronts, deadline).await?;
        if let Some(refused) = refused {
            return Some(Greeted::Refused(refused));
        }
        greet(&worker, &mut stream, admitted.address.ip(), deadline).await
    };
    let greeted = tokio::select! {
        biased;
        greeted = greeted => greeted,
        // Others need its place.
        () = activity.asked_to_leave() => None,
    };
    let (read, name, served, deadline) = match greeted {
        Some(Greeted::Client {
            read,
            name,
            served,
            deadline,
        }) => (read, name, served, deadline),
        Some(Greeted::Validation { read, name, config }) => {
            return prove(&worker, config, Replay::new(read, stream), &name, deadline).await;
        }
        Some(Greeted::Refused(refused)) => return worker.refuse(stream, refused),
        None => return,
    };
    activity.shakes_hands();
    let address = admitted.address;
    let let_in = match let_in(&worker, &name, served) {
        Ok(let_in) => let_in,
        Err(alert) => return refuse(&mut stream, alert).await,
    };
    let LetIn {
        policy,
        config,
        connected,
    } = let_in;
    let stream = Replay::new(read, stream);
    let (stream, protocol) =
        match server::handshake(config, stream, &name, &worker.turns, deadline).await {
            Ok(done) => done,
            Err(error) => {
                worker.counters.handshakes_failed.add();
                tracing::debug!(hostname = %name, client = %address, %error, "no handshake");
                return;
            }
        };
    worker.counters.handshakes.add();
    if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
        worker.counters.handshakes_resumed.add();
    }
    admitted.serves(protocol == Protocol::Http1);
    let asked = policy.handshake.asked();
    let shown = asked
        .as_ref()
        .and_then(|_| stream.get_ref().1.peer_certificates());
    let session = worker.access_log.as_ref();
    let session = session.map(|_| Box::new(Session::of(stream.get_ref().1)));
    let client = Arc::new(Client {
        admitted,
        name,
        activity: Arc::clone(&activity),
        identity: shown.and_then(|chain| chain.first()).map(Identity::of),
        asked,
        policy: ArcSwapOption::from(Some(policy)),
        session,
        tally: OnceLock::new(),
        told: ArcSwapOption::empty(),
        _connected: connected,
    });
    let service = service_fn({
        let worker = Arc::clone(&worker);
        move |request| forward::serve(Arc::clone(&worker), Arc::clone(&client), request)
    });
    let end = match protocol {
        Protocol::Http1 => {
            let io = TokioIo::new(Watched::http1(stream, Arc::clone(&activity)));
            let connection = worker.http1.serve_connection(io, service).with_upgrades();
            supervise(connection, &activity, &worker.limits, &worker.draining).await
        }
        Protocol::Http2 => {
            let counters = Arc::clone(&worker.counters);
            let io = TokioIo::new(Watched::http2(stream, Arc::clone(&activity), counters));
            let connection = worker.http2.serve_connection(io, service);
            supervise(connection, &activity, &worker.limits, &worker.draining).await
        }
    };
    note(address, &end);
}

/// Serves a connection of the http port.
pub(crate) async fn plain(worker: Arc<Worker>, mut stream: TcpStream, mut admitted: Admitted) {
    let deadline = Instant::now() + worker.limits.handshake;
    let fronts = &worker.fronts.http;
    match introduced(&worker, &mut stream, &mut admitted, fronts, deadline).await {
        Some(None) => {}
        Some(Some(refused)) => return worker.refuse(stream, refused),
        None => return,
    }
    let address = admitted.address;
    let activity = Arc::clone(&admitted.activity);
    admitted.serves(true);
    let client = Arc::new(Client {
        admitted,
        name: String::new(),
        activity: Arc::clone(&activity),
        policy: ArcSwapOption::empty(),
        asked: None,
        identity: None,
        session: None,
        tally: OnceLock::new(),
        told: ArcSwapOption::empty(),
        _connected: None,
    });
    let io = TokioIo::new(Watched::http1(stream, Arc::clone(&activity)));
    let service = service_fn({
        let worker = Arc::clone(&worker);
        move |request| plain::serve(Arc::clone(&worker), Arc::clone(&client), request)
    });
    let connection = worker.http1.serve_connection(io, service);
    let end = supervise(connection, &activity, &worker.limits, &worker.draining).await;
    note(address, &end);
}

/// Learns from whoever stands in front, if anybody does, who the client is, and whether it
/// is one too many. `None`: the connection has ended.
async fn introduced(
    worker: &Worker,
    stream: &mut TcpStream,
    admitted: &mut Admitted,
    fronts: &[IpNet],
    deadline: Instant,
) -> Option<Option<Refused>> {
    if fronts.is_empty() {
        return Some(None);
    }
    let sender = admitted.address;
    let error = match timeout_at(deadline, proxy_protocol::read(stream, sender, fronts)).await {
        Ok(Ok(client)) => return Some(admitted.introduce(worker, client).err()),
        Ok(Err(error)) => error,
        Err(_) => io::Error::from(io::ErrorKind::TimedOut).into(),
    };
    worker.counters.fronts_refused.add();
    tracing::debug!(%sender, %error, "no PROXY protocol header");
    None
}

fn note(client: SocketAddr, end: &End) {
    match end {
        End::Closed => {}
        End::Failed(error) => tracing::debug!(%client, %error, "connection failed"),
        End::Overdue(why) => tracing::debug!(%client, why, "connection cut off"),
    }
}

/// What a handshake is made with.
struct LetIn {
    policy: Arc<Policy>,
    config: Ready,
    connected: Option<Connected<Box<str>>>,
}

/// What the settings of `name` make of the key that was found; an alert if they want
/// nobody more.
fn let_in(worker: &Worker, name: &str, served: Served) -> Result<LetIn, AlertDescription> {
    let view = worker.view.load();
    // It may have been removed since the hello was read.
    let known = view.known(name).ok_or(AlertDescription::UnrecognisedName)?;
    let policy = worker.policies.of(&worker.upstream, &view, &known, name);
    let config = policy.handshake.config(served.config).ok_or_else(|| {
        worker.counters.handshakes_failed.add();
        AlertDescription::InternalError
    })?;
    let config = match policy.handshake.resumes() {
        None => config,
        Some(terms) => {
            let scope = Scope {
                name,
                claim: served.claim,
                policy: tickets::Policy {
                    certificate: served.certificate.id,
                    terms,
                },
            };
            let until = served.certificate.not_after;
            worker.tickets.offer(config, &scope, until)
        }
    };
    let most = policy.more.as_ref().and_then(|more| more.connections);
    let connected = most.map(|most| {
        let hostname = known.hostname(name);
        let connected = worker.allowances.connect(hostname, most);
        connected.ok_or_else(|| {
            worker.counters.connections_refused.add();
            // TLS has no alert that says so.
            AlertDescription::InternalError
        })
    });
    Ok(LetIn {
        connected: connected.transpose()?,
        policy,
        config,
    })
}

/// Shows a CA what it wants to see, and ends the connection: nothing is ever said
/// over one for `acme-tls/1`.
async fn prove(
    worker: &Worker,
    config: Ready,
    stream: Replay<TcpStream>,
    name: &str,
    deadline: Instant,
) {
    match alpn::prove(config, stream, name, deadline).await {
        Ok(()) => worker.counters.validations.add(),
        Err(error) => {
            worker.counters.handshakes_failed.add();
            tracing::debug!(hostname = %name, %error, "no validation");
        }
    }
}

/// Whose hello was read, and what to answer it with.
enum Greeted {
    Client {
        read: Bytes,
        name: String,
        served: Served,
        /// For what is left of the handshake.
        deadline: Instant,
    },
    /// A CA, for tls-alpn-01.
    Validation {
        read: Bytes,
        name: String,
        config: Ready,
    },
    /// Nobody's: the client behind the front has enough connections.
    Refused(Refused),
}

/// What a client's name is served with.
struct Served {
    certificate: Arc<Certificate>,
    claim: Index,
    config: Ready,
}

/// Reads the hello and finds the key. `None`: the connection has ended.
async fn greet(
    worker: &Worker,
    stream: &mut TcpStream,
    client: IpAddr,
    deadline: Instant,
) -> Option<Greeted> {
    let (read, choice) = match timeout_at(deadline, hear(worker, stream)).await {
        Ok(heard) => heard?,
        Err(_) => {
            worker.counters.handshakes_failed.add();
            return None;
        }
    };
    let waited = match choice {
        Choice::Pending(name) => Ok(pending::wait(worker, stream, name).await),
        Choice::Unknown(name) => Ok(pending::ask(worker, stream, client, name).await),
        choice => Err(choice),
    };
    let (choice, deadline) = match waited {
        // The client has waited for us: its own time begins anew.
        Ok(choice) => (choice, Instant::now() + worker.limits.handshake),
        Err(choice) => (choice, deadline),
    };
    let alert = match choice {
        Choice::Serve {
            name,
            certificate,
            claim,
        } => match timeout_at(deadline, worker.keys.get(&certificate)).await {
            Ok(Ok(config)) => {
                let served = Served {
                    certificate,
                    claim,
                    config,
                };
                return Some(Greeted::Client {
                    read,
                    name,
                    served,
                    deadline,
                });
            }
            Ok(Err(_)) | Err(_) => AlertDescription::InternalError,
        },
        Choice::Prove { name, digest } => match worker.proofs.get(&name, digest) {
            Ok(config) => return Some(Greeted::Validation { read, name, config }),
            Err(error) => {
                tracing::error!(hostname = %name, %error, "no proof can be made");
                AlertDescription::InternalError
            }
        },
        Choice::Alert(alert) => {
            refuse(stream, alert).await;
            return None;
        }
        Choice::More | Choice::Ask(_) | Choice::Pending(_) | Choice::Unknown(_) | Choice::Close => {
            return None;
        }
    };
    worker.counters.handshakes_failed.add();
    refuse(stream, alert).await;
    None
}

/// What the leader knows of a challenge that is not here yet.
async fn ask(worker: &Worker, hostname: Hostname) -> Choice {
    let name = hostname.to_string();
    match worker.challenges.digest(hostname, &worker.counters).await {
        Some(digest) => Choice::Prove { name, digest },
        None => {
            worker.counters.validations_refused.add();
            Choice::Alert(AlertDescription::NoApplicationProtocol)
        }
    }
}

/// Reads until the hello is whole. `None`: the client went away.
async fn hear(worker: &Worker, stream: &mut TcpStream) -> Option<(Bytes, Choice)> {
    /// Room for most hellos in one read.
    const FIRST_READ: usize = 2048;
    let mut read = BytesMut::with_capacity(FIRST_READ);
    loop {
        // `hello::parse` ends it at `limits::HELLO` by more than the records' headers.
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
        let hello = hello::parse(&read);
        if let Some(name) = hello.name() {
            worker.look_up(name).await;
        }
        match resolver::choose(hello, &worker.view.load(), &worker.counters) {
            Choice::More => {}
            Choice::Ask(hostname) => return Some((read.freeze(), ask(worker, hostname).await)),
            choice => return Some((read.freeze(), choice)),
        }
    }
}

/// The alert in one write; who does not take seven bytes at once does not get
/// them.
async fn refuse(stream: &mut TcpStream, alert: AlertDescription) {
    // Bytes left unread would turn the close into a reset, and that can
    // overtake the alert.
    let _ = stream.try_read(&mut [0; 1024]);
    let _ = stream.try_write(&resolver::alert_record(alert));
    let _ = stream.shutdown().await;
}

/// hyper's HTTP/1.1 as we serve it. Heads are timed by [`Activity`].
pub(crate) fn http1_settings() -> http1::Builder {
    let mut settings = http1::Builder::new();
    settings
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(limits::FIELDS)
        .max_header_size(limits::HEAD)
        .max_buf_size(limits::H1_BUFFER);
    settings
}

/// hyper's HTTP/2 as we serve it.
pub(crate) fn http2_settings() -> http2::Builder<TokioExecutor> {
    let mut settings = http2::Builder::new(TokioExecutor::new());
    settings
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::H2_STREAMS)
        .initial_stream_window_size(limits::H2_STREAM_WINDOW)
        .initial_connection_window_size(limits::H2_CONNECTION_WINDOW)
        .max_header_list_size(limits::H2_HEADER_LIST)
        .max_send_buf_size(limits::H2_SEND_BUFFER)
        .max_pending_accept_reset_streams(limits::H2_REMOTE_RESETS)
        .max_local_error_reset_streams(limits::H2_LOCAL_RESETS);
    settings
}

impl<I, S> Graceful for http1::Connection<I, S>
where
    S: HttpService<Incoming, ResBody = ResponseBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Graceful for http1::UpgradeableConnection<I, S>
where
    S: HttpService<Incoming, ResBody = ResponseBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, E> Graceful for http2::Connection<I, S, E>
where
    S: HttpService<Incoming, ResBody = ResponseBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, ResponseBody>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
