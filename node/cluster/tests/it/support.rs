//! A cluster for tests: one shared state, a leader that signs, real listeners.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::cloud::Cloud;
use async_trait::async_trait;
use cluster::{
    AdminPort, Certifier, Entropy, Formation, Identity, IdentityStore, KeySource, Keyring, Links,
    Newcomer, NodeCredential, NodeFacts, Roster, Serving, ServingService, Sponsor, SystemEntropy,
    door::incoming,
    join::{JoinError, Right, ThisMachine},
    meeting::Claim,
    serving::{Health, Own, challenge::Challenges},
    wire::Tcp,
};
use enroll::{PrivateKey, RootPin, Secret, Token};
use proto::{cluster::v1 as wire, peer::v1::serving_server::ServingServer};
use state::{
    Actor, Batch, Change, ClusterId, Command, Done, FeatureLevel, Index, InvitationId, KeyPurpose,
    NodeId, Outcome, Role, State, Term, Timestamp,
    ports::{Applied, Clock, Identities, Leadership, Propose, ProposeError},
    testing::ManualClock,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};
use tonic::transport::Server;

/// Longest wait for anything in a test.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// One replica that agrees with itself at once.
pub(crate) struct Replica {
    clock: Arc<ManualClock>,
    state: watch::Sender<Arc<State>>,
    apply: Mutex<()>,
}

impl Replica {
    pub(crate) fn new(clock: Arc<ManualClock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            state: watch::Sender::default(),
            apply: Mutex::default(),
        })
    }

    pub(crate) fn apply(&self, actor: Actor, duty: Option<Term>, change: Change) -> Applied {
        let _one_at_a_time = self.apply.lock().unwrap();
        let mut state = (**self.state.borrow()).clone();
        let index = Index(state.index().0 + 1);
        let command = Command {
            at: self.clock.now(),
            actor,
            duty,
            change,
        };
        let batch = Batch {
            commands: vec![command],
        };
        let (mut outcomes, _) = state.apply(index, &batch);
        self.state.send_replace(Arc::new(state));
        let outcome = outcomes.pop().unwrap();
        Applied { index, outcome }
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.state.borrow().clone()
    }

    pub(crate) fn states(&self) -> watch::Receiver<Arc<State>> {
        self.state.subscribe()
    }
}

#[async_trait]
impl Propose for Replica {
    async fn propose(&self, actor: Actor, change: Change) -> Result<Applied, ProposeError> {
        Ok(self.apply(actor, None, change))
    }

    async fn propose_as(&self, term: Term, change: Change) -> Result<Applied, ProposeError> {
        Ok(self.apply(Actor::leader(), Some(term), change))
    }

    async fn barrier(&self) -> Result<Index, ProposeError> {
        Ok(self.state().index())
    }
}

/// What the leader's duties do with identities, in the smallest form.
pub(crate) fn lead(replica: Arc<Replica>, certifier: Certifier) -> JoinHandle<()> {
    let term = Term(1);
    replica.apply(
        Actor::leader(),
        Some(term),
        Change::TakeOver { node: NodeId(1) },
    );
    tokio::spawn(async move {
        let mut states = replica.states();
        loop {
            let state = states.borrow_and_update().clone();
            for change in due(&state, &certifier, replica.clock.now()) {
                replica.apply(Actor::leader(), Some(term), change);
            }
            if states.changed().await.is_err() {
                return;
            }
        }
    })
}

fn due(state: &State, certifier: &Certifier, now: Timestamp) -> Vec<Change> {
    let mut changes = Vec::new();
    if state
        .authority()
        .is_some_and(|authority| authority.issuing_renew_at <= now)
    {
        changes.push(certifier.renew_issuing(state, now).unwrap());
        return changes;
    }
    for member in state.members() {
        let certificate = member.certificate.as_ref();
        let renew_at = certificate.and_then(|certificate| certificate.renew_at);
        if renew_at.is_none_or(|at| at <= now) {
            changes.push(certifier.certify_node(state, member, now).unwrap());
        }
        for key in state.data_keys() {
            let has = key.sealed_for.contains_key(&member.id);
            if key.purpose == KeyPurpose::Serving && !has {
                let share = certifier.share_data_key(member, key.purpose, key.generation);
                changes.push(share.unwrap());
            }
        }
    }
    for operator in state
        .operators()
        .filter(|operator| operator.certificate.is_none())
    {
        changes.push(certifier.certify_operator(state, operator, now).unwrap());
    }
    changes
}

/// The system's generator, remembering what it gave.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<Vec<Vec<u8>>>);

impl Remembered {
    pub(crate) fn drawn(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().clone()
    }
}

impl Entropy for Remembered {
    fn fill(&self, bytes: &mut [u8]) {
        SystemEntropy.fill(bytes);
        self.0.lock().unwrap().push(bytes.to_vec());
    }
}

/// A cluster with its founder.
pub(crate) struct Cluster {
    pub(crate) founding_entropy: Remembered,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) replica: Arc<Replica>,
    pub(crate) founder: Machine,
    pub(crate) founder_identity: Identity,
    pub(crate) certifier: Certifier,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) admin_key: PrivateKey,
    pub(crate) admin_address: String,
    pub(crate) leader: JoinHandle<()>,
    pub(crate) cloud: Cloud,
}

/// A machine's listeners and directories, before it is anybody.
pub(crate) struct Machine {
    pub(crate) facts: NodeFacts,
    pub(crate) store: Arc<IdentityStore>,
    pub(crate) root: tempfile::TempDir,
    peers: Mutex<Option<TcpListener>>,
    admins: Mutex<Option<TcpListener>>,
}

impl Machine {
    pub(crate) async fn new(name: &str) -> Self {
        let peers = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admins = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = tempfile::tempdir().unwrap();
        let source = KeySource::File(root.path().join("node.key"));
        let data = root.path().join("data");
        let store = IdentityStore::open(&data, &source, Arc::new(SystemEntropy)).unwrap();
        Self {
            facts: NodeFacts {
                name: name.to_owned(),
                peer_address: peers.local_addr().unwrap().to_string(),
                admin_address: admins.local_addr().unwrap().to_string(),
            },
            store: Arc::new(store),
            root,
            peers: Mutex::new(Some(peers)),
            admins: Mutex::new(Some(admins)),
        }
    }

    /// Opens the store again, as a restart does.
    pub(crate) fn reopened(&self) -> IdentityStore {
        let source = KeySource::File(self.root.path().join("node.key"));
        let data = self.root.path().join("data");
        IdentityStore::open(&data, &source, Arc::new(SystemEntropy)).unwrap()
    }
}

/// A member at work.
pub(crate) struct Node {
    pub(crate) links: Arc<Links>,
    pub(crate) credential: Arc<NodeCredential>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) serving: Arc<Serving>,
    pub(crate) challenges: Arc<Challenges>,
    pub(crate) published: watch::Sender<Index>,
    pub(crate) health: watch::Sender<Health>,
    tasks: Vec<JoinHandle<()>>,
}

impl Node {
    /// Its links and its serving service; `machine` gives the listener.
    pub(crate) fn start(
        identity: &Identity,
        machine: &Machine,
        replica: &Arc<Replica>,
        states: watch::Receiver<Arc<State>>,
    ) -> Self {
        let clock: Arc<dyn Clock> = replica.clock.clone();
        let roster = Arc::new(Roster::new(identity));
        roster.follow(states);
        let credential = Arc::new(NodeCredential::new(identity).unwrap());
        let links = Links::new(
            roster.clone(),
            credential.clone(),
            Box::new(Tcp),
            clock.clone(),
        );
        let links = Arc::new(links.unwrap());
        let published = watch::Sender::new(Index(0));
        let health = watch::Sender::new(Health::default());
        let own = Own {
            published: published.subscribe(),
            health: health.subscribe(),
            version: "test".to_owned(),
            level: FeatureLevel::NEWEST,
        };
        let serving = Arc::new(Serving::new(
            roster.clone(),
            own,
            clock,
            Arc::new(SystemEntropy),
        ));
        let leadership = leadership(identity.public.node);
        let challenges = Arc::new(Challenges::new(
            serving.clone(),
            links.clone(),
            replica.clone(),
            leadership,
        ));
        let service = ServingService::new(serving.clone(), challenges.clone());
        let listener = machine
            .peers
            .lock()
            .unwrap()
            .take()
            .expect("a machine starts once");
        let connections = incoming(Box::new(listener), links.clone(), 64);
        let server = Server::builder()
            .add_service(ServingServer::new(service))
            .serve_with_incoming(connections);
        let enforcer = links.clone();
        let tasks = vec![
            tokio::spawn(async move { server.await.unwrap() }),
            tokio::spawn(async move { enforcer.enforce_removals().await }),
            tokio::spawn(serving.clone().tell_members(links.clone())),
            tokio::spawn(serving.clone().keep_tickets(links.clone())),
        ];
        Self {
            links,
            credential,
            roster,
            serving,
            challenges,
            published,
            health,
            tasks,
        }
    }

    /// Stops answering and telling.
    pub(crate) fn stop(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.links.close();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Node 1 leads, always.
fn leadership(me: NodeId) -> watch::Receiver<Leadership> {
    let leads = if me == NodeId(1) {
        Leadership::Leading(Term(1))
    } else {
        Leadership::Following {
            term: Term(1),
            leader: Some(NodeId(1)),
        }
    };
    let (sender, receiver) = watch::channel(leads);
    std::mem::forget(sender);
    receiver
}

pub(crate) fn init_request(admin_key: &PrivateKey) -> wire::InitRequest {
    wire::InitRequest {
        acme: Some(wire::AcmeDirectory {
            url: "https://ca.example/directory".to_owned(),
            trust_roots_pem: String::new(),
            contacts: vec!["mailto:ops@saas.example".to_owned()],
            terms_agreed: true,
            ..Default::default()
        }),
        admin_name: "founder".to_owned(),
        csr: admin_key.request().unwrap().into(),
        ..Default::default()
    }
}

impl Cluster {
    /// Formed, with its admin port open.
    pub(crate) async fn form() -> Self {
        let clock = Arc::new(ManualClock::default());
        let replica = Replica::new(clock.clone());
        let founder = Machine::new("founder").await;
        let admin_key = PrivateKey::generate().unwrap();
        let request = init_request(&admin_key);
        let founding_entropy = Remembered::default();
        let formation =
            Formation::new(&request, &founder.facts, clock.now(), &founding_entropy).unwrap();
        founder
            .store
            .save_founding(&formation.identity, &formation.change())
            .unwrap();
        let founded = replica.apply(Actor::socket(), None, formation.change());
        assert_eq!(founded.outcome, Outcome::Done(Done::Node(NodeId(1))));
        let keyring = Arc::new(Keyring::new(&formation.identity, Arc::new(SystemEntropy)));
        keyring.follow(replica.states());
        let certifier = Certifier::new(keyring.clone(), Arc::new(SystemEntropy));
        let leader = lead(replica.clone(), certifier.clone());
        let admin_address = founder.facts.admin_address.clone();
        let cluster = Self {
            founding_entropy,
            clock,
            replica,
            founder,
            founder_identity: formation.identity,
            certifier,
            keyring,
            admin_key,
            admin_address,
            leader,
            cloud: Cloud::default(),
        };
        cluster.open_admin_port();
        cluster
    }

    fn open_admin_port(&self) {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let port = AdminPort::new(
            self.roster(),
            Arc::new(NodeCredential::new(&self.founder_identity).unwrap()),
            clock.clone(),
        );
        let sponsor = Sponsor::new(self.replica.clone(), self.replica.states(), clock);
        let sponsor = sponsor.vouching(Some(Arc::new(self.cloud.clone())));
        let listener = self.founder.admins.lock().unwrap().take().unwrap();
        let connections = incoming(Box::new(listener), Arc::new(port.unwrap()), 64);
        let service = wire::enrollment_server::EnrollmentServer::new(sponsor);
        let server = Server::builder()
            .add_service(service)
            .serve_with_incoming(connections);
        tokio::spawn(async move { server.await.unwrap() });
    }

    pub(crate) fn roster(&self) -> Arc<Roster> {
        let roster = Roster::new(&self.founder_identity);
        roster.follow(self.replica.states());
        Arc::new(roster)
    }

    pub(crate) fn start_founder(&self) -> Node {
        let states = self.replica.states();
        Node::start(&self.founder_identity, &self.founder, &self.replica, states)
    }

    pub(crate) fn id(&self) -> ClusterId {
        self.founder_identity.public.cluster
    }

    /// A token for `role`, valid for 15 minutes.
    pub(crate) fn invite(&self, role: Role) -> Token {
        let secret = Secret::generate().unwrap();
        let change = Change::CreateInvitation {
            role,
            verifier: secret.verifier(),
            expires_at: self.clock.now().plus(Duration::from_secs(900)),
        };
        let applied = self.replica.apply(Actor::operator("test"), None, change);
        let Outcome::Done(Done::Invitation(InvitationId(invitation))) = applied.outcome else {
            panic!("{applied:?}");
        };
        Token {
            cluster: self.id().0[..4].try_into().unwrap(),
            root: self.root_pin(),
            invitation,
            secret,
        }
    }

    fn root_pin(&self) -> RootPin {
        let root = self.founder_identity.public.root();
        let root = enroll::Leaf::read(&root).unwrap();
        RootPin::of_public_key(&root.public_key)
    }

    pub(crate) async fn join_with(
        &self,
        machine: &Machine,
        token: &Token,
    ) -> Result<Identity, JoinError> {
        self.join_at(machine, token, &self.admin_address).await
    }

    pub(crate) async fn join_at(
        &self,
        machine: &Machine,
        token: &Token,
        address: &str,
    ) -> Result<Identity, JoinError> {
        self.join_by(machine, Right::Token(token), address).await
    }

    /// By what the cloud says of it.
    pub(crate) async fn join_vouched(&self, machine: &Machine) -> Result<Identity, JoinError> {
        self.join_proven(machine, &self.cloud).await
    }

    pub(crate) async fn join_proven(
        &self,
        machine: &Machine,
        proves: &dyn ThisMachine,
    ) -> Result<Identity, JoinError> {
        let claim = Claim {
            founder: "founder".to_owned(),
            cluster: self.id(),
            root: self.root_pin(),
        };
        let right = Right::Machine {
            claim: &claim,
            machine: proves,
        };
        self.join_by(machine, right, &self.admin_address).await
    }

    async fn join_by(
        &self,
        machine: &Machine,
        right: Right<'_>,
        address: &str,
    ) -> Result<Identity, JoinError> {
        let newcomer = Newcomer {
            store: &machine.store,
            connect: &Tcp,
            clock: self.clock.clone(),
            right,
            address,
            facts: &machine.facts,
            version: "test",
        };
        newcomer.join(Duration::ZERO).await
    }

    /// A new member that is at work.
    pub(crate) async fn add(&self, name: &str) -> (Machine, Identity, Node) {
        let machine = Machine::new(name).await;
        let identity = self
            .join_with(&machine, &self.invite(Role::Node))
            .await
            .unwrap();
        let node = Node::start(&identity, &machine, &self.replica, self.replica.states());
        (machine, identity, node)
    }

    pub(crate) fn remove(&self, node: NodeId) {
        let asked = self
            .replica
            .apply(Actor::operator("test"), None, Change::RemoveNode { node });
        assert_eq!(asked.outcome, Outcome::DONE);
        let done = self.replica.apply(
            Actor::leader(),
            Some(Term(1)),
            Change::FinishRemoval { node },
        );
        assert_eq!(done.outcome, Outcome::DONE);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.leader.abort();
    }
}

/// Waits until `holds` is true of the state.
pub(crate) async fn until(replica: &Replica, holds: impl Fn(&State) -> bool) -> Arc<State> {
    let mut states = replica.states();
    let found = timeout(SOON, states.wait_for(|state| holds(state))).await;
    found.expect("it happens soon").unwrap().clone()
}

/// Polls `look` until it gives something.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let polling = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, polling)
        .await
        .unwrap_or_else(|_| panic!("not soon: {what}"))
}

/// The words of an error and of all that caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// A listener nobody knows yet.
pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}
