//! An origin that tells how long a body was, or says back what it is told over an upgraded
//! connection.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{copy, split},
    net::TcpListener,
};
use tokio_util::task::AbortOnDropHandle;

/// Longer than what is between it and a client that reads slowly.
pub(super) const LONG: usize = 512 << 10;

/// Listens until it is dropped.
pub(super) struct Origin {
    address: SocketAddr,
    _accepting: AbortOnDropHandle<()>,
}

impl Origin {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                    .with_upgrades();
                // Connections of clients that go away end early.
                tokio::spawn(async move { served.await.ok() });
            }
        });
        Self {
            address,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.headers().contains_key(header::UPGRADE) {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                let (mut from, mut to) = split(TokioIo::new(upgraded));
                copy(&mut from, &mut to).await.ok();
            }
        });
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(
            header::CONNECTION,
            http::HeaderValue::from_static("upgrade"),
        );
        headers.insert(header::UPGRADE, http::HeaderValue::from_static("websocket"));
        return Ok(response);
    }
    let long = request.uri().path() == "/long";
    let body = match request.into_body().collect().await {
        Ok(_) if long => Bytes::from(vec![b'x'; LONG]),
        Ok(body) => body.to_bytes().len().to_string().into(),
        Err(_) => Bytes::from_static(b"it broke off"),
    };
    Ok(Response::new(Full::new(body)))
}
