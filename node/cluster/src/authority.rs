//! The cluster's own CA: what it signs, for how long, in whose name. Names come
//! from policy, never from a request.

use std::time::Duration;

use bytes::Bytes;
use enroll::{
    OperatorRole, PrivateKey, Subject,
    names::{cluster_host, node_host, uri},
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::pki_types::CertificateDer;
use state::{ClusterId, IssuedCertificate, NodeId, OperatorId, Role, Timestamp};
use time::OffsetDateTime;

use crate::entropy::{Entropy, random};

/// How long the root is valid: its hash is in tokens and contexts, and it is used
/// once a year.
pub const ROOT_VALIDITY: Duration = Duration::from_secs(10 * 365 * 86_400);

/// How long an online CA is valid; the next is made at half of it.
pub const ISSUING_VALIDITY: Duration = Duration::from_secs(365 * 86_400);

/// How long a member's certificate is valid; the next is signed at half of it.
pub const NODE_VALIDITY: Duration = Duration::from_secs(7 * 86_400);

/// How long an operator's certificate is valid. There is no renewal: a new login.
pub const OPERATOR_VALIDITY: Duration = Duration::from_secs(90 * 86_400);

/// How far validity begins in the past: clocks of newcomers may be behind.
pub const BACKDATED: Duration = Duration::from_secs(3600);

/// Why nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// A key or a name that the library does not take.
    #[error("a certificate could not be signed: {0}")]
    Sign(#[from] rcgen::Error),
    /// The clock stands where certificates have no dates.
    #[error("the clock is outside the years that certificates can name")]
    Clock,
    /// No key could be made.
    #[error(transparent)]
    Key(#[from] enroll::key::KeyError),
}

/// A CA that can sign.
pub struct SigningAuthority {
    certificate: Bytes,
    issuer: Issuer<'static, KeyPair>,
    not_after: Timestamp,
}

/// A CA that was just made. Its private key is to be sealed.
pub struct MadeAuthority {
    /// Its certificate (DER).
    pub certificate: Bytes,
    /// Its key.
    pub key: PrivateKey,
    /// When it ends.
    pub not_after: Timestamp,
    /// When the next is to be made.
    pub renew_at: Timestamp,
}

impl MadeAuthority {
    /// A root for a new cluster.
    pub fn root(
        cluster: ClusterId,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, AuthorityError> {
        let key = PrivateKey::generate()?;
        let validity = Validity::of(now, ROOT_VALIDITY);
        let name = format!("hostquorum root {cluster}");
        let params = authority_params(&name, BasicConstraints::Constrained(1), validity, entropy)?;
        let certificate = params.self_signed(key.pair())?;
        Ok(Self::new(certificate.der(), key, validity))
    }

    /// An online CA under `root`.
    pub fn issuing(
        root: &SigningAuthority,
        cluster: ClusterId,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, AuthorityError> {
        let key = PrivateKey::generate()?;
        let validity = Validity::of(now, ISSUING_VALIDITY).within(root.not_after);
        let name = format!("hostquorum issuing {cluster}");
        let mut params =
            authority_params(&name, BasicConstraints::Constrained(0), validity, entropy)?;
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(key.pair(), &root.issuer)?;
        Ok(Self::new(certificate.der(), key, validity))
    }

    fn new(certificate: &CertificateDer<'_>, key: PrivateKey, validity: Validity) -> Self {
        Self {
            certificate: Bytes::copy_from_slice(certificate),
            key,
            not_after: validity.not_after,
            renew_at: validity.half(),
        }
    }

    /// Ready to sign.
    pub fn signing(&self) -> Result<SigningAuthority, AuthorityError> {
        SigningAuthority::new(
            self.certificate.clone(),
            &self.key.to_pkcs8(),
            self.not_after,
        )
    }
}

impl SigningAuthority {
    /// From its certificate, its key (PKCS #8) and its end.
    pub fn new(
        certificate: Bytes,
        key: &[u8],
        not_after: Timestamp,
    ) -> Result<Self, AuthorityError> {
        let key = PrivateKey::from_pkcs8(key)?;
        let key = KeyPair::try_from(&key.to_pkcs8()[..])?;
        let der = CertificateDer::from(certificate.to_vec());
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(&der, key)?,
            certificate,
            not_after,
        })
    }

    /// A member's certificate: for calling and for being called.
    pub fn sign_node(
        &self,
        cluster: ClusterId,
        node: NodeId,
        public_key: &[u8],
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<IssuedCertificate, AuthorityError> {
        let validity = Validity::of(now, NODE_VALIDITY).within(self.not_after);
        let mut params = params(&format!("node-{node}"), validity, entropy)?;
        params.subject_alt_names = vec![
            SanType::URI(uri(&cluster.0, Subject::Node(node.0)).try_into()?),
            SanType::DnsName(node_host(&cluster.0, node.0).try_into()?),
            SanType::DnsName(cluster_host(&cluster.0).try_into()?),
        ];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign_leaf(params, public_key, validity, Some(validity.half()))
    }

    /// An operator's certificate: for calling.
    pub fn sign_operator(
        &self,
        cluster: ClusterId,
        operator: &OperatorNames<'_>,
        public_key: &[u8],
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<IssuedCertificate, AuthorityError> {
        let validity = Validity::of(now, OPERATOR_VALIDITY).within(self.not_after);
        let mut params = params(operator.name, validity, entropy)?;
        let subject = Subject::Operator {
            role: operator.role,
            id: operator.id.0,
        };
        params.subject_alt_names = vec![SanType::URI(uri(&cluster.0, subject).try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign_leaf(params, public_key, validity, None)
    }

    fn sign_leaf(
        &self,
        mut params: CertificateParams,
        public_key: &[u8],
        validity: Validity,
        renew_at: Option<Timestamp>,
    ) -> Result<IssuedCertificate, AuthorityError> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        let key = SubjectPublicKeyInfo::from_der(public_key)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(IssuedCertificate {
            leaf: Bytes::copy_from_slice(certificate.der()),
            issuing: self.certificate.clone(),
            not_after: validity.not_after,
            renew_at,
        })
    }
}

/// Who an operator's certificate speaks for.
#[derive(Clone, Copy, Debug)]
pub struct OperatorNames<'a> {
    /// Its id.
    pub id: OperatorId,
    /// As the audit shows it.
    pub name: &'a str,
    /// What it may do.
    pub role: OperatorRole,
}

/// The operator's role of a role; a node has none.
pub fn operator_role(role: Role) -> Option<OperatorRole> {
    match role {
        Role::Node => None,
        Role::Admin => Some(OperatorRole::Admin),
        Role::Viewer => Some(OperatorRole::Viewer),
    }
}

#[derive(Clone, Copy)]
struct Validity {
    not_before: Timestamp,
    not_after: Timestamp,
    from: Timestamp,
}

impl Validity {
    fn of(now: Timestamp, length: Duration) -> Self {
        // Certificates count in seconds: what is stored must equal what is signed.
        let from = Timestamp::from_secs(now.as_secs());
        Self {
            not_before: from.minus(BACKDATED),
            not_after: from.plus(length),
            from,
        }
    }

    /// Nothing is valid for longer than its issuer.
    fn within(self, issuer: Timestamp) -> Self {
        Self {
            not_after: self.not_after.min(issuer),
            ..self
        }
    }

    fn half(self) -> Timestamp {
        self.from.plus(self.not_after.since(self.from) / 2)
    }
}

fn params(
    name: &str,
    validity: Validity,
    entropy: &dyn Entropy,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date(validity.not_before)?;
    params.not_after = date(validity.not_after)?;
    // Positive and without a leading zero (RFC 5280 section 4.1.2.2).
    let mut serial = random::<16>(entropy);
    serial[0] = (serial[0] & 0x7f) | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn authority_params(
    name: &str,
    constraints: BasicConstraints,
    validity: Validity,
    entropy: &dyn Entropy,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = params(name, validity, entropy)?;
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn date(at: Timestamp) -> Result<OffsetDateTime, AuthorityError> {
    let secs = i64::try_from(at.as_secs()).map_err(|_| AuthorityError::Clock)?;
    OffsetDateTime::from_unix_timestamp(secs).map_err(|_| AuthorityError::Clock)
}

#[cfg(test)]
mod tests;
