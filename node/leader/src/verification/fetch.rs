//! The road by HTTP, and the port before it.
//!
//! One GET, one connection, no redirect, a few kilobytes, a few seconds; never to an address
//! that [`Egress`] does not permit, whatever name it came from. The caller has resolved the
//! name: nothing is resolved here, so there is no second look-up that could say otherwise.

use std::{net::SocketAddr, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use state::Hostname;
use tokio::{net::TcpStream, time::timeout};

use super::{
    egress::Egress,
    page::{Page, Port},
};

#[cfg(test)]
mod tests;

/// Who can ask a web server.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// GETs `path` of `host` from the server at `address`, in clear text.
    async fn get(&self, address: SocketAddr, host: &Hostname, path: &str) -> Page;

    /// Whether something accepts connections at `address`.
    async fn knock(&self, address: SocketAddr) -> Port;
}

/// Most of a body that is read: a token and white space.
const BODY_MOST: usize = 4 * 1024;
/// Most of an answer's head; hyper wants at least 8 KiB.
const HEAD_MOST: usize = 16 * 1024;
/// How long one request has in all: as long as CAs wait, or less.
const PATIENCE: Duration = Duration::from_secs(5);

/// [`Fetch`] by plain TCP.
#[derive(Clone, Debug)]
pub struct Web {
    egress: Egress,
    patience: Duration,
}

impl Web {
    /// Goes where `egress` permits. A cluster whose own addresses are private must permit
    /// them there.
    pub fn new(egress: Egress) -> Self {
        Self {
            egress,
            patience: PATIENCE,
        }
    }

    /// With another bound for a whole request.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

#[async_trait]
impl Fetch for Web {
    async fn get(&self, address: SocketAddr, host: &Hostname, path: &str) -> Page {
        if !self.egress.permits(address.ip()) {
            return Page::Forbidden;
        }
        let page = timeout(self.patience, request(address, host, path)).await;
        page.unwrap_or(Page::Timeout)
    }

    async fn knock(&self, address: SocketAddr) -> Port {
        if !self.egress.permits(address.ip()) {
            return Port::Forbidden;
        }
        match timeout(self.patience, TcpStream::connect(address)).await {
            Ok(Ok(_)) => Port::Open,
            Ok(Err(error)) if is_refused(&error) => Port::Closed,
            Ok(Err(_)) => Port::Unreachable,
            Err(_) => Port::Timeout,
        }
    }
}

async fn request(address: SocketAddr, host: &Hostname, path: &str) -> Page {
    let stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(error) if is_refused(&error) => return Page::Closed,
        Err(_) => return Page::Unreachable,
    };
    let mut builder = http1::Builder::new();
    let builder = builder.max_buf_size(HEAD_MOST);
    let Ok((mut sender, connection)) = builder.handshake(TokioIo::new(stream)).await else {
        return Page::Broken;
    };
    let request = Request::get(path)
        .header(header::HOST, host.as_str())
        .header(header::USER_AGENT, "hostquorum")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new());
    let Ok(request) = request else {
        return Page::Broken;
    };
    let exchange = async {
        match sender.send_request(request).await {
            Ok(response) => page(response).await,
            Err(_) => Page::Broken,
        }
    };
    tokio::pin!(exchange, connection);
    // The connection may end before its answer is read out of it.
    tokio::select! {
        page = &mut exchange => page,
        _ = &mut connection => exchange.await,
    }
}

async fn page(response: http::Response<Incoming>) -> Page {
    let status = response.status();
    if status.is_redirection() {
        let to = response.headers().get(header::LOCATION);
        let to = to.and_then(|to| to.to_str().ok()).unwrap_or_default();
        return Page::Redirect(to.to_owned());
    }
    if status != StatusCode::OK {
        return Page::Status(status.as_u16());
    }
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Page::Broken;
        };
        let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
        let room = BODY_MOST - bytes.len();
        bytes.extend(data.iter().take(room));
        if bytes.len() >= BODY_MOST {
            break;
        }
    }
    Page::Body(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_refused(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::ConnectionRefused
}
