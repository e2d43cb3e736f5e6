//! Members and their certificates.

use bytes::Bytes;

use super::Apply;
use crate::{
    Authority, DataKey, InvitationId, IssuedCertificate, Member, NodeId, Operator, OperatorId,
    Refusal, Removed, Role, Sealed, Timestamp,
    command::Newcomer,
    outcome::{Done, Kind},
};

impl Apply<'_> {
    pub(super) fn new_member(
        &mut self,
        newcomer: &Newcomer,
        invitation: Option<InvitationId>,
        machine: Option<String>,
    ) -> NodeId {
        let id = NodeId(self.draw(|counters| &mut counters.node));
        self.put_member(Member {
            id,
            name: newcomer.name.clone(),
            peer_address: newcomer.peer_address.clone(),
            admin_address: newcomer.admin_address.clone(),
            public_key: newcomer.public_key.clone(),
            hpke_public_key: newcomer.hpke_public_key.clone(),
            invitation,
            machine,
            joined_at: self.command.at,
            certificate: None,
            leaving: false,
        });
        id
    }

    pub(super) fn new_operator(
        &mut self,
        name: &str,
        role: Role,
        public_key: &Bytes,
        invitation: Option<InvitationId>,
    ) -> OperatorId {
        let id = OperatorId(self.draw(|counters| &mut counters.operator));
        self.put_operator(Operator {
            id,
            name: name.to_owned(),
            role,
            public_key: public_key.clone(),
            invitation,
            admitted_at: self.command.at,
            certificate: None,
        });
        id
    }

    pub(super) fn certify_node(
        &mut self,
        node: NodeId,
        certificate: &IssuedCertificate,
    ) -> Result<Done, Refusal> {
        let member = self.member(node)?;
        self.put_member(Member {
            certificate: Some(certificate.clone()),
            ..member
        });
        Ok(Done::Node(node))
    }

    pub(super) fn certify_operator(
        &mut self,
        id: OperatorId,
        certificate: &IssuedCertificate,
    ) -> Result<Done, Refusal> {
        let operator = self
            .state
            .operators
            .get(&id)
            .ok_or(Refusal::NotFound(Kind::Operator))?;
        let operator = Operator {
            certificate: Some(certificate.clone()),
            ..(**operator).clone()
        };
        self.put_operator(operator);
        Ok(Done::Operator(id))
    }

    pub(super) fn renew_issuing(
        &mut self,
        issuing: &Bytes,
        issuing_key: &Sealed,
        not_after: Timestamp,
        renew_at: Timestamp,
    ) -> Result<Done, Refusal> {
        let authority = self
            .state
            .authority
            .as_deref()
            .cloned()
            .ok_or(Refusal::NotFounded)?;
        self.put_authority(Authority {
            issuing: issuing.clone(),
            issuing_key: issuing_key.clone(),
            issuing_not_after: not_after,
            issuing_renew_at: renew_at,
            ..authority
        });
        Ok(Done::Nothing)
    }

    /// The next one is due at once; members are certified by it as soon as it is there.
    pub(super) fn ask_issuing(&mut self) -> Result<Done, Refusal> {
        let authority = self.state.authority.as_deref().cloned();
        let authority = authority.ok_or(Refusal::NotFounded)?;
        if authority.issuing_renew_at <= self.command.at {
            return Ok(Done::Unchanged);
        }
        self.put_authority(Authority {
            issuing_renew_at: self.command.at,
            ..authority
        });
        Ok(Done::Nothing)
    }

    pub(super) fn remove_node(&mut self, node: NodeId) -> Result<Done, Refusal> {
        let member = self.member(node)?;
        if member.leaving {
            return Ok(Done::Unchanged);
        }
        let staying = self
            .state
            .members
            .values()
            .filter(|other| other.id != node && !other.leaving)
            .count();
        if staying == 0 {
            return Err(Refusal::LastMember);
        }
        self.put_member(Member {
            leaving: true,
            ..member
        });
        Ok(Done::Nothing)
    }

    pub(super) fn finish_removal(&mut self, node: NodeId) -> Result<Done, Refusal> {
        if self.state.removed.contains_key(&node) {
            return Ok(Done::Unchanged);
        }
        let member = self.member(node)?;
        if !member.leaving {
            return Err(Refusal::NotDue);
        }
        if self.state.voters.contains(&node) || self.state.learners.contains(&node) {
            return Err(Refusal::StillInRaft);
        }
        self.delete_member(node);
        let keys: Vec<DataKey> = self
            .state
            .data_keys
            .values()
            .map(|key| (**key).clone())
            .collect();
        for mut key in keys {
            if key.sealed_for.remove(&node).is_some() {
                self.put_data_key(key);
            }
        }
        self.put_removed(Removed {
            id: node,
            name: member.name,
            public_key: member.public_key,
            removed_at: self.command.at,
            removed: self.index,
            machine: member.machine,
        });
        Ok(Done::Nothing)
    }

    pub(super) fn member(&self, node: NodeId) -> Result<Member, Refusal> {
        let member = self
            .state
            .members
            .get(&node)
            .ok_or(Refusal::NotFound(Kind::Member))?;
        Ok((**member).clone())
    }
}
