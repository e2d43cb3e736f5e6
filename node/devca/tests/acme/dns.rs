//! dns-01 against a DNS server: aliases, several texts, truncation, failures.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use devca::{Behaviour, Config, NameServer, Resolve, Running, Server};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use instant_acme::{Account, ChallengeType, Error, Order, OrderStatus, RetryPolicy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::AbortHandle;

use crate::client::{account, config, new_order};
use crate::site::Site;

/// The longest answer that fits a datagram here; longer ones are cut short.
const DATAGRAM: usize = 512;

/// A DNS server whose records a test sets; dropping it takes it off the net.
struct Zone {
    records: Records,
    address: SocketAddr,
    tasks: [AbortHandle; 2],
}

type Records = Arc<Mutex<HashMap<String, Vec<RData>>>>;

impl Zone {
    async fn start() -> Self {
        let records = Records::default();
        // The same port for both; another process may have it for one of them.
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let tasks = [
            tokio::spawn(serve_udp(udp, records.clone())).abort_handle(),
            tokio::spawn(serve_tcp(tcp, records.clone())).abort_handle(),
        ];
        Self {
            records,
            address,
            tasks,
        }
    }

    fn add(&self, name: &str, data: RData) {
        let mut records = self.records.lock().unwrap();
        records.entry(name.to_owned()).or_default().push(data);
    }

    fn text(&self, name: &str, text: &str) {
        self.add(name, RData::TXT(TXT::new(vec![text.to_owned()])));
    }

    fn alias(&self, name: &str, target: &str) {
        self.add(name, RData::CNAME(CNAME(absolute(target))));
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

fn absolute(name: &str) -> Name {
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    name
}

async fn serve_udp(socket: UdpSocket, records: Records) {
    let mut buffer = [0; 4_096];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        let mut answer = answer(&buffer[..length], &records);
        if answer.to_vec().unwrap().len() > DATAGRAM {
            answer.metadata.truncation = true;
            answer.answers.clear();
        }
        let _ = socket.send_to(&answer.to_vec().unwrap(), peer).await;
    }
}

async fn serve_tcp(listener: TcpListener, records: Records) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut query).await.unwrap();
        let answer = answer(&query, &records).to_vec().unwrap();
        let length = u16::try_from(answer.len()).unwrap();
        stream.write_u16(length).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    }
}

/// The records of the very name that was asked for: aliases are left to the client.
fn answer(query: &[u8], records: &Records) -> Message {
    let query = Message::from_vec(query).unwrap();
    let question = query.queries[0].clone();
    let mut answer = Message::new(
        query.metadata.id,
        MessageType::Response,
        query.metadata.op_code,
    );
    answer.add_query(question.clone());
    let name = question.name().to_ascii();
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name.ends_with("broken.example") {
        answer.metadata.response_code = ResponseCode::ServFail;
        return answer;
    }
    let records = records.lock().unwrap();
    let Some(found) = records.get(&name) else {
        answer.metadata.response_code = ResponseCode::NXDomain;
        return answer;
    };
    for data in found {
        let kind = data.record_type();
        if kind == question.query_type() || kind == RecordType::CNAME {
            let record = Record::from_rdata(question.name().clone(), 1, data.clone());
            answer.add_answer(record);
        }
    }
    answer
}

async fn ca(zone: &Zone, site: &Site) -> Running {
    let probing = site.probing().with_texts_of(NameServer::new(zone.address));
    let config = Config {
        behaviour: Behaviour {
            dns_01: true,
            ..Behaviour::default()
        },
        ..config(probing)
    };
    Server::start(config).await.unwrap()
}

/// Orders these names, puts the texts where `place` says, and lets the CA look.
async fn proven(
    account: &Account,
    names: &[&str],
    mut place: impl FnMut(&str, &str),
) -> Result<Order, String> {
    let mut order = new_order(account, names).await;
    let mut authorizations = order.authorizations();
    let mut ready = Vec::new();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.unwrap();
        let name = authorization.identifier().to_string();
        let name = name.trim_start_matches("*.").to_owned();
        let mut challenge = authorization.challenge(ChallengeType::Dns01).unwrap();
        let text = challenge.key_authorization().dns_value();
        place(&format!("_acme-challenge.{name}"), &text);
        ready.push(challenge.set_ready().await);
    }
    ready.into_iter().for_each(|it| it.unwrap());
    match order.poll_ready(&RetryPolicy::default()).await {
        Ok(OrderStatus::Ready) => Ok(order),
        Ok(status) => Err(format!("{status:?}")),
        Err(Error::Api(problem)) => Err(problem.detail.unwrap_or_default()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_wildcard_and_its_base_are_proven_by_two_texts_of_one_name() {
    let (zone, site) = (Zone::start().await, Site::start().await);
    let ca = ca(&zone, &site).await;
    let account = account(&ca).await;
    let names = ["client.example", "*.client.example"];
    let order = proven(&account, &names, |name, text| zone.text(name, text)).await;
    order.unwrap().finalize().await.unwrap();
    let ledger = ca.ledger();
    assert_eq!(ledger.certificates_for(&names).count(), 1);
}

#[tokio::test]
async fn aliases_are_followed_as_delegation_needs_it() {
    let (zone, site) = (Zone::start().await, Site::start().await);
    let ca = ca(&zone, &site).await;
    let account = account(&ca).await;
    zone.alias("_acme-challenge.shop.client.example", "one.edge.example");
    zone.alias("one.edge.example", "two.edge.example");
    let order = proven(&account, &["shop.client.example"], |_, text| {
        zone.text("two.edge.example", text);
    });
    assert!(order.await.is_ok());
    zone.alias("_acme-challenge.loop.client.example", "a.edge.example");
    zone.alias("a.edge.example", "b.edge.example");
    zone.alias("b.edge.example", "a.edge.example");
    let order = proven(&account, &["loop.client.example"], |_, _| {});
    let told = order.await.err().unwrap();
    assert!(told.contains("more than 10 aliases"), "{told}");
}

#[tokio::test]
async fn long_answers_come_by_tcp() {
    let (zone, site) = (Zone::start().await, Site::start().await);
    let ca = ca(&zone, &site).await;
    let account = account(&ca).await;
    for number in 0..20 {
        let text = format!("{number:0>60}");
        zone.text("_acme-challenge.shop.client.example", &text);
    }
    let order = proven(&account, &["shop.client.example"], |name, text| {
        zone.text(name, text);
    });
    assert!(order.await.is_ok());
}

#[tokio::test]
async fn failures_are_told_with_what_was_found() {
    let (zone, site) = (Zone::start().await, Site::start().await);
    let ca = ca(&zone, &site).await;
    let account = account(&ca).await;
    let nothing = proven(&account, &["none.client.example"], |_, _| {}).await;
    let told = nothing.err().unwrap();
    assert!(told.contains("no TXT record found"), "{told}");
    let other = proven(&account, &["other.client.example"], |name, _| {
        zone.text(name, "something else");
    });
    let told = other.await.err().unwrap();
    assert!(told.contains("something else"), "{told}");
    let broken = proven(&account, &["broken.example"], |_, _| {}).await;
    let told = broken.err().unwrap();
    assert!(told.contains("_acme-challenge.broken.example"), "{told}");
}

#[tokio::test]
async fn without_a_server_to_ask_dns_01_fails() {
    let site = Site::start().await;
    let mut config = config(site.probing());
    config.behaviour.dns_01 = true;
    let ca = Server::start(config).await.unwrap();
    let account = account(&ca).await;
    let order = proven(&account, &["shop.client.example"], |_, _| {}).await;
    let told = order.err().unwrap();
    assert!(told.contains("no DNS server to ask"), "{told}");
}

#[tokio::test]
async fn the_same_server_finds_addresses() {
    let zone = Zone::start().await;
    zone.alias("shop.client.example", "edge.example");
    zone.add("edge.example", RData::A(A::new(192, 0, 2, 7)));
    let server = NameServer::new(zone.address);
    let found = server.resolve("shop.client.example").await.unwrap();
    assert_eq!(found, ["192.0.2.7".parse::<std::net::IpAddr>().unwrap()]);
    assert!(server.resolve("none.example").await.unwrap().is_empty());
    assert!(server.resolve("broken.example").await.is_err());
}
