//! How the CA in memory behaves, and what goes wrong at it.

use std::time::Duration;

use leader::issuance::authority::{ChallengeKind, Problem};

/// How the CA behaves.
#[derive(Clone, Debug)]
pub(crate) struct Manners {
    /// From being told to an authorization that is valid.
    pub(crate) validation: Duration,
    /// For this long a finalized order still looks `ready`.
    pub(crate) window: Duration,
    /// From then on until its certificate is there; `None`: never.
    pub(crate) issuing: Option<Duration>,
    /// Authorizations are valid from the beginning.
    pub(crate) reuse: bool,
    /// Only that of the name itself is, and not that of its wildcard.
    pub(crate) base_proven: bool,
    /// How long the CA asks to wait between looks at an order.
    pub(crate) retry_after: Option<Duration>,
    /// newOrder gives the pending or ready order for the same names, as Boulder does.
    pub(crate) order_reuse: bool,
    /// The challenges that it offers; for a wildcard only dns-01 of them.
    pub(crate) offers: Vec<ChallengeKind>,
    /// Validation fails, with this word.
    pub(crate) unconvinced: Option<&'static str>,
    /// Validation by such a challenge fails.
    pub(crate) blind_to: Option<ChallengeKind>,
    /// How long certificates are valid.
    pub(crate) validity: Duration,
    /// How long orders live, if the CA says.
    pub(crate) expiry: Option<Duration>,
    /// Certificates are for this name instead.
    pub(crate) misnamed: Option<&'static str>,
    /// What becomes of a profile that is asked for.
    pub(crate) profile: Asked,
    /// What becomes of a certificate that is to be replaced.
    pub(crate) replaces: Asked,
    /// Other chains, by the common name above their top.
    pub(crate) alternates: Vec<&'static str>,
    /// The alternates are for another leaf.
    pub(crate) alternates_foreign: bool,
}

/// What becomes of a part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Granted,
    Refused,
    Ignored,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            validation: Duration::from_millis(300),
            window: Duration::from_secs(1),
            issuing: Some(Duration::from_millis(500)),
            reuse: false,
            base_proven: false,
            retry_after: None,
            order_reuse: false,
            offers: vec![
                ChallengeKind::Http01,
                ChallengeKind::TlsAlpn01,
                ChallengeKind::Dns01,
            ],
            unconvinced: None,
            blind_to: None,
            validity: Duration::from_secs(90 * 86_400),
            expiry: None,
            misnamed: None,
            profile: Asked::Granted,
            replaces: Asked::Granted,
            alternates: Vec::new(),
            alternates_foreign: false,
        }
    }
}

/// What is asked of a CA with an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    NewAccount,
    NewOrder,
    Ready,
    Finalize,
}

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// It never leaves.
    Unsent,
    /// It has its effect, and its answer is lost.
    AnswerLost,
    /// It is refused.
    Refuse(Problem),
}

pub(crate) fn problem(kind: &str, detail: &str) -> Problem {
    Problem {
        kind: kind.to_owned(),
        detail: detail.to_owned(),
        status: 400,
        ..Problem::default()
    }
}
