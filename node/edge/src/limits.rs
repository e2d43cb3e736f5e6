//! Every bound of the data plane, and its reason.
//!
//! What an operator may have to change is a field of [`Limits`]; what follows
//! from a protocol, or would only ever be changed together with the code that
//! leans on it, is a constant.

use std::time::Duration;

use state::traffic::Rate;

/// Bounds that a configuration may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections of all cores at once on the https port, handshakes and tunnels
    /// included. Near it those that rest are ended, beyond it new ones refused.
    pub connections: usize,
    /// The same on the http port, counted apart: its answers are short, and a
    /// flood there must not keep anybody from the other.
    pub plain_connections: usize,
    /// Connections of one client (an IPv4 address, an IPv6 /64) at once, on both ports.
    /// Some thousand people may share an address of their carrier.
    pub connections_each: Option<u32>,
    /// Connections that one client may open in a second.
    pub rate_each: Option<Rate>,
    /// Handshakes of one core under way at once, each up to some 20 KB. Beyond it those
    /// leave that have said nothing yet, the oldest first.
    pub handshakes: u64,
    /// Descriptors that the process may have. A part is left for what is no traffic; the
    /// rest is for clients and origins in equal shares.
    pub descriptors: usize,
    /// Octets of memory that the process should not exceed.
    pub memory: u64,
    /// From `accept` to the end of the TLS handshake. A full handshake over a
    /// satellite link takes 2 s.
    pub handshake: Duration,
    /// How long a handshake for a hostname whose first certificate is being ordered waits for
    /// it. Zero: it ends at once, with an alert.
    pub wait_for_certificate: Duration,
    /// Handshakes that a core lets wait so at once.
    pub waiting: usize,
    /// From a request's first byte (on a new connection: from the handshake) to
    /// the end of its head. Absolute, so that one byte a second gains nothing.
    pub head: Duration,
    /// Between two requests on one connection.
    pub idle: Duration,
    /// Between two pieces of a request's body, until the origin has answered.
    pub body_idle: Duration,
    /// The client takes none of what we have for it.
    pub write_stall: Duration,
    /// Neither side of an answered exchange says anything. Long, because streams
    /// of events and gRPC streams rest for minutes by design.
    pub exchange_idle: Duration,
    /// Nothing in either direction of a WebSocket. Longer than the pings of all
    /// common libraries.
    pub tunnel_idle: Duration,
    /// Looking the origin up and opening a TCP connection to it. Origins are
    /// near; a lost SYN is sent again after 1 s.
    pub connect: Duration,
    /// The TLS or HTTP/2 handshake with the origin.
    pub origin_handshake: Duration,
    /// From the last piece of the request to the head of the response.
    pub response_head: Duration,
    /// How long a connection to an origin may rest in the pool. Below the 5 s
    /// after which node.js and uvicorn close theirs, so that we close first and
    /// no request meets a connection that is going away.
    pub upstream_idle: Duration,
    /// Connections of one core to one origin, in use and resting. Above it a
    /// request waits `connect` for one, then is answered 503.
    pub upstream_connections: usize,
    /// Resting connections of one core to one origin.
    pub upstream_resting: usize,
    /// Bytes of one request's body. Streams cost no memory; this ends an upload
    /// that has run away.
    pub request_body: u64,
    /// Parsed keys a core keeps, about 8 KB each.
    pub keys: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 50_000,
            plain_connections: 4096,
            connections_each: Some(4000),
            rate_each: Some(Rate {
                per_second: 1000,
                burst: 4000,
            }),
            handshakes: 2048,
            descriptors: usize::MAX,
            memory: u64::MAX,
            handshake: Duration::from_secs(10),
            wait_for_certificate: Duration::ZERO,
            waiting: 256,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            body_idle: Duration::from_secs(30),
            write_stall: Duration::from_secs(30),
            exchange_idle: Duration::from_secs(300),
            tunnel_idle: Duration::from_secs(3600),
            connect: Duration::from_secs(3),
            origin_handshake: Duration::from_secs(5),
            response_head: Duration::from_secs(60),
            upstream_idle: Duration::from_secs(4),
            upstream_connections: 4096,
            upstream_resting: 256,
            request_body: 10 << 30,
            keys: 4096,
        }
    }
}

/// What each part of the traffic may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Clients' connections on the https port.
    pub https: usize,
    /// And on the http port.
    pub http: usize,
    /// Connections to origins.
    pub origins: usize,
}

impl Limits {
    /// How descriptors are shared out. Each client's connection may need one to an origin.
    pub fn shares(&self) -> Shares {
        let traffic = self.descriptors - DESCRIPTORS_KEPT.min(self.descriptors / 4);
        let clients = traffic / 2;
        let http = self.plain_connections.min(clients / 8);
        let https = self.connections.min(clients - http);
        Shares {
            https,
            http,
            origins: traffic - https - http,
        }
    }
}

/// Descriptors for all that is no traffic: peers and operators, the store, DNS.
const DESCRIPTORS_KEPT: usize = 1024;
/// Hundredths of the places that may be taken before those who rest are asked to leave.
pub(crate) const CROWDED: usize = 90;
/// The part of the idle that is asked to leave at once, one in so many.
pub(crate) const SHED_PART: usize = 16;
/// A core does not look through its connections more often.
pub(crate) const SHED_EVERY: Duration = Duration::from_millis(10);
/// What was refused is said no more often.
pub(crate) const SHED_REPORT: Duration = Duration::from_secs(1);
/// How often the memory in use is looked at.
pub(crate) const MEMORY_LOOK: Duration = Duration::from_millis(250);
/// Hundredths of the memory that may be used before those who rest are asked to leave.
pub(crate) const MEMORY_TIGHT: u64 = 90;
/// Hundredths of the places that are given whatever memory is used: that may be no fault of
/// connections, and a node that takes none at all is down.
pub(crate) const ROOM_WITHOUT_MEMORY: usize = 10;
/// Handshakes computed before all else that is ready is polled. Four take a millisecond.
pub(crate) const HANDSHAKES_A_TURN: usize = 4;

/// Connections the kernel may queue for one listener while its core is busy.
pub(crate) const BACKLOG: i32 = 4096;
/// After `accept` failed for want of descriptors or memory: trying at once
/// would only burn the core.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What may follow the fixed part of a PROXY protocol header. Addresses take 36 octets, and
/// what load balancers add (ids, the names of a client's certificate) some hundred.
pub(crate) const PROXY_HEADER: usize = 2 << 10;
/// A ClientHello, its handshake header included. With post-quantum key shares
/// they are near 2 KB; rustls would take 64 KB.
pub(crate) const HELLO: usize = 16 << 10;
/// The records that carry a ClientHello. Fragments of a few bytes are seen only
/// in attacks and tests.
pub(crate) const HELLO_RECORDS: usize = 64;
/// Tickets for a client after a handshake. It should use each once (RFC 8446 appendix C.4)
/// and gets as many for each that it uses; two, so that one that is lost with a connection
/// does not cost a full handshake.
pub(crate) const TICKETS: usize = 2;
/// How long a session may be resumed after its full handshake, however often: then the
/// certificate's key is proven again. In TLS 1.2 all that is resumed has one secret.
pub(crate) const SESSION: Duration = Duration::from_secs(12 * 3600);
/// A ticket. Ours have 150 bytes and the name.
pub(crate) const TICKET: usize = 1024;
/// Tickets that are tried in one handshake: clients offer one or two, and a hello has room
/// for hundreds.
pub(crate) const TICKETS_TRIED: usize = 4;
/// A request's target (RFC 9112 section 3 recommends at least 8000 octets).
pub(crate) const TARGET: usize = 8 << 10;
/// One header field's value.
pub(crate) const FIELD: usize = 16 << 10;
/// A whole HTTP/1.1 head.
pub(crate) const HEAD: usize = 32 << 10;
/// Header fields of one message, in either direction.
pub(crate) const FIELDS: usize = 100;
/// What hyper may hold of an HTTP/1.1 connection in one direction: a head and
/// as much of a body.
pub(crate) const H1_BUFFER: usize = 64 << 10;
/// SETTINGS_MAX_CONCURRENT_STREAMS of a client's connection.
pub(crate) const H2_STREAMS: u32 = 100;
/// Flow-control window of a stream; with the streams it bounds a connection's
/// memory by way of the next.
pub(crate) const H2_STREAM_WINDOW: u32 = 64 << 10;
/// Flow-control window of a connection.
pub(crate) const H2_CONNECTION_WINDOW: u32 = 1 << 20;
/// SETTINGS_MAX_HEADER_LIST_SIZE.
pub(crate) const H2_HEADER_LIST: u32 = 16 << 10;
/// What hyper buffers of one stream's response.
pub(crate) const H2_SEND_BUFFER: usize = 64 << 10;
/// Streams a client may reset before they were accepted (rapid reset,
/// CVE-2023-44487), and streams we reset for its faults (CVE-2025-8671).
pub(crate) const H2_REMOTE_RESETS: usize = 20;
/// See [`H2_REMOTE_RESETS`].
pub(crate) const H2_LOCAL_RESETS: usize = 1024;
/// PING, SETTINGS, PRIORITY and unknown frames that a client may send at once, on an HTTP/2
/// connection: each costs an answer or a look, and moves nothing.
pub(crate) const IDLE_FRAMES: u32 = 2_000;
/// How many more of them each second allows. A client that measures the way or keeps it open
/// sends some in a minute.
pub(crate) const IDLE_FRAMES_A_SECOND: u32 = 50;
/// One more of them is allowed for so many bytes that the client takes: gRPC's clients send a
/// PING each round trip while a body comes in.
pub(crate) const WRITTEN_FOR_IDLE_FRAME: usize = 4096;
/// Streams on one HTTP/2 connection to an origin before another is opened.
pub(crate) const ORIGIN_STREAMS: usize = 100;
/// HTTP/2 connections of one core to one origin.
pub(crate) const ORIGIN_H2_CONNECTIONS: usize = 8;
/// Flow-control window of a stream from an origin; the connection's is this
/// times the streams, so that slow clients cannot starve the others.
pub(crate) const ORIGIN_STREAM_WINDOW: u32 = 128 << 10;
/// The head of an HTTP/2 response. Larger than what clients may send: policies
/// and cookies of applications reach 20 KB.
pub(crate) const ORIGIN_H2_HEADER_LIST: u32 = 64 << 10;
/// Times that a request may have passed through us already. Two clusters in a row
/// are imaginable, an origin that leads back to us is a mistake often made.
pub(crate) const PASSAGES: usize = 4;
/// How long an HTTP/2 connection to an origin may rest. Either end may close it
/// without losing a request, so it may be long.
pub(crate) const ORIGIN_H2_REST: Duration = Duration::from_secs(60);
/// Asking a silent HTTP/2 origin whether it is there, and waiting for that.
pub(crate) const ORIGIN_PING: Duration = Duration::from_secs(20);
/// How often resting connections are looked through.
pub(crate) const SWEEP: Duration = Duration::from_secs(1);
/// Addresses of an origin that one dial tries.
pub(crate) const ORIGIN_ADDRESSES: usize = 4;
/// Origins whose pools a core keeps beyond those that settings in use name.
pub(crate) const ORIGINS: usize = 4096;
/// Sets of settings that a core keeps made, about 2 KB each; beyond it they are made for
/// each connection.
pub(crate) const POLICIES: usize = 16_384;
/// How long one is kept that no connection uses. Its origins are asked whether they
/// are well for as long.
pub(crate) const POLICY_REST: Duration = Duration::from_secs(60);
/// Origins that a node asks whether they are well; others count as well until they fail.
pub(crate) const CHECKED: usize = 4096;
/// Hostnames whose rates or connections are limited and counted at once by a node, in
/// [`ALLOWANCE_SHARDS`] parts of about 100 bytes each; beyond it a hostname that comes
/// anew is not limited.
pub(crate) const ALLOWANCES: usize = 65_536;
/// Parts with a lock each, so that cores seldom meet.
pub(crate) const ALLOWANCE_SHARDS: usize = 64;
/// Requests that may go to another origin at once after a rest, and once more in each
/// part of a second, whatever the share allowed: a hostname with few requests has none.
pub(crate) const FAILOVERS: u32 = 3;
/// An origin that fails again and again is left alone for at most so many periods.
pub(crate) const EJECTION_TIMES: u32 = 10;
/// A client certificate's names as a field's value; longer ones are left out.
pub(crate) const IDENTITY: usize = 4 << 10;
/// Bytes of lines of the access log that a core hands on at once: some hundred lines, so
/// that who writes them is woken seldom.
pub(crate) const ACCESS_LOG_CHUNK: usize = 32 << 10;
/// After which lines are handed on though there are few.
pub(crate) const ACCESS_LOG_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of one core's lines that may wait for being written: a third of a second of what
/// a core can serve. Beyond it lines are dropped.
pub(crate) const ACCESS_LOG_WAITING: usize = 4 << 20;
/// Bytes of a text of a client's choice in a line of the access log.
pub(crate) const ACCESS_LOG_TEXT: usize = 2 << 10;
/// Keys being opened for one core at once: beyond it the store is stuck, and
/// waiting longer would only fill memory.
pub(crate) const KEYS_OPENING: usize = 256;
/// How long a key that could not be opened is not tried again: a client could
/// otherwise make us read and log as fast as it connects.
pub(crate) const KEY_RETRY: Duration = Duration::from_secs(1);
/// Such keys remembered by a core.
pub(crate) const KEYS_FAILED: usize = 1024;
/// Threads that read the store and open keys, for all cores. Two, so that one
/// hanging read does not end new names.
pub(crate) const OPENERS: usize = 2;
/// Connections that a draining core tells to end in a second: all of them come back to the
/// other nodes, with handshakes. In at most half of the time there is.
pub(crate) const TOLD_PER_SECOND: u32 = 1000;
/// They are told so many at once.
pub(crate) const TOLD_AT_ONCE: u32 = 10;
/// How long a draining core takes connections on, each for what it asks first: who was just
/// told to go may come back before it is led elsewhere. At most half of the time there is.
pub(crate) const LISTEN_ON: Duration = Duration::from_secs(1);
/// After a connection was told to end and has nothing in flight.
pub(crate) const CLOSING: Duration = Duration::from_secs(5);
/// Asking the leader for a challenge: the CA's own patience is 10 s, and the
/// stateless answer must still reach it.
pub(crate) const CHALLENGE: Duration = Duration::from_secs(1);
/// Questions to the leader in one second from this node; a validation asks
/// three to five times.
pub(crate) const CHALLENGES_PER_SECOND: u32 = 50;
/// Tokens remembered as unknown to the leader.
pub(crate) const CHALLENGES_UNKNOWN: usize = 1024;
/// How long. Short: the leader may learn of it, and then so do we by the view.
pub(crate) const CHALLENGE_UNKNOWN: Duration = Duration::from_secs(2);
/// Proofs for CAs (tls-alpn-01) that a core keeps, about 8 KB each. A CA asks
/// for each from three to five places within seconds; to make one again costs a
/// tenth of a millisecond.
pub(crate) const PROOFS: usize = 64;
/// Answers about hostnames that are not authorized which are remembered, about 150 bytes each;
/// beyond it the oldest are forgotten.
pub(crate) const ANSWERS: usize = 16_384;
/// Clients whose questions are counted at once: as many as can have asked before the first of
/// them may again as if it never had.
pub(crate) const ASKERS: usize = 16_384;
/// Seconds' worth of questions that a client has at once after a rest: a page may name some
/// hostnames that are all new.
pub(crate) const BURST_EACH: u32 = 10;
/// Agreeing on a hostname that may be authorized, an election included.
pub(crate) const AUTHORIZING: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_shared_out() {
        let shares = |descriptors| {
            let limits = Limits {
                descriptors,
                ..Limits::default()
            };
            let Shares {
                https,
                http,
                origins,
            } = limits.shares();
            (https, http, origins)
        };
        for (descriptors, expected) in [
            (64, (21, 3, 24)),
            (1024, (336, 48, 384)),
            (20_000, (8302, 1186, 9488)),
            (524_288, (50_000, 4096, 469_168)),
        ] {
            assert_eq!(shares(descriptors), expected, "{descriptors}");
        }
    }
}
