//! One request of the https port, from its head to the response's.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, header, request::Parts, response,
};
use http_body::Body as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use state::Origin;
use tokio::time::{Instant, sleep_until};

use super::{
    answer::Reason,
    authority::Authority,
    body::{Exchange, RequestBody, ResponseBody},
    framing,
    headers::{self, Told},
    route::{Asked, Decision, Scheme, decide},
    tunnel,
};
use crate::{
    connection::{Client, OpenRequest},
    limits::PASSAGES,
    upstream::{Answer, Failure, Outgoing},
    worker::Worker,
};

/// Serves one request.
pub(crate) async fn serve(
    worker: Arc<Worker>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let open = client.activity.request(&worker.counters);
    let over_http1 = request.version() < http::Version::HTTP_2;
    let response = match handle(&worker, &client, request, open).await {
        Ok(response) => response,
        Err((reason, open)) => {
            let mut answer = refusal(&worker, reason);
            if !over_http1 {
                answer.headers_mut().remove(header::CONNECTION);
            }
            answer.map(|bytes| ResponseBody::ours(bytes, Some(open)))
        }
    };
    Ok(response)
}

type Refused = (Reason, OpenRequest);

async fn handle(
    worker: &Arc<Worker>,
    client: &Arc<Client>,
    request: Request<Incoming>,
    open: OpenRequest,
) -> Result<Response<ResponseBody>, Refused> {
    let (mut head, body) = request.into_parts();
    let (origin, host) = match decided(worker, client, &head) {
        Ok(Some(decided)) => decided,
        Ok(None) => return Ok(nothing_to_say(open)),
        Err(reason) => return Err((reason, open)),
    };
    let websocket = headers::asks_for_websocket(&head) && body.is_end_stream();
    let upgrade = websocket
        .then(|| head.extensions.remove::<OnUpgrade>())
        .flatten();
    let trailers = headers::wants_trailers(&head.headers);
    let told = Told {
        address: client.admitted.address.ip(),
        host: &host,
        scheme: Scheme::Https,
        version: head.version,
    };
    headers::to_origin(&mut head.headers, &told, upgrade.is_some());
    let exchange = Exchange::new(Arc::clone(&client.activity));
    let outgoing = Outgoing {
        method: head.method,
        target: head.uri,
        host,
        headers: head.headers,
        body: RequestBody::new(body, Arc::clone(&exchange), &worker.limits, trailers),
        websocket: upgrade.is_some(),
    };
    let answer = match answer_of(worker, &exchange, &origin, outgoing).await {
        Ok(answer) => answer,
        Err(failure) => {
            let reason = exchange.fault().unwrap_or_else(|| failure.reason());
            tracing::debug!(hostname = %client.name, %origin, error = %failure, reason = reason.code(), "not forwarded");
            return Err((reason, open));
        }
    };
    exchange.answered();
    respond(worker, client, answer, upgrade, open)
}

/// The origin and the host to name there; `None` for `OPTIONS *`, which is about
/// the server and not about anything behind it.
fn decided(
    worker: &Worker,
    client: &Client,
    head: &Parts,
) -> Result<Option<(Arc<Origin>, String)>, Reason> {
    framing::check(head)?;
    if headers::passages(&head.headers) > PASSAGES {
        return Err(Reason::LoopDetected);
    }
    let authority = Authority::of(head, Scheme::Https)?;
    let target = head
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let asked = Asked {
        scheme: Scheme::Https,
        session: &client.name,
        host: &authority.name,
        method: &head.method,
        target,
    };
    match decide(&worker.view.load(), &asked, worker.https_port) {
        Decision::Forward(_) if target == "*" => Ok(None),
        Decision::Forward(origin) => Ok(Some((origin, authority.text.to_owned()))),
        Decision::Refuse(reason) => Err(reason),
        // Only the http port answers challenges and redirects.
        Decision::Answer(_) | Decision::Ask { .. } | Decision::Redirect(_) => {
            Err(Reason::Misdirected)
        }
    }
}

/// Sends it, and waits for the response's head: as long as the request moves,
/// and then `response_head`.
async fn answer_of(
    worker: &Arc<Worker>,
    exchange: &Exchange,
    origin: &Arc<Origin>,
    outgoing: Outgoing,
) -> Result<Answer, Failure> {
    let mut answer = std::pin::pin!(worker.upstream.send(origin, outgoing));
    let mut until = Instant::now() + worker.limits.response_head;
    loop {
        tokio::select! {
            answer = &mut answer => return answer,
            () = sleep_until(until) => {
                let moved = exchange.last_moved() + worker.limits.response_head;
                if moved <= Instant::now() {
                    return Err(Failure::ResponseTimeout);
                }
                until = moved;
            }
        }
    }
}

fn respond(
    worker: &Arc<Worker>,
    client: &Arc<Client>,
    answer: Answer,
    upgrade: Option<OnUpgrade>,
    open: OpenRequest,
) -> Result<Response<ResponseBody>, Refused> {
    let Answer {
        response,
        connection,
    } = answer;
    let (mut head, body) = response.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        let upgrades = upgrade
            .zip(head.extensions.remove::<OnUpgrade>())
            .filter(|_| headers::names_websocket(&head.headers));
        let Some((ours, origins)) = upgrades else {
            return Err((Reason::OriginInvalid, open));
        };
        if let Err(reason) = headers::to_client(&mut head.headers, true) {
            return Err((reason, open));
        }
        head.headers.remove(header::CONTENT_LENGTH);
        tunnel::open(worker, Arc::clone(client), ours, origins);
        worker.counters.forwarded.add();
        return Ok(assemble(head, ResponseBody::ours(Bytes::new(), Some(open))));
    }
    if let Err(reason) = headers::to_client(&mut head.headers, false) {
        return Err((reason, open));
    }
    let trailers = headers::wants_trailers(&head.headers);
    worker.counters.forwarded.add();
    let body = ResponseBody::of_origin(body, connection, open, &worker.limits, trailers);
    Ok(assemble(head, body))
}

/// A new head: the origin's version and extensions are not the client's.
fn assemble(head: response::Parts, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

fn nothing_to_say(open: OpenRequest) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::ours(Bytes::new(), Some(open)));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Our own answer, counted. After a doubt about framing the connection ends.
pub(super) fn refusal(worker: &Worker, reason: Reason) -> Response<Bytes> {
    worker.counters.reason(reason).add();
    let mut answer = reason.answer();
    if reason.closes() {
        let headers: &mut HeaderMap = answer.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}
