//! Queries to the DNS server: anybody's, with any address as their sender.

use std::sync::{Arc, OnceLock};

use edge::dns::{Answers, Caa, Name, Nameserver, Settings, Zones};
use hickory_proto::op::{Message, MessageType};

/// The longest datagram that passes every path.
const DATAGRAM: usize = 1232;
/// The longest that every client takes.
const PLAIN: usize = 512;

/// Answers a query; the first byte says how it came and whether this node is behind.
pub fn target(data: &[u8]) {
    let Some((how, query)) = data.split_first() else {
        return;
    };
    let by_tcp = how & 1 == 1;
    let book = Book {
        behind: how & 2 == 2,
    };
    let answer = edge::dns::fuzzing::answer(query, by_tcp, &book);
    let noise = query.len() < 12 || query[2] & 0x80 != 0;
    assert_eq!(answer.is_none(), noise, "what is no query is not answered");
    let Some(answer) = answer else {
        return;
    };
    let edns = Message::from_vec(query).is_ok_and(|query| query.edns.is_some());
    let longest = match (by_tcp, edns) {
        (true, _) => usize::from(u16::MAX),
        (false, true) => DATAGRAM,
        // hickory refuses messages that we answer.
        (false, false) => PLAIN.max(if opens(query) { DATAGRAM } else { PLAIN }),
    };
    assert!(answer.len() <= longest, "{} bytes", answer.len());
    let read = Message::from_vec(&answer).expect("others read our answers");
    assert_eq!(read.metadata.message_type, MessageType::Response);
    assert_eq!(answer[..2], query[..2], "the id");
    assert_eq!((answer[2] ^ query[2]) & 0x79, 0, "operation and RD");
    if !read.queries.is_empty() {
        let question = &query[12..];
        assert!(answer[12..].starts_with(&question[..question_length(question)]));
    }
}

/// It may have an OPT that hickory does not read.
fn opens(query: &[u8]) -> bool {
    query.windows(3).any(|bytes| bytes == [0, 0, 41])
}

fn question_length(question: &[u8]) -> usize {
    let mut at = 0;
    while let Some(length @ 1..) = question.get(at) {
        at += 1 + usize::from(*length);
    }
    at + 1 + 4
}

/// Zones of ours, one hostname with an order, one without, and one tenant.
struct Book {
    behind: bool,
}

impl Answers for Book {
    fn zones(&self) -> Arc<Zones> {
        static ZONES: OnceLock<Arc<Zones>> = OnceLock::new();
        Arc::clone(ZONES.get_or_init(|| Arc::new(Zones::new(settings()))))
    }

    fn challenge(&self, label: &str) -> Option<Vec<String>> {
        match label {
            "busy" => Some((0..40).map(|number| format!("{number:0>43}")).collect()),
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

fn settings() -> Settings {
    let name = |text: &str| Name::parse(text).unwrap();
    let server = |text: &str, address: &str| Nameserver {
        name: name(text),
        addresses: vec![address.parse().unwrap()],
    };
    Settings {
        challenges: Some(name("acme.edge.example")),
        targets: Some(name("edge.example")),
        nameservers: vec![
            server("ns1.acme.edge.example", "192.0.2.53"),
            server("ns.elsewhere.example", "2001:db8::53"),
        ],
        addresses: vec!["192.0.2.80".parse().unwrap()],
        caa: vec![Caa {
            critical: false,
            tag: "issue".to_owned(),
            value: "ca.example".to_owned(),
        }],
    }
}
