//! What the larger changes carry.

use bytes::Bytes;

use crate::{
    Authority, BackupOf, Budget, Ca, CaName, CertificateId, ChainId, ClusterId, DataKey, Hostname,
    Index, IssuedCertificate, KeyAlgorithm, OrderId, Origin, OwnershipToken, Sealed, Tenant,
    Timestamp, Wants, ZoneSettings, reseal::Holder,
};

/// All that a cluster begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub cluster_id: ClusterId,
    /// Its CA.
    pub authority: Authority,
    /// Its first member, which becomes node 1.
    pub founder: Newcomer,
    /// The founder's certificate.
    pub founder_certificate: IssuedCertificate,
    /// The first data keys, generation 1, sealed to the founder.
    pub data_keys: Vec<DataKey>,
    /// The first administrator, operator 1.
    pub admin_name: String,
    /// SubjectPublicKeyInfo (DER) of the administrator.
    pub admin_public_key: Bytes,
    /// The administrator's certificate.
    pub admin_certificate: IssuedCertificate,
    /// The first CA to obtain certificates from; absent: those of the backup.
    pub ca: Option<Ca>,
    /// What the zone is.
    pub zone: ZoneSettings,
    /// Where requests go, if it is known already.
    pub origin: Option<Origin>,
    /// The backup that it begins with, if it does.
    pub backup: Option<BackupOf>,
}

/// A part of a backup, every secret in it sealed for this cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restore {
    /// Records' keys and values, as [`crate::backup`] has them.
    pub records: Vec<(Bytes, Bytes)>,
    /// Bodies' keys and values.
    pub bodies: Vec<(Bytes, Bytes)>,
}

/// Secrets of a record, sealed anew under the present keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reseal {
    /// The record.
    pub holder: Holder,
    /// Each with the digest of what it was: what is no more in the record is left out.
    pub secrets: Vec<([u8; 32], Sealed)>,
}

/// A certificate's own key, sealed anew under the present serving key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResealCertificate {
    /// Which.
    pub id: CertificateId,
    /// Its leaf (DER), which stands beside the key on disk.
    pub leaf: Bytes,
    /// Its private key (PKCS #8), under the serving key.
    pub key: Sealed,
}

/// An authorization of a hostname.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorize {
    /// Which.
    pub hostname: Hostname,
    /// Whose it is.
    pub tenant: Tenant,
    /// What the claim's proof must show.
    pub token: OwnershipToken,
    /// What it is to have.
    pub wants: Wants,
    /// Nobody decided about this name, a rule did: refused while a tombstone tells that it
    /// was removed.
    pub on_demand: bool,
}

/// An order to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admit {
    /// For whom.
    pub hostname: Hostname,
    /// The hostname's claim as the leader saw it.
    pub claim: Index,
    /// At which CA.
    pub ca: CaName,
    /// The certificate's kind of key.
    pub algorithm: KeyAlgorithm,
    /// The profile to ask for, if any.
    pub profile: Option<String>,
    /// The certificate that it replaces, as RFC 9773 names it.
    pub replaces: Option<String>,
    /// What it costs.
    pub budget: Budget,
    /// The registered domain: the public suffix list is no part of the state, for it
    /// changes from release to release.
    pub domain: String,
    /// Private key (PKCS #8), under the serving key.
    pub key: Sealed,
    /// PKCS #10 (DER).
    pub csr: Bytes,
}

/// A certificate that an operator brought, as it was checked against its key and names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Whose.
    pub hostname: Hostname,
    /// It is for every name one label below, too.
    pub wildcard: bool,
    /// Its kind of key.
    pub algorithm: KeyAlgorithm,
    /// Its private key (PKCS #8), under the serving key; absent: that of the
    /// hostname's request.
    pub key: Option<Sealed>,
    /// What it is.
    pub parts: CertificateParts,
    /// When to replace it by one that we obtain; absent: never.
    pub move_at: Option<Timestamp>,
    /// Refuse unless this is the hostname's revision.
    pub revision: Option<Index>,
}

/// A machine that wants to be a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// What its operator calls it.
    pub name: String,
    /// host:port of its peer listener.
    pub peer_address: String,
    /// host:port of its admin listener.
    pub admin_address: String,
    /// SubjectPublicKeyInfo (DER).
    pub public_key: Bytes,
    /// X25519.
    pub hpke_public_key: Bytes,
}

/// A certificate as the leader checked it against the order's key and names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// Whose.
    pub order: OrderId,
    /// What it is.
    pub parts: CertificateParts,
    /// When to order the next one.
    pub renew_at: Timestamp,
}

/// What a certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateParts {
    /// What it is known by.
    pub id: CertificateId,
    /// The leaf (DER).
    pub leaf: Bytes,
    /// SHA-256 of the issuers.
    pub chain_id: ChainId,
    /// The issuers (DER), the leaf's first.
    pub chain: Vec<Bytes>,
    /// Common name of the leaf's issuer.
    pub issuer: String,
    /// Big-endian, without leading zeros.
    pub serial: Bytes,
    /// Beginning of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
}
