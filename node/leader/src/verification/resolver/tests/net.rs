//! Name servers on loopback: real ones with zones, and scripted ones that misbehave.
//!
//! All stand at one port of different addresses, as name servers do.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hickory_proto::{
    op::{Message, MessageType, OpCode},
    rr::{Name, RrKey},
    serialize::txt::Parser,
};
use hickory_server::{
    Server,
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    task::JoinSet,
    time::{Instant, sleep},
};

/// What a scripted server does with a question.
pub(crate) enum Reply {
    /// Sends it.
    Say(Message),
    /// Sends these bytes.
    Bytes(Vec<u8>),
    /// Nothing.
    Silence,
}

/// A question as a scripted server sees it.
pub(crate) struct Ask {
    pub(crate) query: Message,
    pub(crate) tcp: bool,
}

impl Ask {
    /// The name in lower case, without its final dot.
    pub(crate) fn name(&self) -> String {
        let name = self.query.queries[0].name().to_lowercase().to_ascii();
        name.trim_end_matches('.').to_owned()
    }

    /// An empty answer to it.
    pub(crate) fn answer(&self) -> Message {
        let mut message =
            Message::new(self.query.metadata.id, MessageType::Response, OpCode::Query);
        message.metadata.authoritative = true;
        message.add_query(self.query.queries[0].clone());
        message
    }

    /// An answer with records from the lines of a zone file. Those in `authority` and
    /// `additional` go there.
    pub(crate) fn with(&self, answers: &str, authority: &str, additional: &str) -> Message {
        let mut message = self.answer();
        message.add_answers(records(answers));
        message.add_authorities(records(authority));
        message.add_additionals(records(additional));
        message
    }
}

/// The records in lines of a zone file with full names.
pub(crate) fn records(lines: &str) -> Vec<hickory_proto::rr::Record> {
    let lines = format!("$TTL 60\n{lines}\n");
    let origin = Name::from_ascii("example.").unwrap();
    let (_, sets) = Parser::new(lines, None, Some(origin)).parse().unwrap();
    sets.into_values()
        .flat_map(|set| set.records_without_rrsigs().cloned().collect::<Vec<_>>())
        .collect()
}

/// Some servers.
pub(crate) struct Net {
    pub(crate) port: u16,
    tasks: JoinSet<()>,
    servers: Vec<Server<Catalog>>,
}

type Sockets = (UdpSocket, TcpListener);

impl Net {
    pub(crate) async fn new() -> Self {
        // The port is free at 127.0.0.1, so most likely everywhere on loopback.
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self {
            port: socket.local_addr().unwrap().port(),
            tasks: JoinSet::new(),
            servers: Vec::new(),
        }
    }

    pub(crate) fn address(host: u8) -> IpAddr {
        Ipv4Addr::new(127, 0, 0, host).into()
    }

    pub(crate) fn at(&self, host: u8) -> SocketAddr {
        (Self::address(host), self.port).into()
    }

    /// Another test's question may hold the port for a moment: waits until it is free.
    async fn bind(&self, host: u8) -> Sockets {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let udp = UdpSocket::bind(self.at(host)).await;
            let tcp = TcpListener::bind(self.at(host)).await;
            match (udp, tcp) {
                (Ok(udp), Ok(tcp)) => return (udp, tcp),
                (udp, tcp) => assert!(Instant::now() < deadline, "{udp:?} {tcp:?}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// A real server at 127.0.0.`host` with these zones: each its name and its file.
    pub(crate) async fn zones(&mut self, host: u8, zones: &[(&str, &str)]) {
        let (udp, tcp) = self.bind(host).await;
        let mut catalog = Catalog::new();
        for (name, file) in zones {
            let origin = Name::from_ascii(format!("{name}.")).unwrap();
            catalog.upsert(origin.clone().into(), vec![Arc::new(zone(&origin, file))]);
        }
        let mut server = Server::new(catalog);
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 32);
        self.servers.push(server);
    }

    /// A parent at 127.0.0.`host` that only delegates: each child and the hosts of its
    /// servers, with glue. (The real server gives none.)
    pub(crate) async fn parent(&mut self, host: u8, children: &'static [(&str, &[u8])]) {
        self.script(host, move |ask| {
            let name = format!(".{}", ask.name());
            let child = children
                .iter()
                .find(|(child, _)| name.ends_with(&format!(".{child}")));
            let Some((child, hosts)) = child else {
                return Reply::Say(ask.with(
                    "",
                    "@ SOA ns.example. root.example. 1 60 60 60 60",
                    "",
                ));
            };
            let line = |of: &str| {
                let lines = hosts.iter().map(|host| of.replace('#', &host.to_string()));
                lines.collect::<Vec<_>>().join("\n")
            };
            let mut message = ask.with(
                "",
                &line(&format!("{child}. NS ns#.{child}.")),
                &line(&format!("ns#.{child}. A 127.0.0.#")),
            );
            message.metadata.authoritative = false;
            Reply::Say(message)
        })
        .await;
    }

    /// A server at 127.0.0.`host` that does as `script` says. Tells how often it was asked.
    pub(crate) async fn script(
        &mut self,
        host: u8,
        script: impl Fn(&Ask) -> Reply + Send + Sync + 'static,
    ) -> Arc<AtomicUsize> {
        let (udp, tcp) = self.bind(host).await;
        let asked = Arc::new(AtomicUsize::new(0));
        let (script, counter) = (Arc::new(script), asked.clone());
        let reply = move |bytes: &[u8], tcp: bool| {
            counter.fetch_add(1, Ordering::SeqCst);
            let query = Message::from_vec(bytes).unwrap();
            match script(&Ask { query, tcp }) {
                Reply::Say(message) => Some(message.to_vec().unwrap()),
                Reply::Bytes(bytes) => Some(bytes),
                Reply::Silence => None,
            }
        };
        let by_udp = reply.clone();
        self.tasks.spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
                if let Some(answer) = by_udp(&buffer[..length], false) {
                    let _ = udp.send_to(&answer, from).await;
                }
            }
        });
        self.tasks.spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = tcp.accept().await {
                let Ok(length) = stream.read_u16().await else {
                    continue;
                };
                let mut query = vec![0; length.into()];
                stream.read_exact(&mut query).await.unwrap();
                if let Some(answer) = reply(&query, true) {
                    stream
                        .write_u16(answer.len().try_into().unwrap())
                        .await
                        .unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
                held.push(stream); // silence is no end
            }
        });
        asked
    }
}

fn zone(origin: &Name, file: &str) -> impl ZoneHandler + use<> {
    let file = format!("$TTL 60\n@ IN SOA ns.{origin} root.{origin} 1 60 60 60 60\n{file}\n");
    let (_, sets) = Parser::new(file, None, Some(origin.clone()))
        .parse()
        .unwrap();
    let soa = RrKey::new(origin.clone().into(), hickory_proto::rr::RecordType::SOA);
    assert!(sets.contains_key(&soa));
    <InMemoryZoneHandler>::new(origin.clone(), sets, ZoneType::Primary, AxfrPolicy::Deny).unwrap()
}
