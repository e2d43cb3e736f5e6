//! Load balancers in front that say who clients are (PROXY protocol, version 2).

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    origin::{App, Speaks},
    rig::{HOST, Options, PATIENCE, Rig, eventually, read_for, whole},
};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn of_client() -> Vec<u8> {
    of("203.0.113.9")
}

/// PROXY, TCP, from a client at `address`.
pub(crate) fn of(address: &str) -> Vec<u8> {
    let (family, client, node) = match address.parse().unwrap() {
        IpAddr::V4(client) => (0x11, client.octets().to_vec(), vec![127, 0, 0, 1]),
        IpAddr::V6(client) => (0x21, client.octets().to_vec(), vec![0; 16]),
    };
    let addresses = [client, node, vec![0x12, 0x67, 0x01, 0xbb]].concat();
    let length = u8::try_from(addresses.len()).unwrap();
    [SIGNATURE, &[0x21, family, 0, length], &addresses].concat()
}

/// LOCAL: a health check's.
fn of_balancer() -> Vec<u8> {
    [SIGNATURE, &[0x20, 0x00, 0, 0]].concat()
}

fn behind(network: &str) -> Rig {
    Rig::with(Options {
        fronts: vec![network.parse().unwrap()],
        ..Options::default()
    })
}

/// What the origin was told about a client whose connection began with `header`, which
/// arrives in pieces of `piece`.
async fn told(rig: &Rig, header: &[u8], piece: usize) -> String {
    rig.settled().await;
    let mut stream = TcpStream::connect(rig.https()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in header.chunks(piece) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let connector = TlsConnector::from(Arc::new(rig.ca.client(&["http/1.1"])));
    let name = ServerName::try_from(HOST).unwrap();
    let stream = timeout(PATIENCE, connector.connect(name, stream)).await;
    let stream = TokioIo::new(stream.unwrap().unwrap());
    let (mut sender, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::builder().uri("/").header("host", HOST);
    let request = request.body(Full::<Bytes>::default()).unwrap();
    whole(sender.send_request(request).await.unwrap()).await.1
}

#[tokio::test]
async fn the_origin_is_told_of_the_client_behind_the_balancer() {
    let rig = behind("127.0.0.0/8");
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    for (header, piece, client) in [
        (of_client(), usize::MAX, "203.0.113.9"),
        (of_client(), 5, "203.0.113.9"),
        (of_balancer(), usize::MAX, "127.0.0.1"),
    ] {
        let text = told(&rig, &header, piece).await;
        let line = format!("x-forwarded-for: {client}\n");
        assert!(text.contains(&line), "{line} is missing in {text}");
    }
}

#[tokio::test]
async fn the_http_port_reads_the_header_too() {
    let rig = behind("127.0.0.0/8");
    rig.settled().await;
    let mut stream = TcpStream::connect(rig.http()).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
    let bytes = [of_client().as_slice(), request.as_bytes()].concat();
    stream.write_all(&bytes).await.unwrap();
    let text = read_for(&mut stream, PATIENCE).await;
    assert!(text.starts_with("HTTP/1.1 308 "), "{text}");
}

/// Whether the connection is closed without a word.
async fn is_closed(at: SocketAddr, bytes: &[u8]) -> bool {
    let mut stream = TcpStream::connect(at).await.unwrap();
    // It may be closed before all is sent.
    let _ = stream.write_all(bytes).await;
    let mut read = [0; 64];
    let answer = timeout(PATIENCE, stream.read(&mut read)).await.unwrap();
    matches!(answer, Ok(0) | Err(_))
}

#[tokio::test]
async fn who_does_not_say_it_rightly_is_turned_away() {
    let rig = behind("127.0.0.0/8");
    let request = b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n".as_slice();
    let first_version = b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 443\r\n".as_slice();
    let udp = [SIGNATURE, &[0x21, 0x12, 0, 12], &[0; 12]].concat();
    let endless = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat();
    let cases = [request, first_version, &udp, &endless];
    for port in [rig.http(), rig.https()] {
        for bytes in cases {
            assert!(is_closed(port, bytes).await, "{port}: {bytes:?}");
        }
    }
    eventually("all are counted", || {
        rig.edge.metrics().fronts_refused == 2 * cases.len() as u64
    })
    .await;
}

#[tokio::test]
async fn nobody_else_may_say_who_clients_are() {
    let rig = behind("192.0.2.0/24");
    for port in [rig.http(), rig.https()] {
        assert!(is_closed(port, &of_client()).await, "{port}");
    }
    // And without anybody in front a header is no beginning of anything.
    let rig = Rig::start();
    let mut stream = TcpStream::connect(rig.https()).await.unwrap();
    stream.write_all(&of_client()).await.unwrap();
    read_for(&mut stream, PATIENCE).await;
    assert_eq!(rig.edge.metrics().handshakes, 0);
}
