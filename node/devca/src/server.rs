//! The running CA: a listener, HTTPS, and the engine behind them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::authority::{Authority, AuthorityError, Keyring};
use crate::book::Record;
use crate::config::{Config, ConfigError};
use crate::connection::{self, Door};
use crate::control::{self, Control};
use crate::core::{Core, Policy};
use crate::engine::{Engine, Event, Performer, QUEUE, SharedCore};
use crate::entropy::SystemEntropy;
use crate::ledger::Ledger;
use crate::routes::{Links, Route};
use crate::store::{Journal, Store, StoreError};
use crate::timestamp::Timestamp;
use crate::validate::Probing;

/// Why a CA did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is out of its bounds.
    #[error("the development CA's configuration is unusable")]
    Config(#[from] ConfigError),
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The directory cannot be used.
    #[error("cannot use the development CA's directory")]
    Store(#[from] StoreError),
    /// Keys or certificates cannot be made or read.
    #[error("cannot use the development CA's keys")]
    Authority(#[from] AuthorityError),
    /// TLS refuses the CA's own certificate.
    #[error("cannot serve HTTPS")]
    Tls(#[from] rustls::Error),
}

/// Starts development CAs.
#[derive(Debug, Clone, Copy)]
pub struct Server;

impl Server {
    /// Starts a CA on the present tokio runtime; it listens when this returns.
    ///
    /// # Errors
    /// When a setting is out of bounds, the address cannot be bound, or the directory is
    /// in use, damaged or not writable.
    pub async fn start(config: Config) -> Result<Running, Error> {
        config.check()?;
        let listen = config.listen;
        let bound = |source| Error::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(bound)?;
        let address = listener.local_addr().map_err(bound)?;
        let control = listen_for_control(&config).await?;
        let now = config.clocks().moment().timestamp();
        let Kept {
            keyring,
            records,
            journal,
        } = open(&config, now).await?;
        let authority = Authority::open(&keyring)?;
        let (certificate, key) =
            authority.api_identity(&config.host(address), now, &mut SystemEntropy)?;
        let tls = tls(certificate, key)?;
        let policy = Policy {
            base_url: config.base_url(address),
            certificate_validity: config.certificate_validity,
            order_lifetime: config.order_lifetime,
            issue_delay: config.issue_delay,
        };
        let links = Links::new(policy.base_url.clone());
        let mut core = Core::new(policy, authority, records);
        core.set_behaviour(config.behaviour.clone());
        let core = SharedCore::new(core);
        info!(%address, directory = ?config.directory, "development CA listens");
        Ok(Running::spawn(
            listener,
            tls,
            core,
            journal,
            Places {
                address,
                control: control.as_ref().map(|(_, address)| *address),
                directory_url: links.to(&Route::Directory),
                root_pem: keyring.root_pem,
            },
            control.map(|(listener, _)| listener),
            config,
        ))
    }
}

async fn listen_for_control(config: &Config) -> Result<Option<(TcpListener, SocketAddr)>, Error> {
    let Some(address) = config.control else {
        return Ok(None);
    };
    let bound = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(bound)?;
    let address = listener.local_addr().map_err(bound)?;
    Ok(Some((listener, address)))
}

/// What was found on disk, or made anew.
struct Kept {
    keyring: Keyring,
    records: Vec<Record>,
    journal: Option<Journal>,
}

async fn open(config: &Config, now: Timestamp) -> Result<Kept, Error> {
    let generate = move || Keyring::generate(now, &mut SystemEntropy);
    let Some(directory) = config.directory.clone() else {
        return Ok(Kept {
            keyring: generate()?,
            records: Vec::new(),
            journal: None,
        });
    };
    let opened = tokio::task::spawn_blocking(move || {
        let store = Store::open(&directory)?;
        let keyring = store.keyring(generate)?;
        let (records, journal) = store.journal()?;
        Ok::<_, StoreError>(Kept {
            keyring,
            records,
            journal: Some(journal),
        })
    });
    Ok(opened.await.unwrap_or_else(|_| Err(StoreError::Lost))?)
}

fn tls(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// What does not change while a CA runs.
struct Places {
    address: SocketAddr,
    control: Option<SocketAddr>,
    directory_url: String,
    root_pem: String,
}

/// A CA that runs; dropping it stops it without waiting.
pub struct Running {
    /// Boxed, so that whoever holds a CA among other things need not.
    places: Box<Places>,
    control: Control,
    probing: watch::Sender<Probing>,
    events: mpsc::Sender<Event>,
    tasks: TaskTracker,
    stop: DropGuard,
    engine: JoinHandle<()>,
}

impl Running {
    fn spawn(
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        core: SharedCore,
        journal: Option<Journal>,
        places: Places,
        control_listener: Option<TcpListener>,
        config: Config,
    ) -> Self {
        let clocks = config.clocks();
        let (silent, is_silent) = watch::channel(config.behaviour.black_hole);
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (probing, watched) = watch::channel(config.probing);
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let engine = Engine {
            core: core.clone(),
            journal,
            clocks: clocks.clone(),
            events: receiver,
            performer: Performer::new(watched, sender.downgrade(), tasks.clone(), stop.clone()),
        };
        let door = Door {
            tls: tls.into(),
            events: sender.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
            clocks: clocks.clone(),
            silent: is_silent,
        };
        tasks.spawn(connection::accept(listener, door));
        let control = Control {
            core,
            clocks,
            events: sender.downgrade(),
            silent,
        };
        if let Some(listener) = control_listener {
            let (control, spawned) = (control.clone(), tasks.clone());
            let served = control::http::serve(listener, control, spawned, stop.clone());
            tasks.spawn(served);
        }
        Self {
            places: Box::new(places),
            control,
            probing,
            events: sender,
            tasks,
            stop: stop.drop_guard(),
            engine: tokio::spawn(engine.run()),
        }
    }

    /// The URL to give to ACME clients.
    pub fn directory_url(&self) -> &str {
        &self.places.directory_url
    }

    /// The root certificate, PEM: it signs the certificates of this CA's HTTPS and, by an
    /// intermediate, all certificates that it issues.
    pub fn root_pem(&self) -> &str {
        &self.places.root_pem
    }

    /// The address listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.places.address
    }

    /// What this CA did so far, as of now.
    pub fn ledger(&self) -> Ledger {
        self.control.ledger()
    }

    /// A hand on this CA, to change how it behaves and to see what it did.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Where other processes reach the same ([`Config::control`]).
    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.places.control
    }

    /// Changes how hostnames are looked at, for validations that begin from now on.
    pub fn set_probing(&self, probing: Probing) {
        self.probing.send_replace(probing);
    }

    /// Stops: no more connections, answers under way are finished for a few seconds,
    /// validations are given up (and begun again at the next start), the directory is
    /// free when this returns.
    pub async fn shutdown(self) {
        drop(self.stop);
        self.tasks.close();
        self.tasks.wait().await;
        drop(self.events);
        // It ends once no sender of events is left; a panic in it has been reported.
        let _ = self.engine.await;
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("directory_url", &self.places.directory_url)
            .finish_non_exhaustive()
    }
}
