//! Commands, as they stand in the log.

mod contents;

use super::{
    DecodeError,
    convert::{
        array, bytes_of, certificate_id, cluster_id, feature_level, field, hostname, hpke_from,
        hpke_to, purpose, role,
    },
    issuance::{
        ca_name, failure_class, proof, proof_method, reissue, revocation_reason, tenant, token,
    },
    order::evidence,
    wire,
};
use crate::{
    Actor, Change, Command, Index, InvitationId, NodeId, OperatorId, OrderId, Rotation, Term,
    Timestamp,
};

impl From<&Command> for wire::Command {
    fn from(command: &Command) -> Self {
        Self {
            at: command.at.0,
            actor: command.actor.as_str().to_owned(),
            duty: command.duty.map(|term| term.0),
            change: Some((&command.change).into()),
        }
    }
}

impl TryFrom<wire::Command> for Command {
    type Error = DecodeError;

    fn try_from(command: wire::Command) -> Result<Self, DecodeError> {
        Ok(Self {
            at: Timestamp(command.at),
            actor: Actor::parse(&command.actor),
            duty: command.duty.map(Term),
            change: command
                .change
                .ok_or(DecodeError::Unknown("command"))?
                .try_into()?,
        })
    }
}

impl From<&Change> for wire::Change {
    fn from(change: &Change) -> Self {
        match change {
            Change::Found(found) => Self::Found(Box::new((&**found).into())),
            Change::TakeOver { node } => Self::TakeOver(node.0),
            Change::Confirm => Self::Confirm(wire::Nothing {}),
            Change::AuthorizeHostname(authorize) => Self::AuthorizeHostname((&**authorize).into()),
            Change::RemoveHostname { hostname, revision } => {
                Self::RemoveHostname(wire::RemoveHostname {
                    hostname: hostname.as_str().to_owned(),
                    revision: revision.map(|index| index.0),
                })
            }
            Change::SetOrigin { origin, revision } => Self::SetOrigin(wire::SetOrigin {
                origin: Some(origin.into()),
                revision: revision.map(|index| index.0),
            }),
            Change::PauseIssuance { reason } => Self::PauseIssuance(reason.clone()),
            Change::ResumeIssuance { cluster } => Self::ResumeIssuance(wire::ResumeIssuance {
                cluster: cluster.map(|id| bytes_of(&id.0)),
            }),
            Change::Restore(part) => Self::Restore((&**part).into()),
            Change::FinishRestore {
                hostnames,
                certificates,
            } => Self::FinishRestore(wire::FinishRestore {
                hostnames: *hostnames,
                certificates: *certificates,
            }),
            Change::CreateInvitation {
                role,
                verifier,
                expires_at,
            } => Self::CreateInvitation(wire::CreateInvitation {
                role: role.as_str().to_owned(),
                verifier: bytes_of(verifier),
                expires_at: expires_at.0,
            }),
            Change::RevokeInvitation { id } => Self::RevokeInvitation(id.0),
            Change::SweepInvitation { id } => Self::SweepInvitation(id.0),
            Change::AdmitNode {
                invitation,
                newcomer,
            } => Self::AdmitNode(wire::AdmitNode {
                invitation: invitation.0,
                newcomer: Some(newcomer.into()),
            }),
            Change::AdmitMachine { machine, newcomer } => Self::AdmitMachine(wire::AdmitMachine {
                machine: machine.clone(),
                newcomer: Some(newcomer.into()),
            }),
            Change::AdmitOperator {
                invitation,
                name,
                public_key,
            } => Self::AdmitOperator(wire::AdmitOperator {
                invitation: invitation.0,
                name: name.clone(),
                public_key: public_key.clone(),
            }),
            Change::CertifyNode { node, certificate } => Self::CertifyNode(wire::Certify {
                id: node.0,
                certificate: Some(certificate.into()),
            }),
            Change::CertifyOperator {
                operator,
                certificate,
            } => Self::CertifyOperator(wire::Certify {
                id: operator.0,
                certificate: Some(certificate.into()),
            }),
            Change::RenewIssuing {
                issuing,
                issuing_key,
                not_after,
                renew_at,
            } => Self::RenewIssuing(wire::RenewIssuing {
                issuing: issuing.clone(),
                issuing_key: Some(issuing_key.into()),
                not_after: not_after.0,
                renew_at: renew_at.0,
            }),
            Change::ShareDataKey {
                node,
                purpose,
                generation,
                sealed,
            } => Self::ShareDataKey(wire::ShareDataKey {
                purpose: purpose.as_str().to_owned(),
                generation: *generation,
                sealed: Some(hpke_to(*node, sealed)),
            }),
            Change::RotateDataKey {
                purpose,
                generation,
                sealed_for,
            } => Self::RotateDataKey(wire::DataKey {
                purpose: purpose.as_str().to_owned(),
                generation: *generation,
                created_at: 0,
                created: 0,
                replace: false,
                sealed_for: sealed_for
                    .iter()
                    .map(|(node, sealed)| hpke_to(*node, sealed))
                    .collect(),
            }),
            Change::AskRotation { of } => Self::AskRotation(of.as_str().to_owned()),
            Change::Reseal(reseal) => Self::Reseal((&**reseal).into()),
            Change::ResealCertificate(reseal) => Self::ResealCertificate((&**reseal).into()),
            Change::DropDataKey {
                purpose,
                generation,
            } => Self::DropDataKey(wire::DataKeyName {
                purpose: purpose.as_str().to_owned(),
                generation: *generation,
            }),
            Change::RaiseLevel { level, members } => Self::RaiseLevel(wire::RaiseLevel {
                level: level.0,
                members: members.iter().map(|node| node.0).collect(),
            }),
            Change::RemoveNode { node } => Self::RemoveNode(node.0),
            Change::FinishRemoval { node } => Self::FinishRemoval(node.0),
            Change::SetZone { settings, revision } => Self::SetZone(wire::SetZone {
                settings: Some((&**settings).into()),
                revision: revision.map(|index| index.0),
            }),
            Change::SetWants {
                hostname,
                wants,
                revision,
            } => Self::SetWants(wire::SetWants {
                hostname: hostname.as_str().to_owned(),
                wants: Some((&**wants).into()),
                revision: revision.map(|index| index.0),
            }),
            Change::SetTraffic {
                hostname,
                traffic,
                revision,
            } => Self::SetTraffic(Box::new(wire::SetTraffic {
                hostname: hostname.as_ref().map(|name| name.as_str().to_owned()),
                traffic: Some((&**traffic).into()),
                revision: revision.map(|index| index.0),
            })),
            Change::ContestHostname {
                hostname,
                tenant,
                token,
            } => Self::ContestHostname(wire::ContestHostname {
                hostname: hostname.as_str().to_owned(),
                tenant: tenant.as_str().to_owned(),
                token: bytes_of(&token.0),
            }),
            Change::EndContest { hostname } => Self::EndContest(hostname.as_str().to_owned()),
            Change::ReissueCertificates { hostnames, urgency } => {
                Self::ReissueCertificates(wire::Reissue {
                    hostnames: hostnames
                        .iter()
                        .map(|hostname| hostname.as_str().to_owned())
                        .collect(),
                    urgency: urgency.as_str().to_owned(),
                })
            }
            Change::RevokeCertificate { id, reason } => {
                Self::RevokeCertificate(wire::RevokeCertificate {
                    id: bytes_of(&id.0),
                    reason: (*reason).into(),
                })
            }
            Change::UploadCertificate(upload) => Self::UploadCertificate((&**upload).into()),
            Change::CreateRequest { hostname, key, csr } => {
                Self::CreateRequest(wire::CreateRequest {
                    hostname: hostname.as_str().to_owned(),
                    key: Some(key.into()),
                    csr: csr.clone(),
                })
            }
            Change::PutCa {
                name,
                settings,
                revision,
            } => Self::PutCa(wire::PutCa {
                name: name.as_str().to_owned(),
                settings: Some((&**settings).into()),
                revision: revision.map(|index| index.0),
            }),
            Change::BindExternalAccount { ca, account } => {
                Self::BindExternalAccount(wire::BindExternalAccount {
                    ca: ca.as_str().to_owned(),
                    account: account.as_ref().map(Into::into),
                })
            }
            Change::RemoveCa { ca, revision } => Self::RemoveCa(wire::RemoveCa {
                ca: ca.as_str().to_owned(),
                revision: revision.map(|index| index.0),
            }),
            Change::RollAccountKey { ca } => Self::RollAccountKey(ca.as_str().to_owned()),
            Change::CommitAccountKey { ca, key } => {
                Self::CommitAccountKey(wire::CommitAccountKey {
                    ca: ca.as_str().to_owned(),
                    key: Some(key.into()),
                })
            }
            Change::RegisterAccount { ca, url } => Self::RegisterAccount(wire::RegisterAccount {
                ca: ca.as_str().to_owned(),
                url: url.clone(),
            }),
            Change::FinishRollover { ca, rolled } => Self::FinishRollover(wire::FinishRollover {
                ca: ca.as_str().to_owned(),
                rolled: *rolled,
            }),
            Change::RecordOwnership {
                hostname,
                claim,
                standing,
                fault,
                next_check,
            } => Self::RecordOwnership(wire::RecordOwnership {
                hostname: hostname.as_str().to_owned(),
                claim: claim.0,
                standing: standing.as_str().to_owned(),
                fault: fault.clone(),
                next_check: next_check.map(|at| at.0),
            }),
            Change::RecordContest {
                hostname,
                claim,
                proven,
                fault,
                next_check,
            } => Self::RecordContest(wire::RecordContest {
                hostname: hostname.as_str().to_owned(),
                claim: claim.0,
                proven: proven.map(|method| method.as_str().to_owned()),
                fault: fault.clone(),
                next_check: next_check.0,
            }),
            Change::DeferHostname {
                hostname,
                claim,
                class,
                reason,
                next_try,
                parked,
            } => Self::DeferHostname(wire::DeferHostname {
                hostname: hostname.as_str().to_owned(),
                claim: claim.0,
                class: class.as_str().to_owned(),
                reason: reason.clone(),
                next_try: next_try.0,
                parked: *parked,
            }),
            Change::ScheduleRenewal {
                id,
                renew_at,
                window,
            } => Self::ScheduleRenewal(wire::ScheduleRenewal {
                id: bytes_of(&id.0),
                renew_at: renew_at.0,
                window: window.as_ref().map(Into::into),
            }),
            Change::FinishRevocation { id, state } => {
                Self::FinishRevocation(wire::FinishRevocation {
                    id: bytes_of(&id.0),
                    state: Some(state.into()),
                })
            }
            Change::ObserveLimit { bucket, until } => Self::ObserveLimit(wire::ObserveLimit {
                bucket: Some(bucket.into()),
                until: until.0,
            }),
            Change::CorrectLimit { bucket } => Self::CorrectLimit(bucket.into()),
            Change::ForgetTombstone { hostname } => {
                Self::ForgetTombstone(hostname.as_str().to_owned())
            }
            Change::AdmitOrder(admit) => Self::AdmitOrder((&**admit).into()),
            Change::IntendOrder {
                order,
                again: false,
            } => Self::IntendOrder(order.0),
            Change::IntendOrder { order, again: true } => Self::IntendOrderAgain(order.0),
            Change::PrepareOrder { order, placed } => Self::PrepareOrder(wire::PrepareOrder {
                order: order.0,
                placed: Some(placed.into()),
            }),
            Change::IntendReady { order } => Self::IntendReady(order.0),
            Change::IntendFinalize { order } => Self::IntendFinalize(order.0),
            Change::InstallCertificate(install) => Self::InstallCertificate((&**install).into()),
            Change::FailOrder {
                order,
                evidence,
                class,
                reason,
                next_try,
            } => Self::FailOrder(wire::FailOrder {
                order: order.0,
                evidence: wire::Evidence::from(*evidence).into(),
                class: class.as_str().to_owned(),
                reason: reason.clone(),
                next_try: next_try.0,
            }),
            Change::ForgetCertificate { id } => Self::ForgetCertificate(id.0.to_vec()),
        }
    }
}

impl TryFrom<wire::Change> for Change {
    type Error = DecodeError;

    fn try_from(change: wire::Change) -> Result<Self, DecodeError> {
        use wire::Change as Wire;
        Ok(match change {
            Wire::Found(found) => Self::Found(Box::new((*found).try_into()?)),
            Wire::TakeOver(node) => Self::TakeOver { node: NodeId(node) },
            Wire::Confirm(_) => Self::Confirm,
            Wire::AuthorizeHostname(authorize) => {
                Self::AuthorizeHostname(Box::new(authorize.try_into()?))
            }
            Wire::RemoveHostname(remove) => Self::RemoveHostname {
                hostname: hostname(&remove.hostname)?,
                revision: remove.revision.map(Index),
            },
            Wire::SetOrigin(set) => Self::SetOrigin {
                origin: field(set.origin, "origin")?.try_into()?,
                revision: set.revision.map(Index),
            },
            Wire::PauseIssuance(reason) => Self::PauseIssuance { reason },
            Wire::ResumeIssuance(resume) => Self::ResumeIssuance {
                cluster: resume.cluster.as_deref().map(cluster_id).transpose()?,
            },
            Wire::Restore(part) => Self::Restore(Box::new(part.into())),
            Wire::FinishRestore(all) => Self::FinishRestore {
                hostnames: all.hostnames,
                certificates: all.certificates,
            },
            Wire::CreateInvitation(create) => Self::CreateInvitation {
                role: role(&create.role)?,
                verifier: array(&create.verifier, "verifier")?,
                expires_at: Timestamp(create.expires_at),
            },
            Wire::RevokeInvitation(id) => Self::RevokeInvitation {
                id: InvitationId(id),
            },
            Wire::SweepInvitation(id) => Self::SweepInvitation {
                id: InvitationId(id),
            },
            Wire::AdmitNode(admit) => Self::AdmitNode {
                invitation: InvitationId(admit.invitation),
                newcomer: field(admit.newcomer, "newcomer")?.into(),
            },
            Wire::AdmitMachine(admit) => Self::AdmitMachine {
                machine: admit.machine,
                newcomer: field(admit.newcomer, "newcomer")?.into(),
            },
            Wire::AdmitOperator(admit) => Self::AdmitOperator {
                invitation: InvitationId(admit.invitation),
                name: admit.name,
                public_key: admit.public_key,
            },
            Wire::CertifyNode(certify) => Self::CertifyNode {
                node: NodeId(certify.id),
                certificate: field(certify.certificate, "certificate")?.into(),
            },
            Wire::CertifyOperator(certify) => Self::CertifyOperator {
                operator: OperatorId(certify.id),
                certificate: field(certify.certificate, "certificate")?.into(),
            },
            Wire::RenewIssuing(renew) => Self::RenewIssuing {
                issuing: renew.issuing,
                issuing_key: field(renew.issuing_key, "issuing_key")?.try_into()?,
                not_after: Timestamp(renew.not_after),
                renew_at: Timestamp(renew.renew_at),
            },
            Wire::ShareDataKey(share) => {
                let (node, sealed) = hpke_from(field(share.sealed, "sealed")?);
                Self::ShareDataKey {
                    node,
                    purpose: purpose(&share.purpose)?,
                    generation: share.generation,
                    sealed,
                }
            }
            Wire::RotateDataKey(key) => Self::RotateDataKey {
                purpose: purpose(&key.purpose)?,
                generation: key.generation,
                sealed_for: key.sealed_for.into_iter().map(hpke_from).collect(),
            },
            Wire::AskRotation(of) => Self::AskRotation {
                of: Rotation::parse(&of).ok_or(DecodeError::Unknown("rotation"))?,
            },
            Wire::Reseal(reseal) => Self::Reseal(Box::new(reseal.try_into()?)),
            Wire::ResealCertificate(reseal) => {
                Self::ResealCertificate(Box::new(reseal.try_into()?))
            }
            Wire::DropDataKey(key) => Self::DropDataKey {
                purpose: purpose(&key.purpose)?,
                generation: key.generation,
            },
            Wire::RaiseLevel(raise) => Self::RaiseLevel {
                level: feature_level(raise.level)?,
                members: raise.members.into_iter().map(NodeId).collect(),
            },
            Wire::RemoveNode(node) => Self::RemoveNode { node: NodeId(node) },
            Wire::FinishRemoval(node) => Self::FinishRemoval { node: NodeId(node) },
            Wire::SetZone(set) => Self::SetZone {
                settings: Box::new(field(set.settings, "settings")?.try_into()?),
                revision: set.revision.map(Index),
            },
            Wire::SetWants(set) => Self::SetWants {
                hostname: hostname(&set.hostname)?,
                wants: Box::new(field(set.wants, "wants")?.try_into()?),
                revision: set.revision.map(Index),
            },
            Wire::SetTraffic(set) => Self::SetTraffic {
                hostname: set.hostname.as_deref().map(hostname).transpose()?,
                traffic: Box::new(field(set.traffic, "traffic")?.try_into()?),
                revision: set.revision.map(Index),
            },
            Wire::ContestHostname(contest) => Self::ContestHostname {
                hostname: hostname(&contest.hostname)?,
                tenant: tenant(&contest.tenant)?,
                token: token(&contest.token)?,
            },
            Wire::EndContest(name) => Self::EndContest {
                hostname: hostname(&name)?,
            },
            Wire::ReissueCertificates(ask) => Self::ReissueCertificates {
                hostnames: ask
                    .hostnames
                    .iter()
                    .map(|name| hostname(name))
                    .collect::<Result<_, _>>()?,
                urgency: reissue(&ask.urgency)?,
            },
            Wire::RevokeCertificate(revoke) => Self::RevokeCertificate {
                id: certificate_id(&revoke.id)?,
                reason: revocation_reason(revoke.reason)?,
            },
            Wire::UploadCertificate(upload) => {
                Self::UploadCertificate(Box::new(upload.try_into()?))
            }
            Wire::CreateRequest(create) => Self::CreateRequest {
                hostname: hostname(&create.hostname)?,
                key: field(create.key, "key")?.try_into()?,
                csr: create.csr,
            },
            Wire::PutCa(put) => Self::PutCa {
                name: ca_name(&put.name)?,
                settings: Box::new(field(put.settings, "settings")?.try_into()?),
                revision: put.revision.map(Index),
            },
            Wire::BindExternalAccount(bind) => Self::BindExternalAccount {
                ca: ca_name(&bind.ca)?,
                account: bind.account.map(TryInto::try_into).transpose()?,
            },
            Wire::RemoveCa(remove) => Self::RemoveCa {
                ca: ca_name(&remove.ca)?,
                revision: remove.revision.map(Index),
            },
            Wire::RollAccountKey(name) => Self::RollAccountKey {
                ca: ca_name(&name)?,
            },
            Wire::CommitAccountKey(commit) => Self::CommitAccountKey {
                ca: ca_name(&commit.ca)?,
                key: field(commit.key, "key")?.try_into()?,
            },
            Wire::RegisterAccount(register) => Self::RegisterAccount {
                ca: ca_name(&register.ca)?,
                url: register.url,
            },
            Wire::FinishRollover(finish) => Self::FinishRollover {
                ca: ca_name(&finish.ca)?,
                rolled: finish.rolled,
            },
            Wire::RecordOwnership(record) => Self::RecordOwnership {
                hostname: hostname(&record.hostname)?,
                claim: Index(record.claim),
                standing: proof(&record.standing)?,
                fault: record.fault,
                next_check: record.next_check.map(Timestamp),
            },
            Wire::RecordContest(record) => Self::RecordContest {
                hostname: hostname(&record.hostname)?,
                claim: Index(record.claim),
                proven: record.proven.as_deref().map(proof_method).transpose()?,
                fault: record.fault,
                next_check: Timestamp(record.next_check),
            },
            Wire::DeferHostname(defer) => Self::DeferHostname {
                hostname: hostname(&defer.hostname)?,
                claim: Index(defer.claim),
                class: failure_class(&defer.class)?,
                reason: defer.reason,
                next_try: Timestamp(defer.next_try),
                parked: defer.parked,
            },
            Wire::ScheduleRenewal(schedule) => Self::ScheduleRenewal {
                id: certificate_id(&schedule.id)?,
                renew_at: Timestamp(schedule.renew_at),
                window: schedule.window.map(Into::into),
            },
            Wire::FinishRevocation(finish) => Self::FinishRevocation {
                id: certificate_id(&finish.id)?,
                state: field(finish.state, "state")?.try_into()?,
            },
            Wire::ObserveLimit(observe) => Self::ObserveLimit {
                bucket: field(observe.bucket, "bucket")?.try_into()?,
                until: Timestamp(observe.until),
            },
            Wire::CorrectLimit(bucket) => Self::CorrectLimit {
                bucket: bucket.try_into()?,
            },
            Wire::ForgetTombstone(name) => Self::ForgetTombstone {
                hostname: hostname(&name)?,
            },
            Wire::AdmitOrder(admit) => Self::AdmitOrder(Box::new(admit.try_into()?)),
            Wire::IntendOrder(order) => Self::IntendOrder {
                order: OrderId(order),
                again: false,
            },
            Wire::IntendOrderAgain(order) => Self::IntendOrder {
                order: OrderId(order),
                again: true,
            },
            Wire::PrepareOrder(prepare) => Self::PrepareOrder {
                order: OrderId(prepare.order),
                placed: field(prepare.placed, "placed")?.try_into()?,
            },
            Wire::IntendReady(order) => Self::IntendReady {
                order: OrderId(order),
            },
            Wire::IntendFinalize(order) => Self::IntendFinalize {
                order: OrderId(order),
            },
            Wire::InstallCertificate(install) => {
                Self::InstallCertificate(Box::new(install.try_into()?))
            }
            Wire::FailOrder(fail) => Self::FailOrder {
                order: OrderId(fail.order),
                evidence: evidence(fail.evidence)?,
                class: failure_class(&fail.class)?,
                reason: fail.reason,
                next_try: Timestamp(fail.next_try),
            },
            Wire::ForgetCertificate(id) => Self::ForgetCertificate {
                id: certificate_id(&id)?,
            },
        })
    }
}
