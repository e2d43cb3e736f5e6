//! A query as it came (RFC 1035 section 4.1, RFC 6891 section 6.1), on bytes.

use super::name::Name;

pub(crate) const HEADER: usize = 12;
const OPCODE_QUERY: u8 = 0;
const KIND_OPT: u16 = 41;
const FLAG_RESPONSE: u8 = 0x80;
const FLAG_RECURSION_DESIRED: u8 = 0x01;
const FLAG_DNSSEC_OK: u16 = 0x8000;
/// Records that a query may carry behind its question. OPT and a signature are
/// all there is use for.
const RECORDS_MAX: usize = 8;

/// What a message is to us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// Not to be answered: no header, or itself an answer.
    Noise,
    /// Answered by its header alone, with this fault.
    Faulty(Head, Fault),
    /// A question, of whatever operation.
    Query(Query<'a>),
}

/// What of a header goes into the answer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: u16,
    /// As in the header's third byte.
    pub(crate) opcode: u8,
    pub(crate) recursion_desired: bool,
}

impl Head {
    /// True for the only operation that there is here.
    pub(crate) const fn is_query(self) -> bool {
        self.opcode == OPCODE_QUERY
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// FORMERR.
    Malformed,
    /// NOTIMP: neither a query nor like one.
    OtherOperation,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Query<'a> {
    pub(crate) head: Head,
    /// Name, type and class, byte for byte as asked: resolvers check that the
    /// letters' case comes back (draft-vixie-dnsext-dns0x20).
    pub(crate) question: &'a [u8],
    pub(crate) name: Name,
    pub(crate) kind: u16,
    pub(crate) class: u16,
    pub(crate) edns: Option<Edns>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    /// Largest datagram that the client takes.
    pub(crate) payload: u16,
    pub(crate) version: u8,
    pub(crate) dnssec_ok: bool,
}

/// Reads one message. Pure; nothing of it is kept but the question.
pub(crate) fn read(bytes: &[u8]) -> Heard<'_> {
    let Some((header, body)) = bytes.split_first_chunk::<HEADER>() else {
        return Heard::Noise;
    };
    let [i, d, flags, _, counts @ ..] = header;
    if flags & FLAG_RESPONSE != 0 {
        return Heard::Noise;
    }
    let head = Head {
        id: u16::from_be_bytes([*i, *d]),
        opcode: (flags >> 3) & 0x0f,
        recursion_desired: flags & FLAG_RECURSION_DESIRED != 0,
    };
    let [q1, q2, a1, a2, n1, n2, r1, r2] = *counts;
    let counts = Counts {
        questions: u16::from_be_bytes([q1, q2]),
        before: usize::from(u16::from_be_bytes([a1, a2]))
            + usize::from(u16::from_be_bytes([n1, n2])),
        additional: u16::from_be_bytes([r1, r2]).into(),
    };
    // Other operations are read alike: they too have a question and an OPT.
    let fault = if head.is_query() {
        Fault::Malformed
    } else {
        Fault::OtherOperation
    };
    query(head, &counts, body).map_or(Heard::Faulty(head, fault), Heard::Query)
}

struct Counts {
    questions: u16,
    /// Answers and authorities; IXFR has one.
    before: usize,
    additional: usize,
}

fn query<'a>(head: Head, counts: &Counts, body: &'a [u8]) -> Option<Query<'a>> {
    if counts.questions != 1 || counts.before + counts.additional > RECORDS_MAX {
        return None;
    }
    let name = Name::read(body)?;
    let (question, rest) = body.split_at_checked(name.wire().len() + 4)?;
    let [.., k1, k2, c1, c2] = question else {
        return None;
    };
    let (kind, class) = (u16::from_be_bytes([*k1, *k2]), [*c1, *c2]);
    let mut rest = rest;
    for _ in 0..counts.before {
        (_, rest) = record(rest)?;
    }
    let mut edns = None;
    for _ in 0..counts.additional {
        let (found, after) = record(rest)?;
        rest = after;
        // Two of them, or one that is not the root's, are malformed.
        if found.kind == KIND_OPT && (!found.of_root || edns.replace(found.edns()).is_some()) {
            return None;
        }
    }
    rest.is_empty().then_some(Query {
        head,
        question,
        name,
        kind,
        class: u16::from_be_bytes(class),
        edns,
    })
}

struct Record {
    of_root: bool,
    kind: u16,
    class: u16,
    ttl: [u8; 4],
}

impl Record {
    fn edns(&self) -> Edns {
        let [_, version, high, low] = self.ttl;
        Edns {
            payload: self.class,
            version,
            dnssec_ok: u16::from_be_bytes([high, low]) & FLAG_DNSSEC_OK != 0,
        }
    }
}

/// Reads over a record; its name may be compressed.
fn record(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let rest = over_name(bytes)?;
    let (fixed, rest) = rest.split_first_chunk::<10>()?;
    let [k1, k2, c1, c2, t1, t2, t3, t4, l1, l2] = *fixed;
    let rest = rest.get(usize::from(u16::from_be_bytes([l1, l2]))..)?;
    let record = Record {
        of_root: bytes.first() == Some(&0),
        kind: u16::from_be_bytes([k1, k2]),
        class: u16::from_be_bytes([c1, c2]),
        ttl: [t1, t2, t3, t4],
    };
    Some((record, rest))
}

/// What follows a name. Each step consumes bytes: there is no pointer to follow.
fn over_name(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, rest) = bytes.split_first()?;
        match length {
            0 => return Some(rest),
            1..64 => bytes = rest.get(usize::from(*length)..)?,
            192.. => return rest.get(1..),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &[u8] = b"\x01a\x07eXample\0\0\x10\0\x01";
    const OPT: &[u8] = b"\0\0\x29\x10\0\0\0\x80\0\0\0";

    fn message(flags: u8, counts: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
        let [questions, answers, authorities, additional] = counts;
        let mut bytes = vec![7, 9, flags, 0, 0, questions, 0, answers];
        bytes.extend([0, authorities, 0, additional]);
        bytes.extend(parts.concat());
        bytes
    }

    #[track_caller]
    fn good(bytes: &[u8]) -> Query<'_> {
        match read(bytes) {
            Heard::Query(query) => query,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn faulty(bytes: &[u8], expected: Fault) {
        match read(bytes) {
            Heard::Faulty(head, fault) => assert_eq!((head.id, fault), (0x0709, expected)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_question_is_kept_as_it_came() {
        let bytes = message(1, [1, 0, 0, 0], &[QUESTION]);
        let query = good(&bytes);
        assert_eq!(query.question, QUESTION);
        assert_eq!(query.name, Name::parse("a.example").unwrap());
        assert_eq!((query.kind, query.class, query.edns), (16, 1, None));
        assert!(query.head.recursion_desired);
    }

    #[test]
    fn edns_is_found_among_other_records() {
        let other = b"\x01x\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\x01\x02\x03\x04";
        let bytes = message(0, [1, 0, 0, 2], &[QUESTION, other, OPT]);
        let expected = Edns {
            payload: 4096,
            version: 0,
            dnssec_ok: true,
        };
        assert_eq!(good(&bytes).edns, Some(expected));
        let bytes = message(0, [1, 0, 1, 0], &[QUESTION, other]);
        assert_eq!(good(&bytes).edns, None);
    }

    #[test]
    fn answers_and_scraps_are_no_queries() {
        assert_eq!(read(b""), Heard::Noise);
        assert_eq!(read(&[0; 11]), Heard::Noise);
        let answer = message(0x80, [1, 0, 0, 0], &[QUESTION]);
        assert_eq!(read(&answer), Heard::Noise);
    }

    #[test]
    fn what_is_malformed_is_told_so() {
        let cases: [([u8; 4], &[&[u8]]); 10] = [
            ([0, 0, 0, 0], &[]),
            ([2, 0, 0, 0], &[QUESTION, QUESTION]),
            ([1, 0, 0, 0], &[]),
            ([1, 0, 0, 0], &[b"\xc0\x0c\0\x01\0\x01"]),
            ([1, 0, 0, 0], &[QUESTION, b"more"]),
            ([1, 0, 0, 1], &[QUESTION]),
            ([1, 0, 0, 2], &[QUESTION, OPT, OPT]),
            ([1, 0, 0, 1], &[QUESTION, b"\x01a", OPT]),
            ([1, 0, 0, 1], &[QUESTION, &OPT[..9], b"\0\xff"]),
            ([1, 9, 0, 0], &[QUESTION]),
        ];
        for (counts, parts) in cases {
            faulty(&message(0, counts, parts), Fault::Malformed);
        }
    }

    #[test]
    fn other_operations_are_told_from_queries() {
        for opcode in [1, 2, 4, 5, 6, 15] {
            let bytes = message(opcode << 3, [1, 0, 0, 0], &[b"\xff"]);
            faulty(&bytes, Fault::OtherOperation);
        }
    }
}
