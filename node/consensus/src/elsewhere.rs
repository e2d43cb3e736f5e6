//! Bodies that other members have, for a node whose own store cannot be read.
//!
//! An engine whose write failed may refuse to read as well, and a store that is being
//! reopened is closed for a while. What is served then is still known by its record;
//! every other member holds the same bodies, and any of them may answer: a body never
//! changes under its key. Keys in bodies are sealed, so nothing is told that
//! replication would not tell.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use proto::peer::v1::{ReadBodyReply, ReadBodyRequest};
use state::NodeId;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::transport::links::{Client, Links, Purpose};

/// Largest body that travels: a certificate with its chain and key takes some KB.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Questions at once, each of up to [`MAX_BODY_BYTES`]; others wait for a place.
const AT_ONCE: usize = 8;

/// A member that does not answer within this is passed over: the next one may.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// All of it: a client's handshake waits.
pub(crate) const FOUND_WITHIN: Duration = Duration::from_secs(3);

/// Asks the other members.
pub(crate) struct Elsewhere {
    /// Not those of a run: they fall silent with it.
    links: Links,
    places: Semaphore,
    /// The place of who answered last and is asked first: each one that is down as well
    /// costs [`ANSWER_WITHIN`].
    good: AtomicUsize,
    borrowed: AtomicU64,
}

impl Elsewhere {
    pub(crate) fn new(links: Links) -> Self {
        Self {
            links,
            places: Semaphore::new(AT_ONCE),
            good: AtomicUsize::new(0),
            borrowed: AtomicU64::new(0),
        }
    }

    /// Bodies that others gave.
    pub(crate) fn borrowed(&self) -> u64 {
        self.borrowed.load(Ordering::Relaxed)
    }

    /// The body under `key` of the first of `members` that has it; `None` if all of them
    /// answer that they have not. The error says what became of each question.
    pub(crate) async fn find(
        &self,
        members: BTreeMap<NodeId, String>,
        key: Bytes,
    ) -> Result<Option<Bytes>, String> {
        if members.is_empty() {
            return Err("there is no other member to ask".into());
        }
        self.links.retain(|peer| members.contains_key(&peer));
        match timeout(FOUND_WITHIN, self.ask_all(members, key)).await {
            Ok(found) => found,
            Err(_) => Err(format!("no other member answered within {FOUND_WITHIN:?}")),
        }
    }

    async fn ask_all(
        &self,
        members: BTreeMap<NodeId, String>,
        key: Bytes,
    ) -> Result<Option<Bytes>, String> {
        // Never closed.
        let _place = self.places.acquire().await;
        let first = self.good.load(Ordering::Relaxed) % members.len();
        let in_turn = members.iter().enumerate().cycle().skip(first);
        let mut failed = Vec::new();
        for (place, (node, address)) in in_turn.take(members.len()) {
            match self.ask(*node, address, key.clone()).await {
                Ok(Some(body)) => {
                    self.good.store(place, Ordering::Relaxed);
                    self.borrowed.fetch_add(1, Ordering::Relaxed);
                    return Ok(Some(body));
                }
                Ok(None) => {}
                Err(why) => failed.push(why),
            }
        }
        if failed.is_empty() {
            Ok(None)
        } else {
            Err(failed.join("; "))
        }
    }

    async fn ask(&self, node: NodeId, address: &str, key: Bytes) -> Result<Option<Bytes>, String> {
        let request = ReadBodyRequest {
            envelope: self.links.envelope(node),
            key,
        };
        let call = |client: Client| async move {
            let mut client = client.max_decoding_message_size(2 * MAX_BODY_BYTES);
            client.read_body(request).await
        };
        let reply = self
            .links
            .call((node, address), Purpose::Question, ANSWER_WITHIN, call)
            .await;
        match reply {
            Ok(ReadBodyReply { body }) => Ok(body),
            Err(error) => Err(error.to_string()),
        }
    }
}
