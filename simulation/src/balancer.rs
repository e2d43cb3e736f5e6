//! The road by which the leader looks at hostnames from outside: to one node that answers,
//! as a balancer leads to any.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use leader::verification::fetch::Fetch;
use leader::verification::page::{Page, Port};
use state::Hostname;
use tokio::time::timeout;
use turmoil::net::TcpStream;

use crate::dns::BALANCER;
use crate::network::host;
use crate::port80;
use crate::roll::Roll;

/// How long one node is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// See the module.
pub(crate) struct Balancer(pub(crate) Arc<Roll>);

impl Balancer {
    async fn connect(&self) -> Option<TcpStream> {
        for node in self.0.nodes() {
            let connecting = TcpStream::connect((host(node), port80::PORT));
            if let Ok(Ok(stream)) = timeout(PATIENCE, connecting).await {
                return Some(stream);
            }
        }
        None
    }
}

#[async_trait]
impl Fetch for Balancer {
    async fn get(&self, address: SocketAddr, host: &Hostname, path: &str) -> Page {
        if address.ip() != BALANCER {
            return Page::Timeout;
        }
        let Some(stream) = self.connect().await else {
            return Page::Closed;
        };
        let page = timeout(PATIENCE, fetch(stream, host, path)).await;
        page.ok().flatten().unwrap_or(Page::Broken)
    }

    async fn knock(&self, address: SocketAddr) -> Port {
        if address.ip() != BALANCER {
            return Port::Timeout;
        }
        match self.connect().await {
            Some(_) => Port::Open,
            None => Port::Closed,
        }
    }
}

async fn fetch(stream: TcpStream, host: &Hostname, path: &str) -> Option<Page> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let request = Request::get(path).header(HOST, host.as_str());
    let request = request.body(Empty::<Bytes>::new()).ok()?;
    let response = sender.send_request(request).await.ok()?;
    if response.status() != StatusCode::OK {
        return Some(Page::Status(response.status().as_u16()));
    }
    let body = response.into_body().collect().await.ok()?.to_bytes();
    Some(Page::Body(String::from_utf8_lossy(&body).into_owned()))
}
