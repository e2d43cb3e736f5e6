//! Becoming somebody: this node forms a cluster, joins one, or resumes as who it
//! was. Which of these is `cluster::startup`'s to say.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use cluster::{
    Entropy, Formation, Identity, IdentityStore, NodeFacts,
    identity::Invited,
    join::{JoinError, Right, ThisMachine},
    meeting::{self, Claim, Invitation, Meeting, MeetingError},
    startup::{self, DiskFacts, Refusal, Startup},
};
use enroll::Token;
use proto::cluster::v1::InitRequest;
use state::{Change, ports::Clock};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tonic::Status;
use zeroize::Zeroizing;

use crate::{health::Readiness, socket::InitCall, telemetry::chain};

/// How long a newcomer goes on trying while the cluster cannot answer.
const JOIN_PATIENCE: Duration = Duration::from_secs(300);

/// What a node needs to become somebody.
pub struct Newborn<'a> {
    /// Its own files.
    pub store: &'a IdentityStore,
    /// Its name and addresses.
    pub facts: NodeFacts,
    /// A member's admin address and the token, if it was told to join.
    pub join: Option<(String, Token)>,
    /// Where it finds others of its cluster, if it was told of a place.
    pub meeting: Option<&'a dyn Meeting>,
    /// What its cloud would vouch for, if it is to enter that way.
    pub machine: Option<&'a dyn ThisMachine>,
    /// True if there is a replica's data.
    pub has_replica: bool,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// What `/readyz` says meanwhile.
    pub readiness: &'a tokio::sync::watch::Sender<Readiness>,
}

/// Who this node is, and what is left to do about it.
pub struct Entered {
    /// Who.
    pub identity: Identity,
    /// The first command of the cluster, if it may not be in the log yet.
    pub founding: Option<Change>,
    /// Who waits for the cluster to be formed.
    pub caller: Option<InitCall>,
}

impl Newborn<'_> {
    /// Becomes somebody; waits for `init` or for the cluster if need be.
    pub async fn enter(self, calls: &mut mpsc::Receiver<InitCall>) -> Result<Entered> {
        let invited = self.join.as_ref().map(|(_, token)| Invited::from(token));
        let known = self.store.load()?;
        let disk = DiskFacts {
            directory: self.store.path().to_owned(),
            identity: known
                .as_ref()
                .map(|identity| (identity.public.cluster, identity.public.node)),
            candidate: self.store.candidate()?.map(|candidate| candidate.for_token),
            founding: self.store.founding()?.is_some(),
            replica: self.has_replica,
        };
        match startup::decide(&disk, invited) {
            // Its invitation lies where it was found before.
            Startup::Refuse(Refusal::HalfJoined(_)) if self.meeting.is_some() => {
                self.wait(calls).await
            }
            Startup::Refuse(refusal) => Err(refusal.into()),
            Startup::Resume { finish_founding } => {
                let identity = known.context("an identity was just read")?;
                if finish_founding {
                    self.finish(identity, calls).await
                } else {
                    Ok(Entered::resumed(identity))
                }
            }
            Startup::Form => self.wait(calls).await,
            Startup::Join { .. } => {
                let (sponsor, token) = self.join.as_ref().context("a join names its sponsor")?;
                Ok(Entered::resumed(
                    self.join(sponsor, Right::Token(token)).await?,
                ))
            }
        }
    }

    /// The first command of its cluster may not be in the log yet, and, where nodes meet, its
    /// claim may not have been made.
    async fn finish(
        &self,
        identity: Identity,
        calls: &mut mpsc::Receiver<InitCall>,
    ) -> Result<Entered> {
        match self.claim(&identity).await? {
            None => Ok(Entered {
                founding: self.store.founding()?,
                ..Entered::resumed(identity)
            }),
            // A log of its own is begun under its own claim only.
            Some(claim) if self.has_replica => bail!(
                "{} holds a replica of cluster {}, which this node formed, but node {} has claimed \
                 to have founded cluster {}: empty the directory to join that one, or turn \
                 aws.parameters off to keep this one",
                self.store.path().display(),
                identity.public.cluster,
                claim.founder,
                claim.cluster
            ),
            Some(claim) => {
                self.store.discard_founding()?;
                tracing::warn!(founder = claim.founder, "another node founded this cluster");
                self.wait(calls).await
            }
        }
    }

    /// Forms a cluster when it is asked to, or joins one when it is invited.
    async fn wait(&self, calls: &mut mpsc::Receiver<InitCall>) -> Result<Entered> {
        let mut spent = None;
        let mut ask_at = Instant::now();
        loop {
            self.says(match (self.meeting, self.machine) {
                (None, _) => "waiting for `hostquorum cluster init`, or for a start with --join",
                (Some(_), None) => "waiting for `hostquorum cluster init`, or for an invitation",
                (Some(_), Some(_)) => {
                    "waiting for `hostquorum cluster init`, for a member to let this machine in, \
                     or for an invitation"
                }
            });
            // No branch does anything that matters before it is taken.
            tokio::select! {
                call = calls.recv() => {
                    let call = call.context("the local socket is closed")?;
                    if let Some(entered) = self.form(call).await? {
                        return Ok(entered);
                    }
                }
                invitation = self.invitation(spent) => {
                    let Invitation { sponsor, token } = invitation?;
                    match self.join(&sponsor, Right::Token(&token)).await {
                        Ok(identity) => return Ok(Entered::resumed(identity)),
                        Err(error) => {
                            tracing::warn!(reason = chain(&error), "an invitation came to nothing");
                            if !error.is_transient() {
                                spent = Some(token.invitation);
                            }
                        }
                    }
                }
                claim = self.founded(ask_at) => {
                    if let Some(entered) = self.enter_as_machine(&claim?).await {
                        return Ok(entered);
                    }
                    ask_at = Instant::now() + meeting::LOOK_PAUSE;
                }
            }
        }
    }

    async fn invitation(&self, spent: Option<u64>) -> Result<Invitation, MeetingError> {
        match self.meeting {
            Some(meeting) => meeting::invitation(meeting, spent).await,
            None => std::future::pending().await,
        }
    }

    /// The cluster that was founded, for a machine that its cloud would vouch for; not before
    /// that moment.
    async fn founded(&self, not_before: Instant) -> Result<Claim, MeetingError> {
        match (self.meeting, self.machine) {
            (Some(meeting), Some(_)) => {
                sleep_until(not_before).await;
                meeting::founded(meeting).await
            }
            _ => std::future::pending().await,
        }
    }

    /// Asks each of the other machines in turn, once.
    async fn enter_as_machine(&self, claim: &Claim) -> Option<Entered> {
        let machine = self.machine?;
        let sponsors = match machine.sponsors().await {
            Ok(sponsors) => sponsors,
            Err(error) => {
                tracing::warn!(reason = chain(&error), "no machine of the cluster is found");
                return None;
            }
        };
        for sponsor in &sponsors {
            match self.join(sponsor, Right::Machine { claim, machine }).await {
                Ok(identity) => return Some(Entered::resumed(identity)),
                Err(error) => {
                    tracing::warn!(
                        sponsor,
                        reason = chain(&error),
                        "this machine was not let in"
                    );
                }
            }
        }
        None
    }

    async fn join(&self, sponsor: &str, right: Right<'_>) -> Result<Identity, JoinError> {
        self.says("joining a cluster");
        // There are other machines to ask, and this one is asked again soon.
        let patience = match right {
            Right::Token(_) => JOIN_PATIENCE,
            Right::Machine { .. } => Duration::ZERO,
        };
        let newcomer = cluster::join::Newcomer {
            store: self.store,
            connect: &cluster::wire::Tcp,
            clock: self.clock.clone(),
            right,
            address: sponsor,
            facts: &self.facts,
            version: env!("CARGO_PKG_VERSION"),
        };
        newcomer.join(patience).await
    }

    fn says(&self, what: &str) {
        tracing::info!("{what}");
        self.readiness
            .send_replace(Readiness::NotReady(what.to_owned()));
    }

    /// Forms the cluster; `None` if the caller was told why not.
    async fn form(&self, call: InitCall) -> Result<Option<Entered>> {
        let formation = match self.formation(&call.request) {
            Ok(formation) => formation,
            Err(status) => {
                refuse(call, status);
                return Ok(None);
            }
        };
        let (identity, change) = (formation.identity.clone(), formation.change());
        // Before it is claimed: a claim of a cluster whose keys were lost would keep everybody
        // from founding one.
        self.store.save_founding(&identity, &change)?;
        let status = match self.claim(&identity).await {
            Ok(None) => {
                tracing::info!(cluster = %identity.public.cluster, "forming a cluster");
                return Ok(Some(Entered {
                    identity,
                    founding: Some(change),
                    caller: Some(call),
                }));
            }
            Ok(Some(claim)) => Status::failed_precondition(format!(
                "node {} has founded cluster {}: let this node in by an invitation",
                claim.founder, claim.cluster
            )),
            Err(error) => Status::failed_precondition(chain(&error)),
        };
        self.store.discard_founding()?;
        refuse(call, status);
        Ok(None)
    }

    /// Claims the founding where nodes meet; another's claim, if that stands.
    async fn claim(&self, identity: &Identity) -> Result<Option<Claim>, MeetingError> {
        match self.meeting {
            Some(meeting) => meeting::claim(meeting, &identity.public).await,
            None => Ok(None),
        }
    }

    fn formation(&self, request: &InitRequest) -> Result<Formation, Status> {
        Formation::new(request, &self.facts, self.clock.now(), &*self.entropy).map_err(|error| {
            if error.is_callers() {
                Status::invalid_argument(chain(&error))
            } else {
                Status::internal(chain(&error))
            }
        })
    }
}

impl Entered {
    fn resumed(identity: Identity) -> Self {
        Self {
            identity,
            founding: None,
            caller: None,
        }
    }
}

fn refuse(call: InitCall, status: Status) {
    tracing::warn!(
        reason = status.message(),
        "a request to form a cluster was refused"
    );
    // Whoever asked has left if this fails.
    let _ = call.reply.send(Err(status));
}

/// A token from its file. The file's text is wiped from memory.
pub fn read_token(path: &Path) -> Result<Token> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.with_context(|| format!("the token file {} cannot be read", path.display()))?;
    let token = text.trim().parse::<Token>();
    token.with_context(|| format!("{} holds no usable token", path.display()))
}
