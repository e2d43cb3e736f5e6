//! From a query to its answer. Pure but for what [`Answers`] reads and the
//! counters.

use std::net::IpAddr;

use super::{
    Answers,
    limits::{
        ADDRESS_TTL, CAA_TTL, CHALLENGE_TTL, DATAGRAM, DATAGRAM_PLAIN, INFRASTRUCTURE_TTL, STREAM,
        TARGET_ABSENT,
    },
    metrics::Counters,
    name::Name,
    query::{Edns, Fault, Head, Heard, Query},
    reply::{self, Answer, CLASS_IN, Code, Data, Owner, Record, Soa, kind},
    zone::{Place, Purpose, Zone, Zones},
};

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// The bytes to send back; `None` if nothing is to be said.
pub(crate) fn respond(
    heard: &Heard<'_>,
    transport: Transport,
    answers: &dyn Answers,
    counters: &Counters,
) -> Option<Vec<u8>> {
    let query = match heard {
        Heard::Noise => {
            counters.noise.add();
            return None;
        }
        Heard::Faulty(head, fault) => return Some(faulty(*head, *fault, counters)),
        Heard::Query(query) => query,
    };
    let zones = answers.zones();
    let answer = Desk {
        zones: &zones,
        answers,
        query,
    }
    .answer();
    counters.answered(&answer);
    let written = reply::write(query, &answer, limit(transport, query.edns));
    if reply::is_truncated(&written) {
        counters.truncated.add();
    }
    Some(written)
}

fn faulty(head: Head, fault: Fault, counters: &Counters) -> Vec<u8> {
    let code = match fault {
        Fault::Malformed => Code::Malformed,
        Fault::OtherOperation => Code::NotImplemented,
    };
    counters.answered(&Answer::only(code));
    reply::bare(head, code)
}

/// How long the answer may be. A datagram is never longer than what passes every
/// path in one piece, whatever the client says that it takes.
fn limit(transport: Transport, edns: Option<Edns>) -> usize {
    match (transport, edns) {
        (Transport::Tcp, _) => STREAM,
        (Transport::Udp, None) => DATAGRAM_PLAIN.into(),
        (Transport::Udp, Some(edns)) => edns.payload.clamp(DATAGRAM_PLAIN, DATAGRAM).into(),
    }
}

/// What a query is answered from.
struct Desk<'a> {
    zones: &'a Zones,
    answers: &'a dyn Answers,
    query: &'a Query<'a>,
}

impl<'a> Desk<'a> {
    fn answer(&self) -> Answer<'a> {
        let query = self.query;
        if !query.head.is_query() {
            return Answer::only(Code::NotImplemented); // UPDATE, NOTIFY and the like
        }
        if query.edns.is_some_and(|edns| edns.version > 0) {
            return Answer::only(Code::BadVersion);
        }
        // What is no type of a record. A transfer would show all customers.
        match query.kind {
            kind::AXFR | kind::IXFR => return Answer::only(Code::Refused),
            kind::OPT => return Answer::only(Code::Malformed),
            249..=254 => return Answer::only(Code::NotImplemented),
            _ => {}
        }
        let zone = self.zones.zone(&query.name, query.kind == kind::DS);
        match zone {
            Some(zone) if query.class == CLASS_IN => self.within(zone),
            _ => Answer::only(Code::Refused),
        }
    }

    fn within(&self, zone: &'a Zone) -> Answer<'a> {
        let place = if zone.apex != self.query.name && self.is_delegated(zone) {
            Place::Empty // asked for DS at the cut, of which there is none
        } else {
            self.zones.place(zone, &self.query.name)
        };
        match place {
            Place::Apex => self.apex(zone),
            Place::Nameserver(addresses) => {
                self.with(zone, self.addresses(addresses, INFRASTRUCTURE_TTL))
            }
            Place::Empty => self.with(zone, Vec::new()),
            Place::Nowhere => self.absent(zone),
            Place::Label(label) => match zone.purpose {
                Purpose::Challenges => self.challenge(zone, label),
                Purpose::Targets => self.target(zone, label),
            },
        }
    }

    /// True if the name asked for is the other zone's apex.
    fn is_delegated(&self, zone: &Zone) -> bool {
        let own = self.zones.zone(&self.query.name, false);
        own.is_some_and(|own| own != zone)
    }

    fn apex(&self, zone: &'a Zone) -> Answer<'a> {
        let servers = &self.zones.settings.nameservers;
        match self.query.kind {
            kind::SOA => self.with(zone, vec![self.soa(zone, Owner::Asked, INFRASTRUCTURE_TTL)]),
            kind::NS => {
                let record = |name| self.record(INFRASTRUCTURE_TTL, Data::Ns(name));
                let names = servers.iter().map(|server| record(&server.name));
                let mut answer = self.with(zone, names.collect());
                answer.additional = self.glue();
                answer
            }
            kind::CAA => self.with(zone, self.caa()),
            // An apex may be a name server's name too.
            _ => {
                let own = self.zones.glue(&zone.apex);
                self.with(zone, self.addresses(own, INFRASTRUCTURE_TTL))
            }
        }
    }

    /// The name servers' addresses, as far as they are ours to tell.
    fn glue(&self) -> Vec<Record<'a>> {
        let servers = &self.zones.settings.nameservers;
        let of = |name: &'a Name| {
            self.zones.glue(name).iter().map(move |address| Record {
                owner: Owner::Other(name),
                ttl: INFRASTRUCTURE_TTL,
                data: (*address).into(),
            })
        };
        servers.iter().flat_map(|server| of(&server.name)).collect()
    }

    /// Where a customer's `_acme-challenge` leads. Who may lack the newest values
    /// must not deny them: the CA's resolver then asks another of us.
    fn challenge(&self, zone: &'a Zone, label: &str) -> Answer<'a> {
        let values = self.answers.challenge(label);
        let present = values.as_ref().is_some_and(|values| !values.is_empty());
        let wanted = values.is_none() || matches!(self.query.kind, kind::TXT | kind::ANY);
        if !present && wanted && self.answers.is_behind() {
            return Answer::only(Code::ServerFailure);
        }
        let Some(values) = values else {
            return self.absent(zone);
        };
        if self.query.kind == kind::TXT {
            let record = |value| self.record(CHALLENGE_TTL, Data::Txt(value));
            return self.with(zone, values.into_iter().map(record).collect());
        }
        self.with(zone, self.caa())
    }

    /// Where a tenant's hostnames lead.
    fn target(&self, zone: &'a Zone, label: &str) -> Answer<'a> {
        if !self.answers.is_target(label) {
            return if self.answers.is_behind() {
                Answer::only(Code::ServerFailure)
            } else {
                self.absent(zone)
            };
        }
        let addresses = self.addresses(&self.zones.settings.addresses, ADDRESS_TTL);
        if matches!(self.query.kind, kind::A | kind::AAAA) {
            self.with(zone, addresses)
        } else {
            self.with(zone, self.caa())
        }
    }

    /// CAA records, if they were asked for.
    fn caa(&self) -> Vec<Record<'a>> {
        if self.query.kind != kind::CAA {
            return Vec::new();
        }
        let caa = self.zones.settings.caa.iter();
        caa.map(|caa| self.record(CAA_TTL, Data::Caa(caa)))
            .collect()
    }

    /// Those of the family that was asked for.
    fn addresses(&self, addresses: &[IpAddr], ttl: u32) -> Vec<Record<'a>> {
        let wanted = |address: &&IpAddr| match self.query.kind {
            kind::A => address.is_ipv4(),
            kind::AAAA => address.is_ipv6(),
            _ => false,
        };
        let found = addresses.iter().filter(wanted);
        found
            .map(|address| self.record(ttl, (*address).into()))
            .collect()
    }

    /// The answer of a name that exists. Without records it says for how long
    /// that may be remembered (RFC 2308).
    fn with(&self, zone: &'a Zone, mut answers: Vec<Record<'a>>) -> Answer<'a> {
        if self.query.kind == kind::ANY {
            answers = vec![self.record(INFRASTRUCTURE_TTL, Data::Hinfo)];
        }
        let authorities = if answers.is_empty() {
            vec![self.soa(zone, Owner::Above(&zone.apex), negative_ttl(zone))]
        } else {
            Vec::new()
        };
        Answer {
            authoritative: true,
            answers,
            authorities,
            ..Answer::only(Code::NoError)
        }
    }

    fn absent(&self, zone: &'a Zone) -> Answer<'a> {
        Answer {
            authoritative: true,
            authorities: vec![self.soa(zone, Owner::Above(&zone.apex), negative_ttl(zone))],
            ..Answer::only(Code::NoName)
        }
    }

    fn record(&self, ttl: u32, data: Data<'a>) -> Record<'a> {
        Record {
            owner: Owner::Asked,
            ttl,
            data,
        }
    }

    fn soa(&self, zone: &'a Zone, owner: Owner<'a>, ttl: u32) -> Record<'a> {
        let servers = &self.zones.settings.nameservers;
        let soa = Soa {
            primary: servers.first().map_or(&zone.apex, |server| &server.name),
            apex: &zone.apex,
            serial: self.answers.serial(),
            minimum: negative_ttl(zone),
        };
        Record {
            owner,
            ttl,
            data: Data::Soa(soa),
        }
    }
}

/// How long absence may be remembered. A challenge is asked for as soon as it is
/// there, and perhaps a moment before.
fn negative_ttl(zone: &Zone) -> u32 {
    match zone.purpose {
        Purpose::Challenges => CHALLENGE_TTL,
        Purpose::Targets => TARGET_ABSENT,
    }
}

#[cfg(test)]
#[path = "respond_tests.rs"]
mod tests;
