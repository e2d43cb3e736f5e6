//! The leader's looks at claims: whether those that wait are proven, and whether another
//! tenant's claim to a name is.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use state::{
    Change, Due, Hostname, HostnameRecord, OwnershipPolicy, Proof, ProofMethod, Refusal, State,
    Timestamp,
};
use tokio::time::Instant;

use super::{
    claim::Claim,
    ownership::{Method, Reason, Verdict},
    probe::Scope,
    schedule, situation, told,
};
use crate::reign::{CommitError, Reign};

/// Claims looked at at once; the rest of the looks are for orders.
const CHECKS_MOST: usize = 5;
/// Most looks that are planned ahead: going through what is due is not free.
const AHEAD: usize = 200;
/// Between two times that what is due is gone through.
const SCAN: Duration = Duration::from_millis(200);

/// One thing to look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Look {
    /// Whether the hostname is its tenant's.
    Check(Hostname),
    /// Whether it is that of the tenant that contests it.
    Contest(Hostname),
}

/// Which looks are under way, and which are next.
#[derive(Debug, Default)]
pub(crate) struct Rota {
    next: VecDeque<Look>,
    in_hand: HashSet<Look>,
    scanned: Option<Instant>,
}

impl Rota {
    /// What to begin at `now`; each is in hand until [`Rota::done`].
    /// What ends by time waits until the clock can be `trusted`.
    pub(crate) fn plan(&mut self, state: &State, now: Timestamp, trusted: bool) -> Vec<Look> {
        let free = CHECKS_MOST.saturating_sub(self.in_hand.len());
        if free > 0 && self.next.is_empty() && self.may_scan() {
            self.scanned = Some(Instant::now());
            let due = due(state, now)
                .filter(|look| !self.in_hand.contains(look))
                .filter(|look| trusted || matches!(look, Look::Check(_)));
            self.next = due.take(AHEAD).collect();
        }
        let begun: Vec<Look> = self.next.drain(..free.min(self.next.len())).collect();
        self.in_hand.extend(begun.iter().cloned());
        begun
    }

    /// It has ended, however.
    pub(crate) fn done(&mut self, look: &Look) {
        self.in_hand.remove(look);
    }

    fn may_scan(&self) -> bool {
        self.scanned.is_none_or(|at| at.elapsed() >= SCAN)
    }
}

fn due(state: &State, now: Timestamp) -> impl Iterator<Item = Look> {
    state.due(now).filter_map(|(_, due)| match due {
        Due::Check(hostname) => Some(Look::Check(hostname.clone())),
        Due::Contest(hostname) => Some(Look::Contest(hostname.clone())),
        _ => None,
    })
}

/// Looks, and records what was seen.
pub(crate) async fn act(reign: Arc<Reign>, look: Look) -> Result<(), String> {
    let change = match &look {
        Look::Check(hostname) => check(&reign, hostname).await,
        Look::Contest(hostname) => contest(&reign, hostname).await,
    };
    let Some(change) = change else {
        return Ok(());
    };
    match reign.commit(change).await {
        // The claim has changed meanwhile, and is looked at anew.
        Ok(_) | Err(CommitError::Refused(Refusal::ClaimChanged | Refusal::NotFound(_))) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

async fn check(reign: &Reign, hostname: &Hostname) -> Option<Change> {
    let state = reign.state();
    let record = state.hostname(hostname.as_str())?;
    let (ownership, now) = (&record.ownership, reign.now());
    let due = ownership.next_check.is_some_and(|at| at <= now);
    if ownership.standing.holds() || !due {
        return None;
    }
    // The policy was another when it was claimed.
    if state.zone().settings.ownership == OwnershipPolicy::Operator {
        return Some(ownership_is(hostname, record, Proof::Vouched, None, None));
    }
    let claim = situation::claim(&state, hostname, record);
    let verdict = look(reign, &state, claim).await;
    if let Verdict::Proven { method, evidence } = &verdict {
        tracing::info!(%hostname, evidence, "proven");
        let standing = Proof::Proven(proof_method(*method, ownership.standing));
        return Some(ownership_is(hostname, record, standing, None, None));
    }
    let (age, first) = (now.since(ownership.since), reign.config.verification.first);
    let wait = match (&verdict, ownership.standing) {
        (Verdict::Undecided(_), _) => schedule::soon(age, first),
        (_, Proof::Lapsed) => schedule::seldom(age),
        _ => schedule::again(age, first),
    };
    let fault = Some(told::reasons(verdict.reasons()));
    let next = Some(reign.now().plus(wait));
    // Of one that has lapsed, that it is not proven changes nothing.
    Some(ownership_is(hostname, record, Proof::Unproven, fault, next))
}

async fn contest(reign: &Reign, hostname: &Hostname) -> Option<Change> {
    let state = reign.state();
    let record = state.hostname(hostname.as_str())?;
    let contest = record.contest()?;
    let now = reign.now();
    if contest.next_check.min(contest.ends()) > now {
        return None;
    }
    let claim = situation::contested(&state, hostname, record, contest);
    let verdict = look(reign, &state, claim).await;
    let (age, first) = (now.since(contest.since), reign.config.verification.first);
    let wait = match verdict {
        Verdict::Undecided(_) => schedule::soon(age, first),
        _ => schedule::again(age, first),
    };
    let proven = match verdict {
        Verdict::Proven { method, .. } => Some(proof_method(method, Proof::Unproven)),
        _ => None,
    };
    Some(Change::RecordContest {
        hostname: hostname.clone(),
        claim: contest.claim,
        proven,
        fault: proven.is_none().then(|| told::reasons(verdict.reasons())),
        next_check: reign.now().plus(wait),
    })
}

async fn look(reign: &Reign, state: &State, claim: Claim) -> Verdict {
    let scope = Scope {
        ownership: true,
        order: false,
    };
    let surveyor = &reign.ports.surveyor;
    let survey = surveyor.look(claim, situation::cluster(state), scope).await;
    reign.counters.looked();
    match survey {
        Ok(survey) => survey.verdict(),
        // No label fits below the name, so nothing can prove it.
        Err(error) => {
            tracing::debug!(%error, "a name that cannot be proven");
            Verdict::Unproven(vec![Reason::NameTooLong])
        }
    }
}

/// What a look at the present claim of `hostname` says.
pub(super) fn ownership_is(
    hostname: &Hostname,
    record: &HostnameRecord,
    standing: Proof,
    fault: Option<String>,
    next_check: Option<Timestamp>,
) -> Change {
    Change::RecordOwnership {
        hostname: hostname.clone(),
        claim: record.claim,
        standing,
        fault,
        next_check,
    }
}

/// As the state names it. That challenges are delegated to a claim says that what proved it
/// still holds, which for one that lapsed is the TXT record: it says the same of whom it is.
pub(super) fn proof_method(method: Method, was: Proof) -> ProofMethod {
    match (method, was) {
        (Method::Delegation, Proof::Proven(before)) => before,
        (Method::Txt | Method::Delegation, _) => ProofMethod::Txt,
        (Method::Cname, _) => ProofMethod::Cname,
        (Method::Http, _) => ProofMethod::Http,
        (Method::Address, _) => ProofMethod::Address,
    }
}
