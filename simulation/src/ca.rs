//! The CA's machine: the production development CA, behind real TLS on the simulated
//! network. The CA's core does no I/O; this is its shell here, as `devca::Server` is on
//! sockets. It never crashes, so that its ledger is the truth that others are held to.

mod reply;
mod validation;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use devca::{
    Authority, Behaviour, ChallengeKind, Core, DEFAULT_ORDER_LIFETIME, Disruption, Effect, Entropy,
    Fault, Keyring, Kind, Moment, Policy, Problem, Timestamp, Validation,
};
use http::{Method, Request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use state::testing::START;
use tokio_rustls::TlsAcceptor;
use turmoil::net::{TcpListener, TcpStream};

use self::reply::{Aborted, Reply};
use crate::chance::Chance;
use crate::clock::elapsed;
use crate::deed::{Books, Deed, Posted};
use crate::keys::ca_key;
use crate::network::owner;
use crate::road::Witness;
use crate::roll::Roll;

/// The CA's name, which the account of `state::testing::found` gives.
pub(crate) const NAME: &str = "ca.example";

const PORT: u16 = 443;

/// The largest request taken, as on sockets.
const BODY_MAX: usize = 64 * 1024;

/// Ids, tokens and serial numbers from the seed.
struct Seeded(Chance);

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }
}

/// The CA.
pub(crate) struct Ca {
    office: Mutex<Office>,
    root_pem: String,
    tls: Arc<ServerConfig>,
    /// Where a hostname is looked for.
    roll: Arc<Roll>,
    witness: Witness,
}

struct Office {
    core: Core,
    entropy: Seeded,
    books: Books,
}

impl Ca {
    /// A new CA, whose certificates are valid for `validity`.
    pub(crate) fn new(
        mut chance: Chance,
        validity: Duration,
        behaviour: Behaviour,
        (roll, witness): (Arc<Roll>, Witness),
    ) -> io::Result<Self> {
        let (root, intermediate) = (ca_key(&mut chance)?, ca_key(&mut chance)?);
        let api = ca_key(&mut chance)?;
        let mut entropy = Seeded(chance);
        let begin = Timestamp::from_unix(START.as_secs());
        let keyring = Keyring::of_keys(root, intermediate, begin, &mut entropy);
        let keyring = keyring.map_err(io::Error::other)?;
        let policy = Policy {
            base_url: format!("https://{NAME}"),
            certificate_validity: validity,
            order_lifetime: DEFAULT_ORDER_LIFETIME,
            issue_delay: Duration::ZERO,
        };
        let authority = Authority::open(&keyring).map_err(io::Error::other)?;
        let mut core = Core::new(policy, authority, []);
        core.set_behaviour(behaviour);
        Ok(Self {
            tls: Arc::new(tls(&keyring, &api)?),
            root_pem: keyring.root_pem,
            office: Mutex::new(Office {
                core,
                entropy,
                books: Books::default(),
            }),
            roll,
            witness,
        })
    }

    /// What its clients must trust.
    pub(crate) fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Misbehaves from now on.
    pub(crate) fn inject(&self, fault: Fault) {
        self.office().core.inject(fault);
    }

    /// Behaves again.
    pub(crate) fn mend(&self) {
        self.office().core.clear_faults();
    }

    /// What it did since the last time.
    pub(crate) fn take_deeds(&self) -> Vec<Deed> {
        self.office().books.take()
    }

    fn office(&self) -> MutexGuard<'_, Office> {
        // One thread only; each holder leaves it whole.
        self.office.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The certificate of its API, signed by its root. It has rcgen's validity of centuries,
/// because clients check it by the real time.
fn tls(keyring: &Keyring, key: &KeyPair) -> io::Result<ServerConfig> {
    let root_key = KeyPair::from_pem(&keyring.root_key_pem).map_err(io::Error::other)?;
    let root = Issuer::from_ca_cert_pem(&keyring.root_pem, root_key).map_err(io::Error::other)?;
    let params = CertificateParams::new(vec![NAME.to_owned()]).map_err(io::Error::other)?;
    let certificate = params.signed_by(key, &root).map_err(io::Error::other)?;
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
pub(crate) async fn run(ca: Arc<Ca>) -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, origin) = listener.accept().await?;
        tokio::spawn(serve(Arc::clone(&ca), stream, origin));
    }
}

/// Until the client goes away, in whatever way.
async fn serve(ca: Arc<Ca>, stream: TcpStream, origin: SocketAddr) {
    let acceptor = TlsAcceptor::from(Arc::clone(&ca.tls));
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let service = service_fn(move |request| answer(Arc::clone(&ca), origin, request));
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    ca: Arc<Ca>,
    origin: SocketAddr,
    request: Request<Incoming>,
) -> Result<Reply, Aborted> {
    let (head, body) = request.into_parts();
    let mut response = match Limited::new(body, BODY_MAX).collect().await {
        Ok(body) => {
            let request = Request::from_parts(head, body.to_bytes());
            let response = act(&ca, |core, now, entropy| {
                core.handle(&request, now, entropy)
            });
            if request.method() == Method::POST {
                let (path, status) = (request.uri().path(), response.status().as_u16());
                let posted = Posted {
                    node: owner(origin),
                    left: ca.witness.left(origin),
                    path: path.to_owned(),
                    status,
                };
                ca.office().books.posted(posted);
            }
            response
        }
        Err(error) => {
            let problem = Problem::new(Kind::Malformed, format!("the body is broken: {error}"));
            let Office { core, entropy, .. } = &mut *ca.office();
            core.refuse(&problem, entropy)
        }
    };
    let disruption = response.extensions_mut().remove::<Disruption>();
    reply::send(response, disruption).await
}

/// A turn of the core, and the beginning of what it leaves to be done. Its records need
/// no disk: the machine does not crash.
fn act<T>(
    ca: &Arc<Ca>,
    turn: impl FnOnce(&mut Core, Moment, &mut dyn Entropy) -> (T, devca::Step),
) -> T {
    let now = START.plus(elapsed());
    let moment = Moment::from_unix_millis(now.as_millis());
    let (result, step) = {
        let Office {
            core,
            entropy,
            books,
        } = &mut *ca.office();
        let done = turn(core, moment, entropy);
        books.follow(core.ledger(moment.timestamp()));
        done
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
            tokio::time::sleep(validation.delay).await;
            let outcome = look(&ca, &validation).await;
            let (id, kind) = (&validation.authorization, validation.kind);
            act(&ca, |core, now, entropy| {
                ((), core.conclude(id, kind, outcome, now, entropy))
            });
        }
    }
}

async fn look(ca: &Ca, validation: &Validation) -> Result<(), Problem> {
    match validation.kind {
        ChallengeKind::Http01 => validation::validate(&ca.roll.nodes(), validation).await,
        ChallengeKind::TlsAlpn01 | ChallengeKind::Dns01 => Err(Problem::new(
            Kind::Connection,
            "nobody speaks TLS or DNS at these nodes",
        )),
    }
}
