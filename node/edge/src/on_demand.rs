//! Hostnames that nobody has authorized yet, but somebody else may know: a client names one in
//! its handshake, and whoever the node was told to ask says whether it may be served.
//!
//! A name is worth a question only if a CA could issue for it and nothing here says what it is:
//! not one that is known, nor one that was removed, nor any while the state is still being read.
//! What was asked before, what is being asked and what may be asked at all is decided in
//! [`book`], by values; here is who waits for it.

mod book;
mod budget;
mod metrics;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use state::{Hostname, Index};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

pub use self::{book::Limits, metrics::Snapshot};
use self::{
    book::{Book, Judgement, Question, Told},
    metrics::Counters,
};
use crate::{admission::Network, limits::AUTHORIZING, view::View};

/// Who knows whether a hostname is to be served, and has it authorized.
#[async_trait]
pub trait Authorizer: Send + Sync {
    /// Whether `hostname` may be authorized. Left alone after [`Limits::timeout`].
    ///
    /// # Errors
    ///
    /// Nobody could tell.
    async fn ask(&self, hostname: &Hostname) -> Result<Answer, Untold>;

    /// Has it authorized by the cluster, if nobody removed it; it is answered once this node's
    /// state shows it, with that state's index. Left alone after some seconds.
    ///
    /// # Errors
    ///
    /// It was refused, or nobody could agree.
    async fn authorize(&self, hostname: &Hostname) -> Result<Index, Untold>;
}

/// What there is to say of a hostname.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is to be served.
    Yes,
    /// It is not.
    No,
    /// It has been authorized meanwhile: the state of this index shows it.
    Known(Index),
}

/// Nobody could tell, or agree; in words, without anything secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Untold(pub String);

/// That names may be authorized on demand, and by whom.
#[derive(Clone)]
pub struct OnDemand {
    /// Who is asked.
    pub authorizer: Arc<dyn Authorizer>,
    /// How often, and what is made of the answers.
    pub limits: Limits,
}

/// Asks for this node, all cores together.
pub(crate) struct Asking {
    authorizer: Arc<dyn Authorizer>,
    timeout: Duration,
    published: watch::Receiver<Index>,
    counters: Counters,
    notes: Mutex<Notes>,
}

/// Whether the name is authorized in the end; absent while that is not known.
type Flight = watch::Receiver<Option<bool>>;

struct Notes {
    book: Book,
    flying: HashMap<Hostname, Flight>,
    at_once: usize,
    /// When a failure was said last.
    said: Option<Instant>,
}

/// Failures are said no more often, and all are counted: they come as fast as clients ask.
const FAILURES_SAID: Duration = Duration::from_secs(10);

impl Asking {
    pub(crate) fn new(on_demand: OnDemand, published: watch::Receiver<Index>) -> Arc<Self> {
        let limits = on_demand.limits;
        let notes = Notes {
            at_once: limits.questions_at_once,
            book: Book::new(limits.clone(), Instant::now()),
            flying: HashMap::new(),
            said: None,
        };
        Arc::new(Self {
            authorizer: on_demand.authorizer,
            timeout: limits.timeout,
            published,
            counters: Counters::default(),
            notes: Mutex::new(notes),
        })
    }

    pub(crate) fn metrics(&self) -> Snapshot {
        self.counters.snapshot()
    }

    /// Has `name`, which `view` does not know, authorized if it may be. True: from now on the
    /// present view shows it.
    pub(crate) async fn authorize(
        self: &Arc<Self>,
        view: &View,
        name: &str,
        client: IpAddr,
    ) -> bool {
        let question = self.question(view, name, client);
        let Some(mut flight) = question.and_then(|question| self.board(question)) else {
            return false;
        };
        let verdict = flight.wait_for(Option::is_some).await;
        // An error: whoever asked has ended with its core.
        verdict.is_ok_and(|verdict| *verdict == Some(true))
    }

    /// What is worth a question.
    fn question(&self, view: &View, name: &str, client: IpAddr) -> Option<Question> {
        let hostname = Hostname::parse(name).ok();
        // A public suffix is nobody's: no CA issues for it.
        let domain = psl::domain_str(name);
        let (Some(hostname), Some(domain)) = (hostname, domain) else {
            self.counters.not_asked_unfit.add();
            return None;
        };
        // The name as it was sent must be the one that is authorized, or it is never served.
        if hostname.as_str() != name || !view.is_strange(name) {
            self.counters.not_asked_unfit.add();
            return None;
        }
        Some(Question {
            domain: domain.into(),
            client: Network::of(client),
            hostname,
        })
    }

    /// Joins what is under way for the name, or begins it.
    fn board(self: &Arc<Self>, question: Question) -> Option<Flight> {
        let now = Instant::now();
        let mut notes = self.notes();
        if let Some(flight) = notes.flying.get(&question.hostname) {
            self.counters.joined.add();
            return Some(flight.clone());
        }
        if notes.flying.len() >= notes.at_once {
            self.counters.not_asked_busy.add();
            return None;
        }
        let ask = match notes.book.judge(&question, now) {
            Judgement::Ask => true,
            Judgement::Authorize => false,
            Judgement::Refuse(why) => {
                self.counters.refused(why);
                return None;
            }
        };
        let (done, flight) = watch::channel(None);
        notes
            .flying
            .insert(question.hostname.clone(), flight.clone());
        drop(notes);
        tokio::spawn(Arc::clone(self).fly(question, ask, done));
        Some(flight)
    }

    async fn fly(
        self: Arc<Self>,
        question: Question,
        ask: bool,
        done: watch::Sender<Option<bool>>,
    ) {
        // Taken back also if the core ends in the midst of it.
        let landing = Landing {
            asking: &self,
            hostname: &question.hostname,
        };
        let answer = if ask {
            self.ask(&question.hostname).await
        } else {
            Some(Answer::Yes)
        };
        let known = match answer {
            Some(Answer::Yes) => self.authorized(&question).await,
            Some(Answer::Known(index)) => Some(index),
            Some(Answer::No) | None => None,
        };
        let verdict = match known {
            Some(index) => self.shown(index).await,
            None => false,
        };
        done.send_replace(Some(verdict));
        drop(landing);
    }

    async fn ask(&self, hostname: &Hostname) -> Option<Answer> {
        self.counters.questions.add();
        let asked = timeout(self.timeout, self.authorizer.ask(hostname)).await;
        let asked = asked.unwrap_or_else(|_| {
            let patience = self.timeout;
            Err(Untold(format!("no answer within {patience:?}")))
        });
        let answer = match asked {
            Ok(answer) => answer,
            Err(error) => {
                self.counters.failed.add();
                self.failed(hostname, &error, "nobody says whether it may be served");
                return None;
            }
        };
        let (counter, told) = match answer {
            Answer::Yes => (&self.counters.answered_yes, Told::Yes),
            Answer::No => (&self.counters.answered_no, Told::No),
            Answer::Known(_) => return Some(answer),
        };
        counter.add();
        tracing::debug!(%hostname, ?answer, "asked whether it may be served");
        self.notes().book.note(hostname, told, Instant::now());
        Some(answer)
    }

    async fn authorized(&self, question: &Question) -> Option<Index> {
        let hostname = &question.hostname;
        // Others may have used up what was left when the question began.
        let allowed = self.notes().book.authorize(question, Instant::now());
        if let Err(why) = allowed {
            self.counters.refused(why);
            return None;
        }
        let authorized = timeout(AUTHORIZING, self.authorizer.authorize(hostname)).await;
        let authorized = authorized
            .unwrap_or_else(|_| Err(Untold(format!("not agreed on within {AUTHORIZING:?}"))));
        match authorized {
            Ok(index) => {
                self.counters.authorized.add();
                tracing::info!(%hostname, "authorized on demand");
                Some(index)
            }
            Err(error) => {
                self.counters.not_authorized.add();
                self.failed(hostname, &error, "it was not authorized on demand");
                None
            }
        }
    }

    /// Waits until handshakes see the state of `index`.
    async fn shown(&self, index: Index) -> bool {
        let mut published = self.published.clone();
        let shown = published.wait_for(|at| *at >= index);
        matches!(timeout(AUTHORIZING, shown).await, Ok(Ok(_)))
    }

    fn failed(&self, hostname: &Hostname, error: &Untold, what: &str) {
        let now = Instant::now();
        let mut notes = self.notes();
        notes.book.note(hostname, Told::Nothing, now);
        let due = |said: Instant| now.duration_since(said) >= FAILURES_SAID;
        if notes.said.is_none_or(due) {
            notes.said = Some(now);
            tracing::warn!(%hostname, %error, "{what}");
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        // Every change is a single step.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a flight, whatever ends it.
struct Landing<'a> {
    asking: &'a Asking,
    hostname: &'a Hostname,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.asking.notes().flying.remove(self.hostname);
    }
}
