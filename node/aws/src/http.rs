//! How requests to AWS leave: one HTTP/1.1 connection each, over TLS by our provider with the
//! system's roots. A node makes a handful of them when it starts; nothing is kept open.

use std::{io, sync::Arc, time::Duration};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::Response,
};
use aws_smithy_types::body::SdkBody;
use http::{HeaderValue, Request, Uri, header::HOST, uri::Scheme};
use http_body_util::{BodyExt as _, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Longest answer taken: the largest, of the parameter store, has some kilobytes.
const ANSWER_MAX: usize = 1024 * 1024;

/// Sends what the kit has signed.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    tls: Arc<ClientConfig>,
    connect_max: Duration,
}

impl Http {
    /// With the system's roots; without any, only `http` can be spoken, and the reason is told
    /// when `https` is.
    pub(crate) fn new(connect_max: Duration) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(aws_lc_rs::default_provider());
        #[expect(
            clippy::expect_used,
            reason = "AWS-LC's default suites serve both versions that rustls has"
        )]
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("default suites for default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self {
            tls: Arc::new(tls),
            connect_max,
        }
    }

    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut request = request.try_into_http1x().map_err(user)?;
        let target = Target::of(request.uri()).map_err(user)?;
        name_host(&mut request).map_err(user)?;
        let connecting = TcpStream::connect((&*target.host, target.port));
        let stream = match timeout(self.connect_max, connecting).await {
            Ok(stream) => stream.map_err(failed)?,
            Err(elapsed) => return Err(ConnectorError::timeout(elapsed.into())),
        };
        if target.tls {
            let name = ServerName::try_from(target.host).map_err(user)?;
            let connector = TlsConnector::from(self.tls.clone());
            let shaken = timeout(self.connect_max, connector.connect(name, stream)).await;
            let stream = shaken.map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?;
            exchange(stream.map_err(failed)?, request).await
        } else {
            exchange(stream, request).await
        }
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().send(request))
    }
}

impl HttpClient for Http {
    /// The kit's own bound of a connection's time, where a caller such as the one that asks the
    /// machine's metadata sets a shorter one, goes before ours.
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connect_max = settings.connect_timeout().unwrap_or(self.connect_max);
        SharedHttpConnector::new(Self {
            tls: self.tls.clone(),
            connect_max,
        })
    }
}

/// Whom to dial.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    tls: bool,
    host: String,
    port: u16,
}

impl Target {
    fn of(uri: &Uri) -> Result<Self, io::Error> {
        let wrong = || {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "no endpoint of AWS: neither http nor https, or without a host",
            )
        };
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(wrong()),
        };
        let host = uri.host().ok_or_else(wrong)?;
        // The metadata's address may be one of IPv6.
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        Ok(Self {
            tls,
            host: bare.unwrap_or(host).to_owned(),
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        })
    }
}

/// The request as it stands on a connection of its own: the path alone, and the host beside it.
fn name_host(request: &mut Request<SdkBody>) -> Result<(), http::Error> {
    let uri = request.uri().clone();
    if !request.headers().contains_key(HOST) {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        request
            .headers_mut()
            .insert(HOST, HeaderValue::from_str(authority)?);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = Uri::try_from(path)?;
    Ok(())
}

async fn exchange<S>(stream: S, request: Request<SdkBody>) -> Result<HttpResponse, ConnectorError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    // It ends when the answer has been read, or with the sender if nobody waits any more.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to AWS ended early");
        }
    });
    let (head, body) = sender
        .send_request(request)
        .await
        .map_err(failed)?
        .into_parts();
    let body = Limited::new(body, ANSWER_MAX).collect().await;
    let body = body.map_err(ConnectorError::io)?.to_bytes();
    Response::try_from(http::Response::from_parts(head, SdkBody::from(body))).map_err(failed)
}

/// Trying again may help.
fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectorError {
    ConnectorError::io(error.into())
}

/// Trying again does not help.
fn user(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectorError {
    ConnectorError::user(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_written() {
        let target = |uri: &str| Target::of(&uri.parse().unwrap()).ok();
        let is = |tls, host: &str, port| {
            let host = host.to_owned();
            Some(Target { tls, host, port })
        };
        let kms = "kms.eu-central-1.amazonaws.com";
        assert_eq!(target(&format!("https://{kms}/")), is(true, kms, 443));
        assert_eq!(
            target("http://127.0.0.1:5000/x"),
            is(false, "127.0.0.1", 5000)
        );
        assert_eq!(
            target("http://[fd00:ec2::254]/latest"),
            is(false, "fd00:ec2::254", 80)
        );
        assert_eq!(target("ftp://host/"), None);
        assert_eq!(target("/latest"), None);
    }

    #[test]
    fn a_request_names_its_host_once() {
        let made = |host: Option<&str>| {
            let mut request = Request::get("http://127.0.0.1:5000/a?b=c");
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            let mut request = request.body(SdkBody::empty()).unwrap();
            name_host(&mut request).unwrap();
            (
                request.uri().to_string(),
                request.headers()[HOST].to_str().unwrap().to_owned(),
            )
        };
        let path = "/a?b=c".to_owned();
        assert_eq!(made(None), (path.clone(), "127.0.0.1:5000".to_owned()));
        assert_eq!(made(Some("signed")), (path, "signed".to_owned()));
    }
}
