//! All that was seen of a name, as values: what the rules judge.

use std::net::IpAddr;

use super::{
    answer::Look,
    page::{Fetched, Port},
};

/// What was seen. What nobody looked at is a look without sightings, or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// TXT at `_hostquorum.<host>`.
    pub txt: Look,
    /// A at the name, with its CNAMEs. Of no use for a wildcard.
    pub a: Look,
    /// AAAA at the name. Of no use for a wildcard.
    pub aaaa: Look,
    /// TXT at `_acme-challenge.<host>`.
    pub challenge: Look,
    /// CAA at the name and each name above it, lowest first.
    pub caa: Vec<Look>,
    /// What each of the name's addresses said when asked for the claim's token.
    pub pages: Vec<Fetched>,
    /// What port 80 of the cluster's addresses said when asked for our own token.
    pub port_80: Vec<Fetched>,
    /// What our nodes say when asked for it: the newest, and what those say that lag.
    pub own_tokens: Vec<String>,
    /// Port 443 of the cluster's addresses.
    pub port_443: Vec<(IpAddr, Port)>,
}

impl Seen {
    /// True if it was one of our nodes that answered.
    pub fn is_ours(&self, fetched: &Fetched) -> bool {
        self.own_tokens.iter().any(|token| fetched.shows(token))
    }

    /// The addresses that the name has in any view, each once.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let looks = [&self.a, &self.aaaa].into_iter();
        let mut addresses: Vec<IpAddr> = looks
            .flat_map(Look::answers)
            .flat_map(|answer| answer.addresses())
            .collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }
}
