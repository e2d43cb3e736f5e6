//! What an answer says, purely.

use std::net::IpAddr;

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};

use super::exchange::record_type;
use crate::verification::{
    answer::{Answer, Data, Kind, Outcome, Property},
    name::DnsName,
};

/// Most CNAMEs in a row: resolvers give up at about as many (unbound at 11), and so do CAs.
pub(super) const CHAIN_MOST: usize = 10;
/// Most records of an answer that are looked at: none that we look for has so many, and
/// each is compared with the others.
const RECORDS_MOST: usize = 200;

/// An answer of a zone's server.
#[derive(Debug)]
pub(super) enum Reading {
    /// It knows.
    Final(Answer),
    /// It knows CNAMEs that lead out of the zone, to the last of these.
    Away(Vec<DnsName>),
    /// Others know.
    Referral(Delegation),
    /// It does not serve the zone.
    Lame,
    /// It did not answer.
    Failed(Outcome),
}

/// To whom a name is delegated.
#[derive(Clone, Debug)]
pub(super) struct Delegation {
    pub(super) zone: DnsName,
    pub(super) servers: Vec<DnsName>,
    /// Their addresses, as far as the parent gave them.
    pub(super) glue: Vec<(DnsName, IpAddr)>,
}

/// A recursive resolver's answer.
pub(super) fn resolved(message: &Message, name: &DnsName, kind: Kind) -> Answer {
    let code = message.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Answer::plain(failure(code));
    }
    let Some(followed) = Followed::through(message, name, kind, &DnsName::root()) else {
        return Answer::plain(Outcome::Malformed);
    };
    let outcome = match (followed.circle, followed.records.is_empty(), code) {
        (true, _, _) => Outcome::Loop,
        (_, false, _) => Outcome::Records(followed.records),
        (_, true, ResponseCode::NXDomain) => Outcome::NxDomain,
        _ => Outcome::NoData,
    };
    Answer {
        chain: followed.chain,
        outcome,
    }
}

/// The answer of a server of `zone`. What it says of names outside is not believed.
pub(super) fn served(message: &Message, name: &DnsName, kind: Kind, zone: &DnsName) -> Reading {
    let code = message.metadata.response_code;
    match code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        // A server that does not serve a zone refuses, or cannot load it.
        ResponseCode::Refused | ResponseCode::NotAuth => return Reading::Lame,
        code => return Reading::Failed(failure(code)),
    }
    // Some servers mark a delegation as authoritative: what is in it decides.
    if message.answers.is_empty()
        && !has_soa(message)
        && let Some(delegation) = referral(message, name, zone)
    {
        return Reading::Referral(delegation);
    }
    if !message.metadata.authoritative {
        return Reading::Lame;
    }
    let Some(followed) = Followed::through(message, name, kind, zone) else {
        return Reading::Failed(Outcome::Malformed);
    };
    let chain = followed.chain;
    if followed.circle {
        let outcome = Outcome::Loop;
        return Reading::Final(Answer { chain, outcome });
    }
    if !followed.records.is_empty() {
        let outcome = Outcome::Records(followed.records);
        return Reading::Final(Answer { chain, outcome });
    }
    let end = chain.last().unwrap_or(name);
    let outside = !end.is_within(zone);
    let says_none = code == ResponseCode::NXDomain || has_soa(message);
    if !chain.is_empty() && (outside || !says_none) {
        return Reading::Away(chain);
    }
    let outcome = match code {
        ResponseCode::NXDomain => Outcome::NxDomain,
        _ => Outcome::NoData,
    };
    Reading::Final(Answer { chain, outcome })
}

/// CNAMEs of one answer, followed.
struct Followed {
    chain: Vec<DnsName>,
    records: Vec<Data>,
    circle: bool,
}

impl Followed {
    /// From `name` on, as long as names are within `zone`. `None` if a record that matters
    /// cannot be read.
    fn through(message: &Message, name: &DnsName, kind: Kind, zone: &DnsName) -> Option<Self> {
        let answers: Vec<(DnsName, &Record)> = message
            .answers
            .iter()
            .take(RECORDS_MOST)
            .filter_map(|record| Some((text(&record.name)?, record)))
            .collect();
        let mut followed = Self {
            chain: Vec::new(),
            records: Vec::new(),
            circle: false,
        };
        let mut current = name.clone();
        loop {
            let mut here = answers.iter().filter(|(owner, _)| *owner == current);
            followed.records = here
                .clone()
                .filter(|(_, record)| record.record_type() == record_type(kind))
                .map(|(_, record)| data(record))
                .collect::<Option<Vec<Data>>>()?;
            followed.records.sort();
            followed.records.dedup();
            let target = here.find_map(|(_, record)| match &record.data {
                RData::CNAME(target) => Some(text(&target.0)),
                _ => None,
            });
            let Some(target) = target.filter(|_| followed.records.is_empty()) else {
                return Some(followed);
            };
            let target = target?;
            let again = target == *name || followed.chain.contains(&target);
            followed.circle = again || followed.chain.len() >= CHAIN_MOST;
            followed.chain.push(target.clone());
            if followed.circle || !target.is_within(zone) {
                return Some(followed);
            }
            current = target;
        }
    }
}

/// The delegation in an answer that has none of its own: to a zone below `zone` that
/// `name` is in. Any other would lead the walk astray.
fn referral(message: &Message, name: &DnsName, zone: &DnsName) -> Option<Delegation> {
    let below = message.authorities.iter().find_map(|record| {
        let owner = text(&record.name)?;
        let down = record.record_type() == RecordType::NS
            && name.is_within(&owner)
            && owner.is_within(zone)
            && owner != *zone;
        down.then_some(owner)
    })?;
    let servers = message
        .authorities
        .iter()
        .filter_map(|record| match &record.data {
            RData::NS(server) if text(&record.name).as_ref() == Some(&below) => text(&server.0),
            _ => None,
        });
    let glue = message.additionals.iter().take(RECORDS_MOST);
    let glue = glue.filter_map(|record| {
        let address = match &record.data {
            RData::A(address) => IpAddr::V4(address.0),
            RData::AAAA(address) => IpAddr::V6(address.0),
            _ => return None,
        };
        // Glue is believed only for names that the parent is above of.
        let owner = text(&record.name).filter(|owner| owner.is_within(zone))?;
        Some((owner, address))
    });
    Some(Delegation {
        servers: servers.collect(),
        glue: glue.collect(),
        zone: below,
    })
}

fn has_soa(message: &Message) -> bool {
    let mut authorities = message.authorities.iter();
    authorities.any(|record| record.record_type() == RecordType::SOA)
}

fn failure(code: ResponseCode) -> Outcome {
    match code {
        ResponseCode::ServFail => Outcome::ServFail,
        _ => Outcome::Refused,
    }
}

fn text(name: &Name) -> Option<DnsName> {
    DnsName::parse(&name.to_ascii()).ok()
}

fn data(record: &Record) -> Option<Data> {
    Some(match &record.data {
        RData::A(address) => Data::A(address.0),
        RData::AAAA(address) => Data::Aaaa(address.0),
        RData::TXT(txt) => {
            let bytes: Vec<u8> = txt.txt_data.iter().flat_map(|part| part.to_vec()).collect();
            Data::Txt(String::from_utf8_lossy(&bytes).into_owned())
        }
        RData::CAA(caa) => Data::Caa(Property {
            critical: caa.issuer_critical,
            tag: caa.tag.to_ascii_lowercase(),
            value: String::from_utf8_lossy(&caa.value).into_owned(),
        }),
        RData::NS(server) => Data::Ns(text(&server.0)?),
        RData::SOA(soa) => Data::Soa(text(&soa.mname)?, soa.serial),
        _ => return None,
    })
}
