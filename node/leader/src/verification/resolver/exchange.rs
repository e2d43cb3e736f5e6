//! One question to one server, by UDP and, where that is not enough, by TCP.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RecordType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout_at},
};

use crate::{
    issuance::pace::Jitter,
    verification::{
        answer::{Kind, Outcome},
        name::DnsName,
    },
};

/// The UDP payload that we ask for: it crosses every path without fragments, which are
/// easily forged (the DNS flag day of 2020).
const PAYLOAD: u16 = 1232;
/// Room for an answer by UDP from a server that gives more than was asked for.
const DATAGRAM_MOST: usize = 4096;

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) name: DnsName,
    pub(super) kind: Kind,
    recursion: bool,
    unchecked: bool,
}

impl Question {
    /// To a zone's own server.
    pub(super) fn new(name: &DnsName, kind: Kind) -> Self {
        Self {
            name: name.clone(),
            kind,
            recursion: false,
            unchecked: false,
        }
    }

    /// To a recursive resolver.
    pub(super) fn recursive(self) -> Self {
        Self {
            recursion: true,
            ..self
        }
    }

    /// Without the check of DNSSEC.
    pub(super) fn unchecked(self) -> Self {
        Self {
            unchecked: true,
            ..self
        }
    }
}

/// How questions are sent.
pub(super) struct Exchange {
    pub(super) attempt: Duration,
    pub(super) attempts: u32,
    pub(super) jitter: Arc<dyn Jitter>,
}

/// Why UDP is not enough.
enum Datagram {
    Answer(Message),
    /// Cut short, unreadable, or the case of the letters did not come back: a server that
    /// does not keep it, or a forger who guessed the rest. TCP tells.
    Doubtful,
}

impl Exchange {
    /// Asks `server`. The error is never one that [`Outcome::is_answer`].
    pub(super) async fn ask(
        &self,
        server: SocketAddr,
        question: &Question,
    ) -> Result<Message, Outcome> {
        let answer = self.ask_with(server, question, true).await?;
        // RFC 6891 section 7: who does not know EDNS says so, and is asked without.
        let no_edns = matches!(
            answer.metadata.response_code,
            ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS
        );
        if no_edns {
            return self.ask_with(server, question, false).await;
        }
        Ok(answer)
    }

    async fn ask_with(
        &self,
        server: SocketAddr,
        question: &Question,
        edns: bool,
    ) -> Result<Message, Outcome> {
        let mut last = Outcome::Timeout;
        for _ in 0..self.attempts.max(1) {
            let query = self.query(question, edns)?;
            let until = Instant::now() + self.attempt;
            match timeout_at(until, by_udp(server, &query)).await {
                Ok(Ok(Datagram::Answer(answer))) => return Ok(answer),
                Ok(Ok(Datagram::Doubtful)) => return self.by_tcp(server, &query).await,
                Ok(Err(_)) => last = Outcome::Unreachable,
                Err(_) => last = Outcome::Timeout,
            }
        }
        Err(last)
    }

    async fn by_tcp(&self, server: SocketAddr, query: &Message) -> Result<Message, Outcome> {
        let until = Instant::now() + self.attempt;
        match timeout_at(until, over_tcp(server, query)).await {
            Ok(Ok(bytes)) => read(&bytes, query)
                .filter(|answer| !answer.metadata.truncation)
                .ok_or(Outcome::Malformed),
            Ok(Err(_)) => Err(Outcome::Unreachable),
            Err(_) => Err(Outcome::Timeout),
        }
    }

    fn query(&self, question: &Question, edns: bool) -> Result<Message, Outcome> {
        let mut message = Message::new(self.jitter.draw(), MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = question.recursion;
        message.metadata.checking_disabled = question.unchecked;
        let name = self.spelled(&question.name).ok_or(Outcome::Malformed)?;
        message.add_query(Query::query(name, record_type(question.kind)));
        if edns {
            let mut edns = Edns::new();
            edns.set_max_payload(PAYLOAD).set_version(0);
            message.set_edns(edns);
        }
        Ok(message)
    }

    /// The name in letters of random case (draft-vixie-dnsext-dns0x20): who forges an answer
    /// must guess them too.
    fn spelled(&self, name: &DnsName) -> Option<Name> {
        let mut bits = (0_u16, 0);
        let mut upper = || {
            if bits.1 == 0 {
                bits = (self.jitter.draw(), 16);
            }
            bits.1 -= 1;
            let bit = bits.0 & 1 == 1;
            bits.0 >>= 1;
            bit
        };
        let labels: Vec<Vec<u8>> = name
            .labels()
            .map(|label| {
                let letters = label.bytes();
                let spell = |b: u8| if upper() { b.to_ascii_uppercase() } else { b };
                letters.map(spell).collect()
            })
            .collect();
        Name::from_labels(labels.iter().map(Vec::as_slice)).ok()
    }
}

async fn by_udp(server: SocketAddr, query: &Message) -> std::io::Result<Datagram> {
    let bytes = encoded(query)?;
    let any: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(&bytes).await?;
    let mut buffer = [0; DATAGRAM_MOST];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let datagram = buffer.get(..length).unwrap_or_default();
        if id(datagram) != Some(query.metadata.id) {
            continue; // late, or forged
        }
        return Ok(match read(datagram, query) {
            Some(answer) if !answer.metadata.truncation && same_case(&answer, query) => {
                Datagram::Answer(answer)
            }
            _ => Datagram::Doubtful,
        });
    }
}

/// RFC 7766: a length before each message.
async fn over_tcp(server: SocketAddr, query: &Message) -> std::io::Result<Vec<u8>> {
    let bytes = encoded(query)?;
    let length = u16::try_from(bytes.len()).map_err(std::io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(bytes);
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn encoded(query: &Message) -> std::io::Result<Vec<u8>> {
    query.to_vec().map_err(std::io::Error::other)
}

fn id(datagram: &[u8]) -> Option<u16> {
    let bytes: [u8; 2] = datagram.get(..2)?.try_into().ok()?;
    Some(u16::from_be_bytes(bytes))
}

/// The answer to `query` in `bytes`, if it is one.
fn read(bytes: &[u8], query: &Message) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let asked = query.queries.first()?;
    let matches = answer.metadata.id == query.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && answer.metadata.op_code == OpCode::Query
        && match answer.queries.as_slice() {
            [echoed] => {
                echoed.name() == asked.name()
                    && echoed.query_type() == asked.query_type()
                    && echoed.query_class() == DNSClass::IN
            }
            // RFC 6891 and old servers: an error may come without its question.
            [] => answer.metadata.response_code != ResponseCode::NoError,
            _ => false,
        };
    matches.then_some(answer)
}

/// As [`read`], of an answer to `question` that was asked with the id `id`.
#[cfg(feature = "fuzzing")]
pub(super) fn fuzzed(id: u16, bytes: &[u8], question: &Question) -> Option<Message> {
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    let name = Name::from_ascii(question.name.as_str()).ok()?;
    query.add_query(Query::query(name, record_type(question.kind)));
    read(bytes, &query)
}

fn same_case(answer: &Message, query: &Message) -> bool {
    match (answer.queries.first(), query.queries.first()) {
        (Some(echoed), Some(asked)) => echoed.name().eq_case(asked.name()),
        (None, _) => true,
        _ => false,
    }
}

pub(super) fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Txt => RecordType::TXT,
        Kind::Caa => RecordType::CAA,
        Kind::Ns => RecordType::NS,
        Kind::Soa => RecordType::SOA,
    }
}
