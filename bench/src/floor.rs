//! The floor: a proxy of the same libraries (tokio, rustls, hyper), one runtime on one
//! thread, a pooled client, two header fields added, and nothing else: no routing, no
//! limit, no check, no counter, no log.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use http::{HeaderValue, Request, Response, Uri, header, uri};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
};
use tokio_rustls::TlsAcceptor;

/// What `bench floor` was asked for.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Where TLS is served.
    #[arg(long)]
    listen: SocketAddr,
    /// Where requests go.
    #[arg(long)]
    origin: SocketAddr,
    /// Certificate, issuers and key (PEM).
    #[arg(long)]
    pem: PathBuf,
}

type Origin = Client<HttpConnector, Incoming>;

/// Serves until it is killed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(options))
}

async fn serve(options: &Options) -> Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(tls(options)?));
    let listener = TcpListener::bind(options.listen).await?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Origin = Client::builder(TokioExecutor::new()).build(connector);
    let authority: uri::Authority = options.origin.to_string().parse()?;
    loop {
        let (stream, address) = listener.accept().await?;
        let (acceptor, client, authority) = (acceptor.clone(), client.clone(), authority.clone());
        tokio::spawn(connection(acceptor, stream, address, client, authority));
    }
}

fn tls(options: &Options) -> Result<ServerConfig> {
    let told = || options.pem.display().to_string();
    let chain: Vec<_> = CertificateDer::pem_file_iter(&options.pem)
        .with_context(told)?
        .collect::<Result<_, _>>()
        .with_context(told)?;
    let key = PrivateKeyDer::from_pem_file(&options.pem).with_context(told)?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.send_tls13_tickets = 0;
    Ok(config)
}

async fn connection(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    client: Origin,
    authority: uri::Authority,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service =
        service_fn(move |request| forward(client.clone(), address, authority.clone(), request));
    let io = TokioIo::new(stream);
    // How a connection ends is the client's affair.
    let _ = if http2 {
        let settings = http2::Builder::new(TokioExecutor::new());
        settings.serve_connection(io, service).await
    } else {
        http1::Builder::new().serve_connection(io, service).await
    };
}

async fn forward(
    client: Origin,
    address: SocketAddr,
    authority: uri::Authority,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>, Error> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(uri::Scheme::HTTP);
    parts.authority = Some(authority);
    // Each part is one already.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = http::Version::HTTP_11;
    if let Ok(value) = HeaderValue::from_str(&address.ip().to_string()) {
        request.headers_mut().insert("x-forwarded-for", value);
    }
    request
        .headers_mut()
        .insert("x-forwarded-proto", HeaderValue::from_static("https"));
    let mut response = client.request(request).await?;
    response.headers_mut().remove(header::CONNECTION);
    Ok(response)
}
