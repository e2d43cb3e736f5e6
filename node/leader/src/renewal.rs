//! When certificates are renewed: at a moment of our choosing within the window that their
//! CA suggests (RFC 9773), or else by their lifetime.
//!
//! Which moment was chosen is committed, once for each window; when to ask again is this
//! leader's memory ([`Polls`]).

mod polls;
mod schedule;

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use state::{CaName, Certificate, CertificateId, Change, Source, Timestamp};

pub(crate) use self::polls::Polls;
use self::schedule::{Advice, schedule};
use crate::{
    issuance::authority::{Authority, AuthorityError, renewal_id},
    issuance::pace::Jitter,
    leaves,
    reign::{CommitError, Reign},
};

/// Most certificates asked about in one round. With a round every half second at most it is
/// a hundred a second: enough for two million with six hours between two looks, and a tenth
/// of what Let's Encrypt takes from one address.
pub(crate) const ROUND: usize = 50;

/// Questions at once.
const AT_ONCE: usize = 8;

/// Between two looks, if the CA does not say or cannot say.
const USUAL: Duration = Duration::from_secs(6 * 3600);

/// Shortest and longest wait that a CA may ask for (RFC 9773 section 4.3.2).
const ASKED: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(86_400));

/// After an answer that cannot be used.
const AGAIN: Duration = Duration::from_secs(3600);

/// The CAs that can be asked now.
pub(crate) type Cas = HashMap<CaName, Arc<dyn Authority>>;

/// Asks when these are to be renewed, and commits what is new.
pub(crate) async fn act(
    reign: &Reign,
    cas: &Cas,
    polls: &Polls,
    ids: Vec<CertificateId>,
) -> Result<(), CommitError> {
    let looks = stream::iter(ids).map(|id| look(reign, cas, polls, id));
    let mut looks = looks.buffer_unordered(AT_ONCE);
    let mut first = Ok(());
    while let Some(looked) = looks.next().await {
        first = first.and(looked);
    }
    first
}

async fn look(
    reign: &Reign,
    cas: &Cas,
    polls: &Polls,
    id: CertificateId,
) -> Result<(), CommitError> {
    let Some(certificate) = reign.state().certificate(&id).cloned() else {
        return Ok(());
    };
    let Some(authority) = ca_of(&certificate).and_then(|ca| cas.get(ca)) else {
        polls.again(id, reign.now().plus(AGAIN));
        return Ok(());
    };
    let (advice, wait) = ask(reign, &**authority, &certificate).await;
    polls.again(id, reign.now().plus(wait));
    let Some(advice) = advice else {
        return Ok(());
    };
    let (now, renew) = (reign.now(), reign.config.renew);
    let draw = draw(&*reign.ports.jitter);
    let Some((renew_at, window)) = schedule(&certificate, advice, renew, now, draw) else {
        return Ok(());
    };
    reign.counters.rescheduled();
    let change = Change::ScheduleRenewal {
        id,
        renew_at,
        window,
    };
    match reign.commit(change).await {
        // Replaced or forgotten meanwhile.
        Ok(_) | Err(CommitError::Refused(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What the CA says, if it says something, and how long to wait before the next look.
async fn ask(
    reign: &Reign,
    authority: &dyn Authority,
    certificate: &Arc<Certificate>,
) -> (Option<Advice>, Duration) {
    let id = match leaves::leaf(&reign.ports.bodies, certificate).await {
        Ok(leaf) => renewal_id(&leaf).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let id = match id {
        Ok(id) => id,
        Err(error) => {
            let hostname = &certificate.hostname;
            tracing::warn!(%hostname, error, "its CA cannot be asked when to renew it");
            return (None, AGAIN);
        }
    };
    let answer = authority.renewal_info(&id).await;
    reign.counters.polled(answer.is_ok());
    let life = certificate.not_after.since(certificate.not_before);
    match answer {
        Ok(info) => {
            let asked = info.retry_after.unwrap_or(USUAL);
            let shortest = ASKED.0.min(life / 10);
            let window = state::Window {
                start: info.start,
                end: info.end,
            };
            let wait = asked.clamp(shortest, ASKED.1);
            (Some(Advice::Window(window)), wait)
        }
        Err(AuthorityError::Unsupported(_)) => (Some(Advice::None), ASKED.1.min(life / 2)),
        Err(error) => {
            if error.is_outage() {
                reign.counters.outage();
                if let Some(ca) = ca_of(certificate) {
                    let weather = reign.weather(ca);
                    weather.strike(&error.to_string(), error.retry_after());
                }
            }
            let asked = error.retry_after().unwrap_or_default();
            (None, AGAIN.min(life / 10).max(asked).min(ASKED.1))
        }
    }
}

/// The CA that a certificate is from.
pub(crate) fn ca_of(certificate: &Certificate) -> Option<&CaName> {
    match &certificate.source {
        Source::Ca(ca) => Some(ca),
        Source::Uploaded => None,
    }
}

/// Uniform in 48 bits.
fn draw(jitter: &dyn Jitter) -> u64 {
    (0..3).fold(0, |drawn, _| drawn << 16 | u64::from(jitter.draw()))
}

/// Whether its CA is asked about it: it is served, from a CA, and not replaced anyway.
fn is_followed(certificate: &Certificate) -> bool {
    certificate.forget_at.is_none()
        && certificate.reissue.is_none()
        && certificate.revocation.is_none()
        && ca_of(certificate).is_some()
}

/// When a certificate that this leader knows nothing of is first asked about: its own place
/// in a round that begins anew every six hours (or every tenth of a short life), so that a
/// new leader neither asks about all at once nor begins from the start.
fn first_look(certificate: &Certificate, now: Timestamp) -> Timestamp {
    let life = certificate.not_after.since(certificate.not_before);
    let round = USUAL.min(life / 10).as_millis().max(1);
    let [a, b, c, d, ..] = certificate.id.0;
    // Ids are digests: as good as chance.
    let place = (u128::from(u32::from_be_bytes([a, b, c, d])) * round) >> 32;
    let behind = u128::from(now.as_millis()) % round;
    let ahead = (round + place - behind) % round;
    now.plus(Duration::from_millis(u64::try_from(ahead).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
