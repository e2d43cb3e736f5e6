//! External account binding (RFC 8555 section 7.3.4): an account of the CA's customers
//! vouches for an ACME account.

use std::fmt;

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::core::Core;
use crate::key::PublicKey;
use crate::problem::{Kind, Problem};
use crate::routes::Route;

/// Whose word is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalAccounts {
    /// The keys, each by its id.
    pub keys: Vec<ExternalAccount>,
    /// Each key is good for one account only.
    #[serde(default)]
    pub single_use: bool,
}

/// One key that vouches.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalAccount {
    /// Its id.
    pub kid: String,
    /// The HMAC key, unpadded base64url.
    pub hmac_key: String,
}

impl fmt::Debug for ExternalAccount {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Binding {
    protected: String,
    payload: String,
    signature: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    url: String,
    nonce: Option<serde::de::IgnoredAny>,
}

impl Core {
    /// The id of the key that vouches for `key`; nothing when none has to.
    ///
    /// # Errors
    /// `externalAccountRequired` without a binding, `malformed` or `unauthorized` with a
    /// bad one.
    pub(crate) fn external_account(
        &self,
        binding: Option<&Value>,
        key: &PublicKey,
    ) -> Result<Option<String>, Problem> {
        let Some(known) = &self.behaviour.external_accounts else {
            return Ok(None);
        };
        let binding = binding.ok_or_else(|| {
            Problem::new(
                Kind::ExternalAccountRequired,
                "this CA asks for an \"externalAccountBinding\"",
            )
        })?;
        let binding = Binding::deserialize(binding)
            .map_err(|error| malformed(&format!("is not a flattened JSON JWS: {error}")))?;
        let header: Header = serde_json::from_slice(&decode(&binding.protected)?)
            .map_err(|error| malformed(&format!("has an unfit protected header: {error}")))?;
        if header.alg != "HS256" {
            return Err(Problem::new(
                Kind::BadSignatureAlgorithm,
                format!("the binding says {:?}; this CA takes HS256", header.alg),
            ));
        }
        if header.nonce.is_some() || header.url != self.links.to(&Route::NewAccount) {
            return Err(malformed(
                "has a \"nonce\", or another \"url\" than newAccount's",
            ));
        }
        let vouching = known.keys.iter().find(|known| known.kid == header.kid);
        let vouching = vouching.ok_or_else(|| {
            Problem::unauthorized(format!("no external account has the id {:?}", header.kid))
        })?;
        let signed = format!("{}.{}", binding.protected, binding.payload);
        let secret = decode(&vouching.hmac_key)?;
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        hmac::verify(&secret, signed.as_bytes(), &decode(&binding.signature)?)
            .map_err(|_| Problem::unauthorized("the binding's MAC is not that of its key"))?;
        let bound: PublicKey = serde_json::from_slice(&decode(&binding.payload)?)
            .map_err(|error| malformed(&format!("carries no key: {error}")))?;
        if bound != *key {
            return Err(malformed("carries another key than the account's"));
        }
        let mut accounts = self.book.accounts.rows().iter();
        if known.single_use && accounts.any(|row| row.external.as_ref() == Some(&header.kid)) {
            let detail = format!("the external account {:?} is bound already", header.kid);
            return Err(Problem::unauthorized(detail));
        }
        Ok(Some(header.kid))
    }
}

fn decode(text: &str) -> Result<Vec<u8>, Problem> {
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|error| malformed(&format!("is not unpadded base64url: {error}")))
}

fn malformed(fault: &str) -> Problem {
    Problem::malformed(format!("the \"externalAccountBinding\" {fault}"))
}
