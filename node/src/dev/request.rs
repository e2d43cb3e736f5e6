//! Requests as a customer's client would make them, with all that was presented.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, header::HOST};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// A request that takes longer has failed.
const WAIT: Duration = Duration::from_secs(10);

/// What a node answered over TLS.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The response's status.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
    /// The leaf that was presented (DER); its chain and name were verified.
    pub leaf: CertificateDer<'static>,
    /// A session from before went on, at whatever node that was.
    pub resumed: bool,
}

/// A client that trusts one root.
#[derive(Clone)]
pub struct HttpsClient {
    connector: TlsConnector,
}

impl HttpsClient {
    /// Trusts the certificates in `roots_pem`.
    pub fn trusting(roots_pem: &[u8]) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(roots_pem) {
            roots
                .add(certificate.map_err(io::Error::other)?)
                .map_err(io::Error::other)?;
        }
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
        })
    }

    /// GET `https://{hostname}{path}` from the node at `address`.
    pub async fn get(&self, address: SocketAddr, hostname: &str, path: &str) -> io::Result<Answer> {
        timeout(WAIT, self.exchange(address, hostname, path))
            .await
            .map_err(io::Error::other)?
    }

    async fn exchange(
        &self,
        address: SocketAddr,
        hostname: &str,
        path: &str,
    ) -> io::Result<Answer> {
        let name = ServerName::try_from(hostname.to_owned()).map_err(io::Error::other)?;
        let tcp = TcpStream::connect(address).await?;
        let tls = self.connector.connect(name, tcp).await?;
        let leaf = tls
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| chain.first())
            .cloned();
        let resumed = tls.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        let leaf = leaf
            .ok_or_else(|| io::Error::other("no certificate was presented"))?
            .into_owned();
        let response = send(tls, hostname, path).await?;
        let status = response.status().as_u16();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(io::Error::other)?
            .to_bytes();
        Ok(Answer {
            status,
            body,
            leaf,
            resumed,
        })
    }
}

/// The status of GET `path` in clear text.
pub async fn plain_status(address: SocketAddr, path: &str) -> io::Result<u16> {
    Ok(plain(address, path).await?.0)
}

/// Status and body of GET `path` in clear text.
pub async fn plain(address: SocketAddr, path: &str) -> io::Result<(u16, Bytes)> {
    let exchange = async {
        let tcp = TcpStream::connect(address).await?;
        let response = send(tcp, &address.to_string(), path).await?;
        let status = response.status().as_u16();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(io::Error::other)?
            .to_bytes();
        Ok((status, body))
    };
    timeout(WAIT, exchange).await.map_err(io::Error::other)?
}

async fn send<S>(stream: S, host: &str, path: &str) -> io::Result<Response<hyper::body::Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a request's connection ended early");
        }
    });
    let request = Request::get(path)
        .header(HOST, host)
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    sender.send_request(request).await.map_err(io::Error::other)
}
