//! Waiting for the next piece of a body, but not for ever.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that exists only once something had to be waited for.
#[derive(Debug, Default)]
pub(super) struct Patience {
    timer: Option<Pin<Box<Sleep>>>,
    since: Option<Instant>,
}

impl Patience {
    /// Ready once `idle` has passed since waiting began; `idle` may change
    /// meanwhile.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, idle: Duration) -> Poll<()> {
        let until = *self.since.get_or_insert_with(Instant::now) + idle;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(cx)
    }

    pub(super) fn rest(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_counts_from_the_last_rest() {
        let idle = Duration::from_secs(30);
        let mut patience = Patience::default();
        let begun = Instant::now();
        let mut pieces = 0;
        std::future::poll_fn(|cx| {
            // Three pieces arrive, each at the moment that patience is polled.
            while pieces < 3 {
                pieces += 1;
                patience.rest();
                assert!(patience.poll(cx, idle).is_pending());
            }
            patience.poll(cx, idle)
        })
        .await;
        assert_eq!(begun.elapsed().as_secs(), 30);
    }
}
