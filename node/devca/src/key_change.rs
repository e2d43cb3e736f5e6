//! Giving an account another key (RFC 8555 section 7.3.5).

use http::StatusCode;
use serde::Deserialize;

use crate::account::Account;
use crate::book::Record;
use crate::core::{Core, read};
use crate::jws::{Jws, Signer};
use crate::key::PublicKey;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::Route;
use crate::step::Turn;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyChange {
    account: String,
    old_key: PublicKey,
}

impl Core {
    /// RFC 8555 section 7.3.5: gives the account a new key, proven by the inner JWS.
    pub(crate) fn key_change(
        &mut self,
        mut account: Account,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Reply, Problem> {
        let inner = Jws::parse(payload)?;
        let Signer::Key(new_key) = &inner.header.signer else {
            return Err(Problem::malformed(
                "the inner JWS of a key change carries the new key as \"jwk\"",
            ));
        };
        let new_key = new_key.clone();
        if inner.header.nonce.is_some() {
            return Err(Problem::malformed(
                "the inner JWS of a key change has no \"nonce\"",
            ));
        }
        if inner.header.url != self.links.to(&Route::KeyChange) {
            return Err(Problem::malformed(
                "the inner JWS has another \"url\" than the outer one",
            ));
        }
        let request: KeyChange = read(&inner.verify(&new_key)?)?;
        if request.account != self.links.to(&Route::Account(account.id.clone())) {
            return Err(Problem::malformed(
                "the inner JWS names another account than the one that signed",
            ));
        }
        if request.old_key != account.key {
            return Err(Problem::malformed("\"oldKey\" is not the account's key"));
        }
        if let Some(holder) = self.book.account_of_key(&new_key.thumbprint()) {
            let url = self.links.to(&Route::Account(holder.id.clone()));
            let problem = Problem::malformed("the new key belongs to an account already");
            return Err(problem.with_status(409).with_location(url));
        }
        account.key = new_key;
        let reply = Reply::json(StatusCode::OK, &self.account_json(&account));
        self.put(Record::Account(account), turn);
        Ok(reply)
    }
}
