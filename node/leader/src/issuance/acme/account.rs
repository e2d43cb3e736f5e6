//! The account at the CA (RFC 8555 section 7.3). Every key is ours, and was committed
//! before it comes here.

use serde_json::json;
use state::Secret;

use super::{
    Acme,
    answer::Answer,
    document,
    jws::{AccountKey, Identity},
};
use crate::{
    fence::Permit,
    issuance::authority::{AuthorityError, Registration},
};

impl Acme {
    pub(super) async fn new_account(
        &self,
        registration: &Registration<'_>,
        permit: Permit,
    ) -> Result<String, AuthorityError> {
        let directory = self.site.directory().await?;
        let url = directory.new_account.as_str();
        let mut payload = json!({ "termsOfServiceAgreed": registration.terms_agreed });
        if !registration.contacts.is_empty() {
            payload["contact"] = json!(registration.contacts);
        }
        if let Some(external) = &registration.external {
            payload["externalAccountBinding"] = self.key.binding(external, url)?;
        }
        let answer = self.ask_account(url, &payload, Some(permit)).await?;
        self.account_in(&answer).await
    }

    pub(super) async fn existing_account(&self) -> Result<Option<String>, AuthorityError> {
        let directory = self.site.directory().await?;
        let payload = json!({ "onlyReturnExisting": true });
        let asked = self.ask_account(&directory.new_account, &payload, None);
        match asked.await {
            Ok(answer) => self.account_in(&answer).await.map(Some),
            Err(error) if error.kind() == "accountDoesNotExist" => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn update_contacts(
        &self,
        account_url: &str,
        contacts: &[String],
        permit: Permit,
    ) -> Result<(), AuthorityError> {
        let payload = json!({ "contact": contacts }).to_string();
        let identity = Identity::Account(account_url);
        let update = self.site.post(
            &self.key,
            identity,
            account_url,
            payload.as_bytes(),
            Some(permit),
        );
        valid(&update.await?)
    }

    pub(super) async fn change_key(
        &self,
        account_url: &str,
        next_key: &Secret,
        permit: Permit,
    ) -> Result<(), AuthorityError> {
        let directory = self.site.directory().await?;
        let url = directory.key_change()?;
        let next = AccountKey::open(next_key)?;
        let payload = next.succession(account_url, &self.key, url)?;
        let identity = Identity::Account(account_url);
        let change = self
            .site
            .post(&self.key, identity, url, &payload, Some(permit));
        change.await.map(|_| ())
    }

    async fn ask_account(
        &self,
        url: &str,
        payload: &serde_json::Value,
        permit: Option<Permit>,
    ) -> Result<Answer, AuthorityError> {
        let payload = payload.to_string();
        let (site, identity) = (&self.site, Identity::Key);
        let asked = site.post(&self.key, identity, url, payload.as_bytes(), permit);
        asked.await
    }

    /// The account that an answer tells of: one that can be used, at the CA itself.
    async fn account_in(&self, answer: &Answer) -> Result<String, AuthorityError> {
        let url = answer.location("an account")?;
        self.site.directory().await?.hosts.check(url)?;
        valid(answer)?;
        Ok(url.to_owned())
    }
}

fn valid(answer: &Answer) -> Result<(), AuthorityError> {
    match document::account_status(answer).as_deref() {
        None | Some("valid") => Ok(()),
        Some(status) => {
            let status: String = status.chars().take(40).collect();
            let text =
                format!("the CA says that it is {status}; an account of another key must be made");
            Err(AuthorityError::Unusable(text))
        }
    }
}
