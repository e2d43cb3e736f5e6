//! The file in which an identity rests: what it shows in the clear, what it keeps
//! under the node's key-encryption key. The clear part is bound in, so that neither
//! can be swapped alone.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{
    entropy::{Entropy, random},
    key_source::Kek,
};

/// Changes whenever anything about the bytes does.
const FORMAT: &str = "hostquorum identity 1";

/// A clear part and a wrapped one.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Envelope<T> {
    format: String,
    /// In the clear.
    pub(super) public: T,
    /// Which kind of source the key-encryption key came from.
    pub(super) source: String,
    /// For deriving the key-encryption key.
    #[serde(with = "hex")]
    pub(super) salt: Vec<u8>,
    #[serde(with = "hex")]
    nonce: Vec<u8>,
    #[serde(with = "base64")]
    wrapped: Vec<u8>,
}

impl<T: Serialize + DeserializeOwned> Envelope<T> {
    /// Wraps `secret`; `None` only if the clear part has no bytes.
    pub(super) fn seal(
        public: T,
        source: &str,
        salt: [u8; 16],
        kek: &Kek,
        secret: &[u8],
        entropy: &dyn Entropy,
    ) -> Option<Vec<u8>> {
        let nonce = random::<12>(entropy);
        let mut envelope = Self {
            format: FORMAT.to_owned(),
            public,
            source: source.to_owned(),
            salt: salt.to_vec(),
            nonce: nonce.to_vec(),
            wrapped: Vec::new(),
        };
        // Room for the tag: growing would leave a copy of the secret behind.
        let mut wrapped = Vec::with_capacity(secret.len() + 16);
        wrapped.extend_from_slice(secret);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from(envelope.aad()?);
        key(kek)?
            .seal_in_place_append_tag(nonce, aad, &mut wrapped)
            .ok()?;
        envelope.wrapped = wrapped;
        serde_json::to_vec_pretty(&envelope).ok()
    }

    /// Reads the file; `None` if it is not one of ours.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let envelope: Self = serde_json::from_slice(bytes).ok()?;
        (envelope.format == FORMAT).then_some(envelope)
    }

    /// The secret; `None` under another key or if anything was changed.
    pub(super) fn open(&self, kek: &Kek) -> Option<Zeroizing<Vec<u8>>> {
        let nonce = Nonce::try_assume_unique_for_key(&self.nonce).ok()?;
        let mut secret = Zeroizing::new(self.wrapped.clone());
        let aad = Aad::from(self.aad()?);
        let length = key(kek)?.open_in_place(nonce, aad, &mut secret).ok()?.len();
        secret.truncate(length);
        Some(secret)
    }

    fn aad(&self) -> Option<Vec<u8>> {
        let bound = (&self.format, &self.public, &self.source, &self.salt);
        serde_json::to_vec(&bound).ok()
    }
}

fn key(kek: &Kek) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM_SIV, &kek[..])
        .ok()
        .map(LessSafeKey::new)
}

/// Bytes as lower-case hexadecimal.
pub(super) mod hex {
    use data_encoding::HEXLOWER;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        bytes: &impl AsRef<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(bytes.as_ref()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: From<Vec<u8>>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(D::Error::custom)?;
        Ok(bytes.into())
    }
}

/// Bytes as base64.
pub(crate) mod base64 {
    use data_encoding::BASE64;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        bytes: &impl AsRef<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes.as_ref()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: From<Vec<u8>>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(D::Error::custom)?;
        Ok(bytes.into())
    }
}
