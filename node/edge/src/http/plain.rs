//! The http port: answers to challenges and to looks from outside, and the way to https.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use state::reach::Nonce;

use super::{
    answer::Reason,
    authority::Authority,
    body::ResponseBody,
    forward::{note, refusal},
    framing,
    route::{Asked, Decision, Scheme, decide},
};
use crate::{connection::Client, observe::Listener, worker::Worker};

/// Serves one request. Its body, if it has one, is not read.
pub(crate) async fn serve(
    worker: Arc<Worker>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let mut open = client.activity.request(&worker.counters);
    note(&worker, &client, Listener::Http, &request, &mut open);
    let (head, body) = request.into_parts();
    drop(body);
    let answer = match client.activity.fault() {
        Some(fault) => Err(fault.reason()),
        None => answer(&worker, &head).await,
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(reason) => refusal(&worker, reason, &mut open),
    };
    let mut answer = answer.map(|bytes| ResponseBody::ours(bytes, Some(open)));
    let status = answer.status();
    answer.body_mut().answers(status);
    Ok(answer)
}

async fn answer(worker: &Worker, head: &Parts) -> Result<Response<Bytes>, Reason> {
    framing::check(head)?;
    let authority = Authority::of(head, Scheme::Http)?;
    if let Some(known) = reach(worker, head, &authority.name) {
        return Ok(known);
    }
    let asked = Asked {
        scheme: Scheme::Http,
        session: "",
        host: &authority.name,
        method: &head.method,
        target: head
            .uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str),
    };
    worker.look_up(&authority.name).await;
    let view = worker.view.load_full();
    match decide(&view, &asked, worker.https_port) {
        Decision::Answer(key_authorization) => {
            worker.counters.challenges_answered.add();
            Ok(challenge(&key_authorization))
        }
        Decision::Ask { hostname, token } => {
            let thumbprint = view.thumbprint(hostname.as_str()).map(ToOwned::to_owned);
            let known = worker
                .challenges
                .answer((hostname, token), thumbprint.as_deref(), &worker.counters)
                .await;
            known
                .map(|known| challenge(&known))
                .ok_or(Reason::ChallengeUnknown)
        }
        Decision::Redirect(location) => redirect(&location),
        Decision::Refuse(reason) => Err(reason),
        Decision::Forward(_) => Err(Reason::HostUnknown), // never over plain HTTP
    }
}

/// For a look from outside that asks whether one of our nodes is here ([`state::reach`]):
/// before all else, for whatever host, so that it tells nothing about the host.
fn reach(worker: &Worker, head: &Parts, host: &str) -> Option<Response<Bytes>> {
    let nonce = Nonce::in_path(head.uri.path())?;
    let known = worker.reach.answers(host, &nonce).into_iter().next()?;
    worker.counters.reach_answered.add();
    Some(challenge(&known))
}

fn challenge(key_authorization: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::copy_from_slice(key_authorization.as_bytes()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    response
}

fn redirect(location: &str) -> Result<Response<Bytes>, Reason> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let location = HeaderValue::from_str(location).map_err(|_| Reason::TargetInvalid)?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}
