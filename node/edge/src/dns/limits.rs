//! Every bound of the DNS server, and its reason.

use std::time::Duration;

/// Bounds that a test or a configuration may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Queries taken from all sockets in a second; what is beyond waits in the
    /// kernel's queues and is lost there, where it costs nothing. An unoptimised
    /// build takes 11 µs for each, so this is a fifth of a core.
    pub queries: u32,
    /// Datagrams that one network (IPv4 /24, IPv6 /56) is answered in a second. A
    /// CA's resolvers ask a handful of questions for each order; a public
    /// resolver's network asks for all its users.
    pub answers: u32,
    /// Answers that a network may have saved up: an onboarding of hundreds of
    /// hostnames begins with a burst.
    pub burst: u32,
    /// TCP connections at once.
    pub connections: usize,
    /// TCP connections of one network at once.
    pub connections_each: usize,
    /// From a connection's beginning or its last answer to its next query (RFC
    /// 7766 section 6.2.3 asks for a few seconds), and for an answer to be taken.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queries: 20_000,
            answers: 200,
            burst: 1000,
            connections: 256,
            connections_each: 32,
            idle: Duration::from_secs(5),
        }
    }
}

/// Datagrams are at most so long: what passes every path of the Internet in one
/// piece (DNS flag day 2020).
pub(crate) const DATAGRAM: u16 = 1232;
/// What every client takes (RFC 1035 section 2.3.4).
pub(crate) const DATAGRAM_PLAIN: u16 = 512;
/// An answer over TCP.
pub(crate) const STREAM: usize = 65_535;
/// A query. A name, an OPT and its padding are below 1 KB.
pub(crate) const QUERY: usize = 4096;
/// The parts of a second in which [`Limits::queries`] are counted: a flood keeps
/// others waiting no longer than that.
pub(crate) const SLICES: u32 = 100;
/// Every so many answers held back from a network, one tells it to ask again by
/// TCP: a client whose address is not forged gets through.
pub(crate) const SLIP: u64 = 2;
/// Places in which networks are counted, 8 bytes each. Networks that fall into
/// one share their allowance.
pub(crate) const NETWORKS: usize = 1 << 14;
/// Queries on one TCP connection, and how long it may last whatever it does: no
/// resolver needs more of us, and places must come free.
pub(crate) const QUERIES_PER_CONNECTION: usize = 1000;
/// See [`QUERIES_PER_CONNECTION`].
pub(crate) const CONNECTION: Duration = Duration::from_secs(60);
/// Connections the kernel may queue.
pub(crate) const BACKLOG: i32 = 256;
/// Bytes of datagrams that the kernel may queue: what comes in two slices of
/// [`SLICES`], as the kernel counts it.
pub(crate) const RECEIVED: usize = 512 << 10;
/// After a socket failed for want of memory or descriptors.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);
/// Ports drawn until one is free for both UDP and TCP.
pub(crate) const DRAWS: usize = 32;

/// Seconds that a challenge's values, or their absence, may be remembered: the
/// next order has others.
pub(crate) const CHALLENGE_TTL: u32 = 1;
/// Seconds for a tenant's target that is not there yet.
pub(crate) const TARGET_ABSENT: u32 = 30;
/// Seconds for where targets lead: short enough to move them.
pub(crate) const ADDRESS_TTL: u32 = 60;
/// Seconds for who may issue: a new account or CA must not wait long.
pub(crate) const CAA_TTL: u32 = 60;
/// Seconds for SOA, NS and name servers' addresses.
pub(crate) const INFRASTRUCTURE_TTL: u32 = 3600;
