//! The customers' web sites: one tiny server that answers for all names.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use devca::{Agreement, Probing, Vantage};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// A running site; dropping it takes it off the net.
pub(crate) struct Site {
    pages: Pages,
    http: SocketAddr,
    tls: SocketAddr,
    tasks: [AbortHandle; 2],
}

/// Answers: by host and token for http-01, by host for tls-alpn-01, redirects by path.
#[derive(Debug, Clone, Default)]
struct Pages(Arc<Mutex<HashMap<String, String>>>);

impl Pages {
    fn get(&self, key: &str) -> Option<String> {
        self.0.lock().unwrap().get(key).cloned()
    }

    fn put(&self, key: String, page: &str) {
        self.0.lock().unwrap().insert(key, page.to_owned());
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_speaking(rustls::ALL_VERSIONS).await
    }

    /// A site that speaks these versions of TLS.
    pub(crate) async fn start_speaking(versions: &[&'static SupportedProtocolVersion]) -> Self {
        let pages = Pages::default();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tls = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(pages.clone()));
        config.alpn_protocols = vec![b"acme-tls/1".to_vec(), b"http/1.1".to_vec()];
        let addresses = [&http, &tls].map(|listener| listener.local_addr().unwrap());
        let tasks = [
            tokio::spawn(serve_http(http, pages.clone())).abort_handle(),
            tokio::spawn(serve_tls(tls, Arc::new(config).into(), pages.clone())).abort_handle(),
        ];
        Self {
            pages,
            http: addresses[0],
            tls: addresses[1],
            tasks,
        }
    }

    pub(crate) fn vantage(&self) -> Vantage {
        Vantage {
            http: self.http,
            tls: self.tls,
        }
    }

    /// Looking at this site alone.
    pub(crate) fn probing(&self) -> Probing {
        Probing::vantages(vec![self.vantage()], Agreement::Every)
    }

    /// Answers the challenges of `host` with this token.
    pub(crate) fn serve(&self, host: &str, token: &str, key_authorization: &str) {
        let path = format!("{host}/.well-known/acme-challenge/{token}");
        self.pages.put(path, key_authorization);
        self.pages.put(host.to_owned(), key_authorization);
    }

    /// Sends those who ask `host` for `path` elsewhere.
    pub(crate) fn redirect(&self, host: &str, path: &str, location: &str) {
        self.pages
            .put(format!("{host}{path}"), &format!("-> {location}"));
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn serve_http(listener: TcpListener, pages: Pages) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, pages.clone()));
    }
}

async fn serve_tls(listener: TcpListener, acceptor: TlsAcceptor, pages: Pages) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, pages) = (acceptor.clone(), pages.clone());
        tokio::spawn(async move { serve_accepted(acceptor, stream, pages).await });
    }
}

async fn serve_accepted(acceptor: TlsAcceptor, stream: TcpStream, pages: Pages) {
    if let Ok(stream) = acceptor.accept(stream).await {
        serve(stream, pages).await;
    }
}

async fn serve<S>(stream: S, pages: Pages)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let response = page(&request, &pages);
        async move { Ok::<_, Infallible>(response) }
    });
    // The prober hangs up when it has read what it wanted.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn page(request: &Request<Incoming>, pages: &Pages) -> Response<Full<Bytes>> {
    let host = request.headers()["host"].to_str().unwrap();
    let page = pages.get(&format!("{host}{}", request.uri().path()));
    let response = Response::builder();
    let response = match page.as_deref().map(|page| (page, page.strip_prefix("-> "))) {
        Some((_, Some(location))) => response
            .status(302)
            .header("location", location)
            .body(Full::default()),
        Some((page, None)) => response.body(Full::from(format!("{page}\r\n"))),
        None => response.status(404).body(Full::default()),
    };
    response.unwrap()
}

impl ResolvesServerCert for Pages {
    /// The certificate of RFC 8737 for names that have an answer.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name()?;
        let answer = self.get(host).unwrap_or_default();
        let digest = digest(&SHA256, answer.as_bytes());
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = provider.key_provider.load_private_key(key).unwrap();
        // Not `from_der`, which refuses the critical extension.
        let chain = vec![certificate.der().clone()];
        Some(Arc::new(CertifiedKey::new(chain, key)))
    }
}
