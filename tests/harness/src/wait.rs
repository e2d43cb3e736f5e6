//! Waiting for something to become so, with a deadline and never by sleeping
//! alone.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

/// How often is looked.
const POLL: Duration = Duration::from_millis(25);

/// Looks until `look` answers `Some`, and panics with what was awaited when
/// `within` is over.
pub async fn until<T, F, Fut>(what: &str, within: Duration, mut look: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    match self::within(within, &mut look).await {
        Some(found) => found,
        None => panic!("{what}: not so within {within:?}"),
    }
}

/// Looks until `look` answers `Some`; `None` if it did not in this time.
pub async fn within<T, F, Fut>(time: Duration, mut look: F) -> Option<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + time;
    loop {
        let found = look().await;
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        sleep(POLL).await;
    }
}
