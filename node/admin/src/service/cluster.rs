//! The cluster: its health and its members.

use std::collections::BTreeSet;

use proto::admin::v1::{
    CaStatus, ClusterStatus, Counts, GetStatusRequest, ListMembersRequest, ListMembersResponse,
    PauseIssuanceRequest, PauseIssuanceResponse, RemoveMemberRequest, RemoveMemberResponse,
    ResumeIssuanceRequest, ResumeIssuanceResponse, Rotatable, RotateRequest, RotateResponse,
    TransferLeadershipRequest, TransferLeadershipResponse, cluster_server::Cluster,
};
use state::{
    Change, ClusterId, KeyPurpose, NodeId, Rotation, State,
    outcome::Kind,
    ports::{Leadership, MembersError},
};
use tokio::time::{timeout, timeout_at};
use tonic::{Request, Response, Status};

use super::{Desk, caller, deadline};
use crate::{
    convert, limits, names,
    problem::Problem,
    removal::{self, Circumstances},
};

#[tonic::async_trait]
impl Cluster for Desk {
    async fn get_status(
        &self,
        _request: Request<GetStatusRequest>,
    ) -> Result<Response<ClusterStatus>, Status> {
        let quorum = self.quorum().await;
        let (state, overview) = (self.state(), self.overview.borrow().clone());
        let (leadership, reports) = (self.leadership(), self.reports());
        let counted = self
            .tally
            .count(state.clone(), self.now(), self.clock.boottime())
            .await;
        let leader = leadership.leader(overview.node);
        let own = reports.iter().find(|report| report.node == overview.node);
        let members = convert::members(&state, &reports, leader);
        let cas = state.cas_by_rank();
        let of_ca = |ca: &&std::sync::Arc<state::Ca>| CaStatus {
            name: names::ca_name(&ca.name),
            registration: ca.registration.as_str().to_owned(),
            pause: overview
                .pauses
                .iter()
                .find(|pause| pause.ca == ca.name)
                .map(|pause| pause.reason.clone())
                .unwrap_or_default(),
        };
        Ok(Response::new(ClusterStatus {
            cluster_id: state
                .cluster_id()
                .map(|id| id.to_string())
                .unwrap_or_default(),
            member: names::member_name(overview.node),
            node_name: state
                .member(overview.node)
                .map(|member| member.name.clone())
                .unwrap_or_default(),
            version: overview.version.clone(),
            term: leadership.term().unwrap_or_default().0,
            leader: leader.map(names::member_name).unwrap_or_default(),
            quorum,
            applied_index: state.index().0,
            published_index: own
                .and_then(|report| report.published)
                .unwrap_or_default()
                .0,
            replica_fault: overview.replica_fault.clone().unwrap_or_default(),
            hostnames: Some(Counts {
                total: count(state.hostname_count()),
                live: counted.live,
                orders_in_flight: count(state.order_count()),
                failing: counted.failing,
            }),
            acme: cas
                .first()
                .map(|ca| convert::acme(ca, overview.acme_progress.clone())),
            members,
            warnings: counted.warnings,
            cas: cas.iter().map(of_ca).collect(),
            issuance_pause: state.pause().map(convert::pause),
            restored: state.restored().map(convert::restored),
            data_keys: state
                .data_keys()
                .map(|key| convert::data_key(key))
                .collect(),
            secrets_to_reseal: secrets_to_reseal(&state),
            issuing_ca_not_after: state
                .authority()
                .map(|authority| convert::timestamp(authority.issuing_not_after)),
            feature_level: state.level().0,
        }))
    }

    async fn list_members(
        &self,
        _request: Request<ListMembersRequest>,
    ) -> Result<Response<ListMembersResponse>, Status> {
        let members = convert::members(&self.state(), &self.reports(), self.leader());
        Ok(Response::new(ListMembersResponse { members }))
    }

    async fn remove_member(
        &self,
        request: Request<RemoveMemberRequest>,
    ) -> Result<Response<RemoveMemberResponse>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let node = names::member("name", &request.get_ref().name)?;
        let asked = who.asks(names::member_name(node));
        if let Err(problem) = self.may_be_removed(node) {
            self.audit.change(&asked, &Err(problem.clone()));
            return Err(problem.into());
        }
        let change = Change::RemoveNode { node };
        let changed = self.change(asked, change, deadline).await?;
        Ok(Response::new(RemoveMemberResponse {
            index: changed.index.0,
        }))
    }

    async fn transfer_leadership(
        &self,
        request: Request<TransferLeadershipRequest>,
    ) -> Result<Response<TransferLeadershipResponse>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let target = match request.get_ref().target.as_str() {
            "" => None,
            name => Some(names::member("target", name)?),
        };
        let asked = who.asks(target.map_or("leadership".to_owned(), names::member_name));
        if let Some(problem) = target.and_then(|node| self.may_not_lead(node)) {
            self.audit.change(&asked, &Err(problem.clone()));
            return Err(problem.into());
        }
        // As with changes: the line in the audit must not depend on the caller.
        let (members, audit) = (self.members.clone(), self.audit.clone());
        let applied = self.state().index().0;
        let work = tokio::spawn(async move {
            let answer = timeout_at(deadline, members.transfer(target)).await;
            let result = answer
                .unwrap_or(Err(MembersError::Unknown))
                .map_err(|error| Problem::not_transferred(&error));
            let index = result.as_ref().map(|_| applied).map_err(Clone::clone);
            audit.change(&asked, &index);
            result
        });
        let leader = work.await.unwrap_or_else(|_| Err(Problem::internal()))?;
        Ok(Response::new(TransferLeadershipResponse {
            leader: names::member_name(leader),
        }))
    }

    async fn pause_issuance(
        &self,
        request: Request<PauseIssuanceRequest>,
    ) -> Result<Response<PauseIssuanceResponse>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let reason = reason(&request.get_ref().reason)?;
        let change = Change::PauseIssuance { reason };
        let changed = self
            .change(who.asks(ISSUANCE.to_owned()), change, deadline)
            .await?;
        Ok(Response::new(PauseIssuanceResponse {
            index: changed.index.0,
        }))
    }

    async fn resume_issuance(
        &self,
        request: Request<ResumeIssuanceRequest>,
    ) -> Result<Response<ResumeIssuanceResponse>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let asked = who.asks(ISSUANCE.to_owned());
        let cluster = match request.get_ref().cluster_id.as_str() {
            "" => None,
            id => Some(cluster_id(id)?),
        };
        let change = Change::ResumeIssuance { cluster };
        let changed = self.change(asked, change, deadline).await?;
        Ok(Response::new(ResumeIssuanceResponse {
            index: changed.index.0,
        }))
    }

    async fn rotate(
        &self,
        request: Request<RotateRequest>,
    ) -> Result<Response<RotateResponse>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let all = request.get_ref().what.iter().map(|what| rotation(*what));
        let all = all.collect::<Result<BTreeSet<_>, _>>()?;
        if all.is_empty() {
            return Err(Problem::field("what", "say what to rotate".to_owned()).into());
        }
        let mut index = 0;
        for of in all {
            let asked = who.asks(of.as_str().to_owned());
            let change = Change::AskRotation { of };
            index = self.change(asked, change, deadline).await?.index.0;
        }
        Ok(Response::new(RotateResponse { index }))
    }
}

/// Reads all of the state, and nothing while no key is being replaced.
fn secrets_to_reseal(state: &State) -> u64 {
    if state.retired_data_keys().is_empty() {
        return 0;
    }
    let left = KeyPurpose::ALL.map(|purpose| count(state.secrets_to_reseal(purpose)));
    left.iter().sum()
}

fn rotation(what: i32) -> Result<Rotation, Problem> {
    match Rotatable::try_from(what) {
        Ok(Rotatable::ServingKey) => Ok(Rotation::DataKey(KeyPurpose::Serving)),
        Ok(Rotatable::ControlKey) => Ok(Rotation::DataKey(KeyPurpose::Control)),
        Ok(Rotatable::IssuingCa) => Ok(Rotation::IssuingCa),
        Ok(Rotatable::Unspecified) | Err(_) => {
            let known = "a serving key, a control key or an issuing CA can be rotated";
            Err(Problem::field("what", known.to_owned()))
        }
    }
}

/// What is paused and resumed, in the audit.
const ISSUANCE: &str = "issuance";

fn cluster_id(text: &str) -> Result<ClusterId, Problem> {
    let id = text.parse::<ClusterId>();
    id.map_err(|error| Problem::field("cluster_id", error.to_string()))
}

fn reason(text: &str) -> Result<String, Problem> {
    let most = limits::REASON_BYTES_MAX;
    let fits = (1..=most).contains(&text.len()) && !text.contains(char::is_control);
    let message = || format!("a reason is a line of 1 to {most} bytes");
    let reason = fits.then(|| text.to_owned());
    reason.ok_or_else(|| Problem::field("reason", message()))
}

impl Desk {
    /// True if a quorum answered just now.
    async fn quorum(&self) -> bool {
        if self.leadership() == Leadership::Stopped {
            return false;
        }
        matches!(
            timeout(limits::QUORUM_WITHIN, self.propose.barrier()).await,
            Ok(Ok(_))
        )
    }

    fn may_be_removed(&self, node: NodeId) -> Result<(), Problem> {
        let state = self.state();
        let Some(member) = state.member(node) else {
            return Err(no_member(&state, node));
        };
        if member.leaving {
            // Asked before; the answer is the same.
            return Ok(());
        }
        let leaving: BTreeSet<NodeId> = state
            .members()
            .filter(|member| member.leaving)
            .map(|member| member.id)
            .collect();
        let silent: Vec<_> = self
            .reports()
            .into_iter()
            .filter(|report| report.published.is_some())
            .map(|report| (report.node, report.silent))
            .collect();
        removal::check(&Circumstances {
            target: node,
            configuration: &self.members.configuration(),
            leaving: &leaving,
            me: self.me(),
            silent: &silent,
        })
    }

    fn may_not_lead(&self, node: NodeId) -> Option<Problem> {
        let state = self.state();
        if state.member(node).is_none() {
            return Some(no_member(&state, node));
        }
        if self.members.configuration().voters.contains(&node) {
            return None;
        }
        let name = names::member_name(node);
        let message = format!("{name} does not vote, so it cannot lead");
        Some(Problem::precondition("NOT_A_VOTER", name, message))
    }
}

fn no_member(state: &State, node: NodeId) -> Problem {
    let name = names::member_name(node);
    let mut problem = Problem::not_found(Kind::Member, &name);
    if state.is_removed(node) {
        problem.message = format!("{name} was removed from the cluster already");
    }
    problem
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
