//! The replicated value itself.

mod index;

use std::{collections::BTreeSet, sync::Arc};

use imbl::{OrdMap, OrdSet};

use crate::{
    Authority, Bucket, BucketKey, Ca, CaName, Certificate, CertificateId, Challenge, ChallengeKind,
    ClusterId, DataKey, Due, Epoch, FeatureLevel, Hostname, HostnameRecord, Index, Invitation,
    InvitationId, KeyAlgorithm, KeyPurpose, Limit, Member, NodeId, Operator, OperatorId, Order,
    OrderId, Pause, Removed, Restored, Share, Stage, Standing, Tenant, Timestamp, Tombstone,
    Traffic, Zone, challenge, cluster::Cluster, order::PlacedChallenge,
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
    pub(crate) cas: OrdMap<CaName, Arc<Ca>>,
    pub(crate) zone: Zone,
    pub(crate) buckets: OrdMap<BucketKey, Bucket>,
    pub(crate) tombstones: OrdMap<Hostname, Arc<Tombstone>>,
    // Behind pointers: a node of the map has room for sixteen, and is half full as a rule.
    pub(crate) hostnames: OrdMap<Hostname, Arc<HostnameRecord>>,
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
    pub(crate) delegated: OrdSet<(Arc<str>, OrderId)>,
    pub(crate) kept: OrdMap<(Hostname, KeyAlgorithm), CertificateId>,
    pub(crate) chains: OrdMap<Arc<crate::ChainId>, u32>,
    pub(crate) issuers: OrdMap<Arc<String>, u32>,
    pub(crate) tenants: OrdMap<Tenant, u32>,
    pub(crate) authorizers: OrdMap<Arc<String>, u32>,
    pub(crate) traffics: OrdMap<Arc<Traffic>, u32>,
    pub(crate) idle: OrdSet<(Timestamp, BucketKey)>,
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

    /// What the names in customers' DNS are derived from.
    pub fn names_id(&self) -> Option<ClusterId> {
        self.cluster.as_ref().map(|cluster| cluster.names)
    }

    /// Where the cluster comes from, if it began with a backup.
    pub fn restored(&self) -> Option<&Restored> {
        self.cluster.as_ref()?.restored.as_ref()
    }

    /// Whose duties count.
    pub fn epoch(&self) -> Epoch {
        self.cluster
            .as_ref()
            .map(|cluster| cluster.epoch)
            .unwrap_or_default()
    }

    /// What all members understand.
    pub fn level(&self) -> FeatureLevel {
        self.cluster
            .as_ref()
            .map(|cluster| cluster.level)
            .unwrap_or_default()
    }

    /// Why nothing is issued, if so.
    pub fn pause(&self) -> Option<&Pause> {
        self.cluster.as_ref()?.pause.as_ref()
    }

    /// The cluster's own CA.
    pub fn authority(&self) -> Option<&Arc<Authority>> {
        self.authority.as_ref()
    }

    /// A CA that certificates may come from.
    pub fn ca(&self, name: &str) -> Option<&Arc<Ca>> {
        self.cas.get(name)
    }

    /// All CAs, in the order of their names.
    pub fn cas(&self) -> impl Iterator<Item = &Arc<Ca>> {
        self.cas.values()
    }

    /// All CAs in the order in which they are asked: by rank, then by name.
    pub fn cas_by_rank(&self) -> Vec<&Arc<Ca>> {
        let mut cas: Vec<_> = self.cas.values().collect();
        cas.sort_by_key(|ca| ca.settings.rank);
        cas
    }

    /// How much a CA still allows; absent if it is as if nothing was spent.
    pub fn bucket(&self, key: &BucketKey) -> Option<&Bucket> {
        self.buckets.get(key)
    }

    /// All buckets that are not full.
    pub fn buckets(&self) -> impl Iterator<Item = (&BucketKey, &Bucket)> {
        self.buckets.iter()
    }

    /// What holds for a bucket: the CA's limit of that kind, or an exception to it.
    pub fn limit(&self, key: &BucketKey) -> Option<&Limit> {
        let settings = &self.cas.get(&key.ca)?.settings;
        let exception = settings
            .overrides
            .iter()
            .find(|exception| exception.limit.kind == key.kind && exception.key == key.key);
        let usual = || settings.limits.iter().find(|limit| limit.kind == key.kind);
        exception.map(|exception| &exception.limit).or_else(usual)
    }

    /// From when on a limit allows one more to such an order.
    pub fn free_at(&self, key: &BucketKey, share: Share, now: Timestamp) -> Timestamp {
        let bucket = self.buckets.get(key).copied().unwrap_or_default();
        match self.limit(key) {
            Some(limit) => bucket.free_at(limit, share, now),
            None => bucket.blocked_until.unwrap_or_default(),
        }
    }

    /// Those after `key`, in the order of their keys.
    pub fn buckets_after(
        &self,
        key: Option<&BucketKey>,
    ) -> impl Iterator<Item = (&BucketKey, &Bucket)> {
        use std::ops::Bound;
        let from = key.map_or(Bound::Unbounded, Bound::Excluded);
        self.buckets
            .range::<(Bound<&BucketKey>, Bound<&BucketKey>), BucketKey>((from, Bound::Unbounded))
    }

    /// Who had a removed hostname.
    pub fn tombstone(&self, name: &str) -> Option<&Arc<Tombstone>> {
        self.tombstones.get(name)
    }

    /// All removed hostnames that are remembered.
    pub fn tombstones(&self) -> impl Iterator<Item = (&Hostname, &Arc<Tombstone>)> {
        self.tombstones.iter()
    }

    /// Where requests go.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// What is agreed about a hostname; absent if it is not authorized.
    pub fn hostname(&self, name: &str) -> Option<&HostnameRecord> {
        self.hostnames.get(name).map(|record| &**record)
    }

    /// All authorized hostnames, in the order of their names.
    pub fn hostnames(&self) -> impl Iterator<Item = (&Hostname, &HostnameRecord)> {
        let hostnames = self.hostnames.iter();
        hostnames.map(|(name, record)| (name, &**record))
    }

    /// Those after `name`, in the order of their names.
    pub fn hostnames_after(
        &self,
        name: &str,
    ) -> impl Iterator<Item = (&Hostname, &HostnameRecord)> {
        use std::ops::Bound;
        self.hostnames
            .range::<(Bound<&str>, Bound<&str>), str>((Bound::Excluded(name), Bound::Unbounded))
            .map(|(name, record)| (name, &**record))
    }

    /// How many there are.
    pub fn hostname_count(&self) -> usize {
        self.hostnames.len()
    }

    /// How a hostname stands at `now`; absent if it is not authorized.
    pub fn standing(&self, name: &str, now: Timestamp) -> Option<Standing> {
        let record = self.hostname(name)?;
        let valid = record
            .certificates()
            .filter_map(|id| self.certificate(&id))
            .any(|certificate| now < certificate.not_after);
        Some(record.standing(valid))
    }

    /// A certificate by its id.
    pub fn certificate(&self, id: &CertificateId) -> Option<&Arc<Certificate>> {
        self.certificates.get(id)
    }

    /// All certificates, those replaced but not yet forgotten among them.
    pub fn certificates(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.certificates.values()
    }

    /// The same, for whoever follows them by their differences or asks for some of them.
    pub fn certificates_by_id(&self) -> &OrdMap<CertificateId, Arc<Certificate>> {
        &self.certificates
    }

    /// Those after `id`, in the order of their ids.
    pub fn certificates_after(
        &self,
        id: Option<&CertificateId>,
    ) -> impl Iterator<Item = &Arc<Certificate>> {
        use std::ops::Bound;
        let from = id.map_or(Bound::Unbounded, Bound::Excluded);
        self.certificates
            .range::<(Bound<&CertificateId>, Bound<&CertificateId>), CertificateId>((
                from,
                Bound::Unbounded,
            ))
            .map(|(_, certificate)| certificate)
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
        let thumbprint = self.cas.get(&order.ca)?.thumbprint()?;
        Some(Challenge {
            order: order.id,
            hostname: order.hostname.clone(),
            key_authorization: challenge::key_authorization(token, thumbprint).into(),
        })
    }

    /// The digest that a handshake for a tls-alpn-01 challenge must show (RFC 8737).
    pub fn alpn_challenge(&self, hostname: &str) -> Option<[u8; 32]> {
        let authorization = self.alpn_authorization(hostname)?;
        Some(challenge::alpn_digest(&authorization))
    }

    /// The key authorization of a hostname's tls-alpn-01 challenge.
    pub fn alpn_authorization(&self, hostname: &str) -> Option<String> {
        let order = self.orders.get(self.busy.get(hostname)?)?;
        let thumbprint = self.cas.get(&order.ca)?.thumbprint()?;
        let challenge = Self::open_challenges(order)
            .find(|challenge| challenge.kind == ChallengeKind::TlsAlpn01)?;
        Some(challenge::key_authorization(&challenge.token, thumbprint))
    }

    /// The texts that a dns-01 challenge must show under a delegation's label, in lower
    /// case (RFC 8555 section 8.4). A wildcard's order has two.
    pub fn dns_challenges(&self, label: &str) -> Vec<String> {
        let first = (Arc::from(label), OrderId(0));
        let orders = self
            .delegated
            .range(first..)
            .take_while(|(found, _)| **found == *label);
        let mut texts = Vec::new();
        for (_, id) in orders {
            let Some(order) = self.orders.get(id) else {
                continue;
            };
            let Some(thumbprint) = self.cas.get(&order.ca).and_then(|ca| ca.thumbprint()) else {
                continue;
            };
            let of_dns = Self::open_challenges(order)
                .filter(|challenge| challenge.kind == ChallengeKind::Dns01);
            texts.extend(of_dns.map(|challenge| {
                let authorization = challenge::key_authorization(&challenge.token, thumbprint);
                challenge::dns_value(&authorization)
            }));
        }
        texts
    }

    /// Where `_acme-challenge` of a hostname is to be delegated to, if this cluster has a
    /// DNS zone.
    pub fn delegation(&self, name: &str) -> Option<String> {
        let (hostname, record) = self.hostnames.get_key_value(name)?;
        let zone = self.zone.settings.dns.as_ref()?;
        let label = record.tenant.delegation_label(self.names_id()?, hostname);
        Some(format!("{label}.{}", zone.name))
    }

    /// A tenant's own CNAME target, if this cluster has a domain for them.
    pub fn tenant_target(&self, tenant: &Tenant) -> Option<String> {
        let domain = self.zone.settings.edge_domain.as_ref()?;
        Some(format!("{}.{domain}", tenant.label(self.names_id()?)))
    }

    /// How many sets of settings hostnames have, equal ones counted once.
    pub fn traffic_count(&self) -> usize {
        self.traffics.len()
    }

    /// All tenants that have hostnames.
    pub fn tenants(&self) -> impl Iterator<Item = (&Tenant, u32)> {
        self.tenants.iter().map(|(tenant, count)| (tenant, *count))
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

    /// Purposes whose newest key is to be replaced: an operator wants it, or somebody who is
    /// a member no more may know it. A key of the same log entry as the removal counts as
    /// known: it may stand before it.
    pub fn rotations_due(&self) -> Vec<KeyPurpose> {
        let last_removal = self.removed.values().map(|removed| removed.removed).max();
        let due = |purpose: &KeyPurpose| {
            self.current_data_key(*purpose)
                .is_some_and(|key| key.replace || last_removal >= Some(key.created))
        };
        KeyPurpose::ALL.into_iter().filter(due).collect()
    }

    /// What is due at `now`, the longest due first.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = &(Timestamp, Due)> {
        self.due.iter().take_while(move |(at, _)| *at <= now)
    }

    /// All that is or will be due, in that order.
    pub fn dues(&self) -> &OrdSet<(Timestamp, Due)> {
        &self.due
    }

    /// When the next thing after `now` falls due.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        self.due_after(now).next().map(|(at, _)| *at)
    }

    /// What falls due after `from` and up to `to`.
    pub fn due_between(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = &(Timestamp, Due)> {
        self.due_after(from).take_while(move |(at, _)| *at <= to)
    }

    fn due_after(&self, from: Timestamp) -> impl Iterator<Item = &(Timestamp, Due)> {
        use std::ops::Bound;
        let after = (
            Timestamp(from.0.saturating_add(1)),
            Due::Order(Hostname::lowest(), KeyAlgorithm::Ecdsa),
        );
        self.due.range((Bound::Included(after), Bound::Unbounded))
    }

    /// What a hostname needs next and when; absent if it needs nothing. Its proof is looked
    /// at while an order of an earlier claim is in flight, but no other order is begun. A
    /// failure never brings the renewal of a certificate forward.
    pub fn hostname_due(
        &self,
        name: &Hostname,
        record: &HostnameRecord,
    ) -> Option<(Timestamp, Due)> {
        if !record.ownership.standing.holds() {
            let check = record.ownership.next_check;
            return check.map(|at| (at, Due::Check(name.clone())));
        }
        if record.order.is_some() {
            return None;
        }
        let retry = record.failure.as_ref().map(|failure| failure.next_try);
        let (at, algorithm) = self.wanted(record)?;
        let at = retry.map_or(at, |retry| retry.max(at));
        Some((at, Due::Order(name.clone(), algorithm)))
    }

    /// Which certificate a hostname lacks first, and since or from when.
    fn wanted(&self, record: &HostnameRecord) -> Option<(Timestamp, KeyAlgorithm)> {
        let wants = record.wants();
        if !wants.automatic {
            return None;
        }
        let of = |algorithm: &KeyAlgorithm| {
            let served = record.certificate_of(*algorithm);
            let served = served.and_then(|id| self.certificates.get(&id));
            let at = match served {
                None => record.authorized_at,
                Some(served) if wants.wildcard && !served.wildcard => record.authorized_at,
                Some(served) => served.renew_at,
            };
            (at, *algorithm)
        };
        let each = wants.algorithms.each().iter().map(of);
        each.min_by_key(|(at, _)| *at).filter(|(at, _)| *at < NEVER)
    }

    /// The challenges of an order at a stage where edges must answer them.
    pub(crate) fn open_challenges(order: &Order) -> impl Iterator<Item = &PlacedChallenge> {
        let placed = match &order.stage {
            Stage::Admitted | Stage::FinalizeIntent(_) => None,
            Stage::Prepared(placed) | Stage::ReadyIntent(placed) => Some(placed),
        };
        placed.into_iter().flat_map(|placed| placed.challenges())
    }
}

/// A moment that does not come.
pub(crate) const NEVER: Timestamp = Timestamp(u64::MAX);
