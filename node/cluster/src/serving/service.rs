//! What members ask each other about serving.

use std::sync::Arc;

use proto::peer::v1::{self as wire, serving_server::ServingServer};
use state::{NodeId, ports::PeerIdentity};
use tonic::{Request, Response, Status};

use super::{
    Serving,
    challenge::{Challenges, LocalAnswer},
    report::difference,
    table::Offset,
};

/// The gRPC service `Serving`, on the peer port.
#[derive(Debug)]
pub struct ServingService {
    serving: Arc<Serving>,
    challenges: Arc<Challenges>,
}

impl ServingService {
    /// Records in `serving`, answers from `challenges`.
    pub fn new(serving: Arc<Serving>, challenges: Arc<Challenges>) -> Self {
        Self {
            serving,
            challenges,
        }
    }

    /// For the listener to mount.
    pub fn server(self) -> ServingServer<Self> {
        ServingServer::new(self)
    }

    /// The caller, if its message is what the link says.
    fn caller<T>(
        &self,
        request: &Request<T>,
        envelope: Option<&wire::Envelope>,
    ) -> Result<NodeId, Status> {
        let peer = request.extensions().get::<PeerIdentity>();
        let peer = peer.ok_or_else(|| Status::unauthenticated("this is for members only"))?;
        if !self.serving.is_ours(envelope, peer.node) {
            return Err(Status::permission_denied(
                "the message names another cluster, sender or receiver than its link",
            ));
        }
        Ok(peer.node)
    }
}

#[tonic::async_trait]
impl wire::serving_server::Serving for ServingService {
    async fn report(
        &self,
        request: Request<wire::NodeReport>,
    ) -> Result<Response<wire::NodeReport>, Status> {
        let from = self.caller(&request, request.get_ref().envelope.as_ref())?;
        let report = request.into_inner();
        let now = self.serving.clock.now().as_millis();
        let offset = Offset::Guessed(difference(report.clock_ms, now));
        self.serving.heard(from, report, offset);
        Ok(Response::new(self.serving.report_to(from)))
    }

    async fn find_challenge(
        &self,
        request: Request<wire::FindChallengeRequest>,
    ) -> Result<Response<wire::FindChallengeReply>, Status> {
        self.caller(&request, request.get_ref().envelope.as_ref())?;
        let asked = request.into_inner();
        let reply = match self
            .challenges
            .answer_here(&asked.hostname, asked.token.as_deref())
            .await
        {
            LocalAnswer::NotLeader => wire::FindChallengeReply {
                key_authorization: None,
                not_leader: true,
            },
            LocalAnswer::Known(key_authorization) => wire::FindChallengeReply {
                key_authorization,
                not_leader: false,
            },
        };
        Ok(Response::new(reply))
    }

    async fn share_ticket_secret(
        &self,
        request: Request<wire::ShareTicketSecretRequest>,
    ) -> Result<Response<wire::ShareTicketSecretReply>, Status> {
        let from = self.caller(&request, request.get_ref().envelope.as_ref())?;
        // A link may be older than a removal, or of somebody that only a later state knows.
        let state = self.serving.roster.state();
        if state.member(from).is_none() || state.is_removed(from) {
            return Err(Status::permission_denied("this is for members only"));
        }
        let generation = request.get_ref().generation;
        Ok(Response::new(self.serving.tickets.share(generation)))
    }
}
