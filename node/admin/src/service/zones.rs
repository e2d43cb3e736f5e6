//! The zone, its origin and its settings.

use proto::admin::v1::{
    self, GetZoneRequest, SetOriginRequest, UpdateZoneRequest, UpdateZoneTrafficRequest,
    zones_server::Zones,
};
use state::{Change, Traffic};
use tonic::{Request, Response, Status};

use super::{Desk, caller, deadline};
use crate::{convert, mask, names, problem::Problem};

/// What can be changed of the settings.
const FIELDS: [&str; 5] = ["ownership", "edge_domain", "addresses", "dns", "caa_open"];

#[tonic::async_trait]
impl Zones for Desk {
    async fn get_zone(
        &self,
        request: Request<GetZoneRequest>,
    ) -> Result<Response<v1::Zone>, Status> {
        names::zone(&request.get_ref().name)?;
        Ok(Response::new(convert::zone(self.state().zone())))
    }

    async fn update_zone(
        &self,
        request: Request<UpdateZoneRequest>,
    ) -> Result<Response<v1::Zone>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        names::zone(&request.name)?;
        let fields = mask::fields(request.update_mask.as_ref(), &FIELDS)?;
        let wanted = request.settings.unwrap_or_default();
        let revision = convert::revision(request.revision);
        let asked = who.asks(names::ZONE.to_owned());
        let plan = |state: &state::State| -> Result<_, Problem> {
            let zone = state.zone();
            let settings = convert::zone_settings(&zone.settings, &wanted, &fields)?;
            let change = Change::SetZone {
                settings: Box::new(settings),
                revision: Some(zone.revision),
            };
            Ok((zone.revision, change))
        };
        let state = self.edit(asked, revision, deadline, plan).await?;
        Ok(Response::new(convert::zone(state.zone())))
    }

    async fn update_zone_traffic(
        &self,
        request: Request<UpdateZoneTrafficRequest>,
    ) -> Result<Response<v1::Zone>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        names::zone(&request.name)?;
        let settings = mask::fields(request.update_mask.as_ref(), Traffic::NAMES)?;
        let wire = request.traffic.unwrap_or_default();
        let wanted = convert::traffic_settings(&wire, &settings, &*self.seal)?;
        let revision = convert::revision(request.revision);
        let asked = who.asks(names::ZONE.to_owned());
        let plan = |state: &state::State| -> Result<_, Problem> {
            let zone = state.zone();
            let traffic = convert::traffic_edited(&zone.traffic, &wanted, &settings)?;
            let change = Change::SetTraffic {
                hostname: None,
                traffic: Box::new(traffic),
                revision: Some(zone.revision),
            };
            Ok((zone.revision, change))
        };
        let state = self.edit(asked, revision, deadline, plan).await?;
        Ok(Response::new(convert::zone(state.zone())))
    }

    async fn set_origin(
        &self,
        request: Request<SetOriginRequest>,
    ) -> Result<Response<v1::Zone>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        names::zone(&request.name)?;
        let change = Change::SetOrigin {
            origin: convert::origin(request.origin.as_ref())?,
            revision: convert::revision(request.revision),
        };
        let asked = who.asks(names::ZONE.to_owned());
        let changed = self.change(asked, change, deadline).await?;
        let state = self.state_at(changed.index, deadline).await?;
        Ok(Response::new(convert::zone(state.zone())))
    }
}
