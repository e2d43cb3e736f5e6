//! Where it listens: both families of addresses, and sockets that are inherited.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use crate::{
    origin::{App, Speaks},
    rig::{HOST, Options, PATIENCE, Rig, empty, eventually, whole},
};

async fn with_app(options: Options) -> (Rig, App) {
    let rig = Rig::with(options);
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    (rig, app)
}

/// What the origin was told of the client of `stream`.
async fn told(rig: &Rig, stream: TcpStream) -> String {
    let connector = TlsConnector::from(Arc::new(rig.ca.client(&["http/1.1"])));
    let name = ServerName::try_from(HOST).unwrap();
    let stream = timeout(PATIENCE, connector.connect(name, stream)).await;
    let stream = TokioIo::new(stream.unwrap().unwrap());
    let (mut sender, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::builder().uri("/").header("host", HOST);
    let response = sender.send_request(request.body(empty()).unwrap());
    whole(timeout(PATIENCE, response).await.unwrap().unwrap())
        .await
        .1
}

#[tokio::test]
async fn clients_of_both_families_are_told_by_their_own_address() {
    for (listen, client, seen) in [
        ("127.0.0.1:0", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0:0", "127.0.0.1", "127.0.0.1"),
        ("[::1]:0", "::1", "::1"),
        ("[::]:0", "::1", "::1"),
        // Not ::ffff:127.0.0.1, which no list of an origin's has.
        ("[::]:0", "127.0.0.1", "127.0.0.1"),
    ] {
        let (rig, _app) = with_app(Options {
            listen: listen.parse().unwrap(),
            ..Options::default()
        })
        .await;
        let address = SocketAddr::new(client.parse().unwrap(), rig.https().port());
        let stream = TcpStream::connect(address).await.unwrap();
        let text = told(&rig, stream).await;
        let line = format!("x-forwarded-for: {seen}\n");
        assert!(text.contains(&line), "{listen}, {client}: {text}");
    }
}

#[tokio::test]
async fn one_family_is_one_family() {
    let rig = Rig::with(Options {
        listen: "[::1]:0".parse().unwrap(),
        ..Options::default()
    });
    let other = SocketAddr::from(([127, 0, 0, 1], rig.https().port()));
    assert!(TcpStream::connect(other).await.is_err());
}

#[tokio::test]
async fn cores_serve_inherited_sockets() {
    for sockets in [1, 2] {
        let inherited: Vec<TcpListener> = (0..sockets)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let addresses: Vec<SocketAddr> = inherited
            .iter()
            .map(|socket| socket.local_addr().unwrap())
            .collect();
        let (rig, _app) = with_app(Options {
            cores: 2,
            inherited,
            ..Options::default()
        })
        .await;
        for address in addresses.iter().cycle().take(8) {
            let stream = TcpStream::connect(address).await.unwrap();
            assert!(told(&rig, stream).await.contains("x-forwarded-for"));
        }
    }
}

#[tokio::test]
async fn whoever_comes_between_two_processes_waits_for_the_second() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let options = || Options {
        inherited: vec![held.try_clone().unwrap()],
        ..Options::default()
    };
    let (mut rig, _app) = with_app(options()).await;
    let stream = TcpStream::connect(address).await.unwrap();
    told(&rig, stream).await;
    let other = rig.another();
    let first = std::mem::replace(&mut rig.edge, other);
    first.drain(Duration::from_secs(5)).await;
    let mut early = TcpStream::connect(address).await.unwrap();
    let heard = timeout(Duration::from_millis(100), early.read(&mut [0; 1])).await;
    assert!(heard.is_err(), "nobody answers, and nobody refuses");
    let second = rig.successor(options());
    rig.settled().await;
    assert!(told(&rig, early).await.contains("x-forwarded-for"));
    eventually("it was served by the second", || {
        second.metrics().requests == 1
    })
    .await;
}
