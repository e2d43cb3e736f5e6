//! The gate before each order.

use state::{ChallengeKind, Hostname, State, Wants};

use crate::{issuance::Ticket, reign::Reign};

/// How an order is to be proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Approach {
    /// The challenges that can succeed, the first to be tried first; never empty.
    pub(crate) challenges: Vec<ChallengeKind>,
}

/// Why no order begins now. Whatever follows from it has been committed: whoever is told
/// has nothing to do but to end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Deferral {
    /// The claim is another by now, or gone.
    #[error("the hostname's claim has changed or ended")]
    Withdrawn,
    /// It would fail; the hostname's record says why, and when it is tried again.
    #[error("{0}")]
    Recorded(String),
    /// It would fail, and that could not be committed.
    #[error("that an order would fail could not be recorded: {0}")]
    Unrecorded(String),
}

/// Looks whether an order can succeed, and how.
pub(crate) async fn before_order(reign: &Reign, ticket: &Ticket) -> Result<Approach, Deferral> {
    let state = reign.state();
    let record = state.hostname(ticket.hostname.as_str());
    let record = record.filter(|record| record.claim == ticket.claim);
    let wants = record.ok_or(Deferral::Withdrawn)?.wants();
    let challenges = methods(&state, &ticket.hostname, wants.wildcard, &wants);
    if challenges.is_empty() {
        let why = "a wildcard is proven by dns-01, and this cluster has no DNS zone".to_owned();
        return Err(Deferral::Recorded(why));
    }
    Ok(Approach { challenges })
}

/// The challenges that fit a hostname as far as the state can tell, the first to be tried
/// first; none if it wants one that this cluster cannot answer.
pub(crate) fn methods(
    state: &State,
    hostname: &Hostname,
    wildcard: bool,
    wants: &Wants,
) -> Vec<ChallengeKind> {
    let delegated = state.delegation(hostname.as_str()).is_some();
    let can = |kind: &ChallengeKind| match kind {
        ChallengeKind::Http01 | ChallengeKind::TlsAlpn01 => !wildcard,
        ChallengeKind::Dns01 => delegated,
    };
    let wanted = |kind: &ChallengeKind| wants.challenge.is_none_or(|only| only == *kind);
    let all = ChallengeKind::ALL.into_iter();
    all.filter(wanted).filter(can).collect()
}
