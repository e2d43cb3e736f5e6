//! Hostnames: authorized, looked at, explained and withdrawn.

use std::sync::Arc;

use prost::Message;
use proto::admin::v1::{
    self, ContestHostnameRequest, CreateHostnameRequest, DeleteHostnameRequest,
    DeleteHostnameResponse, EndContestRequest, ExplainHostnameRequest, Explanation,
    GetHostnameRequest, ListHostnamesRequest, ListHostnamesResponse, UpdateHostnameRequest,
    UpdateHostnameTrafficRequest, WatchHostnameRequest, hostnames_server::Hostnames,
};
use state::{
    Change, Event, Hostname, HostnameRecord, State, Tenant, Traffic, command::Authorize,
    outcome::Kind,
};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Desk, caller, deadline, left};
use crate::{
    convert,
    explain::{self, Situation},
    limits, mask, names, page,
    problem::Problem,
    watch::{self, Watch},
};

/// What can be changed of what a hostname is to have.
const FIELDS: [&str; 6] = ["wildcard", "keys", "manual", "ca", "profile", "challenge"];

#[tonic::async_trait]
impl Hostnames for Desk {
    async fn create_hostname(
        &self,
        request: Request<CreateHostnameRequest>,
    ) -> Result<Response<v1::Hostname>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        let hostname = Hostname::parse(&request.hostname)
            .map_err(|error| Problem::field("hostname", error.to_string()))?;
        let tenant = match request.tenant.as_str() {
            "" => Tenant::default(),
            name => convert::tenant(name)?,
        };
        let wants = convert::wants(&request.wants.unwrap_or_default())?;
        let ca = wants.ca.clone();
        let asked = who.asks(names::hostname_name(&hostname));
        let change = Change::AuthorizeHostname(Box::new(Authorize {
            hostname: hostname.clone(),
            tenant,
            token: self.tokens.ownership(),
            wants,
            on_demand: false,
        }));
        let changed = self.change(asked, change, deadline).await;
        let changed = changed.map_err(|problem| no_ca(problem, ca.as_ref()))?;
        let state = self.state_at(changed.index, deadline).await?;
        Ok(Response::new(self.shown(&state, &hostname)?))
    }

    async fn get_hostname(
        &self,
        request: Request<GetHostnameRequest>,
    ) -> Result<Response<v1::Hostname>, Status> {
        let hostname = names::hostname(&request.get_ref().name)?;
        Ok(Response::new(self.shown_whole(&self.state(), &hostname)?))
    }

    async fn list_hostnames(
        &self,
        request: Request<ListHostnamesRequest>,
    ) -> Result<Response<ListHostnamesResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size)?;
        let wanted = Wanted {
            state: convert::state_filter(request.state)?,
            tenant: match request.tenant.as_str() {
                "" => None,
                name => Some(convert::tenant(name)?),
            },
        };
        let filter = page::filter([&*request.state.to_string(), &*request.tenant]);
        let after = page::hostnames_after(&request.page_token, filter)?;
        let page = self.page(size, &wanted, after.as_ref());
        Ok(Response::new(ListHostnamesResponse {
            hostnames: page.hostnames,
            next_page_token: page
                .more_after
                .map(|last| page::hostnames_token(filter, &last))
                .unwrap_or_default(),
            total_size: page.total,
        }))
    }

    async fn update_hostname(
        &self,
        request: Request<UpdateHostnameRequest>,
    ) -> Result<Response<v1::Hostname>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        let hostname = names::hostname(&request.name)?;
        let fields = mask::fields(request.update_mask.as_ref(), &FIELDS)?;
        let wanted = request.wants.unwrap_or_default();
        let revision = convert::revision(request.revision);
        let asked = who.asks(names::hostname_name(&hostname));
        let plan = |state: &State| {
            let record = state.hostname(hostname.as_str());
            let record =
                record.ok_or_else(|| Problem::not_found(Kind::Hostname, hostname.as_str()))?;
            let wants = convert::wants_edited(&record.wants(), &wanted, &fields)?;
            if let Some(ca) = &wants.ca
                && state.ca(ca.as_str()).is_none()
            {
                return Err(Problem::not_found(Kind::Ca, &names::ca_name(ca)));
            }
            let change = Change::SetWants {
                hostname: hostname.clone(),
                wants: Box::new(wants),
                revision: Some(record.revision),
            };
            Ok((record.revision, change))
        };
        let state = self.edit(asked, revision, deadline, plan).await?;
        Ok(Response::new(self.shown(&state, &hostname)?))
    }

    async fn update_hostname_traffic(
        &self,
        request: Request<UpdateHostnameTrafficRequest>,
    ) -> Result<Response<v1::Hostname>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        let hostname = names::hostname(&request.name)?;
        let settings = mask::fields(request.update_mask.as_ref(), Traffic::NAMES)?;
        let wire = request.traffic.unwrap_or_default();
        let wanted = convert::traffic_settings(&wire, &settings, &*self.seal)?;
        let revision = convert::revision(request.revision);
        let asked = who.asks(names::hostname_name(&hostname));
        let plan = |state: &State| {
            let record = state.hostname(hostname.as_str());
            let record =
                record.ok_or_else(|| Problem::not_found(Kind::Hostname, hostname.as_str()))?;
            let present = record.traffic.as_deref().cloned().unwrap_or_default();
            let change = Change::SetTraffic {
                hostname: Some(hostname.clone()),
                traffic: Box::new(convert::traffic_edited(&present, &wanted, &settings)?),
                revision: Some(record.revision),
            };
            Ok((record.revision, change))
        };
        let state = self.edit(asked, revision, deadline, plan).await?;
        Ok(Response::new(self.shown_whole(&state, &hostname)?))
    }

    async fn contest_hostname(
        &self,
        request: Request<ContestHostnameRequest>,
    ) -> Result<Response<v1::Hostname>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        let hostname = names::hostname(&request.name)?;
        let asked = who.asks(names::hostname_name(&hostname));
        let change = Change::ContestHostname {
            hostname: hostname.clone(),
            tenant: convert::tenant(&request.tenant)?,
            token: self.tokens.ownership(),
        };
        let changed = self.change(asked, change, deadline).await?;
        let state = self.state_at(changed.index, deadline).await?;
        Ok(Response::new(self.shown(&state, &hostname)?))
    }

    async fn end_contest(
        &self,
        request: Request<EndContestRequest>,
    ) -> Result<Response<v1::Hostname>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let hostname = names::hostname(&request.get_ref().name)?;
        let asked = who.asks(names::hostname_name(&hostname));
        let change = Change::EndContest {
            hostname: hostname.clone(),
        };
        let changed = self.change(asked, change, deadline).await?;
        let state = self.state_at(changed.index, deadline).await?;
        Ok(Response::new(self.shown(&state, &hostname)?))
    }

    async fn delete_hostname(
        &self,
        request: Request<DeleteHostnameRequest>,
    ) -> Result<Response<DeleteHostnameResponse>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        let hostname = names::hostname(&request.name)?;
        let asked = who.asks(names::hostname_name(&hostname));
        let change = Change::RemoveHostname {
            hostname,
            revision: convert::revision(request.revision),
        };
        let index = self.change(asked, change, deadline).await?.index;
        let within = left(deadline, limits::PUBLISHED_WITHIN);
        // The answer tells who has; who has not is no reason to fail.
        let _behind = timeout(within, self.serving.published(index, within)).await;
        Ok(Response::new(DeleteHostnameResponse {
            index: index.0,
            serving: convert::serving(&self.state(), &self.reports(), index),
        }))
    }

    type WatchHostnameStream = ReceiverStream<Result<v1::Hostname, Status>>;

    async fn watch_hostname(
        &self,
        request: Request<WatchHostnameRequest>,
    ) -> Result<Response<Self::WatchHostnameStream>, Status> {
        let who = caller(&request)?;
        let hostname = names::hostname(&request.get_ref().name)?;
        self.shown(&self.state(), &hostname)?;
        let place = self.watches.take(who.operator).ok_or_else(|| {
            Problem::overloaded("too many watches are open; end some of them first")
        })?;
        let watch = Watch {
            hostname,
            operator: who.operator,
            states: self.states.clone(),
            serving: self.serving.clone(),
            clock: self.clock.clone(),
        };
        Ok(Response::new(watch::begin(watch, place)))
    }

    async fn explain_hostname(
        &self,
        request: Request<ExplainHostnameRequest>,
    ) -> Result<Response<Explanation>, Status> {
        let name = names::hostname(&request.get_ref().name)?;
        let state = self.state();
        let hostname = self.shown(&state, &name)?;
        let (timeline, timeline_fault) = match self.timeline(&state, &name).await {
            Ok(events) => (events.iter().map(convert::event).collect(), String::new()),
            Err(fault) => (Vec::new(), fault),
        };
        let answer = self.explain(&state, &name, &hostname)?;
        Ok(Response::new(Explanation {
            hostname: Some(hostname),
            summary: answer.summary,
            next_try: answer.next_try.map(convert::timestamp),
            timeline,
            timeline_fault,
        }))
    }
}

/// A CA that a hostname wants is not there: it is that which was not found.
fn no_ca(problem: Problem, ca: Option<&state::CaName>) -> Problem {
    match ca {
        Some(ca) if problem.reason == "CA_NOT_FOUND" => {
            Problem::not_found(Kind::Ca, &names::ca_name(ca))
        }
        _ => problem,
    }
}

/// True if requests for the hostname have somewhere to go.
fn has_origin(state: &State, record: &HostnameRecord) -> bool {
    let zone = state.zone();
    let own = record.traffic.as_ref();
    own.is_some_and(|own| own.origins.is_some())
        || zone.traffic.origins.is_some()
        || zone.origin.is_some()
}

/// Which hostnames are asked for.
struct Wanted {
    state: Option<v1::HostnameState>,
    tenant: Option<Tenant>,
}

/// What a page holds, and how it goes on.
struct Page {
    hostnames: Vec<v1::Hostname>,
    more_after: Option<Hostname>,
    total: u64,
}

impl Desk {
    fn shown(&self, state: &State, name: &Hostname) -> Result<v1::Hostname, Problem> {
        let record = state
            .hostname(name.as_str())
            .ok_or_else(|| Problem::not_found(Kind::Hostname, name.as_str()))?;
        Ok(convert::hostname(
            state,
            &self.reports(),
            name,
            record,
            self.now(),
        ))
    }

    /// With what its zone decides.
    fn shown_whole(&self, state: &State, name: &Hostname) -> Result<v1::Hostname, Problem> {
        Ok(v1::Hostname {
            zone_traffic: Some(convert::traffic(&state.zone().traffic)),
            ..self.shown(state, name)?
        })
    }

    fn page(&self, size: usize, wanted: &Wanted, after: Option<&Hostname>) -> Page {
        let (state, reports, now) = (self.state(), self.reports(), self.now());
        let mut found = state
            .hostnames_after(after.map_or("", Hostname::as_str))
            .peekable();
        let mut page = Page {
            hostnames: Vec::new(),
            more_after: None,
            total: u64::try_from(state.hostname_count()).unwrap_or(u64::MAX),
        };
        let (mut bytes, mut looked_at) = (0, 0);
        while let Some((name, record)) = found.next() {
            let standing = convert::hostname_state(convert::standing(&state, record, now));
            let fits = wanted.state.is_none_or(|state| state == standing)
                && wanted
                    .tenant
                    .as_ref()
                    .is_none_or(|tenant| *tenant == record.tenant);
            if fits {
                let hostname = convert::hostname(&state, &reports, name, record, now);
                bytes += hostname.encoded_len();
                page.hostnames.push(hostname);
            }
            looked_at += 1;
            let full = page.hostnames.len() >= size
                || bytes >= limits::PAGE_BYTES_MAX
                || looked_at >= limits::PAGE_LOOKED_AT_MAX;
            if full {
                page.more_after = found.peek().map(|_| name.clone());
                break;
            }
        }
        page
    }

    fn explain(
        &self,
        state: &State,
        name: &Hostname,
        shown: &v1::Hostname,
    ) -> Result<explain::Answer, Problem> {
        let record = state
            .hostname(name.as_str())
            .ok_or_else(|| Problem::not_found(Kind::Hostname, name.as_str()))?;
        let behind: Vec<String> = shown
            .serving
            .iter()
            .filter(|node| !node.current)
            .map(|node| node.node_name.clone())
            .collect();
        let overview = self.overview.borrow().clone();
        let wants = record.wants();
        let ca = match &wants.ca {
            Some(name) => state.ca(name.as_str()),
            None => state.cas_by_rank().first().copied(),
        };
        let pause = overview
            .pauses
            .iter()
            .find(|pause| ca.is_some_and(|ca| ca.name == pause.ca));
        let served = record
            .certificates()
            .filter_map(|id| state.certificate(&id));
        let now = self.now();
        Ok(explain::explain(&Situation {
            now,
            hostname: name,
            record,
            certificates: &served.map(Arc::as_ref).collect::<Vec<_>>(),
            order: record.order.and_then(|id| state.order(id)).map(Arc::as_ref),
            ca: ca.map(Arc::as_ref),
            pause: pause.map(|pause| pause.reason.as_str()),
            paused: state.pause(),
            limited: ca.and_then(|ca| explain::limited(state, &ca.name, name, record, now)),
            progress: &overview.acme_progress,
            led: self.leader().is_some(),
            origin: has_origin(state, record),
            behind: &behind,
            target: state.tenant_target(&record.tenant),
            due: state.hostname_due(name, record).map(|(at, _)| at),
        }))
    }

    /// The last events from this node's disk, or why they could not be read. A disk
    /// that hangs costs a thread for as long as it does, hence the bound.
    async fn timeline(&self, state: &State, name: &Hostname) -> Result<Vec<Event>, String> {
        let Some(record) = state.hostname(name.as_str()).cloned() else {
            return Ok(Vec::new());
        };
        let permit = self.timelines.clone().try_acquire_owned();
        let permit = permit.map_err(|_| "this node's disk is busy or hangs".to_owned())?;
        let (bodies, name) = (self.bodies.clone(), name.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let events = bodies.events(&name, &record);
            drop(permit);
            events
        });
        match timeout(limits::TIMELINE_WITHIN, reading).await {
            Ok(Ok(events)) => events.map_err(|error| error.to_string()),
            Ok(Err(_)) => Err("reading it failed inside this node; its log says why".to_owned()),
            Err(_) => Err("this node's disk does not answer".to_owned()),
        }
    }
}
