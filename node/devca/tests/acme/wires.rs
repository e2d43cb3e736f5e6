//! Misbehaviour on command, on real sockets.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use devca::{Behaviour, Endpoint, Fault, Limit, Mishap, Running, Server};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::client::config;
use crate::site::Site;

/// Long enough for an answer that does come.
const SOON: Duration = Duration::from_secs(10);
/// Long enough to see that none comes.
const NEVER: Duration = Duration::from_millis(300);

async fn ca() -> (Running, Site) {
    let site = Site::start().await;
    let ca = Server::start(config(site.probing())).await.unwrap();
    (ca, site)
}

/// Sends a GET for the directory, and reads until the server has no more or `limit` bytes
/// came; how it ended, and what came.
async fn directory(ca: &Running, limit: usize) -> (io::Result<()>, String) {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.root_pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(ca.local_addr()).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    let request = b"GET /directory HTTP/1.1\r\nHost: ca\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut read = Vec::new();
    let ended = loop {
        if read.len() >= limit {
            break Ok(());
        }
        match stream.read_buf(&mut read).await {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    (ended, String::from_utf8_lossy(&read).into_owned())
}

async fn struck(ca: &Running, mishap: Mishap, limit: usize) -> (io::Result<()>, String) {
    let control = ca.control();
    control.inject(Fault::once(Endpoint::Directory, mishap));
    timeout(SOON, directory(ca, limit)).await.unwrap()
}

#[tokio::test]
async fn connections_are_reset_in_place_of_an_answer() {
    let (ca, _site) = ca().await;
    for mishap in [Mishap::ResetBefore, Mishap::ResetAfter] {
        let (ended, read) = struck(&ca, mishap, usize::MAX).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(read, "");
    }
    let (ended, read) = directory(&ca, usize::MAX).await;
    assert!(ended.is_ok() && read.contains("newNonce"));
}

#[tokio::test]
async fn bodies_break_off() {
    let (ca, _site) = ca().await;
    let (ended, read) = struck(&ca, Mishap::Truncate { bytes: 7 }, usize::MAX).await;
    assert!(ended.is_err(), "{read}");
    let (head, body) = read.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), 7);
    assert!(head.contains("content-length: "), "{head}");
    assert!(!head.contains("content-length: 7\r"), "{head}");
}

#[tokio::test]
async fn bodies_never_end() {
    let (ca, _site) = ca().await;
    let (ended, whole) = directory(&ca, usize::MAX).await;
    assert!(ended.is_ok());
    let (ended, read) = struck(&ca, Mishap::Endless, whole.len() + 50).await;
    assert!(ended.is_ok());
    assert!(
        read.contains("newNonce") && read.contains("transfer-encoding: chunked"),
        "{read}"
    );
}

#[tokio::test]
async fn silence_is_kept_and_lateness_ends() {
    let (ca, _site) = ca().await;
    let fault = Fault::once(Endpoint::Directory, Mishap::Silence);
    ca.control().inject(fault);
    assert!(timeout(NEVER, directory(&ca, usize::MAX)).await.is_err());
    let (ended, read) = struck(&ca, Mishap::Late { millis: 50 }, usize::MAX).await;
    assert!(ended.is_ok() && read.contains("newNonce"));
}

#[tokio::test]
async fn a_black_hole_takes_connections_and_says_nothing() {
    let (ca, _site) = ca().await;
    let control = ca.control();
    control.set_behaviour(Behaviour {
        black_hole: true,
        ..Behaviour::default()
    });
    let mut stream = TcpStream::connect(ca.local_addr()).await.unwrap();
    let mut byte = [0];
    assert!(timeout(NEVER, stream.read(&mut byte)).await.is_err());
    control.adjust(|it| it.black_hole = false);
    let (ended, read) = timeout(SOON, directory(&ca, usize::MAX)).await.unwrap();
    assert!(ended.is_ok() && read.contains("newNonce"));
    // Who was caught in it is let go.
    let ended = timeout(SOON, stream.read(&mut byte)).await.unwrap();
    assert_eq!(ended.unwrap_or(0), 0);
}

#[tokio::test]
async fn requests_of_one_address_are_counted() {
    let (ca, _site) = ca().await;
    ca.control().adjust(|it| {
        // One, and no other before an hour is over.
        it.limits.requests.directory = Some(Limit::per_millis(1, 3_600_000));
    });
    let (_, first) = directory(&ca, usize::MAX).await;
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    let (_, second) = directory(&ca, usize::MAX).await;
    assert!(second.starts_with("HTTP/1.1 503"), "{second}");
    assert!(second.contains("retry-after: 3"), "{second}");
}

#[tokio::test]
async fn a_ca_in_the_middle_of_mischief_stops_all_the_same() {
    let (ca, _site) = ca().await;
    ca.control()
        .inject(Fault::once(Endpoint::Directory, Mishap::Silence));
    assert!(timeout(NEVER, directory(&ca, usize::MAX)).await.is_err());
    timeout(SOON, ca.shutdown()).await.unwrap();
}
