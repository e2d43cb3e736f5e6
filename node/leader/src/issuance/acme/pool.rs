//! What waits for the next request: open connections and unused nonces.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::HeaderValue;
use tokio::time::Instant;

use super::connection::Connection;

/// An idle connection is used again for this long: less than any CA keeps it, so that a
/// request rarely meets a connection that the other end is closing.
const IDLE_LONGEST: Duration = Duration::from_secs(10);
/// Idle connections kept: as many as orders go forward at once.
const IDLE_MOST: usize = 32;
/// Nonces kept; each order in flight uses one at a time.
const NONCES_MOST: usize = 64;
/// A nonce is used for this long: CAs forget them, and a `badNonce` costs a round trip.
const NONCE_LONGEST: Duration = Duration::from_secs(120);

/// RFC 8555 section 6.5.1.
pub(super) const REPLAY_NONCE: &str = "replay-nonce";

#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<Vec<Idle>>,
    nonces: Mutex<Vec<(Instant, HeaderValue)>>,
}

struct Idle {
    host: String,
    since: Instant,
    connection: Connection,
}

impl Pool {
    /// Whether a nonce and a connection to `host` wait.
    pub(super) async fn is_warm(&self, host: &str) -> bool {
        if self.nonces().is_empty() {
            return false;
        }
        let Some(connection) = self.connection(host).await else {
            return false;
        };
        self.keep(host.to_owned(), connection);
        true
    }

    /// The connection to `host` that was used last.
    pub(super) async fn connection(&self, host: &str) -> Option<Connection> {
        loop {
            let mut connection = {
                let mut idle = lock(&self.idle);
                idle.retain(|idle| idle.since.elapsed() < IDLE_LONGEST);
                let place = idle.iter().rposition(|idle| idle.host == host)?;
                idle.remove(place).connection
            };
            if connection.is_usable().await {
                return Some(connection);
            }
        }
    }

    pub(super) fn keep(&self, host: String, connection: Connection) {
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE_MOST {
            idle.push(Idle {
                host,
                since: Instant::now(),
                connection,
            });
        }
    }

    /// All nonces come here, whoever asked, so that each is used once.
    pub(super) fn keep_nonce(&self, nonce: HeaderValue) {
        let mut nonces = self.nonces();
        if nonces.len() >= NONCES_MOST {
            nonces.remove(0);
        }
        nonces.push((Instant::now(), nonce));
    }

    /// The newest nonce.
    pub(super) fn nonce(&self) -> Option<HeaderValue> {
        self.nonces().pop().map(|(_, nonce)| nonce)
    }

    fn nonces(&self) -> MutexGuard<'_, Vec<(Instant, HeaderValue)>> {
        let mut nonces = lock(&self.nonces);
        nonces.retain(|(since, _)| since.elapsed() < NONCE_LONGEST);
        nonces
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
