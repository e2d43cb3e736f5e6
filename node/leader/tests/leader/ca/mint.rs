//! Where the CA in memory signs.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use state::Timestamp;
use time::OffsetDateTime;

use super::manners::Manners;

const NAME: &str = "Fake 1";

pub(super) struct Mint {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Mint {
    pub(super) fn new() -> Self {
        let issuer = CertifiedIssuer::self_signed(authority(NAME), KeyPair::generate().unwrap());
        Self {
            issuer: issuer.unwrap(),
        }
    }

    /// A leaf, PEM.
    pub(super) fn sign(&self, csr: &[u8], manners: &Manners, now: Timestamp) -> String {
        let mut request = CertificateSigningRequestParams::from_der(&csr.into()).unwrap();
        if let Some(name) = manners.misnamed {
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            request.params.subject_alt_names = params.subject_alt_names;
        }
        request.params.not_before = moment(now);
        request.params.not_after = moment(now.plus(manners.validity));
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        request.signed_by(&self.issuer).unwrap().pem()
    }

    /// What stands above each leaf.
    pub(super) fn chain(&self) -> String {
        self.issuer.pem()
    }

    /// The same authority, signed by another root.
    pub(super) fn chain_to(&self, root: &str) -> String {
        let above = Issuer::new(authority(root), KeyPair::generate().unwrap());
        let crossed = authority(NAME).signed_by(self.issuer.key(), &above);
        crossed.unwrap().pem()
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn moment(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(at.as_secs()).unwrap()).unwrap()
}
