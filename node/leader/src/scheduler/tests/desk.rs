//! A state to schedule from, by commands in bulk, and a queue that follows it.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use state::{
    AccountKey, Actor, Batch, CaName, CaSettings, CertificateId, Change, Command, Done, Hostname,
    Index, KeyPurpose, LimitKind, NodeId, OrderId, Outcome, OwnershipToken, Proof, ProofMethod,
    Refusal, Sealed, State, Tenant, Term, Timestamp, Wants,
    command::{Admit, Authorize},
    testing::{START, account_key, ca_name, found, host, install, placed},
};

use crate::scheduler::{Lane, Pick, Prospect, Scheduler};

pub(super) const TERM: Term = Term(1);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

pub(super) struct Desk {
    pub(super) state: State,
    pub(super) now: Timestamp,
    pub(super) queue: Scheduler,
    pub(super) out: BTreeSet<CaName>,
    pub(super) trusted: bool,
    pub(super) held: bool,
    pub(super) free: usize,
    pub(super) kept: usize,
    installed: u64,
}

fn sealed(purpose: KeyPurpose) -> Sealed {
    Sealed {
        purpose,
        generation: 1,
        nonce: [0; 12],
        ciphertext: Bytes::from_static(b"key"),
    }
}

impl Desk {
    /// With one CA that takes orders under these settings.
    pub(super) fn new(settings: CaSettings) -> Self {
        let mut founding = found();
        let ca = founding.ca.as_mut().unwrap();
        ca.settings = CaSettings {
            directory: ca.settings.directory.clone(),
            terms_agreed: true,
            ..settings
        };
        let mut desk = Self {
            state: State::default(),
            now: START,
            queue: Scheduler::default(),
            out: BTreeSet::new(),
            trusted: true,
            held: false,
            free: 1_000,
            kept: 0,
            installed: 0,
        };
        desk.apply([Change::Found(Box::new(founding))]);
        desk.apply([Change::TakeOver { node: NodeId(1) }]);
        desk.register(ca_name());
        desk
    }

    fn register(&mut self, ca: CaName) {
        let url = format!("https://{ca}.example/account/1");
        let key: AccountKey = account_key(ca.as_str());
        let committed = Change::CommitAccountKey {
            ca: ca.clone(),
            key,
        };
        self.apply([committed, Change::RegisterAccount { ca, url }]);
    }

    /// Another CA, by its rank.
    pub(super) fn add_ca(&mut self, name: &str, rank: u32) -> CaName {
        let name: CaName = name.parse().unwrap();
        let settings = CaSettings {
            directory: format!("https://{name}.example/directory"),
            terms_agreed: true,
            rank,
            ..CaSettings::default()
        };
        let put = Change::PutCa {
            name: name.clone(),
            settings: Box::new(settings),
            revision: None,
        };
        self.apply([put]);
        self.register(name.clone());
        name
    }

    /// Applies one entry with these changes.
    pub(super) fn apply(&mut self, changes: impl IntoIterator<Item = Change>) -> Vec<Outcome> {
        let commands = changes.into_iter().map(|change| Command {
            at: self.now,
            actor: if change.is_duty() {
                Actor::leader()
            } else {
                Actor::operator("ann")
            },
            duty: change.is_duty().then_some(TERM),
            change,
        });
        let commands = commands.collect();
        let index = Index(self.state.index().0 + 1);
        self.state.apply(index, &Batch { commands }).0
    }

    pub(super) fn authorize(&mut self, tenant: &str, name: &str, wants: Wants) {
        let authorize = authorization(tenant, name, wants);
        self.apply([authorize]);
    }

    pub(super) fn host(&mut self, name: &str) {
        self.authorize("default", name, Wants::default());
    }

    /// A look found the claim proven by that.
    pub(super) fn prove(&mut self, name: &str, by: ProofMethod) {
        let claim = self.state.hostname(name).unwrap().claim;
        self.apply([Change::RecordOwnership {
            hostname: host(name),
            claim,
            standing: Proof::Proven(by),
            fault: None,
            next_check: None,
        }]);
    }

    /// With a certificate from now on for 90 days, renewed after 60.
    pub(super) fn served(&mut self, name: &str) -> CertificateId {
        self.host(name);
        let pick = self.pick_only(name);
        self.issue(&pick)
    }

    /// Picks and expects this one name alone.
    pub(super) fn pick_only(&mut self, name: &str) -> Pick {
        let mut picks = self.pick();
        picks.retain(|pick| pick.hostname.as_str() == name);
        picks
            .pop()
            .unwrap_or_else(|| panic!("{name} is not picked"))
    }

    pub(super) fn pick(&mut self) -> Vec<Pick> {
        while self.queue.follow(&self.state, self.now) {}
        let out = |ca: &CaName| self.out.contains(ca);
        let prospect = Prospect {
            now: self.now,
            trusted: self.trusted,
            held: self.held,
            free: self.free,
            kept: self.kept,
            calm: &|ca| !out(ca),
            out: &out,
        };
        let mut picks = Vec::new();
        loop {
            let (more, again) = self.queue.pick(&self.state, &prospect);
            picks.extend(more);
            if !again {
                return picks;
            }
        }
    }

    /// Names in the order in which they are picked.
    pub(super) fn names(&mut self) -> Vec<String> {
        let picks = self.pick();
        picks.iter().map(|pick| pick.hostname.to_string()).collect()
    }

    pub(super) fn admit(&mut self, pick: &Pick) -> Result<OrderId, Refusal> {
        let admit = Admit {
            hostname: pick.hostname.clone(),
            claim: pick.claim,
            ca: pick.ca.clone(),
            algorithm: pick.algorithm,
            profile: pick.profile.clone(),
            replaces: pick.replaces.map(|id| id.to_string()),
            budget: pick.budget,
            domain: pick.domain.clone(),
            key: sealed(KeyPurpose::Serving),
            csr: Bytes::new(),
        };
        match self.apply([Change::AdmitOrder(Box::new(admit))]).remove(0) {
            Outcome::Done(Done::Order(id)) => Ok(id),
            Outcome::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    /// From an admitted order to its certificate.
    pub(super) fn finish(&mut self, order: OrderId) -> CertificateId {
        let placed = placed(order, "token");
        self.apply([Change::PrepareOrder { order, placed }]);
        self.install(order)
    }

    /// From a placed order to its certificate: for 90 days, to be renewed after 60.
    pub(super) fn install(&mut self, order: OrderId) -> CertificateId {
        self.installed += 1;
        let mut leaf = [0; 32];
        // Ids are spread as digests are.
        let spread = self.installed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        leaf[..8].copy_from_slice(&spread.to_be_bytes());
        leaf[8..16].copy_from_slice(&self.installed.to_be_bytes());
        let id = CertificateId(leaf);
        let mut install = install(order, Bytes::new(), Vec::new(), self.now);
        install.parts.id = id;
        let outcomes = self.apply([
            Change::IntendFinalize { order },
            Change::InstallCertificate(Box::new(install)),
        ]);
        let done = |outcome: &Outcome| matches!(outcome, Outcome::Done(_));
        assert!(outcomes.iter().all(done), "{outcomes:?}");
        id
    }

    pub(super) fn issue(&mut self, pick: &Pick) -> CertificateId {
        let order = self.admit(pick).unwrap();
        let id = self.finish(order);
        self.queue.follow(&self.state, self.now);
        self.queue.ended(&pick.hostname, self.now);
        id
    }

    /// Ends what was picked without an order.
    pub(super) fn give_back(&mut self, picks: &[Pick]) {
        for pick in picks {
            self.queue.ended(&pick.hostname, self.now);
        }
        self.now = self.now.plus(Duration::from_secs(2));
    }

    /// How many are waiting, by lane.
    pub(super) fn waiting(&mut self) -> [usize; 5] {
        while self.queue.follow(&self.state, self.now) {}
        self.queue.queue().lanes
    }

    /// What the ledger says that is left.
    pub(super) fn left(&self, kind: LimitKind, key: &str) -> Option<u32> {
        let key = state::BucketKey {
            ca: ca_name(),
            kind,
            key: key.into(),
        };
        let limit = self.state.limit(&key)?;
        let bucket = self.state.bucket(&key).copied().unwrap_or_default();
        Some(bucket.left(limit, self.now))
    }
}

pub(super) fn authorization(tenant: &str, name: &str, wants: Wants) -> Change {
    let tenant: Tenant = tenant.parse().unwrap();
    Change::AuthorizeHostname(Box::new(Authorize {
        hostname: Hostname::parse(name).unwrap(),
        tenant,
        token: OwnershipToken([1; 16]),
        wants,
        on_demand: false,
    }))
}

pub(super) fn lanes(picks: &[Pick]) -> Vec<(String, Lane)> {
    let each = picks
        .iter()
        .map(|pick| (pick.hostname.to_string(), pick.lane));
    each.collect()
}
