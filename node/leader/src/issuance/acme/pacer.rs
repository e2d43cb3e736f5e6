//! Spaces our own requests so that a CA's published rates are not met (GCRA, one
//! theoretical arrival time a kind).

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::issuance::authority::{Rate, Rates};

/// What of a published rate is used, in hundredths: requests that leave evenly arrive in
/// bunches, and others behind our address may speak to the same CA.
const SHARE: u32 = 85;

/// How long a request with an effect may wait: its permission lasts three seconds, and
/// what is left must do for the request.
const EFFECT_WAITS: Duration = Duration::from_secs(1);
/// How long one that only reads may wait: longer, and its caller should rather rest.
const READ_WAITS: Duration = Duration::from_secs(10);

/// The kinds of request that have rates of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Directory,
    NewNonce,
    NewAccount,
    NewOrder,
    Revocation,
    RenewalInfo,
    Other,
}

const ENDPOINTS: usize = 7;

/// The buckets of one CA, shared by all that speak to it from this process.
pub(super) struct Pacer {
    buckets: Mutex<Buckets>,
}

struct Buckets {
    rates: Rates,
    /// When each bucket is full again; absent: it is.
    full_at: [Option<Instant>; ENDPOINTS],
}

impl Pacer {
    pub(super) fn new(rates: Rates) -> Self {
        Self {
            buckets: Mutex::new(Buckets {
                rates,
                full_at: [None; ENDPOINTS],
            }),
        }
    }

    /// From now on by these rates.
    pub(super) fn set(&self, rates: Rates) {
        self.buckets().rates = rates;
    }

    /// Waits for this request's turn.
    ///
    /// # Errors
    /// How long it would have to wait, if that is too long; then its turn is not spent.
    pub(super) async fn pass(&self, endpoint: Endpoint, effect: bool) -> Result<(), Duration> {
        let longest = if effect { EFFECT_WAITS } else { READ_WAITS };
        let turn = self.buckets().take(endpoint, Instant::now(), longest)?;
        tokio::time::sleep_until(turn).await;
        Ok(())
    }

    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buckets {
    /// When a request that comes now may leave.
    fn take(
        &mut self,
        endpoint: Endpoint,
        now: Instant,
        longest: Duration,
    ) -> Result<Instant, Duration> {
        let rate = self.rate(endpoint);
        let interval = Duration::from_secs(100) / rate.per_second.max(1) / SHARE;
        let spared = (rate.burst.max(1) * SHARE / 100).max(1) - 1;
        let Some(full_at) = self.full_at.get_mut(endpoint as usize) else {
            return Ok(now);
        };
        let arrival = full_at.unwrap_or(now).max(now);
        let wait = (arrival - now).saturating_sub(interval * spared);
        if wait > longest {
            return Err(wait);
        }
        *full_at = Some(arrival + interval);
        Ok(now + wait)
    }

    fn rate(&self, endpoint: Endpoint) -> Rate {
        match endpoint {
            Endpoint::Directory => self.rates.directory,
            Endpoint::NewNonce => self.rates.new_nonce,
            Endpoint::NewAccount => self.rates.new_account,
            Endpoint::NewOrder => self.rates.new_order,
            Endpoint::Revocation => self.rates.revocation,
            Endpoint::RenewalInfo => self.rates.renewal_info,
            Endpoint::Other => self.rates.other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let pacer = Pacer::new(Rates::LETS_ENCRYPT);
        let begun = Instant::now();
        // 85 of a hundred: eight at once, and seventeen a second.
        for _ in 0..8 {
            pacer.pass(Endpoint::NewNonce, false).await.unwrap();
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..34 {
            pacer.pass(Endpoint::NewNonce, false).await.unwrap();
        }
        let took = begun.elapsed().as_secs_f64();
        assert!((1.99..2.01).contains(&took), "{took}");
        // Each kind has its own.
        pacer.pass(Endpoint::NewOrder, true).await.unwrap();
        assert_eq!(begun.elapsed().as_secs_f64(), took);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_is_good_for_it() {
        let slow = Rate {
            per_second: 1,
            burst: 1,
        };
        let pacer = Pacer::new(Rates {
            new_order: slow,
            ..Rates::UNPUBLISHED
        });
        pacer.pass(Endpoint::NewOrder, true).await.unwrap();
        let begun = Instant::now();
        let wait = pacer.pass(Endpoint::NewOrder, true).await.unwrap_err();
        assert!(wait > EFFECT_WAITS && wait < Duration::from_secs(2));
        assert_eq!(begun.elapsed(), Duration::ZERO, "it is told at once");
        // A refusal spends nothing: the turn is the same for the next.
        pacer.pass(Endpoint::NewOrder, false).await.unwrap();
        let late = begun.elapsed().saturating_sub(wait);
        assert!(begun.elapsed() >= wait && late <= Duration::from_millis(1));

        pacer.set(Rates::UNPUBLISHED);
        pacer.pass(Endpoint::NewOrder, true).await.unwrap();
    }
}
