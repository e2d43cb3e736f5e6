//! Between the shapes of the wire and the values of the domain: the parts that
//! commands and records share.

use std::sync::Arc;

use bytes::Bytes;

use super::{DecodeError, wire};
use crate::{
    Account, Authority, CertificateId, ChainId, ClusterId, DataKey, Evidence, Failure,
    FailureClass, Hostname, HpkeSealed, Index, IssuedCertificate, KeyPurpose, NodeId, Origin,
    OriginProtocol, Placed, Registration, Role, Sealed, Stage, Timestamp, command::Newcomer,
    order::PlacedChallenge,
};

type Result<T> = std::result::Result<T, DecodeError>;

pub(super) fn field<T>(value: Option<T>, name: &'static str) -> Result<T> {
    value.ok_or(DecodeError::Field(name))
}

pub(super) fn array<const N: usize>(bytes: &[u8], name: &'static str) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| DecodeError::Field(name))
}

pub(super) fn hostname(text: &str) -> Result<Hostname> {
    Hostname::stored(text).ok_or(DecodeError::Field("hostname"))
}

pub(super) fn purpose(text: &str) -> Result<KeyPurpose> {
    KeyPurpose::parse(text).ok_or(DecodeError::Unknown("key purpose"))
}

pub(super) fn role(text: &str) -> Result<Role> {
    Role::parse(text).ok_or(DecodeError::Unknown("role"))
}

pub(super) fn certificate_id(bytes: &[u8]) -> Result<CertificateId> {
    array(bytes, "certificate").map(CertificateId)
}

pub(super) fn chain_id(bytes: &[u8]) -> Result<ChainId> {
    array(bytes, "chain").map(ChainId)
}

pub(super) fn cluster_id(bytes: &[u8]) -> Result<ClusterId> {
    array(bytes, "cluster_id").map(ClusterId)
}

pub(super) fn bytes_of(array: &[u8]) -> Bytes {
    Bytes::copy_from_slice(array)
}

impl From<&Sealed> for wire::Sealed {
    fn from(sealed: &Sealed) -> Self {
        Self {
            purpose: sealed.purpose.as_str().to_owned(),
            generation: sealed.generation,
            nonce: bytes_of(&sealed.nonce),
            ciphertext: sealed.ciphertext.clone(),
        }
    }
}

impl TryFrom<wire::Sealed> for Sealed {
    type Error = DecodeError;

    fn try_from(sealed: wire::Sealed) -> Result<Self> {
        Ok(Self {
            purpose: purpose(&sealed.purpose)?,
            generation: sealed.generation,
            nonce: array(&sealed.nonce, "nonce")?,
            ciphertext: sealed.ciphertext,
        })
    }
}

pub(super) fn hpke_to(node: NodeId, sealed: &HpkeSealed) -> wire::HpkeSealed {
    wire::HpkeSealed {
        node: node.0,
        encapsulated: sealed.encapsulated.clone(),
        ciphertext: sealed.ciphertext.clone(),
    }
}

pub(super) fn hpke_from(sealed: wire::HpkeSealed) -> (NodeId, HpkeSealed) {
    (
        NodeId(sealed.node),
        HpkeSealed {
            encapsulated: sealed.encapsulated,
            ciphertext: sealed.ciphertext,
        },
    )
}

impl From<&DataKey> for wire::DataKey {
    fn from(key: &DataKey) -> Self {
        Self {
            purpose: key.purpose.as_str().to_owned(),
            generation: key.generation,
            created_at: key.created_at.0,
            created: key.created.0,
            sealed_for: key
                .sealed_for
                .iter()
                .map(|(node, sealed)| hpke_to(*node, sealed))
                .collect(),
        }
    }
}

impl TryFrom<wire::DataKey> for DataKey {
    type Error = DecodeError;

    fn try_from(key: wire::DataKey) -> Result<Self> {
        Ok(Self {
            purpose: purpose(&key.purpose)?,
            generation: key.generation,
            created_at: Timestamp(key.created_at),
            created: Index(key.created),
            sealed_for: key.sealed_for.into_iter().map(hpke_from).collect(),
        })
    }
}

impl From<&Authority> for wire::Authority {
    fn from(authority: &Authority) -> Self {
        Self {
            root: authority.root.clone(),
            root_key: Some((&authority.root_key).into()),
            issuing: authority.issuing.clone(),
            issuing_key: Some((&authority.issuing_key).into()),
            issuing_not_after: authority.issuing_not_after.0,
            issuing_renew_at: authority.issuing_renew_at.0,
        }
    }
}

impl TryFrom<wire::Authority> for Authority {
    type Error = DecodeError;

    fn try_from(authority: wire::Authority) -> Result<Self> {
        Ok(Self {
            root: authority.root,
            root_key: field(authority.root_key, "root_key")?.try_into()?,
            issuing: authority.issuing,
            issuing_key: field(authority.issuing_key, "issuing_key")?.try_into()?,
            issuing_not_after: Timestamp(authority.issuing_not_after),
            issuing_renew_at: Timestamp(authority.issuing_renew_at),
        })
    }
}

impl From<&Account> for wire::Account {
    fn from(account: &Account) -> Self {
        let (key, thumbprint, url) = match &account.registration {
            Registration::None => (None, String::new(), None),
            Registration::KeyCommitted { key, thumbprint } => {
                (Some(key.into()), thumbprint.clone(), None)
            }
            Registration::Registered {
                key,
                thumbprint,
                url,
            } => (Some(key.into()), thumbprint.clone(), Some(url.clone())),
        };
        Self {
            directory: account.directory.clone(),
            trust_roots_pem: account.trust_roots_pem.clone(),
            contacts: account.contacts.clone(),
            terms_agreed: account.terms_agreed,
            key,
            thumbprint,
            url,
        }
    }
}

impl TryFrom<wire::Account> for Account {
    type Error = DecodeError;

    fn try_from(account: wire::Account) -> Result<Self> {
        let thumbprint = account.thumbprint;
        let registration = match (account.key, account.url) {
            (None, _) => Registration::None,
            (Some(key), None) => Registration::KeyCommitted {
                key: key.try_into()?,
                thumbprint,
            },
            (Some(key), Some(url)) => Registration::Registered {
                key: key.try_into()?,
                thumbprint,
                url,
            },
        };
        Ok(Self {
            directory: account.directory,
            trust_roots_pem: account.trust_roots_pem,
            contacts: account.contacts,
            terms_agreed: account.terms_agreed,
            registration,
        })
    }
}

impl From<&Origin> for wire::Origin {
    fn from(origin: &Origin) -> Self {
        let protocol = match origin.protocol {
            OriginProtocol::Auto => wire::Protocol::Auto,
            OriginProtocol::Http1 => wire::Protocol::Http1,
            OriginProtocol::Http2 => wire::Protocol::Http2,
        };
        Self {
            url: origin.to_string(),
            protocol: protocol.into(),
        }
    }
}

impl TryFrom<wire::Origin> for Origin {
    type Error = DecodeError;

    fn try_from(origin: wire::Origin) -> Result<Self> {
        let protocol = match wire::Protocol::try_from(origin.protocol) {
            Ok(wire::Protocol::Auto) => OriginProtocol::Auto,
            Ok(wire::Protocol::Http1) => OriginProtocol::Http1,
            Ok(wire::Protocol::Http2) => OriginProtocol::Http2,
            Err(_) => return Err(DecodeError::Unknown("origin protocol")),
        };
        let parsed: Self = origin
            .url
            .parse()
            .map_err(|_| DecodeError::Field("origin"))?;
        Ok(parsed.with_protocol(protocol))
    }
}

impl From<&IssuedCertificate> for wire::IssuedCertificate {
    fn from(certificate: &IssuedCertificate) -> Self {
        Self {
            leaf: certificate.leaf.clone(),
            issuing: certificate.issuing.clone(),
            not_after: certificate.not_after.0,
            renew_at: certificate.renew_at.map(|at| at.0),
        }
    }
}

impl From<wire::IssuedCertificate> for IssuedCertificate {
    fn from(certificate: wire::IssuedCertificate) -> Self {
        Self {
            leaf: certificate.leaf,
            issuing: certificate.issuing,
            not_after: Timestamp(certificate.not_after),
            renew_at: certificate.renew_at.map(Timestamp),
        }
    }
}

impl From<&Newcomer> for wire::Newcomer {
    fn from(newcomer: &Newcomer) -> Self {
        Self {
            name: newcomer.name.clone(),
            peer_address: newcomer.peer_address.clone(),
            admin_address: newcomer.admin_address.clone(),
            public_key: newcomer.public_key.clone(),
            hpke_public_key: newcomer.hpke_public_key.clone(),
        }
    }
}

impl From<wire::Newcomer> for Newcomer {
    fn from(newcomer: wire::Newcomer) -> Self {
        Self {
            name: newcomer.name,
            peer_address: newcomer.peer_address,
            admin_address: newcomer.admin_address,
            public_key: newcomer.public_key,
            hpke_public_key: newcomer.hpke_public_key,
        }
    }
}

impl From<&Failure> for wire::Failure {
    fn from(failure: &Failure) -> Self {
        Self {
            class: wire::FailureClass::from(failure.class).into(),
            reason: failure.reason.to_string(),
            count: failure.count,
            at: failure.at.0,
            next_try: failure.next_try.0,
        }
    }
}

impl TryFrom<wire::Failure> for Failure {
    type Error = DecodeError;

    fn try_from(failure: wire::Failure) -> Result<Self> {
        Ok(Self {
            class: failure_class(failure.class)?,
            reason: Arc::from(failure.reason),
            count: failure.count,
            at: Timestamp(failure.at),
            next_try: Timestamp(failure.next_try),
        })
    }
}

impl From<FailureClass> for wire::FailureClass {
    fn from(class: FailureClass) -> Self {
        match class {
            FailureClass::Challenge => Self::Challenge,
            FailureClass::Rejected => Self::Rejected,
            FailureClass::RateLimited => Self::RateLimited,
            FailureClass::Unavailable => Self::Unavailable,
            FailureClass::Unusable => Self::Unusable,
        }
    }
}

pub(super) fn failure_class(value: i32) -> Result<FailureClass> {
    Ok(match wire::FailureClass::try_from(value) {
        Ok(wire::FailureClass::Challenge) => FailureClass::Challenge,
        Ok(wire::FailureClass::Rejected) => FailureClass::Rejected,
        Ok(wire::FailureClass::RateLimited) => FailureClass::RateLimited,
        Ok(wire::FailureClass::Unavailable) => FailureClass::Unavailable,
        Ok(wire::FailureClass::Unusable) => FailureClass::Unusable,
        Ok(wire::FailureClass::Unspecified) | Err(_) => {
            return Err(DecodeError::Unknown("failure class"));
        }
    })
}

impl From<Evidence> for wire::Evidence {
    fn from(evidence: Evidence) -> Self {
        match evidence {
            Evidence::NeverPlaced => Self::NeverPlaced,
            Evidence::Invalid => Self::Invalid,
            Evidence::Gone => Self::Gone,
            Evidence::Withdrawn => Self::Withdrawn,
            Evidence::Unusable => Self::Unusable,
        }
    }
}

pub(super) fn evidence(value: i32) -> Result<Evidence> {
    Ok(match wire::Evidence::try_from(value) {
        Ok(wire::Evidence::NeverPlaced) => Evidence::NeverPlaced,
        Ok(wire::Evidence::Invalid) => Evidence::Invalid,
        Ok(wire::Evidence::Gone) => Evidence::Gone,
        Ok(wire::Evidence::Withdrawn) => Evidence::Withdrawn,
        Ok(wire::Evidence::Unusable) => Evidence::Unusable,
        Ok(wire::Evidence::Unspecified) | Err(_) => return Err(DecodeError::Unknown("evidence")),
    })
}

impl From<&Placed> for wire::Placed {
    fn from(placed: &Placed) -> Self {
        let challenge = placed.challenge.as_ref();
        Self {
            url: placed.url.clone(),
            finalize_url: placed.finalize_url.clone(),
            authorization_url: placed.authorization_url.clone(),
            challenge_url: challenge
                .map(|challenge| challenge.url.clone())
                .unwrap_or_default(),
            token: challenge.map(|challenge| challenge.token.clone()),
            expires: placed.expires.map(|at| at.0),
        }
    }
}

impl From<wire::Placed> for Placed {
    fn from(placed: wire::Placed) -> Self {
        let url = placed.challenge_url;
        Self {
            url: placed.url,
            finalize_url: placed.finalize_url,
            authorization_url: placed.authorization_url,
            challenge: placed.token.map(|token| PlacedChallenge { url, token }),
            expires: placed.expires.map(Timestamp),
        }
    }
}

pub(super) fn stage_to(stage: &Stage) -> (wire::Stage, Option<wire::Placed>) {
    let kind = match stage {
        Stage::Admitted => wire::Stage::Admitted,
        Stage::Prepared(_) => wire::Stage::Prepared,
        Stage::ReadyIntent(_) => wire::Stage::ReadyIntent,
        Stage::FinalizeIntent(_) => wire::Stage::FinalizeIntent,
    };
    (kind, stage.placed().map(wire::Placed::from))
}

pub(super) fn stage_from(kind: i32, placed: Option<wire::Placed>) -> Result<Stage> {
    let placed = placed.map(Placed::from).ok_or(DecodeError::Field("placed"));
    Ok(match wire::Stage::try_from(kind) {
        Ok(wire::Stage::Admitted) => Stage::Admitted,
        Ok(wire::Stage::Prepared) => Stage::Prepared(placed?),
        Ok(wire::Stage::ReadyIntent) => Stage::ReadyIntent(placed?),
        Ok(wire::Stage::FinalizeIntent) => Stage::FinalizeIntent(placed?),
        Ok(wire::Stage::Unspecified) | Err(_) => return Err(DecodeError::Unknown("stage")),
    })
}
