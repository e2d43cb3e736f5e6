//! A data key in memory, and what it does: AES-256-GCM-SIV, with the cluster and
//! the record bound in.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use state::{ClusterId, KeyPurpose, Sealed, Secret, ports::SealError, sealed::SealContext};
use zeroize::Zeroizing;

use crate::entropy::{Entropy, random};

/// Bytes that AES-GCM-SIV appends.
const TAG: usize = 16;

/// 256 bits; wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyBytes(Zeroizing<[u8; 32]>);

impl KeyBytes {
    /// A new key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(Zeroizing::new(random(entropy)))
    }

    /// From exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// The bytes themselves: for wrapping and sharing only.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `secret` for the record `context` of `cluster`.
    pub fn seal(
        &self,
        (purpose, generation): (KeyPurpose, u32),
        cluster: ClusterId,
        context: &SealContext,
        secret: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Sealed, SealError> {
        let nonce = random::<12>(entropy);
        // Room for the tag: growing would leave a copy of the secret behind.
        let mut ciphertext = Vec::with_capacity(secret.len() + TAG);
        ciphertext.extend_from_slice(secret);
        let aad = Aad::from(bound(cluster, context));
        self.aead()
            .and_then(|key| {
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.seal_in_place_append_tag(nonce, aad, &mut ciphertext)
                    .ok()
            })
            .ok_or(SealError::Damaged(purpose))?;
        Ok(Sealed {
            purpose,
            generation,
            nonce,
            ciphertext: ciphertext.into(),
        })
    }

    /// Opens what was sealed for that record.
    pub fn open(
        &self,
        cluster: ClusterId,
        context: &SealContext,
        sealed: &Sealed,
    ) -> Result<Secret, SealError> {
        let mut bytes = Zeroizing::new(sealed.ciphertext.to_vec());
        let aad = Aad::from(bound(cluster, context));
        let nonce = Nonce::assume_unique_for_key(sealed.nonce);
        let opened = self.aead().and_then(|key| {
            key.open_in_place(nonce, aad, &mut bytes)
                .ok()
                .map(|s| s.to_vec())
        });
        opened
            .map(Secret::new)
            .ok_or(SealError::Damaged(sealed.purpose))
    }

    fn aead(&self) -> Option<LessSafeKey> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, &self.0[..]);
        key.ok().map(LessSafeKey::new)
    }
}

/// `hostquorum sealed 1`, the cluster, the record: a ciphertext of another cluster
/// or record does not open here.
fn bound(cluster: ClusterId, context: &SealContext) -> Vec<u8> {
    let mut aad = b"hostquorum sealed 1|".to_vec();
    aad.extend_from_slice(&cluster.0);
    aad.push(b'|');
    aad.extend_from_slice(&context.as_bytes());
    aad
}

impl From<Zeroizing<[u8; 32]>> for KeyBytes {
    fn from(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyBytes")
    }
}

#[cfg(test)]
mod tests {
    use state::testing::host;

    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn a_secret_opens_with_its_key_in_its_place_only() {
        let cluster = ClusterId([1; 16]);
        let key = KeyBytes::generate(&SystemEntropy);
        let context = SealContext::CertificateKey(host("a.example"));
        let which = (KeyPurpose::Serving, 3);
        let sealed = key
            .seal(which, cluster, &context, b"secret", &SystemEntropy)
            .unwrap();
        assert_eq!((sealed.purpose, sealed.generation), which);
        assert_eq!(
            key.open(cluster, &context, &sealed).unwrap().expose(),
            b"secret"
        );

        let refused = Err(SealError::Damaged(KeyPurpose::Serving));
        let other = SealContext::CertificateKey(host("b.example"));
        assert_eq!(
            key.open(cluster, &other, &sealed),
            refused,
            "another record"
        );
        assert_eq!(
            key.open(ClusterId([2; 16]), &context, &sealed),
            refused,
            "another cluster"
        );
        let another = KeyBytes::generate(&SystemEntropy);
        assert_eq!(
            another.open(cluster, &context, &sealed),
            refused,
            "another key"
        );
        let mut cut = sealed.clone();
        cut.ciphertext = cut.ciphertext.slice(..3);
        assert_eq!(key.open(cluster, &context, &cut), refused, "cut");
        let mut turned = sealed.clone();
        turned.nonce[0] ^= 1;
        assert_eq!(
            key.open(cluster, &context, &turned),
            refused,
            "another nonce"
        );
    }

    #[test]
    fn the_same_secret_never_looks_the_same() {
        let key = KeyBytes::generate(&SystemEntropy);
        let seal = || {
            let which = (KeyPurpose::Control, 1);
            let cluster = ClusterId([1; 16]);
            key.seal(
                which,
                cluster,
                &SealContext::IssuingKey,
                b"s",
                &SystemEntropy,
            )
            .unwrap()
        };
        assert_ne!(seal().ciphertext, seal().ciphertext);
        assert_eq!(format!("{key:?}"), "KeyBytes");
    }
}
