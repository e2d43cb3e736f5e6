//! Commands, as they stand in the log.

use super::{
    DecodeError,
    convert::{
        array, bytes_of, certificate_id, chain_id, cluster_id, evidence, failure_class, field,
        hostname, hpke_from, hpke_to, purpose, role,
    },
    wire,
};
use crate::{
    Actor, Change, Command, Index, InvitationId, NodeId, OperatorId, OrderId, Term, Timestamp,
    command::{Found, Install},
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
            Change::AuthorizeHostname { hostname } => {
                Self::AuthorizeHostname(hostname.as_str().to_owned())
            }
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
                sealed_for: sealed_for
                    .iter()
                    .map(|(node, sealed)| hpke_to(*node, sealed))
                    .collect(),
            }),
            Change::RemoveNode { node } => Self::RemoveNode(node.0),
            Change::FinishRemoval { node } => Self::FinishRemoval(node.0),
            Change::CommitAccountKey { key, thumbprint } => {
                Self::CommitAccountKey(wire::CommitAccountKey {
                    key: Some(key.into()),
                    thumbprint: thumbprint.clone(),
                })
            }
            Change::RegisterAccount { url } => Self::RegisterAccount(url.clone()),
            Change::AdmitOrder {
                hostname,
                claim,
                key,
                csr,
            } => Self::AdmitOrder(wire::AdmitOrder {
                hostname: hostname.as_str().to_owned(),
                claim: claim.0,
                key: Some(key.into()),
                csr: csr.clone(),
            }),
            Change::IntendOrder { order } => Self::IntendOrder(order.0),
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
                class: wire::FailureClass::from(*class).into(),
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
            Wire::AuthorizeHostname(name) => Self::AuthorizeHostname {
                hostname: hostname(&name)?,
            },
            Wire::RemoveHostname(remove) => Self::RemoveHostname {
                hostname: hostname(&remove.hostname)?,
                revision: remove.revision.map(Index),
            },
            Wire::SetOrigin(set) => Self::SetOrigin {
                origin: field(set.origin, "origin")?.try_into()?,
                revision: set.revision.map(Index),
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
            Wire::RemoveNode(node) => Self::RemoveNode { node: NodeId(node) },
            Wire::FinishRemoval(node) => Self::FinishRemoval { node: NodeId(node) },
            Wire::CommitAccountKey(commit) => Self::CommitAccountKey {
                key: field(commit.key, "key")?.try_into()?,
                thumbprint: commit.thumbprint,
            },
            Wire::RegisterAccount(url) => Self::RegisterAccount { url },
            Wire::AdmitOrder(admit) => Self::AdmitOrder {
                hostname: hostname(&admit.hostname)?,
                claim: Index(admit.claim),
                key: field(admit.key, "key")?.try_into()?,
                csr: admit.csr,
            },
            Wire::IntendOrder(order) => Self::IntendOrder {
                order: OrderId(order),
            },
            Wire::PrepareOrder(prepare) => Self::PrepareOrder {
                order: OrderId(prepare.order),
                placed: field(prepare.placed, "placed")?.into(),
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
                class: failure_class(fail.class)?,
                reason: fail.reason,
                next_try: Timestamp(fail.next_try),
            },
            Wire::ForgetCertificate(id) => Self::ForgetCertificate {
                id: certificate_id(&id)?,
            },
        })
    }
}

impl From<&Found> for wire::Found {
    fn from(found: &Found) -> Self {
        Self {
            cluster_id: bytes_of(&found.cluster_id.0),
            authority: Some((&found.authority).into()),
            founder: Some((&found.founder).into()),
            founder_certificate: Some((&found.founder_certificate).into()),
            data_keys: found.data_keys.iter().map(Into::into).collect(),
            admin_name: found.admin_name.clone(),
            admin_public_key: found.admin_public_key.clone(),
            admin_certificate: Some((&found.admin_certificate).into()),
            account: Some((&found.account).into()),
            origin: found.origin.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<wire::Found> for Found {
    type Error = DecodeError;

    fn try_from(found: wire::Found) -> Result<Self, DecodeError> {
        Ok(Self {
            cluster_id: cluster_id(&found.cluster_id)?,
            authority: field(found.authority, "authority")?.try_into()?,
            founder: field(found.founder, "founder")?.into(),
            founder_certificate: field(found.founder_certificate, "founder_certificate")?.into(),
            data_keys: found
                .data_keys
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            admin_name: found.admin_name,
            admin_public_key: found.admin_public_key,
            admin_certificate: field(found.admin_certificate, "admin_certificate")?.into(),
            account: field(found.account, "account")?.try_into()?,
            origin: found.origin.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<&Install> for wire::Install {
    fn from(install: &Install) -> Self {
        Self {
            order: install.order.0,
            id: bytes_of(&install.id.0),
            leaf: install.leaf.clone(),
            chain_id: bytes_of(&install.chain_id.0),
            chain: install.chain.clone(),
            issuer: install.issuer.clone(),
            serial: install.serial.clone(),
            not_before: install.not_before.0,
            not_after: install.not_after.0,
            renew_at: install.renew_at.0,
        }
    }
}

impl TryFrom<wire::Install> for Install {
    type Error = DecodeError;

    fn try_from(install: wire::Install) -> Result<Self, DecodeError> {
        Ok(Self {
            order: OrderId(install.order),
            id: certificate_id(&install.id)?,
            leaf: install.leaf,
            chain_id: chain_id(&install.chain_id)?,
            chain: install.chain,
            issuer: install.issuer,
            serial: install.serial,
            not_before: Timestamp(install.not_before),
            not_after: Timestamp(install.not_after),
            renew_at: Timestamp(install.renew_at),
        })
    }
}
