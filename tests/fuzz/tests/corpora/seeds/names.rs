//! DNS messages as hickory writes them.

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME, NS, SOA, TXT},
    },
};

use super::{Seeds, led_by, named};

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

pub(super) fn queries() -> Seeds {
    let ask = |text: &str, kind: RecordType, edns: bool| {
        let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name(text), kind));
        if edns {
            let mut edns = Edns::new();
            edns.set_max_payload(1232).set_version(0);
            message.set_edns(edns);
        }
        message.to_vec().unwrap()
    };
    let mut notify = ask("edge.example.", RecordType::SOA, false);
    notify[2] |= 4 << 3;
    named([
        (
            "txt",
            led_by(0, &ask("busy.Acme.edge.example.", RecordType::TXT, true)),
        ),
        (
            "txt-plain",
            led_by(0, &ask("busy.acme.edge.example.", RecordType::TXT, false)),
        ),
        (
            "txt-tcp",
            led_by(1, &ask("busy.acme.edge.example.", RecordType::TXT, true)),
        ),
        (
            "idle-behind",
            led_by(2, &ask("idle.acme.edge.example.", RecordType::TXT, true)),
        ),
        (
            "absent",
            led_by(0, &ask("none.acme.edge.example.", RecordType::TXT, true)),
        ),
        (
            "target",
            led_by(0, &ask("tenant.edge.example.", RecordType::A, true)),
        ),
        (
            "caa",
            led_by(0, &ask("tenant.edge.example.", RecordType::CAA, true)),
        ),
        (
            "soa",
            led_by(0, &ask("edge.example.", RecordType::SOA, true)),
        ),
        (
            "ns",
            led_by(1, &ask("acme.edge.example.", RecordType::NS, true)),
        ),
        (
            "ds",
            led_by(0, &ask("acme.edge.example.", RecordType::DS, true)),
        ),
        (
            "any",
            led_by(0, &ask("busy.acme.edge.example.", RecordType::ANY, true)),
        ),
        (
            "transfer",
            led_by(1, &ask("edge.example.", RecordType::AXFR, false)),
        ),
        (
            "foreign",
            led_by(0, &ask("www.elsewhere.example.", RecordType::A, true)),
        ),
        ("notify", led_by(0, &notify)),
    ])
}

pub(super) fn replies() -> Seeds {
    let asked = name("shop.client.example.");
    let reply = |kind: RecordType, code: ResponseCode, fill: &dyn Fn(&mut Message)| {
        let mut message = Message::new(4711, MessageType::Response, OpCode::Query);
        message.metadata.authoritative = true;
        message.metadata.response_code = code;
        message.add_query(Query::query(asked.clone(), kind));
        fill(&mut message);
        message.to_vec().unwrap()
    };
    let record = |owner: &str, data: RData| Record::from_rdata(name(owner), 60, data);
    let ok = ResponseCode::NoError;
    let address = |owner: &str| record(owner, RData::A(A::new(192, 0, 2, 80)));
    let alias = |owner: &str, to: &str| record(owner, RData::CNAME(CNAME(name(to))));
    let soa = || {
        let soa = SOA::new(
            name("ns.client.example."),
            name("h.client.example."),
            7,
            1,
            1,
            1,
            1,
        );
        record("client.example.", RData::SOA(soa))
    };
    named([
        (
            "a",
            led_by(
                0,
                &reply(RecordType::A, ok, &|message| {
                    message.answers.push(address("shop.client.example."));
                }),
            ),
        ),
        (
            "alias",
            led_by(
                0,
                &reply(RecordType::A, ok, &|message| {
                    message
                        .answers
                        .push(alias("shop.client.example.", "www.client.example."));
                    message
                        .answers
                        .push(alias("www.client.example.", "t.edge.example."));
                    message.answers.push(address("t.edge.example."));
                }),
            ),
        ),
        (
            "circle",
            led_by(
                0,
                &reply(RecordType::A, ok, &|message| {
                    message
                        .answers
                        .push(alias("shop.client.example.", "www.client.example."));
                    message
                        .answers
                        .push(alias("www.client.example.", "shop.client.example."));
                }),
            ),
        ),
        (
            "aaaa",
            led_by(
                1,
                &reply(RecordType::AAAA, ok, &|message| {
                    let data = RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
                    message.answers.push(record("shop.client.example.", data));
                }),
            ),
        ),
        (
            "txt",
            led_by(
                2,
                &reply(RecordType::TXT, ok, &|message| {
                    let data = RData::TXT(TXT::new(vec!["one".to_owned(), "two".to_owned()]));
                    message.answers.push(record("shop.client.example.", data));
                }),
            ),
        ),
        (
            "none",
            led_by(
                3,
                &reply(RecordType::CAA, ok, &|message| {
                    message.authorities.push(soa());
                }),
            ),
        ),
        (
            "no-name",
            led_by(
                0,
                &reply(RecordType::A, ResponseCode::NXDomain, &|message| {
                    message.authorities.push(soa());
                }),
            ),
        ),
        (
            "referral",
            led_by(
                0,
                &reply(RecordType::A, ok, &|message| {
                    let server = RData::NS(NS(name("ns.shop.client.example.")));
                    message
                        .authorities
                        .push(record("shop.client.example.", server));
                    message.additionals.push(address("ns.shop.client.example."));
                }),
            ),
        ),
        (
            "refused",
            led_by(0, &reply(RecordType::A, ResponseCode::Refused, &|_| {})),
        ),
    ])
}
