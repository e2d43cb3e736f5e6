//! Changing an account's key (RFC 8555 section 7.3.5). Both keys are committed: one of
//! them is the account's, and whoever leads can ask the CA which.

use std::time::Duration;

use state::{AccountKey, Ca, Change, Registration};

use super::{
    AccountError, Memory,
    open::{open_with, unseal},
};
use crate::{
    issuance::authority::{Authority, AuthorityError},
    reign::Reign,
};

/// Goes on until one of the two keys is known to be the account's.
pub(super) async fn change_key(
    reign: &Reign,
    memory: &Memory,
    ca: &Ca,
) -> Result<(), AccountError> {
    let Registration::Rolling { key, url, next } = &ca.registration else {
        return Ok(());
    };
    let successor = open_with(reign, ca, next, None)?;
    if successor.find().await?.is_some() {
        return finish(reign, ca, true).await;
    }
    let present = open_with(reign, ca, key, Some(url))?;
    let sent = send(reign, ca, &*present, (url, next)).await;
    let refused = match sent {
        Ok(()) => return finish(reign, ca, true).await,
        Err(AccountError::Authority(error)) if is_refusal(&error) => error,
        Err(error) => {
            let now = reign.boottime();
            memory.edit(&ca.name, |it| it.doubtful_at = Some(now));
            return Err(error);
        }
    };
    // Refused: perhaps because one that was sent before has arrived.
    if successor.find().await?.is_some() {
        return finish(reign, ca, true).await;
    }
    if reign.boottime() < settled_at(reign, memory, ca) || present.find().await?.is_none() {
        return Err(refused.into());
    }
    finish(reign, ca, false).await?;
    Err(AccountError::NotRolled(refused))
}

async fn send(
    reign: &Reign,
    ca: &Ca,
    present: &dyn Authority,
    (url, next): (&str, &AccountKey),
) -> Result<(), AccountError> {
    let next = unseal(reign, ca, next)?;
    present.warm().await?;
    let permit = reign.commit(Change::Confirm).await?.permit;
    let failpoint = reign.config.failpoint;
    failpoint.before("post-key-change");
    present.roll_key(url, &next, permit).await?;
    failpoint.after("post-key-change");
    Ok(())
}

/// The CA has decided, and not done it.
fn is_refusal(error: &AuthorityError) -> bool {
    match error {
        AuthorityError::Unsupported(_) => true,
        AuthorityError::Refused(problem) => {
            !error.is_outage() && !matches!(problem.kind.as_str(), "badNonce" | "rateLimited")
        }
        _ => false,
    }
}

/// From then on no `keyChange` that somebody sent before can be under way: giving up the
/// next key while one is would lose the account.
fn settled_at(reign: &Reign, memory: &Memory, ca: &Ca) -> Duration {
    let doubtful_at = memory.all().get(&ca.name).and_then(|it| it.doubtful_at);
    let last = doubtful_at.unwrap_or_default().max(reign.since);
    last.saturating_add(reign.config.finalize_wait)
}

async fn finish(reign: &Reign, ca: &Ca, rolled: bool) -> Result<(), AccountError> {
    let name = ca.name.clone();
    reign
        .commit(Change::FinishRollover { ca: name, rolled })
        .await?;
    tracing::info!(ca = %ca.name, rolled, "the account's key is settled");
    Ok(())
}
