//! Refusals that say when, or after what, to come back.

use std::time::Duration;

use crate::core::Core;
use crate::limits::{Denial, Limit, LimitName};
use crate::moment::Moment;
use crate::problem::{Kind, Problem};
use crate::timestamp::Timestamp;

impl Core {
    /// The refusal of a request beyond a limit, worded as Boulder words it.
    pub(crate) fn limited(&self, denial: &Denial, now: Moment) -> Problem {
        let Denial { key, size, .. } = denial;
        let seconds = denial.retry_after();
        let (count, span) = (size.burst, span(*size));
        let what = match denial.limit {
            LimitName::NewOrdersPerAccount => {
                format!("too many new orders ({count}) from this account in the last {span}")
            }
            LimitName::CertificatesPerDomain => {
                format!(
                    "too many certificates ({count}) already issued for {key:?} in the last {span}"
                )
            }
            LimitName::CertificatesPerSet => format!(
                "too many certificates ({count}) already issued for this exact set of \
                 identifiers in the last {span}"
            ),
            LimitName::FailedValidations | LimitName::ConsecutiveFailures => {
                let name = key.split_once(':').map_or(key.as_str(), |(_, name)| name);
                format!("too many failed authorizations ({count}) for {name:?} in the last {span}")
            }
            LimitName::NewAccountsPerIp => {
                format!(
                    "too many new registrations ({count}) from this IP address in the last {span}"
                )
            }
            LimitName::NewAccountsPerRange => format!(
                "too many new registrations ({count}) from this /48 subnet of IPv6 addresses in \
                 the last {span}"
            ),
            LimitName::Requests => "Service busy; retry later".to_owned(),
        };
        let then = now.timestamp().plus(Duration::from_secs(seconds));
        let detail = format!("{what}, retry after {}", utc(then));
        let problem = Problem::new(Kind::RateLimited, detail).with_retry_after(seconds);
        if denial.limit == LimitName::Requests {
            problem.with_status(503)
        } else {
            problem
        }
    }

    /// The refusal of names that are paused.
    pub(crate) fn paused(&self, names: &[&str]) -> Problem {
        Problem::new(
            Kind::RateLimited,
            format!(
                "Your account is temporarily prevented from requesting certificates for {} and \
                 possibly others. Please visit: {}",
                names.join(", "),
                self.behaviour.self_service_url
            ),
        )
    }

    /// The refusal of what belongs to another account.
    pub(crate) fn anothers(&self, what: &str) -> Problem {
        if self.behaviour.hide_from_strangers {
            return Problem::not_found(what);
        }
        Problem::unauthorized(format!("{what} belongs to another account"))
    }
}

/// A limit's period as Go writes durations.
fn span(size: Limit) -> String {
    let seconds = size.period_millis / 1_000;
    let (hours, minutes) = (seconds / 3_600, seconds % 3_600 / 60);
    match (hours, minutes) {
        (0, 0) => format!("{}s", seconds % 60),
        (0, _) => format!("{minutes}m{}s", seconds % 60),
        _ => format!("{hours}h{minutes}m{}s", seconds % 60),
    }
}

/// `2026-08-01 12:00:00 UTC`.
fn utc(moment: Timestamp) -> String {
    let text = moment.to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_dates_are_written_as_boulder_does() {
        assert_eq!(span(Limit::per_millis(300, 3 * 3_600_000)), "3h0m0s");
        assert_eq!(span(Limit::per_millis(5, 7 * 86_400_000)), "168h0m0s");
        assert_eq!(span(Limit::per_millis(1, 90_000)), "1m30s");
        assert_eq!(span(Limit::per_millis(1, 20_000)), "20s");
        assert_eq!(
            utc(Timestamp::from_unix(1_800_000_000)),
            "2027-01-15 08:00:00 UTC"
        );
    }
}
