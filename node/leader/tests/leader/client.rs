//! A CA as the leader's client reaches it, without a leader.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;
use leader::{
    fence::Permit,
    issuance::{
        acme::{AcmeAuthorities, Tcp},
        authority::{
            Access, Authorities, Authority, AuthorityError, AuthorizationStatus, ChainView,
            ChallengeKind, FinalizeRequest, OrderRequest, OrderStatus, OrderView, Rates,
            Registration,
        },
        request::{AccountKey, FreshKeys, Requests},
    },
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use state::{
    Secret, Term, Timestamp,
    ports::{Clock, Lease},
};
use tokio::time::{Instant, sleep};

use crate::world::WorldClock;

/// A lease that holds for so many questions.
pub(crate) struct Holds(pub(crate) AtomicU32);

impl Lease for Holds {
    fn holds(&self, _: Term) -> bool {
        let left = self
            .0
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        left.is_ok()
    }
}

/// What speaks to one CA, with whatever key.
pub(crate) struct Client {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lease: Arc<Holds>,
    authorities: AcmeAuthorities,
    directory: String,
    roots: String,
    rates: Rates,
    pub(crate) texts: Texts,
}

impl Client {
    pub(crate) fn at(clock: Arc<dyn Clock>, directory: &str, roots: &str) -> Self {
        let lease = Arc::new(Holds(AtomicU32::new(u32::MAX)));
        Self {
            authorities: AcmeAuthorities::new(Arc::new(Tcp), lease.clone(), clock.clone()),
            clock,
            lease,
            directory: directory.to_owned(),
            roots: roots.to_owned(),
            rates: Rates::UNPUBLISHED,
            texts: Texts::default(),
        }
    }

    /// By the machine's own time, as a CA in another process has it.
    pub(crate) fn now(directory: &str, roots: &str) -> Self {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let clock = WorldClock::at(Timestamp::from_secs(u64::try_from(now).unwrap()));
        Self::at(Arc::new(clock), directory, roots)
    }

    pub(crate) fn paced(mut self, rates: Rates) -> Self {
        self.rates = rates;
        self
    }

    pub(crate) fn permit(&self) -> Permit {
        Permit::new(Term(3), self.clock.boottime())
    }

    pub(crate) fn open(&self, key: &Secret, account_url: Option<&str>) -> Arc<dyn Authority> {
        self.try_open(key, account_url).unwrap()
    }

    pub(crate) fn try_open(
        &self,
        key: &Secret,
        account_url: Option<&str>,
    ) -> Result<Arc<dyn Authority>, AuthorityError> {
        self.authorities.open(&Access {
            directory: &self.directory,
            trust_roots_pem: &self.roots,
            rates: self.rates,
            key,
            thumbprint: None,
            account_url,
        })
    }

    /// Registers a new account.
    pub(crate) async fn register(&self) -> Registered {
        let AccountKey { key, thumbprint } = FreshKeys.account_key().unwrap();
        let stranger = self.open(&key, None);
        let url = stranger.register(&plain(), self.permit()).await.unwrap();
        Registered {
            authority: self.open(&key, Some(&url)),
            key,
            thumbprint,
            url,
        }
    }
}

/// The TXT records of the world, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts(Arc<Mutex<HashMap<String, Vec<String>>>>);

impl Texts {
    fn add(&self, owner: String, text: String) {
        self.0.lock().unwrap().entry(owner).or_default().push(text);
    }
}

#[async_trait]
impl devca::LookUpText for Texts {
    async fn texts(&self, name: &str) -> io::Result<Vec<String>> {
        let texts = self.0.lock().unwrap();
        Ok(texts.get(name).cloned().unwrap_or_default())
    }
}

/// The development CA, as a client has it.
pub(crate) struct Site {
    pub(crate) client: Client,
    pub(crate) ca: devca::Running,
}

impl Site {
    pub(crate) async fn start(behaviour: devca::Behaviour) -> Self {
        let texts = Texts::default();
        let mut probing = devca::Probing::loopback(1, 1);
        probing.texts = Some(Arc::new(texts.clone()));
        let now = || u64::try_from(time::OffsetDateTime::now_utc().unix_timestamp()).unwrap();
        let listen = ([127, 0, 0, 1], 0).into();
        let mut config = devca::Config::new(listen, probing, Arc::new(now));
        config.behaviour = behaviour;
        let ca = devca::Server::start(config).await.unwrap();
        let mut client = Client::now(ca.directory_url(), ca.root_pem());
        client.texts = texts;
        Self { client, ca }
    }
}

/// An account, and its CA.
pub(crate) struct Registered {
    pub(crate) authority: Arc<dyn Authority>,
    pub(crate) key: Secret,
    thumbprint: String,
    pub(crate) url: String,
}

impl Registered {
    /// From an order to its certificate, by dns-01.
    pub(crate) async fn obtain(&self, client: &Client, request: &OrderRequest<'_>) -> Obtained {
        let order = self.authority.new_order(request, client.permit()).await;
        self.carry(client, order.unwrap()).await
    }

    /// From an order that was made to its certificate.
    pub(crate) async fn carry(&self, client: &Client, order: OrderView) -> Obtained {
        for url in &order.authorization_urls {
            let view = self.authority.authorization(url).await.unwrap();
            if view.status == AuthorizationStatus::Pending {
                let challenge = view.challenge(&ChallengeKind::Dns01).unwrap();
                let token = challenge.token.as_ref().unwrap();
                let proof = format!("{token}.{}", self.thumbprint);
                let proof = digest(&SHA256, proof.as_bytes());
                let owner = format!("_acme-challenge.{}", view.hostname);
                let text = BASE64URL_NOPAD.encode(proof.as_ref());
                client.texts.add(owner, text);
                let ready = self.authority.ready(&challenge.url, client.permit());
                ready.await.unwrap();
            }
        }
        self.until(&order.url, OrderStatus::Ready).await;
        let csr = csr(&order.identifiers);
        let finalize = FinalizeRequest {
            order_url: &order.url,
            finalize_url: &order.finalize_url,
            csr: &csr,
        };
        let finalized = self.authority.finalize(&finalize, client.permit());
        finalized.await.unwrap();
        let order = self.until(&order.url, OrderStatus::Valid).await;
        let url = order.certificate_url.as_ref().unwrap();
        let chain = self.authority.certificate(url).await.unwrap();
        Obtained {
            leaf: leaf(&chain.pem),
            chain,
        }
    }

    async fn until(&self, url: &str, status: OrderStatus) -> OrderView {
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            let view = self.authority.order(url).await.unwrap();
            if view.status == status {
                return view;
            }
            assert!(view.error.is_none(), "{view:?}");
            assert!(Instant::now() < limit, "{view:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) struct Obtained {
    pub(crate) chain: ChainView,
    /// DER.
    pub(crate) leaf: Vec<u8>,
}

pub(crate) fn new_key() -> Secret {
    let AccountKey { key, .. } = FreshKeys.account_key().unwrap();
    key
}

pub(crate) fn plain() -> Registration<'static> {
    Registration {
        contacts: &[],
        terms_agreed: true,
        external: None,
    }
}

fn csr(names: &[String]) -> Vec<u8> {
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    let key = KeyPair::generate().unwrap();
    params.serialize_request(&key).unwrap().der().to_vec()
}

/// The first certificate of a chain.
pub(crate) fn leaf(pem: &str) -> Vec<u8> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    CertificateDer::from_pem_slice(pem.as_bytes())
        .unwrap()
        .to_vec()
}
