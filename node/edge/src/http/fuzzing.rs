//! An entry to what reads strangers' requests behind private doors, for `tests/fuzz`. The
//! feature of this name adds it and changes nothing.

use std::{
    convert::Infallible,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, Version, request::Parts};
use http_body::Body as _;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;

use super::{
    answer::Reason,
    authority::Authority,
    body::ResponseBody,
    framing,
    headers::{self, Told},
    route::Scheme,
};
use crate::{
    connection::{Activity, Watched, http1_settings},
    limits::PASSAGES,
};

/// What comes of one request: where it would go, or why it goes nowhere and whether that
/// ends the connection.
pub type Outcome = Result<Forwarded, (Reason, bool)>;

/// A request as it would leave for the origin.
#[derive(Debug)]
pub struct Forwarded {
    /// As the client sent it.
    pub method: Method,
    /// As the client sent it.
    pub target: Uri,
    /// The client's version.
    pub version: Version,
    /// What the origin is told in `Host`.
    pub host: String,
    /// The name alone.
    pub name: String,
    /// What the origin is told, but for `Host`.
    pub headers: HeaderMap,
    /// It opens a WebSocket.
    pub websocket: bool,
    /// Bytes of its body; `None` if that broke off.
    pub body: Option<usize>,
}

/// What comes of each request of an HTTP/1.1 connection on which a client at `address`
/// sends `bytes` and then ends: hyper as we serve it, then what `http/forward` holds a head
/// to, without the view.
pub async fn requests(bytes: &[u8], address: IpAddr) -> Vec<Outcome> {
    let found = Arc::<Mutex<Vec<Outcome>>>::default();
    let (activity, counters) = (Activity::new(), Arc::default());
    activity.serves(true);
    let service = service_fn(|request: Request<Incoming>| {
        let found = Arc::clone(&found);
        let open = activity.request(&counters);
        async move {
            let (head, body) = request.into_parts();
            let held = match open.activity().fault() {
                Some(fault) => Err(fault.reason()),
                None => forwarded(head, body.is_end_stream(), address),
            };
            let outcome = match held {
                Ok(mut forwarded) => {
                    forwarded.body = length(body).await;
                    Ok(forwarded)
                }
                Err(reason) => Err((reason, reason.closes())),
            };
            let mut answer = Response::new(ResponseBody::ours(Bytes::new(), None));
            if outcome.as_ref().is_err_and(|(_, closes)| *closes) {
                let close = http::HeaderValue::from_static("close");
                answer.headers_mut().insert(http::header::CONNECTION, close);
            }
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.push(outcome);
            Ok::<_, Infallible>(answer)
        }
    });
    let stream = tokio::io::join(bytes, tokio::io::sink());
    let io = TokioIo::new(Watched::http1(stream, Arc::clone(&activity)));
    // What hyper itself refuses never becomes a request.
    let _ = http1_settings().serve_connection(io, service).await;
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut *found)
}

fn forwarded(mut head: Parts, empty: bool, address: IpAddr) -> Result<Forwarded, Reason> {
    framing::check(&head)?;
    if headers::passages(&head.headers) > PASSAGES {
        return Err(Reason::LoopDetected);
    }
    let authority = Authority::of(&head, Scheme::Https)?;
    let (host, name) = (authority.text.to_owned(), authority.name.to_string());
    let websocket = headers::asks_for_websocket(&head) && empty;
    let told = Told::new(address, &host, Scheme::Https).ok_or(Reason::HostInvalid)?;
    headers::to_origin(&mut head.headers, &told, head.version, websocket);
    Ok(Forwarded {
        method: head.method,
        target: head.uri,
        version: head.version,
        host,
        name,
        headers: head.headers,
        websocket,
        body: None,
    })
}

async fn length(mut body: Incoming) -> Option<usize> {
    let mut length = 0;
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        match frame.await {
            None => return Some(length),
            Some(Ok(frame)) => length += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) => return None,
        }
    }
}
