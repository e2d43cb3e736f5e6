//! What came over the wire: an answer with its status, headers and body, or why there is
//! none. instant-acme's own errors lose the status, `Retry-After` and whatever is not in
//! its types, so all is read from here.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, header};
use serde::Deserialize;
use state::Timestamp;

use super::document::ProblemDocument;
use crate::{
    fence::Shut,
    issuance::authority::{AuthorityError, ChainView, Problem, shown},
};

/// The last request of a call.
#[derive(Default)]
pub(super) struct Tap {
    pub(super) last: Option<Result<Answer, Failure>>,
}

/// An answer of the CA, or of something in front of it.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

/// RFC 9110 section 10.2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RetryAfter {
    In(Duration),
    At(SystemTime),
}

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Shut(Shut),
    #[error("too many requests of our own")]
    Paced(Duration),
    #[error("{0} is not the CA's: its directory names other hosts")]
    Stray(String),
    #[error("{0}")]
    Unsent(String),
    #[error("{0}")]
    Unknown(String),
    /// What had to come first failed: a nonce.
    #[error("{0}")]
    Before(AuthorityError),
}

impl From<Failure> for AuthorityError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Shut(shut) => Self::Fenced(shut),
            Failure::Paced(wait) => Self::Paced { wait },
            stray @ Failure::Stray(_) => Self::Malformed(stray.to_string()),
            Failure::Unsent(text) => Self::Unreachable(text),
            Failure::Unknown(text) => Self::Unknown(text),
            Failure::Before(error) => error,
        }
    }
}

impl Answer {
    pub(super) fn of(response: &Response<Bytes>) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.body().clone(),
        }
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    pub(super) fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let text = self.header(header::RETRY_AFTER)?;
        RetryAfter::parse(text).map(|after| after.from(now))
    }

    /// Where what was made is.
    pub(super) fn location(&self, what: &str) -> Result<&str, AuthorityError> {
        let missing = || AuthorityError::Malformed(format!("{what} without a Location"));
        self.header(header::LOCATION).ok_or_else(missing)
    }

    /// The answer if it is a good one, and else the refusal in it.
    pub(super) fn good(self, now: Timestamp) -> Result<Self, AuthorityError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let (status, retry_after) = (self.status, self.retry_after(now));
        let document = serde_json::from_slice::<ProblemDocument>(&self.body).ok();
        Err(match document.and_then(ProblemDocument::into_problem) {
            Some(problem) => AuthorityError::Refused(Problem {
                status,
                retry_after,
                ..problem
            }),
            None => AuthorityError::Unavailable {
                status,
                retry_after,
            },
        })
    }

    /// What its JSON says.
    pub(super) fn document<'a, T: Deserialize<'a>>(
        &'a self,
        what: &str,
    ) -> Result<T, AuthorityError> {
        // serde quotes what it did not expect, all of it.
        serde_json::from_slice(&self.body).map_err(|error| {
            let text = format!("it is no {what}: {error}");
            AuthorityError::Malformed(shown(&text))
        })
    }

    /// A certificate's PEM. Whether it is any good is for others to tell.
    pub(super) fn pem(&self) -> Result<String, AuthorityError> {
        let text = std::str::from_utf8(&self.body).ok();
        let pem = text.filter(|text| text.contains("-----BEGIN CERTIFICATE-----"));
        let none = || AuthorityError::Malformed("it is no certificate in PEM".to_owned());
        pem.map(ToOwned::to_owned).ok_or_else(none)
    }

    /// Where the same is found with other chains (RFC 8555 section 7.4.2).
    pub(super) fn alternates(&self) -> Vec<String> {
        let links = self.headers.get_all(header::LINK);
        let links = links.iter().filter_map(|value| value.to_str().ok());
        links
            .flat_map(alternates_in)
            .take(ChainView::ALTERNATES_MOST)
            .collect()
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Tap {
    /// What the call came to: the last answer if it was a good one. `trouble` is what
    /// instant-acme said, for when the wire does not explain it.
    pub(super) fn conclude(
        self,
        trouble: Option<&instant_acme::Error>,
        now: Timestamp,
    ) -> Result<Answer, AuthorityError> {
        match self.last {
            Some(Err(failure)) => Err(failure.into()),
            Some(Ok(answer)) => answer.good(now),
            None => Err(AuthorityError::Unusable(trouble.map_or_else(
                || "nothing was asked".to_owned(),
                ToString::to_string,
            ))),
        }
    }
}

impl RetryAfter {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(seconds) = text.trim().parse() {
            return Some(Self::In(Duration::from_secs(seconds)));
        }
        httpdate::parse_http_date(text.trim()).ok().map(Self::At)
    }

    fn from(self, now: Timestamp) -> Duration {
        match self {
            Self::In(duration) => duration,
            Self::At(at) => {
                let at = at
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default();
                Timestamp::default().plus(at).since(now)
            }
        }
    }
}

/// The targets of a Link header (RFC 8288) that are alternates.
fn alternates_in(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, after)) = after.split_once('>') else {
            break;
        };
        let parameters = after.split('<').next().unwrap_or_default();
        let relation = parameters.split([';', ',']).find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("rel")
                .then(|| value.trim().trim_matches('"'))
        });
        if relation.is_some_and(|relation| relation.split(' ').any(|it| it == "alternate")) {
            found.push(target.to_owned());
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuance::authority::Limit;
    use http::HeaderValue;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn answer(status: u16, retry_after: Option<&str>, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        }
        Answer {
            status,
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[track_caller]
    fn refusal(status: u16, retry_after: Option<&str>, body: &str, expected: &str) {
        let tap = Tap {
            last: Some(Ok(answer(status, retry_after, body))),
        };
        let error = tap.conclude(None, NOW).unwrap_err();
        let outage = if error.is_outage() { "outage " } else { "" };
        let wait = error.retry_after().map_or(0, |wait| wait.as_secs());
        assert_eq!(format!("{outage}{wait} {error}"), expected);
    }

    #[test]
    fn refusals_keep_type_detail_status_and_retry_after() {
        refusal(
            429,
            Some("60"),
            r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many"}"#,
            "60 the CA refused: rateLimited: too many",
        );
        refusal(
            503,
            Some("Fri, 15 Jan 2027 08:01:40 GMT"),
            r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"Service busy; retry later."}"#,
            "outage 100 the CA refused: rateLimited: Service busy; retry later.",
        );
        refusal(
            400,
            Some("soon"),
            r#"{"type":"urn:ietf:params:acme:error:compound","detail":"two","subproblems":[{"type":"x","detail":"dns"}]}"#,
            "0 the CA refused: compound: two (dns)",
        );
        refusal(
            500,
            None,
            r#"{"type":"urn:ietf:params:acme:error:serverInternal","detail":"oops"}"#,
            "outage 0 the CA refused: serverInternal: oops",
        );
    }

    #[test]
    fn what_speaks_no_acme_is_not_the_ca() {
        for body in ["<html>", "", "{}", r#"{"message":"no upstream"}"#, "[]"] {
            refusal(
                503,
                Some("7"),
                body,
                "outage 7 the CA is not available: HTTP status 503",
            );
        }
        // Redirections are not followed.
        refusal(
            302,
            None,
            "",
            "outage 0 the CA is not available: HTTP status 302",
        );
    }

    #[test]
    fn what_is_no_document_is_not_quoted_at_length() {
        let body = format!(r#"{{"subproblems":"{}\u001b\u007f"}}"#, "x".repeat(5000));
        let read = answer(200, None, &body).document::<ProblemDocument>("order");
        let text = read.map(drop).unwrap_err().to_string();
        assert!(text.len() < 400, "{text}");
        assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
    }

    #[test]
    fn a_date_that_has_passed_asks_for_no_wait() {
        let late = answer(429, Some("Thu, 14 Jan 2027 08:00:00 GMT"), "");
        assert_eq!(late.retry_after(NOW), Some(Duration::ZERO));
    }

    #[test]
    fn a_pause_is_known_with_its_page_and_subproblems_with_their_names() {
        let body = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"Your account is
            temporarily prevented from requesting certificates for a.example and possibly others.
            Please visit: https://portal.ca.example/unpause?jwt=a.b.c","subproblems":[
            {"type":"urn:ietf:params:acme:error:caa","detail":"no",
            "identifier":{"type":"dns","value":"*.a.example"}}]}"#;
        let body = body.replace("\n            ", " ");
        let error = answer(429, None, &body).good(NOW).unwrap_err();
        let problem = error.problem().unwrap();
        let page = "https://portal.ca.example/unpause?jwt=a.b.c";
        assert_eq!(problem.limit(), Some(Limit::Paused(Some(page))));
        let sub = &problem.subproblems[0];
        assert_eq!((&*sub.identifier, &*sub.kind), ("*.a.example", "caa"));
    }

    #[test]
    fn alternates_are_found_among_all_links() {
        let mut good = answer(200, None, "");
        for value in [
            r#"<https://ca.example/directory>;rel="index""#,
            r#"<https://ca.example/c/1>;rel="alternate", <https://ca.example/c/2,x>; title="a"; rel=alternate"#,
            r#"<https://ca.example/up>;rel="up""#,
            "<https://ca.example/broken",
        ] {
            good.headers
                .append(header::LINK, HeaderValue::from_static(value));
        }
        assert_eq!(
            good.alternates(),
            ["https://ca.example/c/1", "https://ca.example/c/2,x"]
        );
    }
}
