//! A stand to test on: the services on loopback, doubles around them whose answers
//! the test chooses, and clients that are whom they say they are.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use admin::{
    Drawn, Inputs, LocalCaller, Overview, RequestError, Requested, Requests, Services, Tokens,
    TokensError, testing::Shelf,
};
use async_trait::async_trait;
use bytes::Bytes;
use proto::admin::v1::{
    backups_client::BackupsClient, cas_client::CasClient, certificates_client::CertificatesClient,
    checks_client::ChecksClient, cluster_client::ClusterClient, hostnames_client::HostnamesClient,
    invitations_client::InvitationsClient, ledger_client::LedgerClient, stats_client::StatsClient,
    zones_client::ZonesClient,
};
use rcgen::{CertificateParams, KeyPair};
use state::{
    Actor, Change, Done, FeatureLevel, Hostname, Index, InvitationId, KeyAlgorithm, NodeId,
    OperatorId, Outcome, Role, Secret, State, Term, Timestamp,
    command::Newcomer,
    ports::{
        Applied, Bodies, BodiesError, Clock, Configuration, Leadership, Members, MembersError,
        NodeReport, OperatorIdentity, Propose, ProposeError, ServingSet,
    },
    testing::{Alone, ManualClock, MaskSeal, newcomer},
};
use tokio::{net::TcpListener, sync::watch, task::AbortHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Status,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint, Server},
};
use tonic_types::StatusExt;

use crate::checks::Eyes;

/// The founder's administrator.
pub(crate) const ADMIN: (u64, &str, Role) = (1, "founder", Role::Admin);

pub(crate) struct Stand {
    pub(crate) alone: Arc<Alone>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) doubles: Arc<Doubles>,
    pub(crate) overview: watch::Sender<Overview>,
    pub(crate) leadership: watch::Sender<Leadership>,
    pub(crate) address: SocketAddr,
    server: AbortHandle,
}

/// What the doubles answer.
pub(crate) struct Doubles {
    alone: Arc<Alone>,
    /// Some: the answer to every proposal and barrier; None: they take effect.
    pub(crate) refusal: Mutex<Option<ProposeError>>,
    /// Proposals and barriers are never answered.
    pub(crate) silent: AtomicBool,
    pub(crate) reports: Mutex<Vec<NodeReport>>,
    pub(crate) configuration: Mutex<Configuration>,
    pub(crate) transfer: Mutex<Result<NodeId, MembersError>>,
    /// The disk fails.
    pub(crate) broken_disk: AtomicBool,
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Stand {
    pub(crate) async fn start() -> Self {
        let clock = Arc::new(ManualClock::default());
        let (send, states) = watch::channel(Arc::new(State::default()));
        let alone = Arc::new(Alone::founded(clock.clone(), move |state| {
            send.send_replace(state);
        }));
        let doubles = Arc::new(Doubles {
            alone: alone.clone(),
            refusal: Mutex::new(None),
            silent: AtomicBool::new(false),
            reports: Mutex::new(vec![report(1, Some(1000), 0)]),
            configuration: Mutex::new(Configuration {
                voters: vec![NodeId(1)],
                ..Configuration::default()
            }),
            transfer: Mutex::new(Ok(NodeId(1))),
            broken_disk: AtomicBool::new(false),
        });
        let (overview, overview_seen) = watch::channel(Overview {
            node: NodeId(1),
            version: "1.2.3".to_owned(),
            ..Overview::default()
        });
        let (leadership, leadership_seen) = watch::channel(Leadership::Leading(Term(4)));
        let services = Services::new(Inputs {
            states,
            leadership: leadership_seen,
            overview: overview_seen,
            propose: doubles.clone(),
            members: doubles.clone(),
            serving: doubles.clone(),
            bodies: doubles.clone(),
            clock: clock.clone(),
            backups: Arc::new(Shelf(backup())),
            tokens: Arc::new(Numbered),
            seal: Arc::new(MaskSeal),
            checks: Arc::new(Eyes),
            requests: Arc::new(Keys),
            stats: Arc::new(crate::stats::sums()),
        })
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Server::builder()
            .max_concurrent_streams(1024)
            .layer(tower::util::MapRequestLayer::new(identified))
            .add_routes(services.into_routes())
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(serving).abort_handle();
        Self {
            alone,
            clock,
            doubles,
            overview,
            leadership,
            address,
            server,
        }
    }

    /// Somebody who came by an invitation.
    pub(crate) fn operator(&self, name: &str, role: Role) -> (u64, String, Role) {
        let invitation = self.invite(role);
        let change = Change::AdmitOperator {
            invitation,
            name: name.to_owned(),
            public_key: Bytes::copy_from_slice(name.as_bytes()),
        };
        match self
            .alone
            .apply(Actor::operator(name), None, change)
            .outcome
        {
            Outcome::Done(Done::Operator(id)) => (id.0, name.to_owned(), role),
            other => panic!("{other:?}"),
        }
    }

    /// Another machine that came by an invitation.
    pub(crate) fn member(&self, number: u8) -> NodeId {
        let invitation = self.invite(Role::Node);
        let newcomer: Newcomer = newcomer(number);
        let change = Change::AdmitNode {
            invitation,
            newcomer,
        };
        match self.alone.apply(Actor::leader(), None, change).outcome {
            Outcome::Done(Done::Node(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    fn invite(&self, role: Role) -> InvitationId {
        let change = Change::CreateInvitation {
            role,
            verifier: [0; 32],
            expires_at: self.clock.now().plus(Duration::from_secs(600)),
        };
        match self
            .alone
            .apply(Actor::operator("test"), None, change)
            .outcome
        {
            Outcome::Done(Done::Invitation(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    /// Members 1 to 3, all voting and heard a moment ago.
    pub(crate) fn three_voters(&self) {
        self.member(2);
        self.member(3);
        self.doubles.configuration.lock().unwrap().voters = [1, 2, 3].map(NodeId).to_vec();
        *self.doubles.reports.lock().unwrap() = vec![
            report(1, Some(1000), 0),
            report(2, Some(1000), 10),
            report(3, Some(2), 20),
        ];
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// The clients of the founder's administrator.
    pub(crate) async fn admin(&self) -> Clients {
        self.clients(Some((ADMIN.0, ADMIN.1.to_owned(), ADMIN.2)))
            .await
    }

    pub(crate) async fn clients(&self, who: Option<(u64, String, Role)>) -> Clients {
        let channel = self.channel().await;
        let claim = Claim(who);
        Clients {
            hostnames: HostnamesClient::with_interceptor(channel.clone(), claim.clone()),
            zones: ZonesClient::with_interceptor(channel.clone(), claim.clone()),
            cas: CasClient::with_interceptor(channel.clone(), claim.clone()),
            ledger: LedgerClient::with_interceptor(channel.clone(), claim.clone()),
            certificates: CertificatesClient::with_interceptor(channel.clone(), claim.clone()),
            checks: ChecksClient::with_interceptor(channel.clone(), claim.clone()),
            stats: StatsClient::with_interceptor(channel.clone(), claim.clone()),
            cluster: ClusterClient::with_interceptor(channel.clone(), claim.clone()),
            invitations: InvitationsClient::with_interceptor(channel.clone(), claim.clone()),
            backups: BackupsClient::with_interceptor(channel.clone(), claim.clone()),
        }
    }
}

type Claimed = InterceptedService<Channel, Claim>;

/// One caller's clients.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) hostnames: HostnamesClient<Claimed>,
    pub(crate) zones: ZonesClient<Claimed>,
    pub(crate) cas: CasClient<Claimed>,
    pub(crate) ledger: LedgerClient<Claimed>,
    pub(crate) certificates: CertificatesClient<Claimed>,
    pub(crate) checks: ChecksClient<Claimed>,
    pub(crate) stats: StatsClient<Claimed>,
    pub(crate) cluster: ClusterClient<Claimed>,
    pub(crate) invitations: InvitationsClient<Claimed>,
    pub(crate) backups: BackupsClient<Claimed>,
}

/// Says who calls, in place of a certificate.
#[derive(Clone)]
pub(crate) struct Claim(pub(crate) Option<(u64, String, Role)>);

impl Interceptor for Claim {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some((id, name, role)) = &self.0 {
            let value: MetadataValue<_> = format!("{id} {role} {name}").parse().unwrap();
            request.metadata_mut().insert("test-operator", value);
        }
        Ok(request)
    }
}

/// A call has it that comes by the machine's socket.
pub(crate) const SOCKET: &str = "test-socket";

/// The bytes of what is given for a backup: more than one piece.
pub(crate) fn backup() -> Vec<u8> {
    // A prime number of bytes is repeated, so that no two pieces are alike.
    (0..251).collect::<Vec<u8>>().repeat(48_000)
}

/// What the admin listener does after the handshake.
fn identified<B>(mut request: http::Request<B>) -> http::Request<B> {
    if request.headers().contains_key(SOCKET) {
        request.extensions_mut().insert(LocalCaller(NodeId(1)));
    }
    let claim = request.headers().get("test-operator").cloned();
    if let Some(claim) = claim {
        let text = claim.to_str().unwrap();
        let [id, role, name] = text.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            panic!("{text}");
        };
        request.extensions_mut().insert(OperatorIdentity {
            operator: OperatorId(id.parse().unwrap()),
            name: name.to_owned(),
            role: Role::parse(role).unwrap(),
        });
    }
    request
}

pub(crate) fn report(node: u64, published: Option<u64>, silent_ms: u64) -> NodeReport {
    NodeReport {
        node: NodeId(node),
        published: published.map(Index),
        clock_offset_ms: 0,
        version: "1.2.3".to_owned(),
        level: Some(FeatureLevel::NEWEST),
        faults: Vec::new(),
        draining: false,
        silent: Duration::from_millis(silent_ms),
    }
}

/// An error in a few words: code, reason and the field or subject at fault.
pub(crate) fn told<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    let status = answer.expect_err("this should have been refused");
    let details = status.get_error_details();
    let info = details.error_info().expect("every error has its reason");
    assert_eq!(info.domain, "hostquorum");
    assert!(!status.message().is_empty());
    let mut told = format!("{:?} {}", status.code(), info.reason);
    if let Some(bad) = details.bad_request() {
        for violation in &bad.field_violations {
            assert!(!violation.description.is_empty());
            told.push_str(&format!(" field={}", violation.field));
        }
    }
    if let Some(failed) = details.precondition_failure() {
        for violation in &failed.violations {
            assert_eq!(violation.r#type, info.reason);
            told.push_str(&format!(" subject={}", violation.subject));
        }
    }
    if details.retry_info().is_some() {
        told.push_str(" retry");
    }
    told
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
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![hostname.to_string()]).unwrap();
        Ok(Requested {
            csr: params
                .serialize_request(&key)
                .unwrap()
                .der()
                .to_vec()
                .into(),
            key: Secret::new(key.serialize_der()),
        })
    }
}

/// Tokens whose text tells their invitation.
struct Numbered;

impl Tokens for Numbered {
    fn ownership(&self) -> state::OwnershipToken {
        state::OwnershipToken([3; 16])
    }

    fn draw(&self, _state: &State) -> Result<Drawn, TokensError> {
        Ok(Drawn {
            verifier: [9; 32],
            text: Box::new(|id| format!("hq1.secret.{id}")),
        })
    }
}

impl Doubles {
    async fn gate(&self) -> Result<(), ProposeError> {
        if self.silent.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.refusal.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Propose for Doubles {
    async fn propose(&self, actor: Actor, change: Change) -> Result<Applied, ProposeError> {
        self.gate().await?;
        self.alone.propose(actor, change).await
    }

    async fn propose_as(&self, term: Term, change: Change) -> Result<Applied, ProposeError> {
        self.alone.propose_as(term, change).await
    }

    async fn barrier(&self) -> Result<Index, ProposeError> {
        self.gate().await?;
        self.alone.barrier().await
    }
}

#[async_trait]
impl Members for Doubles {
    fn configuration(&self) -> Configuration {
        self.configuration.lock().unwrap().clone()
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
        if self.silent.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let answer = self.transfer.lock().unwrap().clone();
        answer.map(|leader| target.unwrap_or(leader))
    }
}

#[async_trait]
impl ServingSet for Doubles {
    fn reports(&self) -> Vec<NodeReport> {
        self.reports.lock().unwrap().clone()
    }

    async fn published(&self, index: Index, _within: Duration) -> Vec<NodeId> {
        self.reports()
            .into_iter()
            .filter(|report| report.published < Some(index))
            .map(|report| report.node)
            .collect()
    }
}

impl Bodies for Doubles {
    fn read(&self, key: &[u8]) -> Result<Option<Bytes>, BodiesError> {
        if self.broken_disk.load(Ordering::Relaxed) {
            return Err(BodiesError::Store("input/output error".to_owned()));
        }
        self.alone.read(key)
    }
}

/// Milliseconds since the Unix epoch of a moment on the wire.
pub(crate) fn millis(at: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    at.map(|at| {
        let seconds = u64::try_from(at.seconds).unwrap();
        Timestamp(seconds * 1000 + u64::try_from(at.nanos).unwrap() / 1_000_000)
    })
}
