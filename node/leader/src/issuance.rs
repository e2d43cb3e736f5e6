//! Certificates: which orders to take up and to begin.
//!
//! An order goes through `Admitted`, `Prepared`, `ReadyIntent` and `FinalizeIntent` to its
//! certificate. Each stage is committed before its effect at the CA, so that whoever leads
//! next knows what may have happened; [`decide`](self::decide) says what to do from each,
//! and [`progress`](self::progress) does it.

pub mod acme;
pub mod authority;
mod decide;
pub(crate) mod fallback;
pub mod inspect;
mod memory;
pub mod pace;
mod progress;
mod react;
pub mod request;
pub mod weather;

use std::{collections::HashSet, sync::Arc};

use state::{
    Budget, CaName, Change, Done, Due, Hostname, Index, KeyAlgorithm, KeyPurpose, OrderId, State,
    Timestamp, command::Admit, sealed::SealContext,
};

use self::{authority::Authority, progress::Carrier};
use crate::reign::{CommitError, Reign};

/// An order that may begin now: what the scheduler decided, and all that is decided there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// For whom.
    pub(crate) hostname: Hostname,
    /// The hostname's claim as it was decided for.
    pub(crate) claim: Index,
    /// At which CA.
    pub(crate) ca: CaName,
    /// The certificate's kind of key.
    pub(crate) algorithm: KeyAlgorithm,
    /// The profile to ask for: the hostname's own, or the CA's as configured.
    pub(crate) profile: Option<String>,
    /// The certificate that it replaces, as RFC 9773 names it (section 4.1).
    pub(crate) replaces: Option<String>,
    /// What it costs.
    pub(crate) budget: Budget,
    /// The registered domain under which the CA counts it.
    pub(crate) domain: String,
}

/// One thing to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Carry on an order of an earlier leader, or one whose carrier ended.
    Resume(Hostname, OrderId),
    /// Begin an order for the claim of a hostname.
    Admit(Hostname, Index),
}

/// What a plan depends on beside the state.
pub(crate) struct Outlook<'a> {
    pub(crate) now: Timestamp,
    /// Hostnames that are in hand.
    pub(crate) in_hand: &'a HashSet<Hostname>,
    /// Most orders at once.
    pub(crate) bound: usize,
    /// This leader's clock can be trusted: renewals may begin.
    pub(crate) trusted: bool,
    /// The CA may be asked: orders may begin.
    pub(crate) calm: bool,
}

/// What to begin: what is in flight before what is due, the longest due first.
pub(crate) fn plan(state: &State, outlook: &Outlook<'_>) -> Vec<Step> {
    let free = outlook.bound.saturating_sub(outlook.in_hand.len());
    let mut steps: Vec<Step> = state
        .orders()
        .filter(|order| !outlook.in_hand.contains(&order.hostname))
        .take(free)
        .map(|order| Step::Resume(order.hostname.clone(), order.id))
        .collect();
    if outlook.calm {
        let free = free.saturating_sub(steps.len());
        steps.extend(due(state, outlook).take(free));
    }
    steps
}

fn due<'a>(state: &'a State, outlook: &'a Outlook<'_>) -> impl Iterator<Item = Step> + 'a {
    state.due(outlook.now).filter_map(|(_, due)| {
        let Due::Order(hostname, _) = due else {
            return None;
        };
        let record = state.hostname(hostname.as_str())?;
        let first = record.certificate.is_none();
        let wanted = !outlook.in_hand.contains(hostname) && (first || outlook.trusted);
        wanted.then(|| Step::Admit(hostname.clone(), record.claim))
    })
}

/// Begins an order and carries it to its end.
pub(crate) async fn admit(
    reign: Arc<Reign>,
    authority: Arc<dyn Authority>,
    ticket: Ticket,
) -> Result<(), String> {
    let hostname = ticket.hostname.clone();
    reign.board.order(&hostname, "making a key", reign.now());
    let made = reign.ports.requests.request(&hostname);
    let made = made.map_err(|error| error.to_string())?;
    let context = SealContext::CertificateKey(hostname.clone());
    let sealed = reign
        .ports
        .seal
        .seal(KeyPurpose::Serving, &context, made.key.expose());
    let key = sealed.map_err(|error| error.to_string())?;
    if let Err(error) = authority.warm().await {
        reign.counters.outage();
        reign
            .weather(&ticket.ca)
            .strike(&error.to_string(), error.retry_after());
        return Err(error.to_string());
    }
    let change = Change::AdmitOrder(Box::new(Admit {
        domain: ticket.domain,
        hostname,
        claim: ticket.claim,
        ca: ticket.ca,
        algorithm: ticket.algorithm,
        profile: ticket.profile,
        replaces: ticket.replaces,
        budget: ticket.budget,
        key,
        csr: made.csr,
    }));
    let committed = match reign.commit(change).await {
        Ok(committed) => committed,
        // Somebody withdrew it meanwhile, or another order is in flight: the plan will see.
        Err(CommitError::Refused(refusal)) => {
            tracing::debug!(%refusal, "no order");
            return Ok(());
        }
        Err(error) => return Err(error.to_string()),
    };
    let Done::Order(id) = committed.done else {
        return Err(format!(
            "no order came of its admission: {:?}",
            committed.done
        ));
    };
    reign.counters.admitted();
    if let Some(order) = reign.state().order(id).cloned() {
        let permit = Some(committed.permit);
        Carrier::new(reign, authority, &order, permit).run().await?;
    }
    Ok(())
}

/// Carries an order on that somebody else began.
pub(crate) async fn resume(
    reign: Arc<Reign>,
    authority: Arc<dyn Authority>,
    id: OrderId,
) -> Result<(), String> {
    if let Some(order) = reign.state().order(id).cloned() {
        reign.counters.resumed();
        Carrier::new(reign, authority, &order, None).run().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
