//! How requests leave: over connections of our own, behind the fence.
//!
//! instant-acme's requests and those that we sign ourselves take this one road. What has
//! an effect is told by the bytes themselves: a POST whose JWS payload is not empty (RFC
//! 8555 section 6.3) and does not ask for what exists only (section 7.3.1), so that no
//! caller can forget to say so.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::Full;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{
    answer::Failure,
    connection::{Connection, Dial},
    pool::Pool,
};
use crate::fence::{Fence, Permit, Shut};

/// DNS, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A whole request: Boulder itself gives up after about as long.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

/// RFC 8555 section 6.1 wants one, so that a CA can tell whom to write to.
const USER_AGENT: &str = concat!("hostquorum/", env!("CARGO_PKG_VERSION"));

/// Sends requests to one CA.
pub(super) struct FencedHttp {
    fence: Fence,
    dial: Arc<dyn Dial>,
    tls: TlsConnector,
    pub(super) pool: Pool,
}

impl FencedHttp {
    pub(super) fn new(fence: Fence, dial: Arc<dyn Dial>, tls: TlsConnector) -> Self {
        Self {
            fence,
            dial,
            tls,
            pool: Pool::default(),
        }
    }

    /// Whether a nonce and an open connection wait for the next request.
    pub(super) async fn is_warm(&self, uri: &Uri) -> bool {
        self.pool.is_warm(&host_of(uri)).await
    }

    /// Sends one request; once more on a new connection if nothing of it left, or if it
    /// only reads.
    pub(super) async fn send(
        &self,
        request: Request<Bytes>,
        permit: Option<Permit>,
    ) -> Result<Response<Bytes>, Failure> {
        let effect = has_effect(&request);
        let permit = match (effect, permit) {
            (false, _) => None,
            (true, None) => return Err(Failure::Shut(Shut::Unasked)),
            (true, Some(permit)) => {
                self.fence.check(&permit).map_err(Failure::Shut)?;
                Some(permit)
            }
        };
        let host = host_of(request.uri());
        if let Some(connection) = self.pool.connection(&host).await {
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
                self.pool.keep(host_of(request.uri()), connection);
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
        let open = Connection::open(uri, &*self.dial, &self.tls, self.fence.clone());
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

/// What newAccount is asked, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lookup {
    only_return_existing: bool,
}

/// Whether a request does more than read. What cannot be understood does.
pub(super) fn has_effect(request: &Request<Bytes>) -> bool {
    let method = request.method();
    if method == Method::GET || method == Method::HEAD {
        return false;
    }
    let Ok(jws) = serde_json::from_slice::<Jws>(request.body()) else {
        return true;
    };
    let payload = BASE64URL_NOPAD.decode(jws.payload.as_bytes());
    let looks = payload.is_ok_and(|payload| {
        payload.is_empty()
            || serde_json::from_slice::<Lookup>(&payload).is_ok_and(|it| it.only_return_existing)
    });
    !looks
}

/// As HTTP/1.1 wants it: the path alone, and a Host.
fn wire(request: &Request<Bytes>) -> Request<Full<Bytes>> {
    let uri = request.uri();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut wire = Request::new(Full::new(request.body().clone()));
    *wire.method_mut() = request.method().clone();
    *wire.uri_mut() = path.parse().unwrap_or_default();
    *wire.headers_mut() = request.headers().clone();
    let headers = wire.headers_mut();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    if let Some(authority) = uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        headers.insert(header::HOST, host);
    }
    wire
}

fn host_of(uri: &Uri) -> String {
    uri.authority().map(ToString::to_string).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn post(body: &str) -> Request<Bytes> {
        Request::post("https://ca.example/")
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap()
    }

    fn jws(payload: &str) -> Request<Bytes> {
        let payload = BASE64URL_NOPAD.encode(payload.as_bytes());
        post(&format!(r#"{{"protected":"","payload":"{payload}"}}"#))
    }

    #[test]
    fn what_has_an_effect_is_told_by_its_bytes() {
        let mut get = post("");
        *get.method_mut() = Method::GET;
        assert!(!has_effect(&get));
        assert!(!has_effect(&jws("")), "a POST-as-GET");
        assert!(!has_effect(&jws(r#"{"onlyReturnExisting":true}"#)));
        for payload in ["{}", r#"{"onlyReturnExisting":false}"#, "[]", "no json"] {
            assert!(has_effect(&jws(payload)), "{payload}");
        }
        for body in ["", "{}", r#"{"payload":1}"#, r#"{"payload":"*"}"#] {
            assert!(has_effect(&post(body)), "{body}");
        }
    }
}
