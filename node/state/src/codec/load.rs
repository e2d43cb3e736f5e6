//! A state from its records.

use std::sync::Arc;

use super::{
    DecodeError,
    convert::{array, certificate_id, chain_id, cluster_id, feature_level, field, hostname, role},
    issuance::{algorithm, bucket_from, budget, ca_name, reissue, tenant},
    order::stage_from,
    record::{self, kind},
    unversioned, wire,
};
use crate::{
    Actor, Certificate, Epoch, Extra, FeatureLevel, HostnameRecord, Index, Invitation,
    InvitationId, Member, NodeId, Operator, OperatorId, Order, OrderId, Redemption, Removed,
    Source, State, Term, Timestamp, Traffic, Wants,
    backup::Portable,
    cluster::{Cluster, Counters, Pause},
    command::Newcomer,
    invitation::Became,
    reseal::Holder,
};

type Result<T> = std::result::Result<T, DecodeError>;

impl State {
    /// Takes one record in. Those of [`kind::FEW`] come first, then those of
    /// [`kind::MANY`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let (kind, _) = key.split_first().ok_or(DecodeError::Empty)?;
        match *kind {
            kind::CLUSTER => self.cluster = Some(Arc::new(cluster(unversioned(value)?)?)),
            kind::AUTHORITY => {
                self.authority = Some(Arc::new(unversioned::<wire::Authority>(value)?.try_into()?));
            }
            kind::MEMBER => self.insert_member(member(unversioned(value)?)?),
            kind::REMOVED => self.insert_removed(removed(unversioned(value)?)),
            kind::OPERATOR => self.insert_operator(operator(unversioned(value)?)?),
            kind::INVITATION => self.insert_invitation(invitation(unversioned(value)?)?),
            kind::DATA_KEY => {
                self.insert_data_key(unversioned::<wire::DataKey>(value)?.try_into()?);
            }
            _ => match Portable::decode(key, value)? {
                Portable::Ca(ca) => self.insert_ca(ca),
                Portable::Zone(zone) => self.zone = zone,
                Portable::Bucket(key, bucket) => self.insert_bucket(key, bucket),
                Portable::Tombstone(name, tombstone) => self.insert_tombstone(name, tombstone),
                Portable::Certificate(certificate) => self.insert_certificate(certificate),
                Portable::Order(order) => self.insert_order(order),
                Portable::Hostname(name, record) => self.insert_hostname(name, record),
            },
        }
        Ok(())
    }

    /// Takes in what `name` is served with, while all the rest of [`kind::MANY`] is still
    /// absent: the hostname and the one a label above, with their certificates. `read` gives
    /// what is under a key.
    ///
    /// # Errors
    ///
    /// As `read` says, or a record cannot be decoded.
    pub fn load_served<E: From<DecodeError>>(
        &mut self,
        name: &str,
        mut read: impl FnMut(&[u8]) -> std::result::Result<Option<Vec<u8>>, E>,
    ) -> std::result::Result<(), E> {
        let above = name.split_once('.').map(|(_, above)| above);
        for name in [Some(name), above].into_iter().flatten() {
            let key = record::key(kind::HOSTNAME, name.as_bytes());
            let Some(value) = read(&key)? else { continue };
            self.load(&key, &value)?;
            let record = self.hostname(name);
            let ids = record.map(|record| record.certificates().collect::<Vec<_>>());
            for id in ids.unwrap_or_default() {
                let key = record::certificate_key(&id);
                if let Some(value) = read(&key)? {
                    self.load(&key, &value)?;
                }
            }
        }
        Ok(())
    }
}

impl Portable {
    /// One of its kinds, from its key and value.
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self> {
        let (kind, id) = key.split_first().ok_or(DecodeError::Empty)?;
        let name = || hostname(name_of(id)?);
        Ok(match *kind {
            kind::CA => Self::Ca(unversioned::<wire::Ca>(value)?.try_into()?),
            kind::ZONE => Self::Zone(unversioned::<wire::Zone>(value)?.try_into()?),
            kind::BUCKET => {
                let (key, bucket) = bucket_from(unversioned(value)?)?;
                Self::Bucket(key, bucket)
            }
            kind::TOMBSTONE => {
                let tombstone = unversioned::<wire::Tombstone>(value)?.try_into()?;
                Self::Tombstone(name()?, tombstone)
            }
            kind::CERTIFICATE => Self::Certificate(certificate(id, unversioned(value)?)?),
            kind::ORDER => Self::Order(order(id, unversioned(value)?)?),
            kind::HOSTNAME => Self::Hostname(name()?, hostname_record(unversioned(value)?)?),
            _ => return Err(DecodeError::Unknown("record")),
        })
    }

    /// Its key and value.
    pub(crate) fn encode(&self) -> record::Pair {
        match self {
            Self::Ca(ca) => record::ca(ca),
            Self::Zone(zone) => record::zone(zone),
            Self::Bucket(key, bucket) => record::bucket(key, bucket),
            Self::Tombstone(name, tombstone) => record::tombstone(name, tombstone),
            Self::Certificate(certificate) => record::certificate(certificate),
            Self::Order(order) => record::order(order),
            Self::Hostname(name, hostname) => record::hostname(name, hostname),
        }
    }
}

/// What holds secrets, from its key.
pub(super) fn holder(key: &[u8]) -> Result<Holder> {
    let (kind, id) = key.split_first().ok_or(DecodeError::Empty)?;
    Ok(match *kind {
        kind::AUTHORITY => Holder::Authority,
        kind::CA => Holder::Ca(ca_name(name_of(id)?)?),
        kind::ZONE => Holder::Zone,
        kind::ORDER => Holder::Order(OrderId(u64::from_be_bytes(array(id, "order")?))),
        kind::HOSTNAME => Holder::Hostname(hostname(name_of(id)?)?),
        _ => return Err(DecodeError::Unknown("holder of secrets")),
    })
}

fn cluster(cluster: wire::Cluster) -> Result<Cluster> {
    Ok(Cluster {
        id: cluster_id(&cluster.id)?,
        names: cluster_id(cluster.names.as_ref().unwrap_or(&cluster.id))?,
        founded_at: Timestamp(cluster.founded_at),
        epoch: Epoch {
            number: cluster.epoch_number,
            term: Term(cluster.epoch_term),
            node: NodeId(cluster.epoch_node),
            since: Timestamp(cluster.epoch_since),
        },
        counters: Counters {
            node: cluster.next_node,
            order: cluster.next_order,
            invitation: cluster.next_invitation,
            operator: cluster.next_operator,
        },
        pause: cluster.pause.map(|pause| Pause {
            by: Actor::parse(&pause.by),
            reason: pause.reason,
            since: Timestamp(pause.since),
        }),
        restored: cluster.restored.map(TryInto::try_into).transpose()?,
        level: feature_level(cluster.level.unwrap_or(FeatureLevel::FIRST.0))?,
    })
}

fn name_of(id: &[u8]) -> Result<&str> {
    std::str::from_utf8(id).map_err(|_| DecodeError::Field("hostname"))
}

fn member(member: wire::Member) -> Result<Member> {
    let who: Newcomer = field(member.who, "who")?.into();
    Ok(Member {
        id: NodeId(member.id),
        name: who.name,
        peer_address: who.peer_address,
        admin_address: who.admin_address,
        public_key: who.public_key,
        hpke_public_key: who.hpke_public_key,
        invitation: member.invitation.map(InvitationId),
        machine: member.machine,
        joined_at: Timestamp(member.joined_at),
        certificate: member.certificate.map(Into::into),
        leaving: member.leaving,
    })
}

fn removed(removed: wire::Removed) -> Removed {
    Removed {
        id: NodeId(removed.id),
        name: removed.name,
        public_key: removed.public_key,
        removed_at: Timestamp(removed.removed_at),
        removed: Index(removed.removed),
        machine: removed.machine,
    }
}

fn operator(operator: wire::Operator) -> Result<Operator> {
    Ok(Operator {
        id: OperatorId(operator.id),
        name: operator.name,
        role: role(&operator.role)?,
        public_key: operator.public_key,
        invitation: operator.invitation.map(InvitationId),
        admitted_at: Timestamp(operator.admitted_at),
        certificate: operator.certificate.map(Into::into),
    })
}

fn invitation(invitation: wire::Invitation) -> Result<Invitation> {
    let redemption = invitation.redemption.map(redemption).transpose()?;
    Ok(Invitation {
        id: InvitationId(invitation.id),
        role: role(&invitation.role)?,
        verifier: array(&invitation.verifier, "verifier")?,
        created_at: Timestamp(invitation.created_at),
        created_by: Actor::parse(&invitation.created_by),
        expires_at: Timestamp(invitation.expires_at),
        revoked: invitation.revoked,
        redemption,
    })
}

fn redemption(redemption: wire::Redemption) -> Result<Redemption> {
    let became = match redemption
        .became
        .ok_or(DecodeError::Unknown("redemption"))?
    {
        wire::Became::Node(id) => Became::Node(NodeId(id)),
        wire::Became::Operator(id) => Became::Operator(OperatorId(id)),
    };
    Ok(Redemption {
        public_key: redemption.public_key,
        became,
        at: Timestamp(redemption.at),
    })
}

fn certificate(id: &[u8], certificate: wire::Certificate) -> Result<Certificate> {
    Ok(Certificate {
        id: certificate_id(id)?,
        hostname: hostname(&certificate.hostname)?,
        sealed_under: certificate.sealed_under,
        chain: Arc::new(chain_id(&certificate.chain)?),
        issuer: certificate.issuer.into(),
        serial: certificate.serial.to_vec().into(),
        not_before: Timestamp(certificate.not_before),
        not_after: Timestamp(certificate.not_after),
        renew_at: Timestamp(certificate.renew_at),
        forget_at: certificate.forget_at.map(Timestamp),
        kept: certificate.kept,
        wildcard: certificate.wildcard,
        algorithm: algorithm(&certificate.algorithm)?,
        source: match certificate.ca {
            Some(name) => Source::Ca(ca_name(&name)?),
            None => Source::Uploaded,
        },
        window: certificate.window.map(Into::into),
        reissue: certificate.reissue.as_deref().map(reissue).transpose()?,
        revocation: certificate
            .revocation
            .map(|revocation| revocation.try_into().map(Box::new))
            .transpose()?,
    })
}

fn order(id: &[u8], order: wire::Order) -> Result<Order> {
    Ok(Order {
        id: OrderId(u64::from_be_bytes(array(id, "order")?)),
        hostname: hostname(&order.hostname)?,
        claim: Index(order.claim),
        attempt: order.attempt,
        admitted_at: Timestamp(order.admitted_at),
        key: field(order.key, "key")?.try_into()?,
        csr: order.csr,
        stage: stage_from(order.stage, order.placed)?,
        stage_at: Timestamp(order.stage_at),
        epoch: Term(order.epoch),
        tenant: tenant(&order.tenant)?,
        wildcard: order.wildcard,
        ca: ca_name(&order.ca)?,
        algorithm: algorithm(&order.algorithm)?,
        profile: order.profile.map(Into::into),
        replaces: order.replaces.map(Into::into),
        budget: budget(&order.budget)?,
        domain: order.domain.into(),
    })
}

fn hostname_record(record: wire::Hostname) -> Result<HostnameRecord> {
    let extra = Extra {
        rsa: record.rsa.map(|id| certificate_id(&id)).transpose()?,
        request: record.request.map(TryInto::try_into).transpose()?,
        contest: record.contest.map(TryInto::try_into).transpose()?,
    };
    let wants = record.wants.map(Wants::try_from).transpose()?;
    let traffic = record.traffic.map(Traffic::try_from).transpose()?;
    Ok(HostnameRecord {
        tenant: tenant(&record.tenant)?,
        ownership: field(record.ownership, "ownership")?.try_into()?,
        wants: wants.map(Arc::new),
        traffic: traffic.map(Arc::new),
        extra: (extra != Extra::default()).then(|| Box::new(extra)),
        authorized_at: Timestamp(record.authorized_at),
        authorized_by: record.authorized_by.into(),
        claim: Index(record.claim),
        certificate: record
            .certificate
            .map(|id| certificate_id(&id))
            .transpose()?,
        order: record.order.map(OrderId),
        failure: record
            .failure
            .map(TryInto::try_into)
            .transpose()?
            .map(Box::new),
        events: record.events,
        revision: Index(record.revision),
    })
}
