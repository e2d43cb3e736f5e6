//! Bodies as they are sent: whole, or as a fault commands.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Response;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

use crate::fault::Disruption;

/// Between two pieces of a body without end: often enough that no one thinks it idle.
const TRICKLE: Duration = Duration::from_millis(200);

/// So that what came before a break is on the wire when it comes.
const FLUSH: Duration = Duration::from_millis(20);

pub(super) type Body = UnsyncBoxBody<Bytes, Aborted>;

/// That a connection ends because it was commanded to.
#[derive(Debug, thiserror::Error)]
#[error("ended on command")]
pub(super) struct Aborted;

/// The answer as it goes out.
pub(super) fn sent(response: Response<Bytes>, disruption: Option<Disruption>) -> Response<Body> {
    let (mut head, bytes) = response.into_parts();
    let body = match disruption {
        Some(Disruption::Truncate { bytes: kept }) => {
            head.headers
                .insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            let cut = bytes.slice(..kept.min(bytes.len()));
            let broken = stream::once(async {
                tokio::time::sleep(FLUSH).await;
                Err(Aborted)
            });
            let frames = stream::iter([Ok(Frame::data(cut))]).chain(broken);
            BodyExt::boxed_unsync(StreamBody::new(frames))
        }
        Some(Disruption::Endless) => {
            let more = stream::unfold((), |()| async {
                tokio::time::sleep(TRICKLE).await;
                Some((Ok(Frame::data(Bytes::from_static(b" "))), ()))
            });
            let frames = stream::iter([Ok(Frame::data(bytes))]).chain(more);
            BodyExt::boxed_unsync(StreamBody::new(frames))
        }
        _ => Full::new(bytes)
            .map_err(|never| match never {})
            .boxed_unsync(),
    };
    Response::from_parts(head, body)
}
