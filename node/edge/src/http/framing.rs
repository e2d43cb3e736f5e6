//! What a request's head must be, beyond what hyper holds it to.
//!
//! hyper reads leniently where the RFCs allow it; a gateway must not, because
//! the origin behind it may read the same bytes in another way. Whatever is let
//! through is written anew towards the origin.

use http::{HeaderMap, Method, Version, header, request::Parts};

use super::answer::Reason;
use crate::limits::{FIELD, FIELDS, TARGET};

/// Checks method, target, lengths and sizes.
///
/// # Errors
///
/// The first fault found.
pub(super) fn check(head: &Parts) -> Result<(), Reason> {
    method(&head.method)?;
    target(head)?;
    sizes(&head.headers)?;
    transfer_encoding(head)?;
    content_length(&head.headers)?;
    expectation(&head.headers)
}

fn method(method: &Method) -> Result<(), Reason> {
    match *method {
        Method::CONNECT | Method::TRACE => Err(Reason::MethodRefused),
        // The beginning of HTTP/2's own preface (RFC 9113 section 11.6): to whoever reads
        // further it is another protocol.
        _ if method.as_str() == "PRI" => Err(Reason::MethodInvalid),
        // Methods are case-sensitive, but an origin may not know it.
        _ if method.as_str().bytes().any(|b| b.is_ascii_lowercase()) => Err(Reason::MethodInvalid),
        _ => Ok(()),
    }
}

fn target(head: &Parts) -> Result<(), Reason> {
    let Some(target) = head.uri.path_and_query() else {
        return Err(Reason::TargetInvalid);
    };
    if target.as_str().len() > TARGET {
        return Err(Reason::TargetTooLong);
    }
    // Not `path()`, which says `/` where there is none: `https://a.example?b` has the target
    // `?b`, which no origin may be sent (RFC 9112 section 3.2.1).
    match target.as_str() {
        "*" if head.method == Method::OPTIONS => Ok(()),
        whole if whole.starts_with('/') => Ok(()),
        _ => Err(Reason::TargetInvalid),
    }
}

fn sizes(headers: &HeaderMap) -> Result<(), Reason> {
    let fits = headers.len() <= FIELDS && headers.values().all(|value| value.len() <= FIELD);
    if fits {
        Ok(())
    } else {
        Err(Reason::FieldsTooLarge)
    }
}

fn transfer_encoding(head: &Parts) -> Result<(), Reason> {
    let mut fields = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(first) = fields.next() else {
        return Ok(());
    };
    let valid = head.version == Version::HTTP_11
        && fields.next().is_none()
        && first.as_bytes().eq_ignore_ascii_case(b"chunked")
        && !head.headers.contains_key(header::CONTENT_LENGTH);
    if valid {
        Ok(())
    } else {
        Err(Reason::TransferEncodingInvalid)
    }
}

fn content_length(headers: &HeaderMap) -> Result<(), Reason> {
    let mut fields = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(first) = fields.next() else {
        return Ok(());
    };
    let digits = first.as_bytes();
    let valid = fields.next().is_none()
        && (1..=19).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit);
    if valid {
        Ok(())
    } else {
        Err(Reason::ContentLengthInvalid)
    }
}

fn expectation(headers: &HeaderMap) -> Result<(), Reason> {
    let known = headers
        .get_all(header::EXPECT)
        .iter()
        .all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if known {
        Ok(())
    } else {
        Err(Reason::ExpectationUnknown)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[track_caller]
    fn check_at(
        version: Version,
        method: &str,
        uri: &str,
        fields: &[(&str, &str)],
        expected: Result<(), Reason>,
    ) {
        let mut request = Request::builder().version(version).method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(check(&head), expected, "{method} {uri} {fields:?}");
    }

    #[track_caller]
    fn check_one(method: &str, uri: &str, fields: &[(&str, &str)], expected: Result<(), Reason>) {
        check_at(Version::HTTP_11, method, uri, fields, expected);
    }

    #[test]
    fn ordinary_requests_pass() {
        check_one("GET", "/", &[], Ok(()));
        check_one("OPTIONS", "*", &[], Ok(()));
        check_one("PROPFIND", "/a?b", &[("content-length", "0")], Ok(()));
        check_one(
            "POST",
            "/",
            &[("transfer-encoding", "Chunked"), ("expect", "100-Continue")],
            Ok(()),
        );
    }

    #[test]
    fn methods_and_targets_are_checked() {
        check_one("CONNECT", "a.test:443", &[], Err(Reason::MethodRefused));
        check_one("TRACE", "/", &[], Err(Reason::MethodRefused));
        check_one("get", "/", &[], Err(Reason::MethodInvalid));
        check_one("PRI", "/", &[], Err(Reason::MethodInvalid));
        check_one("GET", "*", &[], Err(Reason::TargetInvalid));
        check_one("GET", "https://a.test", &[], Ok(()));
        check_one("GET", "https://a.test?b", &[], Err(Reason::TargetInvalid));
        check_one("GET", "a.test:443", &[], Err(Reason::TargetInvalid));
        check_one(
            "GET",
            &format!("/{}", "a".repeat(TARGET)),
            &[],
            Err(Reason::TargetTooLong),
        );
    }

    #[test]
    fn the_end_of_the_body_is_told_once() {
        let te = "transfer-encoding";
        let cl = "content-length";
        let bad_te = Err(Reason::TransferEncodingInvalid);
        let bad_cl = Err(Reason::ContentLengthInvalid);
        for value in [
            "identity, chunked",
            "chunked, chunked",
            "gzip, chunked",
            "xchunked",
            "",
            "chunked;a",
        ] {
            check_one("POST", "/", &[(te, value)], bad_te);
        }
        check_one("POST", "/", &[(te, "chunked"), (te, "chunked")], bad_te);
        check_one("POST", "/", &[(te, "chunked"), (cl, "4")], bad_te);
        check_at(Version::HTTP_10, "POST", "/", &[(te, "chunked")], bad_te);
        check_at(Version::HTTP_2, "POST", "/", &[(te, "chunked")], bad_te);
        check_one("POST", "/", &[(cl, "4"), (cl, "4")], bad_cl);
        for value in ["4, 4", "+4", "-1", "0x4", "", "4 4", "18446744073709551616"] {
            check_at(Version::HTTP_2, "POST", "/", &[(cl, value)], bad_cl);
        }
    }

    #[test]
    fn sizes_and_expectations_are_bounded() {
        let big = "a".repeat(FIELD + 1);
        check_one("GET", "/", &[("x", &big)], Err(Reason::FieldsTooLarge));
        check_one("GET", "/", &vec![("x", "y"); FIELDS], Ok(()));
        check_one(
            "GET",
            "/",
            &vec![("x", "y"); FIELDS + 1],
            Err(Reason::FieldsTooLarge),
        );
        check_one(
            "GET",
            "/",
            &[("expect", "200-ok")],
            Err(Reason::ExpectationUnknown),
        );
    }
}
