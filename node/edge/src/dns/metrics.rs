//! What the DNS server counts.

use super::reply::{Answer, Code};
use crate::metrics::{Counter, Figure, Kind, counted};

counted! {
    /// Datagrams received.
    Counter datagrams,
    /// TCP connections accepted.
    Counter connections,
    /// TCP connections open now.
    Gauge connections_open,
    /// TCP connections closed at once because their network had too many.
    Counter connections_refused,
    /// Queries answered with records.
    Counter found,
    /// Queries for names that have no record of the type.
    Counter no_data,
    /// Queries for names that do not exist.
    Counter no_name,
    /// Queries not answered because this node may be behind the others.
    Counter behind,
    /// Queries refused: outside of our zones, transfers, other classes.
    Counter refused,
    /// Queries that were malformed.
    Counter malformed,
    /// Queries for operations that there are not, such as updates.
    Counter not_implemented,
    /// Queries in a version of EDNS that there is not.
    Counter bad_version,
    /// Answers that did not fit into a datagram.
    Counter truncated,
    /// Messages that were no queries.
    Counter noise,
    /// Datagrams not answered because their network asks too much.
    Counter limited,
    /// Datagrams answered with the advice to use TCP, for the same reason.
    Counter slipped,
    /// Times that all queries waited because there were too many.
    Counter paused,
    /// Answers that the network did not take.
    Counter unsent,
    /// Times that a socket failed.
    Counter socket_failures,
}

impl Counters {
    pub(crate) fn answered(&self, answer: &Answer<'_>) {
        let counter = match answer.code {
            Code::NoError if answer.answers.is_empty() => &self.no_data,
            Code::NoError => &self.found,
            Code::NoName => &self.no_name,
            Code::ServerFailure => &self.behind,
            Code::Refused => &self.refused,
            Code::Malformed => &self.malformed,
            Code::NotImplemented => &self.not_implemented,
            Code::BadVersion => &self.bad_version,
        };
        counter.add();
    }
}
