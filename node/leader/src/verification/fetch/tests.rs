//! The road by HTTP against servers that do not behave.

use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// A server that says this to everybody, and what it was asked.
async fn server(says: &'static [u8]) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, asked) = asked(&listener).await;
        let _ = stream.write_all(says).await;
        if says.is_empty() {
            // Held open, saying nothing, until the other side leaves.
            let _ = stream.read_u8().await;
        }
        asked
    });
    (address, task)
}

/// The first connection, and the head of its request.
async fn asked(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        asked.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(asked).unwrap())
}

fn web() -> Web {
    let egress = Egress {
        allow: vec!["127.0.0.1/32".parse().unwrap()],
    };
    Web::new(egress).with_patience(Duration::from_millis(500))
}

fn host() -> Hostname {
    Hostname::parse("shop.client.example").unwrap()
}

#[tokio::test]
async fn answers_are_told_apart() {
    let cases: [(&[u8], Page); 7] = [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntoken",
            Page::Body("token".to_owned()),
        ),
        (
            b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
            Page::Body("until the end".to_owned()),
        ),
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            Page::Status(404),
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
            Page::Redirect("http://169.254.169.254/".to_owned()),
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Page::Broken),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut",
            Page::Broken,
        ),
        (b"", Page::Timeout),
    ];
    for (says, expected) in cases {
        let (address, task) = server(says).await;
        assert_eq!(web().get(address, &host(), "/x").await, expected);
        let asked = task.await.unwrap();
        assert!(asked.starts_with("GET /x HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("host: shop.client.example\r\n"), "{asked}");
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let flood = tokio::spawn(async move {
        let (mut stream, _) = asked(&listener).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 1024]).await.is_ok() {}
    });
    match web().get(address, &host(), "/").await {
        Page::Body(text) => assert_eq!(text.len(), BODY_MOST),
        other => panic!("{other:?}"),
    }
    flood.await.unwrap();
}

#[tokio::test]
async fn an_internal_address_is_not_even_connected_to() {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(web().get(address, &host(), "/").await, Page::Forbidden);
    assert_eq!(web().knock(address).await, Port::Forbidden);
    let accept = timeout(Duration::from_millis(50), listener.accept());
    assert!(accept.await.is_err(), "nobody came");
}

#[tokio::test]
async fn ports_are_told_apart() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(web().knock(address).await, Port::Open);
    drop(listener);
    assert_eq!(web().knock(address).await, Port::Closed);
    assert_eq!(web().get(address, &host(), "/").await, Page::Closed);
}
