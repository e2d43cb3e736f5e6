//! A CA's replies, or those of something in front of it.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, Uri};
use leader::issuance::acme::fuzzing::{is_the_cas, read};
use state::Timestamp;

/// Where the CA is.
const DIRECTORY: &str = "https://ca.example/directory";
/// When the reply came.
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
/// Most authorizations of an order.
const AUTHORIZATIONS: usize = 32;

/// Reads a reply: a status in three digits, lines of headers, an empty line, the body.
pub fn target(data: &[u8]) {
    let Some(reply) = reply(data) else {
        return;
    };
    let directory = Uri::from_static(DIRECTORY);
    let found = read(&reply, &directory, NOW);
    if let Ok(order) = &found.order {
        assert!((1..=AUTHORIZATIONS).contains(&order.authorization_urls.len()));
        let links = order
            .authorization_urls
            .iter()
            .chain(&order.certificate_url);
        for link in links.chain([&order.finalize_url]) {
            assert!(is_the_cas(link, &directory), "{link}");
        }
    }
    if let Ok(authorization) = &found.authorization {
        for challenge in &authorization.challenges {
            assert!(is_the_cas(&challenge.url, &directory), "{}", challenge.url);
            let token = challenge.token.as_deref().unwrap_or("x");
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            assert!(!token.is_empty() && token.bytes().all(plain), "{token:?}");
        }
    }
    if let Ok(renewal) = &found.renewal {
        assert!(renewal.start < renewal.end);
    }
    let errors = [
        found.directory.err(),
        found.order.err(),
        found.authorization.err(),
        found.renewal.err(),
        found.pem.err(),
        found.refusal,
    ];
    for error in errors.into_iter().flatten() {
        crate::is_fit_to_show(&error.to_string());
        // When to ask again is a moment that there is.
        let wait = error.retry_after().unwrap_or_default();
        assert!(NOW.plus(wait) >= NOW);
    }
}

fn reply(data: &[u8]) -> Option<Response<Bytes>> {
    let (status, rest) = data.split_at_checked(3)?;
    let mut reply = Response::new(Bytes::new());
    *reply.status_mut() = StatusCode::from_bytes(status).ok()?;
    let mut rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    while let Some(end) = rest.iter().position(|b| *b == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|b| *b == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        reply.headers_mut().append(name, value);
    }
    *reply.body_mut() = Bytes::copy_from_slice(rest);
    Some(reply)
}
