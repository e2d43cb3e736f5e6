//! ClientHellos as rustls writes them, and certificates as rcgen does.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, RsaKeySize,
};
use rustls::{ClientConfig, ClientConnection, RootCertStore, crypto::aws_lc_rs, version};

use super::{Seeds, named};

pub(super) fn hellos() -> Seeds {
    let plain = hello("shop.client.example", &[], true);
    let mut pieces = Vec::new();
    for piece in plain[5..].chunks(100) {
        let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
        pieces.extend_from_slice(&[0x16, 0x03, 0x01]);
        pieces.extend_from_slice(&length);
        pieces.extend_from_slice(piece);
    }
    named([
        (
            "browser",
            hello("Shop.Client.example", &["h2", "http/1.1"], true),
        ),
        ("old", hello("shop.client.example", &["http/1.1"], false)),
        (
            "validation",
            hello("shop.client.example", &["acme-tls/1"], true),
        ),
        ("address", hello("192.0.2.1", &[], true)),
        ("underscore", hello("_a.client.example", &[], true)),
        ("plain", plain),
        ("pieces", pieces),
        ("http", b"GET / HTTP/1.1\r\n".to_vec()),
    ])
}

fn hello(name: &str, protocols: &[&str], modern: bool) -> Vec<u8> {
    let versions: &[&'static rustls::SupportedProtocolVersion] = if modern {
        &[&version::TLS13, &version::TLS12]
    } else {
        &[&version::TLS12]
    };
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_protocol_versions(versions).unwrap();
    let mut config = config
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let name = name.to_owned().try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

pub(super) fn uploads() -> Seeds {
    let p256 = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Test CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let ca = CertifiedIssuer::self_signed(params, ca_key).unwrap();
    let of = |key: &KeyPair, names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let leaf = CertificateParams::new(names)
            .unwrap()
            .signed_by(key, &ca)
            .unwrap();
        format!("{}{}{}", leaf.pem(), ca.pem(), key.serialize_pem()).into_bytes()
    };
    let alone = CertificateParams::new(vec!["shop.client.example".to_owned()]).unwrap();
    let alone = alone.self_signed(&p256).unwrap();
    let mut alone = format!("{}{}", p256.serialize_pem(), alone.pem()).into_bytes();
    alone.splice(0..0, b"Bag Attributes\r\n".iter().copied());
    named([
        (
            "p256",
            of(&p256, &["shop.client.example", "*.shop.client.example"]),
        ),
        ("p384", of(&p384, &["*.client.example"])),
        ("rsa", of(&rsa, &["shop.client.example"])),
        (
            "other-names",
            of(&p256, &["www.client.example", "a.example", "b.example"]),
        ),
        ("alone", alone),
    ])
}
