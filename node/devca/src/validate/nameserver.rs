//! Asking one DNS server: for texts, and for addresses.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::vantage::Resolve;
use crate::entropy::{Entropy, SystemEntropy};

/// What is said to be taken by UDP: crosses every path whole (DNS flag day 2020).
const PAYLOAD: u16 = 1_232;
/// Room for servers that send more than that.
const DATAGRAM: usize = 4_096;
/// CNAMEs followed; resolvers give up at about as many.
const MAX_ALIASES: usize = 10;
/// How long one question waits for its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a question is sent by UDP before the server is given up.
const ATTEMPTS: usize = 3;

/// Finds the texts of a name, for dns-01.
#[async_trait]
pub trait LookUpText: Send + Sync + fmt::Debug {
    /// The TXT records of `name`, each with its strings joined; none when there are none.
    /// CNAMEs are followed.
    ///
    /// # Errors
    /// When the server cannot be asked, or refuses to answer.
    async fn texts(&self, name: &str) -> io::Result<Vec<String>>;
}

/// One DNS server, asked by UDP and, where that is not enough, by TCP: a resolver, or an
/// authoritative server for all that will be asked.
///
/// Nothing is cached. Aliases (CNAME) that the server does not follow are asked for anew.
#[derive(Debug, Clone, Copy)]
pub struct NameServer {
    address: SocketAddr,
}

impl NameServer {
    /// The server at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// The data of this type at `name`, behind aliases.
    async fn look_up<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        let mut name = Name::from_ascii(name).map_err(io::Error::other)?;
        name.set_fqdn(true);
        for _ in 0..=MAX_ALIASES {
            let answer = self.ask(&name, kind).await?;
            let (last, found) = follow(&answer, name.clone(), &read);
            if !found.is_empty() || last == name {
                return Ok(found);
            }
            name = last;
        }
        Err(io::Error::other(format!(
            "more than {MAX_ALIASES} aliases in a row"
        )))
    }

    async fn ask(&self, name: &Name, kind: RecordType) -> io::Result<Message> {
        let query = query(name, kind);
        let sent = query.to_vec().map_err(io::Error::other)?;
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        for _ in 0..ATTEMPTS {
            let answer = match timeout(PATIENCE, self.by_udp(&query, &sent)).await {
                Ok(Ok(answer)) if answer.metadata.truncation => {
                    timeout(PATIENCE, self.by_tcp(&query, &sent)).await
                }
                other => other,
            };
            match answer {
                Ok(Ok(answer)) => return self.accepted(answer),
                Ok(Err(error)) => last = error,
                Err(_) => {}
            }
        }
        Err(io::Error::new(
            last.kind(),
            format!("no answer from {}: {last}", self.address),
        ))
    }

    fn accepted(&self, answer: Message) -> io::Result<Message> {
        match answer.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
            code => Err(io::Error::other(format!("{} says {code}", self.address))),
        }
    }

    async fn by_udp(&self, query: &Message, sent: &[u8]) -> io::Result<Message> {
        let here: IpAddr = match self.address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((here, 0)).await?;
        socket.connect(self.address).await?;
        socket.send(sent).await?;
        let mut buffer = [0; DATAGRAM];
        loop {
            let length = socket.recv(&mut buffer).await?;
            if let Some(answer) = read(&buffer[..length], query) {
                return Ok(answer);
            }
        }
    }

    async fn by_tcp(&self, query: &Message, sent: &[u8]) -> io::Result<Message> {
        let mut stream = TcpStream::connect(self.address).await?;
        let length = u16::try_from(sent.len()).map_err(io::Error::other)?;
        stream
            .write_all(&[&length.to_be_bytes(), sent].concat())
            .await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        read(&answer, query).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }
}

#[async_trait]
impl LookUpText for NameServer {
    async fn texts(&self, name: &str) -> io::Result<Vec<String>> {
        self.look_up(name, RecordType::TXT, |data| match data {
            RData::TXT(text) => {
                let whole = text.txt_data.concat();
                Some(String::from_utf8_lossy(&whole).into_owned())
            }
            _ => None,
        })
        .await
    }
}

#[async_trait]
impl Resolve for NameServer {
    /// IPv6 first, as Let's Encrypt prefers it.
    async fn resolve(&self, hostname: &str) -> io::Result<Vec<IpAddr>> {
        let address = |data: &RData| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        };
        let mut found = self.look_up(hostname, RecordType::AAAA, address).await?;
        found.extend(self.look_up(hostname, RecordType::A, address).await?);
        Ok(found)
    }
}

fn query(name: &Name, kind: RecordType) -> Message {
    let mut id = [0; 2];
    SystemEntropy.fill(&mut id);
    let mut message = Message::new(u16::from_be_bytes(id), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name.clone(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD);
    message.set_edns(edns);
    message
}

/// The message, if it is the answer to `query`.
fn read(bytes: &[u8], query: &Message) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let same = answer.metadata.id == query.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && answer.queries == query.queries;
    same.then_some(answer)
}

/// Follows the aliases within one answer: the last name, and what is found there.
fn follow<T>(
    answer: &Message,
    mut name: Name,
    read: &impl Fn(&RData) -> Option<T>,
) -> (Name, Vec<T>) {
    for _ in 0..=MAX_ALIASES {
        let records = answer.answers.iter().filter(|record| record.name == name);
        let records: Vec<_> = records.map(|record| &record.data).collect();
        let alias = records.iter().find_map(|data| match data {
            RData::CNAME(alias) => Some(alias.0.clone()),
            _ => None,
        });
        match alias {
            Some(alias) => name = alias,
            None => return (name, records.into_iter().filter_map(read).collect()),
        }
    }
    (name, Vec::new())
}
