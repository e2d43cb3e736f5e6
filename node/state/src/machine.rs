//! The replicated value itself.

mod index;

use std::{collections::BTreeSet, sync::Arc};

use imbl::{OrdMap, OrdSet};

use crate::{
    Account, Authority, Certificate, CertificateId, Challenge, ClusterId, DataKey, Due, Epoch,
    Hostname, HostnameRecord, Index, Invitation, InvitationId, KeyPurpose, Member, NodeId,
    Operator, OperatorId, Order, OrderId, Removed, Stage, Standing, Timestamp, Zone,
    cluster::Cluster, order::PlacedChallenge,
};

/// All that the cluster agrees on, apart from bodies.
///
/// A clone costs nothing and shares its structure: publishing one after a batch
/// costs what changed.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(crate) index: Index,
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) authority: Option<Arc<Authority>>,
    pub(crate) account: Option<Arc<Account>>,
    pub(crate) zone: Zone,
    pub(crate) hostnames: OrdMap<Hostname, HostnameRecord>,
    pub(crate) orders: OrdMap<OrderId, Arc<Order>>,
    pub(crate) certificates: OrdMap<CertificateId, Arc<Certificate>>,
    pub(crate) members: OrdMap<NodeId, Arc<Member>>,
    pub(crate) removed: OrdMap<NodeId, Arc<Removed>>,
    pub(crate) operators: OrdMap<OperatorId, Arc<Operator>>,
    pub(crate) invitations: OrdMap<InvitationId, Arc<Invitation>>,
    pub(crate) data_keys: OrdMap<(KeyPurpose, u32), Arc<DataKey>>,
    // Raft's configuration as last applied; written by the consensus, not by commands.
    pub(crate) voters: Arc<BTreeSet<NodeId>>,
    pub(crate) learners: Arc<BTreeSet<NodeId>>,
    // Derived from the above, never stored.
    pub(crate) busy: OrdMap<Hostname, OrderId>,
    pub(crate) challenges: OrdSet<(Arc<str>, OrderId)>,
    pub(crate) kept: OrdMap<Hostname, CertificateId>,
    pub(crate) chains: OrdMap<crate::ChainId, u32>,
    pub(crate) issuers: OrdMap<Arc<str>, u32>,
    pub(crate) due: OrdSet<(Timestamp, Due)>,
}

impl State {
    /// The last log entry applied.
    pub fn index(&self) -> Index {
        self.index
    }

    /// Absent until the cluster was formed.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.cluster.as_ref().map(|cluster| cluster.id)
    }

    /// Whose duties count.
    pub fn epoch(&self) -> Epoch {
        self.cluster
            .as_ref()
            .map(|cluster| cluster.epoch)
            .unwrap_or_default()
    }

    /// The cluster's own CA.
    pub fn authority(&self) -> Option<&Arc<Authority>> {
        self.authority.as_ref()
    }

    /// The CA that certificates come from, and our account there.
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.account.as_ref()
    }

    /// Where requests go.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// What is agreed about a hostname; absent if it is not authorized.
    pub fn hostname(&self, name: &str) -> Option<&HostnameRecord> {
        self.hostnames.get(name)
    }

    /// All authorized hostnames, in the order of their names.
    pub fn hostnames(&self) -> impl Iterator<Item = (&Hostname, &HostnameRecord)> {
        self.hostnames.iter()
    }

    /// Those after `name`, in the order of their names.
    pub fn hostnames_after(
        &self,
        name: &str,
    ) -> impl Iterator<Item = (&Hostname, &HostnameRecord)> {
        use std::ops::Bound;
        self.hostnames
            .range::<(Bound<&str>, Bound<&str>), str>((Bound::Excluded(name), Bound::Unbounded))
    }

    /// How many there are.
    pub fn hostname_count(&self) -> usize {
        self.hostnames.len()
    }

    /// How a hostname stands at `now`; absent if it is not authorized.
    pub fn standing(&self, name: &str, now: Timestamp) -> Option<Standing> {
        let record = self.hostname(name)?;
        let certificate = record.certificate.and_then(|id| self.certificate(&id));
        Some(record.standing(certificate.is_some_and(|certificate| now < certificate.not_after)))
    }

    /// A certificate by its id.
    pub fn certificate(&self, id: &CertificateId) -> Option<&Arc<Certificate>> {
        self.certificates.get(id)
    }

    /// All certificates, those replaced but not yet forgotten among them.
    pub fn certificates(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.certificates.values()
    }

    /// An order in flight.
    pub fn order(&self, id: OrderId) -> Option<&Arc<Order>> {
        self.orders.get(&id)
    }

    /// All orders in flight, the oldest first.
    pub fn orders(&self) -> impl Iterator<Item = &Arc<Order>> {
        self.orders.values()
    }

    /// How many there are.
    pub fn order_count(&self) -> usize {
        self.orders.len()
    }

    /// The answer to an http-01 challenge. Should a CA give one token to several
    /// orders, against RFC 8555 section 8.3, the oldest is answered.
    pub fn challenge(&self, token: &str) -> Option<Challenge> {
        let first = (Arc::from(token), OrderId(0));
        let (found, order) = self.challenges.range(first..).next()?;
        if **found != *token {
            return None;
        }
        let order = self.orders.get(order)?;
        let thumbprint = self.account.as_ref()?.thumbprint()?;
        Some(Challenge {
            order: order.id,
            hostname: order.hostname.clone(),
            key_authorization: format!("{token}.{thumbprint}").into(),
        })
    }

    /// A member.
    pub fn member(&self, id: NodeId) -> Option<&Arc<Member>> {
        self.members.get(&id)
    }

    /// All members, by id.
    pub fn members(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.members.values()
    }

    /// Those who were members.
    pub fn removed(&self) -> impl Iterator<Item = &Arc<Removed>> {
        self.removed.values()
    }

    /// True if `id` was a member and is none any more.
    pub fn is_removed(&self, id: NodeId) -> bool {
        self.removed.contains_key(&id)
    }

    /// Raft's voters, as last applied.
    pub fn voters(&self) -> &BTreeSet<NodeId> {
        &self.voters
    }

    /// Raft's learners, as last applied.
    pub fn learners(&self) -> &BTreeSet<NodeId> {
        &self.learners
    }

    /// An operator.
    pub fn operator(&self, id: OperatorId) -> Option<&Arc<Operator>> {
        self.operators.get(&id)
    }

    /// All operators, by id.
    pub fn operators(&self) -> impl Iterator<Item = &Arc<Operator>> {
        self.operators.values()
    }

    /// An invitation.
    pub fn invitation(&self, id: InvitationId) -> Option<&Arc<Invitation>> {
        self.invitations.get(&id)
    }

    /// All invitations not yet swept, by id.
    pub fn invitations(&self) -> impl Iterator<Item = &Arc<Invitation>> {
        self.invitations.values()
    }

    /// All generations of all data keys.
    pub fn data_keys(&self) -> impl Iterator<Item = &Arc<DataKey>> {
        self.data_keys.values()
    }

    /// The generation that seals new secrets.
    pub fn current_data_key(&self, purpose: KeyPurpose) -> Option<&Arc<DataKey>> {
        self.data_keys
            .range((purpose, 0)..=(purpose, u32::MAX))
            .next_back()
            .map(|(_, key)| key)
    }

    /// Purposes whose newest key may be known to somebody who is a member no more.
    /// A key of the same log entry as the removal counts as known: it may stand
    /// before it.
    pub fn rotations_due(&self) -> Vec<KeyPurpose> {
        let last_removal = self.removed.values().map(|removed| removed.removed).max();
        let Some(last_removal) = last_removal else {
            return Vec::new();
        };
        let exposed = |purpose: &KeyPurpose| {
            self.current_data_key(*purpose)
                .is_some_and(|key| key.created <= last_removal)
        };
        KeyPurpose::ALL.into_iter().filter(exposed).collect()
    }

    /// What is due at `now`, the longest due first.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = &(Timestamp, Due)> {
        self.due.iter().take_while(move |(at, _)| *at <= now)
    }

    /// When the next thing after `now` falls due.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        use std::ops::Bound;
        let after = (
            Timestamp(now.0.saturating_add(1)),
            Due::Order(Hostname::lowest()),
        );
        self.due
            .range((Bound::Included(after), Bound::Unbounded))
            .next()
            .map(|(at, _)| *at)
    }

    /// When a hostname next falls due; absent while an order is in flight. A
    /// failure never brings the renewal of a certificate forward.
    pub fn hostname_due(&self, record: &HostnameRecord) -> Option<Timestamp> {
        if record.order.is_some() {
            return None;
        }
        let certificate = record.certificate.and_then(|id| self.certificates.get(&id));
        let wanted = certificate.map_or(record.authorized_at, |certificate| certificate.renew_at);
        let retry = record.failure.as_ref().map(|failure| failure.next_try);
        Some(retry.map_or(wanted, |retry| retry.max(wanted)))
    }

    /// The challenge of an order at a stage where edges must answer it.
    pub(crate) fn open_challenge(order: &Order) -> Option<&PlacedChallenge> {
        match &order.stage {
            Stage::Admitted | Stage::FinalizeIntent(_) => None,
            Stage::Prepared(placed) | Stage::ReadyIntent(placed) => placed.challenge.as_ref(),
        }
    }
}
