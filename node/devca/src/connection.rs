//! From sockets to events and back.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::engine::Event;
use crate::problem::{Kind, Problem};
use crate::reply::Reply;

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
}

/// Accepts connections until the CA stops.
pub(crate) async fn accept(listener: TcpListener, door: Door) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accepting = async {
        // The semaphore is never closed.
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let served = serve(stream, door.clone());
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

async fn serve(stream: TcpStream, door: Door) -> Result<(), ConnectionError> {
    // Small answers must not wait for the client's delayed acknowledgements.
    let _ = stream.set_nodelay(true);
    let handshake = timeout(PATIENCE, door.tls.accept(stream));
    let Some(stream) = door.stop.run_until_cancelled(handshake).await else {
        return Ok(());
    };
    let stream = stream
        .map_err(|_| ConnectionError::Slow)?
        .map_err(ConnectionError::Handshake)?;
    let events = door.events.clone();
    let service = service_fn(move |request| answer(request, events.clone()));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        ended = &mut connection => ended.map_err(ConnectionError::Http),
        () = door.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(GRACE, connection).await.unwrap_or(Ok(())).map_err(ConnectionError::Http)
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    events: mpsc::Sender<Event>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (reply, answered) = oneshot::channel();
    let event = match read(request).await {
        Ok(request) => Event::Request { request, reply },
        Err(problem) => Event::Unreadable { problem, reply },
    };
    let response = match events.send(event).await {
        Ok(()) => answered.await.unwrap_or_else(|_| stopped()),
        Err(_) => stopped(),
    };
    Ok(response.map(Full::new))
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
