//! One request of the https port, from its head to the response's.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header, request::Parts, response,
};
use http_body::Body as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use tokio::time::{Instant, sleep_until};

use super::{
    answer::Reason,
    authority::Authority,
    body::{Exchange, RequestBody, ResponseBody},
    framing, headers,
    route::{Asked, Decision, Scheme, decide},
    tunnel,
};
use crate::{
    connection::{Client, OpenRequest},
    limits::PASSAGES,
    observe::{Listener, Noted},
    policy::{AskedHost, More, Policy, fields, paths},
    upstream::{Answer, Failure, Outgoing, Targets},
    worker::Worker,
};

/// Serves one request.
pub(crate) async fn serve(
    worker: Arc<Worker>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let mut open = client.activity.request(&worker.counters);
    note(&worker, &client, Listener::Https, &request, &mut open);
    let over_http1 = request.version() < http::Version::HTTP_2;
    let mut response = match handle(&worker, &client, request, open).await {
        Ok(response) => response,
        Err((reason, mut open)) => {
            let mut answer = refusal(&worker, reason, &mut open);
            if !over_http1 {
                answer.headers_mut().remove(header::CONNECTION);
            }
            answer.map(|bytes| ResponseBody::ours(bytes, Some(open)))
        }
    };
    let status = response.status();
    response.body_mut().answers(status);
    Ok(response)
}

/// Keeps what a line of the access log needs, if there is one.
pub(super) fn note<B>(
    worker: &Worker,
    client: &Arc<Client>,
    listener: Listener,
    request: &Request<B>,
    open: &mut OpenRequest,
) {
    if let (Some(log), Some(observed)) = (&worker.access_log, open.observed()) {
        observed.note(Noted::new(log, client, listener, request));
    }
}

type Refused = (Reason, OpenRequest);

async fn handle(
    worker: &Arc<Worker>,
    client: &Arc<Client>,
    request: Request<Incoming>,
    mut open: OpenRequest,
) -> Result<Response<ResponseBody>, Refused> {
    let (mut head, body) = request.into_parts();
    let marks = worker.tracer.as_ref().map(|it| it.mark(&head.headers));
    if let (Some(marks), Some(observed)) = (&marks, open.observed()) {
        observed.marked(marks);
    }
    if let Some(fault) = client.activity.fault() {
        return Err((fault.reason(), open));
    }
    let (policy, host) = match decided(worker, client, &head, &mut open) {
        Ok(Decided::Forward(policy, host)) => (policy, host),
        Ok(Decided::Nothing) => return Ok(nothing_to_say(open)),
        Ok(Decided::Answer(answer)) => {
            return Ok(answer.map(|bytes| ResponseBody::ours(bytes, Some(open))));
        }
        Err(reason) => return Err((reason, open)),
    };
    let more = policy.more.as_deref();
    let way = match Way::of(&policy, &head) {
        Ok(way) => way,
        Err(reason) => return Err((reason, open)),
    };
    let websocket = headers::asks_for_websocket(&head) && body.is_end_stream();
    let upgrade = websocket
        .then(|| head.extensions.remove::<OnUpgrade>())
        .flatten();
    let trailers = headers::wants_trailers(&head.headers);
    if !trailers {
        headers::without_trailers(&mut head.headers);
    }
    let Some(told) = client.told(&host) else {
        return Err((Reason::HostInvalid, open));
    };
    headers::to_origin(&mut head.headers, &told, head.version, upgrade.is_some());
    if let Some(marks) = &marks {
        marks.tell(&mut head.headers);
    }
    if let Some(more) = more {
        fields::change(&mut head.headers, &more.request);
    }
    if let Some(identity) = &client.identity {
        identity.tell(&mut head.headers);
    }
    let exchange = Exchange::new(Arc::clone(&client.activity));
    if let Some(observed) = open.observed() {
        observed.forwarded(&exchange);
    }
    let mut body = RequestBody::new(body, Arc::clone(&exchange), &worker.limits, trailers);
    if let Some(most) = more.and_then(|more| more.max_body) {
        body.at_most(most);
    }
    let asked = more.and_then(|more| more.host.as_ref());
    let outgoing = Outgoing {
        method: head.method,
        target: way.target.unwrap_or(head.uri),
        host: match asked {
            Some(AskedHost::Fixed(fixed)) => fixed.to_string(),
            Some(AskedHost::Origin) | None => host,
        },
        host_of_origin: asked == Some(&AskedHost::Origin),
        headers: head.headers,
        body,
        websocket: upgrade.is_some(),
    };
    let targets = way.targets;
    let answer = match answer_of(worker, &exchange, targets, outgoing).await {
        Ok(answer) => answer,
        Err(failure) => {
            if let Some(observed) = open.observed() {
                observed.asked(|| targets.shown_only(), None);
            }
            let reason = exchange.fault().unwrap_or_else(|| failure.reason());
            tracing::debug!(hostname = %client.name, error = %failure, reason = reason.code(), "not forwarded");
            return Err((reason, open));
        }
    };
    exchange.answered();
    if let Some(observed) = open.observed() {
        let status = answer.response.status();
        observed.asked(|| targets.shown(answer.place), Some(status.as_u16()));
    }
    let mut answered = respond(worker, client, answer, upgrade, open)?;
    if let Some(more) = more {
        fields::change(answered.headers_mut(), &more.response);
    }
    Ok(answered)
}

/// What a request's head leads to.
enum Decided {
    /// To be sent on, and the host that it was for.
    Forward(Arc<Policy>, String),
    /// `OPTIONS *`, which is about the server and not about anything behind it.
    Nothing,
    /// Settings answer it.
    Answer(Response<Bytes>),
}

/// Where a request goes.
struct Way<'a> {
    targets: &'a Targets,
    /// What is asked for, where that is not what the client has sent.
    target: Option<Uri>,
}

impl<'a> Way<'a> {
    fn of(policy: &'a Policy, head: &Parts) -> Result<Self, Reason> {
        let mut way = (policy.targets.as_ref(), None);
        if let Some(more) = policy.more.as_deref() {
            let length = head.headers.get(header::CONTENT_LENGTH);
            let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            if length.is_some_and(|length| more.max_body.is_some_and(|most| length > most)) {
                return Err(Reason::BodyTooLarge);
            }
            let ruled = (!more.paths.is_empty()).then(|| paths::ruled(&more.paths, target(head)));
            if let Some((rule, asked)) = ruled.flatten() {
                way = (rule.targets.as_ref().or(way.0), asked.map(Uri::from));
            }
        }
        let (targets, target) = way;
        let targets = targets.ok_or(Reason::NoOrigin)?;
        Ok(Self { targets, target })
    }
}

/// What settings answer themselves, without asking an origin.
fn answered(
    worker: &Worker,
    more: &More,
    hostname: &str,
    host: &str,
    head: &Parts,
) -> Result<Option<Response<Bytes>>, Reason> {
    if more
        .rate
        .is_some_and(|rate| !worker.allowances.request(hostname, rate))
    {
        return Err(Reason::RateLimited);
    }
    let redirected = (!more.redirects.is_empty())
        .then(|| paths::redirected(&more.redirects, host, target(head)))
        .flatten();
    let mut answer = match (redirected, &more.page) {
        (Some((location, status)), _) => {
            let mut answer = Response::new(Bytes::new());
            *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
            let location = HeaderValue::try_from(location).map_err(|_| Reason::TargetInvalid)?;
            answer.headers_mut().insert(header::LOCATION, location);
            answer
        }
        (None, Some(page)) => page.answer(),
        (None, None) => return Ok(None),
    };
    fields::change(answer.headers_mut(), &more.response);
    Ok(Some(answer))
}

fn target(head: &Parts) -> &str {
    let target = head.uri.path_and_query();
    target.map_or("/", http::uri::PathAndQuery::as_str)
}

fn decided(
    worker: &Worker,
    client: &Client,
    head: &Parts,
    open: &mut OpenRequest,
) -> Result<Decided, Reason> {
    framing::check(head)?;
    if headers::passages(&head.headers) > PASSAGES {
        return Err(Reason::LoopDetected);
    }
    let authority = Authority::of(head, Scheme::Https)?;
    let target = target(head);
    let asked = Asked {
        scheme: Scheme::Https,
        session: &client.name,
        host: &authority.name,
        method: &head.method,
        target,
    };
    let view = worker.view.load();
    let known = match decide(&view, &asked, worker.https_port) {
        Decision::Forward(known) => known,
        Decision::Refuse(reason) => return Err(reason),
        // Only the http port answers challenges and redirects.
        Decision::Answer(_) | Decision::Ask { .. } | Decision::Redirect(_) => {
            return Err(Reason::Misdirected);
        }
    };
    if let Some(observed) = open.observed() {
        observed.of(client.tally(worker, &known), known.hostname(&client.name));
    }
    let policy = client.policy(worker, &view, &known);
    if !policy.handshake.accepts(&client.asked) {
        return Err(Reason::ClientUnverified);
    }
    if target == "*" {
        return Ok(Decided::Nothing);
    }
    if let Some(more) = policy.more.as_deref() {
        let hostname = known.hostname(&client.name);
        if let Some(answer) = answered(worker, more, hostname, &authority.name, head)? {
            return Ok(Decided::Answer(answer));
        }
    }
    Ok(Decided::Forward(policy, authority.text.to_owned()))
}

/// Sends it, and waits for the response's head: as long as the request moves,
/// and then `response_head`.
async fn answer_of(
    worker: &Arc<Worker>,
    exchange: &Exchange,
    targets: &Targets,
    outgoing: Outgoing,
) -> Result<Answer, Failure> {
    let mut answer = std::pin::pin!(worker.upstream.send(targets, outgoing));
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
    mut open: OpenRequest,
) -> Result<Response<ResponseBody>, Refused> {
    let Answer {
        response,
        connection,
        flight,
        place: _,
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
        open.activity().became_tunnel();
        // It ends with the tunnel, and so does what is noted down of it.
        let mut observed = open.hand_over();
        if let Some(observed) = &mut observed {
            observed.answered(head.status);
        }
        tunnel::open(worker, Arc::clone(client), (ours, origins), observed);
        worker.counters.forwarded.add();
        return Ok(assemble(head, ResponseBody::ours(Bytes::new(), Some(open))));
    }
    if let Err(reason) = headers::to_client(&mut head.headers, false) {
        return Err((reason, open));
    }
    let trailers = headers::wants_trailers(&head.headers);
    if !trailers {
        headers::without_trailers(&mut head.headers);
    }
    worker.counters.forwarded.add();
    let body = ResponseBody::of_origin(body, (connection, flight), open, &worker.limits, trailers);
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
pub(super) fn refusal(worker: &Worker, reason: Reason, open: &mut OpenRequest) -> Response<Bytes> {
    worker.counters.reason(reason).add();
    if let Some(observed) = open.observed() {
        observed.refused(reason);
    }
    let mut answer = reason.answer();
    if reason.closes() {
        let headers: &mut HeaderMap = answer.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}
