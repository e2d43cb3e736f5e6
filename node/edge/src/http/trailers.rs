//! Which trailers are passed on (RFC 9110 section 6.5).

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Frame;

/// Trailers are passed on only where they are asked for, and never those that a
/// recipient could merge into the head (RFC 9110 section 6.5.1). `None` ends the
/// body: trailers are its last frame.
pub(super) fn filter(frame: Frame<Bytes>, wanted: bool) -> Option<Frame<Bytes>> {
    let mut trailers = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(frame) => return Some(frame),
    };
    if !wanted {
        return None;
    }
    forbid(&mut trailers);
    Some(Frame::trailers(trailers))
}

fn forbid(trailers: &mut HeaderMap) {
    for name in [
        header::HOST,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::CONTENT_TYPE,
        header::CONTENT_RANGE,
        header::TRANSFER_ENCODING,
        header::TRAILER,
        header::TE,
        header::CONNECTION,
        header::UPGRADE,
        header::AUTHORIZATION,
        header::COOKIE,
        header::SET_COOKIE,
        header::CACHE_CONTROL,
        header::LOCATION,
        header::FORWARDED,
    ] {
        trailers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn trailers_that_could_change_the_head_are_dropped() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        for name in [
            "host",
            "content-length",
            "transfer-encoding",
            "authorization",
            "set-cookie",
        ] {
            trailers.insert(name, HeaderValue::from_static("x"));
        }
        let kept = filter(Frame::trailers(trailers.clone()), true)
            .unwrap()
            .into_trailers()
            .unwrap();
        assert_eq!(
            kept.keys().map(|name| name.as_str()).collect::<Vec<_>>(),
            ["grpc-status"]
        );
        assert!(filter(Frame::trailers(trailers), false).is_none());
    }
}
