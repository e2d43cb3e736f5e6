//! The ends of an order that are no certificate.

use std::time::Duration;

use state::{Change, Evidence, FailureClass, Order, Timestamp};

use super::{Carrier, Trouble, is_finalizing, placed};
use crate::{
    issuance::{
        Ticket,
        authority::{AuthorityError, AuthorizationStatus, AuthorizationView, Problem},
        fallback,
    },
    verification,
};

/// Between two thoughts of another CA: before each the name's CAA records are looked at.
const THINK_AGAIN: Duration = Duration::from_secs(60);

impl Carrier {
    /// The CA says that the order is invalid, or will not finalize it. The authorizations
    /// know better why.
    pub(super) async fn bury(&mut self, order: &Order) -> Result<(), Trouble> {
        let seen = self.memory.seen.as_ref();
        let own = seen.and_then(|view| view.error.clone());
        let own = own.or_else(|| self.memory.refused.clone());
        let mut unproven = None;
        for authorization in &placed(order)?.authorizations {
            match self.authorization(authorization).await {
                Ok(view) => unproven = unproven.or_else(|| why_unproven(&view)),
                // It may be gone already.
                Err(Trouble::Authority(_, AuthorityError::Refused(_))) => {}
                Err(trouble) => return Err(trouble),
            }
        }
        let (class, reason) = match (unproven, own) {
            (Some((name, problem)), _) if order.wildcard => {
                (FailureClass::Challenge, format!("{name}: {problem}"))
            }
            (Some((_, problem)), _) => (FailureClass::Challenge, problem.to_string()),
            (None, Some(problem)) => (FailureClass::Rejected, problem.to_string()),
            (None, None) => {
                let silent = "the order is invalid and the CA does not say why";
                (FailureClass::Rejected, silent.to_owned())
            }
        };
        self.fail(order, Evidence::Invalid, class, &reason, None)
            .await
    }

    pub(super) async fn unusable(&mut self, order: &Order, reason: &str) -> Result<(), Trouble> {
        let (evidence, class) = (Evidence::Unusable, FailureClass::Unusable);
        self.fail(order, evidence, class, reason, None).await
    }

    /// Gives the order up; its hostname is tried again as its failures ask for, and never
    /// before the CA would have it.
    pub(super) async fn fail(
        &mut self,
        order: &Order,
        evidence: Evidence,
        class: FailureClass,
        reason: &str,
        asked: Option<Duration>,
    ) -> Result<(), Trouble> {
        let reign = &self.reign;
        let jitter = &*reign.ports.jitter;
        let wait = reign.config.backoff.delay(order.attempt, asked, jitter);
        let next_try = reign.now().plus(wait);
        self.fail_until(order, evidence, class, reason, next_try)
            .await
    }

    pub(super) async fn fail_until(
        &mut self,
        order: &Order,
        evidence: Evidence,
        class: FailureClass,
        reason: &str,
        next_try: Timestamp,
    ) -> Result<(), Trouble> {
        let change = Change::FailOrder {
            order: order.id,
            evidence,
            class,
            reason: reason.to_owned(),
            next_try,
        };
        self.commit(order, change).await?;
        let counters = &self.reign.counters;
        counters.failed(class);
        if is_finalizing(order) && evidence == Evidence::Gone {
            counters.possible_duplicate();
        }
        tracing::warn!(
            hostname = %order.hostname, order = %order.id, class = class.as_str(), reason,
            "order failed"
        );
        Ok(())
    }

    /// While the CA ails: gives the order up if it is to be placed elsewhere, by the rule
    /// by which the next one is. What may have a certificate waits.
    pub(super) async fn reconsider(&mut self, order: &Order) -> Result<(), Trouble> {
        let now = self.reign.boottime();
        let lately = self.memory.thought_at;
        let lately = lately.is_some_and(|at| now < at.saturating_add(THINK_AGAIN));
        if is_finalizing(order) || lately || !self.reign.is_out(&order.ca) {
            return Ok(());
        }
        self.memory.thought_at = Some(now);
        let Some(ticket) = self.elsewhere(order) else {
            return Ok(());
        };
        if let Err(why) = verification::before_order(&self.reign, &ticket).await {
            tracing::debug!(hostname = %order.hostname, ca = %ticket.ca, %why, "no fallback");
            return Ok(());
        }
        let reason = format!("{} is out; {} is asked instead", order.ca, ticket.ca);
        let (evidence, class) = (Evidence::Superseded, FailureClass::Unavailable);
        let at_once = self.reign.now();
        self.fail_until(order, evidence, class, &reason, at_once)
            .await
    }

    fn elsewhere(&self, order: &Order) -> Option<Ticket> {
        let (state, now) = (self.reign.state(), self.reign.now());
        let (hostname, algorithm) = (&order.hostname, order.algorithm);
        let out = |ca: &_| self.reign.is_out(ca);
        let preferred = fallback::preference(&state, hostname, algorithm, now, &out);
        let other = preferred.first().filter(|ca| ca.name != order.ca)?;
        Some(Ticket {
            hostname: hostname.clone(),
            claim: order.claim,
            ca: other.name.clone(),
            algorithm,
            profile: other.settings.profile.clone(),
            replaces: None,
            budget: order.budget,
            domain: order.domain.to_string(),
        })
    }
}

/// Which name was not proven, and the CA's words for it.
fn why_unproven(view: &AuthorizationView) -> Option<(String, Problem)> {
    if view.status != AuthorizationStatus::Invalid {
        return None;
    }
    let mut challenges = view.challenges.iter();
    let problem = challenges.find_map(|challenge| challenge.error.clone())?;
    let name = if view.wildcard {
        format!("*.{}", view.hostname)
    } else {
        view.hostname.to_string()
    };
    Some((name, problem))
}
