//! Whose a hostname is.

use super::{Apply, hostnames::shortened};
use crate::{
    Contest, EventKind, Hostname, HostnameRecord, Index, Ownership, OwnershipPolicy,
    OwnershipToken, Proof, ProofMethod, Refusal, Reissue, Source, Tenant, Timestamp,
    outcome::{Done, Kind},
};

impl Apply<'_> {
    /// A look at the proof of a claim. What is served stays when a proof lapses; only a
    /// proof that names the tenant follows another tenant.
    pub(super) fn record_ownership(
        &mut self,
        name: &Hostname,
        claim: Index,
        standing: Proof,
        fault: Option<&str>,
        next_check: Option<Timestamp>,
    ) -> Result<Done, Refusal> {
        let mut record = self.hostname(name)?;
        if record.claim != claim {
            return Err(Refusal::ClaimChanged);
        }
        let was = record.ownership.standing;
        let standing = match (was, standing) {
            // Who never proved it has nothing to lose, and who did loses it by lapsing.
            (Proof::Unproven, Proof::Lapsed) => Proof::Unproven,
            (Proof::Vouched | Proof::Proven(_) | Proof::Lapsed, Proof::Unproven) => Proof::Lapsed,
            (_, standing) => standing,
        };
        self.check_proof(name, &record.tenant, was, standing)?;
        let changed = was != standing;
        record.ownership = Ownership {
            standing,
            since: if changed {
                self.command.at
            } else {
                record.ownership.since
            },
            checked_at: Some(self.command.at),
            next_check,
            fault: fault.map(shortened),
            ..record.ownership
        };
        if !was.holds() && standing.holds() {
            self.take_up_kept(name, &mut record);
            self.delete_tombstone(name);
            let by = standing.as_str().to_owned();
            self.record_event(name, &mut record, EventKind::OwnershipProven, by);
        } else if was.holds() && !standing.holds() {
            let fault = fault.map(shortened).unwrap_or_default();
            self.record_event(
                name,
                &mut record,
                EventKind::OwnershipLapsed,
                fault.to_string(),
            );
        }
        self.put_hostname(name, record);
        Ok(Done::Nothing)
    }

    fn check_proof(
        &self,
        name: &Hostname,
        tenant: &Tenant,
        was: Proof,
        standing: Proof,
    ) -> Result<(), Refusal> {
        let why = match standing {
            Proof::Proven(method) if !method.names_tenant() && self.is_of_another(name, tenant) => {
                "another tenant had it: the proof must name the tenant"
            }
            Proof::Vouched
                if was != Proof::Vouched
                    && self.state.zone.settings.ownership != OwnershipPolicy::Operator =>
            {
                "an operator's word is not enough in this zone"
            }
            _ => return Ok(()),
        };
        Err(Refusal::Unfit(why.to_owned()))
    }

    /// True if the hostname was another tenant's before.
    fn is_of_another(&self, name: &Hostname, tenant: &Tenant) -> bool {
        let tombstone = self.state.tombstones.get(name);
        tombstone.is_some_and(|tombstone| tombstone.tenant != *tenant)
    }

    pub(super) fn contest_hostname(
        &mut self,
        name: &Hostname,
        tenant: &Tenant,
        token: OwnershipToken,
    ) -> Result<Done, Refusal> {
        let mut record = self.hostname(name)?;
        if record.tenant == *tenant {
            return Err(Refusal::Unfit(
                "the hostname is that tenant's already".to_owned(),
            ));
        }
        if record.contest().is_some() {
            return Err(Refusal::AlreadyExists(Kind::Contest));
        }
        let contest = Contest {
            tenant: tenant.clone(),
            token,
            since: self.command.at,
            next_check: self.command.at,
            fault: None,
            claim: self.index,
        };
        record.edit_extra(|extra| extra.contest = Some(contest));
        let words = format!("by tenant {tenant}");
        self.record_event(name, &mut record, EventKind::Contested, words);
        self.put_hostname(name, record);
        Ok(Done::Nothing)
    }

    pub(super) fn end_contest(&mut self, name: &Hostname) -> Result<Done, Refusal> {
        let mut record = self.hostname(name)?;
        let contest = record.contest().cloned();
        let contest = contest.ok_or(Refusal::NotFound(Kind::Contest))?;
        record.edit_extra(|extra| extra.contest = None);
        let words = format!("of tenant {}", contest.tenant);
        self.record_event(name, &mut record, EventKind::ContestEnded, words);
        self.put_hostname(name, record);
        Ok(Done::Nothing)
    }

    /// A look at another tenant's claim: proven by what names that tenant, the hostname
    /// is its from now on, and whatever was in flight for the other is dropped.
    pub(super) fn record_contest(
        &mut self,
        name: &Hostname,
        claim: Index,
        proven: Option<ProofMethod>,
        fault: Option<&str>,
        next_check: Timestamp,
    ) -> Result<Done, Refusal> {
        let mut record = self.hostname(name)?;
        let contest = record.contest().cloned();
        let contest = contest.ok_or(Refusal::NotFound(Kind::Contest))?;
        if contest.claim != claim {
            return Err(Refusal::ClaimChanged);
        }
        let Some(method) = proven else {
            if self.command.at >= contest.ends() {
                return self.end_contest(name);
            }
            let contest = Contest {
                next_check,
                fault: fault.map(shortened),
                ..contest
            };
            record.edit_extra(|extra| extra.contest = Some(contest));
            self.put_hostname(name, record);
            return Ok(Done::Nothing);
        };
        if !method.names_tenant() {
            return Err(Refusal::Unfit(
                "another tenant has it: the proof must name the tenant".to_owned(),
            ));
        }
        self.drop_order(&record);
        record.order = self.state.busy.get(name).copied();
        self.replace_uploads(&record);
        let words = format!(
            "from tenant {} to {}, by {}",
            record.tenant,
            contest.tenant,
            method.as_str()
        );
        record.tenant = contest.tenant;
        record.claim = self.index;
        // What its former tenant wanted, and brought, is not this one's.
        record.wants = None;
        record.traffic = None;
        record.failure = None;
        record.ownership = Ownership {
            token: contest.token,
            standing: Proof::Proven(method),
            since: self.command.at,
            checked_at: Some(self.command.at),
            next_check: None,
            fault: None,
        };
        record.edit_extra(|extra| {
            extra.contest = None;
            extra.request = None;
        });
        self.take_up_kept(name, &mut record);
        self.delete_tombstone(name);
        self.record_event(name, &mut record, EventKind::Transferred, words);
        self.put_hostname(name, record);
        Ok(Done::Nothing)
    }

    /// Whoever brought a certificate has its key: it is served to another tenant only until
    /// one of ours is there.
    fn replace_uploads(&mut self, record: &HostnameRecord) {
        for id in record.certificates() {
            if let Some(certificate) = self.state.certificates.get(&id).cloned()
                && certificate.source == Source::Uploaded
            {
                self.renew_now((*certificate).clone(), Reissue::Urgent);
            }
        }
    }

    pub(super) fn forget_tombstone(&mut self, name: &Hostname) -> Result<Done, Refusal> {
        let tombstone = self.state.tombstones.get(name);
        let tombstone = tombstone.ok_or(Refusal::NotFound(Kind::Hostname))?;
        if tombstone.forget_at() > self.command.at {
            return Err(Refusal::NotDue);
        }
        self.delete_tombstone(name);
        Ok(Done::Nothing)
    }
}
