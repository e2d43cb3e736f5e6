//! Alternate chains: further roots that vouch for the same intermediate key.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, PublicKeyData,
};

use super::{
    Authority, AuthorityError, BACKDATE, INTERMEDIATE_VALIDITY, ROOT_VALIDITY, ca_params, failed,
    generate_key,
};
use crate::csr::CertifiableKey;
use crate::entropy::Entropy;
use crate::timestamp::Timestamp;

/// One further root, and what it signed. Both live in memory only.
#[derive(Debug)]
pub(super) struct Alternate {
    root_pem: String,
    intermediate_pem: String,
}

impl Authority {
    /// Makes alternate chains until there are `count`.
    pub(crate) fn grow_alternates(
        &mut self,
        count: u8,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<(), AuthorityError> {
        while self.alternates.len() < usize::from(count) {
            let number = self.alternates.len() + 1;
            let alternate = self.alternate(number, now, entropy)?;
            self.alternates.push(alternate);
        }
        Ok(())
    }

    /// The root of an alternate chain, PEM, counted from one, once it was made.
    pub(crate) fn alternate_root_pem(&self, number: u8) -> Option<&str> {
        let alternate = self.alternates.get(usize::from(number).checked_sub(1)?)?;
        Some(&alternate.root_pem)
    }

    pub(super) fn alternate_intermediate_pem(&self, number: u8) -> Option<&str> {
        let alternate = self.alternates.get(usize::from(number).checked_sub(1)?)?;
        Some(&alternate.intermediate_pem)
    }

    fn alternate(
        &self,
        number: usize,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Alternate, AuthorityError> {
        let begin = now.minus(BACKDATE);
        let root_params = ca_params(
            &format!("hostquorum development alternate root {number}"),
            BasicConstraints::Unconstrained,
            (begin, now.plus(ROOT_VALIDITY)),
            entropy,
        );
        let root_key = generate_key()?;
        let root = root_params
            .self_signed(&root_key)
            .map_err(failed("sign an alternate root certificate"))?;
        let mut params = ca_params(
            &self.intermediate_name,
            BasicConstraints::Constrained(0),
            (begin, now.plus(INTERMEDIATE_VALIDITY)),
            entropy,
        );
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let intermediate = params
            .signed_by(self.intermediate.key(), &Issuer::new(root_params, root_key))
            .map_err(failed("sign an alternate intermediate certificate"))?;
        Ok(Alternate {
            root_pem: root.pem(),
            intermediate_pem: intermediate.pem(),
        })
    }

    /// A key of nobody, for certificates that are to be spoiled.
    pub(crate) fn foreign_key(&self) -> Result<CertifiableKey, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(failed("generate a foreign key"))?;
        Ok(CertifiableKey::foreign(&key.subject_public_key_info()))
    }

    /// An intermediate of nobody's, PEM: it did not sign what it is sent along with.
    pub(crate) fn foreign_intermediate(&self, now: Timestamp) -> Result<String, AuthorityError> {
        let mut params = CertificateParams::default();
        params.not_before = now.minus(BACKDATE).date_time();
        params.not_after = now.plus(INTERMEDIATE_VALIDITY).date_time();
        params.is_ca = rcgen::IsCa::Ca(BasicConstraints::Constrained(0));
        params
            .distinguished_name
            .push(DnType::CommonName, "foreign intermediate");
        let certificate = params
            .self_signed(&generate_key()?)
            .map_err(failed("sign a foreign intermediate certificate"))?;
        Ok(certificate.pem())
    }
}
