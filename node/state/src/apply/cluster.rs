//! The cluster's beginning, its epochs and its zone.

use std::sync::Arc;

use super::Apply;
use crate::{
    ClusterId, Epoch, FeatureLevel, Index, NodeId, Origin, Refusal, Restored, Restoring, Zone,
    ZoneSettings,
    cluster::{Cluster, Counters, Pause},
    command::Found,
    outcome::Done,
};

impl Apply<'_> {
    pub(super) fn found(&mut self, found: &Found) -> Result<Done, Refusal> {
        if self.state.cluster.is_some() {
            return Err(Refusal::AlreadyFounded);
        }
        self.put_cluster(Cluster {
            id: found.cluster_id,
            names: found.backup.map_or(found.cluster_id, |of| of.names),
            founded_at: self.command.at,
            epoch: Epoch::default(),
            counters: Counters::default(),
            pause: found.backup.map(|_| self.quarantine()),
            restored: found.backup.map(|of| Restored {
                of,
                claim: self.index,
                progress: Restoring::Incomplete,
            }),
            level: FeatureLevel::FIRST,
        });
        self.put_authority(found.authority.clone());
        if let Some(ca) = &found.ca {
            self.put_ca(ca.clone());
        }
        self.put_zone(Zone {
            origin: found.origin.clone().map(Arc::new),
            settings: Arc::new(found.zone.clone()),
            traffic: Arc::default(),
            revision: self.index,
        });
        for key in &found.data_keys {
            let mut key = key.clone();
            key.created = self.index;
            key.created_at = self.command.at;
            self.put_data_key(key);
        }
        let node = self.new_member(&found.founder, None, None);
        self.certify_node(node, &found.founder_certificate)?;
        let operator = self.new_operator(
            &found.admin_name,
            crate::Role::Admin,
            &found.admin_public_key,
            None,
        );
        self.certify_operator(operator, &found.admin_certificate)?;
        Ok(Done::Node(node))
    }

    pub(super) fn take_over(&mut self, node: NodeId) -> Result<Done, Refusal> {
        let mut cluster = self.cluster();
        let now = cluster.epoch.term;
        match self.command.duty {
            Some(term) if term > now => {
                cluster.epoch = Epoch {
                    number: cluster.epoch.number + 1,
                    term,
                    node,
                    since: self.command.at,
                };
                self.put_cluster(cluster);
                Ok(Done::Nothing)
            }
            Some(term) if term == now => Ok(Done::Unchanged),
            _ => Err(Refusal::StaleTerm { now }),
        }
    }

    /// Never lowered; and whoever was admitted since the leader looked must be asked first.
    pub(super) fn raise_level(
        &mut self,
        level: FeatureLevel,
        members: &[NodeId],
    ) -> Result<Done, Refusal> {
        let mut cluster = self.cluster();
        if level <= cluster.level {
            return Ok(Done::Unchanged);
        }
        if !self.state.members.keys().all(|node| members.contains(node)) {
            return Err(Refusal::NotDue);
        }
        cluster.level = level;
        self.put_cluster(cluster);
        Ok(Done::Nothing)
    }

    /// Whoever pauses what is paused says why anew.
    pub(super) fn pause_issuance(&mut self, reason: &str) -> Result<Done, Refusal> {
        let mut cluster = self.cluster();
        if cluster
            .pause
            .as_ref()
            .is_some_and(|pause| pause.reason == reason)
        {
            return Ok(Done::Unchanged);
        }
        cluster.pause = Some(Pause {
            by: self.command.actor.clone(),
            reason: reason.to_owned(),
            since: cluster.pause.map_or(self.command.at, |pause| pause.since),
        });
        self.put_cluster(cluster);
        Ok(Done::Nothing)
    }

    pub(super) fn resume_issuance(&mut self, id: Option<ClusterId>) -> Result<Done, Refusal> {
        let mut cluster = self.cluster();
        if id.is_some_and(|id| id != cluster.id) {
            return Err(Refusal::OtherCluster);
        }
        if cluster.pause.take().is_none() {
            return Ok(Done::Unchanged);
        }
        if let Some(restored) = &mut cluster.restored {
            match restored.progress {
                Restoring::Incomplete => return Err(Refusal::Restoring),
                Restoring::Quarantined if id.is_none() => return Err(Refusal::Quarantined),
                Restoring::Quarantined | Restoring::Released => {
                    restored.progress = Restoring::Released;
                }
            }
        }
        self.put_cluster(cluster);
        Ok(Done::Nothing)
    }

    /// What comes before whatever a CA is asked to do.
    pub(super) fn check_pause(&self) -> Result<(), Refusal> {
        match self.state.pause() {
            Some(_) => Err(Refusal::Paused),
            None => Ok(()),
        }
    }

    pub(super) fn set_origin(
        &mut self,
        origin: &Origin,
        revision: Option<Index>,
    ) -> Result<Done, Refusal> {
        self.check_revision(self.state.zone.revision, revision)?;
        if self.state.zone.origin.as_deref() == Some(origin) {
            return Ok(Done::Unchanged);
        }
        self.put_zone(Zone {
            origin: Some(Arc::new(origin.clone())),
            revision: self.index,
            ..self.state.zone.clone()
        });
        Ok(Done::Nothing)
    }

    pub(super) fn set_zone(
        &mut self,
        settings: &ZoneSettings,
        revision: Option<Index>,
    ) -> Result<Done, Refusal> {
        self.check_revision(self.state.zone.revision, revision)?;
        if *self.state.zone.settings == *settings {
            return Ok(Done::Unchanged);
        }
        self.put_zone(Zone {
            settings: Arc::new(settings.clone()),
            revision: self.index,
            ..self.state.zone.clone()
        });
        Ok(Done::Nothing)
    }

    /// The cluster's record, to be changed and put back.
    pub(super) fn cluster(&self) -> Cluster {
        let cluster = self.state.cluster.as_deref();
        cluster
            .cloned()
            .unwrap_or_else(|| unreachable!("nothing but `found` runs before the cluster exists"))
    }

    /// Draws an id: the counter's value, which then moves on.
    pub(super) fn draw(&mut self, counter: fn(&mut Counters) -> &mut u64) -> u64 {
        let mut cluster = self.cluster();
        let next = counter(&mut cluster.counters);
        let drawn = *next;
        *next += 1;
        self.put_cluster(cluster);
        drawn
    }

    pub(super) fn check_revision(
        &self,
        current: Index,
        expected: Option<Index>,
    ) -> Result<(), Refusal> {
        match expected {
            Some(expected) if expected != current => Err(Refusal::RevisionMismatch { current }),
            _ => Ok(()),
        }
    }
}
