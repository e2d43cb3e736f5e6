use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

use super::*;

fn url(text: &str) -> Url {
    let config = ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Url {
        uri: text.parse().unwrap(),
        tls: TlsConnector::from(Arc::new(config)),
    }
}

fn name() -> Hostname {
    Hostname::parse("shop.client.example").unwrap()
}

/// Somebody who is asked once, and what is asked.
async fn someone(says: Vec<u8>) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        // Whoever has heard enough does not take the rest.
        let _ = stream.write_all(&says).await;
        String::from_utf8(head).unwrap()
    });
    (address, asked)
}

#[test]
fn a_status_is_a_yes_a_no_or_nothing() {
    for (status, expected) in [
        (200, Some(Answer::Yes)),
        (204, Some(Answer::Yes)),
        (301, None),
        (302, None),
        (401, Some(Answer::No)),
        (404, Some(Answer::No)),
        (429, None),
        (500, None),
        (503, None),
    ] {
        let found = answer(StatusCode::from_u16(status).unwrap());
        assert_eq!(found.ok(), expected, "{status}");
    }
}

#[test]
fn the_name_joins_what_is_asked_already() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    for (text, target) in [
        ("https://app.example", "/?domain=shop.client.example"),
        ("https://app.example/ok", "/ok?domain=shop.client.example"),
        ("https://app.example/?", "/?domain=shop.client.example"),
        (
            "https://app.example/ok?key=1",
            "/ok?key=1&domain=shop.client.example",
        ),
    ] {
        let request = url(text).request(&name()).unwrap();
        assert_eq!(request.uri().to_string(), target);
        assert_eq!(request.headers()[header::HOST], "app.example");
    }
}

#[tokio::test]
async fn nobody_is_sent_on_and_no_body_is_waited_for() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let endless = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\nno",
        u64::MAX >> 1
    );
    for (says, expected) in [
        (endless.into_bytes(), Some(200)),
        (
            b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_vec(),
            Some(302),
        ),
        (
            b"HTTP/1.1 200 OK\r\nx: "
                .iter()
                .copied()
                .chain([b'a'; 64 << 10])
                .collect(),
            None,
        ),
        (b"yes".to_vec(), None),
        (Vec::new(), None),
    ] {
        let (address, asked) = someone(says).await;
        let status = url(&format!("http://{address}/ask")).ask(&name()).await;
        assert_eq!(status.ok().map(|status| status.as_u16()), expected);
        let head = asked.await.unwrap();
        assert!(
            head.starts_with("GET /ask?domain=shop.client.example HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains(&format!("host: {address}\r\n")), "{head}");
    }
}
