//! What a core counts, and the sum over the cores.
//!
//! Each core writes counters of its own, so that counting shares no cache line;
//! who renders them asks for a [`Snapshot`].

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::http::answer::Reason;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $kind:ident $name:ident,)+) => {
        /// One core's counters.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
            reasons: [Counter; Reason::ALL.len()],
        }

        /// The figures of all cores, added up.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Snapshot {
            $($(#[doc = $doc])+ pub $name: u64,)+
            /// Requests answered by ourselves, by [`Reason::code`].
            pub reasons: Vec<(&'static str, u64)>,
        }

        impl Snapshot {
            pub(crate) fn of(cores: &[Arc<Counters>]) -> Self {
                let sum = |one: fn(&Counters) -> &Counter| cores.iter().map(|core| one(core).get()).sum();
                Self {
                    $($name: sum(|core| &core.$name),)+
                    reasons: Reason::ALL
                        .iter()
                        .map(|reason| (reason.code(), cores.iter().map(|core| core.reason(*reason).get()).sum()))
                        .collect(),
                }
            }

            /// All figures but `reasons`, for rendering: name, help, kind, value.
            pub fn figures(&self) -> Vec<Figure> {
                vec![$(Figure {
                    name: stringify!($name),
                    help: concat!($($doc),+).trim(),
                    kind: Kind::$kind,
                    value: self.$name,
                },)+]
            }
        }
    };
}

/// The counters of one part that all cores count together, and their figures.
macro_rules! counted {
    ($($(#[doc = $doc:literal])+ $kind:ident $name:ident,)+) => {
        /// The counters.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
        }

        /// What was counted so far.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Snapshot {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.get(),)+ }
            }
        }

        impl Snapshot {
            /// All of them, for rendering.
            pub fn figures(&self) -> Vec<Figure> {
                vec![$(Figure {
                    name: stringify!($name),
                    help: concat!($($doc),+).trim(),
                    kind: Kind::$kind,
                    value: self.$name,
                },)+]
            }
        }
    };
}

pub(crate) use counted;

/// One figure of a [`Snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Lower case, words joined by `_`.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// Its value.
    pub value: u64,
}

/// How a figure moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only up.
    Counter,
    /// Up and down.
    Gauge,
}

counters! {
    /// Connections accepted on either port.
    Counter connections,
    /// Connections open now, tunnels included.
    Gauge connections_open,
    /// Times that accepting failed, for want of descriptors as a rule.
    Counter accept_failures,
    /// Resting connections that were asked to end to make room for others.
    Counter connections_shed,
    /// Connections refused because there were as many as there may be.
    Counter refused_full,
    /// Connections refused because memory was used up.
    Counter refused_memory,
    /// Connections refused because their client had too many or opened them too fast.
    Counter refused_client,
    /// Connections refused because too many handshakes were under way.
    Counter refused_handshakes,
    /// Connections refused because no PROXY protocol header of a known front came first.
    Counter fronts_refused,
    /// TLS handshakes completed.
    Counter handshakes,
    /// TLS handshakes that resumed a session, of those completed.
    Counter handshakes_resumed,
    /// TLS handshakes that failed or took too long.
    Counter handshakes_failed,
    /// TLS handshakes under way, from the connection's arrival.
    Gauge handshakes_open,
    /// Connections that had said nothing yet when others needed their place.
    Counter handshakes_shed,
    /// TLS handshakes that waited for their name's first certificate, and got it.
    Counter handshakes_waited,
    /// TLS handshakes that wait so now.
    Gauge handshakes_waiting,
    /// Connections that did not begin with a ClientHello.
    Counter not_tls,
    /// Connections refused for an absent or unknown server name.
    Counter names_unknown,
    /// Connections refused because the name has no certificate yet.
    Counter names_without_certificate,
    /// Handshakes whose key was in the cache.
    Counter keys_found,
    /// Keys read from the store and opened.
    Counter keys_opened,
    /// Keys that could not be read or opened.
    Counter keys_failed,
    /// Keys that gave way to others in the cache.
    Counter keys_evicted,
    /// Parsed keys held now.
    Gauge keys_held,
    /// HTTP/2 connections ended for frames that move nothing.
    Counter floods,
    /// Requests on either port.
    Counter requests,
    /// Requests being served now.
    Gauge requests_open,
    /// Requests answered by an origin.
    Counter forwarded,
    /// Connections opened to origins.
    Counter origin_connections,
    /// Requests sent on a connection that was open already.
    Counter origin_reused,
    /// Requests sent again because a pooled connection had just ended.
    Counter origin_retries,
    /// Requests sent to another origin because the first gave no answer.
    Counter origin_failovers,
    /// Times that an origin was left alone for its failures.
    Counter origin_ejections,
    /// Times that an origin was found ill.
    Counter origin_ill,
    /// Connections refused because their hostname has too many.
    Counter connections_refused,
    /// Tunnels (WebSocket) opened.
    Counter tunnels,
    /// Tunnels open now.
    Gauge tunnels_open,
    /// Challenges answered from the state.
    Counter challenges_answered,
    /// Challenges answered after asking the leader.
    Counter challenges_fetched,
    /// Challenges answered with the account's thumbprint alone.
    Counter challenges_stateless,
    /// Requests for challenges that nobody knows.
    Counter challenges_unknown,
    /// Looks from outside answered, which ask whether one of our nodes is here.
    Counter reach_answered,
    /// Handshakes that proved a name to a CA (tls-alpn-01).
    Counter validations,
    /// Such handshakes refused, because the name has no such challenge.
    Counter validations_refused,
    /// Lines of the access log that requests have left.
    Counter access_log_lines,
    /// Lines of the access log that were dropped, because those before were not taken in time.
    Counter access_log_dropped,
}

impl Counters {
    pub(crate) fn reason(&self, reason: Reason) -> &Counter {
        &self.reasons[reason as usize]
    }
}

/// A number that one core writes and anybody may read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn sub(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
