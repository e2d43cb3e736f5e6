//! What this node has served for hostnames.

use proto::admin::v1::{
    GetHostnameStatsRequest, GetHostnameStatsResponse, ListHostnameStatsRequest,
    ListHostnameStatsResponse, ListTopHostnameStatsRequest, ListTopHostnameStatsResponse,
    stats_server::Stats,
};
use tonic::{Request, Response, Status};

use super::{Desk, aside, deadline};
use crate::{names, page};

#[tonic::async_trait]
impl Stats for Desk {
    async fn get_hostname_stats(
        &self,
        request: Request<GetHostnameStatsRequest>,
    ) -> Result<Response<GetHostnameStatsResponse>, Status> {
        let name = request.into_inner().name;
        let stats = if name == names::OTHER_HOSTNAMES {
            self.stats.others()
        } else {
            self.stats.hostname(names::hostname(&name)?.as_str())
        };
        Ok(Response::new(GetHostnameStatsResponse {
            counting: Some(self.stats.counting()),
            stats: Some(stats),
        }))
    }

    async fn list_hostname_stats(
        &self,
        request: Request<ListHostnameStatsRequest>,
    ) -> Result<Response<ListHostnameStatsResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size)?;
        let last = page::stats_after(&request.page_token)?;
        let last = last.as_ref().map_or("", |last| last.as_str());
        let mut stats = self.stats.after(last, size + 1);
        let mut next_page_token = String::new();
        if stats.len() > size {
            stats.truncate(size);
            if let Some(last) = stats.last() {
                next_page_token = page::stats_token(&names::hostname(&last.name)?);
            }
        } else {
            let others = self.stats.others();
            stats.extend((others.requests > 0).then_some(others));
        }
        Ok(Response::new(ListHostnameStatsResponse {
            counting: Some(self.stats.counting()),
            stats,
            next_page_token,
        }))
    }

    async fn list_top_hostname_stats(
        &self,
        request: Request<ListTopHostnameStatsRequest>,
    ) -> Result<Response<ListTopHostnameStatsResponse>, Status> {
        let size = page::size(request.into_inner().size)?;
        let stats = self.stats.clone();
        // All that is counted is gone through.
        let looked = aside(&self.plans, deadline(), move || stats.top(size)).await?;
        Ok(Response::new(ListTopHostnameStatsResponse {
            counting: Some(self.stats.counting()),
            stats: looked,
        }))
    }
}
