//! The one task that owns the core and the journal: persist, then speak, then act.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info};

use crate::book::Record;
use crate::command::{Command, CommandError};
use crate::config::Clocks;
use crate::core::Core;
use crate::entropy::SystemEntropy;
use crate::problem::Problem;
use crate::step::{Effect, Step, Validation};
use crate::store::{Journal, StoreError};
use crate::validate::{Probing, validate};

/// Events waiting for the engine; senders wait when it is full.
pub(crate) const QUEUE: usize = 256;
/// Events that share one flush of the journal: as many as can wait while one is flushed.
const BATCH: usize = QUEUE;
/// Validations at a time; bounds sockets. Others wait for their turn.
const MAX_VALIDATIONS: usize = 64;

/// What can happen to the CA.
pub(crate) enum Event {
    /// A request came.
    Request {
        request: Request<Bytes>,
        reply: oneshot::Sender<Response<Bytes>>,
    },
    /// A request came that could not be read.
    Unreadable {
        problem: Problem,
        reply: oneshot::Sender<Response<Bytes>>,
    },
    /// A validation ended.
    Concluded {
        validation: Validation,
        outcome: Result<(), Problem>,
    },
    /// A delayed certificate is due.
    Due { order: String },
    /// Something is to be done to the records.
    Command {
        command: Command,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
}

/// What is told once the records are kept.
enum Telling {
    Response(oneshot::Sender<Response<Bytes>>, Response<Bytes>),
    Outcome(
        oneshot::Sender<Result<(), CommandError>>,
        Result<(), CommandError>,
    ),
}

impl Telling {
    /// Who went away loses only the answer.
    fn tell(self) {
        match self {
            Self::Response(reply, response) => drop(reply.send(response)),
            Self::Outcome(reply, outcome) => drop(reply.send(outcome)),
        }
    }
}

/// The core, shared with those who only read the ledger.
#[derive(Clone)]
pub(crate) struct SharedCore(Arc<Mutex<Core>>);

impl SharedCore {
    pub(crate) fn new(core: Core) -> Self {
        Self(Arc::new(Mutex::new(core)))
    }

    /// Held for one event at a time and never while waiting.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        // A panic inside leaves at worst one half-done record, which the engine did not
        // persist either.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine's parts.
pub(crate) struct Engine {
    pub(crate) core: SharedCore,
    /// Absent when the CA lives in memory only.
    pub(crate) journal: Option<Journal>,
    pub(crate) clocks: Clocks,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) performer: Performer,
}

impl Engine {
    /// Serves until every sender of events is gone, or until the journal fails: what
    /// cannot be kept must not be answered.
    pub(crate) async fn run(mut self) {
        let now = self.clocks.moment().timestamp();
        let unfinished = self.core.lock().resume(now);
        self.performer.perform(unfinished);
        let mut events = Vec::with_capacity(BATCH);
        while self.events.recv_many(&mut events, BATCH).await > 0 {
            let mut tellings = Vec::new();
            let mut all = Step::default();
            for event in events.drain(..) {
                let (step, telling) = self.take(event);
                all.records.extend(step.records);
                all.effects.extend(step.effects);
                tellings.extend(telling);
            }
            if let Err(failure) = self.persist(all.records).await {
                let failure: &dyn std::error::Error = &failure;
                error!(error = failure, "the CA stops: it cannot keep its records");
                return;
            }
            tellings.into_iter().for_each(Telling::tell);
            self.performer.perform(all.effects);
        }
    }

    fn take(&self, event: Event) -> (Step, Option<Telling>) {
        let now = self.clocks.moment();
        let mut core = self.core.lock();
        match event {
            Event::Request { request, reply } => {
                let (response, step) = core.handle(&request, now, &mut SystemEntropy);
                let (method, path) = (request.method(), request.uri().path());
                debug!(%method, path, status = response.status().as_u16(), "answered");
                (step, Some(Telling::Response(reply, response)))
            }
            Event::Unreadable { problem, reply } => {
                let response = core.refuse(&problem, &mut SystemEntropy);
                (Step::default(), Some(Telling::Response(reply, response)))
            }
            Event::Concluded {
                validation,
                outcome,
            } => {
                match &outcome {
                    Ok(()) => debug!(hostname = validation.hostname, "validated"),
                    Err(problem) => {
                        info!(hostname = validation.hostname, %problem, "not validated");
                    }
                }
                let id = &validation.authorization;
                let step = core.conclude(id, validation.kind, outcome, now, &mut SystemEntropy);
                (step, None)
            }
            Event::Due { order } => (core.issue(&order, now, &mut SystemEntropy), None),
            Event::Command { command, reply } => {
                let done = core.command(&command, now, &mut SystemEntropy);
                let (step, outcome) = match done {
                    Ok(step) => (step, Ok(())),
                    Err(error) => (Step::default(), Err(error)),
                };
                (step, Some(Telling::Outcome(reply, outcome)))
            }
        }
    }

    async fn persist(&mut self, records: Vec<Record>) -> Result<(), StoreError> {
        for record in &records {
            if let Record::Certificate(certificate) = record {
                info!(serial = certificate.serial, names = ?certificate.names, "certificate");
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        let Some(mut journal) = self.journal.take() else {
            return Ok(());
        };
        let appended = tokio::task::spawn_blocking(move || {
            journal.append(&records)?;
            Ok(journal)
        });
        // A panic in the append counts as the failure that it is.
        self.journal = Some(appended.await.unwrap_or_else(|_| Err(StoreError::Lost))?);
        Ok(())
    }
}

/// Carries out effects, each in a task that ends in an event.
pub(crate) struct Performer {
    pub(crate) probing: watch::Receiver<Probing>,
    /// Weak, so that effects under way do not keep the engine alive.
    pub(crate) events: mpsc::WeakSender<Event>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    permits: Arc<Semaphore>,
}

impl Performer {
    pub(crate) fn new(
        probing: watch::Receiver<Probing>,
        events: mpsc::WeakSender<Event>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self {
            probing,
            events,
            tasks,
            stop,
            permits: Arc::new(Semaphore::new(MAX_VALIDATIONS)),
        }
    }

    fn perform(&self, effects: Vec<Effect>) {
        for effect in effects {
            let ended = match effect {
                Effect::Validate(validation) => self.look(validation),
                Effect::Issue { order, after } => Box::pin(async move {
                    sleep(after).await;
                    Event::Due { order }
                }),
            };
            let events = self.events.clone();
            let stop = self.stop.clone();
            self.tasks.spawn(async move {
                let told = async {
                    let event = ended.await;
                    if let Some(events) = events.upgrade() {
                        // The engine is gone only when the CA stops.
                        let _ = events.send(event).await;
                    }
                };
                stop.run_until_cancelled(told).await;
            });
        }
    }

    fn look(&self, validation: Validation) -> futures_util::future::BoxFuture<'static, Event> {
        let permits = Arc::clone(&self.permits);
        let probing = self.probing.clone();
        Box::pin(async move {
            sleep(validation.delay).await;
            // The semaphore is never closed; without a permit the probe would only be early.
            let _permit = permits.acquire_owned().await;
            let probing = probing.borrow().clone();
            let outcome = validate(&probing, &validation).await;
            Event::Concluded {
                validation,
                outcome,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::authority::{Authority, Keyring};
    use crate::core::Policy;
    use crate::timestamp::Timestamp;

    #[tokio::test]
    async fn what_cannot_be_kept_is_not_answered() {
        let now = Timestamp::from_unix(1_800_000_000);
        let keyring = Keyring::generate(now, &mut SystemEntropy).unwrap();
        let policy = Policy {
            base_url: "https://ca.example".into(),
            certificate_validity: Duration::from_secs(60),
            order_lifetime: Duration::from_secs(60),
            issue_delay: Duration::ZERO,
        };
        // An order under way: the engine takes it up at once, and must write what became of it.
        let order = json!({ "order": {
            "id": "o", "account": "a", "names": ["a.example"], "authorizations": [],
            "created": 0, "expires": 0, "finalizations": 1,
            "stage": { "processing": { "since": 0, "key": { "spki": "", "rsa": false } } },
        }});
        let record: Record = serde_json::from_value(order).unwrap();
        let (sender, events) = mpsc::channel(QUEUE);
        let (_probing, watched) = watch::channel(Probing::loopback(1, 1));
        let performer = Performer::new(
            watched,
            sender.downgrade(),
            TaskTracker::new(),
            CancellationToken::new(),
        );
        let engine = Engine {
            core: SharedCore::new(Core::new(
                policy,
                Authority::open(&keyring).unwrap(),
                [record],
            )),
            journal: Some(Journal::on_full_disk()),
            clocks: Clocks::new(Arc::new(move || now.as_unix()), None),
            events,
            performer,
        };
        let ended = tokio::time::timeout(Duration::from_secs(10), engine.run()).await;
        assert!(ended.is_ok());
        assert!(sender.is_closed());
    }
}
