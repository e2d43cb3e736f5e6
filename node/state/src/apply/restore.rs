//! A cluster that begins with a backup.

use super::Apply;
use crate::{
    Change, Pause, Refusal, Restored, Restoring, Zone,
    backup::Portable,
    bodies,
    cluster::Cluster,
    codec,
    command::Restore,
    outcome::{Done, Kind},
    reseal::Held,
};

impl Apply<'_> {
    /// What a cluster that begins with a backup is paused by.
    pub(super) fn quarantine(&self) -> Pause {
        Pause {
            by: self.command.actor.clone(),
            reason: "restored from a backup".to_owned(),
            since: self.command.at,
        }
    }

    /// While not all of the backup is there nothing else changes but who takes part: what
    /// were decided about a hostname would be overwritten, and what is due is not known yet.
    pub(super) fn check_restored(&self) -> Result<(), Refusal> {
        let restored = self.state.restored();
        let incomplete =
            restored.is_some_and(|restored| restored.progress == Restoring::Incomplete);
        if incomplete && !self.command.change.comes_before_a_backup_is_complete() {
            return Err(Refusal::Restoring);
        }
        Ok(())
    }

    /// All of the part, or nothing of it.
    pub(super) fn restore(&mut self, part: &Restore) -> Result<Done, Refusal> {
        let (_, restored) = self.incomplete()?;
        let unfit = |what: &dyn std::fmt::Display| Refusal::Unfit(what.to_string());
        let records = part.records.iter();
        let records: Result<Vec<_>, _> = records
            .map(|(key, value)| Portable::decode(key, value))
            .collect();
        let records = records.map_err(|error| unfit(&error))?;
        if !part.bodies.iter().all(|(key, _)| bodies::is_key(key)) {
            return Err(unfit(&"there is no body of that kind"));
        }
        let keys = part.bodies.iter();
        let keys = keys.filter(|(key, _)| bodies::is_certificate(key));
        let keys: Result<Vec<_>, _> = keys
            .map(|(_, value)| codec::certificate_own_from(value))
            .collect();
        let keys = keys.map_err(|error| unfit(&error))?.into_iter();
        let secrets = records.iter().cloned().map(|it| Held::Portable(it.into()));
        let secrets = secrets.flat_map(Held::secrets).map(|(_, sealed)| sealed);
        let mut sealed = secrets.chain(keys.map(|(_, sealed)| sealed));
        if !sealed.all(|sealed| self.state.has_key_of(&sealed)) {
            return Err(Refusal::NotFound(Kind::DataKey));
        }
        for (key, value) in &part.bodies {
            self.put_body(key.to_vec(), value.to_vec());
        }
        for record in records {
            self.take_over_record(record.claimed(restored.claim));
        }
        Ok(Done::Nothing)
    }

    fn take_over_record(&mut self, record: Portable) {
        match record {
            Portable::Ca(ca) => self.put_ca(ca),
            Portable::Zone(zone) => self.put_zone(Zone {
                revision: self.index,
                ..zone
            }),
            Portable::Bucket(key, bucket) => self.put_bucket(key, bucket),
            Portable::Tombstone(name, tombstone) => self.put_tombstone(&name, tombstone),
            Portable::Certificate(certificate) => self.put_certificate(certificate),
            Portable::Order(order) => {
                let mut cluster = self.cluster();
                let next = &mut cluster.counters.order;
                *next = (*next).max(order.id.0.saturating_add(1));
                self.put_cluster(cluster);
                self.put_order(order);
            }
            Portable::Hostname(name, record) => self.put_hostname(&name, record),
        }
    }

    pub(super) fn finish_restore(
        &mut self,
        hostnames: u64,
        certificates: u64,
    ) -> Result<Done, Refusal> {
        let (mut cluster, restored) = self.incomplete()?;
        let here = |count| u64::try_from(count).unwrap_or(u64::MAX);
        let found = (
            here(self.state.hostnames.len()),
            here(self.state.certificates.len()),
        );
        if found != (hostnames, certificates) {
            let (names, held) = found;
            return Err(Refusal::Unfit(format!(
                "the backup has {hostnames} hostnames and {certificates} certificates, of which \
                 {names} and {held} are here"
            )));
        }
        cluster.restored = Some(Restored {
            progress: Restoring::Quarantined,
            ..restored
        });
        self.put_cluster(cluster);
        Ok(Done::Nothing)
    }

    fn incomplete(&self) -> Result<(Cluster, Restored), Refusal> {
        let cluster = self.cluster();
        match cluster.restored {
            Some(restored) if restored.progress == Restoring::Incomplete => Ok((cluster, restored)),
            _ => Err(Refusal::Unfit(
                "this cluster is not being restored from a backup".to_owned(),
            )),
        }
    }
}

impl Change {
    /// Those that are about the cluster itself, and the backup's own.
    fn comes_before_a_backup_is_complete(&self) -> bool {
        matches!(
            self,
            Self::Found(_)
                | Self::TakeOver { .. }
                | Self::Confirm
                | Self::Restore(_)
                | Self::FinishRestore { .. }
                | Self::PauseIssuance { .. }
                | Self::ResumeIssuance { .. }
                | Self::CreateInvitation { .. }
                | Self::RevokeInvitation { .. }
                | Self::SweepInvitation { .. }
                | Self::AdmitNode { .. }
                | Self::AdmitMachine { .. }
                | Self::AdmitOperator { .. }
                | Self::CertifyNode { .. }
                | Self::CertifyOperator { .. }
                | Self::RenewIssuing { .. }
                | Self::ShareDataKey { .. }
                | Self::RotateDataKey { .. }
                | Self::RaiseLevel { .. }
                | Self::RemoveNode { .. }
                | Self::FinishRemoval { .. }
        )
    }
}
