//! The ACME account: its key is agreed on before the CA hears of it, so that no crash can
//! lose an account; `newAccount` with the same key gives the same account, so that it can
//! be sent again.

use std::sync::Arc;

use state::{Account, Change, KeyPurpose, Registration, sealed::SealContext};

use crate::{
    issuance::authority::{Access, Authority, AuthorityError, Rates, Registration as NewAccount},
    reign::{CommitError, Reign},
};

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Make a key and commit it.
    CommitKey,
    /// Tell the CA.
    Register,
}

/// Why nothing can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the CA's terms of service were not agreed to; nothing is ordered until the cluster is formed with them agreed"
)]
pub(crate) struct TermsNotAgreed;

/// What an account lacks.
pub(crate) fn plan(account: &Account) -> Result<Option<Step>, TermsNotAgreed> {
    match (&account.registration, account.terms_agreed) {
        (Registration::Registered { .. }, _) => Ok(None),
        (_, false) => Err(TermsNotAgreed),
        (Registration::None, true) => Ok(Some(Step::CommitKey)),
        (Registration::KeyCommitted { .. }, true) => Ok(Some(Step::Register)),
    }
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("{0}")]
    Own(String),
}

/// Does one step.
pub(crate) async fn act(reign: &Reign, step: Step) -> Result<(), AccountError> {
    match step {
        Step::CommitKey => commit_key(reign).await,
        Step::Register => register(reign).await,
    }
}

async fn commit_key(reign: &Reign) -> Result<(), AccountError> {
    let own = |error: &dyn std::fmt::Display| AccountError::Own(error.to_string());
    let made = reign.ports.requests.account_key();
    let made = made.map_err(|error| own(&error))?;
    let (purpose, context) = (KeyPurpose::Control, SealContext::AccountKey);
    let sealed = reign.ports.seal.seal(purpose, &context, made.key.expose());
    let change = Change::CommitAccountKey {
        key: sealed.map_err(|error| own(&error))?,
        thumbprint: made.thumbprint,
    };
    reign.commit(change).await?;
    Ok(())
}

async fn register(reign: &Reign) -> Result<(), AccountError> {
    let state = reign.state();
    let Some(account) = state.account() else {
        return Ok(());
    };
    let authority = open(reign, account)?;
    let registered = register_at(reign, account, &*authority).await;
    if let Err(AccountError::Authority(error)) = &registered
        && error.is_outage()
    {
        reign.counters.outage();
        reign
            .weather
            .strike(&error.to_string(), error.retry_after());
    }
    registered
}

async fn register_at(
    reign: &Reign,
    account: &Account,
    authority: &dyn Authority,
) -> Result<(), AccountError> {
    let failpoint = reign.config.failpoint;
    authority.warm().await?;
    // The key's own commit may be a predecessor's: this one says that we lead.
    let permit = reign.commit(Change::Confirm).await?.permit;
    failpoint.before("post-new-account");
    let registration = NewAccount {
        // Set below: a CA that does not like them still issues.
        contacts: &[],
        terms_agreed: account.terms_agreed,
        external: None,
    };
    let url = authority.register(&registration, permit).await?;
    failpoint.after("post-new-account");
    if !account.contacts.is_empty() {
        let permit = reign.commit(Change::Confirm).await?.permit;
        failpoint.before("post-update-contacts");
        let set = authority.set_contacts(&url, &account.contacts, permit);
        match set.await {
            // A CA that does not like our contacts still issues.
            Err(AuthorityError::Refused(problem)) => {
                tracing::warn!(%problem, "the CA does not take the account's contacts");
            }
            other => other?,
        }
        failpoint.after("post-update-contacts");
    }
    tracing::info!(url, "registered at the CA");
    reign.commit(Change::RegisterAccount { url }).await?;
    reign.weather.clear();
    Ok(())
}

/// The CA, with the account's own key.
pub(crate) fn open(reign: &Reign, account: &Account) -> Result<Arc<dyn Authority>, AccountError> {
    let key = match &account.registration {
        Registration::None => return Err(AccountError::Own("the account has no key".to_owned())),
        Registration::KeyCommitted { key, .. } | Registration::Registered { key, .. } => key,
    };
    let secret = reign.ports.seal.open(key, &SealContext::AccountKey);
    let secret = secret.map_err(|error| AccountError::Own(error.to_string()))?;
    let account_url = match &account.registration {
        Registration::Registered { url, .. } => Some(url.as_str()),
        Registration::None | Registration::KeyCommitted { .. } => None,
    };
    let access = Access {
        directory: &account.directory,
        trust_roots_pem: &account.trust_roots_pem,
        rates: Rates::at(&account.directory),
        key: &secret,
        thumbprint: account.thumbprint(),
        account_url,
    };
    Ok(reign.ports.authorities.open(&access)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::testing::found;

    #[test]
    fn an_account_gets_a_key_and_then_a_url_but_nothing_without_terms() {
        let fresh = found().account;
        assert_eq!(plan(&fresh), Ok(Some(Step::CommitKey)));
        let key = found().authority.root_key;
        let committed = Account {
            registration: Registration::KeyCommitted {
                key: key.clone(),
                thumbprint: "t".to_owned(),
            },
            ..fresh.clone()
        };
        assert_eq!(plan(&committed), Ok(Some(Step::Register)));
        let registered = Account {
            registration: Registration::Registered {
                key,
                thumbprint: "t".to_owned(),
                url: "https://ca.example/account/1".to_owned(),
            },
            ..fresh.clone()
        };
        assert_eq!(plan(&registered), Ok(None));
        let unagreed = Account {
            terms_agreed: false,
            ..fresh
        };
        assert_eq!(plan(&unagreed), Err(TermsNotAgreed));
    }
}
