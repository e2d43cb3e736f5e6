//! Entering the cluster: invitations and what is spent on them.

use bytes::Bytes;

use super::Apply;
use crate::{
    Invitation, InvitationId, Redemption, Refusal, Role, Timestamp,
    command::Newcomer,
    invitation::Became,
    outcome::{Done, Kind},
};

/// Most invitations kept at once: an operator's script gone wild must not fill
/// the state.
const INVITATIONS_MAX: usize = 10_000;

impl Apply<'_> {
    pub(super) fn create_invitation(
        &mut self,
        role: Role,
        verifier: [u8; 32],
        expires_at: Timestamp,
    ) -> Result<Done, Refusal> {
        if self.state.invitations.len() >= INVITATIONS_MAX {
            return Err(Refusal::TooMany(Kind::Invitation));
        }
        let id = InvitationId(self.draw(|counters| &mut counters.invitation));
        self.put_invitation(Invitation {
            id,
            role,
            verifier,
            created_at: self.command.at,
            created_by: self.command.actor.clone(),
            expires_at,
            revoked: false,
            redemption: None,
        });
        Ok(Done::Invitation(id))
    }

    pub(super) fn revoke_invitation(&mut self, id: InvitationId) -> Result<Done, Refusal> {
        let invitation = self.invitation(id)?;
        if invitation.redemption.is_some() {
            return Err(Refusal::InvitationSpent);
        }
        if invitation.revoked {
            return Ok(Done::Unchanged);
        }
        self.put_invitation(Invitation {
            revoked: true,
            ..invitation
        });
        Ok(Done::Nothing)
    }

    pub(super) fn sweep_invitation(&mut self, id: InvitationId) -> Result<Done, Refusal> {
        let invitation = self.invitation(id)?;
        if invitation.expires_at > self.command.at {
            return Err(Refusal::NotDue);
        }
        self.delete_invitation(id);
        Ok(Done::Nothing)
    }

    pub(super) fn admit_node(
        &mut self,
        id: InvitationId,
        newcomer: &Newcomer,
    ) -> Result<Done, Refusal> {
        let invitation = self.redeemable(id, &[Role::Node], &newcomer.public_key)?;
        if let Some(Redemption {
            became: Became::Node(node),
            ..
        }) = invitation.redemption
        {
            return if self.state.members.contains_key(&node) {
                Ok(Done::Node(node))
            } else {
                Err(Refusal::MemberTaken("key"))
            };
        }
        self.check_new(newcomer)?;
        let node = self.new_member(newcomer, Some(id), None);
        self.spend(invitation, &newcomer.public_key, Became::Node(node));
        Ok(Done::Node(node))
    }

    /// Each machine once: one that was removed needs an invitation, and so does one that has
    /// lost its keys.
    pub(super) fn admit_machine(
        &mut self,
        machine: &str,
        newcomer: &Newcomer,
    ) -> Result<Done, Refusal> {
        let is = |known: &Option<String>| known.as_deref() == Some(machine);
        let mut members = self.state.members.values();
        match members.find(|member| is(&member.machine)) {
            Some(member) if member.public_key == newcomer.public_key => {
                return Ok(Done::Node(member.id));
            }
            Some(_) => return Err(Refusal::MemberTaken("machine")),
            None => {}
        }
        if self.state.removed.values().any(|it| is(&it.machine)) {
            return Err(Refusal::MemberTaken("machine"));
        }
        self.check_new(newcomer)?;
        let machine = Some(machine.to_owned());
        Ok(Done::Node(self.new_member(newcomer, None, machine)))
    }

    /// Its name is no member's, and its key never was one's.
    fn check_new(&self, newcomer: &Newcomer) -> Result<(), Refusal> {
        let (members, removed) = (&self.state.members, &self.state.removed);
        if members.values().any(|it| it.name == newcomer.name) {
            return Err(Refusal::MemberTaken("name"));
        }
        let known = |key: &Bytes| *key == newcomer.public_key;
        if members.values().any(|it| known(&it.public_key))
            || removed.values().any(|it| known(&it.public_key))
        {
            return Err(Refusal::MemberTaken("key"));
        }
        Ok(())
    }

    pub(super) fn admit_operator(
        &mut self,
        id: InvitationId,
        name: &str,
        public_key: &Bytes,
    ) -> Result<Done, Refusal> {
        let invitation = self.redeemable(id, &[Role::Admin, Role::Viewer], public_key)?;
        if let Some(Redemption {
            became: Became::Operator(operator),
            ..
        }) = invitation.redemption
        {
            return Ok(Done::Operator(operator));
        }
        let operator = self.new_operator(name, invitation.role, public_key, Some(id));
        self.spend(invitation, public_key, Became::Operator(operator));
        Ok(Done::Operator(operator))
    }

    /// The invitation, if this key may spend it or did already.
    fn redeemable(
        &self,
        id: InvitationId,
        roles: &[Role],
        public_key: &Bytes,
    ) -> Result<Invitation, Refusal> {
        let invitation = self.invitation(id)?;
        if !roles.contains(&invitation.role) {
            return Err(Refusal::InvitationRole);
        }
        match &invitation.redemption {
            Some(redemption) if redemption.public_key == *public_key => return Ok(invitation),
            Some(_) => return Err(Refusal::InvitationSpent),
            None => {}
        }
        if invitation.revoked {
            return Err(Refusal::InvitationRevoked);
        }
        if invitation.expires_at <= self.command.at {
            return Err(Refusal::InvitationExpired);
        }
        Ok(invitation)
    }

    fn spend(&mut self, invitation: Invitation, public_key: &Bytes, became: Became) {
        let redemption = Redemption {
            public_key: public_key.clone(),
            became,
            at: self.command.at,
        };
        self.put_invitation(Invitation {
            redemption: Some(redemption),
            ..invitation
        });
    }

    fn invitation(&self, id: InvitationId) -> Result<Invitation, Refusal> {
        let invitation = self
            .state
            .invitations
            .get(&id)
            .ok_or(Refusal::NotFound(Kind::Invitation))?;
        Ok((**invitation).clone())
    }
}
