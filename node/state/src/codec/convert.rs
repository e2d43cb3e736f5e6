//! Between the shapes of the wire and the values of the domain: the parts that
//! commands and records share.

use bytes::Bytes;

use super::{DecodeError, wire};
use crate::{
    Authority, CertificateId, ChainId, ClusterId, DataKey, FeatureLevel, Hostname, HpkeSealed,
    Index, IssuedCertificate, KeyPurpose, NodeId, Origin, OriginProtocol, Role, Sealed, Timestamp,
    command::Newcomer,
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

/// One that this program does not know is a newer program's.
pub(super) fn feature_level(level: u32) -> Result<FeatureLevel> {
    let level = FeatureLevel(level);
    let known = FeatureLevel::FIRST..=FeatureLevel::NEWEST;
    known
        .contains(&level)
        .then_some(level)
        .ok_or(DecodeError::Unknown("feature level"))
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
            replace: key.replace,
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
            replace: key.replace,
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
