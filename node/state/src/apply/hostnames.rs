//! Authorizing hostnames and withdrawing them.

use super::Apply;
use crate::{
    Certificate, EventKind, Hostname, HostnameRecord, Index, Refusal, Stage,
    outcome::{Done, Kind},
};

impl Apply<'_> {
    /// A hostname that comes back takes up its kept certificate, and the order
    /// that outlived its removal.
    pub(super) fn authorize_hostname(&mut self, name: &Hostname) -> Result<Done, Refusal> {
        if self.state.hostnames.contains_key(name) {
            return Err(Refusal::AlreadyExists(Kind::Hostname));
        }
        let kept = self
            .state
            .kept
            .get(name)
            .and_then(|id| self.state.certificates.get(id))
            .cloned();
        // One that is not valid yet is taken up too: a clock set back must not order.
        let usable = kept.filter(|certificate| self.command.at < certificate.not_after);
        if let Some(certificate) = &usable {
            self.put_certificate(Certificate {
                forget_at: None,
                kept: false,
                ..(**certificate).clone()
            });
        }
        let mut record = HostnameRecord {
            authorized_at: self.command.at,
            authorized_by: self.command.actor.as_str().into(),
            claim: self.index,
            certificate: usable.map(|certificate| certificate.id),
            order: self.state.busy.get(name).copied(),
            failure: None,
            events: 0,
            revision: self.index,
        };
        self.record_event(
            name,
            &mut record,
            EventKind::Authorized,
            self.command.actor.as_str().to_owned(),
        );
        self.put_hostname(name, record);
        Ok(Done::Nothing)
    }

    /// The certificate is kept for its hostname's return. An order goes with the
    /// hostname, unless its finalization was intended: then it may have a
    /// certificate and is carried to its end.
    pub(super) fn remove_hostname(
        &mut self,
        name: &Hostname,
        revision: Option<Index>,
    ) -> Result<Done, Refusal> {
        let record = self
            .state
            .hostnames
            .get(name)
            .cloned()
            .ok_or(Refusal::NotFound(Kind::Hostname))?;
        self.check_revision(record.revision, revision)?;
        let order = record
            .order
            .and_then(|id| self.state.orders.get(&id))
            .cloned();
        if let Some(order) = order.filter(|order| !matches!(order.stage, Stage::FinalizeIntent(_)))
        {
            self.delete_order(order.id);
        }
        self.delete_hostname(name);
        let certificate = record
            .certificate
            .and_then(|id| self.state.certificates.get(&id))
            .cloned();
        if let Some(certificate) = certificate {
            self.keep_certificate((*certificate).clone());
        }
        Ok(Done::Nothing)
    }
}
