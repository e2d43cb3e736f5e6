//! How traffic is served.

use std::sync::Arc;

use super::Apply;
use crate::{EventKind, Hostname, Index, Refusal, Traffic, Zone, outcome::Done};

impl Apply<'_> {
    pub(super) fn set_traffic(
        &mut self,
        name: Option<&Hostname>,
        traffic: &Traffic,
        revision: Option<Index>,
    ) -> Result<Done, Refusal> {
        match name {
            Some(name) => self.set_traffic_of(name, traffic, revision),
            None => self.set_traffic_of_zone(traffic, revision),
        }
    }

    fn set_traffic_of(
        &mut self,
        name: &Hostname,
        traffic: &Traffic,
        revision: Option<Index>,
    ) -> Result<Done, Refusal> {
        let mut record = self.hostname(name)?;
        self.check_revision(record.revision, revision)?;
        let decided = (*traffic != Traffic::default()).then_some(traffic);
        if record.traffic.as_deref() == decided {
            return Ok(Done::Unchanged);
        }
        record.traffic = decided.cloned().map(Arc::new);
        let by = self.command.actor.as_str().to_owned();
        self.record_event(name, &mut record, EventKind::Changed, by);
        self.put_hostname(name, record);
        Ok(Done::Nothing)
    }

    fn set_traffic_of_zone(
        &mut self,
        traffic: &Traffic,
        revision: Option<Index>,
    ) -> Result<Done, Refusal> {
        self.check_revision(self.state.zone.revision, revision)?;
        if *self.state.zone.traffic == *traffic {
            return Ok(Done::Unchanged);
        }
        self.put_zone(Zone {
            traffic: Arc::new(traffic.clone()),
            revision: self.index,
            ..self.state.zone.clone()
        });
        Ok(Done::Nothing)
    }
}
