//! Misbehaviour on command: which requests it strikes, and what becomes of them.
//!
//! The core decides, and says what it cannot do itself by a [`Disruption`] among the
//! answer's extensions; whoever sends the answer carries it out.

use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::entropy::Entropy;

/// A rule by which requests are struck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Requests of this kind only; without it, of all kinds.
    #[serde(default)]
    pub endpoint: Option<Endpoint>,
    /// How many of them pass unharmed first.
    #[serde(default)]
    pub after: u64,
    /// How many are struck; without it, all that follow.
    #[serde(default)]
    pub times: Option<u64>,
    /// How many in a thousand are struck, by chance.
    #[serde(default = "always")]
    pub per_mille: u16,
    /// What becomes of them.
    pub mishap: Mishap,
}

fn always() -> u16 {
    1_000
}

impl Fault {
    /// Strikes the next request of this kind, once.
    pub fn once(endpoint: Endpoint, mishap: Mishap) -> Self {
        Self {
            times: Some(1),
            ..Self::every(endpoint, mishap)
        }
    }

    /// Strikes every request of this kind.
    pub fn every(endpoint: Endpoint, mishap: Mishap) -> Self {
        Self {
            endpoint: Some(endpoint),
            after: 0,
            times: None,
            per_mille: always(),
            mishap,
        }
    }
}

/// What becomes of a request that is struck.
///
/// *Refused* means that the CA did nothing; *acted* that it did what was asked, and that
/// only the answer suffers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mishap {
    /// Refused with this status.
    Status {
        /// 400 to 599.
        status: u16,
        /// As the page of a load balancer, rather than a problem document.
        #[serde(default)]
        html: bool,
    },
    /// Acted, and answered with this status and a problem document.
    StatusAfter {
        /// 400 to 599.
        status: u16,
    },
    /// Refused with `badNonce`.
    BadNonce,
    /// Refused with 429 `rateLimited`.
    RateLimited {
        /// The `Retry-After`.
        retry_after: RetryAfter,
    },
    /// Refused by a reset of the connection.
    ResetBefore,
    /// Acted; the connection is reset in place of an answer.
    ResetAfter,
    /// Acted; the body breaks off after so many bytes.
    Truncate {
        /// How many are sent.
        bytes: usize,
    },
    /// Acted; the body goes on for ever.
    Endless,
    /// Refused by silence: no answer comes.
    Silence,
    /// Acted; no answer comes.
    SilenceAfter,
    /// Acted; the answer is held back.
    Late {
        /// How long, in milliseconds.
        millis: u64,
    },
    /// An order, or its finalizing: the order becomes invalid first.
    OrderInvalid,
    /// Acted; the answer's `status` is this one, which no RFC knows.
    OrderStatus {
        /// The status.
        status: String,
    },
    /// Acted; `Location` names another host.
    LocationElsewhere {
        /// Scheme and host, as `https://other.example`.
        origin: String,
    },
    /// A challenge: its validation fails at once, as when one of several places of the CA
    /// cannot reach the name.
    Unproven,
    /// Finalizing: the certificate will be spoiled.
    Spoil(Spoil),
    /// A certificate: the chain is not right.
    Chain(ChainFault),
}

/// How a certificate is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spoil {
    /// It is for other names.
    Names,
    /// It is for another key.
    Key,
}

/// How a chain is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainFault {
    /// The leaf comes alone.
    Missing,
    /// The intermediate comes first.
    Reversed,
    /// The leaf is followed by a certificate that did not sign it.
    Foreign,
}

/// The form of a `Retry-After` (RFC 9110 section 10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// So many seconds.
    Seconds(u64),
    /// A date, so many seconds from now.
    Date(u64),
}

impl Mishap {
    /// Whether the CA does nothing of what was asked.
    pub(crate) fn refuses(&self) -> bool {
        matches!(
            self,
            Self::Status { .. }
                | Self::BadNonce
                | Self::RateLimited { .. }
                | Self::ResetBefore
                | Self::Silence
        )
    }

    /// What whoever sends the answer must do to it.
    pub(crate) fn disruption(&self) -> Option<Disruption> {
        Some(match self {
            Self::ResetBefore | Self::ResetAfter => Disruption::Reset,
            Self::Truncate { bytes } => Disruption::Truncate { bytes: *bytes },
            Self::Endless => Disruption::Endless,
            Self::Silence | Self::SilenceAfter => Disruption::Silence,
            Self::Late { millis } => Disruption::Late { millis: *millis },
            _ => return None,
        })
    }
}

/// What must be done to an answer when it is sent; among the extensions of the answers
/// that [`crate::Core::handle`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disruption {
    /// The connection is reset, nothing is sent.
    Reset,
    /// The body breaks off, with the connection.
    Truncate {
        /// After so many bytes.
        bytes: usize,
    },
    /// The body is followed by more, slowly, without end.
    Endless,
    /// Nothing is sent; the connection stays.
    Silence,
    /// The answer waits.
    Late {
        /// So many milliseconds.
        millis: u64,
    },
}

/// A fault and what it did so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultReport {
    /// The rule.
    pub fault: Fault,
    /// Requests of its kind so far.
    pub seen: u64,
    /// Those that were struck.
    pub struck: u64,
}

/// The faults in force. The first that strikes a request is the only one that does.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<FaultReport>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(FaultReport {
            fault,
            seen: 0,
            struck: 0,
        });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn reports(&self) -> Vec<FaultReport> {
        self.0.clone()
    }

    /// What strikes this request, if anything does.
    pub(crate) fn strike(
        &mut self,
        endpoint: Endpoint,
        entropy: &mut dyn Entropy,
    ) -> Option<Mishap> {
        self.0
            .iter_mut()
            .find_map(|report| report.strike(endpoint, entropy))
    }
}

impl FaultReport {
    fn strike(&mut self, endpoint: Endpoint, entropy: &mut dyn Entropy) -> Option<Mishap> {
        if self.fault.endpoint.is_some_and(|kind| kind != endpoint) {
            return None;
        }
        self.seen += 1;
        let spent = self.fault.times.is_some_and(|times| self.struck >= times);
        if self.seen <= self.fault.after || spent || !chance(self.fault.per_mille, entropy) {
            return None;
        }
        self.struck += 1;
        Some(self.fault.mishap.clone())
    }
}

/// True in so many of a thousand draws; certainty draws nothing.
fn chance(per_mille: u16, entropy: &mut dyn Entropy) -> bool {
    if per_mille >= 1_000 {
        return true;
    }
    let mut bytes = [0; 4];
    entropy.fill(&mut bytes);
    u32::from_le_bytes(bytes) % 1_000 < u32::from(per_mille)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[track_caller]
    fn check(fault: Fault, endpoints: &[Endpoint], expected: &[bool]) {
        let mut faults = Faults::default();
        faults.add(fault);
        let struck = endpoints
            .iter()
            .map(|endpoint| faults.strike(*endpoint, &mut SystemEntropy).is_some());
        assert_eq!(struck.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn faults_count_only_their_own_kind_of_request() {
        use Endpoint::{Finalize, NewOrder};
        let fault = Fault {
            after: 1,
            times: Some(2),
            ..Fault::every(Finalize, Mishap::BadNonce)
        };
        check(
            fault,
            &[Finalize, NewOrder, Finalize, NewOrder, Finalize, Finalize],
            &[false, false, true, false, true, false],
        );
        let all = Fault {
            endpoint: None,
            ..Fault::once(Finalize, Mishap::Silence)
        };
        check(all, &[NewOrder, Finalize], &[true, false]);
    }

    #[test]
    fn a_rate_strikes_about_so_many() {
        let mut faults = Faults::default();
        faults.add(Fault {
            per_mille: 600,
            ..Fault::every(Endpoint::NewOrder, Mishap::BadNonce)
        });
        for _ in 0..10_000 {
            let _ = faults.strike(Endpoint::NewOrder, &mut SystemEntropy);
        }
        let report = &faults.reports()[0];
        assert_eq!(report.seen, 10_000);
        assert!((5_600..6_400).contains(&report.struck), "{report:?}");
    }

    #[test]
    fn faults_are_written_as_they_are_commanded() {
        let text = r#"{"endpoint":"finalize","times":1,"mishap":{"truncate":{"bytes":10}}}"#;
        let fault: Fault = serde_json::from_str(text).unwrap();
        let mishap = Mishap::Truncate { bytes: 10 };
        assert_eq!(fault, Fault::once(Endpoint::Finalize, mishap));
        for text in [
            r#"{"mishap":"bad_nonce"}"#,
            r#"{"mishap":{"rate_limited":{"retry_after":{"date":60}}}}"#,
            r#"{"mishap":{"spoil":"names"}}"#,
            r#"{"mishap":{"status":{"status":503,"html":true}}}"#,
        ] {
            assert!(serde_json::from_str::<Fault>(text).is_ok(), "{text}");
        }
    }
}
