//! Rights to enter: made, listed and withdrawn.

use proto::admin::v1::{
    CreateInvitationRequest, CreateInvitationResponse, ListInvitationsRequest,
    ListInvitationsResponse, RevokeInvitationRequest, RevokeInvitationResponse,
    invitations_server::Invitations,
};
use state::{Change, outcome::Done};
use tonic::{Code, Request, Response, Status};

use super::{Desk, caller, deadline};
use crate::{TokensError, convert, names, page, problem::Problem};

#[tonic::async_trait]
impl Invitations for Desk {
    async fn create_invitation(
        &self,
        request: Request<CreateInvitationRequest>,
    ) -> Result<Response<CreateInvitationResponse>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        let role = convert::role(request.role)?;
        let expires_at = self.now().plus(convert::ttl(request.ttl_seconds)?);
        let drawn = self.tokens.draw(&self.state()).map_err(no_token)?;
        let change = Change::CreateInvitation {
            role,
            verifier: drawn.verifier,
            expires_at,
        };
        let asked = who.asks(format!("invitation for {role}"));
        let changed = self.change(asked, change, deadline).await?;
        let Done::Invitation(id) = changed.done else {
            return Err(Problem::internal().into());
        };
        let state = self.state_at(changed.index, deadline).await?;
        let invitation = state
            .invitation(id)
            .map(|invitation| convert::invitation(&state, invitation, self.now()));
        Ok(Response::new(CreateInvitationResponse {
            invitation,
            token: (drawn.text)(id),
        }))
    }

    async fn list_invitations(
        &self,
        request: Request<ListInvitationsRequest>,
    ) -> Result<Response<ListInvitationsResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size)?;
        let after = page::invitations_after(&request.page_token)?;
        let (state, now) = (self.state(), self.now());
        // At most ten thousand: skipping costs less than an index would.
        let mut found = state
            .invitations()
            .filter(|invitation| after.is_none_or(|last| invitation.id > last))
            .peekable();
        let mut invitations = Vec::new();
        let mut last = None;
        while invitations.len() < size
            && let Some(invitation) = found.next()
        {
            last = Some(invitation.id);
            invitations.push(convert::invitation(&state, invitation, now));
        }
        let more = last.filter(|_| found.peek().is_some());
        Ok(Response::new(ListInvitationsResponse {
            invitations,
            next_page_token: more.map(page::invitations_token).unwrap_or_default(),
        }))
    }

    async fn revoke_invitation(
        &self,
        request: Request<RevokeInvitationRequest>,
    ) -> Result<Response<RevokeInvitationResponse>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let id = names::invitation(&request.get_ref().name)?;
        let asked = who.asks(names::invitation_name(id));
        let change = Change::RevokeInvitation { id };
        let changed = self.change(asked, change, deadline).await?;
        Ok(Response::new(RevokeInvitationResponse {
            index: changed.index.0,
        }))
    }
}

fn no_token(error: TokensError) -> Problem {
    let message = format!("no token was made: {error}");
    match error {
        TokensError::NotFounded => Problem::precondition("NOT_FOUNDED", "cluster", message),
        TokensError::Entropy(_) => Problem::new(Code::Internal, "NO_RANDOMNESS", message),
    }
}
