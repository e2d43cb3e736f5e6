//! What a cluster leaves to another by a backup, and how the other takes it over.
//!
//! What was agreed about hostnames, CAs and what they allow comes along, with every key and
//! certificate. Who takes part, who operates and what they were given does not: the cluster
//! that takes over has members, operators, a CA and data keys of its own. So a node of the old
//! one is a stranger to it, and no token of the old one is worth anything.
//!
//! Places in the old log mean nothing in the new one. A hostname's claim becomes the place
//! where the new cluster began, and so does the claim of an order that was begun for it. An
//! order of an earlier claim, which is to come to nothing, keeps one that no hostname has.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{
    Bucket, BucketKey, Ca, Certificate, ClusterId, Hostname, HostnameRecord, Index, Order,
    Registration, Sealed, State, Term, Timestamp, Tombstone, Traffic, Zone, bodies,
    cluster::BackupOf,
    codec::{self, DecodeError},
    event,
    sealed::SealContext,
    traffic::{OriginIdentity, Switch},
};

/// In a backup: the claim that a hostname has.
const PRESENT: Index = Index(1);
/// In a backup: any that it had before.
const EARLIER: Index = Index(0);
/// In a backup: whatever the revision is, which is stamped where it is taken over.
const NEVER_CHANGED: Index = Index(0);

/// What can be taken over.
#[derive(Clone, Debug)]
pub(crate) enum Portable {
    Ca(Ca),
    Zone(Zone),
    Bucket(BucketKey, Bucket),
    Tombstone(Hostname, Tombstone),
    Certificate(Certificate),
    Order(Order),
    Hostname(Hostname, HostnameRecord),
}

/// A piece of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A record.
    Record {
        /// Its key.
        key: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// A body.
    Body {
        /// Its key.
        key: Vec<u8>,
        /// The key that it has in this state.
        at: Vec<u8>,
    },
}

impl State {
    /// What a backup of this state is of; absent before the cluster was formed.
    pub fn backup_of(&self, now: Timestamp) -> Option<BackupOf> {
        let cluster: ClusterId = self.cluster_id()?;
        Some(BackupOf {
            cluster,
            names: self.names_id()?,
            index: self.index,
            taken_at: now,
        })
    }

    /// All that another cluster can take over, in the order in which it is to: what others
    /// need comes first, and a certificate's body right after its record.
    pub fn backup(&self) -> impl Iterator<Item = Piece> + '_ {
        let chains = self.chains.keys().map(|id| bodies::chain_key(id));
        let chains = chains.map(Piece::same_body);
        let zone = Zone {
            revision: NEVER_CHANGED,
            ..self.zone.clone()
        };
        let ca = |ca: &std::sync::Arc<Ca>| {
            Portable::Ca(Ca {
                revision: NEVER_CHANGED,
                ..(**ca).clone()
            })
        };
        let few = std::iter::once(Portable::Zone(zone))
            .chain(self.cas.values().map(ca))
            .chain(
                self.buckets
                    .iter()
                    .map(|(key, bucket)| Portable::Bucket(key.clone(), *bucket)),
            )
            .chain(
                self.tombstones
                    .iter()
                    .map(|(name, it)| Portable::Tombstone(name.clone(), (**it).clone())),
            );
        let certificates = self.certificates.values().flat_map(|certificate| {
            let at = bodies::certificate_key(certificate);
            // Under which of its own keys whoever takes it over seals it is theirs to say.
            let record = Portable::Certificate(Certificate {
                sealed_under: 0,
                ..(**certificate).clone()
            });
            let key = bodies::left_certificate_key(&certificate.id);
            [record.into(), Piece::Body { key, at }]
        });
        let orders = self.orders.values().map(|order| self.order_left(order));
        let hostnames = self.hostnames.iter().flat_map(|(name, record)| {
            let first = record.events.saturating_sub(event::KEPT);
            let events = (first..record.events).map(|number| bodies::event_key(name, number));
            let record = hostname_left(name, record);
            std::iter::once(record.into()).chain(events.map(Piece::same_body))
        });
        chains
            .chain(few.map(Piece::from))
            .chain(certificates)
            .chain(orders.map(Piece::from))
            .chain(hostnames)
    }

    fn order_left(&self, order: &Order) -> Portable {
        let record = self.hostname(order.hostname.as_str());
        let present = record.is_some_and(|record| record.claim == order.claim);
        Portable::Order(Order {
            claim: if present { PRESENT } else { EARLIER },
            // Before every term of the cluster that takes over.
            epoch: Term(0),
            ..order.clone()
        })
    }
}

fn hostname_left(name: &Hostname, record: &HostnameRecord) -> Portable {
    let mut record = claimed_at(PRESENT, record.clone());
    record.revision = NEVER_CHANGED;
    Portable::Hostname(name.clone(), record)
}

/// With all its claims made at one place of the log.
fn claimed_at(claim: Index, mut record: HostnameRecord) -> HostnameRecord {
    record.claim = claim;
    record.edit_extra(|extra| {
        if let Some(contest) = &mut extra.contest {
            contest.claim = claim;
        }
    });
    record
}

impl Piece {
    fn same_body(key: Vec<u8>) -> Self {
        let at = key.clone();
        Self::Body { key, at }
    }
}

impl From<Portable> for Piece {
    fn from(portable: Portable) -> Self {
        let (key, value) = portable.encode();
        Self::Record { key, value }
    }
}

impl Portable {
    /// Places it in the log of the cluster that takes over.
    pub(crate) fn claimed(self, claim: Index) -> Self {
        let placed = |left| if left == EARLIER { EARLIER } else { claim };
        match self {
            Self::Order(order) => Self::Order(Order {
                claim: placed(order.claim),
                ..order
            }),
            Self::Hostname(name, record) => Self::Hostname(name, claimed_at(claim, record)),
            other => other,
        }
    }

    /// Seals every secret in it anew by `seal`.
    pub(crate) fn resealed<E>(
        self,
        seal: &mut impl FnMut(&SealContext, &Sealed) -> Result<Sealed, E>,
    ) -> Result<Self, E> {
        Ok(match self {
            Self::Ca(ca) => Self::Ca(resealed_ca(ca, seal)?),
            Self::Zone(mut zone) => {
                let traffic = resealed_traffic(&zone.traffic, seal)?;
                if let Some(traffic) = traffic {
                    zone.traffic = traffic.into();
                }
                Self::Zone(zone)
            }
            Self::Order(mut order) => {
                let context = SealContext::CertificateKey(order.hostname.clone());
                order.key = seal(&context, &order.key)?;
                Self::Order(order)
            }
            Self::Hostname(name, mut record) => {
                if let Some(traffic) = &record.traffic
                    && let Some(traffic) = resealed_traffic(traffic, seal)?
                {
                    record.traffic = Some(traffic.into());
                }
                if let Some(request) = record.request() {
                    let context = SealContext::CertificateKey(name.clone());
                    let key = seal(&context, &request.key)?;
                    record.edit_extra(|extra| {
                        if let Some(request) = &mut extra.request {
                            request.key = key;
                        }
                    });
                }
                Self::Hostname(name, record)
            }
            plain @ (Self::Bucket(..) | Self::Tombstone(..) | Self::Certificate(_)) => plain,
        })
    }
}

fn resealed_ca<E>(
    mut ca: Ca,
    seal: &mut impl FnMut(&SealContext, &Sealed) -> Result<Sealed, E>,
) -> Result<Ca, E> {
    if let Some(account) = &mut ca.external_account {
        let context = SealContext::ExternalAccountKey(ca.name.clone());
        account.hmac = seal(&context, &account.hmac)?;
    }
    let context = SealContext::AccountKey(ca.name.clone());
    match &mut ca.registration {
        Registration::None => {}
        Registration::KeyCommitted(key) | Registration::Registered { key, .. } => {
            key.sealed = seal(&context, &key.sealed)?;
        }
        Registration::Rolling { key, next, .. } => {
            key.sealed = seal(&context, &key.sealed)?;
            next.sealed = seal(&context, &next.sealed)?;
        }
    }
    Ok(ca)
}

/// Absent if there is no secret in it.
fn resealed_traffic<E>(
    traffic: &Traffic,
    seal: &mut impl FnMut(&SealContext, &Sealed) -> Result<Sealed, E>,
) -> Result<Option<Traffic>, E> {
    let Some(Switch::On(identity)) = &traffic.origin_identity else {
        return Ok(None);
    };
    let leaf = identity.chain.first().map(Bytes::as_ref);
    let context = SealContext::OriginIdentity(Sha256::digest(leaf.unwrap_or_default()).into());
    let identity = OriginIdentity {
        chain: identity.chain.clone(),
        key: seal(&context, &identity.key)?,
    };
    Ok(Some(Traffic {
        origin_identity: Some(Switch::On(identity.into())),
        ..traffic.clone()
    }))
}

/// Takes pieces of a backup over, in their order: seals each secret for the cluster that is
/// to have it.
#[derive(Debug, Default)]
pub struct TakingOver {
    // Whose certificate's record came last: its body follows.
    certificate: Option<(Vec<u8>, Hostname)>,
}

/// Why a piece cannot be taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PieceError<E> {
    /// It is none, or of a program that is newer.
    #[error("the backup cannot be understood")]
    Undecodable(#[from] DecodeError),
    /// A secret cannot be opened or sealed.
    #[error("a secret of the backup cannot be taken over")]
    Secret(#[source] E),
    /// The order of the pieces is not that of a backup.
    #[error("a certificate's key does not follow the certificate")]
    Order,
}

impl TakingOver {
    /// A record's value as it is to be; `seal` opens what is sealed and seals it anew.
    pub fn record<E>(
        &mut self,
        key: &[u8],
        value: &[u8],
        mut seal: impl FnMut(&SealContext, &Sealed) -> Result<Sealed, E>,
    ) -> Result<Vec<u8>, PieceError<E>> {
        let portable = Portable::decode(key, value)?;
        self.certificate = match &portable {
            Portable::Certificate(certificate) => Some((
                bodies::left_certificate_key(&certificate.id),
                certificate.hostname.clone(),
            )),
            _ => None,
        };
        let portable = portable.resealed(&mut seal).map_err(PieceError::Secret)?;
        let (_, value) = portable.encode();
        Ok(value)
    }

    /// A body's value as it is to be.
    pub fn body<E>(
        &mut self,
        key: &[u8],
        value: &[u8],
        mut seal: impl FnMut(&SealContext, &Sealed) -> Result<Sealed, E>,
    ) -> Result<Vec<u8>, PieceError<E>> {
        if !bodies::is_certificate(key) {
            return Ok(value.to_vec());
        }
        let (_, hostname) = self
            .certificate
            .take()
            .filter(|(expected, _)| expected == key)
            .ok_or(PieceError::Order)?;
        let (leaf, sealed) = codec::certificate_own_from(value)?;
        let context = SealContext::CertificateKey(hostname);
        let sealed = seal(&context, &sealed).map_err(PieceError::Secret)?;
        Ok(codec::certificate_own_to(&leaf, &sealed))
    }
}
