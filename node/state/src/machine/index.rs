//! Inserting and removing records together with what is derived from them, so
//! that a state that was loaded equals the one that was applied.

use std::{collections::BTreeSet, sync::Arc};

use imbl::OrdMap;

use crate::{
    Certificate, CertificateId, DataKey, Due, Hostname, HostnameRecord, Index, Invitation,
    InvitationId, Member, NodeId, Operator, Order, OrderId, Removed, State, Timestamp,
};

/// How long an invitation is shown after its end: a day, for whoever asks why a
/// token was refused.
const INVITATION_SHOWN: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

impl State {
    /// Sets Raft's configuration as it stands at `index`. Not a command: the
    /// consensus applies its own entries.
    pub fn set_membership(
        &mut self,
        index: Index,
        voters: BTreeSet<NodeId>,
        learners: BTreeSet<NodeId>,
    ) {
        self.index = index;
        self.voters = Arc::new(voters);
        self.learners = Arc::new(learners);
    }

    /// Moves past an entry that carries no command.
    pub fn advance(&mut self, index: Index) {
        self.index = index;
    }

    pub(crate) fn insert_hostname(&mut self, name: Hostname, record: HostnameRecord) {
        self.remove_hostname(&name);
        if let Some(at) = self.hostname_due(&record) {
            self.due.insert((at, Due::Order(name.clone())));
        }
        self.hostnames.insert(name, record);
    }

    pub(crate) fn remove_hostname(&mut self, name: &Hostname) -> Option<HostnameRecord> {
        let old = self.hostnames.remove(name)?;
        if let Some(at) = self.hostname_due(&old) {
            self.due.remove(&(at, Due::Order(name.clone())));
        }
        Some(old)
    }

    pub(crate) fn insert_order(&mut self, order: Order) {
        self.remove_order(order.id);
        self.busy.insert(order.hostname.clone(), order.id);
        if let Some(challenge) = Self::open_challenge(&order) {
            self.challenges
                .insert((challenge.token.as_str().into(), order.id));
        }
        self.orders.insert(order.id, Arc::new(order));
    }

    pub(crate) fn remove_order(&mut self, id: OrderId) -> Option<Arc<Order>> {
        let old = self.orders.remove(&id)?;
        self.busy.remove(&old.hostname);
        if let Some(challenge) = Self::open_challenge(&old) {
            self.challenges
                .remove(&(challenge.token.as_str().into(), id));
        }
        Some(old)
    }

    /// Must not be called while the certificate's hostname is due by it: its
    /// `renew_at` never changes, so that only first insertions matter.
    pub(crate) fn insert_certificate(&mut self, mut certificate: Certificate) {
        self.remove_certificate(&certificate.id);
        certificate.issuer = self.intern_issuer(&certificate.issuer);
        if let Some(at) = certificate.forget_at {
            self.due.insert((at, Due::Forget(certificate.id)));
        }
        if certificate.kept {
            self.kept
                .insert(certificate.hostname.clone(), certificate.id);
        }
        *self.chains.entry(certificate.chain).or_insert(0) += 1;
        self.certificates
            .insert(certificate.id, Arc::new(certificate));
    }

    pub(crate) fn remove_certificate(&mut self, id: &CertificateId) -> Option<Arc<Certificate>> {
        let old = self.certificates.remove(id)?;
        if let Some(at) = old.forget_at {
            self.due.remove(&(at, Due::Forget(*id)));
        }
        if old.kept {
            self.kept.remove(&old.hostname);
        }
        release(&mut self.chains, &old.chain);
        release(&mut self.issuers, &old.issuer);
        Some(old)
    }

    fn intern_issuer(&mut self, name: &Arc<str>) -> Arc<str> {
        let known = self.issuers.get_key_value(name);
        let known = known.map_or_else(|| name.clone(), |(known, _)| known.clone());
        *self.issuers.entry(known.clone()).or_insert(0) += 1;
        known
    }

    pub(crate) fn insert_invitation(&mut self, invitation: Invitation) {
        self.remove_invitation(invitation.id);
        self.due.insert(sweep(&invitation));
        self.invitations.insert(invitation.id, Arc::new(invitation));
    }

    pub(crate) fn remove_invitation(&mut self, id: InvitationId) -> Option<Arc<Invitation>> {
        let old = self.invitations.remove(&id)?;
        self.due.remove(&sweep(&old));
        Some(old)
    }

    pub(crate) fn insert_member(&mut self, member: Member) {
        self.members.insert(member.id, Arc::new(member));
    }

    pub(crate) fn insert_removed(&mut self, removed: Removed) {
        self.removed.insert(removed.id, Arc::new(removed));
    }

    pub(crate) fn insert_operator(&mut self, operator: Operator) {
        self.operators.insert(operator.id, Arc::new(operator));
    }

    pub(crate) fn insert_data_key(&mut self, key: DataKey) {
        self.data_keys
            .insert((key.purpose, key.generation), Arc::new(key));
    }
}

/// One user less; the last takes the entry along.
fn release<K: Ord + Clone>(users: &mut OrdMap<K, u32>, key: &K) {
    match users.get(key).copied() {
        None | Some(0 | 1) => users.remove(key),
        Some(many) => users.insert(key.clone(), many - 1),
    };
}

fn sweep(invitation: &Invitation) -> (Timestamp, Due) {
    (
        invitation.expires_at.plus(INVITATION_SHOWN),
        Due::Sweep(invitation.id),
    )
}
