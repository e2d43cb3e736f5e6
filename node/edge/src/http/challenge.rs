//! Challenges that this node has not heard of yet (RFC 8555 section 8.3, RFC 8737).
//!
//! The leader knows of a challenge a moment before all others do, and a CA
//! probes whichever node the network leads it to. So a miss is asked of the
//! leader, under guards; and where the leader cannot be reached, the answer to
//! http-01 is made of the token and the account's thumbprint, which is what any
//! challenge of ours is answered with, and proves nothing to who lacks the account's
//! key. In a handshake for tls-alpn-01 the CA names no token: there nothing can be made.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use state::{Hostname, challenge::alpn_digest};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use crate::{
    limits::{CHALLENGE, CHALLENGE_UNKNOWN, CHALLENGES_PER_SECOND, CHALLENGES_UNKNOWN},
    metrics::Counters,
};

/// Who may know a challenge that this node does not: the leader.
#[async_trait]
pub trait ChallengeSource: Send + Sync {
    /// The key authorization at `hostname` for `token` of http-01, or for its
    /// tls-alpn-01 challenge if that is absent, read linearizably; `None` if there is
    /// no such challenge. Called at most 50 times a second
    /// and left alone after 1 s.
    ///
    /// # Errors
    ///
    /// Nobody could be asked.
    async fn key_authorization(
        &self,
        hostname: &Hostname,
        token: Option<&str>,
    ) -> Result<Option<String>, Unreachable>;
}

/// The leader cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no leader can be reached")]
pub struct Unreachable;

/// Asks for this node, all cores together.
pub(crate) struct Challenges {
    source: Arc<dyn ChallengeSource>,
    notes: Mutex<Notes>,
}

/// Of which hostname, and for which token of http-01; without one for tls-alpn-01.
type Question = (Hostname, Option<String>);
type Flight = watch::Receiver<Option<Verdict>>;

struct Notes {
    flying: HashMap<Question, Flight>,
    unknown: HashMap<Question, Instant>,
    second: Instant,
    asked: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Known(Arc<str>),
    Unknown,
    NotAsked,
}

impl Challenges {
    pub(crate) fn new(source: Arc<dyn ChallengeSource>) -> Arc<Self> {
        let notes = Notes {
            flying: HashMap::new(),
            unknown: HashMap::new(),
            second: Instant::now(),
            asked: 0,
        };
        Arc::new(Self {
            source,
            notes: Mutex::new(notes),
        })
    }

    /// The answer for a token of the right shape at an authorized hostname.
    /// `thumbprint` is the account's.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        (hostname, token): (Hostname, String),
        thumbprint: Option<&str>,
        counters: &Counters,
    ) -> Option<Arc<str>> {
        match self.ask((hostname, Some(token.clone()))).await {
            Verdict::Known(answer) => {
                counters.challenges_fetched.add();
                Some(answer)
            }
            Verdict::NotAsked if let Some(thumbprint) = thumbprint => {
                counters.challenges_stateless.add();
                Some(format!("{token}.{thumbprint}").into())
            }
            Verdict::Unknown | Verdict::NotAsked => {
                counters.challenges_unknown.add();
                None
            }
        }
    }

    /// The digest of an authorized hostname's tls-alpn-01 challenge.
    pub(crate) async fn digest(
        self: &Arc<Self>,
        hostname: Hostname,
        counters: &Counters,
    ) -> Option<[u8; 32]> {
        let Verdict::Known(answer) = self.ask((hostname, None)).await else {
            return None;
        };
        counters.challenges_fetched.add();
        Some(alpn_digest(&answer))
    }

    async fn ask(self: &Arc<Self>, question: Question) -> Verdict {
        let mut flight = match self.board(question) {
            Ok(flight) => flight,
            Err(verdict) => return verdict,
        };
        match flight
            .wait_for(Option::is_some)
            .await
            .map(|verdict| verdict.clone())
        {
            Ok(Some(verdict)) => verdict,
            Ok(None) | Err(_) => Verdict::NotAsked,
        }
    }

    /// Joins the question that is under way, or begins it.
    fn board(self: &Arc<Self>, question: Question) -> Result<Flight, Verdict> {
        let now = Instant::now();
        let mut notes = self.notes();
        if notes
            .unknown
            .get(&question)
            .is_some_and(|until| now < *until)
        {
            return Err(Verdict::Unknown);
        }
        if let Some(flight) = notes.flying.get(&question) {
            return Ok(flight.clone());
        }
        if !notes.may_ask(now) {
            return Err(Verdict::NotAsked);
        }
        let (done, flight) = watch::channel(None);
        notes.flying.insert(question.clone(), flight.clone());
        tokio::spawn(Arc::clone(self).fly(question, done));
        Ok(flight)
    }

    async fn fly(self: Arc<Self>, question: Question, done: watch::Sender<Option<Verdict>>) {
        let asked = timeout(
            CHALLENGE,
            self.source
                .key_authorization(&question.0, question.1.as_deref()),
        )
        .await;
        let verdict = match asked {
            Ok(Ok(Some(answer))) => Verdict::Known(answer.into()),
            Ok(Ok(None)) => Verdict::Unknown,
            Ok(Err(Unreachable)) | Err(_) => Verdict::NotAsked,
        };
        let mut notes = self.notes();
        notes.flying.remove(&question);
        if verdict == Verdict::Unknown {
            notes.remember(question, Instant::now());
        }
        drop(notes);
        done.send_replace(Some(verdict));
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        // Every change is a single step.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn may_ask(&mut self, now: Instant) -> bool {
        if now.duration_since(self.second).as_secs() >= 1 {
            self.second = now;
            self.asked = 0;
        }
        self.asked += 1;
        self.asked <= CHALLENGES_PER_SECOND
    }

    fn remember(&mut self, question: Question, now: Instant) {
        if self.unknown.len() >= CHALLENGES_UNKNOWN {
            self.unknown.retain(|_, until| now < *until);
        }
        if self.unknown.len() < CHALLENGES_UNKNOWN {
            self.unknown.insert(question, now + CHALLENGE_UNKNOWN);
        }
    }
}

#[cfg(test)]
#[path = "challenge_tests.rs"]
mod tests;
