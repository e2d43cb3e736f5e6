//! An answer's bytes (RFC 1035 section 4.1, RFC 6891, RFC 8659).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    limits::DATAGRAM,
    name::Name,
    query::{Edns, HEADER, Head, Query},
    zone::Caa,
};

/// Types of records (IANA's registry).
pub(crate) mod kind {
    pub(crate) const A: u16 = 1;
    pub(crate) const NS: u16 = 2;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const HINFO: u16 = 13;
    pub(crate) const TXT: u16 = 16;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const OPT: u16 = 41;
    pub(crate) const DS: u16 = 43;
    pub(crate) const IXFR: u16 = 251;
    pub(crate) const AXFR: u16 = 252;
    pub(crate) const ANY: u16 = 255;
    pub(crate) const CAA: u16 = 257;
}

pub(crate) const CLASS_IN: u16 = 1;

/// Response codes (RFC 1035 section 4.1.1, RFC 6891 section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    NoError = 0,
    Malformed = 1,
    ServerFailure = 2,
    NoName = 3,
    NotImplemented = 4,
    Refused = 5,
    BadVersion = 16,
}

/// An answer before it is bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) code: Code,
    /// The name is in a zone of ours (AA).
    pub(crate) authoritative: bool,
    pub(crate) answers: Vec<Record<'a>>,
    pub(crate) authorities: Vec<Record<'a>>,
    /// May be left out if there is no room.
    pub(crate) additional: Vec<Record<'a>>,
}

impl Answer<'_> {
    /// Nothing but a code.
    pub(crate) const fn only(code: Code) -> Self {
        Self {
            code,
            authoritative: false,
            answers: Vec::new(),
            authorities: Vec::new(),
            additional: Vec::new(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) owner: Owner<'a>,
    /// Seconds.
    pub(crate) ttl: u32,
    pub(crate) data: Data<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner<'a> {
    /// The name asked for.
    Asked,
    /// An apex that the name asked for is within.
    Above(&'a Name),
    /// Any other.
    Other(&'a Name),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Data<'a> {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Ns(&'a Name),
    Soa(Soa<'a>),
    Txt(String),
    Caa(&'a Caa),
    /// What ANY is answered with (RFC 8482 section 4.2).
    Hinfo,
}

impl From<IpAddr> for Data<'_> {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::A(address),
            IpAddr::V6(address) => Self::Aaaa(address),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Soa<'a> {
    pub(crate) primary: &'a Name,
    /// `hostmaster` at this name.
    pub(crate) apex: &'a Name,
    pub(crate) serial: u32,
    /// How long absence may be remembered, in seconds.
    pub(crate) minimum: u32,
}

const RESPONSE: u8 = 0x80;
const AUTHORITATIVE: u8 = 0x04;
const TRUNCATED: u8 = 0x02;

/// The answer to a message whose question cannot be given back.
pub(crate) fn bare(head: Head, code: Code) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes[..2].copy_from_slice(&head.id.to_be_bytes());
    bytes[2] = RESPONSE | (head.opcode << 3) | u8::from(head.recursion_desired);
    bytes[3] = code as u8 & 0x0f;
    bytes
}

/// The answer as bytes, at most `limit` of them: the question and all records,
/// or the question alone and the sign to ask again by TCP.
pub(crate) fn write(query: &Query<'_>, answer: &Answer<'_>, limit: usize) -> Vec<u8> {
    let edns_length = if query.edns.is_some() { OPT_LENGTH } else { 0 };
    let room = limit.saturating_sub(edns_length);
    let mut message = Message::new(query, answer);
    let whole = message.all(&answer.answers, ANSWERS, room)
        && message.all(&answer.authorities, AUTHORITIES, room);
    if whole {
        for record in &answer.additional {
            if !message.all(std::slice::from_ref(record), ADDITIONAL, room) {
                break;
            }
        }
    } else {
        message.truncate();
    }
    message.end(query.edns, answer.code)
}

/// The question alone, and the sign to ask again by TCP: what a client is told
/// whose address may be forged.
pub(crate) fn ask_again(query: &Query<'_>) -> Vec<u8> {
    let answer = Answer::only(Code::NoError);
    let mut message = Message::new(query, &answer);
    message.truncate();
    message.end(query.edns, answer.code)
}

/// True if `reply` is one of ours that did not fit.
pub(crate) fn is_truncated(reply: &[u8]) -> bool {
    reply.get(2).is_some_and(|flags| flags & TRUNCATED != 0)
}

/// Places of the counts in the header.
const ANSWERS: usize = 6;
const AUTHORITIES: usize = 8;
const ADDITIONAL: usize = 10;

/// A root's name, type, class, TTL and no options.
const OPT_LENGTH: usize = 11;

struct Message<'q> {
    bytes: Vec<u8>,
    query: &'q Query<'q>,
}

impl<'q> Message<'q> {
    fn new(query: &'q Query<'q>, answer: &Answer<'_>) -> Self {
        let mut bytes = bare(query.head, answer.code);
        bytes[2] |= if answer.authoritative {
            AUTHORITATIVE
        } else {
            0
        };
        bytes[5] = 1; // one question
        bytes.extend_from_slice(query.question);
        Self { bytes, query }
    }

    /// Writes `records`, or none of them if they do not fit.
    fn all(&mut self, records: &[Record<'_>], section: usize, room: usize) -> bool {
        let before = self.bytes.len();
        for record in records {
            self.record(record);
            if self.bytes.len() > room {
                self.bytes.truncate(before);
                return false;
            }
        }
        // Far fewer than 65536 fit into a message.
        self.count(section, u16::try_from(records.len()).unwrap_or(u16::MAX));
        true
    }

    fn count(&mut self, section: usize, more: u16) {
        let count = u16::from_be_bytes([self.bytes[section], self.bytes[section + 1]]);
        let count = count.saturating_add(more).to_be_bytes();
        self.bytes[section..section + 2].copy_from_slice(&count);
    }

    fn record(&mut self, record: &Record<'_>) {
        let name = &self.query.name;
        match record.owner {
            Owner::Asked => self.pointer(HEADER),
            Owner::Above(apex) => match name.below(apex) {
                Some(prefix) => self.pointer(HEADER + prefix.len()),
                None => self.name(apex),
            },
            Owner::Other(other) => self.name(other),
        }
        let kind = match &record.data {
            Data::A(_) => kind::A,
            Data::Aaaa(_) => kind::AAAA,
            Data::Ns(_) => kind::NS,
            Data::Soa(_) => kind::SOA,
            Data::Txt(_) => kind::TXT,
            Data::Caa(_) => kind::CAA,
            Data::Hinfo => kind::HINFO,
        };
        self.u16(kind);
        self.u16(CLASS_IN);
        self.u32(record.ttl);
        let length_at = self.bytes.len();
        self.u16(0);
        self.data(&record.data);
        // Our data is far shorter than that: values and names are bounded.
        let length = u16::try_from(self.bytes.len() - length_at - 2).unwrap_or(u16::MAX);
        self.bytes[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    }

    fn data(&mut self, data: &Data<'_>) {
        match data {
            Data::A(address) => self.bytes.extend(address.octets()),
            Data::Aaaa(address) => self.bytes.extend(address.octets()),
            Data::Ns(name) => self.name(name),
            Data::Soa(soa) => self.soa(soa),
            Data::Txt(value) => {
                // A value longer than one string is given as several.
                for piece in value.as_bytes().chunks(255) {
                    self.string(piece);
                }
                if value.is_empty() {
                    self.string(b"");
                }
            }
            Data::Caa(caa) => {
                const CRITICAL: u8 = 0x80;
                self.bytes.push(if caa.critical { CRITICAL } else { 0 });
                self.string(caa.tag.as_bytes());
                self.bytes.extend_from_slice(caa.value.as_bytes());
            }
            Data::Hinfo => {
                self.string(b"RFC8482");
                self.string(b"");
            }
        }
    }

    fn soa(&mut self, soa: &Soa<'_>) {
        self.name(soa.primary);
        self.string(b"hostmaster");
        self.name(soa.apex);
        self.u32(soa.serial);
        // Nobody transfers the zone: what secondaries would do is convention.
        for seconds in [3600, 600, 604_800] {
            self.u32(seconds);
        }
        self.u32(soa.minimum);
    }

    fn truncate(&mut self) {
        self.bytes.truncate(HEADER + self.query.question.len());
        self.bytes[ANSWERS..HEADER].fill(0);
        self.bytes[2] |= TRUNCATED;
    }

    /// Adds the client's OPT's counterpart, if it sent one.
    fn end(mut self, edns: Option<Edns>, code: Code) -> Vec<u8> {
        if let Some(edns) = edns {
            self.bytes.push(0);
            self.u16(kind::OPT);
            self.u16(DATAGRAM);
            let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
            self.bytes.extend([(code as u8) >> 4, 0, dnssec_ok, 0]);
            self.u16(0);
            self.count(ADDITIONAL, 1);
        }
        self.bytes
    }

    fn name(&mut self, name: &Name) {
        self.bytes.extend_from_slice(name.wire());
    }

    fn pointer(&mut self, to: usize) {
        // The question begins at 12 and is at most 255 long.
        self.u16(0xc000 | u16::try_from(to).unwrap_or_default());
    }

    /// At most 255 bytes behind their length.
    fn string(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(255)];
        self.bytes
            .push(u8::try_from(bytes.len()).unwrap_or_default());
        self.bytes.extend_from_slice(bytes);
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend(value.to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend(value.to_be_bytes());
    }
}
