//! What stands for the neighbours of a leader.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use leader::{
    fence::{Fence, Permit},
    issuance::authority::{
        Access, Authorities, Authority, AuthorityError, AuthorizationView, ChainView,
        DirectoryView, Feature, FinalizeRequest, OrderRequest, OrderView, Registration,
        RenewalInfo, RevocationReason,
    },
};
use state::{
    Actor, Change, FeatureLevel, Index, KeyPurpose, Member, NodeId, Operator, Secret, State, Term,
    Timestamp,
    ports::{
        Applied, Clock, Configuration, Identities, IdentitiesError, Lease, Members, MembersError,
        NodeReport, Propose, ProposeError, ServingSet,
    },
    testing::Alone,
};
use tokio::time::sleep;

use crate::{
    ca::{Ca, Effect, Script},
    world::Doom,
};

/// Held by the leader of the latest term.
pub(crate) struct Steady(pub(crate) Arc<AtomicU64>);

impl Lease for Steady {
    fn holds(&self, term: Term) -> bool {
        self.0.load(SeqCst) == term.0
    }
}

/// A lease that never notices anything.
pub(crate) struct Blind;

impl Lease for Blind {
    fn holds(&self, _: Term) -> bool {
        true
    }
}

/// The log, until its process dies.
pub(crate) struct Log {
    alone: Arc<Alone>,
    doom: Arc<Doom>,
}

impl Log {
    pub(crate) fn new(alone: Arc<Alone>, doom: Arc<Doom>) -> Self {
        Self { alone, doom }
    }
}

#[async_trait]
impl Propose for Log {
    async fn propose(&self, _: Actor, _: Change) -> Result<Applied, ProposeError> {
        panic!("the leader proposes under its term only")
    }

    async fn propose_as(&self, term: Term, change: Change) -> Result<Applied, ProposeError> {
        self.doom.point(|_| {}).await;
        let late = matches!(change, Change::IntendFinalize { .. });
        let applied = self.alone.duty(term, change);
        if late {
            sleep(self.doom.delay()).await;
        }
        self.doom.point(|_| {}).await;
        Ok(applied)
    }

    async fn barrier(&self) -> Result<Index, ProposeError> {
        Ok(self.alone.state().index())
    }
}

/// Node 1 and nobody else.
pub(crate) struct OneMember;

#[async_trait]
impl Members for OneMember {
    fn configuration(&self) -> Configuration {
        Configuration {
            voters: vec![NodeId(1)],
            ..Configuration::default()
        }
    }

    fn lag(&self, _: NodeId) -> Option<u64> {
        None
    }

    async fn add_learner(&self, node: NodeId, _: &str) -> Result<(), MembersError> {
        panic!("there is no node {node}")
    }

    async fn set_voters(&self, voters: Vec<NodeId>) -> Result<(), MembersError> {
        panic!("there are no voters {voters:?}")
    }

    async fn remove_learner(&self, node: NodeId) -> Result<(), MembersError> {
        panic!("there is no node {node}")
    }

    async fn transfer(&self, _: Option<NodeId>) -> Result<NodeId, MembersError> {
        panic!("there is nobody to hand over to")
    }
}

fn unasked() -> IdentitiesError {
    IdentitiesError::Unusable("these tests have no identities".to_owned())
}

impl Identities for OneMember {
    fn certify_node(&self, _: &State, _: &Member, _: Timestamp) -> Result<Change, IdentitiesError> {
        Err(unasked())
    }

    fn certify_operator(
        &self,
        _: &State,
        _: &Operator,
        _: Timestamp,
    ) -> Result<Change, IdentitiesError> {
        Err(unasked())
    }

    fn renew_issuing(&self, _: &State, _: Timestamp) -> Result<Change, IdentitiesError> {
        Err(unasked())
    }

    fn share_data_key(&self, _: &Member, _: KeyPurpose, _: u32) -> Result<Change, IdentitiesError> {
        Err(unasked())
    }

    fn rotate_data_key(
        &self,
        _: &State,
        _: KeyPurpose,
        _: &[NodeId],
    ) -> Result<Change, IdentitiesError> {
        Err(unasked())
    }
}

/// Node 1 has published everything; two others may doubt its clock, and one of them may be
/// silent.
pub(crate) struct OneReport {
    pub(crate) doubted: Arc<AtomicBool>,
    pub(crate) silent: Arc<AtomicBool>,
}

#[async_trait]
impl ServingSet for OneReport {
    fn reports(&self) -> Vec<NodeReport> {
        let offset = i64::from(self.doubted.load(SeqCst)) * 3_600_000;
        let silent = Duration::from_secs(60) * u32::from(self.silent.load(SeqCst));
        let report = |node, clock_offset_ms, silent| NodeReport {
            node: NodeId(node),
            published: Some(Index(u64::MAX)),
            clock_offset_ms,
            version: String::new(),
            // Where the cluster is: raising it is a duty more, at which a leader could die.
            level: Some(FeatureLevel::FIRST),
            faults: Vec::new(),
            draining: false,
            silent,
        };
        vec![
            report(1, 0, Duration::ZERO),
            report(2, offset, Duration::ZERO),
            report(3, -offset, silent),
        ]
    }

    async fn published(&self, _: Index, _: Duration) -> Vec<NodeId> {
        // Nobody publishes in no time: so a test can see what waits here.
        sleep(Duration::from_millis(1)).await;
        Vec::new()
    }
}

/// The CAs as one process reaches them.
pub(crate) struct Cas {
    pub(crate) cas: Vec<Arc<Ca>>,
    pub(crate) doom: Arc<Doom>,
    pub(crate) lease: Arc<dyn Lease>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) term: Term,
}

impl Authorities for Cas {
    fn open(&self, access: &Access<'_>) -> Result<Arc<dyn Authority>, AuthorityError> {
        let ca = self.cas.iter().find(|ca| ca.is_at(access.directory));
        Ok(Arc::new(At {
            ca: ca.expect("a CA of this test").clone(),
            doom: self.doom.clone(),
            lease: self.lease.clone(),
            clock: self.clock.clone(),
            term: self.term,
        }))
    }
}

/// One of them.
struct At {
    ca: Arc<Ca>,
    doom: Arc<Doom>,
    lease: Arc<dyn Lease>,
    clock: Arc<dyn Clock>,
    term: Term,
}

impl At {
    /// One request with an effect: it may be held back, lost, refused, or the end of its
    /// process; and what was sent at its end may arrive later.
    async fn send<T: Send + 'static>(
        &self,
        effect: Effect,
        permit: Permit,
        act: impl Fn(&Ca) -> Result<T, AuthorityError> + Send + Sync + 'static,
    ) -> Result<T, AuthorityError> {
        Fence::new(self.lease.clone(), self.clock.clone()).check(&permit)?;
        let term = self.term;
        let act = Arc::new(move |ca: &Ca| {
            ca.arrived(effect, term);
            act(ca)
        });
        let (ca, last) = (self.ca.clone(), act.clone());
        let deathbed = move |late| {
            tokio::spawn(async move {
                sleep(late).await;
                let _ = last(&ca);
            });
        };
        self.doom.before(effect, deathbed).await;
        self.ca.reach()?;
        let answer = match self.ca.omen(effect) {
            None => act(&self.ca),
            Some(Script::Unsent) => Err(AuthorityError::Unreachable("no route".into())),
            Some(Script::Refuse(problem)) => Err(AuthorityError::Refused(problem)),
            Some(Script::AnswerLost) => {
                let _ = act(&self.ca);
                Err(AuthorityError::Unknown("no answer".into()))
            }
        };
        self.doom.point(|_| {}).await;
        answer
    }
}

#[async_trait]
impl Authority for At {
    async fn warm(&self) -> Result<(), AuthorityError> {
        self.ca.reach()
    }

    async fn directory(&self) -> Result<Arc<DirectoryView>, AuthorityError> {
        self.ca.reach()?;
        Ok(Arc::default())
    }

    async fn register(
        &self,
        _: &Registration<'_>,
        permit: Permit,
    ) -> Result<String, AuthorityError> {
        let act = |ca: &Ca| Ok(ca.new_account());
        self.send(Effect::NewAccount, permit, act).await
    }

    async fn find(&self) -> Result<Option<String>, AuthorityError> {
        self.ca.reach()?;
        Ok((self.ca.books().accounts > 0).then(|| self.ca.account_url()))
    }

    async fn roll_key(&self, _: &str, _: &Secret, _: Permit) -> Result<(), AuthorityError> {
        Err(AuthorityError::Unsupported(Feature::KeyChange))
    }

    async fn set_contacts(
        &self,
        _: &str,
        _: &[String],
        permit: Permit,
    ) -> Result<(), AuthorityError> {
        self.send(Effect::NewAccount, permit, |_| Ok(())).await
    }

    async fn new_order(
        &self,
        request: &OrderRequest<'_>,
        permit: Permit,
    ) -> Result<OrderView, AuthorityError> {
        let hostname = request.hostname.clone();
        let own = |text: Option<&str>| text.map(ToOwned::to_owned);
        let (profile, replaces) = (own(request.profile), own(request.replaces));
        let wildcard = request.wildcard;
        let act = move |ca: &Ca| {
            ca.new_order(&OrderRequest {
                hostname: &hostname,
                wildcard,
                profile: profile.as_deref(),
                replaces: replaces.as_deref(),
            })
        };
        self.send(Effect::NewOrder, permit, act).await
    }

    async fn order(&self, url: &str) -> Result<OrderView, AuthorityError> {
        self.ca.reach()?;
        self.ca.order(url)
    }

    async fn authorization(&self, url: &str) -> Result<AuthorizationView, AuthorityError> {
        self.ca.reach()?;
        self.ca.authorization(url)
    }

    async fn ready(&self, challenge_url: &str, permit: Permit) -> Result<(), AuthorityError> {
        let url = challenge_url.to_owned();
        let act = move |ca: &Ca| ca.ready(&url);
        self.send(Effect::Ready, permit, act).await
    }

    async fn finalize(
        &self,
        request: &FinalizeRequest<'_>,
        permit: Permit,
    ) -> Result<OrderView, AuthorityError> {
        let (url, csr) = (request.order_url.to_owned(), request.csr.to_vec());
        let term = self.term;
        let act = move |ca: &Ca| ca.finalize(&url, &csr, term);
        self.send(Effect::Finalize, permit, act).await
    }

    async fn certificate(&self, url: &str) -> Result<ChainView, AuthorityError> {
        self.ca.reach()?;
        self.ca.certificate(url)
    }

    async fn alternate(&self, url: &str) -> Result<String, AuthorityError> {
        self.ca.reach()?;
        self.ca.alternate(url)
    }

    async fn revoke(&self, _: &[u8], _: RevocationReason, _: Permit) -> Result<(), AuthorityError> {
        Err(AuthorityError::Unsupported(Feature::Revocation))
    }

    async fn renewal_info(&self, _: &str) -> Result<RenewalInfo, AuthorityError> {
        Err(AuthorityError::Unsupported(Feature::RenewalInfo))
    }
}
