//! The half that answers: checks the proof, writes the admission down, waits until
//! the leader has signed, and hands over what is in the state. It signs nothing
//! itself, so any member can be asked.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use enroll::proof::{self, Request as Proven};
use proto::cluster::v1 as wire;
use state::{
    Actor, Change, Done, FeatureLevel, Invitation, InvitationId, Outcome, Refusal, State,
    command::Newcomer,
    ports::{Clock, Propose, ProposeError},
};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};
use tonic::{Request, Response, Status};

use super::{
    attempts::Attempts,
    machine::{Asking, MachineError, Vouch},
    reply::{join_reply, login_reply},
};
use crate::{
    facts::{NodeFacts, check_operator_name},
    hpke,
    operators::AdminConnection,
    request::proven_key,
};

/// Longest wait for the leader to sign and share: an election and two log entries.
const SIGNED_MAX: Duration = Duration::from_secs(15);

/// Longest wait for the invitation to arrive here, if this node lags behind.
const LAG_MAX: Duration = Duration::from_secs(3);

/// Redemptions at a time: each holds a watch on the state for some seconds.
const AT_ONCE_MAX: usize = 16;

/// The one message for a proof that does not hold, whatever is wrong with it.
const INVALID: &str = "the token is not valid";

/// Redeems tokens on the admin port, and lets machines in that their cloud vouches for.
pub struct Sponsor {
    propose: Arc<dyn Propose>,
    state: watch::Receiver<Arc<State>>,
    clock: Arc<dyn Clock>,
    attempts: Mutex<Attempts>,
    places: Semaphore,
    vouch: Option<Arc<dyn Vouch>>,
}

impl Sponsor {
    /// Writes by `propose` and reads from `state`.
    pub fn new(
        propose: Arc<dyn Propose>,
        state: watch::Receiver<Arc<State>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            propose,
            state,
            clock,
            attempts: Mutex::default(),
            places: Semaphore::new(AT_ONCE_MAX),
            vouch: None,
        }
    }

    /// Lets machines in that `vouch` answers for, too.
    pub fn vouching(self, vouch: Option<Arc<dyn Vouch>>) -> Self {
        Self { vouch, ..self }
    }

    /// Refuses an address from which too much was tried.
    fn may_try(&self, source: IpAddr, now: Duration) -> Result<(), Status> {
        let Some(wait) = self.attempts().wait(source, now) else {
            return Ok(());
        };
        Err(Status::resource_exhausted(format!(
            "too many tokens or proofs from this address were not valid: wait {} s",
            wait.as_secs() + 1
        )))
    }

    /// What the cloud calls the machine that asks.
    async fn check_machine(
        &self,
        connection: &AdminConnection,
        proof: &wire::MachineProof,
        request: &wire::JoinRequest,
    ) -> Result<String, Status> {
        let Some(vouch) = &self.vouch else {
            return Err(Status::failed_precondition(
                "this node lets no machine in by what its cloud says of it (aws.join is off): use \
                 a token",
            ));
        };
        // Its name goes into what is asked, and into what is told.
        facts(request).check().map_err(invalid)?;
        let source = connection.peer_addr.ip();
        let now = self.clock.boottime();
        self.may_try(source, now)?;
        let digest = proof::digest(&connection.exporter, proven(request));
        let asking = Asking {
            proof,
            digest: &digest,
            node: &request.node_name,
            source,
        };
        match vouch.vouch(asking).await {
            Ok(machine) => {
                self.attempts().succeeded(source);
                Ok(machine)
            }
            Err(MachineError::Unavailable(why)) => Err(Status::unavailable(why)),
            Err(MachineError::Refused(why)) => {
                self.attempts().failed(source, now);
                tracing::warn!(from = %source, node = request.node_name, why, "a machine was not let in");
                Err(Status::permission_denied(why))
            }
        }
    }

    /// The invitation that the caller proves to hold.
    async fn check(
        &self,
        connection: &AdminConnection,
        proof: Option<&wire::TokenProof>,
        request: Proven<'_>,
    ) -> Result<InvitationId, Status> {
        let source = connection.peer_addr.ip();
        let now = self.clock.boottime();
        self.may_try(source, now)?;
        match self.holds(connection, proof, request).await {
            Some(invitation) => {
                self.attempts().succeeded(source);
                Ok(invitation)
            }
            None => {
                self.attempts().failed(source, now);
                tracing::warn!(from = %connection.peer_addr, "a token was not valid");
                Err(Status::permission_denied(INVALID))
            }
        }
    }

    async fn holds(
        &self,
        connection: &AdminConnection,
        proof: Option<&wire::TokenProof>,
        request: Proven<'_>,
    ) -> Option<InvitationId> {
        let proof = proof?;
        let id = InvitationId(proof.token_id.parse().ok()?);
        let invitation = self.invitation(id).await?;
        let (verifier, exporter) = (&invitation.verifier, &connection.exporter);
        proof::check(verifier, exporter, request, &proof.mac).then_some(id)
    }

    /// The invitation, also if this node has yet to learn of it.
    async fn invitation(&self, id: InvitationId) -> Option<Arc<Invitation>> {
        let known = |state: &State| state.invitation(id).cloned();
        if let Some(found) = known(&self.state.borrow()) {
            return Some(found);
        }
        // No quorum, no answer: then what is known here is all there is.
        let _ = timeout(LAG_MAX, self.propose.barrier()).await;
        known(&self.state.borrow())
    }

    async fn admit(&self, actor: Actor, change: Change) -> Result<Done, Status> {
        let applied = self
            .propose
            .propose(actor, change)
            .await
            .map_err(unproposed)?;
        match applied.outcome {
            Outcome::Done(done) => Ok(done),
            Outcome::Refused(refusal) => Err(refused(refusal)),
        }
    }

    /// Waits until `look` finds in the state what the leader adds.
    async fn signed<T>(&self, look: impl Fn(&State) -> Option<T>) -> Result<T, Status> {
        let mut states = self.state.clone();
        let waiting = async {
            loop {
                if let Some(found) = look(&states.borrow_and_update()) {
                    return Some(found);
                }
                states.changed().await.ok()?;
            }
        };
        match timeout(SIGNED_MAX, waiting).await {
            Ok(Some(found)) => Ok(found),
            _ => Err(Status::unavailable(
                "the admission is written down, but no leader has signed it yet",
            )),
        }
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `newcomer` is who asks by `change`.
    async fn admit_node(&self, newcomer: &str, change: Change) -> Result<wire::JoinReply, Status> {
        let actor = Actor::parse(&format!("newcomer:{newcomer}"));
        let Done::Node(node) = self.admit(actor, change).await? else {
            return Err(Status::internal("an admission drew no node id"));
        };
        self.signed(|state| join_reply(state, node)).await
    }

    async fn admit_operator(
        &self,
        invitation: InvitationId,
        name: String,
        public_key: Bytes,
    ) -> Result<wire::LoginReply, Status> {
        let actor = Actor::operator(&name);
        let change = Change::AdmitOperator {
            invitation,
            name,
            public_key,
        };
        let Done::Operator(operator) = self.admit(actor, change).await? else {
            return Err(Status::internal("an admission drew no operator id"));
        };
        self.signed(|state| login_reply(state, operator)).await
    }
}

#[tonic::async_trait]
impl wire::enrollment_server::Enrollment for Sponsor {
    async fn join(
        &self,
        request: Request<wire::JoinRequest>,
    ) -> Result<Response<wire::JoinReply>, Status> {
        let connection = connection(&request)?;
        let request = request.into_inner();
        let _place = self.places.try_acquire().map_err(|_| busy())?;
        let right = match &request.machine {
            Some(proof) => {
                Checked::Machine(self.check_machine(&connection, proof, &request).await?)
            }
            None => {
                let (proof, request) = (request.proof.as_ref(), proven(&request));
                Checked::Invitation(self.check(&connection, proof, request).await?)
            }
        };
        check_level(&self.state.borrow(), request.feature_level)?;
        let newcomer = newcomer(request)?;
        let name = newcomer.name.clone();
        let change = match right {
            Checked::Invitation(invitation) => Change::AdmitNode {
                invitation,
                newcomer,
            },
            Checked::Machine(machine) => Change::AdmitMachine { machine, newcomer },
        };
        self.admit_node(&name, change).await.map(Response::new)
    }

    async fn login(
        &self,
        request: Request<wire::LoginRequest>,
    ) -> Result<Response<wire::LoginReply>, Status> {
        let connection = connection(&request)?;
        let request = request.into_inner();
        let _place = self.places.try_acquire().map_err(|_| busy())?;
        let proven = Proven::Login {
            csr: &request.csr,
            name: &request.name,
        };
        let invitation = self
            .check(&connection, request.proof.as_ref(), proven)
            .await?;
        check_operator_name(&request.name).map_err(invalid)?;
        let key = proven_key(&request.csr).map_err(invalid)?;
        let reply = self.admit_operator(invitation, request.name, key).await;
        reply.map(Response::new)
    }
}

impl std::fmt::Debug for Sponsor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sponsor")
    }
}

/// A right that was looked at.
enum Checked {
    Invitation(InvitationId),
    /// As its cloud calls it.
    Machine(String),
}

fn proven(request: &wire::JoinRequest) -> Proven<'_> {
    Proven::Join {
        csr: &request.csr,
        hpke_public_key: &request.hpke_public_key,
        node_name: &request.node_name,
        peer_address: &request.peer_address,
        admin_address: &request.admin_address,
    }
}

fn connection<T>(request: &Request<T>) -> Result<AdminConnection, Status> {
    let connection = request.extensions().get::<AdminConnection>();
    connection
        .cloned()
        .ok_or_else(|| Status::unauthenticated("tokens are redeemed on the admin port only"))
}

fn facts(request: &wire::JoinRequest) -> NodeFacts {
    NodeFacts {
        name: request.node_name.clone(),
        peer_address: request.peer_address.clone(),
        admin_address: request.admin_address.clone(),
    }
}

fn newcomer(request: wire::JoinRequest) -> Result<Newcomer, Status> {
    let facts = facts(&request);
    facts.check().map_err(invalid)?;
    if request.hpke_public_key.len() != hpke::PUBLIC_KEY_LENGTH {
        return Err(invalid(hpke::HpkeError::PublicKey));
    }
    Ok(Newcomer {
        name: facts.name,
        peer_address: facts.peer_address,
        admin_address: facts.admin_address,
        public_key: proven_key(&request.csr).map_err(invalid)?,
        hpke_public_key: request.hpke_public_key,
    })
}

/// A program that knows less than all members do could not read what they write. One that
/// says nothing knows the first level.
fn check_level(state: &State, knows: u32) -> Result<(), Status> {
    let (is, knows) = (state.level(), FeatureLevel(knows).max(FeatureLevel::FIRST));
    if knows >= is {
        return Ok(());
    }
    Err(Status::failed_precondition(format!(
        "the cluster is at feature level {is}, and this machine's program knows {knows} and no \
         more: install the version that the cluster runs"
    )))
}

fn busy() -> Status {
    Status::unavailable("too many tokens are being redeemed; try again in a moment")
}

fn invalid(error: impl std::error::Error) -> Status {
    Status::invalid_argument(error.to_string())
}

/// Only whoever holds the token sees these.
fn refused(refusal: Refusal) -> Status {
    let message = refusal.to_string();
    match refusal {
        Refusal::InvitationExpired
        | Refusal::InvitationRevoked
        | Refusal::InvitationSpent
        | Refusal::InvitationRole
        | Refusal::NotFound(_) => Status::permission_denied(message),
        Refusal::MemberTaken(_) => Status::already_exists(message),
        _ => Status::failed_precondition(message),
    }
}

fn unproposed(error: ProposeError) -> Status {
    Status::unavailable(error.to_string())
}
