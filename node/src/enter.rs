//! Becoming somebody: this node forms a cluster, joins one, or resumes as who it
//! was. Which of these is `cluster::startup`'s to say.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use cluster::{
    Entropy, Formation, Identity, IdentityStore, NodeFacts,
    identity::Invited,
    startup::{self, DiskFacts, Startup},
};
use enroll::Token;
use proto::cluster::v1::InitRequest;
use state::{Change, ports::Clock};
use tokio::sync::mpsc;
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
            Startup::Refuse(refusal) => Err(refusal.into()),
            Startup::Resume { finish_founding } => {
                let identity = known.context("an identity was just read")?;
                let founding = if finish_founding {
                    self.store.founding()?
                } else {
                    None
                };
                Ok(Entered {
                    identity,
                    founding,
                    caller: None,
                })
            }
            Startup::Form => {
                self.wait("waiting for `hostquorum cluster init`, or for a start with --join");
                self.form(calls).await
            }
            Startup::Join { .. } => {
                self.wait("joining a cluster");
                let (sponsor, token) = self.join.as_ref().context("a join names its sponsor")?;
                let newcomer = cluster::join::Newcomer {
                    store: self.store,
                    connect: &cluster::wire::Tcp,
                    clock: self.clock.clone(),
                    token,
                    address: sponsor,
                    facts: &self.facts,
                    version: env!("CARGO_PKG_VERSION"),
                };
                let identity = newcomer.join(JOIN_PATIENCE).await?;
                Ok(Entered {
                    identity,
                    founding: None,
                    caller: None,
                })
            }
        }
    }

    fn wait(&self, what: &str) {
        tracing::info!("{what}");
        self.readiness
            .send_replace(Readiness::NotReady(what.to_owned()));
    }

    async fn form(&self, calls: &mut mpsc::Receiver<InitCall>) -> Result<Entered> {
        loop {
            let Some(call) = calls.recv().await else {
                bail!("the local socket is closed")
            };
            match self.formation(&call.request) {
                Ok(formation) => {
                    let change = formation.change();
                    self.store.save_founding(&formation.identity, &change)?;
                    tracing::info!(cluster = %formation.identity.public.cluster, "forming a cluster");
                    return Ok(Entered {
                        identity: formation.identity,
                        founding: Some(change),
                        caller: Some(call),
                    });
                }
                Err(status) => {
                    tracing::warn!(
                        reason = status.message(),
                        "a request to form a cluster was refused"
                    );
                    // Whoever asked has left if this fails.
                    let _ = call.reply.send(Err(status));
                }
            }
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

/// A token from its file. The file's text is wiped from memory.
pub fn read_token(path: &Path) -> Result<Token> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.with_context(|| format!("the token file {} cannot be read", path.display()))?;
    let token = text.trim().parse::<Token>();
    token.with_context(|| format!("{} holds no usable token", path.display()))
}
