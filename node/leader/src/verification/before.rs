//! The gate before each order: none begins for a name that is not proven to be its tenant's
//! at that moment, or whose order would fail.

use state::{
    ChallengeKind, Change, FailureClass, Hostname, HostnameRecord, OwnershipPolicy, Proof, State,
    Wants,
};

use super::{
    caa::Issuer,
    claim::Who,
    duty::{ownership_is, proof_method},
    ownership::{Reason, Verdict},
    parking::{self, Rest, Wrong},
    preflight::{Order, Preflight},
    probe::Scope,
    schedule, situation,
    survey::Survey,
    told,
};
use crate::{
    issuance::Ticket,
    reign::{CommitError, Reign},
};

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
    let gate = Gate {
        reign,
        ticket,
        state: &state,
        record: record.ok_or(Deferral::Withdrawn)?,
    };
    if let Some(rest) = parking::after_orders(gate.record.failure.as_deref(), reign.now()) {
        return Err(gate.park(rest).await);
    }
    match state.zone().settings.ownership {
        OwnershipPolicy::Operator => gate.unseen().await,
        OwnershipPolicy::Proof => gate.seen().await,
    }
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

struct Gate<'a> {
    reign: &'a Reign,
    ticket: &'a Ticket,
    state: &'a State,
    record: &'a HostnameRecord,
}

impl Gate<'_> {
    /// An operator's word is enough: nothing is looked up.
    async fn unseen(&self) -> Result<Approach, Deferral> {
        let (hostname, wants) = (&self.ticket.hostname, self.record.wants());
        let mut challenges = methods(self.state, hostname, wants.wildcard, &wants);
        if challenges.len() > 1 && self.reign.has_silent_member() {
            challenges.retain(|kind| *kind != ChallengeKind::TlsAlpn01);
        }
        if challenges.is_empty() {
            let why = "no_dns_zone; the operator of this cluster must act: only dns-01 would do, and this cluster has no DNS zone";
            return Err(self.defer(Wrong::Unclear, why.to_owned()).await);
        }
        Ok(Approach { challenges })
    }

    async fn seen(&self) -> Result<Approach, Deferral> {
        let now = self.reign.now();
        let ownership = &self.record.ownership;
        let fresh = self.reign.config.verification.fresh;
        // Who was vouched for when that was enough stays so.
        let counts = ownership
            .checked_at
            .is_some_and(|at| now.since(at) < fresh && at <= now);
        let scope = Scope {
            ownership: !counts && ownership.standing != Proof::Vouched,
            order: true,
        };
        let claim = situation::claim(self.state, &self.ticket.hostname, self.record);
        let cluster = situation::cluster(self.state);
        let look = self.reign.ports.surveyor.look(claim, cluster, scope).await;
        self.reign.counters.looked();
        let Ok(survey) = look else {
            let why = told::reasons(&[Reason::NameTooLong]);
            return Err(self.defer(Wrong::OffTarget, why).await);
        };
        if scope.ownership {
            self.prove(&survey).await?;
        }
        let flight = self.fly(&survey);
        let offered = flight.challenges(self.ticket.ca.as_str());
        if !offered.is_empty() {
            let challenges = offered.iter().copied().map(ChallengeKind::from);
            return Ok(Approach {
                challenges: challenges.collect(),
            });
        }
        let mut barring = flight.faults.iter().filter(|fault| fault.bars);
        let wrong = if barring.any(|fault| fault.who == Who::Owner) {
            Wrong::OffTarget
        } else {
            Wrong::Unclear
        };
        Err(self.defer(wrong, told::faults(&flight)).await)
    }

    /// Whether the claim still holds. One that cannot be seen does not lapse, and is not
    /// ordered for either.
    async fn prove(&self, survey: &Survey) -> Result<(), Deferral> {
        let verdict = survey.verdict();
        let (hostname, record) = (&self.ticket.hostname, self.record);
        let change = match &verdict {
            Verdict::Proven { method, .. } => {
                let method = proof_method(*method, record.ownership.standing);
                ownership_is(hostname, record, Proof::Proven(method), None, None)
            }
            Verdict::Undecided(reasons) => {
                return Err(self.defer(Wrong::Unclear, told::reasons(reasons)).await);
            }
            Verdict::Unproven(reasons) => {
                let next = self.reign.now().plus(schedule::lapsed());
                let fault = Some(told::reasons(reasons));
                ownership_is(hostname, record, Proof::Lapsed, fault, Some(next))
            }
        };
        self.commit(change).await?;
        match verdict {
            Verdict::Unproven(reasons) => {
                tracing::info!(%hostname, "the proof has lapsed");
                self.reign.counters.lapsed();
                Err(Deferral::Recorded(told::reasons(&reasons)))
            }
            _ => Ok(()),
        }
    }

    fn fly(&self, survey: &Survey) -> Preflight {
        let ca = self.state.ca(self.ticket.ca.as_str());
        let issuers: Vec<Issuer> = ca.map(|ca| situation::issuer(ca)).into_iter().collect();
        survey.preflight(&Order {
            claim: &survey.claim,
            forced: self.record.wants().challenge.map(Into::into),
            issuers: &issuers,
            member_silent: self.reign.has_silent_member(),
        })
    }

    /// Not now, for `why`.
    async fn defer(&self, wrong: Wrong, why: String) -> Deferral {
        let (failure, first) = (
            self.record.failure.as_deref(),
            self.reign.config.verification.first,
        );
        let rest = parking::after_look(failure, wrong, self.reign.now(), first);
        self.put_off(rest, FailureClass::Preflight, why).await
    }

    /// Not for long: its orders fail.
    async fn park(&self, rest: Rest) -> Deferral {
        let failure = self.record.failure.as_deref();
        let (class, why) = failure.map_or_else(
            || (FailureClass::Preflight, String::new()),
            |failure| (failure.class, failure.reason.to_string()),
        );
        self.put_off(rest, class, why).await
    }

    async fn put_off(&self, rest: Rest, class: FailureClass, why: String) -> Deferral {
        tracing::info!(hostname = %self.ticket.hostname, why, parked = rest.parked, "no order now");
        self.reign.counters.deferred();
        let change = Change::DeferHostname {
            hostname: self.ticket.hostname.clone(),
            claim: self.ticket.claim,
            class,
            reason: why.clone(),
            next_try: rest.next_try,
            parked: rest.parked,
        };
        match self.commit(change).await {
            Ok(()) => Deferral::Recorded(why),
            Err(deferral) => deferral,
        }
    }

    async fn commit(&self, change: Change) -> Result<(), Deferral> {
        match self.reign.commit(change).await {
            Ok(_) => Ok(()),
            Err(CommitError::Refused(_)) => Err(Deferral::Withdrawn),
            Err(error) => Err(Deferral::Unrecorded(error.to_string())),
        }
    }
}
