//! A data key sealed to one member (RFC 9180, base mode: DHKEM(X25519, HKDF-SHA256),
//! HKDF-SHA256, AES-256-GCM). What it is, for whom and for which cluster is in the
//! info string, so that a copy is of no use anywhere else.

use std::{fmt, sync::Arc};

use rustls::crypto::{
    aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as SUITE,
    hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey},
};
use state::{ClusterId, HpkeSealed, KeyPurpose, NodeId};
use zeroize::Zeroizing;

use crate::data_key::KeyBytes;

/// Length of an X25519 public key.
pub const PUBLIC_KEY_LENGTH: usize = 32;

/// A node's pair for receiving data keys.
#[derive(Clone)]
pub struct KeyPair {
    public: Vec<u8>,
    private: Arc<Zeroizing<Vec<u8>>>,
}

/// Which data key, for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Of which cluster.
    pub cluster: ClusterId,
    /// For what.
    pub purpose: KeyPurpose,
    /// Which generation.
    pub generation: u32,
    /// For whom.
    pub node: NodeId,
}

/// Why a key was not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HpkeError {
    /// The library could not make a pair.
    #[error("a pair of HPKE keys could not be made")]
    Generate,
    /// No X25519 key.
    #[error("the HPKE public key is not one of X25519")]
    PublicKey,
    /// Another pair, another label or damaged bytes.
    #[error("a data key sealed to this node could not be opened: it is damaged or for another")]
    Open,
}

impl KeyPair {
    /// A new pair, from the system's generator.
    pub fn generate() -> Result<Self, HpkeError> {
        let (public, private) = SUITE.generate_key_pair().map_err(|_| HpkeError::Generate)?;
        Ok(Self::from_parts(&public.0, private.secret_bytes()))
    }

    pub(crate) fn from_parts(public: &[u8], private: &[u8]) -> Self {
        Self {
            public: public.to_vec(),
            private: Arc::new(Zeroizing::new(private.to_vec())),
        }
    }

    /// What the cluster commits for this node.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    pub(crate) fn expose_private(&self) -> &[u8] {
        &self.private
    }

    /// The data key in a copy sealed to this pair.
    pub fn open(&self, label: Label, sealed: &HpkeSealed) -> Result<KeyBytes, HpkeError> {
        let encapsulated = EncapsulatedSecret(sealed.encapsulated.to_vec());
        let private = HpkePrivateKey::from(self.private.to_vec());
        let opened = SUITE.open(
            &encapsulated,
            &label.info(),
            &[],
            &sealed.ciphertext,
            &private,
        );
        let bytes = Zeroizing::new(opened.map_err(|_| HpkeError::Open)?);
        KeyBytes::from_slice(&bytes).ok_or(HpkeError::Open)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair")
    }
}

/// A copy of `key` for whoever has the private part of `public`.
pub fn seal(label: Label, public: &[u8], key: &KeyBytes) -> Result<HpkeSealed, HpkeError> {
    if public.len() != PUBLIC_KEY_LENGTH {
        return Err(HpkeError::PublicKey);
    }
    let public = HpkePublicKey(public.to_vec());
    let (encapsulated, ciphertext) = SUITE
        .seal(&label.info(), &[], key.expose(), &public)
        .map_err(|_| HpkeError::PublicKey)?;
    Ok(HpkeSealed {
        encapsulated: encapsulated.0.into(),
        ciphertext: ciphertext.into(),
    })
}

impl Label {
    fn info(&self) -> Vec<u8> {
        let Self {
            cluster,
            purpose,
            generation,
            node,
        } = self;
        format!("hostquorum data key 1|{cluster}|{purpose}|{generation}|{node}").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    const LABEL: Label = Label {
        cluster: ClusterId([1; 16]),
        purpose: KeyPurpose::Serving,
        generation: 2,
        node: NodeId(3),
    };

    #[test]
    fn a_copy_opens_for_its_member_and_label_only() {
        let (pair, key) = (
            KeyPair::generate().unwrap(),
            KeyBytes::generate(&SystemEntropy),
        );
        let sealed = seal(LABEL, pair.public(), &key).unwrap();
        assert_eq!(pair.open(LABEL, &sealed), Ok(key));
        let labels = [
            Label {
                cluster: ClusterId([2; 16]),
                ..LABEL
            },
            Label {
                purpose: KeyPurpose::Control,
                ..LABEL
            },
            Label {
                generation: 3,
                ..LABEL
            },
            Label {
                node: NodeId(4),
                ..LABEL
            },
        ];
        for label in labels {
            assert_eq!(pair.open(label, &sealed), Err(HpkeError::Open), "{label:?}");
        }
        let other = KeyPair::generate().unwrap();
        assert_eq!(other.open(LABEL, &sealed), Err(HpkeError::Open));
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        let key = KeyBytes::generate(&SystemEntropy);
        for bad in [&[][..], &[1; 31], &[1; 33]] {
            assert_eq!(seal(LABEL, bad, &key), Err(HpkeError::PublicKey));
        }
        // The all-zero point makes an all-zero shared secret (RFC 7748 section 6.1).
        assert_eq!(seal(LABEL, &[0; 32], &key), Err(HpkeError::PublicKey));
    }
}
