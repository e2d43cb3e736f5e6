//! Serving customers' traffic: TLS by server name, and proxying to the origin.
//!
//! The promise: what a node has ever been told it serves, with no quorum, no
//! leader, no peer and no network but the clients' and the origins'. The edge
//! reads a [`view::View`] of the latest state, made by a pointer's swap, and
//! certificates' bodies from this node's disk. While a node that starts still reads its
//! state, the hostnames that clients ask for are looked up one by one.
//!
//! Each core has a thread, a runtime, listeners, a cache of keys and pools of
//! connections to origins of its own; nothing that is written is shared between
//! cores on the road of a request.
//!
//! ```text
//! listener -> admission -> connection (-> proxy_protocol) -> tls/hello -> tls/resolver -> tls/keys
//!          -> tls/tickets -> tls/server
//!          -> http/framing, http/authority -> http/route -> http/forward -> upstream
//! ```
//!
//! How a name is served where that is not as by default is decided in the state and made
//! ready in `policy`, which handshake, request and upstream look at.
//!
//! Each request is noted down as it goes (`observe`): in sums for each hostname, and in lines
//! of the access log, which another writes.
//!
//! Beside them one thread answers DNS for what customers delegate to us ([`dns`]),
//! from the same view.
//!
//! This crate never waits for the cluster on the TLS and proxy path of a name that is served,
//! never writes to disk, and has no name for quorum or leader; its one question to the leader
//! (a challenge missing locally, [`ChallengeSource`]) is bounded by 1 s and asked
//! only while a CA validates: on the http port, or in a handshake that offers
//! `acme-tls/1` alone. Of names that nobody authorized it asks ([`on_demand`]) only where that
//! was configured, within bounds. To a CA that validates by TLS it shows what the
//! cluster agreed on (`tls/alpn`), and to nobody else. It never guesses a protocol
//! from bytes, never keeps TLS sessions (clients do, in tickets that any node opens), and
//! never forwards a head as it came.

mod admission;
mod connection;
pub mod dns;
mod http;
mod limits;
mod listener;
mod metrics;
mod observe;
pub mod on_demand;
mod policy;
pub mod proxy_protocol;
mod running;
mod tls;
mod upstream;
pub mod view;
mod worker;

#[cfg(feature = "fuzzing")]
pub use self::http::fuzzing;
pub use self::{
    admission::MemoryUsed,
    http::{
        answer::Reason,
        challenge::{ChallengeSource, Unreachable},
        route,
    },
    limits::{Limits, Shares},
    metrics::{Figure, Kind, Snapshot},
    observe::{
        access_log::{AccessLog, Chunk, Chunks, Rules},
        latency::{Bucket, Latency},
        tally::{CLASSES, Hostnames, Totals},
        trace::{Trace, TraceContext},
    },
    running::{Addresses, Config, Drained, Edge, Health, Inputs, Running, StartError},
    tls::hello,
    upstream::{RootsError, roots},
};
