//! A line of the access log: what is kept for it while a request is served, and how it is
//! written. All that a client chose is ASCII there, with control characters escaped, so
//! that no terminal or parser can be fooled by it.

use std::{borrow::Cow, fmt::Write as _, net::IpAddr, sync::Arc, time::Duration};

use http::{Method, Request, Uri, Version, header};
use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};
use serde::Serialize;
use state::Timestamp;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::{
    access_log::CoreLog,
    tally::{Served, class},
    trace::Marks,
};
use crate::{connection::Client, http::answer::Reason, limits::ACCESS_LOG_TEXT};

/// Which port a request came to.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Listener {
    Http,
    Https,
}

/// What there is to tell of a TLS session.
#[derive(Debug)]
pub(crate) struct Session {
    alpn: Option<&'static str>,
    version: Option<&'static str>,
    cipher: Option<&'static str>,
    resumed: bool,
}

impl Session {
    pub(crate) fn of(tls: &ServerConnection) -> Self {
        Self {
            // No other is ever agreed on.
            alpn: tls.alpn_protocol().map(|protocol| match protocol {
                b"h2" => "h2",
                _ => "http/1.1",
            }),
            version: tls.protocol_version().and_then(|version| match version {
                ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
                ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
                _ => None,
            }),
            cipher: tls
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str()),
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

/// What a line needs, kept while the request is served.
pub(crate) struct Noted {
    log: Arc<CoreLog>,
    client: Arc<Client>,
    listener: Listener,
    version: Version,
    method: Method,
    uri: Uri,
    host: Option<Box<str>>,
    hostname: Option<Box<str>>,
    upstream: Option<String>,
    upstream_status: Option<u16>,
    reason: Option<Reason>,
    marks: Option<Marks>,
}

impl std::fmt::Debug for Noted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Noted").finish_non_exhaustive()
    }
}

impl Noted {
    pub(crate) fn new<B>(
        log: &Arc<CoreLog>,
        client: &Arc<Client>,
        listener: Listener,
        request: &Request<B>,
    ) -> Self {
        let field = request.headers().get(header::HOST);
        let field = field.and_then(|value| value.to_str().ok());
        let target = || request.uri().authority().map(http::uri::Authority::as_str);
        let host = field.or_else(target);
        Self {
            log: Arc::clone(log),
            client: Arc::clone(client),
            listener,
            version: request.version(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            host: host.map(|host| cut(host).into()),
            hostname: None,
            upstream: None,
            upstream_status: None,
            reason: None,
            marks: None,
        }
    }

    pub(super) fn hostname(&mut self, hostname: &str) {
        self.hostname = Some(hostname.into());
    }

    pub(super) fn marks(&mut self, marks: &Marks) {
        self.marks = Some(marks.clone());
    }

    pub(super) fn upstream(&mut self, origin: Option<String>, status: Option<u16>) {
        self.upstream = origin;
        self.upstream_status = status;
    }

    pub(super) const fn reason(&mut self, reason: Reason) {
        self.reason = Some(reason);
    }

    /// `answered_after`: how long an origin took to answer.
    pub(super) fn write(&self, served: &Served, answered_after: Option<Duration>) {
        let Some(sample) = self.log.sampled(class(served.status)) else {
            return;
        };
        let rules = self.log.rules();
        let session = self.client.session.as_deref();
        let address = self.client.admitted.address;
        let target = self.uri.path_and_query();
        let query = target.and_then(http::uri::PathAndQuery::query);
        self.log.say(&Line {
            ts: &written(self.log.clock.now().minus(served.took)),
            request_id: self.marks.as_ref().and_then(Marks::request_id),
            trace_id: self.marks.as_ref().and_then(Marks::trace_id),
            client_ip: address.ip().to_canonical(),
            client_port: address.port(),
            listener: self.listener,
            sni: Some(self.client.name.as_str()).filter(|name| !name.is_empty()),
            alpn: session.and_then(|it| it.alpn),
            tls_version: session.and_then(|it| it.version),
            cipher: session.and_then(|it| it.cipher),
            resumed: session.map(|it| it.resumed),
            protocol: protocol(self.version),
            method: cut(self.method.as_str()),
            host: self.host.as_deref().map(ascii),
            path: ascii(cut(target.map_or("", http::uri::PathAndQuery::path))),
            query: query.filter(|_| rules.query).map(|query| ascii(cut(query))),
            status: served.status.map(|status| status.as_u16()),
            bytes_in: served.bytes_in,
            bytes_out: served.bytes_out,
            duration_ms: millis(served.took),
            upstream: self.upstream.as_deref(),
            upstream_status: self.upstream_status,
            upstream_ms: answered_after.map(millis),
            hostname: self.hostname.as_deref(),
            reason: self.reason.map(Reason::code),
            sample,
            node: rules.node.0,
        });
    }
}

/// A line. What is not known is left out.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    ts: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    client_ip: IpAddr,
    client_port: u16,
    listener: Listener,
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cipher: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<bool>,
    protocol: &'a str,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Cow<'a, str>>,
    path: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    bytes_in: u64,
    bytes_out: u64,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    sample: u32,
    node: u64,
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        _ => "HTTP/2",
    }
}

fn millis(duration: Duration) -> f64 {
    // To the microsecond: more digits would be noise.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// RFC 3339 in UTC, to the millisecond.
fn written(at: Timestamp) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.as_millis()) * 1_000_000);
    at.ok()
        .and_then(|at| at.format(FORMAT).ok())
        .unwrap_or_default()
}

/// The beginning of what is too long for a line.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(ACCESS_LOG_TEXT)]
}

/// Percent-encoded where it is no printable ASCII.
fn ascii(text: &str) -> Cow<'_, str> {
    let printable = |byte: u8| (b' '..=b'~').contains(&byte);
    if text.bytes().all(printable) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if printable(byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_printable_is_encoded() {
        for (text, expected) in [
            ("/a b", "/a b"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/\u{1b}[31m", "/%1B[31m"),
            ("/\u{9b}31m", "/%C2%9B31m"),
            ("/\u{7f}\n\r\0", "/%7F%0A%0D%00"),
            ("/\u{202e}", "/%E2%80%AE"),
        ] {
            assert_eq!(ascii(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        let long = "\u{e9}".repeat(ACCESS_LOG_TEXT);
        assert_eq!(cut(&long).len(), ACCESS_LOG_TEXT);
        let odd = format!("x{long}");
        assert_eq!(cut(&odd).len(), ACCESS_LOG_TEXT - 1);
        assert_eq!(cut("short"), "short");
    }

    #[test]
    fn moments_and_durations_are_written_in_one_form() {
        assert_eq!(
            written(Timestamp(1_700_000_000_007)),
            "2023-11-14T22:13:20.007Z"
        );
        assert_eq!(written(Timestamp(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(millis(Duration::from_nanos(1_234_567)).to_string(), "1.235");
        assert_eq!(millis(Duration::from_secs(3)).to_string(), "3000");
    }
}
