//! An order's way. Every change is a duty: the epoch was checked before.

use std::sync::Arc;

use bytes::Bytes;

use super::Apply;
use crate::{
    Certificate, EventKind, Evidence, Failure, FailureClass, Hostname, Index, Order, OrderId,
    Placed, Refusal, Sealed, Stage, Timestamp, bodies, codec,
    command::Install,
    outcome::{Done, Kind},
};

/// Longest reason kept of a failure, in characters: CAs' problem documents may
/// be long, and each hostname may hold one in memory.
const REASON_MAX: usize = 400;

impl Apply<'_> {
    pub(super) fn admit_order(
        &mut self,
        name: &Hostname,
        claim: Index,
        key: &Sealed,
        csr: &Bytes,
    ) -> Result<Done, Refusal> {
        let mut record = self
            .state
            .hostnames
            .get(name)
            .cloned()
            .ok_or(Refusal::NotFound(Kind::Hostname))?;
        if record.claim != claim {
            return Err(Refusal::ClaimChanged);
        }
        if self.state.busy.contains_key(name) {
            return Err(Refusal::Busy);
        }
        if self
            .state
            .hostname_due(&record)
            .is_none_or(|due| due > self.command.at)
        {
            return Err(Refusal::NotDue);
        }
        let id = OrderId(self.draw(|counters| &mut counters.order));
        let order = Order {
            id,
            hostname: name.clone(),
            claim,
            attempt: record.failure.as_ref().map_or(0, |failure| failure.count) + 1,
            admitted_at: self.command.at,
            key: key.clone(),
            csr: csr.clone(),
            stage: Stage::Admitted,
            stage_at: self.command.at,
            epoch: self.state.epoch().term,
        };
        record.order = Some(id);
        self.record_event(
            name,
            &mut record,
            EventKind::OrderAdmitted,
            format!("order {id}, attempt {}", order.attempt),
        );
        self.put_order(order);
        self.put_hostname(name, record);
        Ok(Done::Order(id))
    }

    pub(super) fn intend_order(&mut self, id: OrderId) -> Result<Done, Refusal> {
        let order = self.claimed_order(id)?;
        match order.stage {
            Stage::Admitted => self.advance(order, Stage::Admitted),
            ref other => return Err(Refusal::WrongStage(other.as_str())),
        }
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
        self.advance(order.clone(), Stage::Prepared(placed.clone()));
        self.tell(&order.hostname, EventKind::ChallengePrepared, detail);
        Ok(Done::Nothing)
    }

    pub(super) fn intend_ready(&mut self, id: OrderId) -> Result<Done, Refusal> {
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
        if self.state.certificates.contains_key(&install.id) {
            return Err(Refusal::AlreadyExists(Kind::Certificate));
        }
        if !self.state.chains.contains_key(&install.chain_id) {
            self.put_body(
                bodies::chain_key(&install.chain_id),
                codec::chain_to(&install.chain),
            );
        }
        self.put_body(
            bodies::certificate_key(&install.id),
            codec::certificate_own_to(&install.leaf, &order.key),
        );
        let certificate = Certificate {
            id: install.id,
            hostname: order.hostname.clone(),
            chain: install.chain_id,
            issuer: install.issuer.as_str().into(),
            serial: install.serial.to_vec().into(),
            not_before: install.not_before,
            not_after: install.not_after,
            renew_at: install.renew_at,
            forget_at: None,
            kept: false,
        };
        self.delete_order(order.id);
        let Some(mut record) = self.state.hostnames.get(&order.hostname).cloned() else {
            self.keep_certificate(certificate);
            return Ok(Done::Nothing);
        };
        let detail = format!(
            "serial {}, from {}",
            certificate.serial_hex(),
            certificate.issuer
        );
        self.put_certificate(certificate);
        if let Some(old) = record.certificate {
            self.replace_certificate(old);
        }
        record.certificate = Some(install.id);
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
            Evidence::NeverPlaced => !finalizing,
            Evidence::Invalid | Evidence::Gone | Evidence::Unusable => true,
            Evidence::Withdrawn => self.claim_of(&order) != Some(order.claim),
        };
        if !enough {
            return Err(Refusal::MayBeIssued);
        }
        self.delete_order(id);
        let Some(mut record) = self.state.hostnames.get(&order.hostname).cloned() else {
            return Ok(Done::Nothing);
        };
        let reason: Arc<str> = reason
            .chars()
            .filter(|c| !c.is_control())
            .take(REASON_MAX)
            .collect::<String>()
            .into();
        self.record_event(
            &order.hostname,
            &mut record,
            EventKind::OrderFailed,
            format!("{}: {reason}", class.as_str()),
        );
        record.order = None;
        let at = self.command.at;
        record.failure = Some(Box::new(Failure {
            class,
            reason,
            count: order.attempt,
            at,
            next_try,
        }));
        self.put_hostname(&order.hostname, record);
        Ok(Done::Nothing)
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
        if let Some(mut record) = self.state.hostnames.get(name).cloned() {
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
