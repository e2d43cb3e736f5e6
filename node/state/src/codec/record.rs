//! Records: a one-byte kind and the id as key, versioned bytes as value. The
//! kinds' order is the order of loading: what others are derived from first.

use prost::Message;

use super::{convert::bytes_of, issuance::bucket_to, order::stage_to, versioned, wire};
use crate::{
    Authority, Bucket, BucketKey, Ca, CaName, Certificate, CertificateId, DataKey, FeatureLevel,
    Hostname, HostnameRecord, Invitation, InvitationId, KeyAlgorithm, KeyPurpose, Member, NodeId,
    Operator, Order, OrderId, Removed, Source, State, Tombstone, Zone, cluster::Cluster,
    invitation::Became, reseal::Holder,
};

/// The kinds of records. 0x00 is the consensus's own.
pub mod kind {
    /// The cluster's id, epoch and counters.
    pub const CLUSTER: u8 = 0x01;
    /// The cluster's CA.
    pub const AUTHORITY: u8 = 0x02;
    /// A CA and our account there.
    pub const CA: u8 = 0x03;
    /// The zone.
    pub const ZONE: u8 = 0x04;
    /// A member.
    pub const MEMBER: u8 = 0x05;
    /// A former member.
    pub const REMOVED: u8 = 0x06;
    /// An operator.
    pub const OPERATOR: u8 = 0x07;
    /// An invitation.
    pub const INVITATION: u8 = 0x08;
    /// A data key.
    pub const DATA_KEY: u8 = 0x09;
    /// How much a CA still allows.
    pub const BUCKET: u8 = 0x0a;
    /// Who had a removed hostname.
    pub const TOMBSTONE: u8 = 0x0b;
    /// A certificate.
    pub const CERTIFICATE: u8 = 0x10;
    /// An order in flight.
    pub const ORDER: u8 = 0x11;
    /// A hostname.
    pub const HOSTNAME: u8 = 0x12;

    /// Those of which there are few: a state that has them can look single hostnames up.
    /// Each from its first to before its last.
    pub const FEW: [(u8, u8); 2] = [(CLUSTER, BUCKET), (ORDER, HOSTNAME)];
    /// All others, in the order in which they are loaded: what a hostname needs is derived
    /// from its certificates, too.
    pub const MANY: [(u8, u8); 2] = [(BUCKET, ORDER), (HOSTNAME, u8::MAX)];
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

pub(super) fn key(kind: u8, id: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + id.len());
    key.push(kind);
    key.extend_from_slice(id);
    key
}

/// The key of what holds secrets.
pub(crate) fn holder_key(holder: &Holder) -> Vec<u8> {
    match holder {
        Holder::Authority => key(kind::AUTHORITY, &[]),
        Holder::Ca(name) => ca_key(name),
        Holder::Zone => key(kind::ZONE, &[]),
        Holder::Order(id) => order_key(*id),
        Holder::Hostname(name) => hostname_key(name),
    }
}

fn pair(key: Vec<u8>, value: &impl Message) -> Pair {
    (key, versioned(value))
}

pub(crate) fn cluster(cluster: &Cluster) -> Pair {
    let value = wire::Cluster {
        id: bytes_of(&cluster.id.0),
        founded_at: cluster.founded_at.0,
        epoch_number: cluster.epoch.number,
        epoch_term: cluster.epoch.term.0,
        epoch_node: cluster.epoch.node.0,
        epoch_since: cluster.epoch.since.0,
        next_node: cluster.counters.node,
        next_order: cluster.counters.order,
        next_invitation: cluster.counters.invitation,
        next_operator: cluster.counters.operator,
        pause: cluster.pause.as_ref().map(|pause| wire::Pause {
            by: pause.by.as_str().to_owned(),
            reason: pause.reason.clone(),
            since: pause.since.0,
        }),
        names: (cluster.names != cluster.id).then(|| bytes_of(&cluster.names.0)),
        restored: cluster.restored.as_ref().map(Into::into),
        level: (cluster.level != FeatureLevel::FIRST).then_some(cluster.level.0),
    };
    pair(key(kind::CLUSTER, &[]), &value)
}

pub(crate) fn authority(authority: &Authority) -> Pair {
    pair(key(kind::AUTHORITY, &[]), &wire::Authority::from(authority))
}

pub(crate) fn ca_key(name: &CaName) -> Vec<u8> {
    key(kind::CA, name.as_str().as_bytes())
}

pub(crate) fn ca(ca: &Ca) -> Pair {
    pair(ca_key(&ca.name), &wire::Ca::from(ca))
}

pub(crate) fn zone(zone: &Zone) -> Pair {
    pair(key(kind::ZONE, &[]), &wire::Zone::from(zone))
}

/// `ca`, `kind` and `key`, each ended by a zero but the last: in the order of
/// [`BucketKey`] but for the kinds, which are in that of their names.
pub(crate) fn bucket_key(bucket: &BucketKey) -> Vec<u8> {
    let id = format!("{}\0{}\0{}", bucket.ca, bucket.kind, bucket.key);
    key(kind::BUCKET, id.as_bytes())
}

pub(crate) fn bucket(key: &BucketKey, bucket: &Bucket) -> Pair {
    pair(bucket_key(key), &bucket_to(key, bucket))
}

pub(crate) fn tombstone_key(name: &Hostname) -> Vec<u8> {
    key(kind::TOMBSTONE, name.as_str().as_bytes())
}

pub(crate) fn tombstone(name: &Hostname, tombstone: &Tombstone) -> Pair {
    pair(tombstone_key(name), &wire::Tombstone::from(tombstone))
}

pub(crate) fn member_key(id: NodeId) -> Vec<u8> {
    key(kind::MEMBER, &id.0.to_be_bytes())
}

pub(crate) fn member(member: &Member) -> Pair {
    let who = wire::Newcomer {
        name: member.name.clone(),
        peer_address: member.peer_address.clone(),
        admin_address: member.admin_address.clone(),
        public_key: member.public_key.clone(),
        hpke_public_key: member.hpke_public_key.clone(),
    };
    let value = wire::Member {
        id: member.id.0,
        who: Some(who),
        invitation: member.invitation.map(|id| id.0),
        joined_at: member.joined_at.0,
        certificate: member.certificate.as_ref().map(Into::into),
        leaving: member.leaving,
        machine: member.machine.clone(),
    };
    pair(member_key(member.id), &value)
}

pub(crate) fn removed(removed: &Removed) -> Pair {
    let value = wire::Removed {
        id: removed.id.0,
        name: removed.name.clone(),
        public_key: removed.public_key.clone(),
        removed_at: removed.removed_at.0,
        removed: removed.removed.0,
        machine: removed.machine.clone(),
    };
    pair(key(kind::REMOVED, &removed.id.0.to_be_bytes()), &value)
}

pub(crate) fn operator(operator: &Operator) -> Pair {
    let value = wire::Operator {
        id: operator.id.0,
        name: operator.name.clone(),
        role: operator.role.as_str().to_owned(),
        public_key: operator.public_key.clone(),
        invitation: operator.invitation.map(|id| id.0),
        admitted_at: operator.admitted_at.0,
        certificate: operator.certificate.as_ref().map(Into::into),
    };
    pair(key(kind::OPERATOR, &operator.id.0.to_be_bytes()), &value)
}

pub(crate) fn invitation_key(id: InvitationId) -> Vec<u8> {
    key(kind::INVITATION, &id.0.to_be_bytes())
}

pub(crate) fn invitation(invitation: &Invitation) -> Pair {
    let redemption = invitation
        .redemption
        .as_ref()
        .map(|redemption| wire::Redemption {
            public_key: redemption.public_key.clone(),
            at: redemption.at.0,
            became: Some(match redemption.became {
                Became::Node(id) => wire::Became::Node(id.0),
                Became::Operator(id) => wire::Became::Operator(id.0),
            }),
        });
    let value = wire::Invitation {
        id: invitation.id.0,
        role: invitation.role.as_str().to_owned(),
        verifier: bytes_of(&invitation.verifier),
        created_at: invitation.created_at.0,
        created_by: invitation.created_by.as_str().to_owned(),
        expires_at: invitation.expires_at.0,
        revoked: invitation.revoked,
        redemption,
    };
    pair(invitation_key(invitation.id), &value)
}

pub(crate) fn data_key_key(purpose: KeyPurpose, generation: u32) -> Vec<u8> {
    let mut id = purpose.as_str().as_bytes().to_vec();
    id.extend_from_slice(&generation.to_be_bytes());
    key(kind::DATA_KEY, &id)
}

pub(crate) fn data_key(data_key: &DataKey) -> Pair {
    let key = data_key_key(data_key.purpose, data_key.generation);
    pair(key, &wire::DataKey::from(data_key))
}

pub(crate) fn certificate_key(id: &CertificateId) -> Vec<u8> {
    key(kind::CERTIFICATE, &id.0)
}

pub(crate) fn certificate(certificate: &Certificate) -> Pair {
    let value = wire::Certificate {
        hostname: certificate.hostname.as_str().to_owned(),
        sealed_under: certificate.sealed_under,
        chain: bytes_of(&certificate.chain.0),
        issuer: certificate.issuer.to_string(),
        serial: bytes_of(&certificate.serial),
        not_before: certificate.not_before.0,
        not_after: certificate.not_after.0,
        renew_at: certificate.renew_at.0,
        forget_at: certificate.forget_at.map(|at| at.0),
        kept: certificate.kept,
        wildcard: certificate.wildcard,
        algorithm: certificate.algorithm.as_str().to_owned(),
        ca: match &certificate.source {
            Source::Ca(name) => Some(name.as_str().to_owned()),
            Source::Uploaded => None,
        },
        window: certificate.window.as_ref().map(Into::into),
        reissue: certificate
            .reissue
            .map(|urgency| urgency.as_str().to_owned()),
        revocation: certificate.revocation.as_deref().map(Into::into),
    };
    pair(certificate_key(&certificate.id), &value)
}

pub(crate) fn order_key(id: OrderId) -> Vec<u8> {
    key(kind::ORDER, &id.0.to_be_bytes())
}

pub(crate) fn order(order: &Order) -> Pair {
    let (stage, placed) = stage_to(&order.stage);
    let value = wire::Order {
        hostname: order.hostname.as_str().to_owned(),
        claim: order.claim.0,
        attempt: order.attempt,
        admitted_at: order.admitted_at.0,
        key: Some((&order.key).into()),
        csr: order.csr.clone(),
        stage: stage.into(),
        placed,
        stage_at: order.stage_at.0,
        epoch: order.epoch.0,
        tenant: order.tenant.as_str().to_owned(),
        wildcard: order.wildcard,
        ca: order.ca.as_str().to_owned(),
        algorithm: order.algorithm.as_str().to_owned(),
        profile: order.profile.as_deref().map(ToOwned::to_owned),
        replaces: order.replaces.as_deref().map(ToOwned::to_owned),
        budget: order.budget.as_str().to_owned(),
        domain: order.domain.to_string(),
    };
    pair(order_key(order.id), &value)
}

pub(crate) fn hostname_key(name: &Hostname) -> Vec<u8> {
    key(kind::HOSTNAME, name.as_str().as_bytes())
}

pub(crate) fn hostname(name: &Hostname, record: &HostnameRecord) -> Pair {
    let value = wire::Hostname {
        authorized_at: record.authorized_at.0,
        authorized_by: record.authorized_by.to_string(),
        claim: record.claim.0,
        certificate: record.certificate.map(|id| bytes_of(&id.0)),
        order: record.order.map(|id| id.0),
        failure: record.failure.as_deref().map(Into::into),
        events: record.events,
        revision: record.revision.0,
        tenant: record.tenant.as_str().to_owned(),
        ownership: Some((&record.ownership).into()),
        wants: record.wants.as_deref().map(Into::into),
        rsa: record
            .certificate_of(KeyAlgorithm::Rsa)
            .map(|id| bytes_of(&id.0)),
        request: record.request().map(Into::into),
        contest: record.contest().map(Into::into),
        traffic: record.traffic.as_deref().map(Into::into),
    };
    pair(hostname_key(name), &value)
}

impl State {
    /// All records in the order of their keys: what a snapshot carries, and what
    /// two replicas at the same index have alike, byte for byte.
    pub fn records(&self) -> impl Iterator<Item = Pair> + '_ {
        let singles = [
            self.cluster.as_deref().map(cluster),
            self.authority.as_deref().map(authority),
        ];
        singles
            .into_iter()
            .flatten()
            .chain(self.cas.values().map(|value| ca(value)))
            .chain(self.cluster.is_some().then(|| zone(&self.zone)))
            .chain(self.members.values().map(|value| member(value)))
            .chain(self.removed.values().map(|value| removed(value)))
            .chain(self.operators.values().map(|value| operator(value)))
            .chain(self.invitations.values().map(|value| invitation(value)))
            .chain(self.data_keys_by_name().map(data_key))
            .chain(self.buckets_by_name())
            .chain(
                self.tombstones
                    .iter()
                    .map(|(name, value)| tombstone(name, value)),
            )
            .chain(self.certificates.values().map(|value| certificate(value)))
            .chain(self.orders.values().map(|value| order(value)))
            .chain(
                self.hostnames
                    .iter()
                    .map(|(name, record)| hostname(name, record)),
            )
    }

    /// In the order of their keys' bytes.
    fn buckets_by_name(&self) -> impl Iterator<Item = Pair> + '_ {
        let mut kinds = crate::LimitKind::ALL;
        kinds.sort_by_key(|kind| kind.as_str());
        self.cas.keys().flat_map(move |ca| {
            kinds.into_iter().flat_map(move |kind| {
                let first = BucketKey {
                    ca: ca.clone(),
                    kind,
                    key: "".into(),
                };
                self.buckets
                    .range(first..)
                    .take_while(move |(key, _)| key.ca == *ca && key.kind == kind)
                    .map(|(key, value)| bucket(key, value))
            })
        })
    }

    /// In the order of their keys' bytes: `control` before `serving`.
    fn data_keys_by_name(&self) -> impl Iterator<Item = &DataKey> {
        use crate::KeyPurpose::{Control, Serving};
        let of = |purpose| {
            self.data_keys
                .range((purpose, 0)..=(purpose, u32::MAX))
                .map(|(_, key)| &**key)
        };
        of(Control).chain(of(Serving))
    }

    /// The keys of all bodies that this state names, in no special order.
    pub fn body_keys(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        let certificates = self.certificates.values();
        let certificates = certificates.map(|it| crate::bodies::certificate_key(it));
        let chains = self.chains.keys().map(|id| crate::bodies::chain_key(id));
        let events = self.hostnames.iter().flat_map(|(name, record)| {
            let first = record.events.saturating_sub(crate::event::KEPT);
            (first..record.events).map(move |number| crate::bodies::event_key(name, number))
        });
        certificates.chain(chains).chain(events)
    }
}
