//! A small CA of somebody else's, for certificates that operators bring.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize, date_time_ymd,
};

pub(crate) struct Mill {
    issuing: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its issuer, and its key, in PEM.
pub(crate) struct Ground {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Mill {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "Mill 1");
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self {
            issuing: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    /// From the year 2025 to the 31st of March 2026: 89 days after the tests' beginning.
    pub(crate) fn grind(&self, names: &[&str]) -> Ground {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        self.ground(names, &key)
    }

    pub(crate) fn grind_rsa(&self, names: &[&str]) -> Ground {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        self.ground(names, &key)
    }

    fn ground(&self, names: &[&str], key: &KeyPair) -> Ground {
        Ground {
            chain: self.sign(names, key),
            key: key.serialize_pem(),
        }
    }

    /// A certificate for any public key.
    pub(crate) fn sign(&self, names: &[&str], key: &impl PublicKeyData) -> String {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2025, 12, 31);
        params.not_after = date_time_ymd(2026, 3, 31);
        let leaf = params.signed_by(key, &self.issuing).unwrap();
        leaf.pem() + &self.issuing.pem()
    }

    /// Signs a request in PEM for its key.
    pub(crate) fn sign_request(&self, names: &[&str], csr: &str) -> String {
        let csr = rcgen::CertificateSigningRequestParams::from_pem(csr).unwrap();
        self.sign(names, &csr.public_key)
    }
}
