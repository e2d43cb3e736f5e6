//! The DNS server as resolvers see it: real sockets, and the parsers of others.

mod book;
mod edge;
mod resolver;
mod sockets;
mod tools;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ::edge::dns::{Config, Limits, Running};
use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query},
    rr::{Name, RecordType},
    serialize::binary::BinEncodable,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use self::book::Book;
use crate::rig::PATIENCE;

/// A server on loopback and what it answers from.
struct Stand {
    server: Running,
    book: Arc<Book>,
}

impl Stand {
    fn start() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let book = Arc::new(Book::new());
        let config = Config {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            limits,
        };
        let server = Running::start(config, Arc::clone(&book) as _).unwrap();
        Self { server, book }
    }

    fn address(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    async fn udp(&self, name: &str, kind: RecordType) -> Message {
        let socket = client(self.address()).await;
        socket.send(&question(name, kind)).await.unwrap();
        received(&socket, PATIENCE).await.unwrap()
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }
}

async fn client(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    socket
}

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    message.set_edns(edns);
    message.to_bytes().unwrap()
}

async fn received(socket: &UdpSocket, within: Duration) -> Option<Message> {
    let mut buffer = [0; 65_535];
    let length = timeout(within, socket.recv(&mut buffer))
        .await
        .ok()?
        .unwrap();
    Some(Message::from_vec(&buffer[..length]).unwrap())
}

async fn tell(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).unwrap();
    let framed = [&length.to_be_bytes()[..], message].concat();
    stream.write_all(&framed).await.unwrap();
}

/// The next answer; `None` once the server has closed.
async fn hear(stream: &mut TcpStream) -> Option<Message> {
    let read = timeout(PATIENCE, async {
        let length = stream.read_u16().await.ok()?;
        let mut buffer = vec![0; length.into()];
        stream.read_exact(&mut buffer).await.unwrap();
        Some(Message::from_vec(&buffer).unwrap())
    });
    read.await.unwrap()
}

/// The answers' data, sorted.
fn data(message: &Message) -> Vec<String> {
    let mut data: Vec<String> = message
        .answers
        .iter()
        .map(|record| record.data.to_string())
        .collect();
    data.sort();
    data
}
