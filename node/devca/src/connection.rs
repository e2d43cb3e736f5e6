//! From sockets to events and back.

mod body;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use body::{Aborted, Body, sent};

use crate::config::Clocks;
use crate::engine::Event;
use crate::fault::Disruption;
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::step::Caller;

/// Connections at a time; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 512;
/// The largest request: a certificate of a hundred names takes less than half.
const MAX_BODY: usize = 64 * 1_024;
/// For each of handshake, request head (the idle time of kept connections included) and
/// request body.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long answers under way are waited for at the end.
const GRACE: Duration = Duration::from_secs(3);
/// After a failed accept (no file descriptors, as a rule), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) tls: TlsAcceptor,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) clocks: Clocks,
    /// Whether nothing is to be said on new connections.
    pub(crate) silent: watch::Receiver<bool>,
}

/// Accepts connections until the CA stops.
pub(crate) async fn accept(listener: TcpListener, door: Door) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accepting = async {
        // The semaphore is never closed.
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let served = serve(stream, peer.ip(), door.clone());
                    door.tasks.spawn(async move {
                        if let Err(error) = served.await {
                            debug!(%peer, %error, "connection ended");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    door.stop.run_until_cancelled(accepting).await;
}

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("no TLS handshake within {PATIENCE:?}")]
    Slow,
    #[error("TLS handshake: {0}")]
    Handshake(std::io::Error),
    #[error("HTTP: {0}")]
    Http(hyper::Error),
}

async fn serve(stream: TcpStream, peer: IpAddr, mut door: Door) -> Result<(), ConnectionError> {
    if *door.silent.borrow_and_update() {
        // Until the CA stops or the black hole is gone; a client that leaves meanwhile
        // is not noticed, as nothing is in one.
        tokio::select! {
            () = door.stop.cancelled() => {}
            _ = door.silent.changed() => {}
        }
        drop(stream);
        return Ok(());
    }
    // Small answers must not wait for the client's delayed acknowledgements.
    let _ = stream.set_nodelay(true);
    let handshake = timeout(PATIENCE, door.tls.accept(stream));
    let Some(stream) = door.stop.run_until_cancelled(handshake).await else {
        return Ok(());
    };
    let stream = stream
        .map_err(|_| ConnectionError::Slow)?
        .map_err(ConnectionError::Handshake)?;
    let (events, clocks) = (door.events.clone(), door.clocks.clone());
    let service = service_fn(move |request| answer(request, peer, events.clone(), clocks.clone()));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = door.stop.cancelled() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            timeout(GRACE, &mut connection).await.unwrap_or(Ok(()))
        }
    };
    if ended.as_ref().is_err_and(is_commanded) {
        reset(connection.into_parts().io.into_inner().get_ref().0);
        return Ok(());
    }
    ended.map_err(ConnectionError::Http)
}

/// Whether a connection ended because a fault said so.
fn is_commanded(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<Aborted>())
}

/// Lets the connection end with a reset, as soon as it is dropped.
fn reset(stream: &TcpStream) {
    // Where the system refuses, the connection ends plainly, which breaks it as well.
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

async fn answer(
    request: Request<Incoming>,
    peer: IpAddr,
    events: mpsc::Sender<Event>,
    clocks: Clocks,
) -> Result<Response<Body>, Aborted> {
    let (reply, answered) = oneshot::channel();
    let event = match read(request).await {
        Ok(mut request) => {
            request.extensions_mut().insert(Caller {
                address: peer,
                received: clocks.moment(),
            });
            Event::Request { request, reply }
        }
        Err(problem) => Event::Unreadable { problem, reply },
    };
    let response = match events.send(event).await {
        Ok(()) => answered.await.unwrap_or_else(|_| stopped()),
        Err(_) => stopped(),
    };
    let disruption = response.extensions().get().copied();
    match disruption {
        Some(Disruption::Reset) => return Err(Aborted),
        Some(Disruption::Silence) => std::future::pending::<()>().await,
        Some(Disruption::Late { millis }) => sleep(Duration::from_millis(millis)).await,
        _ => {}
    }
    Ok(sent(response, disruption))
}

async fn read(request: Request<Incoming>) -> Result<Request<Bytes>, Problem> {
    let (head, body) = request.into_parts();
    let body = timeout(PATIENCE, Limited::new(body, MAX_BODY).collect())
        .await
        .map_err(|_| Problem::malformed("the request body did not arrive").with_status(408))?
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                let detail = format!("the request body has more than {MAX_BODY} bytes");
                Problem::malformed(detail).with_status(413)
            } else {
                Problem::malformed(format!("the request body is broken: {error}"))
            }
        })?;
    Ok(Request::from_parts(head, body.to_bytes()))
}

/// The answer when the engine is gone.
fn stopped() -> Response<Bytes> {
    let problem = Problem::new(
        Kind::ServerInternal,
        "this CA is stopping, or cannot keep its records; its log says which",
    );
    Reply::problem(&problem.with_status(503)).finish()
}
