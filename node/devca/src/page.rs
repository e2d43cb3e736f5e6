//! What is read without a signature: the directory, nonces, and pages for people.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::core::Core;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::Route;
use crate::step::Turn;

impl Core {
    /// Answers a GET or HEAD of a public route.
    pub(crate) fn show(
        &mut self,
        route: &Route,
        method: &Method,
        turn: &mut Turn<'_>,
    ) -> Result<Reply, Problem> {
        let text = |text: &'static str| Reply::body(StatusCode::OK, "text/plain", text);
        let root =
            |pem: &str| Reply::body(StatusCode::OK, "application/x-pem-file", pem.to_owned());
        Ok(match route {
            Route::NewNonce if method == Method::HEAD => Reply::empty(StatusCode::OK),
            Route::NewNonce => Reply::empty(StatusCode::NO_CONTENT),
            Route::Terms => text(
                "This CA is for development. Its certificates prove nothing to anybody else.\n",
            ),
            Route::Root => root(self.authority.root_pem()),
            Route::AlternateRoot(number) => {
                let pem = self.authority.alternate_root_pem(*number);
                root(pem.ok_or_else(|| Problem::not_found("an alternate root of this number"))?)
            }
            Route::RenewalInfo(id) => self.renewal_info(id, turn.now)?,
            Route::Ledger => Reply::json(StatusCode::OK, &json!(self.ledger(turn.now))),
            Route::Directory => Reply::json(StatusCode::OK, &self.directory()),
            _ => text("hostquorum development CA (RFC 8555); begin at /directory\n"),
        })
    }

    fn directory(&self) -> Value {
        let to = |route| self.links.to(&route);
        let behaviour = &self.behaviour;
        let website = behaviour.website.clone();
        let mut directory = json!({
            "newNonce": to(Route::NewNonce),
            "newAccount": to(Route::NewAccount),
            "newOrder": to(Route::NewOrder),
            "revokeCert": to(Route::Revoke),
            "keyChange": to(Route::KeyChange),
            "meta": {
                "termsOfService": self.terms(),
                "website": website.unwrap_or_else(|| to(Route::Website)),
                "caaIdentities": behaviour.caa_identities,
                "externalAccountRequired": behaviour.external_accounts.is_some(),
            },
        });
        if behaviour.renewal_info.is_some() {
            directory["renewalInfo"] = self.links.at("/renewal-info").into();
        }
        if !behaviour.profiles.is_empty() {
            let profiles = behaviour.profiles.iter();
            let profiles = profiles.map(|(name, it)| (name.clone(), json!(it.description)));
            directory["meta"]["profiles"] = Value::Object(profiles.collect());
        }
        directory
    }

    /// Where the terms of service are.
    pub(crate) fn terms(&self) -> String {
        let own = self.behaviour.terms_of_service.clone();
        own.unwrap_or_else(|| self.links.to(&Route::Terms))
    }
}
