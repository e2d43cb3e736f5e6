//! All that a client says on an HTTP/1.1 connection: anybody's.

use std::{cell::OnceCell, net::IpAddr};

use edge::fuzzing::{Forwarded, requests};
use http::{HeaderMap, Version, header};
use tokio::runtime::{Builder, Runtime};

/// More would be the same again.
const LONGEST: usize = 96 << 10;
/// Who asks.
const CLIENT: &str = "192.0.2.7";
/// Belong to one connection, and go no further.
const HOP_BY_HOP: [&str; 7] = [
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "transfer-encoding",
    "http2-settings",
    "expect",
];
/// The origin believes these: they are ours alone.
const OURS: [&str; 6] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "forwarded",
];
/// The shortest request that has all it needs.
const SHORTEST: usize = "GET / HTTP/1.1\n".len();

thread_local! {
    static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
}

/// Serves a connection, and looks at what would be sent on.
pub fn target(data: &[u8]) {
    let data = &data[..data.len().min(LONGEST)];
    let address: IpAddr = CLIENT.parse().unwrap();
    let outcomes = RUNTIME.with(|runtime| {
        let runtime = runtime.get_or_init(|| {
            let runtime = Builder::new_current_thread().enable_time().build();
            runtime.expect("a runtime")
        });
        runtime.block_on(requests(data, address))
    });
    assert!(outcomes.len() <= data.len() / SHORTEST);
    for (place, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(forwarded) => check(forwarded),
            Err((reason, closes)) => {
                let last = place + 1 == outcomes.len();
                assert!(last || !closes, "a request follows {reason:?}");
            }
        }
    }
}

fn check(forwarded: &Forwarded) {
    let method = forwarded.method.as_str();
    assert!(!matches!(method, "CONNECT" | "TRACE"));
    assert!(!method.bytes().any(|b| b.is_ascii_lowercase()), "{method}");
    let target = forwarded.target.path_and_query().unwrap().as_str();
    assert!(target.starts_with('/') || target == "*" && method == "OPTIONS");
    assert!(target.len() <= 8 << 10);
    host(forwarded);
    length(forwarded);
    connection(forwarded);
    told(forwarded);
}

fn host(forwarded: &Forwarded) {
    let (host, name) = (&forwarded.host, &forwarded.name);
    let (bare, port) = host.split_once(':').unwrap_or((host, "443"));
    assert!(port.parse::<u16>().unwrap() > 0, "{host}");
    let bare = bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase();
    assert_eq!(bare, *name);
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    assert!(!name.is_empty() && name.bytes().all(fine), "{name}");
}

/// One length, and the body has it.
fn length(forwarded: &Forwarded) {
    let mut lengths = forwarded.headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else {
        return;
    };
    assert_eq!(lengths.next(), None);
    let length: usize = length.to_str().unwrap().parse().unwrap();
    if let Some(body) = forwarded.body {
        assert_eq!(body, length);
    }
}

/// Nothing of the client's connection is left.
fn connection(forwarded: &Forwarded) {
    let headers = &forwarded.headers;
    for name in HOP_BY_HOP {
        assert!(!headers.contains_key(name), "{name}");
    }
    let (connection, upgrade) = (header::CONNECTION, header::UPGRADE);
    if forwarded.websocket {
        assert_eq!(only(headers, connection.as_str()), "upgrade");
        assert_eq!(only(headers, upgrade.as_str()), "websocket");
        assert_eq!(forwarded.version, Version::HTTP_11);
    } else {
        assert!(!headers.contains_key(connection) && !headers.contains_key(upgrade));
    }
    if headers.contains_key(header::TE) {
        assert_eq!(only(headers, "te"), "trailers");
    }
    assert!(headers.get_all(header::COOKIE).iter().count() <= 1);
}

/// What the origin believes of the client is what we saw.
fn told(forwarded: &Forwarded) {
    let headers = &forwarded.headers;
    assert_eq!(only(headers, "x-forwarded-for"), CLIENT);
    assert_eq!(only(headers, "x-real-ip"), CLIENT);
    assert_eq!(only(headers, "x-forwarded-host"), forwarded.host);
    assert_eq!(only(headers, "x-forwarded-proto"), "https");
    assert!(only(headers, "forwarded").starts_with("for=192.0.2.7;host=\""));
    assert!(!headers.contains_key("x-forwarded-port"));
    for name in headers.keys() {
        let plain = name.as_str().replace('_', "-");
        assert!(
            plain == name.as_str() || !OURS.contains(&plain.as_str()),
            "{name}"
        );
    }
    let last = headers.get_all(header::VIA).iter().next_back().unwrap();
    assert!(last.as_bytes().ends_with(b" hostquorum"));
}

#[track_caller]
fn only<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let mut values = headers.get_all(name).iter();
    let value = values.next().unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(values.next(), None, "{name} twice");
    value.to_str().unwrap()
}
