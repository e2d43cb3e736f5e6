//! The one way in which the state changes.

mod cas;
mod certificates;
mod cluster;
mod data_keys;
mod entry;
mod hostnames;
mod ledger;
mod members;
mod orders;
mod ownership;
mod records;
mod restore;
mod traffic;

use crate::{Batch, Change, Command, Index, Outcome, Refusal, State, outcome::Done};

/// What a batch of commands changed, as bytes to write. Records go to the record
/// tree, bodies to the body tree, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What the state is loaded from.
    pub records: Vec<Write>,
    /// What only disks hold.
    pub bodies: Vec<Write>,
}

/// One key's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// The key has this value now.
    Put {
        /// Where.
        key: Vec<u8>,
        /// What.
        value: Vec<u8>,
    },
    /// The key is gone.
    Delete {
        /// Where.
        key: Vec<u8>,
    },
}

/// A command at work: the state it changes and what it writes.
struct Apply<'a> {
    state: &'a mut State,
    changes: &'a mut Changes,
    index: Index,
    command: &'a Command,
}

impl State {
    /// Applies the entry at `index`: each command in its turn, each with its own
    /// outcome. Deterministic: the same states and entries give the same outcomes,
    /// changes and states, byte for byte.
    ///
    /// # Panics
    /// If `index` is not after [`State::index`]: an entry applied twice would draw
    /// its ids twice, and a replica that does so must halt.
    pub fn apply(&mut self, index: Index, batch: &Batch) -> (Vec<Outcome>, Changes) {
        assert!(index > self.index, "entries are applied once and in order");
        let mut changes = Changes::default();
        let mut outcomes = Vec::with_capacity(batch.commands.len());
        for command in &batch.commands {
            let outcome = Apply {
                state: self,
                changes: &mut changes,
                index,
                command,
            }
            .run();
            outcomes.push(Outcome::from(outcome));
        }
        self.index = index;
        (outcomes, changes)
    }
}

impl Apply<'_> {
    fn run(mut self) -> Result<Done, Refusal> {
        let command = self.command;
        self.check_epoch()?;
        self.check_sealed()?;
        match &command.change {
            Change::Found(found) => self.found(found),
            Change::TakeOver { node } => self.take_over(*node),
            Change::Confirm => Ok(Done::Nothing),
            Change::AuthorizeHostname(authorize) => self.authorize_hostname(authorize),
            Change::RemoveHostname { hostname, revision } => {
                self.remove_hostname(hostname, *revision)
            }
            Change::SetOrigin { origin, revision } => self.set_origin(origin, *revision),
            Change::PauseIssuance { reason } => self.pause_issuance(reason),
            Change::ResumeIssuance { cluster } => self.resume_issuance(*cluster),
            Change::Restore(part) => self.restore(part),
            Change::FinishRestore {
                hostnames,
                certificates,
            } => self.finish_restore(*hostnames, *certificates),
            Change::CreateInvitation {
                role,
                verifier,
                expires_at,
            } => self.create_invitation(*role, *verifier, *expires_at),
            Change::RevokeInvitation { id } => self.revoke_invitation(*id),
            Change::SweepInvitation { id } => self.sweep_invitation(*id),
            Change::AdmitNode {
                invitation,
                newcomer,
            } => self.admit_node(*invitation, newcomer),
            Change::AdmitMachine { machine, newcomer } => self.admit_machine(machine, newcomer),
            Change::AdmitOperator {
                invitation,
                name,
                public_key,
            } => self.admit_operator(*invitation, name, public_key),
            Change::CertifyNode { node, certificate } => self.certify_node(*node, certificate),
            Change::CertifyOperator {
                operator,
                certificate,
            } => self.certify_operator(*operator, certificate),
            Change::RenewIssuing {
                issuing,
                issuing_key,
                not_after,
                renew_at,
            } => self.renew_issuing(issuing, issuing_key, *not_after, *renew_at),
            Change::ShareDataKey {
                node,
                purpose,
                generation,
                sealed,
            } => self.share_data_key(*node, *purpose, *generation, sealed),
            Change::RotateDataKey {
                purpose,
                generation,
                sealed_for,
            } => self.rotate_data_key(*purpose, *generation, sealed_for),
            Change::AskRotation { of } => self.ask_rotation(*of),
            Change::Reseal(reseal) => self.reseal(reseal),
            Change::ResealCertificate(reseal) => self.reseal_certificate(reseal),
            Change::DropDataKey {
                purpose,
                generation,
            } => self.drop_data_key(*purpose, *generation),
            Change::RaiseLevel { level, members } => self.raise_level(*level, members),
            Change::RemoveNode { node } => self.remove_node(*node),
            Change::FinishRemoval { node } => self.finish_removal(*node),
            Change::SetZone { settings, revision } => self.set_zone(settings, *revision),
            Change::SetWants {
                hostname,
                wants,
                revision,
            } => self.set_wants(hostname, wants, *revision),
            Change::SetTraffic {
                hostname,
                traffic,
                revision,
            } => self.set_traffic(hostname.as_ref(), traffic, *revision),
            Change::ContestHostname {
                hostname,
                tenant,
                token,
            } => self.contest_hostname(hostname, tenant, *token),
            Change::EndContest { hostname } => self.end_contest(hostname),
            Change::ReissueCertificates { hostnames, urgency } => {
                self.reissue_certificates(hostnames, *urgency)
            }
            Change::RevokeCertificate { id, reason } => self.revoke_certificate(*id, *reason),
            Change::UploadCertificate(upload) => self.upload_certificate(upload),
            Change::CreateRequest { hostname, key, csr } => self.create_request(hostname, key, csr),
            Change::PutCa {
                name,
                settings,
                revision,
            } => self.put_ca_settings(name, settings, *revision),
            Change::BindExternalAccount { ca, account } => {
                self.bind_external_account(ca, account.as_ref())
            }
            Change::RemoveCa { ca, revision } => self.remove_ca(ca, *revision),
            Change::RollAccountKey { ca } => self.roll_account_key(ca),
            Change::CommitAccountKey { ca, key } => self.commit_account_key(ca, key),
            Change::RegisterAccount { ca, url } => self.register_account(ca, url),
            Change::FinishRollover { ca, rolled } => self.finish_rollover(ca, *rolled),
            Change::RecordOwnership {
                hostname,
                claim,
                standing,
                fault,
                next_check,
            } => self.record_ownership(hostname, *claim, *standing, fault.as_deref(), *next_check),
            Change::RecordContest {
                hostname,
                claim,
                proven,
                fault,
                next_check,
            } => self.record_contest(hostname, *claim, *proven, fault.as_deref(), *next_check),
            Change::DeferHostname {
                hostname,
                claim,
                class,
                reason,
                next_try,
                parked,
            } => self.defer_hostname(hostname, *claim, *class, reason, *next_try, *parked),
            Change::ScheduleRenewal {
                id,
                renew_at,
                window,
            } => self.schedule_renewal(*id, *renew_at, *window),
            Change::FinishRevocation { id, state } => self.finish_revocation(*id, state),
            Change::ObserveLimit { bucket, until } => self.observe_limit(bucket, *until),
            Change::CorrectLimit { bucket } => self.correct_limit(bucket),
            Change::ForgetTombstone { hostname } => self.forget_tombstone(hostname),
            Change::AdmitOrder(admit) => self.admit_order(admit),
            Change::IntendOrder { order, again } => self.intend_order(*order, *again),
            Change::PrepareOrder { order, placed } => self.prepare_order(*order, placed),
            Change::IntendReady { order } => self.intend_ready(*order),
            Change::IntendFinalize { order } => self.intend_finalize(*order),
            Change::InstallCertificate(install) => self.install_certificate(install),
            Change::FailOrder {
                order,
                evidence,
                class,
                reason,
                next_try,
            } => self.fail_order(*order, *evidence, *class, reason, *next_try),
            Change::ForgetCertificate { id } => self.forget_certificate(*id),
        }
    }

    /// The fence inside the log: a duty counts only in the epoch of its term.
    fn check_epoch(&self) -> Result<(), Refusal> {
        let founded = self.state.cluster.is_some();
        match &self.command.change {
            Change::Found(_) => return Ok(()),
            _ if !founded => return Err(Refusal::NotFounded),
            Change::TakeOver { .. } => return Ok(()),
            _ => {}
        }
        self.check_restored()?;
        let now = self.state.epoch().term;
        match self.command.duty {
            None if self.command.change.is_duty() => Err(Refusal::StaleTerm { now }),
            Some(term) if term != now => Err(Refusal::StaleTerm { now }),
            _ => Ok(()),
        }
    }
}

impl Change {
    /// True if only the leader may propose it, under its term.
    pub fn is_duty(&self) -> bool {
        match self {
            Self::Found(_)
            | Self::AuthorizeHostname(_)
            | Self::RemoveHostname { .. }
            | Self::SetOrigin { .. }
            | Self::PauseIssuance { .. }
            | Self::ResumeIssuance { .. }
            | Self::Restore(_)
            | Self::FinishRestore { .. }
            | Self::SetZone { .. }
            | Self::SetWants { .. }
            | Self::SetTraffic { .. }
            | Self::ContestHostname { .. }
            | Self::EndContest { .. }
            | Self::ReissueCertificates { .. }
            | Self::RevokeCertificate { .. }
            | Self::UploadCertificate(_)
            | Self::CreateRequest { .. }
            | Self::PutCa { .. }
            | Self::BindExternalAccount { .. }
            | Self::RemoveCa { .. }
            | Self::RollAccountKey { .. }
            | Self::CreateInvitation { .. }
            | Self::RevokeInvitation { .. }
            | Self::AdmitNode { .. }
            | Self::AdmitMachine { .. }
            | Self::AdmitOperator { .. }
            | Self::AskRotation { .. }
            | Self::RemoveNode { .. } => false,
            Self::TakeOver { .. }
            | Self::Confirm
            | Self::SweepInvitation { .. }
            | Self::CertifyNode { .. }
            | Self::CertifyOperator { .. }
            | Self::RenewIssuing { .. }
            | Self::ShareDataKey { .. }
            | Self::RotateDataKey { .. }
            | Self::Reseal(_)
            | Self::ResealCertificate(_)
            | Self::DropDataKey { .. }
            | Self::RaiseLevel { .. }
            | Self::FinishRemoval { .. }
            | Self::CommitAccountKey { .. }
            | Self::RegisterAccount { .. }
            | Self::FinishRollover { .. }
            | Self::RecordOwnership { .. }
            | Self::RecordContest { .. }
            | Self::DeferHostname { .. }
            | Self::ScheduleRenewal { .. }
            | Self::FinishRevocation { .. }
            | Self::ObserveLimit { .. }
            | Self::CorrectLimit { .. }
            | Self::ForgetTombstone { .. }
            | Self::AdmitOrder(_)
            | Self::IntendOrder { .. }
            | Self::PrepareOrder { .. }
            | Self::IntendReady { .. }
            | Self::IntendFinalize { .. }
            | Self::InstallCertificate(_)
            | Self::FailOrder { .. }
            | Self::ForgetCertificate { .. } => true,
        }
    }
}
