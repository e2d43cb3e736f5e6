//! A cluster of one replica, a CA, and leaders that come and go. Time is tokio's, which
//! the tests hold still: it moves when everybody waits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use leader::{
    Config, Leader, Ports, Running,
    issuance::{
        authority::{Authorities, ChallengeKind},
        pace::Jitter,
        request::{FreshKeys, Requests, Wanted},
    },
};
use state::{
    AccountKey, Actor, CaName, CaSettings, Change, DnsZone, Done, KeyPurpose, NodeId, OrderId,
    Outcome, State, Term, Timestamp, Wants, ZoneSettings, challenge,
    command::{Admit, Authorize},
    ports::{Clock, Identities, Leadership, Lease, Members, Seal},
    sealed::SealContext,
    testing::{Alone, MaskSeal, START, ca_name, host},
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};

use crate::{
    ca::{Answers, Ca, Effect, Probe},
    doubles::{Cas, Log, OneMember, OneReport, Steady},
    looks::Book,
};

/// Tokio's clock as the machine's.
#[derive(Debug)]
pub(crate) struct WorldClock {
    base: Timestamp,
    since: Instant,
}

impl WorldClock {
    pub(crate) fn at(base: Timestamp) -> Self {
        Self {
            base,
            since: Instant::now(),
        }
    }
}

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        self.base.plus(self.since.elapsed())
    }

    fn boottime(&self) -> Duration {
        Duration::from_secs(1_000) + self.since.elapsed()
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alone: Arc<Alone>,
    pub(crate) ca: Arc<Ca>,
    /// Another CA; the cluster does not know it at first.
    pub(crate) second: Arc<Ca>,
    pub(crate) states: watch::Sender<Arc<State>>,
    pub(crate) term: Arc<AtomicU64>,
    pub(crate) members: Arc<dyn Members>,
    pub(crate) identities: Arc<dyn Identities>,
    /// What the world knows of names.
    pub(crate) book: Arc<Book>,
    doubted: Arc<AtomicBool>,
    silent: Arc<AtomicBool>,
}

/// What is to become of a leader.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Lives,
    /// Dies when it reaches the nth point: before or after a commit or a request.
    Dies(usize),
    /// The same, and a request that it had just begun still arrives after so long.
    DiesSending(usize, Duration),
    /// Dies right before it sends such a request.
    DiesBefore(Effect),
    /// Learns of its commits so much later.
    Slow(Duration),
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Reached,
    Died,
}

/// The end of one process.
pub(crate) struct Doom {
    fate: Fate,
    points: AtomicUsize,
    dead: AtomicBool,
    died: Notify,
}

impl Doom {
    fn new(fate: Fate) -> Self {
        Self {
            fate,
            points: AtomicUsize::new(0),
            dead: AtomicBool::new(false),
            died: Notify::new(),
        }
    }

    /// A point at which the process may die. `deathbed` is done if it dies just here.
    pub(crate) async fn point(&self, deathbed: impl FnOnce(Duration)) {
        let number = self.points.fetch_add(1, SeqCst);
        match self.fate {
            Fate::Dies(at) if at == number => self.dead.store(true, SeqCst),
            Fate::DiesSending(at, late) if at == number => {
                self.dead.store(true, SeqCst);
                deathbed(late);
            }
            _ => {}
        }
        if self.dead.load(SeqCst) {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// A point at which a request is about to be sent.
    pub(crate) async fn before(&self, effect: Effect, deathbed: impl FnOnce(Duration)) {
        if matches!(self.fate, Fate::DiesBefore(last) if last == effect) {
            self.dead.store(true, SeqCst);
        }
        self.point(deathbed).await;
    }

    pub(crate) fn delay(&self) -> Duration {
        match self.fate {
            Fate::Slow(by) => by,
            _ => Duration::ZERO,
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(SeqCst)
    }
}

/// A leader of one term.
pub(crate) struct Process {
    pub(crate) running: Running,
    pub(crate) term: Term,
    doom: Arc<Doom>,
    leadership: watch::Sender<Leadership>,
    states: watch::Receiver<Arc<State>>,
}

struct NoJitter;

impl Jitter for NoJitter {
    fn draw(&self) -> u16 {
        u16::MAX / 2
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::at(START)
    }

    pub(crate) fn at(base: Timestamp) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(WorldClock::at(base));
        let states = watch::Sender::new(Arc::new(State::default()));
        let publish = states.clone();
        let alone = Alone::founded(clock.clone(), move |state| {
            publish.send_if_modified(|shown| {
                let newer = state.index() > shown.index();
                if newer {
                    *shown = state;
                }
                newer
            });
        });
        let shown = states.subscribe();
        let answers: Arc<Answers> = Arc::new(move |probe| is_answered(&shown.borrow(), probe));
        let ca = |host| Arc::new(Ca::new(clock.clone(), host, answers.clone()));
        Self {
            ca: ca("ca.example"),
            second: ca("second.example"),
            clock,
            alone: Arc::new(alone),
            states,
            term: Arc::new(AtomicU64::new(0)),
            members: Arc::new(OneMember),
            identities: Arc::new(OneMember),
            book: Arc::default(),
            doubted: Arc::new(AtomicBool::new(false)),
            silent: Arc::new(AtomicBool::new(false)),
        }
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.states.borrow().clone()
    }

    /// Whether the other members' clocks differ from the leader's.
    pub(crate) fn doubt(&self, doubted: bool) {
        self.doubted.store(doubted, SeqCst);
    }

    /// Whether a member reports nothing.
    pub(crate) fn silence(&self, silent: bool) {
        self.silent.store(silent, SeqCst);
    }

    /// Gives the cluster a DNS zone, so that dns-01 can be answered.
    pub(crate) fn with_zone(self) -> Self {
        let settings = ZoneSettings {
            dns: Some(DnsZone {
                name: host("acme.edge.example"),
                nameservers: Vec::new(),
            }),
            ..ZoneSettings::default()
        };
        self.decide(Change::SetZone {
            settings: Box::new(settings),
            revision: None,
        });
        self
    }

    /// What an operator decides.
    #[track_caller]
    pub(crate) fn decide(&self, change: Change) {
        let applied = self.alone.apply(Actor::operator("ann"), None, change);
        let done = applied.outcome.into_result();
        assert!(done.is_ok(), "{done:?}");
    }

    /// Authorizes a hostname that is to have this.
    pub(crate) fn authorize(&self, name: &str, wants: Wants) {
        let Change::AuthorizeHostname(authorize) = state::testing::authorize(name) else {
            panic!("another change");
        };
        self.decide(Change::AuthorizeHostname(Box::new(Authorize {
            wants,
            ..*authorize
        })));
    }

    /// An order as a leader left it that died right after its admission: registered at the
    /// first CA, and with a key and a request that fit. The next leader takes it up.
    #[track_caller]
    pub(crate) fn admit_as_left(&self, name: &str, edit: impl FnOnce(&mut Admit)) -> OrderId {
        let term = Term(self.term.fetch_add(1, SeqCst) + 1);
        let hostname = host(name);
        self.alone.duty(term, Change::TakeOver { node: NodeId(1) });
        if self.state().ca(ca_name().as_str()).unwrap().key().is_none() {
            self.register(term, ca_name(), self.ca.account_url());
        }
        let state = self.state();
        let record = state.hostname(name).unwrap();
        let mut admit = Admit {
            claim: record.claim,
            ..state::testing::admit(name)
        };
        edit(&mut admit);
        let wanted = Wanted {
            hostname: &hostname,
            wildcard: record.is_wildcard(),
            algorithm: admit.algorithm,
        };
        let made = FreshKeys.request(&wanted).unwrap();
        let context = SealContext::CertificateKey(hostname.clone());
        let key = MaskSeal.seal(KeyPurpose::Serving, &context, made.key.expose());
        (admit.key, admit.csr) = (key.unwrap(), made.csr);
        let applied = self.alone.duty(term, Change::AdmitOrder(Box::new(admit)));
        match applied.outcome {
            Outcome::Done(Done::Order(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    /// Our account at a CA, as a leader of that term registered it.
    pub(crate) fn register(&self, term: Term, ca: CaName, url: String) {
        let made = FreshKeys.account_key().unwrap();
        let context = SealContext::AccountKey(ca.clone());
        let sealed = MaskSeal.seal(KeyPurpose::Control, &context, made.key.expose());
        let key = AccountKey {
            sealed: sealed.unwrap(),
            thumbprint: made.thumbprint,
        };
        let committed = Change::CommitAccountKey {
            ca: ca.clone(),
            key,
        };
        self.alone.duty(term, committed);
        self.alone.duty(term, Change::RegisterAccount { ca, url });
    }

    /// Makes the second CA known, and our account there.
    pub(crate) fn add_second(&self) {
        let name: CaName = "second".parse().unwrap();
        let settings = CaSettings {
            directory: "https://second.example/directory".to_owned(),
            terms_agreed: true,
            rank: 9,
            ..CaSettings::default()
        };
        self.decide(Change::PutCa {
            name: name.clone(),
            settings: Box::new(settings),
            revision: None,
        });
        let term = Term(self.term.fetch_add(1, SeqCst) + 1);
        self.alone.duty(term, Change::TakeOver { node: NodeId(1) });
        self.register(term, name, self.second.account_url());
    }

    /// Changes what is decided about the first CA.
    pub(crate) fn set_ca(&self, edit: impl FnOnce(&mut CaSettings)) {
        let mut settings = self.state().cas().next().unwrap().settings.clone();
        edit(&mut settings);
        self.decide(Change::PutCa {
            name: ca_name(),
            settings: Box::new(settings),
            revision: None,
        });
    }

    /// A new leader in the next term; the lease of whoever led before is gone.
    pub(crate) fn lead(&self, fate: Fate) -> Process {
        self.lead_with(fate, |_| {})
    }

    pub(crate) fn lead_with(&self, fate: Fate, edit: impl FnOnce(&mut Config)) -> Process {
        self.lead_under(fate, Arc::new(Steady(self.term.clone())), edit)
    }

    pub(crate) fn lead_under(
        &self,
        fate: Fate,
        lease: Arc<dyn Lease>,
        edit: impl FnOnce(&mut Config),
    ) -> Process {
        let (term, doom) = self.next(fate);
        let cas = Cas {
            cas: vec![self.ca.clone(), self.second.clone()],
            doom: doom.clone(),
            lease: lease.clone(),
            clock: self.clock.clone(),
            term,
        };
        self.start(term, doom, lease, Arc::new(cas), edit)
    }

    /// A new leader that speaks to other CAs than the one in memory.
    pub(crate) fn lead_at(&self, authorities: Arc<dyn Authorities>) -> Process {
        let (term, doom) = self.next(Fate::Lives);
        let lease = Arc::new(Steady(self.term.clone()));
        self.start(term, doom, lease, authorities, |_| {})
    }

    /// A new leader that speaks to other CAs, on a road that ends with it.
    pub(crate) fn lead_on_road(
        &self,
        fate: Fate,
        road: impl FnOnce(Arc<Doom>) -> Arc<dyn Authorities>,
    ) -> Process {
        let (term, doom) = self.next(fate);
        let lease = Arc::new(Steady(self.term.clone()));
        let road = road(doom.clone());
        self.start(term, doom, lease, road, |_| {})
    }

    /// The same, with a fate and a lease.
    pub(crate) fn lead_to(
        &self,
        authorities: Arc<dyn Authorities>,
        fate: Fate,
        lease: Arc<dyn Lease>,
    ) -> Process {
        let (term, doom) = self.next(fate);
        self.start(term, doom, lease, authorities, |_| {})
    }

    fn next(&self, fate: Fate) -> (Term, Arc<Doom>) {
        let term = Term(self.term.fetch_add(1, SeqCst) + 1);
        (term, Arc::new(Doom::new(fate)))
    }

    fn start(
        &self,
        term: Term,
        doom: Arc<Doom>,
        lease: Arc<dyn Lease>,
        authorities: Arc<dyn Authorities>,
        edit: impl FnOnce(&mut Config),
    ) -> Process {
        let (leadership, leads) = watch::channel(Leadership::Leading(term));
        let ports = Ports {
            states: self.states.subscribe(),
            leadership: leads,
            propose: Arc::new(Log::new(self.alone.clone(), doom.clone())),
            lease,
            members: self.members.clone(),
            serving: Arc::new(OneReport {
                doubted: self.doubted.clone(),
                silent: self.silent.clone(),
            }),
            bodies: self.alone.clone(),
            seal: self.alone.clone(),
            identities: self.identities.clone(),
            clock: self.clock.clone(),
            authorities,
            surveyor: self.book.surveyor(),
            requests: Arc::new(FreshKeys),
            jitter: Arc::new(NoJitter),
        };
        let mut config = Config::new(NodeId(1));
        edit(&mut config);
        Process {
            running: Leader::start(config, ports),
            term,
            doom,
            leadership,
            states: self.states.subscribe(),
        }
    }

    /// What must hold when all is over: one certificate at the CA, and it is served.
    #[track_caller]
    pub(crate) fn check_one_certificate(&self, hostname: &str, what: &str) {
        assert_eq!(self.ca.certificates(), 1, "{what}: certificates of the CA");
        let state = self.state();
        let record = state.hostname(hostname).unwrap();
        assert!(record.certificate.is_some(), "{what}: it is served");
        assert!(record.failure.is_none(), "{what}: {:?}", record.failure);
        assert_eq!(state.order_count(), 0, "{what}: orders in flight");
        assert_eq!(self.ca.books().accounts.min(1), 1, "{what}: an account");
    }
}

/// Whether the edges can show the answer of a challenge, as the state has it.
fn is_answered(state: &State, probe: &Probe<'_>) -> bool {
    let prints = state.cas().filter_map(|ca| ca.thumbprint());
    let authorizations: Vec<String> = prints
        .map(|print| challenge::key_authorization(probe.token, print))
        .collect();
    let mut authorizations = authorizations.iter();
    match probe.kind {
        ChallengeKind::Http01 => {
            let shown = state.challenge(probe.token);
            let shown = shown.filter(|shown| shown.hostname.as_str() == probe.hostname);
            let shown = shown.map(|shown| shown.key_authorization.to_string());
            authorizations.any(|it| shown.as_ref() == Some(it))
        }
        ChallengeKind::TlsAlpn01 => {
            let shown = state.alpn_challenge(probe.hostname);
            authorizations.any(|it| shown == Some(challenge::alpn_digest(it)))
        }
        ChallengeKind::Dns01 => {
            let delegation = state.delegation(probe.hostname).unwrap_or_default();
            let label = delegation.split('.').next().unwrap_or_default();
            let shown = state.dns_challenges(label);
            authorizations.any(|it| shown.contains(&challenge::dns_value(it)))
        }
        _ => false,
    }
}

impl Process {
    /// Waits until the state is as wished, or until this process dies.
    pub(crate) async fn until(&mut self, wish: impl Fn(&State) -> bool) -> Ended {
        let doom = self.doom.clone();
        let wait = async {
            tokio::select! {
                () = doom.died.notified() => Ended::Died,
                reached = self.states.wait_for(|state| wish(state)) => {
                    reached.unwrap();
                    Ended::Reached
                }
            }
        };
        let limit = Duration::from_secs(30 * 86_400);
        timeout(limit, wait).await.expect("it never came to pass")
    }

    /// Somebody else leads.
    pub(crate) fn depose(&self) {
        self.leadership.send_replace(Leadership::Following {
            term: Term(self.term.0 + 1),
            leader: None,
        });
    }

    /// Lets it live on for a while, and tells whether it died.
    pub(crate) async fn linger(&self, time: Duration) -> Ended {
        sleep(time).await;
        if self.doom.is_dead() {
            Ended::Died
        } else {
            Ended::Reached
        }
    }
}

/// The hostname has a certificate.
pub(crate) fn served(hostname: &'static str) -> impl Fn(&State) -> bool {
    move |state| {
        let record = state.hostname(hostname);
        record.is_some_and(|record| record.certificate.is_some() && record.order.is_none())
    }
}

/// The hostname's last order failed.
pub(crate) fn failed(hostname: &'static str) -> impl Fn(&State) -> bool {
    move |state| {
        let record = state.hostname(hostname);
        record.is_some_and(|record| record.failure.is_some() && record.order.is_none())
    }
}
