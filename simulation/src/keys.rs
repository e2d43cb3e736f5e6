//! Keys from the seed, that sign alike each time (RFC 6979, Ed25519): what is signed
//! enters the state, and the state must be the same for the same seed.

use std::io;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;
use leader::issuance::pace::Jitter;
use leader::issuance::request::{AccountKey, KeyAndRequest, RequestError, Requests, Wanted};
use p256::SecretKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::pkcs8::EncodePrivateKey;
use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519,
    PublicKeyData, SignatureAlgorithm,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use state::Secret;

use crate::chance::Chance;

/// All that the leader and the serving set draw at random, from the seed.
pub(crate) struct Seeded(Mutex<Chance>);

impl Seeded {
    pub(crate) fn new(chance: Chance) -> Self {
        Self(Mutex::new(chance))
    }

    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut chance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = [0; N];
        chance.fill(&mut bytes);
        bytes
    }

    fn pair(&self) -> Pair {
        loop {
            // All but one in 2^32 are keys.
            if let Ok(secret) = SecretKey::from_slice(&self.bytes::<32>()) {
                return Pair::new(secret);
            }
        }
    }
}

impl std::fmt::Debug for Seeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seeded")
    }
}

impl Jitter for Seeded {
    fn draw(&self) -> u16 {
        u16::from_be_bytes(self.bytes())
    }
}

impl cluster::Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        let mut chance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        chance.fill(bytes);
    }
}

impl Requests for Seeded {
    /// Always on P-256, whatever was wanted: nothing here wants another.
    fn request(&self, wanted: &Wanted<'_>) -> Result<KeyAndRequest, RequestError> {
        let pair = self.pair();
        let mut params = CertificateParams::new(wanted.names())?;
        params.distinguished_name = DistinguishedName::new();
        let csr = params.serialize_request(&pair)?;
        Ok(KeyAndRequest {
            key: pair.pkcs8()?,
            csr: csr.der().to_vec().into(),
        })
    }

    fn account_key(&self) -> Result<AccountKey, RequestError> {
        let pair = self.pair();
        Ok(AccountKey {
            thumbprint: pair.thumbprint(),
            key: pair.pkcs8()?,
        })
    }
}

/// A key on P-256.
struct Pair {
    secret: SecretKey,
    signing: SigningKey,
    point: Vec<u8>,
}

impl Pair {
    fn new(secret: SecretKey) -> Self {
        let point = secret.public_key().to_encoded_point(false);
        Self {
            signing: SigningKey::from(&secret),
            point: point.as_bytes().to_vec(),
            secret,
        }
    }

    fn pkcs8(&self) -> Result<Secret, rcgen::Error> {
        let der = self.secret.to_pkcs8_der();
        let der = der.map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        Ok(Secret::new(der.as_bytes().to_vec()))
    }

    /// RFC 7638.
    fn thumbprint(&self) -> String {
        let (x, y) = self.point.get(1..).unwrap_or_default().split_at(32);
        let (x, y) = (BASE64URL_NOPAD.encode(x), BASE64URL_NOPAD.encode(y));
        let jwk = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        BASE64URL_NOPAD.encode(digest(&SHA256, jwk.as_bytes()).as_ref())
    }
}

impl PublicKeyData for Pair {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Pair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature: Signature = self.signing.sign(message);
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

/// What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410 section 7).
const ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A key for a CA.
pub(crate) fn ca_key(chance: &mut Chance) -> io::Result<KeyPair> {
    let mut der = [0; 48];
    let (head, key) = der.split_at_mut(ED25519.len());
    head.copy_from_slice(&ED25519);
    chance.fill(key);
    let der = PrivatePkcs8KeyDer::from(der.as_slice());
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::KeyAlgorithm;
    use state::testing::host;

    fn made(seed: u64) -> (Vec<u8>, Vec<u8>, String) {
        let seeded = Seeded::new(Chance::new(seed));
        let hostname = host("a.example");
        let wanted = Wanted {
            hostname: &hostname,
            wildcard: false,
            algorithm: KeyAlgorithm::Ecdsa,
        };
        let request = seeded.request(&wanted).unwrap();
        let account = seeded.account_key().unwrap();
        let key = request.key.expose().to_vec();
        (key, request.csr.to_vec(), account.thumbprint)
    }

    #[test]
    fn a_seed_makes_the_same_keys_and_requests_and_no_two_do() {
        assert_eq!(made(1), made(1));
        let (one, other) = (made(1), made(2));
        assert!(one.0 != other.0 && one.1 != other.1 && one.2 != other.2);
    }

    #[test]
    fn the_key_in_the_file_is_the_one_that_signed() {
        let (key, csr, _) = made(3);
        let pair = KeyPair::try_from(key.as_slice()).unwrap();
        let params = rcgen::CertificateSigningRequestParams::from_der(&csr.into()).unwrap();
        assert_eq!(params.public_key.der_bytes(), pair.public_key_raw());
    }
}
