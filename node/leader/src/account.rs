//! Our accounts, one at each CA. A key is agreed on before the CA hears of it, so that no
//! crash can lose an account; `newAccount` with the same key gives the same account, so
//! that it can be sent again. A key is changed in the same way: while both are known, the
//! CA is asked which it has.
//!
//! What contacts a CA was told is this leader's memory: a new one tells them again.

mod open;
mod rollover;

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use state::{Ca, CaName, Change, KeyPurpose, Registration, Stage, State, sealed::SealContext};

pub(crate) use self::open::open;
use crate::{
    issuance::authority::{Authority, AuthorityError, ExternalAccount, Registration as NewAccount},
    reign::{CommitError, Reign},
};

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Make a key and commit it: the first, or the next one.
    CommitKey,
    /// Tell the CA.
    Register,
    /// Tell the CA whom it can write to.
    TellContacts,
    /// Have the CA take the next key, or find out that it has.
    ChangeKey,
}

impl Step {
    /// In a few words, for the status.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::CommitKey => "making the account's key",
            Self::Register => "registering",
            Self::TellContacts => "telling the account's contacts",
            Self::ChangeKey => "changing the account's key",
        }
    }
}

/// What this leader remembers of accounts. All of it may be lost.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<HashMap<CaName, Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    /// The contacts that the CA was told.
    contacts: Option<Vec<String>>,
    /// When `keyChange` was last sent without an answer.
    doubtful_at: Option<Duration>,
}

impl Memory {
    fn told(&self, ca: &CaName) -> Option<Vec<String>> {
        self.all().get(ca)?.contacts.clone()
    }

    fn edit(&self, ca: &CaName, edit: impl FnOnce(&mut Remembered)) {
        edit(self.all().entry(ca.clone()).or_default());
    }

    fn all(&self) -> MutexGuard<'_, HashMap<CaName, Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nothing can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the CA's terms of service were not agreed to; nothing is ordered there until an operator agrees to them"
)]
pub(crate) struct TermsNotAgreed;

/// What an account lacks.
pub(crate) fn plan(
    state: &State,
    ca: &Ca,
    memory: &Memory,
) -> Result<Option<Step>, TermsNotAgreed> {
    match (&ca.registration, ca.settings.terms_agreed) {
        (Registration::Rolling { .. }, _) => Ok(Some(Step::ChangeKey)),
        (Registration::Registered { rollover: true, .. }, _) => {
            Ok((!is_challenged(state, &ca.name)).then_some(Step::CommitKey))
        }
        (Registration::Registered { .. }, _) => {
            let wanted = &ca.settings.contacts;
            let told = memory.told(&ca.name).unwrap_or_default();
            Ok((told != *wanted).then_some(Step::TellContacts))
        }
        (_, false) => Err(TermsNotAgreed),
        (Registration::None, true) => Ok(Some(Step::CommitKey)),
        (Registration::KeyCommitted(_), true) => Ok(Some(Step::Register)),
    }
}

/// The answers of challenges end in the thumbprint of the account's key: while one is or
/// will be open there, the key stays. No order begins meanwhile.
fn is_challenged(state: &State, ca: &CaName) -> bool {
    state
        .orders()
        .any(|order| order.ca == *ca && !matches!(order.stage, Stage::FinalizeIntent(_)))
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(
        "the CA registers only accounts that are bound to an external one, and none was given: ask the CA for a key id and an HMAC key and bind them"
    )]
    NoExternalAccount,
    #[error("the CA did not change the account's key, which stays as it was: {0}")]
    NotRolled(AuthorityError),
    #[error("{0}")]
    Own(String),
}

impl AccountError {
    fn own(error: impl std::fmt::Display) -> Self {
        Self::Own(error.to_string())
    }

    /// The same again will not help before somebody does something.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::NoExternalAccount | Self::NotRolled(_) => true,
            Self::Authority(error) => {
                !error.is_outage()
                    && matches!(
                        error,
                        AuthorityError::Refused(_)
                            | AuthorityError::Unusable(_)
                            | AuthorityError::Unsupported(_)
                    )
            }
            Self::Commit(_) | Self::Own(_) => false,
        }
    }
}

/// Does one step for the account at `ca`.
pub(crate) async fn act(
    reign: &Reign,
    memory: &Memory,
    ca: &CaName,
    step: Step,
) -> Result<(), AccountError> {
    let Some(ca) = reign.state().ca(ca.as_str()).cloned() else {
        return Ok(());
    };
    let done = match step {
        Step::CommitKey => commit_key(reign, &ca).await,
        Step::Register => register(reign, &ca).await,
        Step::TellContacts => tell_contacts(reign, memory, &ca).await,
        Step::ChangeKey => rollover::change_key(reign, memory, &ca).await,
    };
    match &done {
        Ok(()) if step != Step::CommitKey => reign.weather(&ca.name).clear(),
        Err(AccountError::Authority(error)) if error.is_outage() => {
            reign.counters.outage();
            let weather = reign.weather(&ca.name);
            weather.strike(&error.to_string(), error.retry_after());
        }
        Ok(()) | Err(_) => {}
    }
    done
}

async fn commit_key(reign: &Reign, ca: &Ca) -> Result<(), AccountError> {
    let made = reign.ports.requests.account_key();
    let made = made.map_err(AccountError::own)?;
    let (purpose, context) = (
        KeyPurpose::Control,
        SealContext::AccountKey(ca.name.clone()),
    );
    let sealed = reign.ports.seal.seal(purpose, &context, made.key.expose());
    let change = Change::CommitAccountKey {
        ca: ca.name.clone(),
        key: state::AccountKey {
            sealed: sealed.map_err(AccountError::own)?,
            thumbprint: made.thumbprint,
        },
    };
    reign.commit(change).await?;
    Ok(())
}

async fn register(reign: &Reign, ca: &Ca) -> Result<(), AccountError> {
    let authority = open(reign, ca)?;
    authority.warm().await?;
    let found = match &ca.external_account {
        // Such a binding may be good for one use only: after an answer that was lost the
        // account exists, and asking again would be refused.
        Some(_) => authority.find().await?,
        None if authority.directory().await?.external_account_required => {
            return Err(AccountError::NoExternalAccount);
        }
        None => None,
    };
    let url = match found {
        Some(url) => url,
        None => new_account(reign, ca, &*authority).await?,
    };
    tracing::info!(ca = %ca.name, url, "registered at the CA");
    let ca = ca.name.clone();
    reign.commit(Change::RegisterAccount { ca, url }).await?;
    Ok(())
}

async fn new_account(
    reign: &Reign,
    ca: &Ca,
    authority: &dyn Authority,
) -> Result<String, AccountError> {
    let hmac = match &ca.external_account {
        None => None,
        Some(account) => {
            let context = SealContext::ExternalAccountKey(ca.name.clone());
            let opened = reign.ports.seal.open(&account.hmac, &context);
            Some((account, opened.map_err(AccountError::own)?))
        }
    };
    let external = hmac.as_ref().map(|(account, hmac)| ExternalAccount {
        kid: &account.key_id,
        hmac,
    });
    let registration = NewAccount {
        // Told afterwards: a CA that does not like them still issues.
        contacts: &[],
        terms_agreed: ca.settings.terms_agreed,
        external,
    };
    // The key's own commit may be a predecessor's: this one says that we lead.
    let permit = reign.commit(Change::Confirm).await?.permit;
    let failpoint = reign.config.failpoint;
    failpoint.before("post-new-account");
    let url = authority.register(&registration, permit).await?;
    failpoint.after("post-new-account");
    Ok(url)
}

async fn tell_contacts(reign: &Reign, memory: &Memory, ca: &Ca) -> Result<(), AccountError> {
    let Some(url) = ca.account_url() else {
        return Ok(());
    };
    let authority = open(reign, ca)?;
    authority.warm().await?;
    let permit = reign.commit(Change::Confirm).await?.permit;
    let failpoint = reign.config.failpoint;
    failpoint.before("post-update-contacts");
    let contacts = &ca.settings.contacts;
    match authority.set_contacts(url, contacts, permit).await {
        // A CA that does not like our contacts still issues.
        Err(AuthorityError::Refused(problem)) => {
            tracing::warn!(ca = %ca.name, %problem, "the CA does not take the account's contacts");
        }
        other => other?,
    }
    failpoint.after("post-update-contacts");
    memory.edit(&ca.name, |it| it.contacts = Some(contacts.clone()));
    Ok(())
}

#[cfg(test)]
mod tests;
