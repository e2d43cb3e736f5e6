//! An entry to what reads resolvers' and name servers' replies, for `tests/fuzz`. The
//! feature of this name adds it and changes nothing.

use std::net::IpAddr;

use super::{
    exchange::{self, Question},
    read::{self, Delegation, Reading},
};
use crate::verification::{
    answer::{Answer, Kind, Outcome},
    name::DnsName,
};

/// Most CNAMEs that an answer may have.
pub const CHAIN_MOST: usize = read::CHAIN_MOST;

/// A reply, as whom it came from.
#[derive(Debug)]
pub struct Read {
    /// A recursive resolver's.
    pub resolved: Answer,
    /// A zone's own server's.
    pub served: Served,
}

/// What a zone's own server said.
#[derive(Debug)]
pub enum Served {
    /// All.
    Final(Answer),
    /// CNAMEs that lead out of the zone.
    Away(Vec<DnsName>),
    /// Others know: those of this zone, at these servers, with the addresses that were
    /// given.
    Referral(DnsName, Vec<DnsName>, Vec<(DnsName, IpAddr)>),
    /// Nothing that could be used.
    Nothing(Option<Outcome>),
}

/// Reads `reply` as one to the question for `kind` at `name`, asked with the id `id` of a
/// server of `zone`; `None` if it is no answer to that.
pub fn reply(id: u16, reply: &[u8], name: &DnsName, kind: Kind, zone: &DnsName) -> Option<Read> {
    let question = Question::new(name, kind);
    let message = exchange::fuzzed(id, reply, &question)?;
    let served = match read::served(&message, name, kind, zone) {
        Reading::Final(answer) => Served::Final(answer),
        Reading::Away(chain) => Served::Away(chain),
        Reading::Referral(Delegation {
            zone,
            servers,
            glue,
        }) => Served::Referral(zone, servers, glue),
        Reading::Lame => Served::Nothing(None),
        Reading::Failed(outcome) => Served::Nothing(Some(outcome)),
    };
    Some(Read {
        resolved: read::resolved(&message, name, kind),
        served,
    })
}
