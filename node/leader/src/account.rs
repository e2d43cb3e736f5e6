//! The ACME account: its key is agreed on before the CA hears of it, so that no crash can
//! lose an account; `newAccount` with the same key gives the same account, so that it can
//! be sent again.

use std::sync::Arc;

use state::{Ca, Change, KeyPurpose, Registration, State, sealed::SealContext};

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
pub(crate) fn plan(ca: &Ca) -> Result<Option<Step>, TermsNotAgreed> {
    match (&ca.registration, ca.settings.terms_agreed) {
        (Registration::Registered { .. } | Registration::Rolling { .. }, _) => Ok(None),
        (_, false) => Err(TermsNotAgreed),
        (Registration::None, true) => Ok(Some(Step::CommitKey)),
        (Registration::KeyCommitted(_), true) => Ok(Some(Step::Register)),
    }
}

/// The CA that is asked: the first by rank.
pub(crate) fn first(state: &State) -> Option<Arc<Ca>> {
    state.cas_by_rank().first().map(|ca| Arc::clone(ca))
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
    let Some(ca) = first(&reign.state()) else {
        return Ok(());
    };
    let (purpose, context) = (
        KeyPurpose::Control,
        SealContext::AccountKey(ca.name.clone()),
    );
    let sealed = reign.ports.seal.seal(purpose, &context, made.key.expose());
    let change = Change::CommitAccountKey {
        ca: ca.name.clone(),
        key: state::AccountKey {
            sealed: sealed.map_err(|error| own(&error))?,
            thumbprint: made.thumbprint,
        },
    };
    reign.commit(change).await?;
    Ok(())
}

async fn register(reign: &Reign) -> Result<(), AccountError> {
    let state = reign.state();
    let Some(ca) = first(&state) else {
        return Ok(());
    };
    let authority = open(reign, &ca)?;
    let registered = register_at(reign, &ca, &*authority).await;
    if let Err(AccountError::Authority(error)) = &registered
        && error.is_outage()
    {
        reign.counters.outage();
        reign
            .weather(&ca.name)
            .strike(&error.to_string(), error.retry_after());
    }
    registered
}

async fn register_at(
    reign: &Reign,
    ca: &Ca,
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
        terms_agreed: ca.settings.terms_agreed,
        external: None,
    };
    let url = authority.register(&registration, permit).await?;
    failpoint.after("post-new-account");
    if !ca.settings.contacts.is_empty() {
        let permit = reign.commit(Change::Confirm).await?.permit;
        failpoint.before("post-update-contacts");
        let set = authority.set_contacts(&url, &ca.settings.contacts, permit);
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
    let name = ca.name.clone();
    reign
        .commit(Change::RegisterAccount { ca: name, url })
        .await?;
    reign.weather(&ca.name).clear();
    Ok(())
}

/// The CA, with the account's own key.
pub(crate) fn open(reign: &Reign, ca: &Ca) -> Result<Arc<dyn Authority>, AccountError> {
    let missing = || AccountError::Own("the account has no key".to_owned());
    let key = ca.key().ok_or_else(missing)?;
    let context = SealContext::AccountKey(ca.name.clone());
    let secret = reign.ports.seal.open(&key.sealed, &context);
    let secret = secret.map_err(|error| AccountError::Own(error.to_string()))?;
    let access = Access {
        directory: &ca.settings.directory,
        trust_roots_pem: &ca.settings.trust_roots_pem,
        rates: Rates::at(&ca.settings.directory),
        key: &secret,
        thumbprint: ca.thumbprint(),
        account_url: ca.account_url(),
    };
    Ok(reign.ports.authorities.open(&access)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::testing::{account_key, found};

    #[test]
    fn an_account_gets_a_key_and_then_a_url_but_nothing_without_terms() {
        let fresh = found().ca;
        let with = |registration| Ca {
            registration,
            ..fresh.clone()
        };
        let key = account_key("t");
        let registered = Registration::Registered {
            key: key.clone(),
            url: "https://ca.example/account/1".to_owned(),
            rollover: false,
        };
        let committed = with(Registration::KeyCommitted(key));
        assert_eq!(plan(&fresh), Ok(Some(Step::CommitKey)));
        assert_eq!(plan(&committed), Ok(Some(Step::Register)));
        assert_eq!(plan(&with(registered)), Ok(None));
        let mut unagreed = fresh.clone();
        unagreed.settings.terms_agreed = false;
        assert_eq!(plan(&unagreed), Err(TermsNotAgreed));
    }
}
