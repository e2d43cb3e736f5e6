//! What is taken from a certificate request: a key and the proof that its holder
//! asks. Its subject, names and extensions count for nothing.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use bytes::Bytes;
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

/// Longest request read: one of ours has about 250 bytes.
const LENGTH_MAX: usize = 4096;

/// How the SubjectPublicKeyInfo of an uncompressed point on P-256 begins (RFC 5480):
/// one spelling for a key, since keys are compared as bytes.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The prefix and a point of 65 bytes.
const P256_LENGTH: usize = P256_PREFIX.len() + 65;

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No PKCS #10, or too much of it.
    #[error("the certificate request is no PKCS #10 of at most 4096 bytes")]
    Malformed,
    /// Not a kind of key that we certify.
    #[error("the certificate request is not for an ECDSA key on P-256")]
    KeyType,
    /// Whoever asks does not hold the key.
    #[error("the certificate request is not signed by its own key with ECDSA and SHA-256")]
    Signature,
}

/// The SubjectPublicKeyInfo (DER) of whoever signed the request.
pub fn proven_key(csr: &[u8]) -> Result<Bytes, RequestError> {
    if csr.len() > LENGTH_MAX {
        return Err(RequestError::Malformed);
    }
    let Ok((rest, request)) = X509CertificationRequest::from_der(csr) else {
        return Err(RequestError::Malformed);
    };
    if !rest.is_empty() {
        return Err(RequestError::Malformed);
    }
    let info = &request.certification_request_info;
    let key = info.subject_pki.raw;
    if key.len() != P256_LENGTH || !key.starts_with(&P256_PREFIX) {
        return Err(RequestError::KeyType);
    }
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key[P256_PREFIX.len()..])
        .verify(info.raw, &request.signature_value.data)
        .map_err(|_| RequestError::Signature)?;
    Ok(Bytes::copy_from_slice(key))
}

#[cfg(test)]
mod tests {
    use enroll::PrivateKey;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    #[test]
    fn the_key_of_a_signed_request_is_taken() {
        let key = PrivateKey::generate().unwrap();
        assert_eq!(
            proven_key(&key.request().unwrap()).unwrap(),
            key.public_key()
        );
    }

    #[test]
    fn requests_that_prove_nothing_are_refused() {
        let good = PrivateKey::generate().unwrap().request().unwrap();
        let mut forged = good.clone();
        *forged.last_mut().unwrap() ^= 1;
        let mut longer = good.clone();
        longer.push(0);
        let other = |algorithm| {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let params = CertificateParams::default();
            params.serialize_request(&key).unwrap().der().to_vec()
        };
        let cases = [
            (Vec::new(), RequestError::Malformed),
            (b"nonsense".to_vec(), RequestError::Malformed),
            (vec![0x30; LENGTH_MAX + 1], RequestError::Malformed),
            (longer, RequestError::Malformed),
            (other(&PKCS_ED25519), RequestError::KeyType),
            (other(&PKCS_ECDSA_P384_SHA384), RequestError::KeyType),
            (forged, RequestError::Signature),
        ];
        for (csr, error) in cases {
            assert_eq!(proven_key(&csr), Err(error));
        }
    }
}
