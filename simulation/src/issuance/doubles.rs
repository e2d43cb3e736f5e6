//! What stands for the neighbours of the leader that are not in this scenario: the
//! members' reports to each other, the cluster's own CA and the system's randomness.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use leader::issuance::pace::Jitter;
use state::ports::{Clock, Identities, IdentitiesError, NodeReport, ServingSet};
use state::testing::found;
use state::{
    Change, HpkeSealed, Index, IssuedCertificate, KeyPurpose, Member, NodeId, Operator, State,
    Timestamp,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::clock::MachineClock;

/// For how long a silent member still counts as one that is heard of.
const HEARD_WITHIN: Duration = Duration::from_secs(3);

/// Between two looks at who has published what.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How long each certificate of the double of the cluster's CA is valid: no run is as
/// long as half of it.
const VALIDITY: Duration = Duration::from_secs(7 * 86_400);

/// What each node's edge serves, read from the node itself: a double of the reports that
/// members exchange in production, without their delay. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Serving(Arc<Mutex<BTreeMap<NodeId, Presence>>>);

enum Presence {
    Up(watch::Receiver<Arc<State>>),
    /// Since then, by the simulation's clock.
    Down(Duration),
}

impl Serving {
    /// From now on `node` serves these.
    pub(super) fn enter(&self, node: NodeId, states: watch::Receiver<Arc<State>>) {
        self.lock().insert(node, Presence::Up(states));
    }

    /// `node` went down at `elapsed`.
    pub(super) fn leave(&self, node: NodeId, elapsed: Duration) {
        self.lock().insert(node, Presence::Down(elapsed));
    }

    /// The state that `node` has applied, if it is up.
    pub(super) fn state(&self, node: NodeId) -> Option<Arc<State>> {
        match self.lock().get(&node)? {
            Presence::Up(states) => Some(states.borrow().clone()),
            Presence::Down(_) => None,
        }
    }

    fn lacking(&self, index: Index) -> Vec<NodeId> {
        let reports = self.reports();
        let lacking = reports.iter().filter(|report| {
            report.silent <= HEARD_WITHIN && report.published.is_none_or(|at| at < index)
        });
        lacking.map(|report| report.node).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Presence>> {
        // One thread only; each holder leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ServingSet for Serving {
    fn reports(&self) -> Vec<NodeReport> {
        let now = MachineClock.boottime();
        let nodes = self.lock();
        let reports = nodes.iter().map(|(node, presence)| {
            let (published, silent) = match presence {
                Presence::Up(states) => (Some(states.borrow().index()), Duration::ZERO),
                Presence::Down(since) => (None, now.saturating_sub(*since)),
            };
            NodeReport {
                node: *node,
                published,
                clock_offset_ms: 0,
                version: String::new(),
                faults: Vec::new(),
                draining: false,
                silent,
            }
        });
        reports.collect()
    }

    async fn published(&self, index: Index, within: Duration) -> Vec<NodeId> {
        let deadline = Instant::now() + within;
        loop {
            let lacking = self.lacking(index);
            if lacking.is_empty() || Instant::now() >= deadline {
                return lacking;
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// The cluster's own CA: its certificates and copies of keys say nothing, for nothing
/// here reads them.
#[derive(Debug, Clone, Copy)]
pub(super) struct PaperIdentities;

fn certificate(now: Timestamp, renewed: bool) -> IssuedCertificate {
    IssuedCertificate {
        leaf: Bytes::from_static(b"leaf"),
        issuing: Bytes::from_static(b"issuing"),
        not_after: now.plus(VALIDITY),
        renew_at: renewed.then(|| now.plus(VALIDITY / 2)),
    }
}

fn copy() -> HpkeSealed {
    HpkeSealed {
        encapsulated: Bytes::from_static(b"e"),
        ciphertext: Bytes::from_static(b"c"),
    }
}

impl Identities for PaperIdentities {
    fn certify_node(
        &self,
        _: &State,
        member: &Member,
        now: Timestamp,
    ) -> Result<Change, IdentitiesError> {
        Ok(Change::CertifyNode {
            node: member.id,
            certificate: certificate(now, true),
        })
    }

    fn certify_operator(
        &self,
        _: &State,
        operator: &Operator,
        now: Timestamp,
    ) -> Result<Change, IdentitiesError> {
        Ok(Change::CertifyOperator {
            operator: operator.id,
            certificate: certificate(now, false),
        })
    }

    fn renew_issuing(&self, _: &State, now: Timestamp) -> Result<Change, IdentitiesError> {
        Ok(Change::RenewIssuing {
            issuing: Bytes::from_static(b"issuing"),
            issuing_key: found().authority.issuing_key,
            not_after: now.plus(VALIDITY),
            renew_at: now.plus(VALIDITY / 2),
        })
    }

    fn share_data_key(
        &self,
        member: &Member,
        purpose: KeyPurpose,
        generation: u32,
    ) -> Result<Change, IdentitiesError> {
        Ok(Change::ShareDataKey {
            node: member.id,
            purpose,
            generation,
            sealed: copy(),
        })
    }

    fn rotate_data_key(
        &self,
        state: &State,
        purpose: KeyPurpose,
        holders: &[NodeId],
    ) -> Result<Change, IdentitiesError> {
        let present = state.current_data_key(purpose).map(|key| key.generation);
        Ok(Change::RotateDataKey {
            purpose,
            generation: present.unwrap_or_default() + 1,
            sealed_for: holders.iter().map(|node| (*node, copy())).collect(),
        })
    }
}

/// Jitter from the seed.
pub(super) struct SeededJitter(Mutex<Chance>);

impl SeededJitter {
    pub(super) fn new(chance: Chance) -> Self {
        Self(Mutex::new(chance))
    }
}

impl Jitter for SeededJitter {
    fn draw(&self) -> u16 {
        let mut chance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        u16::try_from(chance.between(0, u16::MAX.into())).unwrap_or(u16::MAX)
    }
}
