//! Writing records: into the state and into the changes at once.

use std::sync::Arc;

use super::{Apply, Write};
use crate::{
    Authority, Bucket, BucketKey, Ca, CaName, Certificate, CertificateId, DataKey, Event,
    EventKind, Hostname, HostnameRecord, Invitation, InvitationId, KeyPurpose, Member, NodeId,
    Operator, Order, OrderId, Removed, Tombstone, Zone, bodies, cluster::Cluster, codec, event,
};

impl Apply<'_> {
    fn put(&mut self, (key, value): (Vec<u8>, Vec<u8>)) {
        self.changes.records.push(Write::Put { key, value });
    }

    fn delete(&mut self, key: Vec<u8>) {
        self.changes.records.push(Write::Delete { key });
    }

    pub(super) fn put_body(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.bodies.push(Write::Put { key, value });
    }

    pub(super) fn delete_body(&mut self, key: Vec<u8>) {
        self.changes.bodies.push(Write::Delete { key });
    }

    pub(super) fn put_cluster(&mut self, cluster: Cluster) {
        self.put(codec::record::cluster(&cluster));
        self.state.cluster = Some(Arc::new(cluster));
    }

    pub(super) fn put_authority(&mut self, authority: Authority) {
        self.put(codec::record::authority(&authority));
        self.state.authority = Some(Arc::new(authority));
    }

    /// Writes a CA, stamped with this entry as its revision.
    pub(super) fn put_ca(&mut self, mut ca: Ca) {
        ca.revision = self.index;
        self.put(codec::record::ca(&ca));
        self.state.insert_ca(ca);
    }

    pub(super) fn delete_ca(&mut self, name: &CaName) {
        self.delete(codec::record::ca_key(name));
        self.state.cas.remove(name);
    }

    pub(super) fn put_bucket(&mut self, key: BucketKey, bucket: Bucket) {
        self.put(codec::record::bucket(&key, &bucket));
        self.state.insert_bucket(key, bucket);
    }

    pub(super) fn delete_bucket(&mut self, key: &BucketKey) {
        if self.state.buckets.contains_key(key) {
            self.delete(codec::record::bucket_key(key));
            self.state.remove_bucket(key);
        }
    }

    pub(super) fn put_tombstone(&mut self, name: &Hostname, tombstone: Tombstone) {
        self.put(codec::record::tombstone(name, &tombstone));
        self.state.insert_tombstone(name.clone(), tombstone);
    }

    pub(super) fn delete_tombstone(&mut self, name: &Hostname) {
        if self.state.remove_tombstone(name).is_some() {
            self.delete(codec::record::tombstone_key(name));
        }
    }

    pub(super) fn put_zone(&mut self, zone: Zone) {
        self.put(codec::record::zone(&zone));
        self.state.zone = zone;
    }

    /// Writes a hostname, stamped with this entry as its revision.
    pub(super) fn put_hostname(&mut self, name: &Hostname, mut record: HostnameRecord) {
        record.revision = self.index;
        self.keep_hostname(name, record);
    }

    /// The same, where nobody who reads it can tell a difference.
    pub(super) fn keep_hostname(&mut self, name: &Hostname, record: HostnameRecord) {
        self.put(codec::record::hostname(name, &record));
        self.state.insert_hostname(name.clone(), record);
    }

    pub(super) fn delete_hostname(&mut self, name: &Hostname) {
        if let Some(record) = self.state.remove_hostname(name) {
            self.delete(codec::record::hostname_key(name));
            for number in record.events.saturating_sub(event::KEPT)..record.events {
                self.delete_body(bodies::event_key(name, number));
            }
        }
    }

    /// Appends to a hostname's timeline; the oldest event makes room.
    pub(super) fn record_event(
        &mut self,
        name: &Hostname,
        record: &mut HostnameRecord,
        kind: EventKind,
        detail: String,
    ) {
        let event = Event {
            at: self.command.at,
            kind,
            detail,
        };
        self.put_body(
            bodies::event_key(name, record.events),
            codec::event_to(&event),
        );
        if let Some(oldest) = record.events.checked_sub(event::KEPT) {
            self.delete_body(bodies::event_key(name, oldest));
        }
        record.events += 1;
    }

    pub(super) fn put_order(&mut self, order: Order) {
        self.put(codec::record::order(&order));
        self.state.insert_order(order);
    }

    pub(super) fn delete_order(&mut self, id: OrderId) {
        if self.state.remove_order(id).is_some() {
            self.delete(codec::record::order_key(id));
        }
    }

    pub(super) fn put_certificate(&mut self, certificate: Certificate) {
        self.put(codec::record::certificate(&certificate));
        self.state.insert_certificate(certificate);
    }

    /// Forgets a certificate, its body, and its chain if no other needs it.
    pub(super) fn delete_certificate(&mut self, id: &CertificateId) {
        if let Some(old) = self.state.remove_certificate(id) {
            self.delete(codec::record::certificate_key(id));
            self.delete_body(bodies::certificate_key(&old));
            if !self.state.chains.contains_key(&old.chain) {
                self.delete_body(bodies::chain_key(&old.chain));
            }
        }
    }

    pub(super) fn put_member(&mut self, member: Member) {
        self.put(codec::record::member(&member));
        self.state.insert_member(member);
    }

    pub(super) fn delete_member(&mut self, id: NodeId) {
        self.delete(codec::record::member_key(id));
        self.state.members.remove(&id);
    }

    pub(super) fn put_removed(&mut self, removed: Removed) {
        self.put(codec::record::removed(&removed));
        self.state.insert_removed(removed);
    }

    pub(super) fn put_operator(&mut self, operator: Operator) {
        self.put(codec::record::operator(&operator));
        self.state.insert_operator(operator);
    }

    pub(super) fn put_invitation(&mut self, invitation: Invitation) {
        self.put(codec::record::invitation(&invitation));
        self.state.insert_invitation(invitation);
    }

    pub(super) fn delete_invitation(&mut self, id: InvitationId) {
        self.delete(codec::record::invitation_key(id));
        self.state.remove_invitation(id);
    }

    pub(super) fn delete_data_key(&mut self, purpose: KeyPurpose, generation: u32) {
        self.delete(codec::record::data_key_key(purpose, generation));
        self.state.data_keys.remove(&(purpose, generation));
    }

    pub(super) fn put_data_key(&mut self, key: DataKey) {
        self.put(codec::record::data_key(&key));
        self.state.insert_data_key(key);
    }
}
