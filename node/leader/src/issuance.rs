//! Certificates: orders, from their admission to their end.
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
mod limit;
mod memory;
mod method;
pub mod pace;
mod progress;
mod react;
pub mod request;
pub mod weather;

use std::sync::Arc;

use bytes::Bytes;
use state::{
    Budget, CaName, Change, Done, Evidence, FailureClass, Hostname, Index, KeyAlgorithm,
    KeyPurpose, Order, OrderId, Sealed, command::Admit, sealed::SealContext,
};

use self::{
    authority::Authority,
    progress::Carrier,
    request::{KeyAndRequest, Wanted},
};
use crate::{
    reign::{CommitError, Reign},
    verification::{self, Deferral},
};

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

/// Begins an order and carries it to its end.
pub(crate) async fn admit(
    reign: Arc<Reign>,
    authority: Arc<dyn Authority>,
    ticket: Ticket,
) -> Result<(), String> {
    let hostname = &ticket.hostname;
    reign
        .board
        .order(hostname, "looking whether it can succeed", reign.now());
    let approach = match verification::before_order(&reign, &ticket).await {
        Ok(approach) => approach,
        Err(error @ Deferral::Unrecorded(_)) => return Err(error.to_string()),
        Err(why) => {
            tracing::debug!(%hostname, %why, "no order");
            return Ok(());
        }
    };
    reign.board.order(hostname, "making a key", reign.now());
    let state = reign.state();
    let record = state.hostname(hostname.as_str());
    let wildcard = record.is_some_and(state::HostnameRecord::is_wildcard);
    let made = make_key(&reign, &ticket, wildcard).await?;
    let context = SealContext::CertificateKey(hostname.clone());
    let seal = &reign.ports.seal;
    let sealed = seal.seal(KeyPurpose::Serving, &context, made.key.expose());
    let key = sealed.map_err(|error| error.to_string())?;
    if let Err(error) = authority.warm().await {
        reign.counters.outage();
        let weather = reign.weather(&ticket.ca);
        weather.strike(&error.to_string(), error.retry_after());
        return Err(error.to_string());
    }
    let committed = match reign.commit(admission(ticket, key, made.csr)).await {
        Ok(committed) => committed,
        // Somebody withdrew it meanwhile, another order is in flight, or a limit is met:
        // the plan will see.
        Err(CommitError::Refused(refusal)) => {
            tracing::debug!(%refusal, "no order");
            return Ok(());
        }
        Err(error) => return Err(error.to_string()),
    };
    let Done::Order(id) = committed.done else {
        let done = committed.done;
        return Err(format!("no order came of its admission: {done:?}"));
    };
    reign.counters.admitted();
    let Some(order) = reign.state().order(id).cloned() else {
        return Ok(());
    };
    if order.wildcard != wildcard {
        return outdated(&reign, &order).await;
    }
    Carrier::new(reign, authority, &order)
        .of_new(committed.permit, approach.challenges)
        .run()
        .await
}

/// A key for RSA takes up to a second of computing, off the threads that others wait on.
async fn make_key(reign: &Reign, ticket: &Ticket, wildcard: bool) -> Result<KeyAndRequest, String> {
    let requests = reign.ports.requests.clone();
    let (hostname, algorithm) = (ticket.hostname.clone(), ticket.algorithm);
    let make = move || {
        requests.request(&Wanted {
            hostname: &hostname,
            wildcard,
            algorithm,
        })
    };
    let made = match algorithm {
        KeyAlgorithm::Ecdsa => make(),
        KeyAlgorithm::Rsa => {
            let made = tokio::task::spawn_blocking(make).await;
            made.map_err(|error| error.to_string())?
        }
    };
    made.map_err(|error| error.to_string())
}

fn admission(ticket: Ticket, key: Sealed, csr: Bytes) -> Change {
    Change::AdmitOrder(Box::new(Admit {
        hostname: ticket.hostname,
        claim: ticket.claim,
        ca: ticket.ca,
        algorithm: ticket.algorithm,
        profile: ticket.profile,
        replaces: ticket.replaces,
        budget: ticket.budget,
        domain: ticket.domain,
        key,
        csr,
    }))
}

/// Other names are wanted than when the key was made: nothing was sent, and the next order
/// has the right request.
async fn outdated(reign: &Reign, order: &Order) -> Result<(), String> {
    let change = Change::FailOrder {
        order: order.id,
        evidence: Evidence::Superseded,
        class: FailureClass::Rejected,
        reason: "other names are wanted since".to_owned(),
        next_try: reign.now(),
    };
    let failed = reign.commit(change).await;
    failed.map(|_| ()).map_err(|error| error.to_string())
}

/// Carries an order on that somebody else began.
pub(crate) async fn resume(
    reign: Arc<Reign>,
    authority: Arc<dyn Authority>,
    id: OrderId,
) -> Result<(), String> {
    if let Some(order) = reign.state().order(id).cloned() {
        reign.counters.resumed();
        Carrier::new(reign, authority, &order).run().await?;
    }
    Ok(())
}
