//! Bodies in both directions: streamed piece by piece, each side read only as
//! fast as the other takes, with their limits.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{answer::Reason, patience::Patience, trailers};
use crate::{
    connection::{Activity, OpenRequest},
    limits::Limits,
    upstream::{InFlight, Lent},
};

/// Why a body ended before its end. Whoever sends it on breaks off too, so that
/// nobody takes the part for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the client's body broke off")]
    Broken,
    #[error("the client's body stalled")]
    Stalled,
    #[error("the client's body is too large")]
    TooLarge,
    #[error("the origin's body broke off")]
    OriginBroken,
    #[error("the origin's body stalled")]
    OriginStalled,
}

/// What both directions of one exchange know of each other.
#[derive(Debug)]
pub(crate) struct Exchange {
    activity: Arc<Activity>,
    begun: Instant,
    /// When the request last moved, in milliseconds since its beginning.
    moved: AtomicU64,
    /// When the response's head has arrived, in microseconds since the beginning; 0: it has
    /// not. From then on either side may rest.
    answered: AtomicU64,
    /// Bytes of the request's body that have come.
    received: AtomicU64,
    /// The client's fault, as a [`Reason`], if it has one; see [`Exchange::fault`].
    fault: AtomicU8,
}

const NO_FAULT: u8 = u8::MAX;

impl Exchange {
    pub(crate) fn new(activity: Arc<Activity>) -> Arc<Self> {
        Arc::new(Self {
            activity,
            begun: Instant::now(),
            moved: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            received: AtomicU64::new(0),
            fault: AtomicU8::new(NO_FAULT),
        })
    }

    /// When the request last moved towards the origin.
    pub(crate) fn last_moved(&self) -> Instant {
        self.begun + Duration::from_millis(self.moved.load(Relaxed))
    }

    fn moved(&self) {
        let now = Instant::now();
        self.moved.store(
            u64::try_from(now.duration_since(self.begun).as_millis()).unwrap_or(u64::MAX),
            Relaxed,
        );
        self.activity.moved_at(now);
    }

    pub(crate) fn answered(&self) {
        let now = Instant::now();
        let micros = now.duration_since(self.begun).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX);
        self.answered.store(micros.max(1), Relaxed);
        self.activity.moved_at(now);
    }

    fn is_answered(&self) -> bool {
        self.answered.load(Relaxed) != 0
    }

    /// How long the response's head took to come; absent if it has not.
    pub(crate) fn answered_after(&self) -> Option<Duration> {
        let micros = self.answered.load(Relaxed);
        (micros != 0).then(|| Duration::from_micros(micros))
    }

    /// Bytes of the request's body that have come.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// What the client did wrong with its body, if that is why the origin got no
    /// whole request.
    pub(crate) fn fault(&self) -> Option<Reason> {
        Reason::ALL
            .get(usize::from(self.fault.load(Relaxed)))
            .copied()
    }

    fn blame(&self, error: BodyError) -> BodyError {
        let reason = match error {
            BodyError::Stalled => Reason::BodyStalled,
            BodyError::TooLarge => Reason::BodyTooLarge,
            _ => Reason::BodyBroken,
        };
        self.fault.store(reason as u8, Relaxed);
        error
    }
}

/// A request's body on its way to the origin.
#[derive(Debug)]
pub(crate) struct RequestBody(Option<Sending>);

#[derive(Debug)]
struct Sending {
    inner: Incoming,
    exchange: Arc<Exchange>,
    /// Bytes that may yet come.
    left: u64,
    patience: Patience,
    idle: Duration,
    answered_idle: Duration,
    trailers: bool,
}

impl RequestBody {
    /// `trailers`: whether they are passed on.
    pub(crate) fn new(
        inner: Incoming,
        exchange: Arc<Exchange>,
        limits: &Limits,
        trailers: bool,
    ) -> Self {
        Self(Some(Sending {
            inner,
            exchange,
            left: limits.request_body,
            patience: Patience::default(),
            idle: limits.body_idle,
            answered_idle: limits.exchange_idle,
            trailers,
        }))
    }

    /// That of a request that has none.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Bounds it to fewer bytes than the node's limit.
    pub(crate) fn at_most(&mut self, bytes: u64) {
        if let Some(sending) = &mut self.0 {
            sending.left = sending.left.min(bytes);
        }
    }
}

impl Sending {
    fn accept(&mut self, frame: Frame<Bytes>) -> Result<Option<Frame<Bytes>>, BodyError> {
        self.exchange.moved();
        self.patience.rest();
        if let Some(data) = frame.data_ref() {
            let received = &self.exchange.received;
            // Its core alone writes it.
            received.store(received.load(Relaxed) + data.len() as u64, Relaxed);
            self.left = self
                .left
                .checked_sub(data.len() as u64)
                .ok_or(BodyError::TooLarge)?;
            return Ok(Some(frame));
        }
        Ok(trailers::filter(frame, self.trailers))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(this) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let polled = match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(polled) => polled,
            Poll::Pending => {
                let idle = if this.exchange.is_answered() {
                    this.answered_idle
                } else {
                    this.idle
                };
                ready!(this.patience.poll(cx, idle));
                return Poll::Ready(Some(Err(this.exchange.blame(BodyError::Stalled))));
            }
        };
        Poll::Ready(match polled {
            None => None,
            Some(Err(_)) => Some(Err(this.exchange.blame(BodyError::Broken))),
            Some(Ok(frame)) => match this.accept(frame) {
                Ok(frame) => frame.map(Ok),
                Err(error) => Some(Err(this.exchange.blame(error))),
            },
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|it| it.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let none = || SizeHint::with_exact(0);
        self.0.as_ref().map_or_else(none, |it| it.inner.size_hint())
    }
}

/// A response's body on its way to the client. Dropping it ends the request.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    source: Source,
    request: Option<OpenRequest>,
}

#[derive(Debug)]
enum Source {
    Ours(Option<Bytes>),
    Origin {
        inner: Incoming,
        patience: Patience,
        idle: Duration,
        trailers: bool,
        _connection: Lent,
        _flight: Option<InFlight>,
    },
}

impl ResponseBody {
    /// Bytes of our own, and the request that they answer.
    pub(crate) fn ours(bytes: Bytes, request: Option<OpenRequest>) -> Self {
        Self {
            source: Source::Ours(Some(bytes).filter(|bytes| !bytes.is_empty())),
            request,
        }
    }

    /// The head that it goes with is this one's.
    pub(crate) fn answers(&mut self, status: StatusCode) {
        if let Some(observed) = self.request.as_mut().and_then(OpenRequest::observed) {
            observed.answered(status);
        }
    }

    fn count(&mut self, data: &Bytes) {
        if let Some(observed) = self.request.as_mut().and_then(OpenRequest::observed) {
            observed.sent(data.len());
        }
    }

    /// What an origin sends.
    pub(crate) fn of_origin(
        inner: Incoming,
        (connection, flight): (Lent, Option<InFlight>),
        request: OpenRequest,
        limits: &Limits,
        trailers: bool,
    ) -> Self {
        let source = Source::Origin {
            inner,
            patience: Patience::default(),
            idle: limits.exchange_idle,
            trailers,
            _connection: connection,
            _flight: flight,
        };
        Self {
            source,
            request: Some(request),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let (inner, patience, idle, trailers) = match &mut this.source {
            Source::Ours(bytes) => {
                let bytes = bytes.take();
                if let Some(bytes) = &bytes {
                    this.count(bytes);
                }
                return Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))));
            }
            Source::Origin {
                inner,
                patience,
                idle,
                trailers,
                ..
            } => (inner, patience, *idle, *trailers),
        };
        let polled = match Pin::new(inner).poll_frame(cx) {
            Poll::Ready(polled) => polled,
            Poll::Pending => {
                ready!(patience.poll(cx, idle));
                return Poll::Ready(Some(Err(BodyError::OriginStalled)));
            }
        };
        patience.rest();
        if let Some(request) = &this.request {
            request.activity().moved();
        }
        Poll::Ready(match polled {
            None => None,
            Some(Err(_)) => Some(Err(BodyError::OriginBroken)),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.count(data);
                }
                trailers::filter(frame, trailers).map(Ok)
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Ours(bytes) => bytes.is_none(),
            Source::Origin { inner, .. } => inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Ours(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Source::Origin { inner, .. } => inner.size_hint(),
        }
    }
}
