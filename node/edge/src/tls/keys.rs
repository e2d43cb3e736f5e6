//! Ready keys: a bounded cache, and the road from the store to it.
//!
//! A hit costs a look-up in this core's own map. A miss reads the certificate's
//! body and opens its key on the openers' threads, once however many handshakes
//! wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};
use state::{
    Certificate, CertificateId,
    ports::{Bodies, BodiesError, Seal, SealError},
    sealed::SealContext,
};
use tokio::{runtime::Handle, sync::watch, time::Instant};

use super::{cache::Bounded, server};
use crate::{
    limits::{KEY_RETRY, KEYS_FAILED, KEYS_OPENING},
    metrics::Counters,
};

/// Why a certificate that the state names cannot be served.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the store does not hold its body")]
    Missing,
    #[error(transparent)]
    Store(#[from] BodiesError),
    #[error(transparent)]
    Sealed(#[from] SealError),
    #[error("its key or chain cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("too many keys are being opened; is the store stuck?")]
    Busy,
    #[error("the opener has ended")]
    Ended,
}

/// Opens keys; shared by all cores.
pub(crate) struct Opener {
    pub(crate) bodies: Arc<dyn Bodies>,
    pub(crate) seal: Arc<dyn Seal>,
    pub(crate) provider: Arc<CryptoProvider>,
    /// Whose blocking threads may wait for the disk.
    pub(crate) threads: Handle,
}

impl Opener {
    /// Reads, opens and parses. Blocks.
    fn open(&self, certificate: &Certificate) -> Result<Ready, KeyError> {
        let body = self
            .bodies
            .certificate(certificate)?
            .ok_or(KeyError::Missing)?;
        let context = SealContext::CertificateKey(certificate.hostname.clone());
        let secret = self.seal.open(&body.sealed_key, &context)?;
        let chain = body
            .chain
            .iter()
            .map(|der| CertificateDer::from(der.to_vec()))
            .collect();
        // Borrowed, so that no copy of ours outlives the wiping of `secret`.
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(secret.expose()));
        let key = CertifiedKey::new(
            chain,
            rustls::crypto::aws_lc_rs::sign::any_supported_type(&der)?,
        );
        key.keys_match()?;
        Ok(Arc::new(server::config(&self.provider, key)?))
    }
}

/// A certificate ready for handshakes, with the settings it is served with.
pub(crate) type Ready = Arc<ServerConfig>;
type Opened = watch::Receiver<Option<Result<Ready, KeyError>>>;

/// One core's keys.
pub(crate) struct Keys {
    opener: Arc<Opener>,
    counters: Arc<Counters>,
    held: Mutex<Held>,
}

struct Held {
    ready: Bounded<CertificateId, Ready>,
    failed: Bounded<CertificateId, (Instant, KeyError)>,
    opening: HashMap<CertificateId, Opened>,
}

impl Keys {
    /// An empty cache of at most `capacity` keys.
    pub(crate) fn new(opener: Arc<Opener>, capacity: usize, counters: Arc<Counters>) -> Arc<Self> {
        let held = Mutex::new(Held {
            ready: Bounded::new(capacity),
            failed: Bounded::new(KEYS_FAILED),
            opening: HashMap::new(),
        });
        Arc::new(Self {
            opener,
            counters,
            held,
        })
    }

    /// The ready key of `certificate`.
    ///
    /// # Errors
    ///
    /// The store or the seal failed, or what was stored is no usable key.
    pub(crate) async fn get(
        self: &Arc<Self>,
        certificate: &Arc<Certificate>,
    ) -> Result<Ready, KeyError> {
        let mut opened = match self.look_up(certificate)? {
            Place::Ready(ready) => return Ok(ready),
            Place::Opening(opened) => opened,
        };
        match opened
            .wait_for(Option::is_some)
            .await
            .map(|result| result.clone())
        {
            Ok(Some(result)) => result,
            Ok(None) | Err(_) => Err(KeyError::Ended),
        }
    }

    fn look_up(self: &Arc<Self>, certificate: &Arc<Certificate>) -> Result<Place, KeyError> {
        let mut held = self.held();
        if let Some(ready) = held.ready.get(&certificate.id) {
            self.counters.keys_found.add();
            return Ok(Place::Ready(ready));
        }
        if let Some((until, error)) = held.failed.get(&certificate.id)
            && Instant::now() < until
        {
            return Err(error);
        }
        if let Some(opened) = held.opening.get(&certificate.id) {
            return Ok(Place::Opening(opened.clone()));
        }
        if held.opening.len() >= KEYS_OPENING {
            return Err(KeyError::Busy);
        }
        let (done, opened) = watch::channel(None);
        held.opening.insert(certificate.id, opened.clone());
        // A task of its own: the handshake that began it may give up, others may
        // still wait.
        tokio::spawn(Arc::clone(self).fill(Arc::clone(certificate), done));
        Ok(Place::Opening(opened))
    }

    async fn fill(
        self: Arc<Self>,
        certificate: Arc<Certificate>,
        done: watch::Sender<Option<Result<Ready, KeyError>>>,
    ) {
        let opener = Arc::clone(&self.opener);
        let wanted = Arc::clone(&certificate);
        let opened = self
            .opener
            .threads
            .spawn_blocking(move || opener.open(&wanted))
            .await;
        let result = opened.unwrap_or(Err(KeyError::Ended));
        self.keep(&certificate, &result);
        done.send_replace(Some(result));
    }

    fn keep(&self, certificate: &Certificate, result: &Result<Ready, KeyError>) {
        let mut held = self.held();
        held.opening.remove(&certificate.id);
        match result {
            Ok(ready) => {
                self.counters.keys_opened.add();
                if held.ready.insert(certificate.id, Arc::clone(ready)) {
                    self.counters.keys_evicted.add();
                }
                self.counters.keys_held.set(held.ready.len() as u64);
            }
            Err(error) => {
                self.counters.keys_failed.add();
                let until = Instant::now() + KEY_RETRY;
                held.failed.insert(certificate.id, (until, error.clone()));
                tracing::error!(hostname = %certificate.hostname, certificate = %certificate.id, %error, "certificate cannot be served");
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing is left half done where it could panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Place {
    Ready(Ready),
    Opening(Opened),
}
