//! What a call into the core leaves to be done.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::book::Record;
use crate::entropy::Entropy;
use crate::fault::Mishap;
use crate::moment::Moment;
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
    /// How long to wait before looking.
    pub delay: Duration,
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
    /// The second of `moment`.
    pub(crate) now: Timestamp,
    pub(crate) moment: Moment,
    pub(crate) entropy: &'a mut dyn Entropy,
    pub(crate) step: Step,
    /// Who asks, as far as the network tells.
    pub(crate) caller: Caller,
    /// The account that signed, once that is known.
    pub(crate) account: Option<String>,
    /// What strikes the request.
    pub(crate) mishap: Option<Mishap>,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(moment: Moment, entropy: &'a mut dyn Entropy) -> Self {
        Self {
            now: moment.timestamp(),
            moment,
            entropy,
            step: Step::default(),
            caller: Caller {
                address: Ipv4Addr::UNSPECIFIED.into(),
                received: moment,
            },
            account: None,
            mishap: None,
        }
    }
}

/// What whoever took a request from the network knows about it; goes among the request's
/// extensions. Without it the request came from nowhere, at the time it is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Whose limits it counts against.
    pub address: IpAddr,
    /// When it had come whole.
    pub received: Moment,
}
