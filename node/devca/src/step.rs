//! What a call into the core leaves to be done.

use std::time::Duration;

use crate::book::Record;
use crate::entropy::Entropy;
use crate::routes::ChallengeKind;
use crate::timestamp::Timestamp;

/// What must be done before and after an answer is sent.
#[derive(Debug, Default)]
#[must_use = "records must be durable before the answer is sent, and effects carried out after"]
pub struct Step {
    /// Records to make durable, in this order, before the answer leaves.
    pub records: Vec<Record>,
    /// What to do once the records are durable.
    pub effects: Vec<Effect>,
}

/// What the core wants done; each ends in a call back to the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Probe a hostname, then call [`crate::Core::conclude`].
    Validate(Validation),
    /// Wait, then call [`crate::Core::issue`].
    Issue {
        /// The order that is being processed.
        order: String,
        /// How long to wait.
        after: Duration,
    },
}

/// One challenge to be looked at.
#[derive(Clone, PartialEq, Eq)]
pub struct Validation {
    /// The authorization the challenge belongs to.
    pub authorization: String,
    /// Which of its challenges.
    pub kind: ChallengeKind,
    /// The name to probe.
    pub hostname: String,
    /// The token, part of the path of http-01.
    pub token: String,
    /// What the hostname must answer with (RFC 8555 section 8.1).
    pub key_authorization: String,
}

impl std::fmt::Debug for Validation {
    /// Without the token and its answer, which logs have no use for.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Validation")
            .field("authorization", &self.authorization)
            .field("kind", &self.kind)
            .field("hostname", &self.hostname)
            .finish_non_exhaustive()
    }
}

/// One call into the core: what it was given, and what it leaves to be done.
pub(crate) struct Turn<'a> {
    pub(crate) now: Timestamp,
    pub(crate) entropy: &'a mut dyn Entropy,
    pub(crate) step: Step,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(now: Timestamp, entropy: &'a mut dyn Entropy) -> Self {
        Self {
            now,
            entropy,
            step: Step::default(),
        }
    }
}
