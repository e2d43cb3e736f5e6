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
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: not so within {within:?}"
        );
        sleep(POLL).await;
    }
}
