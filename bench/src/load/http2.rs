//! One HTTP/2 connection, many requests at a time.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::{Target, http1::check_body};
use crate::certificates::HOST;

#[derive(Clone)]
pub(crate) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    target: Uri,
    bytes: usize,
}

impl Connection {
    pub(super) async fn open(target: &Target) -> Result<Self> {
        let stream = target.connect().await?;
        ensure!(
            stream.get_ref().1.alpn_protocol() == Some(b"h2"),
            "the proxy does not speak HTTP/2"
        );
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let uri = format!("https://{HOST}{}", target.path());
        Ok(Self {
            sender,
            target: uri.parse().context(uri)?,
            bytes: target.bytes,
        })
    }

    pub(super) async fn requests(mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.exchange().await?;
        }
        Ok(())
    }

    async fn exchange(&mut self) -> Result<()> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.target.clone();
        *request.version_mut() = http::Version::HTTP_2;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        ensure!(
            response.status() == StatusCode::OK,
            "answered {}",
            response.status()
        );
        let body = response.into_body().collect().await?.to_bytes();
        check_body(&body, self.bytes)
    }
}
