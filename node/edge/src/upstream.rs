//! Connections to origins: one pool a core, nothing shared but whether they are well.

mod balance;
mod connection;
mod destination;
mod dial;
mod failure;
mod health;
mod outlier;
mod pool;
mod trust;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, header, uri};
use http_body::Body as _;
use hyper::body::Incoming;
use state::{
    OriginScheme, Traffic,
    traffic::{OriginName, Switch, Weighted},
};
use tokio::{sync::Semaphore, time::Instant};

use self::{
    balance::Target, connection::Connection, destination::Destination, outlier::EJECTION,
    pool::Pool,
};
pub(crate) use self::{
    balance::{InFlight, Targets},
    connection::Lent,
    dial::Dialer,
    failure::Failure,
    health::Checks,
};
pub use self::{dial::roots, failure::RootsError};
use crate::{
    http::body::RequestBody,
    limits::{Limits, ORIGINS},
    metrics::Counters,
};

/// One core's ways to the origins.
pub(crate) struct Upstream {
    dialer: Arc<Dialer>,
    checks: Arc<Checks>,
    /// The connections that this node may hold to all origins.
    connections: Arc<Semaphore>,
    limits: Arc<Limits>,
    counters: Arc<Counters>,
    pools: Mutex<HashMap<Arc<Destination>, Arc<Pool>>>,
}

/// A request as an origin shall see it, whatever HTTP it speaks.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    /// Only path and query are sent.
    pub(crate) target: Uri,
    /// The client's host, with its port, or another that settings want.
    pub(crate) host: String,
    /// Each origin is asked for its own host instead.
    pub(crate) host_of_origin: bool,
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
    /// The same.
    pub(crate) flight: Option<InFlight>,
    /// Whose it is, of the targets that were given.
    pub(crate) place: usize,
}

impl Upstream {
    pub(crate) fn new(
        dialer: Arc<Dialer>,
        checks: Arc<Checks>,
        connections: Arc<Semaphore>,
        limits: Arc<Limits>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            dialer,
            checks,
            connections,
            limits,
            counters,
            pools: Mutex::default(),
        }
    }

    /// The ways to `origins`, as `traffic` wants them for `name`.
    pub(crate) fn targets(
        &self,
        origins: &[Weighted],
        traffic: &Traffic,
        name: &str,
    ) -> Arc<Targets> {
        let check = traffic.health_check.as_ref().and_then(Switch::on);
        let target = |weighted: &Weighted| {
            let destination = Arc::new(Destination::new(&weighted.origin, traffic, name));
            let health = check.and_then(|check| {
                let host = match &traffic.origin_host {
                    Some(OriginName::Fixed(host)) => host.to_string(),
                    // Many names may share the question.
                    Some(OriginName::Client | OriginName::Origin) | None => {
                        weighted.origin.authority()
                    }
                };
                let counters = Arc::clone(&self.counters);
                let ill = move || counters.origin_ill.add();
                self.checks.checked(&destination, check, &host, ill)
            });
            Target {
                pool: self.pool(destination),
                weight: weighted.weight,
                health,
            }
        };
        let ejection = match traffic.ejection {
            None => Some(EJECTION),
            Some(decided) => decided.on().copied(),
        };
        // As documented with the setting.
        let percent = traffic.retry_percent.unwrap_or(10);
        let members = origins.iter().map(target).collect();
        Arc::new(Targets::new(members, ejection, percent))
    }

    /// Sends a request and waits for the head of its response.
    ///
    /// A request that met a pooled connection just as it ended, before a byte of
    /// it was written, is sent once more on a new one. Where there are several origins,
    /// one may be sent once more to another, within the budget: one of which nothing was
    /// sent, and one that is idempotent and has no body. Nothing else is.
    ///
    /// # Errors
    ///
    /// No connection, or no valid answer on it.
    pub(crate) async fn send(
        &self,
        targets: &Targets,
        outgoing: Outgoing,
    ) -> Result<Answer, Failure> {
        if let [only] = &*targets.members {
            let sent = self
                .exchange(&only.pool, outgoing.into_request(), false)
                .await;
            return sent.map_err(|(failure, _)| failure);
        }
        targets.budget.save();
        let repeatable = outgoing.is_repeatable();
        let request = outgoing.into_request();
        let copy = repeatable.then(|| request.copy());
        let first = targets.pick(None, Instant::now());
        let (failure, unsent) = match self.attempt(targets, first, request).await {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        let again = unsent.or(copy).filter(|_| failure.blames_the_origin());
        match again {
            Some(request) if targets.budget.spend(Instant::now()) => {
                self.counters.origin_failovers.add();
                tracing::debug!(error = %failure, "asking another origin");
                let other = targets.pick(Some(first), Instant::now());
                let sent = self.attempt(targets, other, request).await;
                sent.map_err(|(failure, _)| failure)
            }
            _ => Err(failure),
        }
    }

    /// Sends it to one of several origins, and learns of the origin by how that goes.
    async fn attempt(
        &self,
        targets: &Targets,
        place: usize,
        request: ToSend,
    ) -> Result<Answer, (Failure, Option<ToSend>)> {
        // `pick` gave the place.
        let pool = &targets.members[place].pool;
        let mut verdict = Verdict {
            upstream: self,
            targets,
            place,
            begun: Instant::now(),
            open: true,
        };
        let flight = InFlight::new(pool);
        match self.exchange(pool, request, true).await {
            Ok(answer) => {
                // What gateways in front of an application say when that is gone.
                let gone = matches!(answer.response.status().as_u16(), 502..=504);
                verdict.is(!gone);
                let flight = Some(flight);
                Ok(Answer {
                    flight,
                    place,
                    ..answer
                })
            }
            Err((failure, unsent)) => {
                if failure.blames_the_origin() {
                    verdict.is(false);
                }
                verdict.open = false;
                Err((failure, unsent))
            }
        }
    }

    /// Sends it on a connection of `pool`. What was not sent comes back if it is asked for.
    async fn exchange(
        &self,
        pool: &Arc<Pool>,
        to_send: ToSend,
        give_back: bool,
    ) -> Result<Answer, (Failure, Option<ToSend>)> {
        let ToSend {
            mut request,
            host,
            host_of_origin,
            websocket,
        } = to_send;
        let scheme = pool.origin().scheme;
        let of_origin = host_of_origin.then(|| pool.origin().authority());
        let mut again = false;
        loop {
            let connection = match pool.connection(websocket, again).await {
                Ok(connection) => connection,
                Err(failure) => {
                    let unsent = give_back.then_some(ToSend {
                        request,
                        host,
                        host_of_origin,
                        websocket,
                    });
                    return Err((failure, unsent));
                }
            };
            let reused = connection.reused();
            if reused {
                self.counters.origin_reused.add();
            }
            let asked = of_origin.as_deref().unwrap_or(&host);
            shape(&mut request, &connection, scheme, asked).map_err(|failure| (failure, None))?;
            match connection.send(pool, request, websocket).await {
                Ok(answer) => return Ok(answer),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if reused && !again => {
                        self.counters.origin_retries.add();
                        request = unsent;
                        again = true;
                    }
                    _ => return Err((Failure::Exchange(error.into_error()), None)),
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

    fn pool(&self, destination: Arc<Destination>) -> Arc<Pool> {
        let mut pools = self.pools();
        if let Some(pool) = pools.get(&destination) {
            return Arc::clone(pool);
        }
        if pools.len() >= ORIGINS {
            // What settings in use name stays; those are bounded themselves.
            pools.retain(|_, pool| Arc::strong_count(pool) > 1);
        }
        let pool = Pool::new(
            Arc::clone(&destination),
            Arc::clone(&self.dialer),
            Arc::clone(&self.connections),
            Arc::clone(&self.limits),
            Arc::clone(&self.counters),
        );
        pools.insert(destination, Arc::clone(&pool));
        pool
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<Arc<Destination>, Arc<Pool>>> {
        // Every change is a single step.
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outgoing {
    /// True if an origin that may have begun with it can be asked by another: the method
    /// is idempotent (RFC 9110 section 9.2.2), and there is no body that is half read.
    fn is_repeatable(&self) -> bool {
        self.method.is_idempotent() && self.body.is_end_stream() && !self.websocket
    }

    fn into_request(self) -> ToSend {
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.target;
        *request.headers_mut() = self.headers;
        ToSend {
            request,
            host: self.host,
            host_of_origin: self.host_of_origin,
            websocket: self.websocket,
        }
    }
}

/// A request before its connection is known.
struct ToSend {
    request: Request<RequestBody>,
    host: String,
    host_of_origin: bool,
    websocket: bool,
}

impl ToSend {
    /// The same once more, of one that has no body.
    fn copy(&self) -> Self {
        let mut request = Request::new(RequestBody::none());
        request.method_mut().clone_from(self.request.method());
        request.uri_mut().clone_from(self.request.uri());
        request.headers_mut().clone_from(self.request.headers());
        Self {
            request,
            host: self.host.clone(),
            host_of_origin: self.host_of_origin,
            websocket: self.websocket,
        }
    }
}

/// How an origin fared with a request. One that is dropped before its end tells something
/// only if the origin was given all the time there is.
struct Verdict<'a> {
    upstream: &'a Upstream,
    targets: &'a Targets,
    place: usize,
    begun: Instant,
    open: bool,
}

impl Verdict<'_> {
    fn is(&mut self, good: bool) {
        self.open = false;
        // `pick` gave the place.
        let pool = &self.targets.members[self.place].pool;
        if good {
            pool.record().good();
        } else if self.targets.failed(self.place, Instant::now()) {
            self.upstream.counters.origin_ejections.add();
            tracing::warn!(origin = %pool.origin(), "the origin fails and is left alone for a while");
        }
    }
}

impl Drop for Verdict<'_> {
    fn drop(&mut self) {
        if self.open && self.begun.elapsed() >= self.upstream.limits.response_head {
            self.is(false);
        }
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
