//! Sends what the core answered, and does to it what the core says.

use std::time::Duration;

use bytes::Bytes;
use devca::Disruption;
use futures_util::{StreamExt, stream};
use http::Response;
use http::header::CONTENT_LENGTH;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tokio::time::sleep;

/// An answer on its way.
pub(super) type Reply = Response<UnsyncBoxBody<Bytes, Aborted>>;

/// The connection ends because the fault says so.
#[derive(Debug, thiserror::Error)]
#[error("ended on command")]
pub(super) struct Aborted;

/// Between two pieces of a body that never ends.
const PIECE_EVERY: Duration = Duration::from_millis(200);

/// So that what came before a break is on its way when it comes.
const FLUSH: Duration = Duration::from_millis(20);

pub(super) async fn send(
    response: Response<Bytes>,
    disruption: Option<Disruption>,
) -> Result<Reply, Aborted> {
    match disruption {
        Some(Disruption::Reset) => return Err(Aborted),
        Some(Disruption::Silence) => std::future::pending::<()>().await,
        Some(Disruption::Late { millis }) => sleep(Duration::from_millis(millis)).await,
        Some(Disruption::Truncate { bytes }) => return Ok(cut(response, bytes)),
        Some(Disruption::Endless) => return Ok(response.map(endless)),
        None => {}
    }
    Ok(response.map(|body| {
        Full::new(body)
            .map_err(|never| match never {})
            .boxed_unsync()
    }))
}

/// It says that it is longer than it is.
fn cut(mut response: Response<Bytes>, kept: usize) -> Reply {
    let whole = response.body().len();
    response.headers_mut().insert(CONTENT_LENGTH, whole.into());
    response.map(|body| {
        let begin = body.slice(..kept.min(whole));
        let broken = stream::once(async {
            sleep(FLUSH).await;
            Err(Aborted)
        });
        let frames = stream::iter([Ok(Frame::data(begin))]).chain(broken);
        BodyExt::boxed_unsync(StreamBody::new(frames))
    })
}

fn endless(body: Bytes) -> UnsyncBoxBody<Bytes, Aborted> {
    let more = stream::unfold((), |()| async {
        sleep(PIECE_EVERY).await;
        Some((Ok(Frame::data(Bytes::from_static(b" "))), ()))
    });
    let frames = stream::iter([Ok(Frame::data(body))]).chain(more);
    BodyExt::boxed_unsync(StreamBody::new(frames))
}
