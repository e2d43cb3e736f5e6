//! Connections to origins: one pool a core, nothing shared.

mod connection;
mod dial;
mod failure;
mod pool;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, header, uri};
use hyper::body::Incoming;
use state::{Origin, OriginScheme};

pub use self::failure::RootsError;
use self::{connection::Connection, pool::Pool};
pub(crate) use self::{connection::Lent, dial::Dialer, failure::Failure};
use crate::{
    http::body::RequestBody,
    limits::{Limits, ORIGINS},
    metrics::Counters,
};

/// One core's ways to the origins.
pub(crate) struct Upstream {
    dialer: Arc<Dialer>,
    limits: Arc<Limits>,
    counters: Arc<Counters>,
    pools: Mutex<HashMap<Arc<Origin>, Arc<Pool>>>,
}

/// A request as an origin shall see it, whatever HTTP it speaks.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    /// Only path and query are sent.
    pub(crate) target: Uri,
    /// The client's host, with its port.
    pub(crate) host: String,
    /// Without `Host`'s last word and without hop-by-hop fields.
    pub(crate) headers: HeaderMap,
    pub(crate) body: RequestBody,
    /// Asks for a WebSocket, and so for HTTP/1.1.
    pub(crate) websocket: bool,
}

/// What an origin answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    /// To be held until the response's body has ended.
    pub(crate) connection: Lent,
}

impl Upstream {
    pub(crate) fn new(dialer: Arc<Dialer>, limits: Arc<Limits>, counters: Arc<Counters>) -> Self {
        Self {
            dialer,
            limits,
            counters,
            pools: Mutex::default(),
        }
    }

    /// Sends a request and waits for the head of its response.
    ///
    /// A request that met a pooled connection just as it ended, before a byte of
    /// it was written, is sent once more on a new one. Nothing else is.
    ///
    /// # Errors
    ///
    /// No connection, or no valid answer on it.
    pub(crate) async fn send(
        &self,
        origin: &Arc<Origin>,
        outgoing: Outgoing,
    ) -> Result<Answer, Failure> {
        let pool = self.pool(origin);
        let websocket = outgoing.websocket;
        let host = outgoing.host.clone();
        let mut request = outgoing.into_request();
        let mut again = false;
        loop {
            let connection = pool.connection(websocket, again).await?;
            let reused = connection.reused();
            if reused {
                self.counters.origin_reused.add();
            }
            shape(&mut request, &connection, origin.scheme, &host)?;
            match connection.send(&pool, request, websocket).await {
                Ok(answer) => return Ok(answer),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if reused && !again => {
                        self.counters.origin_retries.add();
                        request = unsent;
                        again = true;
                    }
                    _ => return Err(Failure::Exchange(error.into_error())),
                },
            }
        }
    }

    /// Lets go of what has rested too long.
    pub(crate) fn sweep(&self) {
        self.pools().retain(|_, pool| {
            pool.sweep();
            !pool.is_empty() || Arc::strong_count(pool) > 1
        });
    }

    fn pool(&self, origin: &Arc<Origin>) -> Arc<Pool> {
        let mut pools = self.pools();
        if let Some(pool) = pools.get(origin) {
            return Arc::clone(pool);
        }
        if pools.len() >= ORIGINS {
            pools.clear(); // requests under way keep theirs
        }
        let pool = Pool::new(
            Arc::clone(origin),
            Arc::clone(&self.dialer),
            Arc::clone(&self.limits),
            Arc::clone(&self.counters),
        );
        pools.insert(Arc::clone(origin), Arc::clone(&pool));
        pool
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<Arc<Origin>, Arc<Pool>>> {
        // Every change is a single step.
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outgoing {
    fn into_request(self) -> Request<RequestBody> {
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.target;
        *request.headers_mut() = self.headers;
        request
    }
}

/// Gives a request the form of its connection: the host is a field in HTTP/1.1
/// and part of the target in HTTP/2, never both (RFC 9113 section 8.3.1).
fn shape(
    request: &mut Request<RequestBody>,
    connection: &Connection,
    scheme: OriginScheme,
    host: &str,
) -> Result<(), Failure> {
    let path = request
        .uri()
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| uri::PathAndQuery::from_static("/"));
    let mut parts = uri::Parts::default();
    parts.path_and_query = Some(path);
    request.headers_mut().remove(header::HOST);
    if connection.is_http2() {
        parts.scheme = Some(match scheme {
            OriginScheme::Http => uri::Scheme::HTTP,
            OriginScheme::Https => uri::Scheme::HTTPS,
        });
        parts.authority = Some(host.parse().map_err(|_| Failure::Host)?);
        *request.version_mut() = Version::HTTP_2;
    } else {
        let host = HeaderValue::from_str(host).map_err(|_| Failure::Host)?;
        request.headers_mut().insert(header::HOST, host);
        *request.version_mut() = Version::HTTP_11;
    }
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Failure::Host)?;
    Ok(())
}
