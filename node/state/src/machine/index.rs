//! Inserting and removing records together with what is derived from them, so
//! that a state that was loaded equals the one that was applied.

use std::{collections::BTreeSet, sync::Arc};

use imbl::{OrdMap, OrdSet};

use crate::{
    Bucket, BucketKey, Ca, Certificate, CertificateId, ChallengeKind, DataKey, Due, Hostname,
    HostnameRecord, Index, Invitation, InvitationId, Member, NodeId, Operator, Order, OrderId,
    Removed, Revocation, RevocationState, Source, State, Timestamp, Tombstone,
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

    pub(crate) fn insert_hostname(&mut self, name: Hostname, mut record: HostnameRecord) {
        let name = self.shared(name, &record);
        self.remove_hostname(&name);
        record.tenant = intern(&mut self.tenants, &record.tenant);
        record.authorized_by = intern(&mut self.authorizers, &record.authorized_by);
        if let Some(traffic) = &mut record.traffic {
            *traffic = intern(&mut self.traffics, traffic);
        }
        self.due.extend(self.hostname_due(&name, &record));
        self.due.extend(contest_due(&name, &record));
        self.hostnames.insert(name, Arc::new(record));
    }

    /// The name as its certificate has it, where records are read: one allocation for both.
    fn shared(&self, name: Hostname, record: &HostnameRecord) -> Hostname {
        let certificate = record.certificate.and_then(|id| self.certificates.get(&id));
        match certificate {
            Some(certificate) if certificate.hostname == name => certificate.hostname.clone(),
            _ => name,
        }
    }

    pub(crate) fn remove_hostname(&mut self, name: &Hostname) -> Option<Arc<HostnameRecord>> {
        let old = self.hostnames.remove(name)?;
        if let Some(due) = self.hostname_due(name, &old) {
            self.due.remove(&due);
        }
        if let Some(due) = contest_due(name, &old) {
            self.due.remove(&due);
        }
        release(&mut self.tenants, &old.tenant);
        release(&mut self.authorizers, &old.authorized_by);
        if let Some(traffic) = &old.traffic {
            release(&mut self.traffics, traffic);
        }
        Some(old)
    }

    pub(crate) fn insert_order(&mut self, order: Order) {
        self.remove_order(order.id);
        self.busy.insert(order.hostname.clone(), order.id);
        for (kind, name) in self.answers(&order) {
            self.answered(kind).insert((name, order.id));
        }
        self.orders.insert(order.id, Arc::new(order));
    }

    pub(crate) fn remove_order(&mut self, id: OrderId) -> Option<Arc<Order>> {
        let old = self.orders.remove(&id)?;
        self.busy.remove(&old.hostname);
        for (kind, name) in self.answers(&old) {
            self.answered(kind).remove(&(name, id));
        }
        Some(old)
    }

    /// Under which names edges find the answers of an order.
    fn answers(&self, order: &Order) -> BTreeSet<(Answered, Arc<str>)> {
        let label = || -> Option<Arc<str>> {
            let names = self.names_id()?;
            let label = order.tenant.delegation_label(names, &order.hostname);
            Some(label.into())
        };
        Self::open_challenges(order)
            .filter_map(|challenge| match challenge.kind {
                ChallengeKind::Http01 => {
                    Some((Answered::Token, Arc::from(challenge.token.as_str())))
                }
                ChallengeKind::Dns01 => label().map(|label| (Answered::Label, label)),
                ChallengeKind::TlsAlpn01 => None,
            })
            .collect()
    }

    fn answered(&mut self, kind: Answered) -> &mut OrdSet<(Arc<str>, OrderId)> {
        match kind {
            Answered::Token => &mut self.challenges,
            Answered::Label => &mut self.delegated,
        }
    }

    pub(crate) fn insert_certificate(&mut self, mut certificate: Certificate) {
        let hostname = certificate.hostname.clone();
        self.around_hostname(&hostname, |state| {
            state.remove_certificate_alone(&certificate.id);
            certificate.issuer = intern(&mut state.issuers, &certificate.issuer);
            if let Source::Ca(name) = &mut certificate.source
                && let Some(ca) = state.cas.get(name)
            {
                *name = ca.name.clone();
            }
            state.due.extend(certificate_dues(&certificate));
            if certificate.kept {
                let kept = (certificate.hostname.clone(), certificate.algorithm);
                state.kept.insert(kept, certificate.id);
            }
            certificate.chain = intern(&mut state.chains, &certificate.chain);
            let id = certificate.id;
            state.certificates.insert(id, Arc::new(certificate));
        });
    }

    pub(crate) fn remove_certificate(&mut self, id: &CertificateId) -> Option<Arc<Certificate>> {
        let hostname = self.certificates.get(id)?.hostname.clone();
        self.around_hostname(&hostname, |state| state.remove_certificate_alone(id))
    }

    fn remove_certificate_alone(&mut self, id: &CertificateId) -> Option<Arc<Certificate>> {
        let old = self.certificates.remove(id)?;
        for due in certificate_dues(&old) {
            self.due.remove(&due);
        }
        if old.kept {
            self.kept.remove(&(old.hostname.clone(), old.algorithm));
        }
        release(&mut self.chains, &old.chain);
        release(&mut self.issuers, &old.issuer);
        Some(old)
    }

    /// What a hostname needs is derived from its certificates too: it is worked out
    /// again around a change of one.
    fn around_hostname<T>(&mut self, name: &Hostname, change: impl FnOnce(&mut Self) -> T) -> T {
        let due = |state: &Self| {
            let record = state.hostnames.get(name)?;
            state.hostname_due(name, record)
        };
        let before = due(self);
        let changed = change(self);
        let after = due(self);
        if before != after {
            before.map(|due| self.due.remove(&due));
            self.due.extend(after);
        }
        changed
    }

    pub(crate) fn insert_ca(&mut self, ca: Ca) {
        self.cas.insert(ca.name.clone(), Arc::new(ca));
    }

    pub(crate) fn insert_bucket(&mut self, key: BucketKey, bucket: Bucket) {
        self.remove_bucket(&key);
        if let Some(at) = bucket.idle_at() {
            self.idle.insert((at, key.clone()));
        }
        self.buckets.insert(key, bucket);
    }

    pub(crate) fn remove_bucket(&mut self, key: &BucketKey) {
        if let Some(at) = self.buckets.remove(key).and_then(|old| old.idle_at()) {
            self.idle.remove(&(at, key.clone()));
        }
    }

    pub(crate) fn insert_tombstone(&mut self, name: Hostname, tombstone: Tombstone) {
        self.remove_tombstone(&name);
        self.due
            .insert((tombstone.forget_at(), Due::Bury(name.clone())));
        self.tombstones.insert(name, Arc::new(tombstone));
    }

    pub(crate) fn remove_tombstone(&mut self, name: &Hostname) -> Option<Arc<Tombstone>> {
        let old = self.tombstones.remove(name)?;
        self.due.remove(&(old.forget_at(), Due::Bury(name.clone())));
        Some(old)
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

/// By what an answer is found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answered {
    /// A challenge's token.
    Token,
    /// A delegation's label.
    Label,
}

/// One user more of a value that many share.
fn intern<K: Ord + Clone>(users: &mut OrdMap<K, u32>, value: &K) -> K {
    let known = users.get_key_value(value);
    let known = known.map_or_else(|| value.clone(), |(known, _)| known.clone());
    *users.entry(known.clone()).or_insert(0) += 1;
    known
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

fn contest_due(name: &Hostname, record: &HostnameRecord) -> Option<(Timestamp, Due)> {
    let contest = record.contest()?;
    let at = contest.next_check.min(contest.ends());
    Some((at, Due::Contest(name.clone())))
}

fn certificate_dues(certificate: &Certificate) -> impl Iterator<Item = (Timestamp, Due)> {
    let id = certificate.id;
    let forget = certificate
        .forgotten_at()
        .map(|at| (at, Due::Forget(Box::new(id))));
    let revoke = match certificate.revocation.as_deref() {
        Some(Revocation {
            state: RevocationState::Wanted { next_try },
            ..
        }) => Some((*next_try, Due::Revoke(Box::new(id)))),
        _ => None,
    };
    forget.into_iter().chain(revoke)
}
