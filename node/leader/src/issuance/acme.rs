//! The [`Authority`] port on instant-acme.
//!
//! instant-acme signs; what goes over the wire, when, and what it means is ours (see
//! `acme/http.rs` and `acme/answer.rs`). It needs its own value of an order to act on one:
//! those are kept by URL, so that an act costs one request; a missing one is read again.

mod answer;
mod connection;
mod http;
mod pool;
mod stream;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ::http::{Request, Uri};
use async_trait::async_trait;
use instant_acme::{
    Account as AcmeAccount, AccountBuilder, ChallengeType, Identifier, Key, NewOrder, Order,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
};
use serde::Deserialize;
use state::{
    Account, Hostname, Placed, Registration, Secret,
    ports::{Clock, Lease},
};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

pub use self::connection::{Dial, Stream, Tcp};
use self::{
    answer::Answer,
    http::{FencedHttp, call},
};
use crate::{
    fence::{Fence, Permit},
    issuance::authority::{Authorities, Authority, AuthorityError, AuthorizationView, OrderView},
};

/// instant-acme's values of orders kept: four times what is in flight by default. What is
/// dropped is read again.
const ORDERS_KEPT: usize = 128;

/// Opens CAs over HTTPS.
pub struct AcmeAuthorities {
    dial: Arc<dyn Dial>,
    fence: Fence,
    clock: Arc<dyn Clock>,
}

impl AcmeAuthorities {
    /// Over `dial`, fenced by this node's lease and clock.
    pub fn new(dial: Arc<dyn Dial>, lease: Arc<dyn Lease>, clock: Arc<dyn Clock>) -> Self {
        Self {
            dial,
            fence: Fence::new(lease, clock.clone()),
            clock,
        }
    }
}

impl Authorities for AcmeAuthorities {
    fn open(&self, account: &Account, key: &Secret) -> Result<Arc<dyn Authority>, AuthorityError> {
        let directory = account.directory.parse::<Uri>();
        let directory = directory.map_err(|error| {
            AuthorityError::Unusable(format!("its directory is no URL: {error}"))
        })?;
        let tls = TlsConnector::from(Arc::new(tls(&account.trust_roots_pem)?));
        let url = match &account.registration {
            Registration::Registered { url, .. } => Some(url.clone()),
            Registration::None | Registration::KeyCommitted { .. } => None,
        };
        Ok(Arc::new(Acme {
            http: FencedHttp::new(self.fence.clone(), self.dial.clone(), tls),
            clock: self.clock.clone(),
            directory,
            thumbprint: account.thumbprint().unwrap_or_default().to_owned(),
            key: key.clone(),
            url,
            new_nonce: OnceCell::new(),
            session: OnceCell::new(),
            orders: Mutex::default(),
        }))
    }
}

fn tls(roots_pem: &str) -> Result<ClientConfig, AuthorityError> {
    let mut roots = RootCertStore::empty();
    if roots_pem.is_empty() {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    } else {
        for root in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
            let root = root.map_err(|error| unusable("a trust root is no PEM", &error))?;
            let added = roots.add(root);
            added.map_err(|error| unusable("a trust root is no certificate", &error))?;
        }
    }
    if roots.is_empty() {
        let text = "there is no trust root: neither in the account nor on this machine";
        return Err(AuthorityError::Unusable(text.to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("TLS cannot be set up", &error))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn unusable(what: &str, error: &dyn std::fmt::Display) -> AuthorityError {
    AuthorityError::Unusable(format!("{what}: {error}"))
}

/// A CA and our account there.
struct Acme {
    http: FencedHttp,
    clock: Arc<dyn Clock>,
    directory: Uri,
    thumbprint: String,
    key: Secret,
    url: Option<String>,
    new_nonce: OnceCell<Uri>,
    session: OnceCell<AcmeAccount>,
    orders: Mutex<HashMap<String, Order>>,
}

/// What is read of a directory (RFC 8555 section 7.1.1) beside what instant-acme reads.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directory {
    new_nonce: String,
}

impl Acme {
    fn builder(&self) -> AccountBuilder {
        AcmeAccount::builder_with_http(Box::new(self.http.clone()))
    }

    fn private_key(&self) -> PrivatePkcs8KeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.expose().to_vec())
    }

    /// The account as instant-acme has it; made on first use by reading the directory.
    async fn session(&self) -> Result<&AcmeAccount, AuthorityError> {
        let open = async {
            let Some(url) = self.url.clone() else {
                let text = "it is not registered".to_owned();
                return Err(AuthorityError::Unusable(text));
            };
            let parts =
                self.builder()
                    .from_parts(url, self.private_key(), self.directory.to_string());
            let (session, _) = self.wire(None, parts).await?;
            self.recognize(&session)?;
            Ok(session)
        };
        self.session.get_or_try_init(|| open).await
    }

    /// The challenge answers end in the committed thumbprint: the key must be that one.
    fn recognize(&self, session: &AcmeAccount) -> Result<(), AuthorityError> {
        if session.key_thumbprint() == self.thumbprint {
            return Ok(());
        }
        let text = "its key is not the one whose thumbprint was agreed on";
        Err(AuthorityError::Unusable(text.to_owned()))
    }

    /// Runs a call of instant-acme, and reads its outcome from the wire.
    async fn wire<T>(
        &self,
        permit: Option<Permit>,
        future: impl Future<Output = Result<T, instant_acme::Error>>,
    ) -> Result<(T, Answer), AuthorityError> {
        let (output, tap) = call(permit, future).await;
        let answer = tap.conclude(output.as_ref().err(), self.clock.now())?;
        let output = output.map_err(|error| AuthorityError::Malformed(error.to_string()))?;
        Ok((output, answer))
    }

    /// instant-acme's value of an order, read from the CA if it was not kept.
    async fn checkout(&self, url: &str) -> Result<Order, AuthorityError> {
        if let Some(order) = self.orders().remove(url) {
            return Ok(order);
        }
        let session = self.session().await?;
        let (order, _) = self.wire(None, session.order(url.to_owned())).await?;
        Ok(order)
    }

    fn keep(&self, order: Order) {
        let mut orders = self.orders();
        if orders.len() >= ORDERS_KEPT {
            orders.clear();
        }
        orders.insert(order.url().to_owned(), order);
    }

    fn orders(&self) -> MutexGuard<'_, HashMap<String, Order>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn new_nonce(&self) -> Result<&Uri, AuthorityError> {
        let read = async {
            let request = Request::get(self.directory.clone()).body(Default::default());
            let request = request.map_err(|error| unusable("its directory", &error))?;
            let get = instant_acme::HttpClient::request(&self.http, request);
            let (_, answer) = self.wire(None, get).await?;
            let malformed = |error: &dyn std::fmt::Display| {
                AuthorityError::Malformed(format!("its directory: {error}"))
            };
            let directory: Directory =
                serde_json::from_slice(&answer.body).map_err(|error| malformed(&error))?;
            directory
                .new_nonce
                .parse()
                .map_err(|error| malformed(&error))
        };
        self.new_nonce.get_or_try_init(|| read).await
    }
}

#[async_trait]
impl Authority for Acme {
    async fn warm(&self) -> Result<(), AuthorityError> {
        let new_nonce = self.new_nonce().await?;
        if self.url.is_some() {
            self.session().await?;
        }
        if !self.http.is_warm(new_nonce).await {
            let drawn = self.http.draw_nonce(new_nonce.clone()).await;
            drawn.map_err(AuthorityError::from)?;
        }
        Ok(())
    }

    async fn register(&self, permit: Permit) -> Result<String, AuthorityError> {
        let key =
            Key::from_pkcs8_der(self.private_key()).map_err(|error| unusable("its key", &error))?;
        let pair = (key, PrivateKeyDer::Pkcs8(self.private_key()));
        let create = self
            .builder()
            .create_from_key(pair, self.directory.to_string());
        let ((session, _), _) = self.wire(Some(permit), create).await?;
        self.recognize(&session)?;
        Ok(session.id().to_owned())
    }

    async fn set_contacts(
        &self,
        account_url: &str,
        contacts: &[String],
        permit: Permit,
    ) -> Result<(), AuthorityError> {
        let directory = self.directory.to_string();
        let parts =
            self.builder()
                .from_parts(account_url.to_owned(), self.private_key(), directory);
        let (session, _) = self.wire(None, parts).await?;
        let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
        let update = session.update_contacts(&contacts);
        self.wire(Some(permit), update).await.map(|_| ())
    }

    async fn new_order(
        &self,
        hostname: &Hostname,
        permit: Permit,
    ) -> Result<OrderView, AuthorityError> {
        let session = self.session().await?;
        let identifiers = [Identifier::Dns(hostname.as_str().to_owned())];
        let order = NewOrder::new(&identifiers);
        let (order, answer) = self.wire(Some(permit), session.new_order(&order)).await?;
        let view = answer.order(order.url().to_owned(), self.clock.now());
        self.keep(order);
        view
    }

    async fn order(&self, url: &str) -> Result<OrderView, AuthorityError> {
        let session = self.session().await?;
        self.orders().remove(url);
        let read = session.order(url.to_owned());
        let (output, tap) = call(None, read).await;
        let now = self.clock.now();
        let answer = tap.conclude(output.as_ref().err(), now)?;
        let view = answer.order(url.to_owned(), now)?;
        if let Ok(order) = output {
            self.keep(order);
        }
        Ok(view)
    }

    async fn authorization(&self, order_url: &str) -> Result<AuthorizationView, AuthorityError> {
        let mut order = self.checkout(order_url).await?;
        let read = async {
            let mut authorizations = order.authorizations();
            let handle = authorizations.next().await.transpose()?;
            let handle = handle.ok_or(instant_acme::Error::Str("an authorization"))?;
            Ok(handle.url().to_owned())
        };
        let (output, tap) = call(None, read).await;
        let answer = match tap.last {
            // It was read before; to see it as it is now it is read again.
            None if output.is_ok() => self.read_again(&mut order).await?,
            _ => tap.conclude(output.as_ref().err(), self.clock.now())?,
        };
        let url = match output {
            Ok(url) => url,
            Err(_) => order
                .state()
                .authorizations
                .first()
                .map(|authorization| authorization.url.clone())
                .unwrap_or_default(),
        };
        self.keep(order);
        answer.authorization(url)
    }

    async fn ready(&self, placed: &Placed, permit: Permit) -> Result<(), AuthorityError> {
        let mut order = self.checkout(&placed.url).await?;
        let tell = async {
            let mut authorizations = order.authorizations();
            let handle = authorizations.next().await.transpose()?;
            let mut handle = handle.ok_or(instant_acme::Error::Str("an authorization"))?;
            let challenge = handle.challenge(ChallengeType::Http01);
            let mut challenge =
                challenge.ok_or(instant_acme::Error::Str("an http-01 challenge"))?;
            challenge.set_ready().await
        };
        let (output, tap) = call(Some(permit), tell).await;
        self.keep(order);
        if let Err(instant_acme::Error::Str(missing)) = output {
            return Err(AuthorityError::Malformed(format!("it lacks {missing}")));
        }
        // What the challenge has come to is for the next look to tell.
        let told = tap.conclude(output.as_ref().err(), self.clock.now());
        told.map(|_| ())
    }

    async fn finalize(
        &self,
        placed: &Placed,
        csr: &[u8],
        permit: Permit,
    ) -> Result<OrderView, AuthorityError> {
        let mut order = self.checkout(&placed.url).await?;
        let (output, tap) = call(Some(permit), order.finalize_csr(csr)).await;
        let now = self.clock.now();
        let answer = tap.conclude(output.as_ref().err(), now)?;
        if output.is_ok() {
            self.keep(order);
        }
        answer.order(placed.url.clone(), now)
    }

    async fn certificate(&self, placed: &Placed) -> Result<String, AuthorityError> {
        let mut order = self.checkout(&placed.url).await?;
        if order.state().certificate.is_none() {
            let refresh = async { order.refresh().await.map(|_| ()) };
            self.wire(None, refresh).await?;
        }
        let (pem, _) = self.wire(None, order.certificate()).await?;
        pem.ok_or_else(|| AuthorityError::Malformed("a valid order without a certificate".into()))
    }
}

impl Acme {
    async fn read_again(&self, order: &mut Order) -> Result<Answer, AuthorityError> {
        let refresh = async {
            let mut authorizations = order.authorizations();
            let handle = authorizations.next().await.transpose()?;
            let mut handle = handle.ok_or(instant_acme::Error::Str("an authorization"))?;
            handle.refresh().await.map(|_| ())
        };
        let (output, tap) = call(None, refresh).await;
        tap.conclude(output.as_ref().err(), self.clock.now())
    }
}
