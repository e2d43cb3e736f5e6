//! Looking at hostnames' records, and what they are to be.

use proto::admin::v1::{
    self, CheckHostnameRequest, ListRecordsRequest, ListRecordsResponse, checks_server::Checks,
};
use state::Hostname;
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status};

use super::Desk;
use crate::{checks::CheckError, limits, names, problem::Problem};

#[tonic::async_trait]
impl Checks for Desk {
    async fn check_hostname(
        &self,
        request: Request<CheckHostnameRequest>,
    ) -> Result<Response<v1::HostnameCheck>, Status> {
        let request = request.into_inner();
        let hostname = names::hostname(&request.name)?;
        let state = self.state();
        let looking = self.checks.check(&state, &hostname, request.contest);
        let looked = timeout(limits::CHECK_WITHIN, looking).await;
        let check = looked.map_err(|_| late())?;
        Ok(Response::new(
            check.map_err(|error| problem(&error, &hostname))?,
        ))
    }

    async fn list_records(
        &self,
        request: Request<ListRecordsRequest>,
    ) -> Result<Response<ListRecordsResponse>, Status> {
        let request = request.into_inner();
        let state = self.state();
        if request.name == names::ZONE {
            let records = self.checks.zone_records(&state);
            let named = |error: CheckError| Problem::field("name", error.to_string());
            return Ok(Response::new(records.map_err(named)?));
        }
        let hostname = names::hostname(&request.name)?;
        let (contest, persist) = (request.contest, request.persist);
        let records = self
            .checks
            .hostname_records(&state, &hostname, contest, persist);
        Ok(Response::new(
            records.map_err(|error| problem(&error, &hostname))?,
        ))
    }
}

fn problem(error: &CheckError, hostname: &Hostname) -> Problem {
    match error {
        CheckError::NotFound(kind) => Problem::not_found(*kind, hostname.as_str()),
        CheckError::Busy => Problem::overloaded(error.to_string()),
        CheckError::Name(why) => Problem::field("name", why),
    }
}

fn late() -> Problem {
    let message = "the servers of the name were not heard in time; look again";
    Problem::new(Code::Unavailable, "LOOK_TIMED_OUT", message)
}
