//! A connection to an origin, lent to one request.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use http::Request;
use hyper::client::conn::{TrySendError, http1, http2};

use super::{Answer, pool::Pool};
use crate::http::body::RequestBody;

pub(super) type Http1 = http1::SendRequest<RequestBody>;
pub(super) type Http2 = http2::SendRequest<RequestBody>;

/// A connection for one request.
pub(super) enum Connection {
    Http1 {
        sender: Http1,
        reused: bool,
    },
    Http2 {
        sender: Http2,
        stream: Lent,
        reused: bool,
    },
}

/// A place on a shared connection, given back when dropped; nothing for
/// connections that serve one request at a time.
#[derive(Debug)]
pub(crate) struct Lent(pub(super) Option<Arc<AtomicUsize>>);

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(streams) = &self.0 {
            streams.fetch_sub(1, Relaxed);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_http2() { "Http2" } else { "Http1" })
    }
}

type Unsent = TrySendError<Request<RequestBody>>;
type Sending<'a> = Pin<Box<dyn Future<Output = Result<Answer, Unsent>> + Send + 'a>>;

impl Connection {
    pub(super) const fn is_http2(&self) -> bool {
        matches!(self, Self::Http2 { .. })
    }

    pub(super) const fn reused(&self) -> bool {
        match self {
            Self::Http1 { reused, .. } | Self::Http2 { reused, .. } => *reused,
        }
    }

    /// Sends the request; afterwards the connection goes back to `pool` by itself,
    /// as soon as both bodies have ended in good order.
    pub(super) fn send<'a>(
        self,
        pool: &'a Arc<Pool>,
        request: Request<RequestBody>,
        websocket: bool,
    ) -> Sending<'a> {
        Box::pin(async move {
            match self {
                Self::Http1 { mut sender, .. } => {
                    let response = sender.try_send_request(request).await?;
                    if !websocket {
                        return_when_ready(sender, Arc::clone(pool));
                    }
                    Ok(Answer {
                        response,
                        connection: Lent(None),
                        flight: None,
                        place: 0,
                    })
                }
                Self::Http2 {
                    mut sender, stream, ..
                } => {
                    let response = sender.try_send_request(request).await?;
                    Ok(Answer {
                        response,
                        connection: stream,
                        flight: None,
                        place: 0,
                    })
                }
            }
        })
    }
}

/// hyper is ready again only if the exchange ended in good order: nothing unread,
/// nothing unsent, no early answer to a request still being sent, no `close`.
fn return_when_ready(mut sender: Http1, pool: Arc<Pool>) {
    // A short answer has come whole by now: a task for each would be for nothing.
    if sender.is_ready() {
        return pool.give_back(sender);
    }
    tokio::spawn(async move {
        if sender.ready().await.is_ok() {
            pool.give_back(sender);
        }
    });
}
