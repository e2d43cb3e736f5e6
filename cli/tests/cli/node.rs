//! A node as far as operators see it: the admin API behind mutual TLS, and the
//! doors by which one enters, with a cluster of one replica behind them.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use admin::{
    Drawn, Inputs, Overview, RequestError, Requested, Requests, Services, Tokens, TokensError,
    testing::Shelf,
};
use async_trait::async_trait;
use bytes::Bytes;
use enroll::{Leaf, OperatorRole, Subject, proof};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proto::cluster::v1::{
    self as wire,
    bootstrap_server::{Bootstrap, BootstrapServer},
    enrollment_server::{Enrollment, EnrollmentServer},
};
use state::{
    Actor, Change, FeatureLevel, Hostname, Index, KeyAlgorithm, NodeId, OperatorId, Role, Secret,
    State, Term,
    ports::{
        Applied, Configuration, Leadership, Members, MembersError, NodeReport, OperatorIdentity,
        Propose, ProposeError, ServingSet,
    },
    testing::{Alone, ManualClock, MaskSeal, newcomer},
};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener},
    sync::watch,
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status, service::Routes};
use tower::ServiceExt;

use crate::{
    eyes::Eyes,
    pki::{CLUSTER, Pki},
};

pub(crate) struct Node {
    pub(crate) pki: Arc<Pki>,
    pub(crate) alone: Arc<Alone>,
    pub(crate) doubles: Arc<Doubles>,
    /// host:port of the admin API.
    pub(crate) address: String,
    tasks: Vec<AbortHandle>,
}

impl Drop for Node {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What the doubles answer.
pub(crate) struct Doubles {
    alone: Arc<Alone>,
    /// Nothing can be agreed on.
    pub(crate) no_quorum: AtomicBool,
    pub(crate) published: Mutex<Option<Index>>,
    /// How often somebody looked at the reports: a watch does so all the time.
    looks: AtomicUsize,
}

/// What is given for a backup.
pub(crate) const BACKUP: &[u8] = b"the bytes of a backup";

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_with(Arc::new(Pki::new())).await
    }

    pub(crate) async fn start_with(pki: Arc<Pki>) -> Self {
        let clock = Arc::new(ManualClock::default());
        let (send, states) = watch::channel(Arc::new(State::default()));
        let alone = Arc::new(Alone::founded(clock.clone(), move |state| {
            send.send_replace(state);
        }));
        let doubles = Arc::new(Doubles {
            alone: alone.clone(),
            no_quorum: AtomicBool::new(false),
            published: Mutex::new(Some(Index(u64::MAX))),
            looks: AtomicUsize::new(0),
        });
        let overview = Overview {
            node: NodeId(1),
            version: "0.1.0".to_owned(),
            ..Overview::default()
        };
        let services = Services::new(Inputs {
            states,
            leadership: watch::channel(Leadership::Leading(Term(1))).1,
            overview: watch::channel(overview).1,
            propose: doubles.clone(),
            members: doubles.clone(),
            serving: doubles.clone(),
            bodies: alone.clone(),
            clock,
            backups: Arc::new(Shelf(BACKUP.to_vec())),
            tokens: Arc::new(Numbered(pki.clone())),
            seal: Arc::new(MaskSeal),
            checks: Arc::new(Eyes),
            requests: Arc::new(Keys),
            stats: Arc::new(crate::stats::sums()),
        });
        let routes = services.unwrap().into_routes();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let door = Door {
            pki: pki.clone(),
            routes,
            address: address.clone(),
        };
        let tasks = vec![tokio::spawn(door.serve(listener)).abort_handle()];
        Self {
            pki,
            alone,
            doubles,
            address,
            tasks,
        }
    }

    /// Serves `Init` on a Unix socket, as a daemon without an identity does.
    pub(crate) fn open_socket(&mut self, path: &Path) {
        let listener = UnixListener::bind(path).unwrap();
        let founder = Founder {
            pki: self.pki.clone(),
            address: self.address.clone(),
            formed: AtomicBool::new(false),
        };
        let incoming = async_stream(listener);
        let serving = tonic::transport::Server::builder()
            .add_service(BootstrapServer::new(founder))
            .serve_with_incoming(incoming);
        self.tasks.push(tokio::spawn(serving).abort_handle());
    }

    /// Applies what an operator would ask for.
    pub(crate) fn apply(&self, change: Change) -> Applied {
        self.alone.apply(Actor::operator("test"), None, change)
    }

    /// Returns when a watch has looked at what is so now: any other command looks
    /// once or twice, a watch again and again.
    pub(crate) async fn watched(&self) {
        let begun = self.doubles.looks.load(Ordering::Relaxed);
        let looking = async {
            while self.doubles.looks.load(Ordering::Relaxed) < begun + 5 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let within = Duration::from_secs(10);
        tokio::time::timeout(within, looking)
            .await
            .expect("somebody watches");
    }

    /// Admits a second member, whose admin API is where the first one's is not.
    pub(crate) fn second_member(&self) {
        let expires_at = state::testing::START.plus(Duration::from_secs(900));
        self.apply(Change::CreateInvitation {
            role: Role::Node,
            verifier: [0; 32],
            expires_at,
        });
        let state = self.alone.state();
        let invitation = state.invitations().last().unwrap().id;
        self.apply(Change::AdmitNode {
            invitation,
            newcomer: newcomer(2),
        });
    }

    /// Admits a viewer: operator 2.
    pub(crate) fn viewer(&self) -> enroll::Credential {
        let expires_at = state::testing::START.plus(Duration::from_secs(900));
        self.apply(Change::CreateInvitation {
            role: Role::Viewer,
            verifier: [0; 32],
            expires_at,
        });
        let state = self.alone.state();
        let invitation = state.invitations().last().unwrap().id;
        self.apply(Change::AdmitOperator {
            invitation,
            name: "vera".to_owned(),
            public_key: Bytes::from_static(b"vera"),
        });
        self.pki.credential(2, OperatorRole::Viewer)
    }
}

fn async_stream(
    listener: UnixListener,
) -> impl futures_util::Stream<Item = std::io::Result<tokio::net::UnixStream>> {
    futures_util::stream::unfold(listener, |listener| async {
        let stream = listener.accept().await.map(|(stream, _)| stream);
        Some((stream, listener))
    })
}

/// The admin listener.
struct Door {
    pki: Arc<Pki>,
    routes: Routes,
    address: String,
}

impl Door {
    async fn serve(self, listener: TcpListener) {
        let acceptor = TlsAcceptor::from(Arc::new(self.pki.server_config()));
        // They end with the listener, as when a process ends.
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let enrollment = Sponsor {
                pki: self.pki.clone(),
                address: self.address.clone(),
                exporter: [0; 32],
            };
            connections.spawn(connection(
                acceptor.clone(),
                stream,
                self.routes.clone(),
                enrollment,
            ));
        }
    }
}

async fn connection(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    routes: Routes,
    mut sponsor: Sponsor,
) -> Option<()> {
    let stream = acceptor.accept(stream).await.ok()?;
    let (_, tls) = stream.get_ref();
    let exporter = tls.export_keying_material([0; 32], proof::EXPORTER_LABEL, None);
    sponsor.exporter = exporter.ok()?;
    let leaf = tls.peer_certificates().and_then(|chain| chain.first());
    let identity = leaf.and_then(|leaf| identity(&Leaf::read(leaf).ok()?));
    let routes = routes.add_service(EnrollmentServer::new(sponsor));
    let service = hyper::service::service_fn(move |mut request: http::Request<_>| {
        if let Some(identity) = identity.clone() {
            request.extensions_mut().insert(identity);
        }
        let routes = routes.clone();
        routes.oneshot(request.map(tonic::body::Body::new))
    });
    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok()
}

fn identity(leaf: &Leaf) -> Option<OperatorIdentity> {
    let (CLUSTER, Subject::Operator { role, id }) = leaf.subject()? else {
        return None;
    };
    Some(OperatorIdentity {
        operator: OperatorId(id),
        name: "from the certificate".to_owned(),
        role: Role::parse(role.as_str())?,
    })
}

/// Lets everybody in who holds the token that [`Pki::token`] makes for
/// invitation 1, as operator 1.
struct Sponsor {
    pki: Arc<Pki>,
    address: String,
    exporter: proof::Exporter,
}

#[async_trait]
impl Enrollment for Sponsor {
    async fn join(
        &self,
        _request: Request<wire::JoinRequest>,
    ) -> Result<Response<wire::JoinReply>, Status> {
        Err(Status::unimplemented("operators only"))
    }

    async fn login(
        &self,
        request: Request<wire::LoginRequest>,
    ) -> Result<Response<wire::LoginReply>, Status> {
        let request = request.into_inner();
        let given = request.proof.unwrap();
        if given.token_id != "1" {
            return Err(Status::failed_precondition("the token has expired"));
        }
        let asked = proof::Request::Login {
            csr: &request.csr,
            name: &request.name,
        };
        let verifier = self.pki.token(1).secret.verifier();
        if !proof::check(&verifier, &self.exporter, asked, &given.mac) {
            return Err(Status::permission_denied("the proof is wrong"));
        }
        let credential = credential(&self.pki, &request.csr, &request.name);
        Ok(Response::new(wire::LoginReply {
            cluster_id: "07".repeat(16),
            credential: Some(credential),
            admin_addresses: vec![self.address.clone(), "127.0.0.9:9".to_owned()],
        }))
    }
}

/// Forms a cluster once.
struct Founder {
    pki: Arc<Pki>,
    address: String,
    formed: AtomicBool,
}

#[async_trait]
impl Bootstrap for Founder {
    async fn init(
        &self,
        request: Request<wire::InitRequest>,
    ) -> Result<Response<wire::InitReply>, Status> {
        let request = request.into_inner();
        let acme = request.acme.unwrap();
        assert!(acme.terms_agreed);
        assert!(acme.url.starts_with("https://") || !acme.preset.is_empty());
        if self.formed.swap(true, Ordering::Relaxed) {
            return Err(Status::failed_precondition(
                "this node has an identity already",
            ));
        }
        Ok(Response::new(wire::InitReply {
            cluster_id: "07".repeat(16),
            node_id: 1,
            credential: Some(credential(&self.pki, &request.csr, &request.admin_name)),
            admin_address: self.address.clone(),
        }))
    }
}

fn credential(pki: &Pki, csr: &[u8], name: &str) -> wire::Credential {
    let chain = pki.certify(csr, 1, OperatorRole::Admin);
    wire::Credential {
        certificate_chain: chain.into_iter().map(Bytes::from).collect(),
        root: Bytes::copy_from_slice(&pki.root()),
        name: name.to_owned(),
        role: "admin".to_owned(),
        not_after_ms: 0,
    }
}

/// Keys for requests; always of ECDSA.
struct Keys;

impl Requests for Keys {
    fn request(
        &self,
        hostname: &Hostname,
        _wildcard: bool,
        _algorithm: KeyAlgorithm,
    ) -> Result<Requested, RequestError> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![hostname.to_string()]).unwrap();
        let csr = params.serialize_request(&key).unwrap();
        Ok(Requested {
            csr: csr.der().to_vec().into(),
            key: Secret::new(key.serialize_der()),
        })
    }
}

/// Tokens that lead to this cluster.
struct Numbered(Arc<Pki>);

impl Tokens for Numbered {
    fn ownership(&self) -> state::OwnershipToken {
        state::OwnershipToken([3; 16])
    }

    fn draw(&self, _state: &State) -> Result<Drawn, TokensError> {
        let pki = self.0.clone();
        Ok(Drawn {
            verifier: pki.token(0).secret.verifier(),
            text: Box::new(move |id| pki.token(id.0).to_string()),
        })
    }
}

#[async_trait]
impl Propose for Doubles {
    async fn propose(&self, actor: Actor, change: Change) -> Result<Applied, ProposeError> {
        if self.no_quorum.load(Ordering::Relaxed) {
            return Err(ProposeError::Unknown);
        }
        self.alone.propose(actor, change).await
    }

    async fn propose_as(&self, term: Term, change: Change) -> Result<Applied, ProposeError> {
        self.alone.propose_as(term, change).await
    }

    async fn barrier(&self) -> Result<Index, ProposeError> {
        if self.no_quorum.load(Ordering::Relaxed) {
            return Err(ProposeError::Unknown);
        }
        self.alone.barrier().await
    }
}

#[async_trait]
impl Members for Doubles {
    fn configuration(&self) -> Configuration {
        let members = self.alone.state();
        Configuration {
            voters: members.members().map(|member| member.id).collect(),
            ..Configuration::default()
        }
    }

    fn lag(&self, _node: NodeId) -> Option<u64> {
        None
    }

    async fn add_learner(&self, _node: NodeId, _address: &str) -> Result<(), MembersError> {
        Err(MembersError::Refused(
            "not an operator's business".to_owned(),
        ))
    }

    async fn set_voters(&self, _voters: Vec<NodeId>) -> Result<(), MembersError> {
        Err(MembersError::Refused(
            "not an operator's business".to_owned(),
        ))
    }

    async fn remove_learner(&self, _node: NodeId) -> Result<(), MembersError> {
        Err(MembersError::Refused(
            "not an operator's business".to_owned(),
        ))
    }

    async fn transfer(&self, target: Option<NodeId>) -> Result<NodeId, MembersError> {
        Ok(target.unwrap_or(NodeId(1)))
    }
}

#[async_trait]
impl ServingSet for Doubles {
    fn reports(&self) -> Vec<NodeReport> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let published = *self.published.lock().unwrap();
        let report = |member: &Arc<state::Member>| NodeReport {
            node: member.id,
            published,
            clock_offset_ms: 0,
            version: "0.1.0".to_owned(),
            level: Some(FeatureLevel::NEWEST),
            faults: Vec::new(),
            draining: false,
            silent: Duration::ZERO,
        };
        self.alone.state().members().map(report).collect()
    }

    async fn published(&self, _index: Index, _within: Duration) -> Vec<NodeId> {
        Vec::new()
    }
}
