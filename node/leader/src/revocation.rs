//! Telling CAs what must not be trusted any more (RFC 8555 section 7.6). Telling twice is
//! as telling once; what the CA answered is committed.

use std::{sync::Arc, time::Duration};

use state::{
    Certificate, CertificateId, Change, Due, Revocation, RevocationState, State, Timestamp,
};

use crate::{
    issuance::authority::{Authority, AuthorityError, RevocationReason},
    leaves,
    reign::{CommitError, Reign},
    renewal::{Cas, ca_of},
};

/// Most revocations of one round, one after the other: some seconds.
const ROUND: usize = 32;

/// Shortest and longest wait before a CA is told again.
const AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// What is to be told now.
pub(crate) fn plan(state: &State, now: Timestamp) -> Vec<CertificateId> {
    let due = state.due(now).filter_map(|(_, due)| match due {
        Due::Revoke(id) => Some(**id),
        _ => None,
    });
    due.take(ROUND).collect()
}

/// Tells it.
pub(crate) async fn act(
    reign: &Reign,
    cas: &Cas,
    ids: Vec<CertificateId>,
) -> Result<(), CommitError> {
    for id in ids {
        let Some(certificate) = reign.state().certificate(&id).cloned() else {
            continue;
        };
        let authority = ca_of(&certificate).and_then(|ca| cas.get(ca));
        let state = match authority {
            Some(authority) => tell(reign, authority, &certificate).await?,
            None => later(&certificate, reign.now(), None),
        };
        match reign.commit(Change::FinishRevocation { id, state }).await {
            Ok(_) | Err(CommitError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn tell(
    reign: &Reign,
    authority: &Arc<dyn Authority>,
    certificate: &Arc<Certificate>,
) -> Result<RevocationState, CommitError> {
    let now = reign.now();
    if certificate.not_after <= now {
        return Ok(RevocationState::Refused("it has ended by itself".into()));
    }
    let hostname = &certificate.hostname;
    let leaf = match leaves::leaf(&reign.ports.bodies, certificate).await {
        Ok(leaf) => leaf,
        Err(error) => {
            tracing::error!(%hostname, %error, "a certificate cannot be revoked yet");
            return Ok(later(certificate, now, None));
        }
    };
    let told = match authority.warm().await {
        Ok(()) => {
            // The request to revoke is an operator's: this one says that we lead.
            let permit = reign.commit(Change::Confirm).await?.permit;
            let failpoint = reign.config.failpoint;
            failpoint.before("post-revocation");
            let told = authority.revoke(&leaf, reason(certificate), permit).await;
            failpoint.after("post-revocation");
            told
        }
        Err(error) => Err(error),
    };
    Ok(match told {
        Ok(()) => {
            reign.counters.revoked();
            tracing::info!(%hostname, id = %certificate.id, "revoked");
            RevocationState::Done
        }
        Err(AuthorityError::Refused(problem)) if is_final(&problem.kind, problem.status) => {
            tracing::error!(%hostname, %problem, "the CA does not revoke a certificate");
            RevocationState::Refused(problem.to_string().into())
        }
        Err(AuthorityError::Unsupported(feature)) => {
            let text = format!("the CA does not offer {feature}");
            RevocationState::Refused(text.into())
        }
        Err(error) => {
            tracing::warn!(%hostname, %error, "not revoked yet");
            if error.is_outage()
                && let Some(ca) = ca_of(certificate)
            {
                reign.counters.outage();
                let weather = reign.weather(ca);
                weather.strike(&error.to_string(), error.retry_after());
            }
            later(certificate, reign.now(), error.retry_after())
        }
    })
}

fn is_final(kind: &str, status: u16) -> bool {
    (400..500).contains(&status) && !matches!(kind, "badNonce" | "rateLimited")
}

/// Again after as long as it has been wanted, within bounds: twice as long each time.
fn later(certificate: &Certificate, now: Timestamp, asked: Option<Duration>) -> RevocationState {
    let revocation = certificate.revocation.as_ref();
    let wanted_for = revocation
        .map(|it| now.since(it.asked_at))
        .unwrap_or_default();
    let wait = wanted_for.clamp(AGAIN.0, AGAIN.1);
    let wait = wait.max(asked.unwrap_or_default().min(AGAIN.1));
    RevocationState::Wanted {
        next_try: now.plus(wait),
    }
}

/// Of the reasons that an operator can name, those that a public CA takes.
fn reason(certificate: &Certificate) -> RevocationReason {
    match certificate.revocation.as_deref() {
        Some(Revocation { reason: 1, .. }) => RevocationReason::KeyCompromise,
        Some(Revocation { reason: 4, .. }) => RevocationReason::Superseded,
        Some(Revocation { reason: 5, .. }) => RevocationReason::CessationOfOperation,
        Some(_) | None => RevocationReason::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::testing::{START, certificate};

    #[test]
    fn a_ca_that_cannot_be_told_is_told_again_twice_as_late_each_time() {
        let mut given = certificate("shop.example");
        given.revocation = Some(Box::new(Revocation {
            reason: 1,
            asked_at: START,
            state: RevocationState::Wanted { next_try: START },
        }));
        let mut now = START;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let RevocationState::Wanted { next_try } = later(&given, now, None) else {
                panic!("it is wanted still");
            };
            waits.push(next_try.since(now).as_secs() / 60);
            now = next_try;
        }
        assert_eq!(waits, [1, 1, 2, 4, 8, 16, 32, 60]);
    }

    #[test]
    fn reasons_that_no_public_ca_takes_are_not_specified() {
        let reason_of = |code| {
            let mut given = certificate("shop.example");
            given.revocation = Some(Box::new(Revocation {
                reason: code,
                asked_at: START,
                state: RevocationState::Done,
            }));
            reason(&given)
        };
        assert_eq!(reason_of(1), RevocationReason::KeyCompromise);
        assert_eq!(reason_of(9), RevocationReason::Unspecified);
    }
}
