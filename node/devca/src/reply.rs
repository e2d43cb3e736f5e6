//! Answers, as values, before they are put on a wire.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LINK, LOCATION, RETRY_AFTER,
};
use http::{Response, StatusCode};
use serde_json::Value;

use crate::problem::Problem;

/// An answer under construction.
#[derive(Debug)]
pub(crate) struct Reply(Response<Bytes>);

impl Reply {
    /// An answer without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        Self(response)
    }

    /// A JSON answer.
    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::body(status, "application/json", body.to_string())
    }

    /// An answer of any type.
    pub(crate) fn body(
        status: StatusCode,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Self {
        let mut reply = Self::empty(status);
        *reply.0.body_mut() = body.into();
        reply
            .0
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        reply
    }

    /// The problem document of a refusal.
    pub(crate) fn problem(problem: &Problem) -> Self {
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::json!(problem).to_string();
        let mut reply = Self::body(status, "application/problem+json", body);
        if let Some(url) = &problem.location {
            reply = reply.location(url);
        }
        if let Some(seconds) = problem.retry_after {
            reply = reply.retry_after(seconds.get().into());
        }
        if let Some(methods) = problem.allow {
            reply.set(ALLOW, methods);
        }
        reply
    }

    pub(crate) fn location(mut self, url: &str) -> Self {
        self.set(LOCATION, url);
        self
    }

    /// Adds a link; there may be several.
    pub(crate) fn link(mut self, url: &str, relation: &str) -> Self {
        self.set(LINK, &format!("<{url}>;rel=\"{relation}\""));
        self
    }

    /// Says how many seconds to wait before asking again.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.set(RETRY_AFTER, &seconds.to_string());
        self
    }

    /// Adds the nonce for the client's next request (RFC 8555 section 6.5.1).
    pub(crate) fn nonce(mut self, nonce: &str) -> Self {
        self.set(HeaderName::from_static("replay-nonce"), nonce);
        self.set(CACHE_CONTROL, "no-store");
        self
    }

    /// The finished answer.
    pub(crate) fn finish(self) -> Response<Bytes> {
        self.0
    }

    #[expect(
        clippy::expect_used,
        reason = "values are our own URLs (host checked when the CA starts, ids of base32 and hex), numbers, base64url and constants"
    )]
    fn set(&mut self, name: HeaderName, value: &str) {
        let value = HeaderValue::from_str(value).expect("visible ASCII");
        self.0.headers_mut().append(name, value);
    }
}
