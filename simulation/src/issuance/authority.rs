//! The CA's machine: the production development CA, behind real TLS on the simulated
//! network. The CA's core does no I/O; this is its shell here, as `devca::Server` is on
//! sockets. It never crashes, so that its ledger is the truth that others are held to.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use devca::{
    Authority, ChallengeKind, Core, DEFAULT_CERTIFICATE_VALIDITY, DEFAULT_ORDER_LIFETIME, Effect,
    Entropy, Keyring, Kind, Ledger, Policy, Problem, Timestamp, Validation,
};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use state::NodeId;
use state::ports::Clock;
use state::testing::START;
use tokio_rustls::TlsAcceptor;
use turmoil::net::{TcpListener, TcpStream};

use super::validation;
use crate::chance::Chance;
use crate::clock::MachineClock;

/// The CA's name, which the account of `state::testing::found` gives.
pub(super) const NAME: &str = "ca.example";

const PORT: u16 = 443;

/// The largest request taken, as on sockets.
const BODY_MAX: usize = 64 * 1024;

/// Ids, tokens and serial numbers from the seed.
struct Seeded(Chance);

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            for (to, from) in chunk.iter_mut().zip(self.0.seed().to_le_bytes()) {
                *to = from;
            }
        }
    }
}

/// The CA.
pub(super) struct Ca {
    office: Mutex<Office>,
    root_pem: String,
    tls: Arc<ServerConfig>,
    /// Where a hostname is looked for.
    nodes: Vec<NodeId>,
}

struct Office {
    core: Core,
    entropy: Seeded,
}

impl Ca {
    /// A new CA whose orders stay `processing` for `issue_delay`, in whole seconds.
    pub(super) fn new(
        chance: Chance,
        issue_delay: Duration,
        nodes: Vec<NodeId>,
    ) -> io::Result<Self> {
        let mut entropy = Seeded(chance);
        let begin = Timestamp::from_unix(START.as_secs());
        let keyring = Keyring::generate(begin, &mut entropy).map_err(io::Error::other)?;
        let policy = Policy {
            base_url: format!("https://{NAME}"),
            certificate_validity: DEFAULT_CERTIFICATE_VALIDITY,
            order_lifetime: DEFAULT_ORDER_LIFETIME,
            issue_delay,
        };
        let authority = Authority::open(&keyring).map_err(io::Error::other)?;
        Ok(Self {
            tls: Arc::new(tls(&keyring)?),
            root_pem: keyring.root_pem,
            office: Mutex::new(Office {
                core: Core::new(policy, authority, []),
                entropy,
            }),
            nodes,
        })
    }

    /// What its clients must trust.
    pub(super) fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// All that it did, as of `elapsed` since the beginning.
    pub(super) fn ledger(&self, elapsed: Duration) -> Ledger {
        let now = START.plus(elapsed).as_secs();
        self.office().core.ledger(Timestamp::from_unix(now))
    }

    fn office(&self) -> MutexGuard<'_, Office> {
        // One thread only; each holder leaves it whole.
        self.office.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The certificate of its API, signed by its root. It has rcgen's validity of centuries,
/// because clients check it by the real time.
fn tls(keyring: &Keyring) -> io::Result<ServerConfig> {
    let root_key = KeyPair::from_pem(&keyring.root_key_pem).map_err(io::Error::other)?;
    let root = Issuer::from_ca_cert_pem(&keyring.root_pem, root_key).map_err(io::Error::other)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
    let params = CertificateParams::new(vec![NAME.to_owned()]).map_err(io::Error::other)?;
    let certificate = params.signed_by(&key, &root).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    config
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .map_err(io::Error::other)
}

/// The software of its machine.
pub(super) async fn run(ca: Arc<Ca>) -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(Arc::clone(&ca), stream));
    }
}

/// Until the client goes away, in whatever way.
async fn serve(ca: Arc<Ca>, stream: TcpStream) {
    let acceptor = TlsAcceptor::from(Arc::clone(&ca.tls));
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let service = service_fn(move |request| answer(Arc::clone(&ca), request));
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    ca: Arc<Ca>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let response = match Limited::new(body, BODY_MAX).collect().await {
        Ok(body) => {
            let request = Request::from_parts(head, body.to_bytes());
            act(&ca, |core, now, entropy| {
                core.handle(&request, now, entropy)
            })
        }
        Err(error) => {
            let problem = Problem::new(Kind::Malformed, format!("the body is broken: {error}"));
            let Office { core, entropy } = &mut *ca.office();
            core.refuse(&problem, entropy)
        }
    };
    Ok(response.map(Full::new))
}

/// A turn of the core, and the beginning of what it leaves to be done. Its records need
/// no disk: the machine does not crash.
fn act<T>(
    ca: &Arc<Ca>,
    turn: impl FnOnce(&mut Core, Timestamp, &mut dyn Entropy) -> (T, devca::Step),
) -> T {
    let now = Timestamp::from_unix(MachineClock.now().as_secs());
    let (result, step) = {
        let Office { core, entropy } = &mut *ca.office();
        turn(core, now, entropy)
    };
    for effect in step.effects {
        tokio::spawn(carry_out(Arc::clone(ca), effect));
    }
    result
}

async fn carry_out(ca: Arc<Ca>, effect: Effect) {
    match effect {
        Effect::Issue { order, after } => {
            tokio::time::sleep(after).await;
            act(&ca, |core, now, entropy| {
                ((), core.issue(&order, now, entropy))
            });
        }
        Effect::Validate(validation) => {
            let outcome = look(&ca, &validation).await;
            let Validation {
                authorization,
                kind,
                ..
            } = &validation;
            act(&ca, |core, now, entropy| {
                let step = core.conclude(authorization, *kind, outcome, now, entropy);
                ((), step)
            });
        }
    }
}

async fn look(ca: &Ca, validation: &Validation) -> Result<(), Problem> {
    match validation.kind {
        ChallengeKind::Http01 => validation::validate(&ca.nodes, validation).await,
        ChallengeKind::TlsAlpn01 | ChallengeKind::Dns01 => Err(Problem::new(
            Kind::Connection,
            "nobody speaks TLS or DNS at these nodes",
        )),
    }
}
