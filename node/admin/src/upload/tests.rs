//! Certificates of a small CA made here, good and bad; each fault by its reason and words.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256,
    RsaKeySize,
};
use state::testing::{START, host};
use time::OffsetDateTime;

use super::*;
use crate::problem::Problem;

const DAY: Duration = Duration::from_secs(86_400);

struct Mill {
    root: CertifiedIssuer<'static, KeyPair>,
    issuing: CertifiedIssuer<'static, KeyPair>,
    key: KeyPair,
}

/// What a leaf is to say.
struct Leaf<'a> {
    names: &'a [&'a str],
    from: Timestamp,
    to: Timestamp,
    usages: &'a [ExtendedKeyUsagePurpose],
}

impl Default for Leaf<'_> {
    fn default() -> Self {
        Self {
            names: &["shop.example"],
            from: START.minus(DAY),
            to: START.plus(DAY * 89),
            usages: &[ExtendedKeyUsagePurpose::ServerAuth],
        }
    }
}

impl Mill {
    fn new() -> Self {
        let root = CertifiedIssuer::self_signed(ca("Mill Root", 3650), pair()).unwrap();
        let issuing = CertifiedIssuer::signed_by(ca("Mill 1", 3650), pair(), &root).unwrap();
        let key = pair();
        Self { root, issuing, key }
    }

    fn leaf(&self, leaf: &Leaf<'_>) -> String {
        let names: Vec<String> = leaf.names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = at(leaf.from);
        params.not_after = at(leaf.to);
        params.extended_key_usages = leaf.usages.to_vec();
        params.distinguished_name.push(DnType::CommonName, "leaf");
        params.signed_by(&self.key, &self.issuing).unwrap().pem()
    }

    fn chain(&self, leaf: &Leaf<'_>) -> String {
        self.leaf(leaf) + &self.issuing.pem()
    }

    fn check(&self, chain: &str) -> Result<Brought, Fault> {
        let key = self.key.serialize_pem();
        check(
            &host("shop.example"),
            chain,
            &Key::Brought(key.as_bytes()),
            START,
        )
    }
}

fn pair() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn ca(name: &str, days: u32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = at(START.minus(DAY * 3650));
    params.not_after = at(START.minus(DAY * 3650).plus(DAY * (3650 + days)));
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn at(moment: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(moment.as_secs()).unwrap()).unwrap()
}

/// The fault by its reason, and some of its words.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Fault>, reason: &str, words: &str) {
    let fault = result.unwrap_err();
    let problem = Problem::from(fault);
    assert_eq!(problem.reason, reason, "{problem}");
    assert!(problem.message.contains(words), "{words}: {problem}");
}

#[test]
fn a_good_certificate_is_described_as_it_will_be_served() {
    let mill = Mill::new();
    let brought = mill.check(&mill.chain(&Leaf::default())).unwrap();
    assert_eq!(brought.algorithm, KeyAlgorithm::Ecdsa);
    assert!(!brought.wildcard && brought.warnings.is_empty());
    let parts = brought.parts;
    assert_eq!(parts.issuer, "Mill 1");
    assert_eq!(
        (parts.not_before, parts.not_after),
        (START.minus(DAY), START.plus(DAY * 89))
    );
    assert_eq!(parts.chain.len(), 1);
    assert_ne!(parts.serial.first(), Some(&0));
    let kept = KeyPair::try_from(brought.key.unwrap().expose()).unwrap();
    assert_eq!(kept.public_key_raw(), mill.key.public_key_raw());
}

#[test]
fn keys_of_every_kind_become_pkcs8() {
    let cases = [
        (
            KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
            KeyAlgorithm::Ecdsa,
        ),
        (
            KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(),
            KeyAlgorithm::Rsa,
        ),
    ];
    for (key, algorithm) in cases {
        let mill = Mill { key, ..Mill::new() };
        let brought = mill.check(&mill.chain(&Leaf::default())).unwrap();
        assert_eq!(brought.algorithm, algorithm);
        let kept = KeyPair::try_from(brought.key.unwrap().expose()).unwrap();
        assert_eq!(kept.public_key_raw(), mill.key.public_key_raw());
    }
}

#[test]
fn keys_in_old_clothes_are_read() {
    // By `openssl ecparam -name prime256v1 -genkey -noout` and `openssl genrsa -traditional`.
    for old in [include_str!("sec1.pem"), include_str!("pkcs1.pem")] {
        let key = pem::private_key(old.as_bytes()).unwrap();
        let kept = KeyPair::try_from(key.pkcs8.expose()).unwrap();
        assert_eq!(
            rcgen::PublicKeyData::subject_public_key_info(&kept),
            key.public
        );
    }
}

#[test]
fn what_is_no_key_is_told_apart() {
    let mill = Mill::new();
    let chain = mill.chain(&Leaf::default());
    let with = |key: &str| {
        check(
            &host("shop.example"),
            &chain,
            &Key::Brought(key.as_bytes()),
            START,
        )
    };
    refused(with("nonsense"), "KEY_UNREADABLE", "no private key in PEM");
    refused(with(&chain), "KEY_UNREADABLE", "no private key in PEM");
    let encrypted = mill
        .key
        .serialize_pem()
        .replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    refused(with(&encrypted), "KEY_UNREADABLE", "passphrase");
    let broken = "-----BEGIN PRIVATE KEY-----\n!!!\n-----END PRIVATE KEY-----\n";
    refused(with(broken), "KEY_UNREADABLE", "damaged");
    let other = pair().serialize_pem();
    refused(with(&other), "KEY_MISMATCH", "not the certificate's");
    let issuers = mill.issuing.key().serialize_pem();
    refused(with(&issuers), "KEY_MISMATCH", "certificate 2");
}

#[test]
fn a_fault_never_quotes_a_key() {
    let mill = Mill::new();
    let key = mill.key.serialize_pem();
    let body: String = key.lines().nth(1).unwrap().chars().take(20).collect();
    let torn = key.replace("-----END PRIVATE KEY-----", "");
    let result = check(
        &host("shop.example"),
        &mill.chain(&Leaf::default()),
        &Key::Brought(torn.as_bytes()),
        START,
    );
    let fault = result.unwrap_err();
    assert!(!format!("{fault} {fault:?}").contains(&body), "{fault}");
}

#[test]
fn what_is_no_certificate_is_told_apart() {
    let mill = Mill::new();
    refused(
        mill.check(""),
        "CERTIFICATE_UNREADABLE",
        "no certificate in PEM",
    );
    let key = mill.key.serialize_pem();
    refused(
        mill.check(&key),
        "CERTIFICATE_UNREADABLE",
        "no certificate in PEM",
    );
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    refused(
        mill.check(damaged),
        "CERTIFICATE_UNREADABLE",
        "certificate 1",
    );
    let second = mill.leaf(&Leaf::default()) + damaged;
    refused(
        mill.check(&second),
        "CERTIFICATE_UNREADABLE",
        "certificate 2",
    );
    let many = mill.leaf(&Leaf::default()).repeat(21);
    refused(mill.check(&many), "CERTIFICATE_UNREADABLE", "more than 20");
}

#[test]
fn names_are_covered_exactly_or_by_a_wildcard_one_label_above() {
    let mill = Mill::new();
    let covers = |names: &[&str]| {
        let leaf = Leaf {
            names,
            ..Leaf::default()
        };
        mill.check(&mill.chain(&leaf))
            .map(|brought| (brought.wildcard, brought.warnings.len()))
    };
    assert_eq!(covers(&["SHOP.example"]).unwrap(), (false, 0));
    assert_eq!(
        covers(&["other.example", "shop.example"]).unwrap(),
        (false, 0)
    );
    assert_eq!(
        covers(&["shop.example", "*.shop.example"]).unwrap(),
        (true, 0)
    );
    for (names, told) in [
        (&["other.example"][..], "other.example"),
        (&["*.shop.example"], "*.shop.example"),
        (&["*.example"], "*.example"),
        (&["shop.example.org"], "shop.example.org"),
        (
            &["a.b", "c.d", "e.f", "g.h", "i.j", "k.l", "m.n"],
            "i.j and 2 more",
        ),
        (&[], "no DNS name"),
    ] {
        refused(covers(names), "CERTIFICATE_NAME", told);
    }
}

#[test]
fn a_wildcard_above_is_served_for_the_hostname_alone() {
    let mill = Mill::new();
    let leaf = Leaf {
        names: &["*.shop.example"],
        ..Leaf::default()
    };
    let (chain, key) = (mill.chain(&leaf), mill.key.serialize_pem());
    let key = Key::Brought(key.as_bytes());
    let brought = check(&host("a.shop.example"), &chain, &key, START).unwrap();
    assert!(!brought.wildcard);
    assert!(
        brought.warnings[0].contains("covered by a wildcard"),
        "{:?}",
        brought.warnings
    );
}

#[test]
fn dates_are_looked_at() {
    let mill = Mill::new();
    let dated = |from, to| {
        let leaf = Leaf {
            from,
            to,
            ..Leaf::default()
        };
        mill.check(&mill.chain(&leaf))
    };
    let past = START.minus(DAY * 90);
    refused(
        dated(past, START),
        "CERTIFICATE_EXPIRED",
        "2026-01-01T00:00:00Z",
    );
    let soon = START.plus(Duration::from_secs(301));
    let words = "2026-01-01T00:05:01Z";
    refused(
        dated(soon, START.plus(DAY)),
        "CERTIFICATE_NOT_YET_VALID",
        words,
    );
}

#[test]
fn a_certificate_for_something_else_is_refused() {
    let mill = Mill::new();
    let used = |usages: &[ExtendedKeyUsagePurpose]| {
        mill.check(&mill.chain(&Leaf {
            usages,
            ..Leaf::default()
        }))
    };
    let client = [ExtendedKeyUsagePurpose::ClientAuth];
    refused(used(&client), "CERTIFICATE_USAGE", "serverAuth");
    used(&[]).unwrap();
}

#[test]
fn weak_keys_are_refused() {
    // Nothing here makes them: one of 1024 bits, by openssl.
    let weak = include_str!("weak.pem");
    let certificates = pem::certificates(weak).unwrap();
    let (_, parsed) = X509Certificate::from_der(&certificates[0]).unwrap();
    refused(check_strength(&parsed), "CERTIFICATE_WEAK", "1024 bits");
}

#[test]
fn chains_out_of_order_are_told_what_goes_where() {
    let mill = Mill::new();
    let leaf = mill.leaf(&Leaf::default());
    let (issuing, root) = (mill.issuing.pem(), mill.root.pem());
    let stranger = CertifiedIssuer::self_signed(ca("Stranger", 3650), pair())
        .unwrap()
        .pem();
    let chain = "CERTIFICATE_CHAIN";
    refused(
        mill.check(&(issuing.clone() + &leaf)),
        chain,
        "first certificate is a CA's",
    );
    let swapped = leaf.clone() + &root + &issuing;
    refused(mill.check(&swapped), chain, "was issued by certificate 3");
    let gap = leaf.clone() + &root;
    refused(
        mill.check(&gap),
        chain,
        "was issued by Mill 1, and certificate 2 is Mill Root",
    );
    refused(mill.check(&(leaf.clone() + &stranger)), chain, "Stranger");
    refused(
        mill.check(&(leaf.clone() + &leaf)),
        chain,
        "was issued by Mill 1",
    );
}

#[test]
fn signatures_and_dates_of_issuers_count() {
    let mill = Mill::new();
    let leaf = mill.leaf(&Leaf::default());
    // Of the same name, but another key.
    let double = CertifiedIssuer::signed_by(ca("Mill 1", 3650), pair(), &mill.root).unwrap();
    let forged = leaf.clone() + &double.pem();
    refused(
        mill.check(&forged),
        "CERTIFICATE_CHAIN",
        "a signature is not by the key",
    );
    let ended = CertifiedIssuer::signed_by(ca("Mill 1", 0), pair(), &mill.root).unwrap();
    let old = leaf + &ended.pem();
    refused(
        mill.check(&old),
        "CERTIFICATE_CHAIN",
        "certificate 2 (Mill 1) ended",
    );
}

#[test]
fn a_root_is_left_out_and_a_lonely_leaf_is_told() {
    let mill = Mill::new();
    let whole = mill.chain(&Leaf::default()) + &mill.root.pem();
    let brought = mill.check(&whole).unwrap();
    assert_eq!(brought.parts.chain.len(), 1);
    assert!(brought.warnings[0].contains("the root Mill Root is left out"));
    let lonely = mill.check(&mill.leaf(&Leaf::default())).unwrap();
    assert!(lonely.parts.chain.is_empty());
    assert!(
        lonely.warnings[0].contains("no issuer behind"),
        "{:?}",
        lonely.warnings
    );
}

#[test]
fn a_requests_key_is_the_certificates() {
    let mill = Mill::new();
    let params = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    let csr = params.serialize_request(&mill.key).unwrap();
    let other = params.serialize_request(&pair()).unwrap();
    let chain = mill.chain(&Leaf::default());
    let with = |csr: &[u8]| check(&host("shop.example"), &chain, &Key::Requested(csr), START);
    let brought = with(csr.der()).unwrap();
    assert!(brought.key.is_none());
    refused(with(other.der()), "KEY_MISMATCH", "earlier request");
    refused(with(b"nonsense"), "KEY_MISMATCH", "make another");
}

#[test]
fn names_of_other_certificates_are_told_without_what_controls_a_terminal() {
    let mill = Mill::new();
    let chain = mill.chain(&Leaf {
        names: &["evil\u{1b}[2J.example", &"x".repeat(300)],
        ..Leaf::default()
    });
    let told = mill.check(&chain).unwrap_err().to_string();
    assert!(told.contains("evil[2J.example"), "{told:?}");
    assert!(!told.contains(|c: char| c.is_control()), "{told:?}");
    assert!(told.len() < 300, "{told}");
}
