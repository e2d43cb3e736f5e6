//! A running CA, and the real client that speaks to it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use devca::{Config, Probing, Running, Server};
use http::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{
    Account, BodyWrapper, BytesResponse, ChallengeType, Error, HttpClient, Identifier, NewAccount,
    NewOrder, Order, RetryPolicy,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::site::Site;

/// The real time: TLS clients compare the CA's certificate with it.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that is handed in"
)]
pub(crate) fn system_clock() -> devca::Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap().as_secs()
    })
}

/// The same, finer.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that is handed in"
)]
pub(crate) fn system_precise_clock() -> devca::PreciseClock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap()
    })
}

pub(crate) fn config(probing: Probing) -> Config {
    Config::new(([127, 0, 0, 1], 0).into(), probing, system_clock())
}

/// A CA in memory that looks for every name at `site`.
pub(crate) async fn ca_for(site: &Site) -> Running {
    Server::start(config(site.probing())).await.unwrap()
}

/// HTTPS that trusts one root, a connection a request.
pub(crate) struct Https(TlsConnector);

impl Https {
    pub(crate) fn trusting(ca: &Running) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(ca.root_pem().as_bytes()).unwrap();
        roots.add(root).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(Arc::new(config).into())
    }
}

impl HttpClient for Https {
    fn request(
        &self,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let connector = self.0.clone();
        Box::pin(async move {
            let authority = request.uri().authority().unwrap().to_string();
            let host = request.uri().host().unwrap().to_owned();
            let path = request.uri().path_and_query().unwrap().to_string();
            *request.uri_mut() = path.parse().unwrap();
            let name = authority.parse().unwrap();
            request.headers_mut().insert("host", name);
            let stream = TcpStream::connect(&authority).await.map_err(other)?;
            let name = ServerName::try_from(host).unwrap();
            let stream = connector.connect(name, stream).await.map_err(other)?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(other)?;
            tokio::spawn(connection);
            let response = sender.send_request(request).await.map_err(other)?;
            Ok(BytesResponse::from(response))
        })
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Other(Box::new(error))
}

pub(crate) async fn account(ca: &Running) -> Account {
    let new = NewAccount {
        contact: &["mailto:ops@client.example"],
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    Account::builder_with_http(Box::new(Https::trusting(ca)))
        .create(&new, ca.directory_url().to_owned(), None)
        .await
        .unwrap()
        .0
}

pub(crate) async fn new_order(account: &Account, names: &[&str]) -> Order {
    let identifiers: Vec<_> = names
        .iter()
        .map(|name| Identifier::Dns((*name).to_owned()))
        .collect();
    account
        .new_order(&NewOrder::new(&identifiers))
        .await
        .unwrap()
}

/// Puts the answers of all challenges of this type on `site`, and tells the CA.
pub(crate) async fn answer(order: &mut Order, kind: ChallengeType, site: &Site) {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.unwrap();
        let host = authorization.identifier().to_string();
        let mut challenge = authorization.challenge(kind.clone()).unwrap();
        let token = challenge.token.clone();
        let answer = challenge.key_authorization();
        site.serve(&host, &token, answer.as_str());
        challenge.set_ready().await.unwrap();
    }
}

/// An order made ready by http-01.
pub(crate) async fn ready_order(account: &Account, names: &[&str], site: &Site) -> Order {
    let mut order = new_order(account, names).await;
    answer(&mut order, ChallengeType::Http01, site).await;
    order.poll_ready(&RetryPolicy::default()).await.unwrap();
    order
}
