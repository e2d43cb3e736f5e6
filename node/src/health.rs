//! Health and metrics, on a port of their own.
//!
//! - `/livez`: the process answers.
//! - `/readyz`: this node's edge serves. Never coupled to quorum, leader, CA or
//!   origins: if all nodes lost those, an accelerator must still send traffic to
//!   every one of them.
//! - `/quorumz`: a quorum acknowledged this node's question within [`QUORUM_WAIT`].
//! - `/metrics`: Prometheus text.
//! - `/ask?domain=NAME`: whether the name is authorized here, as Caddy's on-demand TLS asks it
//!   before it orders: a fleet of those can move here by and by.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, sync::watch};

/// How long `/quorumz` waits for the quorum's answer.
pub const QUORUM_WAIT: Duration = Duration::from_secs(1);
/// Connections at once: checkers and scrapers are few, a flood must not cost descriptors.
const CONNECTIONS_MAX: usize = 64;
/// A request's head must come within this time.
const HEAD_WAIT: Duration = Duration::from_secs(5);

/// Whether this node should be sent traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It serves.
    Ready,
    /// It does not, and why.
    NotReady(String),
}

/// Answers whether a name is authorized; `None`: not known yet.
pub type Knows = Box<dyn Fn(&str) -> Option<bool> + Send + Sync>;

/// What the health port tells.
pub struct Health {
    /// For `/readyz`.
    pub readiness: watch::Receiver<Readiness>,
    /// For `/quorumz`: asks the quorum.
    pub quorum: Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
    /// For `/ask`.
    pub knows: Knows,
    /// For `/metrics`.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
}

/// Opens the health port.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until the task is dropped.
pub async fn serve(listener: TcpListener, health: Arc<Health>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the health port could not accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let health = health.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(health.clone(), request));
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WAIT)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a health connection ended early");
            }
            drop(permit);
        });
    }
}

async fn answer(
    health: Arc<Health>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Ok(text(
            StatusCode::METHOD_NOT_ALLOWED,
            "GET and HEAD only\n".to_owned(),
        ));
    }
    Ok(match request.uri().path() {
        "/livez" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => match &*health.readiness.borrow() {
            Readiness::Ready => text(StatusCode::OK, "ok\n".to_owned()),
            Readiness::NotReady(reason) => {
                text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n"))
            }
        },
        "/quorumz" => match tokio::time::timeout(QUORUM_WAIT, (health.quorum)()).await {
            Ok(Ok(())) => text(StatusCode::OK, "ok\n".to_owned()),
            Ok(Err(reason)) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
            Err(_) => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "no quorum answered within a second\n".to_owned(),
            ),
        },
        "/ask" => ask(&health, request.uri().query().unwrap_or_default()),
        "/metrics" => {
            let mut response = text(StatusCode::OK, (health.metrics)());
            let kind = http::HeaderValue::from_static(
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            );
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "/livez, /readyz, /quorumz, /ask and /metrics are here\n".to_owned(),
        ),
    })
}

fn ask(health: &Health, query: &str) -> Response<Full<Bytes>> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    // A host name has nothing that would have to be encoded.
    let Some((_, domain)) = pairs.find(|(name, _)| *name == "domain") else {
        let wanted = "/ask?domain=NAME tells whether NAME is authorized here\n";
        return text(StatusCode::BAD_REQUEST, wanted.to_owned());
    };
    match (health.knows)(domain) {
        Some(true) => text(StatusCode::OK, "ok\n".to_owned()),
        Some(false) => text(StatusCode::NOT_FOUND, "not authorized here\n".to_owned()),
        None => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "this node belongs to no cluster yet\n".to_owned(),
        ),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::request;

    #[tokio::test]
    async fn a_name_can_be_asked_for() {
        let (_ready, readiness) = watch::channel(Readiness::Ready);
        let health = Health {
            readiness,
            quorum: Box::new(|| Box::pin(async { Ok(()) })),
            knows: Box::new(|name| (name != "early.example").then_some(name == "shop.example")),
            metrics: Box::new(String::new),
        };
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Arc::new(health)));
        for (path, status) in [
            ("/ask?domain=shop.example", 200),
            ("/ask?other=x&domain=shop.example", 200),
            ("/ask?domain=strange.example", 404),
            ("/ask?domain=", 404),
            ("/ask?domain=early.example", 503),
            ("/ask", 400),
            ("/ask?domain", 400),
            ("/asks?domain=shop.example", 404),
        ] {
            let answer = request::plain_status(address, path).await;
            assert_eq!(answer.unwrap(), status, "{path}");
        }
    }
}
