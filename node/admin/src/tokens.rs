//! Tokens: what an invitation's must offer, and what proves a claim. Secrets are made elsewhere; here only
//! their verifier and, once, their text pass through.

use std::fmt;

use state::{InvitationId, OwnershipToken, State};

/// Makes tokens for invitations.
pub trait Tokens: Send + Sync {
    /// Draws a secret for an invitation to the cluster of `state`.
    fn draw(&self, state: &State) -> Result<Drawn, TokensError>;

    /// Draws what a customer is to publish to prove a claim to a hostname.
    fn ownership(&self) -> OwnershipToken;
}

/// A secret that was drawn, before its invitation has an id.
pub struct Drawn {
    /// What the cluster keeps: enough to check a proof, not to make the token.
    pub verifier: [u8; 32],
    /// Makes the token's text, once the invitation has its id.
    pub text: Box<dyn FnOnce(InvitationId) -> String + Send>,
}

impl fmt::Debug for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drawn")
    }
}

/// Why no token was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokensError {
    /// There is no root to pin.
    #[error("the cluster was not formed yet")]
    NotFounded,
    /// The machine gave no random bytes.
    #[error("the system's source of randomness failed: {0}")]
    Entropy(String),
}
