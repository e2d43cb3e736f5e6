//! The hand on a running CA for other processes: JSON over plain HTTP, on a listener of
//! its own that belongs on loopback.
//!
//! ```text
//! GET|PUT|PATCH /behaviour         the whole value; PATCH merges (RFC 7396)
//! GET|POST|DELETE /faults          what is in force; POST adds one
//! POST /commands                   one Command
//! POST /unpause/{account}          how many names go on
//! GET /ledger                      all accounts, orders, finalizations, certificates
//! GET /posts                       every POST that ACME clients sent
//! GET /duplicates/{seconds}        sets with certificates less than so far apart
//! GET /overlaps                    finalizations under way at the same time
//! ```
//!
//! Nobody is asked who they are, and what is shown includes the keys of external accounts.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::Control;
use crate::behaviour::Behaviour;
use crate::command::{Command, CommandError};
use crate::fault::Fault;

/// The largest command: a behaviour with windows for ten thousand certificates.
const MAX_BODY: usize = 1 << 20;
/// How long a client may take over a request's head.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves until the CA stops.
pub(crate) async fn serve(
    listener: TcpListener,
    control: Control,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let accepting = async {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "cannot accept a connection for control");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let control = control.clone();
            let service = service_fn(move |request| answer(request, control.clone()));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            let stop = stop.clone();
            tasks.spawn(async move {
                let served = stop.run_until_cancelled(connection).await;
                if let Some(Err(error)) = served {
                    debug!(%error, "control connection ended");
                }
            });
        }
    };
    stop.run_until_cancelled(accepting).await;
}

/// Why a request was not carried out.
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad(fault: impl std::fmt::Display) -> Self {
        Self(StatusCode::BAD_REQUEST, fault.to_string())
    }
}

async fn answer(
    request: Request<Incoming>,
    control: Control,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = match act(request, &control).await {
        Ok(body) => (StatusCode::OK, body),
        Err(Refusal(status, detail)) => (status, json!({ "error": detail })),
    };
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

async fn act(request: Request<Incoming>, control: &Control) -> Result<Value, Refusal> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await;
    let body = body.map_err(Refusal::bad)?.to_bytes();
    let path: Vec<_> = head.uri.path().split('/').skip(1).collect();
    match (&head.method, path.as_slice()) {
        (&Method::GET, ["behaviour"]) => {}
        (&Method::PUT, ["behaviour"]) => control.set_behaviour(read(&body)?),
        (&Method::PATCH, ["behaviour"]) => control.set_behaviour(patched(control, &body)?),
        (&Method::GET, ["faults"]) => return Ok(json!(control.faults())),
        (&Method::POST, ["faults"]) => {
            control.inject(read::<Fault>(&body)?);
            return Ok(json!(control.faults()));
        }
        (&Method::DELETE, ["faults"]) => {
            control.clear_faults();
            return Ok(json!([]));
        }
        (&Method::POST, ["commands"]) => return command(control, read(&body)?).await,
        (&Method::POST, ["unpause", account]) => return Ok(json!(control.unpause(account))),
        (&Method::GET, ["ledger"]) => return Ok(json!(control.ledger())),
        (&Method::GET, ["posts"]) => return Ok(json!(control.posts())),
        (&Method::GET, ["overlaps"]) => return Ok(json!(control.ledger().overlaps())),
        (&Method::GET, ["duplicates", seconds]) => {
            let period = Duration::from_secs(seconds.parse().map_err(Refusal::bad)?);
            return Ok(json!(control.ledger().duplicates(period)));
        }
        _ => {
            let detail = format!("there is no {} {}", head.method, head.uri.path());
            return Err(Refusal(StatusCode::NOT_FOUND, detail));
        }
    }
    Ok(json!(control.behaviour()))
}

async fn command(control: &Control, command: Command) -> Result<Value, Refusal> {
    let done = control.command(command).await;
    done.map(|()| json!({})).map_err(|error| {
        let status = match &error {
            CommandError::Unknown(_) => StatusCode::NOT_FOUND,
            CommandError::TooLate(_) => StatusCode::CONFLICT,
            CommandError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        };
        Refusal(status, error.to_string())
    })
}

fn patched(control: &Control, body: &[u8]) -> Result<Behaviour, Refusal> {
    let mut value = json!(control.behaviour());
    merge(&mut value, read(body)?);
    serde_json::from_value(value).map_err(Refusal::bad)
}

/// RFC 7396 section 2.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(target) = target else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(Refusal::bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_merge_as_rfc_7396_says() {
        for (target, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            let mut found = target;
            merge(&mut found, patch);
            assert_eq!(found, merged);
        }
    }
}
