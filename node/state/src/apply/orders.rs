//! An order's way. Every change is a duty: the epoch was checked before.

use std::sync::Arc;

use super::{Apply, certificates::Served};
use crate::{
    Due, EventKind, Evidence, FailureClass, Hostname, Index, Order, OrderId, Placed, Refusal,
    Source, Stage, Timestamp,
    command::{Admit, Install},
    outcome::{Done, Kind},
};

impl Apply<'_> {
    pub(super) fn admit_order(&mut self, admit: &Admit) -> Result<Done, Refusal> {
        self.check_pause()?;
        let name = &admit.hostname;
        let mut record = self.hostname(name)?;
        if record.claim != admit.claim {
            return Err(Refusal::ClaimChanged);
        }
        if self.state.busy.contains_key(name) {
            return Err(Refusal::Busy);
        }
        if !record.ownership.standing.holds() {
            return Err(Refusal::Unproven);
        }
        match self.state.hostname_due(name, &record) {
            Some((at, Due::Order(_, algorithm)))
                if at <= self.command.at && algorithm == admit.algorithm => {}
            _ => return Err(Refusal::NotDue),
        }
        if !self.ca(&admit.ca)?.takes_orders() {
            return Err(Refusal::AccountState);
        }
        if record.wants().ca.is_some_and(|only| only != admit.ca) {
            return Err(Refusal::Unfit(
                "the hostname wants another CA only".to_owned(),
            ));
        }
        let mut order = Order {
            id: OrderId(0),
            hostname: name.clone(),
            tenant: record.tenant.clone(),
            wildcard: record.is_wildcard(),
            ca: admit.ca.clone(),
            algorithm: admit.algorithm,
            profile: admit.profile.as_deref().map(Arc::from),
            replaces: admit.replaces.as_deref().map(Arc::from),
            budget: admit.budget,
            domain: admit.domain.as_str().into(),
            claim: admit.claim,
            attempt: record.failure.as_ref().map_or(0, |failure| failure.count) + 1,
            admitted_at: self.command.at,
            key: admit.key.clone(),
            csr: admit.csr.clone(),
            stage: Stage::Admitted,
            stage_at: self.command.at,
            epoch: self.state.epoch().term,
        };
        self.check_limits(&order)?;
        let id = OrderId(self.draw(|counters| &mut counters.order));
        order.id = id;
        self.promise(&order);
        record.order = Some(id);
        self.record_event(
            name,
            &mut record,
            EventKind::OrderAdmitted,
            format!("order {id} at {}, attempt {}", order.ca, order.attempt),
        );
        self.put_order(order);
        self.put_hostname(name, record);
        Ok(Done::Order(id))
    }

    pub(super) fn intend_order(&mut self, id: OrderId, again: bool) -> Result<Done, Refusal> {
        self.check_pause()?;
        let order = self.claimed_order(id)?;
        if order.stage != Stage::Admitted {
            return Err(Refusal::WrongStage(order.stage.as_str()));
        }
        if again {
            self.spend_order_again(&order)?;
        }
        self.advance(order, Stage::Admitted);
        Ok(Done::Nothing)
    }

    /// The order's URL is written once and for all.
    pub(super) fn prepare_order(&mut self, id: OrderId, placed: &Placed) -> Result<Done, Refusal> {
        let order = self.claimed_order(id)?;
        match &order.stage {
            Stage::Admitted => {}
            Stage::Prepared(known) if known == placed => return Ok(Done::Unchanged),
            other => return Err(Refusal::WrongStage(other.as_str())),
        }
        let detail = placed.url.clone();
        self.spend_order(&order);
        self.advance(order.clone(), Stage::Prepared(placed.clone()));
        self.tell(&order.hostname, EventKind::ChallengePrepared, detail);
        Ok(Done::Nothing)
    }

    pub(super) fn intend_ready(&mut self, id: OrderId) -> Result<Done, Refusal> {
        self.check_pause()?;
        let order = self.claimed_order(id)?;
        match order.stage.clone() {
            Stage::Prepared(placed) => {
                self.advance(order.clone(), Stage::ReadyIntent(placed));
                self.tell(&order.hostname, EventKind::ChallengeReady, String::new());
            }
            Stage::ReadyIntent(placed) => self.advance(order, Stage::ReadyIntent(placed)),
            other @ (Stage::Admitted | Stage::FinalizeIntent(_)) => {
                return Err(Refusal::WrongStage(other.as_str()));
            }
        }
        Ok(Done::Nothing)
    }

    pub(super) fn intend_finalize(&mut self, id: OrderId) -> Result<Done, Refusal> {
        self.check_pause()?;
        let order = self.claimed_order(id)?;
        match order.stage.clone() {
            Stage::Prepared(placed) | Stage::ReadyIntent(placed) => {
                self.advance(order.clone(), Stage::FinalizeIntent(placed));
                self.tell(&order.hostname, EventKind::Finalizing, String::new());
            }
            Stage::FinalizeIntent(placed) => self.advance(order, Stage::FinalizeIntent(placed)),
            other @ Stage::Admitted => return Err(Refusal::WrongStage(other.as_str())),
        }
        Ok(Done::Nothing)
    }

    pub(super) fn install_certificate(&mut self, install: &Install) -> Result<Done, Refusal> {
        let order = self.order(install.order)?;
        if !matches!(order.stage, Stage::FinalizeIntent(_)) {
            return Err(Refusal::WrongStage(order.stage.as_str()));
        }
        let certificate = Self::new_certificate(
            &install.parts,
            &order.key,
            Served {
                hostname: order.hostname.clone(),
                wildcard: order.wildcard,
                algorithm: order.algorithm,
                source: Source::Ca(order.ca.clone()),
                renew_at: install.renew_at,
            },
        );
        self.put_bodies(&certificate, &install.parts, &order.key)?;
        self.spend_certificate(&order);
        self.delete_order(order.id);
        let id = certificate.id;
        let wanted = self.state.hostname(order.hostname.as_str()).cloned();
        // Not proven, or not any more: kept until it is. A tenant that has proven it since
        // has a certificate at once: the key is nobody's but the cluster's.
        let wanted = wanted.filter(|record| record.ownership.standing.holds());
        let Some(mut record) = wanted else {
            self.keep_certificate(certificate);
            self.forget_order(&order);
            return Ok(Done::Nothing);
        };
        let detail = format!(
            "serial {}, from {}",
            certificate.serial_hex(),
            certificate.issuer
        );
        self.put_certificate(certificate);
        if let Some(old) = record.certificate_of(order.algorithm) {
            self.replace_certificate(old);
        }
        record.set_certificate(order.algorithm, Some(id));
        self.retire_unwanted(&mut record);
        record.order = None;
        record.failure = None;
        self.record_event(
            &order.hostname,
            &mut record,
            EventKind::CertificateInstalled,
            detail,
        );
        self.put_hostname(&order.hostname, record);
        Ok(Done::Nothing)
    }

    pub(super) fn fail_order(
        &mut self,
        id: OrderId,
        evidence: Evidence,
        class: FailureClass,
        reason: &str,
        next_try: Timestamp,
    ) -> Result<Done, Refusal> {
        let order = self.order(id)?;
        let finalizing = matches!(order.stage, Stage::FinalizeIntent(_));
        let enough = match evidence {
            Evidence::NeverPlaced | Evidence::Superseded => !finalizing,
            Evidence::Invalid | Evidence::Gone | Evidence::Unusable => true,
            Evidence::Withdrawn => self.claim_of(&order) != Some(order.claim),
        };
        if !enough {
            return Err(Refusal::MayBeIssued);
        }
        if class == FailureClass::Challenge {
            self.spend_failure(&order);
        }
        // One that is gone may have a certificate that we do not know of.
        let issued = match evidence {
            Evidence::Unusable => true,
            Evidence::Gone => finalizing,
            _ => false,
        };
        self.give_up(&order, issued);
        let Some(mut record) = self.state.hostname(order.hostname.as_str()).cloned() else {
            return Ok(Done::Nothing);
        };
        record.order = None;
        let failure = self.failed(&record, class, reason, next_try, false);
        self.record_event(
            &order.hostname,
            &mut record,
            EventKind::OrderFailed,
            format!("{}: {}", class.as_str(), failure.reason),
        );
        // Asking elsewhere is no failure of the hostname's, and what another claim left
        // behind is none of this one's.
        if evidence != Evidence::Superseded && record.claim == order.claim {
            record.failure = Some(Box::new(failure));
        }
        self.put_hostname(&order.hostname, record);
        Ok(Done::Nothing)
    }

    /// The hostname of an order that ended names it no more.
    fn forget_order(&mut self, order: &Order) {
        if let Some(mut record) = self.state.hostname(order.hostname.as_str()).cloned()
            && record.order == Some(order.id)
        {
            record.order = None;
            self.put_hostname(&order.hostname, record);
        }
    }

    fn advance(&mut self, order: Order, stage: Stage) {
        let (stage_at, epoch) = (self.command.at, self.state.epoch().term);
        self.put_order(Order {
            stage,
            stage_at,
            epoch,
            ..order
        });
    }

    /// Adds to the hostname's timeline, if it is still authorized.
    fn tell(&mut self, name: &Hostname, kind: EventKind, detail: String) {
        if let Some(mut record) = self.state.hostname(name.as_str()).cloned() {
            self.record_event(name, &mut record, kind, detail);
            self.put_hostname(name, record);
        }
    }

    fn order(&self, id: OrderId) -> Result<Order, Refusal> {
        let order = self
            .state
            .orders
            .get(&id)
            .ok_or(Refusal::NotFound(Kind::Order))?;
        Ok((**order).clone())
    }

    /// An order whose hostname is still authorized as it was when it began.
    fn claimed_order(&self, id: OrderId) -> Result<Order, Refusal> {
        let order = self.order(id)?;
        if self.claim_of(&order) == Some(order.claim) {
            Ok(order)
        } else {
            Err(Refusal::ClaimChanged)
        }
    }

    fn claim_of(&self, order: &Order) -> Option<Index> {
        self.state
            .hostnames
            .get(&order.hostname)
            .map(|record| record.claim)
    }
}
