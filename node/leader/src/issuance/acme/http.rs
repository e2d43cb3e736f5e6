//! How instant-acme speaks to the CA: over connections of our own, behind the fence.
//!
//! instant-acme builds and signs requests and calls [`HttpClient`]; when, and whether,
//! their bytes leave is decided here. What has an effect is told by the bytes themselves:
//! a POST whose JWS payload is not empty (RFC 8555 section 6.3), so that no caller can
//! forget to say so. Its own repetition after `badNonce` is a new request and asks the
//! fence again.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use serde::Deserialize;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{
    answer::{Answer, Failure, Tap},
    connection::{Connection, Dial},
    pool::{Pool, REPLAY_NONCE},
};
use crate::fence::{Fence, Permit, Shut};

/// DNS, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A whole request: Boulder itself gives up after about as long.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
tokio::task_local! {
    /// The call that instant-acme's requests belong to.
    static CALL: Call;
}

/// One call of the `Authority` port, as its requests see it.
#[derive(Clone)]
struct Call {
    permit: Option<Permit>,
    tap: Arc<Mutex<Tap>>,
}

/// Runs what instant-acme does for one call, and shows what went over the wire last.
pub(super) async fn call<F: Future>(permit: Option<Permit>, future: F) -> (F::Output, Tap) {
    let tap = Arc::new(Mutex::new(Tap::default()));
    let call = Call {
        permit,
        tap: tap.clone(),
    };
    let output = CALL.scope(call, future).await;
    let tap = std::mem::take(&mut *lock(&tap));
    (output, tap)
}

/// An [`HttpClient`] behind the fence.
#[derive(Clone)]
pub(super) struct FencedHttp(Arc<Shared>);

struct Shared {
    fence: Fence,
    dial: Arc<dyn Dial>,
    tls: TlsConnector,
    pool: Pool,
}

impl HttpClient for FencedHttp {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let this = self.clone();
        Box::pin(async move { this.answer(request).await })
    }
}

impl FencedHttp {
    pub(super) fn new(fence: Fence, dial: Arc<dyn Dial>, tls: TlsConnector) -> Self {
        Self(Arc::new(Shared {
            fence,
            dial,
            tls,
            pool: Pool::default(),
        }))
    }

    /// Whether a nonce and an open connection wait for the next request.
    pub(super) async fn is_warm(&self, uri: &Uri) -> bool {
        self.0.pool.is_warm(&host_of(uri)).await
    }

    /// Draws a nonce over the wire and keeps it for later.
    pub(super) async fn draw_nonce(&self, new_nonce: Uri) -> Result<(), Failure> {
        let request = Request::head(new_nonce).body(Bytes::new());
        let request = request.map_err(|error| Failure::Unsent(error.to_string()))?;
        let mut response = self.send(request, None).await?;
        if response.headers().contains_key(REPLAY_NONCE) {
            self.0.pool.harvest(&mut response);
            Ok(())
        } else {
            let status = response.status();
            Err(Failure::Unsent(format!(
                "it gives no nonce (HTTP status {status})"
            )))
        }
    }

    async fn answer(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Result<BytesResponse, instant_acme::Error> {
        // instant-acme asks HEAD of newNonce only.
        if request.method() == Method::HEAD
            && let Some(nonce) = self.0.pool.nonce()
        {
            return Ok(nonce_answer(nonce));
        }
        let head = request.method() == Method::HEAD;
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes());
        let request = Request::from_parts(parts, body.unwrap_or_default());
        let call = CALL.try_with(Call::clone).ok();
        let permit = call.as_ref().and_then(|call| call.permit);
        let outcome = self.send(request, permit).await;
        let tap = call.map(|call| call.tap);
        match outcome {
            Ok(mut response) => {
                if !head {
                    self.0.pool.harvest(&mut response);
                }
                record(tap, Ok(Answer::of(&response)));
                let (parts, body) = response.into_parts();
                Ok(BytesResponse {
                    parts,
                    body: Box::new(body),
                })
            }
            Err(failure) => {
                let text = failure.to_string();
                record(tap, Err(failure));
                Err(instant_acme::Error::Other(text.into()))
            }
        }
    }

    /// Sends one request; once more on a new connection if nothing of it left, or if it
    /// only reads.
    async fn send(
        &self,
        request: Request<Bytes>,
        permit: Option<Permit>,
    ) -> Result<Response<Bytes>, Failure> {
        let effect = has_effect(&request);
        let permit = match (effect, permit) {
            (false, _) => None,
            (true, None) => return Err(Failure::Shut(Shut::Unasked)),
            (true, Some(permit)) => {
                self.0.fence.check(&permit).map_err(Failure::Shut)?;
                Some(permit)
            }
        };
        let host = host_of(request.uri());
        if let Some(connection) = self.0.pool.connection(&host).await {
            match self.exchange(connection, &request, permit).await {
                Err(Failure::Unsent(_)) => {}
                Err(Failure::Unknown(_)) if !effect => {}
                answered => return answered,
            }
        }
        let connection = self.connect(request.uri()).await?;
        self.exchange(connection, &request, permit).await
    }

    async fn exchange(
        &self,
        mut connection: Connection,
        request: &Request<Bytes>,
        permit: Option<Permit>,
    ) -> Result<Response<Bytes>, Failure> {
        connection.gate.arm(permit);
        let exchange = connection.exchange(wire(request));
        let outcome = timeout(TOTAL_TIMEOUT, exchange).await;
        let error = match outcome {
            Ok(Ok(response)) => {
                self.0.pool.keep(host_of(request.uri()), connection);
                return Ok(response);
            }
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("no answer within {} s", TOTAL_TIMEOUT.as_secs()),
        };
        if let Some(shut) = connection.gate.shut() {
            // Held back in the middle of a request: the CA has a part that it cannot use.
            return Err(Failure::Shut(shut));
        }
        if connection.gate.left() {
            Err(Failure::Unknown(error))
        } else {
            Err(Failure::Unsent(error))
        }
    }

    async fn connect(&self, uri: &Uri) -> Result<Connection, Failure> {
        if uri.scheme_str() != Some("https") {
            let text = "RFC 8555 asks for https, and the URL is not".to_owned();
            return Err(Failure::Unsent(text));
        }
        let open = Connection::open(uri, &*self.0.dial, &self.0.tls, self.0.fence.clone());
        match timeout(CONNECT_TIMEOUT, open).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(Failure::Unsent(chain(&error))),
            Err(_) => Err(Failure::Unsent(format!(
                "no connection to {} within {} s",
                host_of(uri),
                CONNECT_TIMEOUT.as_secs()
            ))),
        }
    }
}

/// The protected, flattened JWS of RFC 8555 section 6.2, as far as it matters here.
#[derive(Deserialize)]
struct Jws {
    payload: String,
}

/// Whether a request does more than read. What cannot be understood does.
fn has_effect(request: &Request<Bytes>) -> bool {
    let method = request.method();
    if method == Method::GET || method == Method::HEAD {
        return false;
    }
    !serde_json::from_slice::<Jws>(request.body()).is_ok_and(|jws| jws.payload.is_empty())
}

/// As HTTP/1.1 wants it: the path alone, and a Host.
fn wire(request: &Request<Bytes>) -> Request<Full<Bytes>> {
    let uri = request.uri();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut wire = Request::new(Full::new(request.body().clone()));
    *wire.method_mut() = request.method().clone();
    *wire.uri_mut() = path.parse().unwrap_or_default();
    *wire.headers_mut() = request.headers().clone();
    if let Some(authority) = uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        wire.headers_mut().insert(header::HOST, host);
    }
    wire
}

fn host_of(uri: &Uri) -> String {
    uri.authority().map(ToString::to_string).unwrap_or_default()
}

fn nonce_answer(nonce: HeaderValue) -> BytesResponse {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(REPLAY_NONCE, nonce);
    let (parts, body) = response.into_parts();
    BytesResponse {
        parts,
        body: Box::new(body),
    }
}

fn record(tap: Option<Arc<Mutex<Tap>>>, last: Result<Answer, Failure>) {
    if let Some(tap) = tap {
        lock(&tap).last = Some(last);
    }
}

/// An error with all that caused it.
fn chain(error: &io::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
