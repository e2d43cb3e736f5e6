//! Who asks: the checks of RFC 8555 section 6.

use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;

use crate::account::{Account, AccountStatus};
use crate::core::Core;
use crate::jws::{Jws, Signer};
use crate::key::PublicKey;
use crate::problem::{Kind, Problem};
use crate::routes::Route;

/// A request whose signature is good.
pub(crate) struct Signed {
    pub(crate) payload: Vec<u8>,
    pub(crate) by: SignedBy,
}

/// Whose signature it is.
pub(crate) enum SignedBy {
    /// A valid account's.
    Account(Account),
    /// A key's that the request itself carried.
    Key(PublicKey),
}

impl Core {
    /// Everything RFC 8555 section 6 asks of a request, in one place.
    pub(crate) fn authenticate(
        &mut self,
        route: &Route,
        request: &Request<Bytes>,
    ) -> Result<Signed, Problem> {
        let content_type = request.headers().get(CONTENT_TYPE);
        if content_type.is_none_or(|value| value != "application/jose+json") {
            let detail = "the Content-Type is not \"application/jose+json\"";
            return Err(Problem::malformed(detail).with_status(415));
        }
        let jws = Jws::parse(request.body())?;
        self.check_url(&jws, request)?;
        let nonce =
            jws.header.nonce.as_deref().ok_or_else(|| {
                Problem::new(Kind::BadNonce, "the protected header has no \"nonce\"")
            })?;
        if !self.nonces.spend(nonce) {
            let detail = "the nonce is unknown, spent or forgotten; take the one in this answer";
            return Err(Problem::new(Kind::BadNonce, detail));
        }
        match &jws.header.signer {
            Signer::Key(key) => {
                if !matches!(route, Route::NewAccount | Route::Revoke) {
                    return Err(Problem::malformed(
                        "this resource takes requests signed with \"kid\", not \"jwk\"",
                    ));
                }
                let key = key.clone();
                let payload = jws.verify(&key)?;
                let by = SignedBy::Key(key);
                Ok(Signed { payload, by })
            }
            Signer::Account(url) => {
                if *route == Route::NewAccount {
                    return Err(Problem::malformed(
                        "newAccount takes requests signed with \"jwk\", not \"kid\"",
                    ));
                }
                let account = self.account_of_url(url)?.clone();
                let payload = jws.verify(&account.key)?;
                if account.status == AccountStatus::Deactivated {
                    return Err(deactivated());
                }
                let by = SignedBy::Account(account);
                Ok(Signed { payload, by })
            }
        }
    }

    /// A request on the caller's word.
    ///
    /// # Errors
    /// `accountDoesNotExist`; and a refusal of accounts that are deactivated.
    pub(crate) fn vouched(&self, account: &str, payload: &[u8]) -> Result<Signed, Problem> {
        let account = self.book.accounts.get(account).ok_or_else(|| {
            let detail = format!("no account has the id {account:?}");
            Problem::new(Kind::AccountDoesNotExist, detail)
        })?;
        if account.status == AccountStatus::Deactivated {
            return Err(deactivated());
        }
        Ok(Signed {
            payload: payload.to_vec(),
            by: SignedBy::Account(account.clone()),
        })
    }

    fn check_url(&self, jws: &Jws, request: &Request<Bytes>) -> Result<(), Problem> {
        let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
        let url = self.links.at(path);
        if jws.header.url == url {
            return Ok(());
        }
        Err(Problem::unauthorized(format!(
            "the JWS is for {:?}, but was sent to {url:?}",
            jws.header.url
        ))
        .with_status(401))
    }

    fn account_of_url(&self, url: &str) -> Result<&Account, Problem> {
        let Some(Route::Account(id)) = self.links.parse(url) else {
            return Err(Problem::malformed(format!(
                "the \"kid\" {url:?} is not an account URL of this CA"
            )));
        };
        self.book.accounts.get(&id).ok_or_else(|| {
            Problem::new(
                Kind::AccountDoesNotExist,
                format!("no account has the URL {url:?}"),
            )
        })
    }
}

/// The answer to anything a deactivated account asks (RFC 8555 section 7.3.6).
pub(crate) fn deactivated() -> Problem {
    Problem::unauthorized("this account is deactivated").with_status(401)
}
