//! For the tests of other crates: a cluster of one replica that agrees with
//! itself at once, a store of bodies in memory, and a founded state to begin with.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    AccountKey, Actor, Authority, Batch, Budget, Ca, CaName, CaSettings, Certificate,
    ChallengeKind, Change, ClusterId, Command, DataKey, Due, Hostname, HostnameRecord, HpkeSealed,
    Index, IssuedCertificate, KeyAlgorithm, KeyPurpose, NodeId, Order, OrderId, Origin, Outcome,
    Ownership, OwnershipToken, Placed, Proof, Registration, Sealed, Secret, Source, Stage, State,
    Tenant, Term, Timestamp, Wants, Write, ZoneSettings,
    command::{Admit, Authorize, CertificateParts, Found, Install, Newcomer},
    order::{PlacedAuthorization, PlacedChallenge},
    ports::{Applied, Bodies, BodiesError, Clock, Propose, ProposeError, Reach, Seal, SealError},
    reach::Nonce,
    sealed::SealContext,
};

/// A moment to begin at: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_secs(1_767_225_600);

/// Nodes that say whom they were asked for.
#[derive(Clone, Copy, Debug)]
pub struct Known;

impl Reach for Known {
    fn answers(&self, host: &str, nonce: &Nonce) -> Vec<String> {
        vec![format!("known at {host} by {}", nonce.as_str())]
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(Mutex<Duration>);

impl Default for ManualClock {
    fn default() -> Self {
        Self(Mutex::new(Duration::ZERO))
    }
}

impl ManualClock {
    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        *lock(&self.0) += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        START.plus(*lock(&self.0))
    }

    fn boottime(&self) -> Duration {
        *lock(&self.0)
    }
}

/// A cluster of one replica: what is proposed is applied at once.
pub struct Alone {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    on_apply: Box<dyn Fn(Arc<State>) + Send + Sync>,
}

#[derive(Default)]
struct Inner {
    state: State,
    bodies: BTreeMap<Vec<u8>, Bytes>,
    log: Vec<Command>,
}

impl Alone {
    /// Founded, with node 1 and its administrator, no hostname and no origin.
    /// `on_apply` sees each new state.
    pub fn founded(
        clock: Arc<dyn Clock>,
        on_apply: impl Fn(Arc<State>) + Send + Sync + 'static,
    ) -> Self {
        let alone = Self {
            clock,
            inner: Mutex::default(),
            on_apply: Box::new(on_apply),
        };
        alone.apply(Actor::socket(), None, Change::Found(Box::new(found())));
        alone
    }

    /// The present state.
    pub fn state(&self) -> Arc<State> {
        Arc::new(lock(&self.inner).state.clone())
    }

    /// All that was proposed.
    pub fn log(&self) -> Vec<Command> {
        lock(&self.inner).log.clone()
    }

    /// Applies a change at once.
    pub fn apply(&self, actor: Actor, duty: Option<Term>, change: Change) -> Applied {
        let command = Command {
            at: self.clock.now(),
            actor,
            duty,
            change,
        };
        let (state, applied) = {
            let mut inner = lock(&self.inner);
            let index = Index(inner.state.index().0 + 1);
            inner.log.push(command.clone());
            let (mut outcomes, changes) = inner.state.apply(
                index,
                &Batch {
                    commands: vec![command],
                },
            );
            for write in changes.bodies {
                match write {
                    Write::Put { key, value } => inner.bodies.insert(key, value.into()),
                    Write::Delete { key } => inner.bodies.remove(&key),
                };
            }
            let outcome = outcomes.pop().unwrap_or(Outcome::DONE);
            (inner.state.clone(), Applied { index, outcome })
        };
        (self.on_apply)(Arc::new(state));
        applied
    }

    /// Authorizes a hostname.
    pub fn authorize(&self, name: &str) -> Applied {
        self.apply(Actor::operator("test"), None, authorize(name))
    }

    /// Sets the zone's origin.
    pub fn set_origin(&self, url: &str) -> Applied {
        let origin: Origin = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        self.apply(
            Actor::operator("test"),
            None,
            Change::SetOrigin {
                origin,
                revision: None,
            },
        )
    }

    /// Carries an order of `name` to a placed challenge with this token; the
    /// account must have a key for the challenge to have an answer.
    pub fn prepare(&self, term: Term, name: &str, key: Sealed, token: &str) -> OrderId {
        let id = self.admit(term, name, key);
        self.duty(
            term,
            Change::PrepareOrder {
                order: id,
                placed: placed(id, token),
            },
        );
        id
    }

    /// Carries `name` to an installed certificate, whose private key was sealed
    /// by the caller.
    pub fn install(
        &self,
        term: Term,
        name: &str,
        key: Sealed,
        leaf: Bytes,
        issuers: Vec<Bytes>,
    ) -> Applied {
        let order = self.prepare(term, name, key, "token");
        self.duty(term, Change::IntendReady { order });
        self.duty(term, Change::IntendFinalize { order });
        let install = install(order, leaf, issuers, self.clock.now());
        self.duty(term, Change::InstallCertificate(Box::new(install)))
    }

    /// Gives the first CA's account a key and a URL, so that orders can begin.
    pub fn register(&self, term: Term, thumbprint: &str) {
        self.duty(term, Change::TakeOver { node: NodeId(1) });
        self.duty(
            term,
            Change::CommitAccountKey {
                ca: ca_name(),
                key: account_key(thumbprint),
            },
        );
        self.duty(
            term,
            Change::RegisterAccount {
                ca: ca_name(),
                url: "https://ca.example/account/1".to_owned(),
            },
        );
    }

    /// Applies a duty of the leader of `term`.
    pub fn duty(&self, term: Term, change: Change) -> Applied {
        self.apply(Actor::leader(), Some(term), change)
    }

    /// Admits an order of `name`, the term's first duty if need be.
    pub fn admit(&self, term: Term, name: &str, key: Sealed) -> OrderId {
        self.duty(term, Change::TakeOver { node: NodeId(1) });
        if !self.state().cas().any(|ca| ca.takes_orders()) {
            self.register(term, "thumbprint");
        }
        let state = self.state();
        let hostname = host(name);
        let record = state.hostname(name);
        let due = record.and_then(|record| state.hostname_due(&hostname, record));
        let algorithm = match due {
            Some((_, Due::Order(_, algorithm))) => algorithm,
            _ => KeyAlgorithm::Ecdsa,
        };
        let claim = record.map(|record| record.claim).unwrap_or_default();
        let admit = Admit {
            key,
            claim,
            algorithm,
            ..admit(name)
        };
        match self.duty(term, Change::AdmitOrder(Box::new(admit))).outcome {
            Outcome::Done(crate::Done::Order(id)) => id,
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// The name of the CA in [`found`].
pub fn ca_name() -> CaName {
    "test-ca".parse().unwrap_or_else(|error| panic!("{error}"))
}

/// An authorization of `name` for the default tenant.
pub fn authorize(name: &str) -> Change {
    Change::AuthorizeHostname(Box::new(Authorize {
        hostname: host(name),
        tenant: Tenant::default(),
        token: OwnershipToken([1; 16]),
        wants: Wants::default(),
        on_demand: false,
    }))
}

/// A hostname's record as `operator` authorized it at [`START`], vouched for.
pub fn record(operator: &str) -> HostnameRecord {
    HostnameRecord {
        authorized_at: START,
        authorized_by: format!("operator:{operator}").into(),
        tenant: Tenant::default(),
        claim: Index(1),
        ownership: Ownership {
            token: OwnershipToken([1; 16]),
            standing: Proof::Vouched,
            since: START,
            checked_at: None,
            next_check: None,
            fault: None,
        },
        wants: None,
        traffic: None,
        certificate: None,
        order: None,
        failure: None,
        extra: None,
        events: 1,
        revision: Index(1),
    }
}

/// A certificate of `name` for 90 days from [`START`], served.
pub fn certificate(name: &str) -> Certificate {
    Certificate {
        id: crate::CertificateId([1; 32]),
        sealed_under: 1,
        hostname: host(name),
        wildcard: false,
        algorithm: KeyAlgorithm::Ecdsa,
        source: Source::Ca(ca_name()),
        chain: crate::ChainId([2; 32]).into(),
        issuer: "Test CA".to_owned().into(),
        serial: vec![0xab, 0xcd].into(),
        not_before: START,
        not_after: START.plus(Duration::from_secs(90 * 86400)),
        renew_at: START.plus(Duration::from_secs(60 * 86400)),
        window: None,
        reissue: None,
        revocation: None,
        forget_at: None,
        kept: false,
    }
}

/// An order in flight of `name`, admitted at [`START`].
pub fn order(id: OrderId, name: &str, stage: Stage) -> Order {
    let admit = admit(name);
    Order {
        id,
        hostname: admit.hostname,
        tenant: Tenant::default(),
        wildcard: false,
        ca: admit.ca,
        algorithm: admit.algorithm,
        profile: None,
        replaces: None,
        budget: admit.budget,
        domain: admit.domain.into(),
        claim: Index(1),
        attempt: 1,
        admitted_at: START,
        key: admit.key,
        csr: admit.csr,
        stage,
        stage_at: START,
        epoch: Term(1),
    }
}

/// An order of `name` for its first certificate; claim and key are for the caller.
pub fn admit(name: &str) -> Admit {
    Admit {
        hostname: host(name),
        claim: Index(0),
        ca: ca_name(),
        algorithm: KeyAlgorithm::Ecdsa,
        profile: None,
        replaces: None,
        budget: Budget::New,
        domain: host(name).as_str().to_owned(),
        key: sealed(KeyPurpose::Serving, b"key"),
        csr: Bytes::from_static(b"csr"),
    }
}

/// An account's key.
pub fn account_key(thumbprint: &str) -> AccountKey {
    AccountKey {
        sealed: sealed(KeyPurpose::Control, b"account key"),
        thumbprint: thumbprint.to_owned(),
    }
}

fn sealed(purpose: KeyPurpose, what: &'static [u8]) -> Sealed {
    Sealed {
        purpose,
        generation: 1,
        nonce: [0; 12],
        ciphertext: Bytes::from_static(what),
    }
}

#[async_trait]
impl Propose for Alone {
    async fn propose(&self, actor: Actor, change: Change) -> Result<Applied, ProposeError> {
        Ok(self.apply(actor, None, change))
    }

    async fn propose_as(&self, term: Term, change: Change) -> Result<Applied, ProposeError> {
        Ok(self.duty(term, change))
    }

    async fn barrier(&self) -> Result<Index, ProposeError> {
        Ok(lock(&self.inner).state.index())
    }
}

impl Bodies for Alone {
    fn read(&self, key: &[u8]) -> Result<Option<Bytes>, BodiesError> {
        Ok(lock(&self.inner).bodies.get(key).cloned())
    }
}

/// Seals by a fixed mask: enough to tell what was sealed from what was not.
#[derive(Debug, Default)]
pub struct MaskSeal;

impl MaskSeal {
    /// Under the newest key of `state`.
    pub fn seal_for(
        state: &State,
        purpose: KeyPurpose,
        context: &SealContext,
        secret: &[u8],
    ) -> Result<Sealed, SealError> {
        let newest = state.newest(purpose);
        Ok(Self::under(newest, purpose, context, secret))
    }

    /// What is under a key that `state` has.
    ///
    /// # Errors
    /// It has no such key, or another context was sealed.
    pub fn open_of(
        state: &State,
        sealed: &Sealed,
        context: &SealContext,
    ) -> Result<Secret, SealError> {
        if !state.has_key_of(sealed) {
            return Err(SealError::NoKey(sealed.purpose, sealed.generation));
        }
        Self.open(sealed, context)
    }

    fn under(generation: u32, purpose: KeyPurpose, context: &SealContext, secret: &[u8]) -> Sealed {
        let mut ciphertext: Vec<u8> = secret.iter().map(|byte| byte ^ 0x5a).collect();
        ciphertext.extend_from_slice(&context.as_bytes());
        Sealed {
            purpose,
            generation,
            nonce: [0; 12],
            ciphertext: ciphertext.into(),
        }
    }
}

/// Under the cluster's keys, as they are agreed on.
impl Seal for Alone {
    fn seal(
        &self,
        purpose: KeyPurpose,
        context: &SealContext,
        secret: &[u8],
    ) -> Result<Sealed, SealError> {
        MaskSeal::seal_for(&lock(&self.inner).state, purpose, context, secret)
    }

    fn open(&self, sealed: &Sealed, context: &SealContext) -> Result<Secret, SealError> {
        MaskSeal::open_of(&lock(&self.inner).state, sealed, context)
    }
}

impl Seal for MaskSeal {
    fn seal(
        &self,
        purpose: KeyPurpose,
        context: &SealContext,
        secret: &[u8],
    ) -> Result<Sealed, SealError> {
        Ok(Self::under(1, purpose, context, secret))
    }

    fn open(&self, sealed: &Sealed, context: &SealContext) -> Result<Secret, SealError> {
        let secret = sealed.ciphertext.strip_suffix(&context.as_bytes()[..]);
        let secret = secret.ok_or(SealError::Damaged(sealed.purpose))?;
        Ok(Secret::new(secret.iter().map(|byte| byte ^ 0x5a).collect()))
    }
}

/// A valid hostname, or a panic.
pub fn host(name: &str) -> Hostname {
    Hostname::parse(name).unwrap_or_else(|error| panic!("{error}"))
}

/// What a test's cluster begins with.
pub fn found() -> Found {
    let control = |context, secret| MaskSeal::under(1, KeyPurpose::Control, &context, secret);
    let certificate = IssuedCertificate {
        leaf: Bytes::from_static(b"leaf"),
        issuing: Bytes::from_static(b"issuing"),
        not_after: START.plus(Duration::from_secs(7 * 86400)),
        renew_at: Some(START.plus(Duration::from_secs(7 * 43200))),
    };
    let copy = HpkeSealed {
        encapsulated: Bytes::from_static(b"e"),
        ciphertext: Bytes::from_static(b"c"),
    };
    let data_key = |purpose| DataKey {
        purpose,
        generation: 1,
        created_at: START,
        created: Index(0),
        replace: false,
        sealed_for: [(NodeId(1), copy.clone())].into_iter().collect(),
    };
    Found {
        cluster_id: ClusterId([7; 16]),
        authority: Authority {
            root: Bytes::from_static(b"root"),
            root_key: control(SealContext::RootKey, b"root key"),
            issuing: Bytes::from_static(b"issuing"),
            issuing_key: control(SealContext::IssuingKey, b"issuing key"),
            issuing_not_after: START.plus(Duration::from_secs(365 * 86400)),
            issuing_renew_at: START.plus(Duration::from_secs(182 * 86400)),
        },
        founder: newcomer(1),
        founder_certificate: certificate.clone(),
        data_keys: KeyPurpose::ALL.map(data_key).to_vec(),
        admin_name: "founder".to_owned(),
        admin_public_key: Bytes::from_static(b"admin key"),
        admin_certificate: IssuedCertificate {
            renew_at: None,
            ..certificate
        },
        ca: Some(Ca {
            name: ca_name(),
            settings: CaSettings {
                directory: "https://ca.example/directory".to_owned(),
                contacts: vec!["mailto:ops@saas.example".to_owned()],
                terms_agreed: true,
                ..CaSettings::default()
            },
            external_account: None,
            registration: Registration::None,
            revision: Index(0),
        }),
        zone: ZoneSettings::default(),
        origin: None,
        backup: None,
    }
}

/// The `number`th machine that would be a member.
pub fn newcomer(number: u8) -> Newcomer {
    Newcomer {
        name: format!("node-{number}"),
        peer_address: format!("127.0.0.{number}:7443"),
        admin_address: format!("127.0.0.{number}:7444"),
        public_key: Bytes::copy_from_slice(&[number; 8]),
        hpke_public_key: Bytes::copy_from_slice(&[number; 32]),
    }
}

/// An order as a CA would know it.
pub fn placed(order: OrderId, token: &str) -> Placed {
    Placed {
        url: format!("https://ca.example/order/{order}"),
        finalize_url: format!("https://ca.example/order/{order}/finalize"),
        authorizations: vec![PlacedAuthorization {
            url: format!("https://ca.example/authz/{order}"),
            challenge: Some(PlacedChallenge {
                kind: ChallengeKind::Http01,
                url: format!("https://ca.example/chall/{order}"),
                token: token.to_owned(),
            }),
        }],
        expires: None,
    }
}

/// The installation of a certificate for 90 days, whose ids are taken from the
/// first bytes of its leaf and chain.
pub fn install(order: OrderId, leaf: Bytes, chain: Vec<Bytes>, now: Timestamp) -> Install {
    let serial = Bytes::copy_from_slice(&order.0.to_be_bytes());
    Install {
        order,
        parts: parts(serial, leaf, chain, now),
        renew_at: now.plus(Duration::from_secs(60 * 86400)),
    }
}

/// A certificate for 90 days.
pub fn parts(serial: Bytes, leaf: Bytes, chain: Vec<Bytes>, now: Timestamp) -> CertificateParts {
    let digest = |bytes: &[u8]| {
        let mut digest = [0; 32];
        for (place, byte) in bytes.iter().enumerate() {
            digest[place % 32] = u8::rotate_left(digest[place % 32], 3) ^ byte;
        }
        digest
    };
    CertificateParts {
        id: crate::CertificateId(digest(&leaf)),
        leaf,
        chain_id: crate::ChainId(digest(&chain.concat())),
        chain,
        issuer: "Test CA".to_owned(),
        serial,
        not_before: now,
        not_after: now.plus(Duration::from_secs(90 * 86400)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
