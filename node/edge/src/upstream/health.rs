//! Asking origins whether they are well (active health).
//!
//! A node asks each origin once, whatever the number of its cores and of hostnames that
//! use it: only those that somebody's settings in use name, and for as long as they do.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use http::{Method, Request, StatusCode, Uri, header, uri};
use state::{OriginProtocol, OriginScheme, traffic::HealthCheck};
use tokio::time::{sleep, timeout};

use super::{
    Failure,
    destination::Destination,
    dial::{Dialed, Dialer, Slot},
};
use crate::{
    http::body::RequestBody,
    limits::{CHECKED, Limits},
};

const AGENT: &str = "hostquorum-health-check";

/// All that a node asks.
pub(crate) struct Checks {
    dialer: Arc<Dialer>,
    limits: Arc<Limits>,
    asked: Mutex<HashMap<Question, Weak<Checked>>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Question {
    destination: Arc<Destination>,
    host: Box<str>,
    path: Box<str>,
    check: u64,
}

/// Whether an origin is well, as this node has last heard.
#[derive(Debug, Default)]
pub(super) struct Checked {
    ill: AtomicBool,
    run: Mutex<Run>,
}

/// Answers of one kind in a row.
#[derive(Debug, Default)]
struct Run {
    good: bool,
    length: u8,
}

impl Checked {
    pub(super) fn is_ill(&self) -> bool {
        self.ill.load(Relaxed)
    }

    /// Takes an answer in; true if it made a difference.
    fn note(&self, good: bool, check: &HealthCheck) -> bool {
        // Every change is a single step.
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let length = if run.good == good { run.length } else { 0 };
        *run = Run {
            good,
            length: length.saturating_add(1),
        };
        let enough = run.length >= if good { check.rise } else { check.fall };
        enough && self.ill.swap(!good, Relaxed) == good
    }
}

impl Checks {
    pub(crate) fn new(dialer: Arc<Dialer>, limits: Arc<Limits>) -> Arc<Self> {
        Arc::new(Self {
            dialer,
            limits,
            asked: Mutex::default(),
        })
    }

    /// Begins to ask unless that is done already, on the runtime of whoever needs it
    /// first; it ends once nobody does. None beyond the bound: it counts as well.
    pub(super) fn checked(
        self: &Arc<Self>,
        destination: &Arc<Destination>,
        check: &Arc<HealthCheck>,
        host: &str,
        ill: impl Fn() + Send + 'static,
    ) -> Option<Arc<Checked>> {
        let question = Question {
            destination: Arc::clone(destination),
            host: host.into(),
            path: check.path.clone(),
            check: fingerprint(check),
        };
        let mut asked = self.asked();
        if let Some(checked) = asked.get(&question).and_then(Weak::upgrade) {
            return Some(checked);
        }
        if asked.len() >= CHECKED {
            asked.retain(|_, checked| checked.strong_count() > 0);
            if asked.len() >= CHECKED {
                return None;
            }
        }
        let checked = Arc::new(Checked::default());
        let weak = Arc::downgrade(&checked);
        asked.insert(question.clone(), Weak::clone(&weak));
        tokio::spawn(watch(
            Arc::clone(self),
            question,
            Arc::clone(check),
            weak,
            ill,
        ));
        Some(checked)
    }

    fn forget(&self, question: &Question, of: &Weak<Checked>) {
        let mut asked = self.asked();
        if asked.get(question).is_some_and(|it| it.ptr_eq(of)) {
            asked.remove(question);
        }
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<Question, Weak<Checked>>> {
        // Every change is a single step.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two checks with one path that are otherwise not alike are asked apart.
fn fingerprint(check: &HealthCheck) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (check.interval, check.timeout, check.rise, check.fall).hash(&mut hasher);
    (check.status_from, check.status_to).hash(&mut hasher);
    hasher.finish()
}

async fn watch(
    checks: Arc<Checks>,
    question: Question,
    check: Arc<HealthCheck>,
    checked: Weak<Checked>,
    ill: impl Fn(),
) {
    let origin = &question.destination.origin;
    loop {
        let answer = timeout(check.timeout, ask(&checks, &question)).await;
        let status = answer.as_ref().ok().and_then(|answer| answer.as_ref().ok());
        let good = status
            .is_some_and(|status| (check.status_from..=check.status_to).contains(&status.as_u16()));
        let Some(present) = checked.upgrade() else {
            checks.forget(&question, &checked);
            return;
        };
        if present.note(good, &check) {
            if good {
                tracing::info!(%origin, "the origin is well again");
            } else {
                let why = match &answer {
                    Err(_) => "no answer in time".to_owned(),
                    Ok(Err(failure)) => failure.to_string(),
                    Ok(Ok(status)) => format!("status {status}"),
                };
                tracing::warn!(%origin, why, "the origin is ill");
                ill();
            }
        }
        drop(present);
        sleep(check.interval).await;
    }
}

/// One question on a connection of its own.
async fn ask(checks: &Checks, question: &Question) -> Result<StatusCode, Failure> {
    let destination = &question.destination;
    let origin = &destination.origin;
    let http1_only = origin.protocol != OriginProtocol::Http2;
    let dialed = checks
        .dialer
        .dial(destination, http1_only, &checks.limits, Slot::Check);
    let mut request = Request::new(RequestBody::none());
    *request.method_mut() = Method::GET;
    let agent = header::HeaderValue::from_static(AGENT);
    request.headers_mut().insert(header::USER_AGENT, agent);
    let mut target = uri::Parts::default();
    target.path_and_query = Some(question.path.parse().map_err(|_| Failure::Host)?);
    match dialed.await? {
        Dialed::Http1(mut sender) => {
            let host = header::HeaderValue::from_str(&question.host).map_err(|_| Failure::Host)?;
            request.headers_mut().insert(header::HOST, host);
            *request.uri_mut() = Uri::from_parts(target).map_err(|_| Failure::Host)?;
            let response = sender.send_request(request).await;
            response.map(|it| it.status()).map_err(Failure::Exchange)
        }
        Dialed::Http2(mut sender) => {
            target.scheme = Some(match origin.scheme {
                OriginScheme::Http => uri::Scheme::HTTP,
                OriginScheme::Https => uri::Scheme::HTTPS,
            });
            target.authority = Some(question.host.parse().map_err(|_| Failure::Host)?);
            *request.uri_mut() = Uri::from_parts(target).map_err(|_| Failure::Host)?;
            let response = sender.send_request(request).await;
            response.map(|it| it.status()).map_err(Failure::Exchange)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn answers_in_a_row_decide() {
        let check = HealthCheck {
            path: "/".into(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
            status_from: 200,
            status_to: 399,
        };
        let checked = Checked::default();
        let mut told = Vec::new();
        for (place, answer) in "++--+---++-+++".chars().enumerate() {
            if checked.note(answer == '+', &check) {
                told.push((place, checked.is_ill()));
            }
        }
        assert_eq!(told, [(7, true), (9, false)]);
    }
}
