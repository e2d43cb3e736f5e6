//! Certificates of a small CA made here, good and bad.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
};
use state::{
    Hostname,
    testing::{START, host},
};
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
        self.inspect_as(pem, false, KeyAlgorithm::Ecdsa)
    }

    fn inspect_as(
        &self,
        pem: &str,
        wildcard: bool,
        algorithm: KeyAlgorithm,
    ) -> Result<Install, Unusable> {
        let hostname: Hostname = host("shop.example");
        let key = Secret::new(self.key.serialize_der());
        let expected = Expected {
            order: OrderId(9),
            wanted: Wanted {
                hostname: &hostname,
                wildcard,
                algorithm,
            },
            key: &key,
        };
        inspect(pem, &expected, START, Fraction::TWO_THIRDS)
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

#[test]
fn a_wildcard_is_for_the_name_and_all_below_it_and_nothing_else() {
    let mill = Mill::new();
    let good = (START, START.plus(days(90)));
    let check = |names: &[&str], expected: Result<(), &str>| {
        let pem = mill.chain(names, good.0, good.1);
        let found = mill.inspect_as(&pem, true, KeyAlgorithm::Ecdsa);
        let found = found.map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(found.as_ref().map_err(String::as_str).copied(), expected);
    };
    check(&["shop.example", "*.shop.example"], Ok(()));
    check(&["*.shop.example", "SHOP.example"], Ok(()));
    let one = "the certificate names DNSName(shop.example)";
    check(&["shop.example"], Err(one));
    let three = "the certificate names DNSName(shop.example), DNSName(*.shop.example), \
                 DNSName(b.example)";
    check(&["shop.example", "*.shop.example", "b.example"], Err(three));
}

#[test]
fn the_key_is_of_the_kind_that_was_ordered() {
    let mut mill = Mill::new();
    let good = (START, START.plus(days(90)));
    let ecdsa = mill.chain(&["shop.example"], good.0, good.1);
    let wrong = mill.inspect_as(&ecdsa, false, KeyAlgorithm::Rsa);
    assert_eq!(wrong, Err(Unusable::KeyKind(KeyAlgorithm::Rsa)));
    mill.key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let rsa = mill.chain(&["shop.example"], good.0, good.1);
    assert!(mill.inspect_as(&rsa, false, KeyAlgorithm::Rsa).is_ok());
    let wrong = mill.inspect(&rsa);
    assert_eq!(wrong, Err(Unusable::KeyKind(KeyAlgorithm::Ecdsa)));
}

#[test]
fn a_renewal_is_at_two_thirds_or_at_half_of_a_short_life() {
    let at = |life: Duration, fraction: Fraction| {
        let end = START.plus(life);
        fraction.renewal(START, end, START).since(START)
    };
    let hours = |count: u64| Duration::from_secs(count * 3_600);
    let third = Fraction::TWO_THIRDS;
    assert_eq!(at(days(90), third), days(60));
    assert_eq!(at(days(45), third), days(30));
    assert_eq!(at(hours(160), third), hours(80));
    assert_eq!(at(Duration::from_secs(60), third), Duration::from_secs(30));
    let early = Fraction {
        numerator: 1,
        denominator: 3,
    };
    assert_eq!(at(hours(150), early), hours(50));
}

#[test]
fn a_minute_that_is_dated_back_by_an_hour_is_used_for_a_tenth_of_it_at_least() {
    let (from, to) = (
        START.minus(Duration::from_secs(3_600)),
        START.plus(Duration::from_secs(60)),
    );
    let renewal = Fraction::TWO_THIRDS.renewal(from, to, START);
    assert_eq!(renewal.since(START), Duration::from_secs(6));
}

#[test]
fn chains_are_told_apart_by_their_top_and_compared_by_their_leaf() {
    let mill = Mill::new();
    let leaf = mill.leaf(&["shop.example"], START, START.plus(days(90)));
    let short = leaf.clone() + &mill.issuing.pem();
    let other = mill.chain(&["shop.example"], START, START.plus(days(90)));
    assert_eq!(topmost_issuer(&leaf).unwrap(), "Mill 1");
    assert_eq!(topmost_issuer(&short).unwrap(), "Mill Root");
    assert!(same_leaf(&leaf, &short).unwrap());
    assert!(!same_leaf(&short, &other).unwrap());
    assert!(topmost_issuer("").is_err());
}
