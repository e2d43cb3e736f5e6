//! Header fields on their way through: what belongs to one connection stays
//! behind (RFC 9110 section 7.6.1), and what tells the origin about the client
//! is written by us alone.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header, request::Parts};

use super::{answer::Reason, route::Scheme};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const WEBSOCKET: &str = "websocket";
/// Our name in `Via`.
const PSEUDONYM: &str = "hostquorum";

/// Belong to one connection, whatever `Connection` says.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

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
fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-port"
            | "x-forwarded-proto"
            | "x-real-ip"
            | "forwarded"
    )
}

/// What the origin is told about a client, whoever asks for it under one host.
#[derive(Debug)]
pub(crate) struct Told {
    host: HeaderValue,
    node: HeaderValue,
    forwarded: HeaderValue,
    proto: HeaderValue,
}

impl Told {
    /// Of the other end of a socket, which asks for `host`, valid, as the client wrote it.
    /// `None`: it is no value after all.
    pub(crate) fn new(address: IpAddr, host: &str, scheme: Scheme) -> Option<Self> {
        let node = address.to_canonical().to_string();
        let proto = scheme.as_str();
        let forwarded = if node.contains(':') {
            format!("for=\"[{node}]\";host=\"{host}\";proto={proto}")
        } else {
            format!("for={node};host=\"{host}\";proto={proto}")
        };
        Some(Self {
            host: HeaderValue::from_str(host).ok()?,
            node: HeaderValue::try_from(node).ok()?,
            forwarded: HeaderValue::try_from(forwarded).ok()?,
            proto: HeaderValue::from_static(proto),
        })
    }

    /// True if that is what it tells.
    pub(crate) fn is_of(&self, host: &str) -> bool {
        self.host.as_bytes() == host.as_bytes()
    }
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

/// Takes back that trailers are to come which do not go on.
pub(super) fn without_trailers(headers: &mut HeaderMap) {
    headers.remove(header::TRAILER);
}

/// How many times the request has come through us, by its own account.
pub(super) fn passages(headers: &HeaderMap) -> usize {
    tokens(headers, &header::VIA)
        .filter(|hop| hop.split_whitespace().nth(1) == Some(PSEUDONYM))
        .count()
}

/// Makes a client's fields those of a request to the origin; `version` is the client's.
/// `Host` is written by who knows the protocol.
pub(super) fn to_origin(headers: &mut HeaderMap, told: &Told, version: Version, websocket: bool) {
    let trailers = tokens(headers, &header::TE).any(|token| token.eq_ignore_ascii_case("trailers"));
    strip(headers, is_not_the_clients);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if websocket {
        put_websocket(headers);
    }
    join_cookies(headers);
    headers.insert(FORWARDED_FOR, told.node.clone());
    headers.insert(REAL_IP, told.node.clone());
    headers.insert(FORWARDED_HOST, told.host.clone());
    headers.insert(FORWARDED_PROTO, told.proto.clone());
    headers.insert(header::FORWARDED, told.forwarded.clone());
    let via = match version {
        Version::HTTP_10 => "1.0 hostquorum",
        Version::HTTP_2 => "2.0 hostquorum",
        _ => "1.1 hostquorum",
    };
    headers.append(header::VIA, HeaderValue::from_static(via));
}

/// Fields that a client has no say in, besides those of its connection. CGI-like origins
/// read `X_Forwarded_For` and `X-Forwarded-For` as one. What begins with our name tells what
/// only we can know. `Expect` is answered by us.
fn is_not_the_clients(name: &str) -> bool {
    is_ours(name)
        || name == "expect"
        || name.starts_with(PSEUDONYM)
        || name.contains('_') && is_ours(&name.replace('_', "-"))
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
    strip(headers, |_| false);
    if websocket {
        put_websocket(headers);
    }
    Ok(())
}

/// Takes away what belongs to one connection, what its `Connection` names, and what is
/// `unwanted`: in one pass, for most heads have none of most.
fn strip(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let named: Vec<HeaderName> = tokens(headers, &header::CONNECTION)
        // What stands in most heads names no other field.
        .filter(|token| !["keep-alive", "close"].contains(token))
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .filter(|name| !NEVER_STRIPPED.contains(name) && !is_ours(name.as_str()))
        .collect();
    let gone = |name: &HeaderName| {
        let text = name.as_str();
        is_hop_by_hop(text) || unwanted(text) || named.contains(name)
    };
    // Those that are there, not those that could be: each look-up costs a hash.
    let gone: Vec<HeaderName> = headers.keys().filter(|name| gone(name)).cloned().collect();
    for name in gone {
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
