//! Signs requests (RFC 8555 section 6.2): flattened JWS, ES256, with a key that was
//! committed before.

use aws_lc_rs::{
    digest, hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use serde_json::{Value, json};
use state::Secret;

use crate::issuance::authority::{AuthorityError, ExternalAccount};

/// By what the CA knows who signed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Identity<'a> {
    /// The public key itself: before there is an account.
    Key,
    /// An account's URL.
    Account(&'a str),
}

/// An account's key.
pub(super) struct AccountKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

#[derive(Serialize)]
struct Jws {
    protected: String,
    payload: String,
    signature: String,
}

impl AccountKey {
    /// From PKCS #8.
    pub(super) fn open(key: &Secret) -> Result<Self, AuthorityError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.expose());
        let pair = pair.map_err(|_| {
            AuthorityError::Unusable("its key is no ECDSA key on P-256 in PKCS #8".to_owned())
        })?;
        Ok(Self {
            pair,
            random: SystemRandom::new(),
        })
    }

    /// RFC 7517, as RFC 7638 orders its members.
    pub(super) fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
        json!({ "crv": "P-256", "kty": "EC", "x": encode(x), "y": encode(y) })
    }

    /// RFC 7638, base64url.
    pub(super) fn thumbprint(&self) -> String {
        // Its members stand in the order of their names, which is how they are written.
        let jwk = self.jwk().to_string();
        encode(digest::digest(&digest::SHA256, jwk.as_bytes()).as_ref())
    }

    /// A request's body. An empty payload makes it a POST-as-GET (section 6.3).
    pub(super) fn request(
        &self,
        identity: Identity<'_>,
        url: &str,
        nonce: &str,
        payload: &[u8],
    ) -> Result<Vec<u8>, AuthorityError> {
        let mut header = self.header(identity, url);
        header["nonce"] = json!(nonce);
        to_bytes(&self.sign(&header, payload)?)
    }

    /// What binds this key to an external account (section 7.3.4), for newAccount at `url`.
    pub(super) fn binding(
        &self,
        external: &ExternalAccount<'_>,
        url: &str,
    ) -> Result<Value, AuthorityError> {
        let header = json!({ "alg": "HS256", "kid": external.kid, "url": url });
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, external.hmac.expose());
        let (protected, payload, input) = input(&header, self.jwk().to_string().as_bytes());
        to_value(&Jws {
            protected,
            payload,
            signature: encode(hmac::sign(&hmac, input.as_bytes()).as_ref()),
        })
    }

    /// What this key, the next one, signs to take the place of `old` (section 7.3.5), for
    /// keyChange at `url`.
    pub(super) fn succession(
        &self,
        account: &str,
        old: &Self,
        url: &str,
    ) -> Result<Vec<u8>, AuthorityError> {
        let payload = json!({ "account": account, "oldKey": old.jwk() });
        let header = self.header(Identity::Key, url);
        to_bytes(&self.sign(&header, payload.to_string().as_bytes())?)
    }

    fn header(&self, identity: Identity<'_>, url: &str) -> Value {
        match identity {
            Identity::Key => json!({ "alg": "ES256", "jwk": self.jwk(), "url": url }),
            Identity::Account(kid) => json!({ "alg": "ES256", "kid": kid, "url": url }),
        }
    }

    fn sign(&self, header: &Value, payload: &[u8]) -> Result<Jws, AuthorityError> {
        let (protected, payload, input) = input(header, payload);
        let signature = self.pair.sign(&self.random, input.as_bytes());
        let signature = signature.map_err(|_| {
            AuthorityError::Unusable("its key cannot sign: no randomness".to_owned())
        })?;
        Ok(Jws {
            protected,
            payload,
            signature: encode(signature.as_ref()),
        })
    }
}

/// Header and payload as they are sent, and what is signed of them (RFC 7515 section 5.1).
fn input(header: &Value, payload: &[u8]) -> (String, String, String) {
    let protected = encode(header.to_string().as_bytes());
    let payload = encode(payload);
    let input = format!("{protected}.{payload}");
    (protected, payload, input)
}

fn to_bytes(jws: &Jws) -> Result<Vec<u8>, AuthorityError> {
    serde_json::to_vec(jws).map_err(unwritable)
}

fn to_value(jws: &Jws) -> Result<Value, AuthorityError> {
    serde_json::to_value(jws).map_err(unwritable)
}

fn unwritable(error: serde_json::Error) -> AuthorityError {
    AuthorityError::Unusable(format!("a request cannot be written: {error}"))
}

pub(super) fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuance::request::{FreshKeys, Requests};
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    fn key() -> AccountKey {
        AccountKey::open(&FreshKeys.account_key().unwrap().key).unwrap()
    }

    fn part(jws: &Value, name: &str) -> Vec<u8> {
        let text = jws[name].as_str().unwrap();
        BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
    }

    fn header(jws: &Value) -> Value {
        serde_json::from_slice(&part(jws, "protected")).unwrap()
    }

    #[track_caller]
    fn verified(jws: &[u8], by: &AccountKey) -> Value {
        let jws: Value = serde_json::from_slice(jws).unwrap();
        let text = |name: &str| jws[name].as_str().unwrap();
        let input = format!("{}.{}", text("protected"), text("payload"));
        let point = by.pair.public_key().as_ref();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(input.as_bytes(), &part(&jws, "signature"))
            .unwrap();
        jws
    }

    #[test]
    fn the_thumbprint_is_that_which_was_committed_with_the_key() {
        let made = FreshKeys.account_key().unwrap();
        let key = AccountKey::open(&made.key).unwrap();
        assert_eq!(key.thumbprint(), made.thumbprint);
    }

    #[test]
    fn a_request_is_signed_with_its_url_and_nonce() {
        let key = key();
        let account = Identity::Account("https://ca.example/account/1");
        let jws = key.request(account, "https://ca.example/new", "nonce", b"{}");
        let jws = verified(&jws.unwrap(), &key);
        let expected = json!({
            "alg": "ES256", "kid": "https://ca.example/account/1",
            "url": "https://ca.example/new", "nonce": "nonce",
        });
        assert_eq!(header(&jws), expected);
        assert_eq!(part(&jws, "payload"), b"{}");
    }

    #[test]
    fn a_binding_is_the_key_signed_by_the_other_account() {
        let (key, hmac) = (key(), Secret::new(vec![7; 32]));
        let external = ExternalAccount {
            kid: "kid-1",
            hmac: &hmac,
        };
        let jws = key.binding(&external, "https://ca.example/account");
        let jws = jws.unwrap();
        let expected = json!({
            "alg": "HS256", "kid": "kid-1", "url": "https://ca.example/account",
        });
        assert_eq!(header(&jws), expected);
        let payload: Value = serde_json::from_slice(&part(&jws, "payload")).unwrap();
        assert_eq!(payload, key.jwk());
        let text = |name: &str| jws[name].as_str().unwrap();
        let input = format!("{}.{}", text("protected"), text("payload"));
        let with = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        hmac::verify(&with, input.as_bytes(), &part(&jws, "signature")).unwrap();
        assert!(!format!("{external:?}").contains('7'));
    }

    #[test]
    fn a_succession_is_signed_by_the_next_key_and_names_the_old_one() {
        let (old, next) = (key(), key());
        let (account, url) = ("https://ca.example/account/1", "https://ca.example/roll");
        let jws = next.succession(account, &old, url).unwrap();
        let jws = verified(&jws, &next);
        let expected = json!({ "alg": "ES256", "jwk": next.jwk(), "url": url });
        assert_eq!(header(&jws), expected, "without a nonce");
        let payload: Value = serde_json::from_slice(&part(&jws, "payload")).unwrap();
        assert_eq!(payload, json!({ "account": account, "oldKey": old.jwk() }));
    }

    #[test]
    fn a_key_of_another_kind_is_refused_without_showing_it() {
        let Err(error) = AccountKey::open(&Secret::new(b"not a key".to_vec())) else {
            panic!("it opened");
        };
        assert!(!error.to_string().contains("not a key"), "{error}");
    }
}
