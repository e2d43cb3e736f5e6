//! What came over the wire, and what it means. instant-acme's own errors lose the status,
//! `Retry-After` and whatever is not in its types, so all is read from here.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use serde::Deserialize;
use state::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    fence::Shut,
    issuance::authority::{
        AuthorityError, AuthorizationStatus, AuthorizationView, ChallengeStatus, ChallengeView,
        OrderStatus, OrderView, Problem,
    },
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
    retry_after: Option<RetryAfter>,
    pub(super) body: Bytes,
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
    #[error("{0}")]
    Unsent(String),
    #[error("{0}")]
    Unknown(String),
}

impl From<Failure> for AuthorityError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Shut(shut) => Self::Fenced(shut),
            Failure::Unsent(text) => Self::Unreachable(text),
            Failure::Unknown(text) => Self::Unknown(text),
        }
    }
}

impl Answer {
    pub(super) fn of(response: &Response<Bytes>) -> Self {
        let text = |name: header::HeaderName| header_text(response.headers(), name);
        Self {
            status: response.status().as_u16(),
            retry_after: text(header::RETRY_AFTER).and_then(|text| RetryAfter::parse(&text)),
            body: response.body().clone(),
        }
    }

    fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        self.retry_after.map(|after| after.from(now))
    }

    /// The refusal in an answer that is none of the good ones.
    fn refusal(&self, now: Timestamp) -> Option<AuthorityError> {
        if self.status < 400 {
            return None;
        }
        let retry_after = self.retry_after(now);
        let status = self.status;
        let error = match serde_json::from_slice::<ProblemDocument>(&self.body) {
            Ok(document) => AuthorityError::Refused(Problem {
                status,
                retry_after,
                ..document.into_problem()
            }),
            Err(_) => AuthorityError::Unavailable {
                status,
                retry_after,
            },
        };
        Some(error)
    }

    /// The order in it, found at `url`.
    pub(super) fn order(&self, url: String, now: Timestamp) -> Result<OrderView, AuthorityError> {
        let order: OrderDocument = self.document("order")?;
        let status = match order.status.as_str() {
            "pending" => OrderStatus::Pending,
            "ready" => OrderStatus::Ready,
            "processing" => OrderStatus::Processing,
            "valid" => OrderStatus::Valid,
            // Some CAs say `deactivated` or `expired`: over, all of them.
            _ => OrderStatus::Invalid,
        };
        let [authorization_url] = order.authorizations.try_into().map_err(|several: Vec<_>| {
            AuthorityError::Malformed(format!(
                "an order for one name has {} authorizations",
                several.len()
            ))
        })?;
        Ok(OrderView {
            url,
            status,
            finalize_url: order.finalize,
            authorization_url,
            expires: order.expires.as_deref().and_then(timestamp),
            error: order.error.map(ProblemDocument::into_problem),
            retry_after: self.retry_after(now),
        })
    }

    /// The authorization in it, found at `url`.
    pub(super) fn authorization(&self, url: String) -> Result<AuthorizationView, AuthorityError> {
        let document: AuthorizationDocument = self.document("authorization")?;
        let status = match document.status.as_str() {
            "pending" => AuthorizationStatus::Pending,
            "valid" => AuthorizationStatus::Valid,
            _ => AuthorizationStatus::Invalid,
        };
        let challenge = document
            .challenges
            .into_iter()
            .find(|challenge| challenge.kind == "http-01")
            .map(ChallengeDocument::into_view);
        Ok(AuthorizationView {
            url,
            status,
            challenge,
        })
    }

    fn document<'a, T: Deserialize<'a>>(&'a self, what: &str) -> Result<T, AuthorityError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| AuthorityError::Malformed(format!("it is no {what}: {error}")))
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
            Some(Ok(answer)) => match answer.refusal(now) {
                Some(error) => Err(error),
                None => Ok(answer),
            },
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

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(ToOwned::to_owned)
}

fn timestamp(text: &str) -> Option<Timestamp> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(moment.unix_timestamp())
        .ok()
        .map(Timestamp::from_secs)
}

#[derive(Deserialize)]
struct OrderDocument {
    status: String,
    authorizations: Vec<String>,
    finalize: String,
    expires: Option<String>,
    error: Option<ProblemDocument>,
}

#[derive(Deserialize)]
struct AuthorizationDocument {
    status: String,
    challenges: Vec<ChallengeDocument>,
}

#[derive(Deserialize)]
struct ChallengeDocument {
    #[serde(rename = "type")]
    kind: String,
    url: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    status: String,
    error: Option<ProblemDocument>,
}

impl ChallengeDocument {
    fn into_view(self) -> ChallengeView {
        ChallengeView {
            url: self.url,
            token: self.token,
            status: match self.status.as_str() {
                "processing" => ChallengeStatus::Processing,
                "valid" => ChallengeStatus::Valid,
                "invalid" => ChallengeStatus::Invalid,
                _ => ChallengeStatus::Pending,
            },
            error: self.error.map(ProblemDocument::into_problem),
        }
    }
}

#[derive(Deserialize)]
struct ProblemDocument {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    subproblems: Vec<Self>,
}

impl ProblemDocument {
    fn into_problem(self) -> Problem {
        let mut detail = self.detail;
        if let Some(first) = self.subproblems.first() {
            detail = format!("{detail} ({})", first.detail);
        }
        let kind = self.kind.strip_prefix("urn:ietf:params:acme:error:");
        Problem {
            kind: kind.unwrap_or(&self.kind).to_owned(),
            detail,
            ..Problem::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn answer(status: u16, retry_after: Option<&str>, body: &str) -> Answer {
        Answer {
            status,
            retry_after: retry_after.and_then(RetryAfter::parse),
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
            503,
            None,
            "<html>",
            "outage 0 the CA is not available: HTTP status 503",
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
    fn an_order_is_read_with_its_expiry_and_odd_states_are_over() {
        let body = r#"{"status":"deactivated","authorizations":["a"],"finalize":"f",
            "expires":"2027-01-15T08:00:10Z","error":{"type":"t","detail":"d"}}"#;
        let view = answer(200, Some("3"), body).order("u".into(), NOW).unwrap();
        assert_eq!(view.status, OrderStatus::Invalid);
        assert_eq!(view.expires, Some(Timestamp::from_secs(1_800_000_010)));
        assert_eq!(view.error.unwrap().to_string(), "t: d");
        assert_eq!(view.retry_after, Some(Duration::from_secs(3)));
    }

    #[test]
    fn an_order_with_two_authorizations_is_not_ours() {
        let body = r#"{"status":"pending","authorizations":["a","b"],"finalize":"f"}"#;
        let error = answer(200, None, body).order("u".into(), NOW).unwrap_err();
        assert!(matches!(error, AuthorityError::Malformed(_)), "{error}");
    }

    #[test]
    fn an_authorization_shows_its_http_challenge_only() {
        let body = r#"{"status":"pending","challenges":[
            {"type":"dns-01","url":"d","token":"x","status":"pending"},
            {"type":"http-01","url":"h","token":"t","status":"processing"}]}"#;
        let view = answer(200, None, body).authorization("u".into()).unwrap();
        let challenge = view.challenge.unwrap();
        assert_eq!(
            (challenge.url.as_str(), challenge.token.as_str()),
            ("h", "t")
        );
        assert_eq!(challenge.status, ChallengeStatus::Processing);
    }
}
