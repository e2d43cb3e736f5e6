//! Handshakes take turns with everything else.
//!
//! A signature keeps a core for as long as some ten requests. A core's runtime polls what
//! is ready in turn, so whoever has ready a thousand handshakes would make each request
//! wait for a thousand signatures. Here only [`HANDSHAKES_A_TURN`] are computed, and then
//! it is looked what the sockets of all others have brought before the next are.

use std::{pin::pin, task::Poll};

use futures_util::poll;
use tokio::{sync::Semaphore, task::yield_now};

use crate::limits::HANDSHAKES_A_TURN;

/// One core's turns.
#[derive(Debug)]
pub(crate) struct Turns(Semaphore);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(HANDSHAKES_A_TURN))
    }

    /// Does `work`, the beginning of which is what costs, once it is its turn.
    pub(crate) async fn run<F: Future>(&self, work: F) -> F::Output {
        // It is never closed.
        let turn = self.0.acquire().await.ok();
        let mut work = pin!(work);
        if let Poll::Ready(done) = poll!(work.as_mut()) {
            return done;
        }
        // tokio wakes who yields only after it has looked at the sockets.
        yield_now().await;
        drop(turn);
        work.await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
    };

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn a_flood_of_handshakes_lets_others_have_their_turn() {
        const FLOOD: usize = 500;
        let turns = Arc::new(Turns::new());
        let computed = Arc::<AtomicUsize>::default();
        let mut flood = JoinSet::new();
        for _ in 0..FLOOD {
            let (turns, computed) = (turns.clone(), computed.clone());
            flood.spawn(async move {
                let handshake = async {
                    computed.fetch_add(1, Relaxed);
                    pending::<()>().await; // for the client
                };
                turns.run(handshake).await;
            });
        }
        let other = tokio::spawn(async move {
            let mut most = 0;
            while computed.load(Relaxed) < FLOOD {
                let before = computed.load(Relaxed);
                yield_now().await;
                most = most.max(computed.load(Relaxed) - before);
            }
            most
        });
        // A turn may end and another begin between two polls of the other.
        let most = other.await.unwrap();
        assert!(most <= 2 * HANDSHAKES_A_TURN, "{most}");
    }
}
