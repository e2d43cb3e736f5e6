//! Looks as short texts, for tables of cases.
//!
//! An answer is `CNAME a.example | CNAME b.example | 192.0.2.1 | 192.0.2.2`, or ends in one
//! of `nothing`, `nxdomain`, `servfail`, `timeout`, `bogus`, `lame`, `loop`. TXT and CAA
//! stand as they are. What all vantages say is said once; otherwise first resolver, second
//! resolver and the zone's own server are set apart by ` // `.

use std::net::SocketAddr;

use state::Hostname;

use super::{
    agreement::Agreement,
    answer::{Answer, Data, Kind, Look, Outcome, Property, Sighting, Vantage},
    caa::Issuer,
    claim::{Claim, Cluster, Purpose, Subject, Token},
    name::DnsName,
    page::{Fetched, Page},
    seen::Seen,
};

pub(super) fn name(text: &str) -> DnsName {
    DnsName::parse(text).unwrap()
}

pub(super) fn host(text: &str) -> Hostname {
    Hostname::parse(text).unwrap()
}

pub(super) fn look(owner: &str, kind: Kind, sketch: &str) -> Look {
    let texts: Vec<&str> = sketch.split(" // ").collect();
    let at = |place: usize| -> SocketAddr { format!("192.0.2.{}:53", 53 + place).parse().unwrap() };
    let vantages = [
        Vantage::Recursive(at(0)),
        Vantage::Recursive(at(1)),
        Vantage::Authoritative(name("ns.client.example"), at(2)),
    ];
    let sightings = vantages
        .into_iter()
        .enumerate()
        .map(|(place, vantage)| Sighting {
            vantage,
            answer: answer(kind, texts.get(place).copied().unwrap_or(texts[0])),
        });
    Look {
        name: name(owner),
        kind,
        sightings: sightings.collect(),
    }
}

fn answer(kind: Kind, sketch: &str) -> Answer {
    let mut chain = Vec::new();
    let mut records = Vec::new();
    let mut outcome = None;
    for part in sketch.split(" | ") {
        if let Some(target) = part.strip_prefix("CNAME ") {
            chain.push(name(target));
        } else if let Some(end) = end(part) {
            outcome = Some(end);
        } else {
            records.push(data(kind, part));
        }
    }
    records.sort();
    Answer {
        chain,
        outcome: outcome.unwrap_or(Outcome::Records(records)),
    }
}

fn end(text: &str) -> Option<Outcome> {
    Some(match text {
        "nothing" => Outcome::NoData,
        "nxdomain" => Outcome::NxDomain,
        "servfail" => Outcome::ServFail,
        "timeout" => Outcome::Timeout,
        "bogus" => Outcome::Bogus,
        "lame" => Outcome::Lame,
        "loop" => Outcome::Loop,
        _ => return None,
    })
}

fn data(kind: Kind, text: &str) -> Data {
    match kind {
        Kind::A => Data::A(text.parse().unwrap()),
        Kind::Aaaa => Data::Aaaa(text.parse().unwrap()),
        Kind::Txt => Data::Txt(text.to_owned()),
        Kind::Caa => {
            let mut parts = text.splitn(3, ' ');
            Data::Caa(Property {
                critical: parts.next() == Some("128"),
                tag: parts.next().unwrap().to_owned(),
                value: parts.next().unwrap().trim_matches('"').to_owned(),
            })
        }
        Kind::Ns | Kind::Soa => panic!("no sketch of {kind}"),
    }
}

pub(super) const TOKEN: &str = "abcdefghijklmnopqrstuv";

/// `shop.client.example` (or its wildcard) for the tenant `acme`.
pub(super) fn claim(purpose: Purpose, wildcard: bool) -> Claim {
    Claim {
        subject: Subject {
            host: host("shop.client.example"),
            wildcard,
        },
        token: Token::parse(TOKEN).unwrap(),
        target: Some(name("acme.edge.example")),
        delegation: Some(name("h1.acme-dns.example")),
        purpose,
    }
}

pub(super) fn cluster() -> Cluster {
    Cluster {
        edge: Some(name("edge.example")),
        addresses: ["198.51.100.7", "198.51.100.8", "2001:db8::7"]
            .map(|address| address.parse().unwrap())
            .to_vec(),
    }
}

pub(super) fn agreement() -> Agreement {
    Agreement {
        recursive: 1,
        authoritative: true,
    }
}

pub(super) fn lets_encrypt() -> Issuer {
    Issuer {
        name: "letsencrypt".to_owned(),
        identities: vec!["letsencrypt.org".to_owned()],
        account: Some("https://ca.test/acct/1".to_owned()),
        public: false,
    }
}

/// A name that is as it should be, but for what `change` makes of it.
pub(super) fn seen(change: impl FnOnce(&mut Seen)) -> Seen {
    let owner = "shop.client.example";
    let names = [owner, "client.example", "example"];
    let mut seen = Seen {
        txt: look("_hostquorum.shop.client.example", Kind::Txt, "nothing"),
        a: look(owner, Kind::A, "CNAME acme.edge.example | 198.51.100.7"),
        aaaa: look(owner, Kind::Aaaa, "CNAME acme.edge.example | nothing"),
        challenge: look("_acme-challenge.shop.client.example", Kind::Txt, "nxdomain"),
        caa: names.map(|name| look(name, Kind::Caa, "nothing")).to_vec(),
        pages: Vec::new(),
        port_80: Vec::new(),
        own_tokens: vec!["own".to_owned()],
        port_443: Vec::new(),
    };
    change(&mut seen);
    seen
}

pub(super) fn a(seen: &mut Seen, sketch: &str) {
    seen.a = look("shop.client.example", Kind::A, sketch);
}

pub(super) fn aaaa(seen: &mut Seen, sketch: &str) {
    seen.aaaa = look("shop.client.example", Kind::Aaaa, sketch);
}

pub(super) fn txt(seen: &mut Seen, sketch: &str) {
    seen.txt = look("_hostquorum.shop.client.example", Kind::Txt, sketch);
}

pub(super) fn challenge(seen: &mut Seen, sketch: &str) {
    seen.challenge = look("_acme-challenge.shop.client.example", Kind::Txt, sketch);
}

pub(super) fn fetched(address: &str, page: Page) -> Fetched {
    Fetched {
        address: address.parse().unwrap(),
        page,
    }
}
