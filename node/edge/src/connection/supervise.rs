//! Drives one HTTP connection until it ends, is told to, or is overdue.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::Poll,
};

use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Expiry};
use crate::limits::Limits;

/// A connection that can be told to end after what it has begun.
pub(crate) trait Graceful: Future<Output = hyper::Result<()>> {
    /// HTTP/1.1: `Connection: close` with the next response, at once if none is
    /// owed. HTTP/2: GOAWAY twice (RFC 9113 section 6.8).
    fn end(self: Pin<&mut Self>);
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// By itself or because it was told to.
    Closed,
    /// A fault of the client's, or of its network.
    Failed(hyper::Error),
    /// Cut off by us, and why.
    Overdue(&'static str),
}

/// Polls `connection`, and beside it its deadline and the wishes to drain and to make room.
pub(crate) async fn supervise(
    connection: impl Graceful,
    activity: &Activity,
    limits: &Limits,
    draining: &CancellationToken,
) -> End {
    let mut connection = pin!(connection);
    let mut draining = pin!(draining.cancelled());
    let mut asked = pin!(activity.asked_to_leave());
    let mut timer = pin!(sleep_until(activity.deadline(limits).0));
    let mut drain = false;
    let mut told = false;
    std::future::poll_fn(move |cx| {
        loop {
            drain = drain
                || draining.as_mut().poll(cx).is_ready()
                || asked.as_mut().poll(cx).is_ready();
            if drain && !told && activity.has_been_useful() {
                told = true;
                activity.told_to_end();
                connection.as_mut().end();
            }
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(result.map_or_else(End::Failed, |()| End::Closed));
            }
            if drain && !told && activity.has_been_useful() {
                continue; // its first request has just arrived
            }
            // The timer is moved only when it would ring too late: most deadlines
            // are pushed back many times before they matter.
            let (mut at, expiry) = activity.deadline(limits);
            if drain && !told {
                at = at.min(activity.first_request_by(limits));
            }
            if at < timer.deadline() {
                timer.as_mut().reset(at);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if at > timer.deadline() {
                timer.as_mut().reset(at);
                continue;
            }
            match expiry {
                Expiry::Overdue(why) => return Poll::Ready(End::Overdue(why)),
                Expiry::Rested => {
                    told = true;
                    activity.told_to_end();
                    connection.as_mut().end();
                }
            }
        }
    })
    .await
}
