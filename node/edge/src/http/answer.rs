//! The answers that we give ourselves, each with its reason.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

/// Names the [`Reason`] of an answer that is ours and not the origin's.
pub(crate) const REASON_HEADER: HeaderName = HeaderName::from_static("hostquorum-error");

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident $status:ident $code:literal $text:literal,)+) => {
        /// Why a request was not answered by an origin.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The status it is answered with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// As it stands in the `hostquorum-error` header and in metrics.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// One sentence for who reads the answer; nothing about our inside.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

reasons! {
    /// RFC 9112 section 3.2.
    HostMissing BAD_REQUEST "host_missing" "The request names no host.",
    /// RFC 9112 section 3.2.
    HostRepeated BAD_REQUEST "host_repeated" "The request has more than one Host field.",
    /// Not a host name with an optional port.
    HostInvalid BAD_REQUEST "host_invalid" "The request's host is not a valid host name.",
    /// Target and Host field name different hosts.
    HostContradicted BAD_REQUEST "host_contradicted" "The request's target and its Host field differ.",
    /// A target form that its method does not have.
    TargetInvalid BAD_REQUEST "target_invalid" "The request's target is not allowed with its method.",
    /// Not in capitals.
    MethodInvalid BAD_REQUEST "method_invalid" "The request's method is not valid.",
    /// RFC 9112 section 2.2: LF without CR.
    LineEndInvalid BAD_REQUEST "line_end_invalid" "A line of the request does not end with CR and LF.",
    /// RFC 9112 section 6.1: anything but `chunked`, once, in HTTP/1.1.
    TransferEncodingInvalid BAD_REQUEST "transfer_encoding_invalid" "The request's transfer coding is not chunked, once.",
    /// RFC 9112 section 6.2.
    ContentLengthInvalid BAD_REQUEST "content_length_invalid" "The request's length is not given exactly once.",
    /// The body broke off or was not what its head said.
    BodyBroken BAD_REQUEST "body_broken" "The request's body broke off.",
    /// A challenge that nobody knows.
    ChallengeUnknown NOT_FOUND "challenge_unknown" "There is no such challenge for this host.",
    /// CONNECT and TRACE.
    MethodRefused METHOD_NOT_ALLOWED "method_refused" "This method is not served here.",
    /// The client stopped sending.
    BodyStalled REQUEST_TIMEOUT "body_stalled" "The request's body did not arrive in time.",
    /// See `Limits::request_body`.
    BodyTooLarge PAYLOAD_TOO_LARGE "body_too_large" "The request's body is too large.",
    /// See `limits::TARGET`.
    TargetTooLong URI_TOO_LONG "target_too_long" "The request's target is too long.",
    /// A setting of the hostname.
    RateLimited TOO_MANY_REQUESTS "rate_limited" "There are too many requests for this host; come again in a moment.",
    /// Anything but `100-continue`.
    ExpectationUnknown EXPECTATION_FAILED "expectation_unknown" "Only the expectation 100-continue can be met.",
    /// RFC 9110 section 15.5.20: the host is not the connection's.
    Misdirected MISDIRECTED_REQUEST "misdirected" "This connection is not for the host that the request names.",
    /// The hostname began to ask for client certificates of others after the handshake.
    ClientUnverified MISDIRECTED_REQUEST "client_unverified" "This connection was made before this host asked for the certificate that it asks for now.",
    /// A host that is not served here.
    HostUnknown MISDIRECTED_REQUEST "host_unknown" "This host is not served here.",
    /// See `limits::FIELD` and `limits::FIELDS`.
    FieldsTooLarge REQUEST_HEADER_FIELDS_TOO_LARGE "fields_too_large" "The request's header fields are too large or too many.",
    /// A WebSocket for an origin that was said to speak HTTP/2 only.
    UpgradeUnsupported NOT_IMPLEMENTED "upgrade_unsupported" "The origin's protocol has no upgrade to WebSocket.",
    /// No address, or nobody listens.
    OriginUnreachable BAD_GATEWAY "origin_unreachable" "The origin cannot be reached.",
    /// Its certificate, its name, or its protocol.
    OriginHandshake BAD_GATEWAY "origin_handshake" "The handshake with the origin failed.",
    /// It closed the connection without an answer.
    OriginClosed BAD_GATEWAY "origin_closed" "The origin closed the connection without an answer.",
    /// Its answer is not HTTP, or not safe to pass on.
    OriginInvalid BAD_GATEWAY "origin_invalid" "The origin's answer is not valid.",
    /// See `limits::PASSAGES`.
    LoopDetected LOOP_DETECTED "loop_detected" "The origin leads back to where the request came from.",
    /// An operator has yet to set one.
    NoOrigin SERVICE_UNAVAILABLE "no_origin" "No origin is set for this host yet.",
    /// See `Limits::upstream_connections`.
    OriginBusy SERVICE_UNAVAILABLE "origin_busy" "All connections to the origin are in use.",
    /// See `Limits::connect` and `Limits::origin_handshake`.
    OriginConnectTimeout GATEWAY_TIMEOUT "origin_connect_timeout" "The origin did not accept a connection in time.",
    /// See `Limits::response_head`.
    OriginResponseTimeout GATEWAY_TIMEOUT "origin_response_timeout" "The origin did not answer in time.",
}

impl Reason {
    /// True if the HTTP/1.1 connection ends with this answer: after a doubt
    /// about where a message ends, nothing behind it may be read.
    pub(crate) const fn closes(self) -> bool {
        matches!(
            self.status().as_u16(),
            400 | 405 | 408 | 413 | 414 | 417 | 431
        ) || matches!(self, Self::ClientUnverified)
    }

    /// The whole answer, without `Connection`.
    pub(crate) fn answer(self) -> Response<Bytes> {
        let text = format!(
            "{} {}: {}\n",
            self.status().as_u16(),
            self.code(),
            self.text()
        );
        let mut response = Response::new(Bytes::from(text));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(REASON_HEADER, HeaderValue::from_static(self.code()));
        if self.status() == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(
                header::ALLOW,
                HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            );
        }
        match self.status() {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            // The slowest rate allows one in a second.
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_order() {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, place, "{reason:?}");
        }
    }

    #[test]
    fn every_reason_is_documented() {
        let page = include_str!("../../../../docs/http.md");
        for reason in Reason::ALL {
            let (code, status, text) = (reason.code(), reason.status().as_u16(), reason.text());
            let row = format!("| `{code}` | {status} | {text} |");
            assert!(page.contains(&row), "docs/http.md lacks: {row}");
        }
    }

    #[test]
    fn an_answer_names_its_reason() {
        for reason in Reason::ALL {
            let answer = reason.answer();
            assert_eq!(answer.status(), reason.status());
            assert_eq!(answer.headers()[REASON_HEADER], reason.code());
            assert!(!answer.status().is_success());
        }
    }
}
