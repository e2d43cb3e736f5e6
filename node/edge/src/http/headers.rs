//! Header fields on their way through: what belongs to one connection stays
//! behind (RFC 9110 section 7.6.1), and what tells the origin about the client
//! is written by us alone.

use std::{fmt::Write, net::IpAddr};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header, request::Parts};

use super::{answer::Reason, route::Scheme};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const WEBSOCKET: &str = "websocket";
/// Our name in `Via`.
const PSEUDONYM: &str = "hostquorum";

/// Belong to one connection, whatever `Connection` says.
static HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HTTP2_SETTINGS,
];

/// Stay even if `Connection` names them: a client could otherwise take away what
/// the origin decides by.
static NEVER_STRIPPED: [HeaderName; 6] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::AUTHORIZATION,
    header::COOKIE,
    header::FORWARDED,
    header::VIA,
];

/// Written by us from the socket; a client's own never arrive.
static OURS: [HeaderName; 6] = [
    FORWARDED_FOR,
    FORWARDED_HOST,
    FORWARDED_PORT,
    FORWARDED_PROTO,
    REAL_IP,
    header::FORWARDED,
];

/// What the origin is told about the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    /// The other end of the socket.
    pub(super) address: IpAddr,
    /// As the client wrote it, valid.
    pub(super) host: &'a str,
    pub(super) scheme: Scheme,
    /// Of the client's request.
    pub(super) version: Version,
}

/// True for the opening of a WebSocket over HTTP/1.1 (RFC 6455 section 4.1).
/// Every other upgrade is passed over, as RFC 9110 section 7.8 allows.
pub(super) fn asks_for_websocket(head: &Parts) -> bool {
    head.version == Version::HTTP_11
        && head.method == Method::GET
        && !head.headers.contains_key(header::CONTENT_LENGTH)
        && !head.headers.contains_key(header::TRANSFER_ENCODING)
        && names_websocket(&head.headers)
}

/// True if both `Connection` and `Upgrade` speak of a WebSocket.
pub(super) fn names_websocket(headers: &HeaderMap) -> bool {
    let mut upgrades = headers.get_all(header::UPGRADE).iter();
    let only = upgrades.next().filter(|_| upgrades.next().is_none());
    only.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes()))
        && tokens(headers, &header::CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

/// True if both sides of the exchange are about gRPC, whose calls end in
/// trailers.
pub(super) fn wants_trailers(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// How many times the request has come through us, by its own account.
pub(super) fn passages(headers: &HeaderMap) -> usize {
    tokens(headers, &header::VIA)
        .filter(|hop| hop.split_whitespace().nth(1) == Some(PSEUDONYM))
        .count()
}

/// Makes a client's fields those of a request to the origin. `Host` is written
/// by who knows the protocol.
pub(super) fn to_origin(headers: &mut HeaderMap, told: &Told<'_>, websocket: bool) {
    let trailers = tokens(headers, &header::TE).any(|token| token.eq_ignore_ascii_case("trailers"));
    strip_hop_by_hop(headers);
    headers.remove(header::EXPECT); // answered by us
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if websocket {
        put_websocket(headers);
    }
    join_cookies(headers);
    tell(headers, told);
}

/// Makes an origin's fields those of a response to the client.
///
/// # Errors
///
/// The length is told in two ways: whoever is on the way to the client could
/// read another end than we do.
pub(super) fn to_client(headers: &mut HeaderMap, websocket: bool) -> Result<(), Reason> {
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    let codings = headers.get_all(header::TRANSFER_ENCODING);
    let chunked = codings
        .iter()
        .all(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !chunked || codings.iter().count() > 1 || lengths > 1 {
        return Err(Reason::OriginInvalid);
    }
    strip_hop_by_hop(headers);
    if websocket {
        put_websocket(headers);
    }
    Ok(())
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Collected first, because `Connection` is read while it is taken away.
    let named: Vec<HeaderName> = tokens(headers, &header::CONNECTION)
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .filter(|name| !NEVER_STRIPPED.contains(name) && !OURS.contains(name))
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn put_websocket(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(WEBSOCKET));
}

/// HTTP/2 may split `Cookie`; HTTP/1.1 must not (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else {
        return;
    };
    let mut joined = first.as_bytes().to_vec();
    for cookie in std::iter::once(second).chain(cookies) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(cookie.as_bytes());
    }
    // Values joined by `; ` are a value again.
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(header::COOKIE, joined);
    }
}

fn tell(headers: &mut HeaderMap, told: &Told<'_>) {
    for name in &OURS {
        headers.remove(name);
    }
    // CGI-like origins read `X_Forwarded_For` and `X-Forwarded-For` as one. What begins
    // with our name tells what only we can know.
    let disguised: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let text = name.as_str();
            text.starts_with(PSEUDONYM) || text.contains('_') && is_ours_in_disguise(name)
        })
        .cloned()
        .collect();
    for name in disguised {
        headers.remove(name);
    }
    let proto = told.scheme.as_str();
    let node = match told.address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.to_string(),
    };
    let mut forwarded = String::with_capacity(64);
    let quoted_node = if node.contains(':') {
        format!("\"[{node}]\"")
    } else {
        node.clone()
    };
    let _ = write!(
        forwarded,
        "for={quoted_node};host=\"{}\";proto={proto}",
        told.host
    );
    put(headers, FORWARDED_FOR, &node);
    put(headers, REAL_IP, &node);
    put(headers, FORWARDED_HOST, told.host);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(proto));
    put(headers, header::FORWARDED, &forwarded);
    let protocol = match told.version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2.0",
        _ => "1.1",
    };
    if let Ok(via) = HeaderValue::try_from(format!("{protocol} {PSEUDONYM}")) {
        headers.append(header::VIA, via);
    }
}

/// Addresses and valid hosts always are values.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn is_ours_in_disguise(name: &HeaderName) -> bool {
    let plain = name.as_str().replace('_', "-");
    OURS.iter().any(|ours| *ours == *plain)
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
