//! The [`Authority`] port over HTTPS.
//!
//! Two signers share one road. instant-acme makes newOrder, reads orders and revokes
//! (`acme/instant.rs`). What it cannot do with keys that were committed before, or by URL
//! alone, is signed by a small signer of our own (`acme/jws.rs`): accounts, their bindings
//! and the change of their keys, authorizations, challenges, finalize, certificates. When
//! and whether bytes leave, and what an answer means, is decided in one place for both
//! (`acme/site.rs`, `acme/http.rs`, `acme/answer.rs`).

mod account;
mod answer;
mod connection;
mod directory;
mod document;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod http;
mod instant;
mod jws;
mod order;
mod pacer;
mod pool;
mod site;
mod stream;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ::http::Uri;
use async_trait::async_trait;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use state::{
    Secret,
    ports::{Clock, Lease},
};
use tokio_rustls::TlsConnector;

pub use self::connection::{Dial, Stream, Tcp};
use self::{
    answer::Answer,
    http::FencedHttp,
    instant::Session,
    jws::{AccountKey, Identity},
    pacer::Pacer,
    site::Site,
};
use super::authority::{
    Access, Authorities, Authority, AuthorityError, AuthorizationView, ChainView, DirectoryView,
    FinalizeRequest, OrderRequest, OrderView, Registration, RenewalInfo, RevocationReason,
};
use crate::fence::{Fence, Permit};

/// Most CAs remembered with their connections and rates: more than anybody configures.
const SITES_MOST: usize = 32;

/// Opens CAs over HTTPS.
pub struct AcmeAuthorities {
    dial: Arc<dyn Dial>,
    fence: Fence,
    clock: Arc<dyn Clock>,
    /// By directory and trust roots: rates and nonces are a CA's and not an account's.
    sites: Mutex<HashMap<(String, String), Arc<Site>>>,
}

impl AcmeAuthorities {
    /// Over `dial`, fenced by this node's lease and clock.
    pub fn new(dial: Arc<dyn Dial>, lease: Arc<dyn Lease>, clock: Arc<dyn Clock>) -> Self {
        Self {
            dial,
            fence: Fence::new(lease, clock.clone()),
            clock,
            sites: Mutex::default(),
        }
    }

    fn site(&self, access: &Access<'_>) -> Result<Arc<Site>, AuthorityError> {
        let place = (
            access.directory.to_owned(),
            access.trust_roots_pem.to_owned(),
        );
        let mut sites = self.sites();
        if let Some(site) = sites.get(&place) {
            site.pacer.set(access.rates);
            return Ok(site.clone());
        }
        let directory = access.directory.parse::<Uri>();
        let directory = directory.map_err(|error| unusable("its directory is no URL", &error))?;
        let tls = TlsConnector::from(Arc::new(tls(access.trust_roots_pem)?));
        let http = FencedHttp::new(self.fence.clone(), self.dial.clone(), tls);
        let pacer = Pacer::new(access.rates);
        let site = Arc::new(Site::new(http, self.clock.clone(), pacer, directory));
        if sites.len() >= SITES_MOST {
            sites.clear();
        }
        sites.insert(place, site.clone());
        Ok(site)
    }

    fn sites(&self) -> MutexGuard<'_, HashMap<(String, String), Arc<Site>>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authorities for AcmeAuthorities {
    fn open(&self, access: &Access<'_>) -> Result<Arc<dyn Authority>, AuthorityError> {
        let key = AccountKey::open(access.key)?;
        if access
            .thumbprint
            .is_some_and(|agreed| agreed != key.thumbprint())
        {
            let text = "its key is not the one whose thumbprint was agreed on";
            return Err(AuthorityError::Unusable(text.to_owned()));
        }
        Ok(Arc::new(Acme {
            site: self.site(access)?,
            key,
            secret: access.key.clone(),
            url: access.account_url.map(ToOwned::to_owned),
            session: Mutex::default(),
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
    site: Arc<Site>,
    key: AccountKey,
    /// The same, for instant-acme.
    secret: Secret,
    url: Option<String>,
    session: Mutex<Option<Session>>,
}

impl Acme {
    fn account_url(&self) -> Result<&str, AuthorityError> {
        let unregistered = || AuthorityError::Unusable("it is not registered".to_owned());
        self.url.as_deref().ok_or_else(unregistered)
    }

    /// The account as instant-acme has it; made anew when the directory was read again.
    async fn session(&self) -> Result<Session, AuthorityError> {
        let url = self.account_url()?;
        let directory = self.site.directory().await?;
        let known = self.lock_session().clone();
        if let Some(session) = known
            && Arc::ptr_eq(&session.directory, &directory)
        {
            return Ok(session);
        }
        let session = Session::open(self.site.clone(), directory, url, &self.secret).await?;
        *self.lock_session() = Some(session.clone());
        Ok(session)
    }

    fn lock_session(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As the account, what has an effect.
    async fn act(
        &self,
        url: &str,
        payload: &[u8],
        permit: Permit,
    ) -> Result<Answer, AuthorityError> {
        let identity = Identity::Account(self.account_url()?);
        let (site, permit) = (&self.site, Some(permit));
        site.post(&self.key, identity, url, payload, permit).await
    }

    /// As the account, by POST-as-GET.
    async fn read(&self, url: &str) -> Result<Answer, AuthorityError> {
        let identity = Identity::Account(self.account_url()?);
        self.site.post(&self.key, identity, url, b"", None).await
    }
}

#[async_trait]
impl Authority for Acme {
    async fn warm(&self) -> Result<(), AuthorityError> {
        self.site.warm().await
    }

    async fn directory(&self) -> Result<Arc<DirectoryView>, AuthorityError> {
        let directory = self.site.recent_directory().await?;
        Ok(directory.view.clone())
    }

    async fn register(
        &self,
        registration: &Registration<'_>,
        permit: Permit,
    ) -> Result<String, AuthorityError> {
        self.new_account(registration, permit).await
    }

    async fn find(&self) -> Result<Option<String>, AuthorityError> {
        self.existing_account().await
    }

    async fn set_contacts(
        &self,
        account_url: &str,
        contacts: &[String],
        permit: Permit,
    ) -> Result<(), AuthorityError> {
        self.update_contacts(account_url, contacts, permit).await
    }

    async fn roll_key(
        &self,
        account_url: &str,
        next_key: &Secret,
        permit: Permit,
    ) -> Result<(), AuthorityError> {
        self.change_key(account_url, next_key, permit).await
    }

    async fn new_order(
        &self,
        request: &OrderRequest<'_>,
        permit: Permit,
    ) -> Result<OrderView, AuthorityError> {
        self.place_order(request, permit).await
    }

    async fn order(&self, url: &str) -> Result<OrderView, AuthorityError> {
        self.read_order(url).await
    }

    async fn authorization(&self, url: &str) -> Result<AuthorizationView, AuthorityError> {
        let answer = self.read(url).await?;
        let directory = self.site.directory().await?;
        document::authorization(&answer, url, &directory.hosts, self.site.now())
    }

    /// What the challenge has come to is for the next look at its authorization to tell.
    async fn ready(&self, challenge_url: &str, permit: Permit) -> Result<(), AuthorityError> {
        self.act(challenge_url, b"{}", permit).await.map(|_| ())
    }

    async fn finalize(
        &self,
        request: &FinalizeRequest<'_>,
        permit: Permit,
    ) -> Result<OrderView, AuthorityError> {
        self.finalize_order(request, permit).await
    }

    async fn certificate(&self, url: &str) -> Result<ChainView, AuthorityError> {
        self.download(url).await
    }

    async fn alternate(&self, url: &str) -> Result<String, AuthorityError> {
        self.read(url).await?.pem()
    }

    async fn revoke(
        &self,
        leaf: &[u8],
        reason: RevocationReason,
        permit: Permit,
    ) -> Result<(), AuthorityError> {
        self.revoke_certificate(leaf, reason, permit).await
    }

    async fn renewal_info(&self, renewal_id: &str) -> Result<RenewalInfo, AuthorityError> {
        self.read_renewal_info(renewal_id).await
    }
}
