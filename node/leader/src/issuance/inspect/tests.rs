//! Certificates of a small CA made here, good and bad.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use state::testing::{START, host};
use time::OffsetDateTime;

use super::*;

struct Mill {
    root: CertifiedIssuer<'static, KeyPair>,
    issuing: CertifiedIssuer<'static, KeyPair>,
    key: KeyPair,
}

impl Mill {
    fn new() -> Self {
        let root = CertifiedIssuer::self_signed(ca("Mill Root"), pair()).unwrap();
        let issuing = CertifiedIssuer::signed_by(ca("Mill 1"), pair(), &root).unwrap();
        Self {
            root,
            issuing,
            key: pair(),
        }
    }

    fn leaf(&self, names: &[&str], from: Timestamp, to: Timestamp) -> String {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = at(from);
        params.not_after = at(to);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.signed_by(&self.key, &self.issuing).unwrap().pem()
    }

    fn chain(&self, names: &[&str], from: Timestamp, to: Timestamp) -> String {
        self.leaf(names, from, to) + &self.issuing.pem()
    }

    fn inspect(&self, pem: &str) -> Result<Install, Unusable> {
        let key = Secret::new(self.key.serialize_der());
        let (name, third) = (host("shop.example"), Fraction::TWO_THIRDS);
        inspect(OrderId(9), pem, &name, &key, START, third)
    }
}

fn pair() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params
}

fn at(moment: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(moment.as_secs()).unwrap()).unwrap()
}

fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

#[test]
fn a_good_certificate_is_described_as_it_will_be_stored() {
    let mill = Mill::new();
    let from = START.minus(Duration::from_secs(3_600));
    let pem = mill.chain(&["shop.example"], from, from.plus(days(90)));
    let install = mill.inspect(&pem).unwrap();
    assert_eq!(install.order, OrderId(9));
    assert_eq!(install.parts.issuer, "Mill 1");
    assert_eq!(install.parts.chain.len(), 1);
    assert_eq!(
        (install.parts.not_before, install.renew_at),
        (from, from.plus(days(60)))
    );
    assert_ne!(install.parts.serial.first(), Some(&0));
}

#[test]
fn a_certificate_late_in_its_life_is_not_ordered_again_at_once() {
    let mill = Mill::new();
    let pem = mill.chain(
        &["shop.example"],
        START.minus(days(80)),
        START.plus(days(10)),
    );
    assert_eq!(mill.inspect(&pem).unwrap().renew_at, START.plus(days(1)));
}

#[test]
fn a_longer_chain_is_followed_and_a_leaf_alone_is_taken() {
    let mill = Mill::new();
    let leaf = mill.leaf(&["shop.example"], START, START.plus(days(90)));
    let long = leaf.clone() + &mill.issuing.pem() + &mill.root.pem();
    assert_eq!(mill.inspect(&long).unwrap().parts.chain.len(), 2);
    assert_eq!(mill.inspect(&leaf).unwrap().parts.chain.len(), 0);
}

#[test]
fn whatever_is_wrong_is_said() {
    let mill = Mill::new();
    let other = Mill::new();
    let good = (START, START.plus(days(90)));
    let check = |pem: &str, expected: &str| {
        let error = mill.inspect(pem).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("", "has 0 certificates");
    check(
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        "no certificate",
    );
    check(
        &other.chain(&["shop.example"], good.0, good.1),
        "another key",
    );
    check(
        &mill.chain(&["shop.example", "b.example"], good.0, good.1),
        "b.example",
    );
    check(
        &mill.chain(&["other.example"], good.0, good.1),
        "other.example",
    );
    check(
        &mill.chain(&["*.shop.example"], good.0, good.1),
        "*.shop.example",
    );
    check(
        &mill.chain(&["shop.example"], START.minus(days(9)), START),
        "not now",
    );
    let ahead = START.plus(Duration::from_secs(600));
    check(
        &mill.chain(&["shop.example"], ahead, ahead.plus(days(9))),
        "not now",
    );
    let mixed = mill.leaf(&["shop.example"], good.0, good.1) + &other.issuing.pem();
    check(&mixed, "hold together");
    let many = mill.chain(&["shop.example"], good.0, good.1) + &mill.root.pem().repeat(10);
    check(&many, "11 certificates");
}
