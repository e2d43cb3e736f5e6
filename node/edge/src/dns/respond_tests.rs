use std::{fmt::Write as _, sync::Arc};

use hickory_proto::{
    op::{Edns as TheirEdns, Message, MessageType, OpCode, Query as TheirQuery},
    rr::{DNSClass, Name as TheirName, RecordType},
    serialize::binary::BinEncodable,
};
use proptest::prelude::*;

use super::{
    super::{
        query,
        zone::{Caa, Nameserver, Settings},
    },
    *,
};

/// A state of one hostname with an order, one without, and one tenant.
struct Book {
    zones: Arc<Zones>,
    values: Vec<String>,
    behind: bool,
}

impl Answers for Book {
    fn zones(&self) -> Arc<Zones> {
        Arc::clone(&self.zones)
    }

    fn challenge(&self, label: &str) -> Option<Vec<String>> {
        match label {
            "busy" => Some(self.values.clone()),
            "idle" => Some(Vec::new()),
            _ => None,
        }
    }

    fn is_target(&self, label: &str) -> bool {
        label == "tenant"
    }

    fn is_behind(&self) -> bool {
        self.behind
    }

    fn serial(&self) -> u32 {
        42
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn book(values: usize) -> Book {
    let server = |text: &str, addresses: &[&str]| Nameserver {
        name: name(text),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
    };
    let settings = Settings {
        challenges: Some(name("acme.edge.example")),
        targets: Some(name("edge.example")),
        nameservers: vec![
            server("ns1.acme.edge.example", &["192.0.2.53", "2001:db8::53"]),
            server("ns2.in.edge.example", &["198.51.100.53"]),
            server("ns.elsewhere.example", &["203.0.113.53"]),
        ],
        addresses: ["192.0.2.80", "192.0.2.81", "2001:db8::80"]
            .map(|text| text.parse().unwrap())
            .to_vec(),
        caa: vec![Caa {
            critical: false,
            tag: "issue".to_owned(),
            value: "ca.example;accounturi=https://ca.example/acct/1".to_owned(),
        }],
    };
    let value = |n| format!("{n:0>43}");
    Book {
        zones: Arc::new(Zones::new(settings)),
        values: (1..=values).map(value).collect(),
        behind: false,
    }
}

/// `NAME TYPE`, then any of `ch`, `any-class`, `edns=SIZE`, `do`, `v1`, `tcp`.
fn ask(book: &Book, question: &str) -> Message {
    let (bytes, transport) = encode(question);
    let heard = query::read(&bytes);
    let answer = respond(&heard, transport, book, &Counters::default()).unwrap();
    let read = Message::from_vec(&answer).unwrap();
    assert_eq!(read.id, 4711);
    assert_eq!(read.message_type, MessageType::Response);
    // What hickory reads it writes again: no byte is left over or odd.
    assert!(answer.len() <= limit(transport, edns_of(&heard)));
    read
}

fn edns_of(heard: &Heard<'_>) -> Option<Edns> {
    match heard {
        Heard::Query(query) => query.edns,
        _ => None,
    }
}

fn encode(question: &str) -> (Vec<u8>, Transport) {
    let mut words = question.split(' ');
    let name = TheirName::from_ascii(words.next().unwrap()).unwrap();
    let kind = words.next().unwrap();
    let kind = match kind.strip_prefix("TYPE") {
        Some(number) => RecordType::from(number.parse::<u16>().unwrap()),
        None => kind.parse().unwrap(),
    };
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    let mut query = TheirQuery::query(name, kind);
    let mut transport = Transport::Udp;
    let mut edns = TheirEdns::new();
    let mut with_edns = false;
    for word in words {
        match word {
            "ch" => drop(query.set_query_class(DNSClass::CH)),
            "any-class" => drop(query.set_query_class(DNSClass::ANY)),
            "tcp" => transport = Transport::Tcp,
            "do" => drop(edns.set_dnssec_ok(true)),
            "v1" => drop(edns.set_version(1)),
            size => {
                let size = size.strip_prefix("edns=").unwrap().parse().unwrap();
                edns.set_max_payload(size);
            }
        }
        with_edns |= matches!(word, "do" | "v1") || word.starts_with("edns=");
    }
    message.add_query(query);
    if with_edns {
        message.set_edns(edns);
    }
    (message.to_bytes().unwrap(), transport)
}

/// The answer in one line: code, flags, then each section that is not empty.
fn shown(message: &Message) -> String {
    let mut line = message.response_code.to_string();
    let header = [
        (message.authoritative, " aa"),
        (message.truncation, " tc"),
        (message.recursion_available, " ra"),
    ];
    for (set, word) in header {
        line.push_str(if set { word } else { "" });
    }
    if let Some(edns) = &message.edns {
        let dnssec_ok = if edns.flags().dnssec_ok { "+do" } else { "" };
        let _ = write!(line, " edns={}{dnssec_ok}", edns.max_payload());
    }
    let sections = [
        ("answer", &message.answers),
        ("authority", &message.authorities),
        ("additional", &message.additionals),
    ];
    for (section, records) in sections {
        for record in records.iter() {
            let _ = write!(line, "\n  {section} {record}");
        }
    }
    line
}

#[track_caller]
fn check(book: &Book, question: &str, expected: &str) {
    assert_eq!(shown(&ask(book, question)), expected, "{question}");
}

const ONE: &str = "0000000000000000000000000000000000000000001";
const TWO: &str = "0000000000000000000000000000000000000000002";
const NO_CHALLENGE: &str = "\n  authority acme.edge.example. 1 IN SOA ns1.acme.edge.example. hostmaster.acme.edge.example. 42 3600 600 604800 1";
const NO_TARGET: &str = "\n  authority edge.example. 30 IN SOA ns1.acme.edge.example. hostmaster.edge.example. 42 3600 600 604800 30";

#[test]
fn challenges_have_all_their_values() {
    check(
        &book(2),
        "busy.acme.edge.example. TXT",
        &format!(
            "No Error aa\n  answer busy.acme.edge.example. 1 IN TXT {ONE}\n  answer busy.acme.edge.example. 1 IN TXT {TWO}"
        ),
    );
}

#[test]
fn a_name_without_such_a_record_exists() {
    let (book, nothing) = (book(1), format!("No Error aa{NO_CHALLENGE}"));
    for question in [
        "idle.acme.edge.example. TXT",
        "busy.acme.edge.example. A",
        "busy.acme.edge.example. AAAA",
        "busy.acme.edge.example. DNSKEY",
        "busy.acme.edge.example. DS",
        "busy.acme.edge.example. NS",
        "busy.acme.edge.example. TYPE65280",
        "acme.edge.example. TXT",
        "acme.edge.example. DNSKEY",
        "ns1.acme.edge.example. TXT",
    ] {
        check(&book, question, &nothing);
    }
    let nothing = format!("No Error aa{NO_TARGET}");
    for question in [
        "tenant.edge.example. TXT",
        "edge.example. A",
        // Only something below it exists.
        "in.edge.example. A",
        "in.edge.example. CAA",
        // The parent's to say, at the cut between our two zones.
        "acme.edge.example. DS",
        "edge.example. DS",
        "ns2.in.edge.example. AAAA",
    ] {
        check(&book, question, &nothing);
    }
}

#[test]
fn a_name_that_is_not_there_is_denied() {
    let (book, nothing) = (book(1), format!("Non-Existent Domain aa{NO_CHALLENGE}"));
    for question in [
        "other.acme.edge.example. TXT",
        "x.busy.acme.edge.example. TXT",
        "*.acme.edge.example. TXT",
        "busy\\.acme.acme.edge.example. TXT",
        "other.acme.edge.example. ANY",
    ] {
        check(&book, question, &nothing);
    }
    let nothing = format!("Non-Existent Domain aa{NO_TARGET}");
    for question in ["nobody.edge.example. A", "x.tenant.edge.example. A"] {
        check(&book, question, &nothing);
    }
}

#[test]
fn who_is_behind_denies_nothing() {
    let behind = Book {
        behind: true,
        ..book(1)
    };
    for question in [
        "idle.acme.edge.example. TXT",
        "idle.acme.edge.example. ANY",
        "other.acme.edge.example. TXT",
        "other.acme.edge.example. A",
        "nobody.edge.example. A",
    ] {
        check(&behind, question, "Server Failure");
    }
    check(
        &behind,
        "busy.acme.edge.example. TXT",
        &format!("No Error aa\n  answer busy.acme.edge.example. 1 IN TXT {ONE}"),
    );
    // What cannot be there is not there, behind or not.
    check(
        &behind,
        "idle.acme.edge.example. A",
        &format!("No Error aa{NO_CHALLENGE}"),
    );
    check(
        &behind,
        "x.y.acme.edge.example. TXT",
        &format!("Non-Existent Domain aa{NO_CHALLENGE}"),
    );
}

#[test]
fn an_apex_tells_its_servers_with_their_addresses() {
    let servers = |apex: &str| {
        let mut text = "No Error aa".to_owned();
        for server in [
            "ns1.acme.edge.example.",
            "ns2.in.edge.example.",
            "ns.elsewhere.example.",
        ] {
            let _ = write!(text, "\n  answer {apex} 3600 IN NS {server}");
        }
        text + "\n  additional ns1.acme.edge.example. 3600 IN A 192.0.2.53\
            \n  additional ns1.acme.edge.example. 3600 IN AAAA 2001:db8::53\
            \n  additional ns2.in.edge.example. 3600 IN A 198.51.100.53"
    };
    for apex in ["acme.edge.example.", "edge.example."] {
        check(&book(1), &format!("{apex} NS"), &servers(apex));
    }
    check(
        &book(1),
        "acme.edge.example. SOA",
        "No Error aa\n  answer acme.edge.example. 3600 IN SOA ns1.acme.edge.example. hostmaster.acme.edge.example. 42 3600 600 604800 1",
    );
    check(
        &book(1),
        "ns2.in.edge.example. A",
        "No Error aa\n  answer ns2.in.edge.example. 3600 IN A 198.51.100.53",
    );
}

#[test]
fn targets_lead_to_the_cluster() {
    check(
        &book(1),
        "tenant.edge.example. A",
        "No Error aa\n  answer tenant.edge.example. 60 IN A 192.0.2.80\n  answer tenant.edge.example. 60 IN A 192.0.2.81",
    );
    check(
        &book(1),
        "tenant.edge.example. AAAA",
        "No Error aa\n  answer tenant.edge.example. 60 IN AAAA 2001:db8::80",
    );
}

#[test]
fn targets_say_who_may_issue() {
    for owner in [
        "tenant.edge.example.",
        "edge.example.",
        "busy.acme.edge.example.",
        "acme.edge.example.",
    ] {
        let message = ask(&book(1), &format!("{owner} CAA"));
        let [record] = &message.answers[..] else {
            panic!("{message}");
        };
        assert_eq!(
            (record.name.to_string(), record.ttl),
            (owner.to_owned(), 60)
        );
        let expected = "0 issue \"ca.example;accounturi=https://ca.example/acct/1\"";
        assert_eq!(record.data.to_string(), expected, "{owner}");
    }
}

#[test]
fn any_is_answered_in_short() {
    for owner in [
        "busy.acme.edge.example.",
        "edge.example.",
        "in.edge.example.",
    ] {
        let message = ask(&book(1), &format!("{owner} ANY"));
        let answer = shown(&message);
        assert!(
            answer.starts_with("No Error aa\n") && answer.contains("HINFO RFC8482"),
            "{answer}"
        );
        assert_eq!(message.answers.len(), 1);
    }
}

#[test]
fn what_is_not_ours_is_refused() {
    for question in [
        "example. A",
        ". NS",
        "notedge.example. TXT",
        "busy.acme.edge.example. AXFR tcp",
        "acme.edge.example. AXFR tcp",
        "acme.edge.example. TYPE251 tcp",
        "version.bind. TXT ch",
        "busy.acme.edge.example. TXT ch",
        "busy.acme.edge.example. TXT any-class",
        "ns.elsewhere.example. A",
    ] {
        check(&book(1), question, "Query Refused");
    }
}

#[test]
fn without_zones_everything_is_refused() {
    let nothing = Book {
        zones: Arc::new(Zones::new(Settings::default())),
        ..book(1)
    };
    check(&nothing, "busy.acme.edge.example. TXT", "Query Refused");
    check(&nothing, ". SOA", "Query Refused");
}

#[test]
fn the_name_comes_back_as_it_was_asked() {
    let message = ask(&book(1), "bUsY.aCmE.EdGe.ExAmPlE. TXT");
    let asked = TheirName::from_ascii("bUsY.aCmE.EdGe.ExAmPlE.").unwrap();
    assert!(message.queries[0].name().eq_case(&asked));
    assert_eq!(message.answers[0].data.to_string(), ONE);
    let message = ask(&book(1), "iDlE.aCmE.EdGe.ExAmPlE. TXT");
    assert_eq!(message.authorities.len(), 1);
}

#[test]
fn edns_is_answered_and_bounded() {
    let book = book(15);
    let all = ask(&book, "busy.acme.edge.example. TXT edns=4096 do");
    assert_eq!(all.answers.len(), 15);
    assert!(shown(&all).starts_with("No Error aa edns=1232+do\n"));
    for (question, expected) in [
        ("busy.acme.edge.example. TXT", "No Error aa tc"),
        (
            "busy.acme.edge.example. TXT edns=512",
            "No Error aa tc edns=1232",
        ),
        (
            "busy.acme.edge.example. TXT edns=0",
            "No Error aa tc edns=1232",
        ),
        ("other.example. TXT edns=1232", "Query Refused edns=1232"),
    ] {
        check(&book, question, expected);
    }
    let version = ask(&book, "busy.acme.edge.example. TXT v1");
    assert_eq!(u16::from(version.response_code), 16);
    assert!(version.edns.is_some() && version.answers.is_empty());
}

#[test]
fn what_is_longer_than_any_datagram_goes_by_tcp() {
    let book = book(60);
    check(
        &book,
        "busy.acme.edge.example. TXT edns=65535",
        "No Error aa tc edns=1232",
    );
    let whole = ask(&book, "busy.acme.edge.example. TXT edns=1232 tcp");
    assert_eq!((whole.answers.len(), whole.truncation), (60, false));
}

#[test]
fn no_answer_is_longer_than_asked_for_but_by_what_it_tells() {
    // What an address that is not the client's can be made to receive.
    let book = book(2);
    let (bytes, _) = encode("busy.acme.edge.example. TXT edns=4096");
    let heard = query::read(&bytes);
    let Heard::Query(query) = &heard else {
        panic!("{heard:?}");
    };
    assert_eq!(reply::ask_again(query).len(), bytes.len());
    let answer = respond(&heard, Transport::Udp, &book, &Counters::default()).unwrap();
    assert!(answer.len() < 5 * bytes.len(), "{}", answer.len());
}

#[test]
fn a_truncated_answer_is_counted_and_so_are_the_others() {
    let counters = Counters::default();
    let book = book(15);
    for question in [
        "busy.acme.edge.example. TXT",
        "other.acme.edge.example. A",
        "a.b. A",
    ] {
        let (bytes, transport) = encode(question);
        respond(&query::read(&bytes), transport, &book, &counters).unwrap();
    }
    let counted = counters.snapshot();
    let figures = [
        counted.found,
        counted.truncated,
        counted.no_name,
        counted.refused,
    ];
    assert_eq!(figures, [1, 1, 1, 1]);
}

/// Questions near the truth: names of ours, spoilt or not.
fn questions() -> impl Strategy<Value = Vec<u8>> {
    let names = prop::sample::select(vec![
        &b"\x04busy\x04acme\x04edge\x07example\0"[..],
        b"\x04IDLE\x04acme\x04edge\x07example\0",
        b"\x04acme\x04edge\x07example\0",
        b"\x06tenant\x04edge\x07example\0",
        b"\x02in\x04edge\x07example\0",
        b"\x07example\0",
        b"\0",
    ]);
    let kind = prop_oneof![
        Just(1u16),
        Just(2),
        Just(6),
        Just(16),
        Just(28),
        Just(257),
        any::<u16>()
    ];
    let opt = prop_oneof![
        Just(Vec::new()),
        (any::<u16>(), any::<[u8; 4]>()).prop_map(|(size, ttl)| {
            let mut opt = vec![0, 0, 41];
            opt.extend(size.to_be_bytes());
            opt.extend(ttl);
            opt.extend([0, 0]);
            opt
        }),
    ];
    (any::<u16>(), names, kind, opt).prop_map(|(id, name, kind, opt)| {
        let mut bytes = id.to_be_bytes().to_vec();
        bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(!opt.is_empty())]);
        bytes.extend_from_slice(name);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(opt);
        bytes
    })
}

/// Whatever is answered can be read, belongs to the question and is bounded.
fn holds(bytes: &[u8]) -> Result<(), TestCaseError> {
    let book = book(40);
    let heard = query::read(bytes);
    for transport in [Transport::Udp, Transport::Tcp] {
        let Some(answer) = respond(&heard, transport, &book, &Counters::default()) else {
            prop_assert!(bytes.len() < query::HEADER || bytes[2] & 0x80 != 0);
            continue;
        };
        let most = match transport {
            Transport::Udp => DATAGRAM.into(),
            Transport::Tcp => STREAM,
        };
        prop_assert!(answer.len() <= most, "{} bytes", answer.len());
        let read = Message::from_vec(&answer);
        let read = read.map_err(|error| TestCaseError::fail(format!("{error}: {answer:x?}")))?;
        prop_assert_eq!(read.message_type, MessageType::Response);
        prop_assert_eq!(&answer[..2], &bytes[..2]);
        if let Heard::Query(query) = &heard {
            prop_assert_eq!(
                &answer[query::HEADER..][..query.question.len()],
                query.question
            );
            prop_assert_eq!(read.edns.is_some(), query.edns.is_some());
        } else {
            prop_assert_eq!(answer.len(), query::HEADER);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_answered_in_bounds(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        holds(&bytes)?;
    }

    #[test]
    fn any_body_is_answered_in_bounds(
        counts in any::<[u8; 4]>(),
        body in prop::collection::vec(0u8..70, 0..200),
    ) {
        let [q, a, n, r] = counts.map(|count| count % 3);
        let mut bytes = vec![1, 2, 0, 0, 0, q, 0, a, 0, n, 0, r];
        bytes.extend(body);
        holds(&bytes)?;
    }

    #[test]
    fn spoilt_questions_are_answered_in_bounds(
        question in questions(),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        holds(&question)?;
        let mut spoilt = question.clone();
        let place = at.index(spoilt.len());
        spoilt[place] = with;
        holds(&spoilt)?;
        holds(&question[..cut.index(question.len())])?;
    }
}
