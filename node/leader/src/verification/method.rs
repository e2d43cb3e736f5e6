//! Which challenge is tried, and in which order.

use std::fmt;

use serde::Serialize;

/// A challenge that we can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Challenge {
    /// By HTTP on port 80 (RFC 8555 section 8.3).
    #[serde(rename = "http-01")]
    Http01,
    /// By TLS on port 443 (RFC 8737).
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    /// By DNS (RFC 8555 section 8.4).
    #[serde(rename = "dns-01")]
    Dns01,
}

impl Challenge {
    /// All, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Http01, Self::TlsAlpn01, Self::Dns01];

    /// As ACME and CAA name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
        }
    }

    /// By its label.
    pub fn named(label: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.label().eq_ignore_ascii_case(label))
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// What a choice depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The only challenge that the hostname's settings allow.
    pub forced: Option<Challenge>,
    /// A wildcard: CAs prove it by DNS only.
    pub wildcard: bool,
    /// All of the name's addresses are ours.
    pub points_here: bool,
    /// Port 80 of our addresses was reached from outside; `None` if nobody looked.
    pub port_80: Option<bool>,
    /// Port 443 of our addresses accepts connections; `None` if nobody looked.
    pub port_443: Option<bool>,
    /// `_acme-challenge` leads to our target for this claim.
    pub delegated: bool,
    /// A member that serves has not reported lately: it may be reached by the CA and not
    /// know the certificate of a TLS challenge. (HTTP it can answer without knowing.)
    pub member_silent: bool,
}

/// The challenges that can succeed, the first to be tried first.
///
/// For a plain name HTTP goes first: it needs nothing but the name's address, each node can
/// answer it even when it is cut off, and CAs follow it through redirects. TLS is for when
/// port 80 is closed on the way. DNS is for wildcards and for names that do not point here
/// yet.
pub fn choose(at: &Circumstances) -> Vec<Challenge> {
    let can = |challenge: &Challenge| {
        at.forced.is_none_or(|forced| forced == *challenge)
            && match challenge {
                Challenge::Http01 => !at.wildcard && at.points_here && at.port_80.unwrap_or(true),
                Challenge::TlsAlpn01 => {
                    !at.wildcard
                        && at.points_here
                        && at.port_443.unwrap_or(true)
                        && !at.member_silent
                }
                Challenge::Dns01 => at.delegated,
            }
    };
    Challenge::ALL.into_iter().filter(can).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use Challenge::{Dns01, Http01, TlsAlpn01};

    #[track_caller]
    fn check(at: Circumstances, expected: &[Challenge]) {
        assert_eq!(choose(&at), expected, "{at:?}");
    }

    fn here() -> Circumstances {
        Circumstances {
            points_here: true,
            port_80: Some(true),
            port_443: Some(true),
            ..Circumstances::default()
        }
    }

    #[test]
    fn a_plain_name_that_points_here_is_proven_by_http_first() {
        check(here(), &[Http01, TlsAlpn01]);
        let delegated = Circumstances {
            delegated: true,
            ..here()
        };
        check(delegated, &[Http01, TlsAlpn01, Dns01]);
    }

    #[test]
    fn tls_is_for_when_port_80_is_not_reached() {
        let closed = Circumstances {
            port_80: Some(false),
            ..here()
        };
        check(closed, &[TlsAlpn01]);
        check(
            Circumstances {
                port_443: Some(false),
                ..closed
            },
            &[],
        );
    }

    #[test]
    fn tls_is_not_chosen_while_a_member_is_silent() {
        let silent = Circumstances {
            member_silent: true,
            ..here()
        };
        check(silent, &[Http01]);
        check(
            Circumstances {
                port_80: Some(false),
                ..silent
            },
            &[],
        );
    }

    #[test]
    fn a_name_that_points_elsewhere_is_proven_by_dns_or_not_at_all() {
        let elsewhere = Circumstances {
            points_here: false,
            ..here()
        };
        check(elsewhere, &[]);
        check(
            Circumstances {
                delegated: true,
                ..elsewhere
            },
            &[Dns01],
        );
    }

    #[test]
    fn a_wildcard_is_proven_by_dns_only() {
        let wildcard = Circumstances {
            wildcard: true,
            ..here()
        };
        check(wildcard, &[]);
        check(
            Circumstances {
                delegated: true,
                ..wildcard
            },
            &[Dns01],
        );
    }

    #[test]
    fn what_settings_force_is_tried_alone_and_only_if_it_can_succeed() {
        for (forced, delegated, expected) in [
            (Http01, true, vec![Http01]),
            (TlsAlpn01, true, vec![TlsAlpn01]),
            (Dns01, true, vec![Dns01]),
            (Dns01, false, vec![]),
        ] {
            let at = Circumstances {
                forced: Some(forced),
                delegated,
                ..here()
            };
            check(at, &expected);
        }
    }

    #[test]
    fn ports_that_nobody_looked_at_are_trusted() {
        let unseen = Circumstances {
            port_80: None,
            port_443: None,
            ..here()
        };
        check(unseen, &[Http01, TlsAlpn01]);
    }
}
