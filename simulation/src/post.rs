//! What becomes of calls between nodes on their way: counted by kind, and, while a fault
//! lasts, lost before or after they took effect, delivered twice, or late and so out of
//! their order.
//!
//! TCP delivers bytes once and in order; that a call is made twice, or is answered into
//! the void, comes of connections that break and are made again. Here it comes of chance.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use consensus::PeerIdentity;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde::{Deserialize, Serialize};
use state::NodeId;
use tokio::time::sleep;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::chance::Chance;
use crate::clock::elapsed;

/// How many of a thousand calls meet what, at most one thing each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Odds {
    /// Lost on the way there.
    pub lost: u64,
    /// Taken, and the answer lost.
    pub unanswered: u64,
    /// Taken twice.
    pub doubled: u64,
    /// Taken later than others that were made after them.
    pub late: u64,
}

/// A call that is late is so by this many milliseconds at most.
const LATE_MS: u64 = 300;

/// Stands in the head of an answer only if that is an error and nothing else.
const GRPC_STATUS: &str = "grpc-status";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Delivered,
    Lost,
    Unanswered,
    Doubled,
    Late(Duration),
}

/// All calls that reach nodes; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Post(Arc<Mutex<Office>>);

#[derive(Debug)]
struct Office {
    chance: Chance,
    odds: Odds,
    carried: BTreeMap<String, u64>,
    /// Whose calls were answered, and when the last of them began.
    heeded: BTreeMap<NodeId, u64>,
}

impl Post {
    pub(crate) fn new(chance: Chance) -> Self {
        Self(Arc::new(Mutex::new(Office {
            chance,
            odds: Odds::default(),
            carried: BTreeMap::new(),
            heeded: BTreeMap::new(),
        })))
    }

    /// From now on.
    pub(crate) fn set_odds(&self, odds: Odds) {
        self.office().odds = odds;
    }

    /// How many calls of which kind there were since the last time.
    pub(crate) fn take_carried(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.office().carried)
    }

    /// Whose calls were answered with more than an error since the last time, and when the
    /// last of them began, in milliseconds.
    pub(crate) fn take_heeded(&self) -> BTreeMap<NodeId, u64> {
        std::mem::take(&mut self.office().heeded)
    }

    fn heeded(&self, caller: NodeId, began: u64) {
        let mut office = self.office();
        let last = office.heeded.entry(caller).or_default();
        *last = began.max(*last);
    }

    fn office(&self) -> MutexGuard<'_, Office> {
        // One thread only; each holder leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fate(&self, path: &str) -> Fate {
        let kind = path.rsplit('/').next().unwrap_or_default();
        let mut office = self.office();
        *office.carried.entry(kind.to_owned()).or_default() += 1;
        // A stream: what it carries is cut off with its connection, and not otherwise.
        if office.odds == Odds::default() || kind == "InstallSnapshot" {
            return Fate::Delivered;
        }
        // Never repeated by whoever makes it: what is proposed twice happens twice.
        let once = matches!(kind, "Propose" | "Transfer");
        let Odds {
            lost,
            unanswered,
            doubled,
            late,
        } = office.odds;
        let mut drawn = office.chance.between(0, 999);
        let fates = [
            (lost, Fate::Lost),
            (unanswered, Fate::Unanswered),
            (if once { 0 } else { doubled }, Fate::Doubled),
        ];
        for (part, fate) in fates {
            if drawn < part {
                return fate;
            }
            drawn -= part;
        }
        if drawn < late {
            let wait = office.chance.between(1, LATE_MS);
            return Fate::Late(Duration::from_millis(wait));
        }
        Fate::Delivered
    }
}

impl<S> Layer<S> for Post {
    type Service = Posted<S>;

    fn layer(&self, inner: S) -> Posted<S> {
        Posted {
            inner,
            post: self.clone(),
        }
    }
}

/// A service whose calls come by [`Post`].
#[derive(Debug, Clone)]
pub(crate) struct Posted<S> {
    inner: S,
    post: Post,
}

type Answer<R> = Pin<Box<dyn Future<Output = Result<Response<R>, Infallible>> + Send>>;

impl<S, R> Service<Request<Body>> for Posted<S>
where
    S: Service<Request<Body>, Response = Response<R>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Answer<R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The other service on the port wants the same by another name.
        let mut caller = None;
        if let Some(PeerIdentity(node)) = request.extensions().get::<PeerIdentity>() {
            let node = *node;
            caller = Some(node);
            let identity = state::ports::PeerIdentity { node };
            request.extensions_mut().insert(identity);
        }
        let fate = self.post.fate(request.uri().path());
        let post = self.post.clone();
        // When it came in, whatever becomes of it then.
        let began = u64::try_from(elapsed().as_millis()).unwrap_or(u64::MAX);
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        Box::pin(async move {
            match fate {
                Fate::Delivered => {}
                Fate::Lost => return std::future::pending().await,
                Fate::Unanswered => {
                    let _ = inner.call(request).await;
                    return std::future::pending().await;
                }
                Fate::Late(wait) => sleep(wait).await,
                Fate::Doubled => {
                    let (first, second) = twice(request).await;
                    let _ = inner.call(first).await;
                    return inner.call(second).await;
                }
            }
            let answer = inner.call(request).await;
            if let (Some(caller), Ok(answer)) = (caller, &answer)
                && !answer.headers().contains_key(GRPC_STATUS)
            {
                post.heeded(caller, began);
            }
            answer
        })
    }
}

/// The same call two times. One that breaks off on the way comes as far as it came.
async fn twice(request: Request<Body>) -> (Request<Body>, Request<Body>) {
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.map(|body| body.to_bytes());
    let bytes = bytes.unwrap_or_default();
    let of = |head| Request::from_parts(head, Body::new(Full::new(bytes.clone())));
    (of(head.clone()), of(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_kind_and_meet_what_the_odds_say() {
        let post = Post::new(Chance::new(1));
        assert_eq!(post.fate("/Consensus/Append"), Fate::Delivered);
        post.set_odds(Odds {
            doubled: 1000,
            ..Odds::default()
        });
        assert_eq!(post.fate("/Consensus/Append"), Fate::Doubled);
        assert_eq!(post.fate("/Consensus/InstallSnapshot"), Fate::Delivered);
        let carried = post.take_carried();
        assert_eq!(carried.get("Append"), Some(&2));
        assert!(post.take_carried().is_empty());
    }
}
