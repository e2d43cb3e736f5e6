//! KMS wraps a node's key-encryption key, bound to its cluster and to itself: the key's policy and
//! the node's role say who may open it, and KMS writes down who did.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_kms::{
    Client, config,
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
};
use bytes::Bytes;
use cluster::wrapped_key::{WrapKey, WrapKeyError, Wrapped};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{account::Account, said::Failure};

/// What the encryption context names, for conditions on `kms:EncryptionContext:` in policies.
const CLUSTER: &str = "hostquorum:cluster";
const NODE: &str = "hostquorum:node";

/// Codes of KMS that ask to come again.
const COME_AGAIN: [&str; 4] = [
    "DependencyTimeoutException",
    "KMSInternalException",
    "KeyUnavailableException",
    "LimitExceededException",
];

/// A KMS key that wraps for one node.
#[derive(Clone, Debug)]
pub struct Kms {
    client: Client,
    key: String,
    context: HashMap<String, String>,
}

impl Kms {
    /// `key` is a key's or an alias's ARN, whose Region counts, or its id or name in the
    /// account's Region.
    pub fn new(account: &Account, key: &str, cluster: &str, node: &str) -> Self {
        let mut config = config::Builder::from(account.config());
        if let Some(region) = region_of(key) {
            config = config.region(config::Region::new(region.to_owned()));
        }
        Self {
            client: Client::from_conf(config.build()),
            key: key.to_owned(),
            context: HashMap::from([
                (CLUSTER.to_owned(), cluster.to_owned()),
                (NODE.to_owned(), node.to_owned()),
            ]),
        }
    }

    fn failed<E, R>(&self, action: &str, error: &SdkError<E, R>) -> WrapKeyError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug + 'static,
    {
        match Failure::of(error, &COME_AGAIN) {
            Failure::Out(why) => WrapKeyError::Unavailable {
                what: format!("kms:{action} with the key {} was not answered", self.key),
                source: why.into(),
            },
            Failure::Answered { code, words } => {
                let advice = advice(&code);
                let context = self.shown_context();
                let key = &self.key;
                WrapKeyError::Refused(format!(
                    "kms:{action} with the key {key} and the encryption context {context} was \
                     refused: {code}: {words}. {advice}"
                ))
            }
        }
    }

    fn shown_context(&self) -> String {
        let named = |name: &str| format!("{name}={}", self.context[name]);
        format!("{{{}, {}}}", named(CLUSTER), named(NODE))
    }
}

/// The Region of an ARN such as `arn:aws:kms:eu-central-1:111122223333:key/...`.
fn region_of(key: &str) -> Option<&str> {
    key.strip_prefix("arn:")?.split(':').nth(2)
}

/// What to do about a refusal.
fn advice(code: &str) -> &'static str {
    match code {
        "AccessDeniedException" => {
            "Allow it to this node's role, in the role's policy and in the key's, under that context"
        }
        "NotFoundException" => "Look whether key.kms names the right key, account and Region",
        "DisabledException" | "KMSInvalidStateException" => {
            "Enable the key, or cancel its deletion: without it this node cannot start"
        }
        "IncorrectKeyException" => {
            "Another key wrapped it, which stands in wrapped-key.json: name that one as key.kms, or as \
             previous_key.kms if this one is to take its place"
        }
        "InvalidCiphertextException" => {
            "What lies in wrapped-key.json was wrapped for another cluster or node, or is damaged: \
             are name, aws.cluster and data_dir the right ones?"
        }
        _ => "The words are those of KMS",
    }
}

#[async_trait]
impl WrapKey for Kms {
    fn kind(&self) -> &'static str {
        "kms"
    }

    async fn wrap(&self, key: &[u8; 32]) -> Result<Wrapped, WrapKeyError> {
        let asked = self
            .client
            .encrypt()
            .key_id(&self.key)
            .set_encryption_context(Some(self.context.clone()))
            .plaintext(Blob::new(key.as_slice()));
        let answer = asked.send().await;
        let answer = answer.map_err(|error| self.failed("Encrypt", &error))?;
        match (answer.ciphertext_blob, answer.key_id) {
            (Some(ciphertext), Some(by)) => Ok(Wrapped {
                ciphertext: Bytes::from(ciphertext.into_inner()),
                by,
            }),
            _ => Err(WrapKeyError::Refused(format!(
                "kms:Encrypt with the key {} was answered without a ciphertext",
                self.key
            ))),
        }
    }

    /// The kit's own buffers of the answer are not wiped: they are not ours to reach.
    async fn open(&self, ciphertext: &[u8]) -> Result<Zeroizing<[u8; 32]>, WrapKeyError> {
        let asked = self
            .client
            .decrypt()
            .key_id(&self.key)
            .set_encryption_context(Some(self.context.clone()))
            .ciphertext_blob(Blob::new(ciphertext));
        let answer = asked.send().await;
        let answer = answer.map_err(|error| self.failed("Decrypt", &error))?;
        let mut clear = answer.plaintext.map(Blob::into_inner).unwrap_or_default();
        let key = <[u8; 32]>::try_from(&clear[..]).map(Zeroizing::new);
        clear.zeroize();
        key.map_err(|_| {
            WrapKeyError::Refused(format!(
                "kms:Decrypt with the key {} gave something that is no key of ours",
                self.key
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_its_region_and_other_names_do_not() {
        let arn = "arn:aws:kms:eu-central-1:111122223333:key/0f";
        assert_eq!(region_of(arn), Some("eu-central-1"));
        let alias = "arn:aws-cn:kms:cn-north-1:111122223333:alias/edge";
        assert_eq!(region_of(alias), Some("cn-north-1"));
        for other in ["alias/edge", "0f4d", "arn:", "arn:aws:kms"] {
            assert_eq!(region_of(other), None, "{other}");
        }
    }
}
