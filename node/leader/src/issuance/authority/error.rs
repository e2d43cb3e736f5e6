//! Why a CA did not do what it was asked.

use std::{fmt, time::Duration};

use super::OrderView;
use crate::fence::Shut;

/// A problem document (RFC 7807, RFC 8555 section 6.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// Its type; ACME's own without `urn:ietf:params:acme:error:`.
    pub kind: String,
    /// In the CA's words.
    pub detail: String,
    /// The HTTP status; 0 if it came inside another answer.
    pub status: u16,
    /// How long to wait, if the CA said.
    pub retry_after: Option<Duration>,
    /// Where a person is to go, if the CA gave a link (RFC 8555 section 7.3.3, or Boulder's
    /// page for paused names).
    pub instance: Option<Box<str>>,
    /// What is wrong with single names (RFC 8555 section 6.7.1), at most
    /// [`Problem::SUBPROBLEMS_MOST`].
    pub subproblems: Vec<Subproblem>,
}

/// What is wrong with one name of several (RFC 8555 section 6.7.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subproblem {
    /// The name, perhaps a wildcard; empty if the CA did not say which.
    pub identifier: String,
    /// As [`Problem::kind`].
    pub kind: String,
    /// In the CA's words.
    pub detail: String,
}

/// What a CA means by `rateLimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit<'a> {
    /// It is overloaded: all are to wait, and nobody has spent anything.
    Busy,
    /// It orders nothing for these names until a person has visited this URL.
    Paused(Option<&'a str>),
    /// One of its limits is spent.
    Spent,
}

/// Longest problem shown, in characters: it ends up in states, logs and tables.
const SHOWN_MAX: usize = 300;

/// What Boulder says when a name is paused; it has no type for it.
const PAUSED: &str = "temporarily prevented from requesting certificates";

/// What Boulder says when it sheds load, as 503 and under the type of its limits.
const BUSY: &str = "Service busy";

impl Problem {
    /// Most subproblems kept: more than an order has names.
    pub const SUBPROBLEMS_MOST: usize = 100;

    /// Which limit it tells of, if it tells of one.
    pub fn limit(&self) -> Option<Limit<'_>> {
        if self.detail.contains(PAUSED) {
            return Some(Limit::Paused(self.instance.as_deref()));
        }
        match self.kind.as_str() {
            _ if self.detail.contains(BUSY) => Some(Limit::Busy),
            "rateLimited" if self.status == 503 => Some(Limit::Busy),
            "rateLimited" => Some(Limit::Spent),
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.kind.is_empty() {
            "problem".to_owned()
        } else {
            shown(&self.kind)
        };
        let first = self.subproblems.first();
        let text = match first {
            None => self.detail.clone(),
            Some(sub) if sub.identifier.is_empty() => format!("{} ({})", self.detail, sub.detail),
            Some(sub) => format!("{} ({}: {})", self.detail, sub.identifier, sub.detail),
        };
        write!(f, "{kind}: {}", shown(&text))
    }
}

/// What a CA wrote, fit for states, logs and tables: none of its control characters, and
/// not too much.
pub(crate) fn shown(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    plain.take(SHOWN_MAX).collect()
}

/// Something that a CA may or may not offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// RFC 9773.
    RenewalInfo,
    /// RFC 8555 section 7.3.5.
    KeyChange,
    /// RFC 8555 section 7.6.
    Revocation,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RenewalInfo => "renewal information (RFC 9773)",
            Self::KeyChange => "the change of an account's key",
            Self::Revocation => "revocation",
        })
    }
}

/// Why the CA did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// Nothing left this machine.
    #[error("nothing was sent: {0}")]
    Fenced(#[from] Shut),
    /// Nothing left this machine: the CA's rate for such requests is used up by our own.
    #[error("nothing was sent: as many requests as the CA takes wait already, for {wait:?}")]
    Paced {
        /// How long until it could have left.
        wait: Duration,
    },
    /// Nothing of the request reached the CA.
    #[error("the CA cannot be reached: {0}")]
    Unreachable(String),
    /// The request or a part of it left, and no whole answer came.
    #[error("the CA did not answer, what it did is unknown: {0}")]
    Unknown(String),
    /// The CA refused.
    #[error("the CA refused: {0}")]
    Refused(Problem),
    /// Something in front of the CA answered instead of it.
    #[error("the CA is not available: HTTP status {status}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// How long to wait, if it said.
        retry_after: Option<Duration>,
    },
    /// The CA answered, but not in ACME, or with what a CA must not say.
    #[error("the CA's answer cannot be understood: {0}")]
    Malformed(String),
    /// The CA does not offer it. Nothing was changed.
    #[error("the CA does not offer {0}")]
    Unsupported(Feature),
    /// The CA does not offer the profile. Nothing was sent.
    #[error("the CA offers no profile `{profile}`; it offers: {}", listed(.offered))]
    ProfileUnknown {
        /// The one that was wanted.
        profile: String,
        /// Those that there are.
        offered: Vec<String>,
    },
    /// The CA made an order, and not for the profile. It must not be finalized.
    #[error("the CA ignored the profile `{profile}`, and made the order {order_url} without it")]
    ProfileIgnored {
        /// The one that was wanted.
        profile: String,
        /// The order that was made.
        order_url: String,
    },
    /// The CA makes no order as a replacement of that certificate: it is replaced already,
    /// by an order or a certificate, or unknown. The same without `replaces` may succeed.
    #[error("the CA takes no order as a replacement of that certificate: {0}")]
    ReplacesRefused(Problem),
    /// The CA made an order, or gave one that it had, and not as a replacement. It can be
    /// carried on, and counts against the CA's limits.
    #[error("the CA did not make the order {} as a replacement", .0.url)]
    ReplacesIgnored(Box<OrderView>),
    /// Settings or keys of ours.
    #[error("the ACME account cannot be used: {0}")]
    Unusable(String),
}

fn listed(profiles: &[String]) -> String {
    if profiles.is_empty() {
        return "none".to_owned();
    }
    shown(&profiles.join(", "))
}

impl AuthorityError {
    /// The CA's problem, if it gave one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) | Self::ReplacesRefused(problem) => Some(problem),
            _ => None,
        }
    }

    /// How long the CA, or our own pace, asks us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Paced { wait } => Some(*wait),
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => self.problem().and_then(|problem| problem.retry_after),
        }
    }

    /// The type of the CA's problem, if it gave one.
    pub fn kind(&self) -> &str {
        self.problem().map_or("", |problem| &problem.kind)
    }

    /// The same order may be asked for without `replaces`.
    pub fn is_about_replacing(&self) -> bool {
        matches!(
            self,
            Self::ReplacesRefused(_)
                | Self::ReplacesIgnored(_)
                | Self::Unsupported(Feature::RenewalInfo)
        )
    }

    /// The fault is the CA's or the road's to it, and all orders meet it: no order is
    /// failed for it, all wait.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Unknown(_) | Self::Unavailable { .. } => true,
            Self::Refused(problem) => {
                problem.status >= 500
                    || problem.kind == "serverInternal"
                    || problem.limit() == Some(Limit::Busy)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(status: u16, detail: &str) -> Problem {
        Problem {
            kind: "rateLimited".to_owned(),
            detail: detail.to_owned(),
            status,
            instance: Some("https://ca.example/unpause".into()),
            ..Problem::default()
        }
    }

    #[test]
    fn a_limit_an_overload_and_a_pause_are_told_apart() {
        let spent = limited(429, "too many certificates");
        assert_eq!(spent.limit(), Some(Limit::Spent));
        let busy = limited(503, "Service busy; retry later.");
        assert_eq!(busy.limit(), Some(Limit::Busy));
        let paused = limited(
            429,
            "Your account is temporarily prevented from requesting certificates for a.example \
             and possibly others. Please visit: https://ca.example/unpause",
        );
        let url = "https://ca.example/unpause";
        assert_eq!(paused.limit(), Some(Limit::Paused(Some(url))));
        assert_eq!(Problem::default().limit(), None);
        let outages = [spent, busy, paused].map(|it| AuthorityError::Refused(it).is_outage());
        assert_eq!(outages, [false, true, false]);
    }

    #[test]
    fn a_problem_names_the_first_name_that_is_wrong_and_is_never_long() {
        let problem = Problem {
            kind: "compound".to_owned(),
            detail: "two\n".to_owned(),
            subproblems: vec![Subproblem {
                identifier: "*.shop.example".to_owned(),
                kind: "caa".to_owned(),
                detail: "forbidden".to_owned(),
            }],
            ..Problem::default()
        };
        let text = problem.to_string();
        assert_eq!(text, "compound: two (*.shop.example: forbidden)");
        let long = limited(429, &"x".repeat(1000));
        assert!(long.to_string().len() < 350);
    }

    #[test]
    fn nothing_that_a_ca_wrote_controls_a_terminal_or_fills_a_log() {
        let kind = format!("rate\u{1b}[2JLimited{}", "x".repeat(1000));
        let problem = Problem {
            kind,
            ..Problem::default()
        };
        let offered = vec!["a\nb".to_owned(), "x".repeat(1000)];
        let profile = "shortlived".to_owned();
        for error in [
            AuthorityError::Refused(problem),
            AuthorityError::ProfileUnknown { profile, offered },
        ] {
            let text = error.to_string();
            assert!(text.len() < 400, "{text}");
            assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
        }
    }
}
