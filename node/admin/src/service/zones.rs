//! The zone and its origin.

use proto::admin::v1::{self, GetZoneRequest, SetOriginRequest, zones_server::Zones};
use state::Change;
use tonic::{Request, Response, Status};

use super::{Desk, caller, deadline};
use crate::{convert, names};

#[tonic::async_trait]
impl Zones for Desk {
    async fn get_zone(
        &self,
        request: Request<GetZoneRequest>,
    ) -> Result<Response<v1::Zone>, Status> {
        names::zone(&request.get_ref().name)?;
        Ok(Response::new(convert::zone(self.state().zone())))
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
