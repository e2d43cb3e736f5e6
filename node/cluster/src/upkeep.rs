//! What the state brings for this very node: its next certificate and new data
//! keys. Presented and used at once, kept on disk as soon as the disk allows.

use std::{sync::Arc, time::Duration};

use state::State;
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

use crate::{
    credential::NodeCredential,
    identity::{Identity, IdentityStore},
    keyring::Keyring,
};

/// How long after a failed write it is tried again. Nothing waits for it: the state
/// on disk brings the same once more after a restart.
const WRITE_AGAIN: Duration = Duration::from_secs(10);

/// Keeps a node's identity as the state has it.
pub struct Upkeep {
    /// As it was when the node started.
    pub identity: Identity,
    /// Where it is kept.
    pub store: Arc<IdentityStore>,
    /// What is presented.
    pub credential: Arc<NodeCredential>,
    /// The data keys.
    pub keyring: Arc<Keyring>,
}

impl Upkeep {
    /// Follows `states` until their source is gone.
    pub async fn run(mut self, mut states: watch::Receiver<Arc<State>>) {
        let mut write_at = None;
        loop {
            let state = states.borrow_and_update().clone();
            if self.take_up(&state) {
                write_at = Some(Instant::now());
            }
            if write_at.is_some_and(|at| at <= Instant::now()) {
                write_at = self.write().await;
            }
            let again = write_at;
            tokio::select! {
                changed = states.changed() => if changed.is_err() { return },
                () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {}
            }
        }
    }

    /// True if there was anything new.
    fn take_up(&mut self, state: &State) -> bool {
        let keys = self.keyring.take_up(state);
        let held = self.keyring.held();
        // The keyring takes keys up by itself as well, when it meets one.
        let keys = keys || !held.keys().eq(self.identity.data_keys.keys());
        if keys {
            self.identity.data_keys = held;
        }
        self.take_certificate(state) || keys
    }

    fn take_certificate(&mut self, state: &State) -> bool {
        let member = state.member(self.identity.public.node);
        let Some(certificate) = member.and_then(|member| member.certificate.as_ref()) else {
            return false;
        };
        let chain = vec![certificate.leaf.clone(), certificate.issuing.clone()];
        if chain == self.identity.public.chain {
            return false;
        }
        let before = std::mem::replace(&mut self.identity.public.chain, chain);
        if let Err(error) = self.credential.replace(&self.identity) {
            tracing::error!(%error, "the next certificate is of no use");
            self.identity.public.chain = before;
            return false;
        }
        tracing::info!(not_after = %certificate.not_after, "this node has its next certificate");
        true
    }

    /// When to try again, if it failed.
    async fn write(&self) -> Option<Instant> {
        let (store, identity) = (self.store.clone(), self.identity.clone());
        let written = spawn_blocking(move || store.save(&identity)).await;
        match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the identity could not be kept; trying again");
                Some(Instant::now() + WRITE_AGAIN)
            }
            Err(_) => Some(Instant::now() + WRITE_AGAIN),
        }
    }
}
