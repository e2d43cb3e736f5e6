//! Authorizing hostnames, withdrawing them, and what they are to have.

use std::sync::Arc;

use super::Apply;
use crate::{
    Certificate, CertificateRequest, ChallengeKind, EventKind, Failure, FailureClass, Hostname,
    HostnameRecord, Index, KeyAlgorithm, Order, Ownership, OwnershipPolicy, Proof, Refusal, Sealed,
    Source, Stage, Tenant, Timestamp, Tombstone, Wants,
    command::Authorize,
    outcome::{Done, Kind},
};

/// Longest reason kept of a failure, in characters: CAs' problem documents may
/// be long, and each hostname may hold one in memory.
const REASON_MAX: usize = 400;

impl Apply<'_> {
    /// A hostname that comes back takes up the order that outlived its removal and, once
    /// it is proven, its kept certificates.
    pub(super) fn authorize_hostname(&mut self, authorize: &Authorize) -> Result<Done, Refusal> {
        let name = &authorize.hostname;
        if let Some(record) = self.state.hostnames.get(name) {
            return Err(if record.tenant == authorize.tenant {
                Refusal::AlreadyExists(Kind::Hostname)
            } else {
                Refusal::OtherTenant(record.tenant.clone())
            });
        }
        if authorize.on_demand && self.state.tombstones.contains_key(name) {
            return Err(Refusal::Unfit(
                "the hostname was removed; only an operator can authorize it again".to_owned(),
            ));
        }
        self.check_wants(&authorize.wants)?;
        // One operator's word undoes another's: a vouched claim needs no fresh proof.
        let vouched = self.state.zone.settings.ownership == OwnershipPolicy::Operator;
        let ownership = Ownership {
            token: authorize.token,
            standing: if vouched {
                Proof::Vouched
            } else {
                Proof::Unproven
            },
            since: self.command.at,
            checked_at: None,
            next_check: (!vouched).then_some(self.command.at),
            fault: None,
        };
        let mut record = HostnameRecord {
            authorized_at: self.command.at,
            authorized_by: Arc::new(self.command.actor.as_str().to_owned()),
            tenant: authorize.tenant.clone(),
            claim: self.index,
            ownership,
            wants: custom(&authorize.wants),
            traffic: None,
            certificate: None,
            order: self.state.busy.get(name).copied(),
            failure: None,
            extra: None,
            events: 0,
            revision: self.index,
        };
        if vouched {
            self.take_up_kept(name, &mut record);
            self.delete_tombstone(name);
        }
        self.record_event(
            name,
            &mut record,
            EventKind::Authorized,
            self.command.actor.as_str().to_owned(),
        );
        self.put_hostname(name, record);
        Ok(Done::Nothing)
    }

    /// Serves again what was served before the hostname was removed, and what was issued
    /// while its proof had lapsed. The tombstone, if there is one, must still be there.
    pub(super) fn take_up_kept(&mut self, name: &Hostname, record: &mut HostnameRecord) {
        for algorithm in KeyAlgorithm::ALL {
            let Some(kept) = self.usable_kept(name, algorithm, &record.tenant) else {
                continue;
            };
            let served = record.certificate_of(algorithm);
            let served = served.and_then(|id| self.state.certificates.get(&id));
            if let Some(served) = served {
                if kept.not_after <= served.not_after {
                    continue;
                }
                self.replace_certificate(served.id);
            }
            record.set_certificate(algorithm, Some(kept.id));
            self.put_certificate(Certificate {
                forget_at: None,
                kept: false,
                ..kept
            });
        }
    }

    /// The key of an upload is known to whoever brought it: it serves no other tenant, and
    /// waits no longer once there is one.
    fn usable_kept(
        &mut self,
        name: &Hostname,
        algorithm: KeyAlgorithm,
        tenant: &Tenant,
    ) -> Option<Certificate> {
        let kept = self.state.kept.get(&(name.clone(), algorithm))?;
        let kept = (**self.state.certificates.get(kept)?).clone();
        let brought_by = self.state.tombstones.get(name);
        let theirs = brought_by.is_none_or(|tombstone| tombstone.tenant != *tenant);
        if kept.source == Source::Uploaded && theirs {
            self.replace_certificate(kept.id);
            return None;
        }
        // One that is not valid yet is taken up too: a clock set back must not order.
        (self.command.at < kept.not_after).then_some(kept)
    }

    /// The certificates are kept for their hostname's return. An order goes with the
    /// hostname, unless its finalization was intended: then it may have a
    /// certificate and is carried to its end.
    pub(super) fn remove_hostname(
        &mut self,
        name: &Hostname,
        revision: Option<Index>,
    ) -> Result<Done, Refusal> {
        let record = self.hostname(name)?;
        self.check_revision(record.revision, revision)?;
        self.drop_order(&record);
        self.delete_hostname(name);
        for id in record.certificates() {
            if let Some(certificate) = self.state.certificates.get(&id).cloned() {
                self.keep_certificate((*certificate).clone());
            }
        }
        // Whoever never proved it leaves nothing behind.
        if record.ownership.standing != Proof::Unproven {
            self.put_tombstone(
                name,
                Tombstone {
                    tenant: record.tenant,
                    removed_at: self.command.at,
                },
            );
        }
        Ok(Done::Nothing)
    }

    /// Gives up the order of a claim that ends, if no certificate can come of it.
    pub(super) fn drop_order(&mut self, record: &HostnameRecord) {
        let order = record.order.and_then(|id| self.state.orders.get(&id));
        let Some(order) = order.cloned() else {
            return;
        };
        if !matches!(order.stage, Stage::FinalizeIntent(_)) {
            self.give_up(&order, false);
        }
    }

    /// Deletes an order, and settles what it was to cost: `issued` says whether the CA
    /// has, or may have, issued.
    pub(super) fn give_up(&mut self, order: &Order, issued: bool) {
        if order.stage == Stage::Admitted {
            // `newOrder` may have reached the CA.
            self.spend_order(order);
        }
        if issued {
            self.spend_certificate(order);
        } else {
            self.release_certificate(order);
        }
        self.delete_order(order.id);
    }

    pub(super) fn set_wants(
        &mut self,
        name: &Hostname,
        wants: &Wants,
        revision: Option<Index>,
    ) -> Result<Done, Refusal> {
        let mut record = self.hostname(name)?;
        self.check_revision(record.revision, revision)?;
        self.check_wants(wants)?;
        if record.wants() == *wants {
            return Ok(Done::Unchanged);
        }
        record.wants = custom(wants);
        self.retire_unwanted(&mut record);
        // A try that failed was for something else.
        record.failure = None;
        let by = self.command.actor.as_str().to_owned();
        self.record_event(name, &mut record, EventKind::Changed, by);
        self.put_hostname(name, record);
        Ok(Done::Nothing)
    }

    fn check_wants(&self, wants: &Wants) -> Result<(), Refusal> {
        if wants.wildcard
            && wants
                .challenge
                .is_some_and(|kind| kind != ChallengeKind::Dns01)
        {
            return Err(Refusal::Unfit(
                "a wildcard is proven by dns-01 only (RFC 8555 section 8.4)".to_owned(),
            ));
        }
        match &wants.ca {
            Some(ca) if !self.state.cas.contains_key(ca) => Err(Refusal::NotFound(Kind::Ca)),
            _ => Ok(()),
        }
    }

    pub(super) fn defer_hostname(
        &mut self,
        name: &Hostname,
        claim: Index,
        class: FailureClass,
        reason: &str,
        next_try: Timestamp,
        parked: bool,
    ) -> Result<Done, Refusal> {
        let mut record = self.hostname(name)?;
        if record.claim != claim {
            return Err(Refusal::ClaimChanged);
        }
        if record.order.is_some() {
            return Err(Refusal::Busy);
        }
        let before = record.failure.as_deref();
        let failure = Failure {
            // No order failed.
            count: before.map_or(0, |before| before.count),
            ..self.failed(&record, class, reason, next_try, parked)
        };
        let told = record.failure.as_deref().is_some_and(|before| {
            let same = before.class == class && before.reason == failure.reason;
            before.parked == parked && (parked || same)
        });
        // A hostname that waits for its owner must not fill its timeline.
        if !told {
            let kind = if parked {
                EventKind::Parked
            } else {
                EventKind::Deferred
            };
            let words = format!("{}: {}", class.as_str(), failure.reason);
            self.record_event(name, &mut record, kind, words);
        }
        record.failure = Some(Box::new(failure));
        self.put_hostname(name, record);
        Ok(Done::Nothing)
    }

    /// One failure more in a row.
    pub(super) fn failed(
        &self,
        record: &HostnameRecord,
        class: FailureClass,
        reason: &str,
        next_try: Timestamp,
        parked: bool,
    ) -> Failure {
        let before = record.failure.as_deref();
        Failure {
            class,
            reason: shortened(reason),
            count: before.map_or(0, |before| before.count).saturating_add(1),
            since: before.map_or(self.command.at, |before| before.since),
            at: self.command.at,
            next_try,
            parked,
        }
    }

    pub(super) fn create_request(
        &mut self,
        name: &Hostname,
        key: &Sealed,
        csr: &bytes::Bytes,
    ) -> Result<Done, Refusal> {
        let mut record = self.hostname(name)?;
        let request = CertificateRequest {
            key: key.clone(),
            csr: csr.clone(),
            created_at: self.command.at,
        };
        record.edit_extra(|extra| extra.request = Some(request));
        let by = self.command.actor.as_str().to_owned();
        self.record_event(name, &mut record, EventKind::RequestCreated, by);
        self.put_hostname(name, record);
        Ok(Done::Nothing)
    }

    pub(super) fn hostname(&self, name: &Hostname) -> Result<HostnameRecord, Refusal> {
        let record = self.state.hostname(name.as_str());
        record.cloned().ok_or(Refusal::NotFound(Kind::Hostname))
    }
}

/// Absent where it is what most have.
fn custom(wants: &Wants) -> Option<Arc<Wants>> {
    (*wants != Wants::default()).then(|| Arc::new(wants.clone()))
}

/// Words to keep in memory.
pub(super) fn shortened(reason: &str) -> Arc<str> {
    let shown = reason.chars().filter(|c| !c.is_control());
    shown.take(REASON_MAX).collect::<String>().into()
}
