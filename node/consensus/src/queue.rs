//! The coalescer: what waits is proposed as one entry.
//!
//! openraft appends each proposal alone and waits for its flush, so 200 concurrent
//! writes would cost 200 flushes. Here they wait in a bounded queue, and whatever is
//! there goes into the log as one [`Batch`], each member with its own outcome. Only the
//! leader's queue proposes, and it stamps the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openraft::error::ClientWriteError;
use openraft::raft::ClientWriteResult;
use state::ports::{Applied, Leadership, ProposeError};
use state::{Actor, Batch, Change, Command, Index, NodeId, Term, codec};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::run::Shared;
use crate::types::{Proposal, TypeConfig};

/// Most proposals waiting: at some thousands a second a full queue is a second old,
/// and who waits longer would rather be told.
const MAX_WAITING: usize = 4096;

/// Most bytes waiting.
const MAX_WAITING_BYTES: usize = 16 * 1024 * 1024;

/// One entry is closed when it holds this many bytes: replication sends 1 MiB at once
/// and an append must be done within a heartbeat.
const MAX_ENTRY_BYTES: usize = 256 * 1024;

/// Or this many commands.
const MAX_ENTRY_COMMANDS: usize = 512;

/// Entries in flight: one is being flushed here while the one before travels.
pub(crate) const MAX_IN_FLIGHT: u32 = 2;

type Answer = Result<Applied, ProposeError>;

/// A proposal that waits.
pub(crate) struct Waiting {
    actor: Actor,
    duty: Option<Term>,
    change: Change,
    bytes: usize,
    /// Set before it is proposed: who gives up before that knows that it never was.
    taken: Arc<AtomicBool>,
    answer: oneshot::Sender<Answer>,
    room: OwnedSemaphorePermit,
}

/// The queue's end for proposers.
pub(crate) struct Queue {
    waiting: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

impl Queue {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Waiting>) {
        let (waiting, queue) = mpsc::channel(MAX_WAITING);
        (
            Self {
                waiting,
                room: Arc::new(Semaphore::new(MAX_WAITING_BYTES)),
            },
            queue,
        )
    }

    /// Proposes at this node, which must lead. Waits until `deadline`.
    pub(crate) async fn submit(
        &self,
        actor: Actor,
        duty: Option<Term>,
        change: Change,
        deadline: Instant,
    ) -> Answer {
        let bytes = codec::proposal_to(&actor, &change).len();
        let permits = u32::try_from(bytes).map_err(|_| ProposeError::Overloaded)?;
        let room = Arc::clone(&self.room)
            .try_acquire_many_owned(permits)
            .map_err(|_| ProposeError::Overloaded)?;
        let taken = Arc::new(AtomicBool::new(false));
        let (answer, mut answered) = oneshot::channel();
        let waiting = Waiting {
            actor,
            duty,
            change,
            bytes,
            taken: Arc::clone(&taken),
            answer,
            room,
        };
        self.waiting
            .try_send(waiting)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => ProposeError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => {
                    ProposeError::Stopped("its queue is closed".into())
                }
            })?;
        match timeout_at(deadline, &mut answered).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(_)) => {}
            Err(_) => {
                answered.close();
                if let Ok(answer) = answered.try_recv() {
                    return answer;
                }
            }
        }
        Err(if taken.load(Ordering::SeqCst) {
            ProposeError::Unknown
        } else {
            ProposeError::NoLeader
        })
    }
}

/// The one loop that proposes, until the replica ends.
pub(crate) async fn run(shared: Arc<Shared>, mut queue: mpsc::Receiver<Waiting>) {
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(first) => first,
            None => tokio::select! {
                first = queue.recv() => match first {
                    Some(first) => first,
                    None => return,
                },
                _ = shared.fence.tripped() => return,
            },
        };
        let flight = tokio::select! {
            flight = fly(&shared) => flight,
            // What waits is answered by being dropped.
            _ = shared.fence.tripped() => return,
        };
        let (group, left) = gather(first, &mut queue);
        next = left;
        let leadership = *shared.outward.leadership.borrow();
        let Some(group) = admit(leadership, group) else {
            continue;
        };
        propose(&shared, leadership, group, flight).await;
    }
}

/// Waits for a place in flight, and while leadership is being handed over; not when
/// this node leads no more, for then all that waits is to be told so.
async fn fly(shared: &Shared) -> Option<OwnedSemaphorePermit> {
    let mut leadership = shared.outward.leadership.subscribe();
    tokio::select! {
        place = place(shared) => place,
        _ = leadership.wait_for(|now| !matches!(now, Leadership::Leading(_))) => None,
    }
}

/// A handover that begins while a place is waited for waits for all places itself: the
/// place is given back then.
async fn place(shared: &Shared) -> Option<OwnedSemaphorePermit> {
    let mut paused = shared.paused.subscribe();
    loop {
        // Neither is closed before the replica ends.
        let _ = paused.wait_for(|paused| !*paused).await;
        let place = Arc::clone(&shared.flights).acquire_owned().await.ok();
        if !*shared.paused.borrow() {
            return place;
        }
    }
}

/// `first` and what else waits, as far as it fits; and the one that did not.
fn gather(first: Waiting, queue: &mut mpsc::Receiver<Waiting>) -> (Vec<Waiting>, Option<Waiting>) {
    let mut bytes = first.bytes;
    let mut group = vec![first];
    while group.len() < MAX_ENTRY_COMMANDS {
        let Ok(waiting) = queue.try_recv() else { break };
        if bytes + waiting.bytes > MAX_ENTRY_BYTES {
            return (group, Some(waiting));
        }
        bytes += waiting.bytes;
        group.push(waiting);
    }
    (group, None)
}

/// Those that may be proposed now; the others are answered.
fn admit(leadership: Leadership, group: Vec<Waiting>) -> Option<Vec<Waiting>> {
    let mut admitted = Vec::with_capacity(group.len());
    for waiting in group {
        let refused = match leadership {
            Leadership::Leading(term) if waiting.duty.is_none_or(|duty| duty == term) => None,
            Leadership::Leading(_) => Some(ProposeError::NotLeader(None)),
            Leadership::Following { leader, .. } => Some(ProposeError::NotLeader(leader)),
            Leadership::Stopped => Some(ProposeError::Stopped("it has ended".into())),
        };
        if let Some(refused) = refused {
            let _ = waiting.answer.send(Err(refused));
            continue;
        }
        waiting.taken.store(true, Ordering::SeqCst);
        if !waiting.answer.is_closed() {
            admitted.push(waiting);
        }
    }
    (!admitted.is_empty()).then_some(admitted)
}

/// Proposes `group` as one entry, in the order of the calls; a task of its own waits
/// for what becomes of it and answers.
async fn propose(
    shared: &Shared,
    leadership: Leadership,
    group: Vec<Waiting>,
    flight: Option<OwnedSemaphorePermit>,
) {
    let at = shared.clock.now();
    let mut commands = Vec::with_capacity(group.len());
    let mut answers = Vec::with_capacity(group.len());
    for waiting in group {
        commands.push(Command {
            at,
            actor: waiting.actor,
            duty: waiting.duty,
            change: waiting.change,
        });
        answers.push((waiting.answer, waiting.room));
    }
    let entry = codec::batch_to(&Batch { commands });
    let (proposal, appended) = Proposal::new(entry.into());
    let written = shared.raft.client_write_ff(proposal).await;
    let fence = shared.fence.clone();
    let over = over(shared, leadership);
    let late = shared.config.answer_within;
    tokio::spawn(async move {
        let outcome = match written {
            Ok(mut written) => {
                let settled = tokio::select! {
                    written = &mut written => Some(settle(written, &appended)),
                    _ = fence.tripped() => Some(Err(ProposeError::Unknown)),
                    () = over => None,
                };
                drop(flight);
                match settled {
                    Some(settled) => settled,
                    None => timeout(late, written)
                        .await
                        .map_or(Err(ProposeError::Unknown), |written| {
                            settle(written, &appended)
                        }),
                }
            }
            Err(error) => Err(ProposeError::Stopped(error.to_string())),
        };
        answer(outcome, answers);
    });
}

/// Waits until this node leads no more as it does in `leadership`. What it proposed
/// then is not waited for without end: openraft never answers for an entry that a
/// snapshot of the next leader has passed over, and its place in flight would be
/// missing when this node leads again.
fn over(shared: &Shared, leadership: Leadership) -> impl Future<Output = ()> + use<> {
    let mut now = shared.outward.leadership.subscribe();
    async move {
        // It is not closed before the replica ends.
        let _ = now.wait_for(|now| *now != leadership).await;
    }
}

fn answer(
    outcome: Result<Vec<Applied>, ProposeError>,
    answers: Vec<(oneshot::Sender<Answer>, OwnedSemaphorePermit)>,
) {
    match outcome {
        Ok(applied) => {
            for (applied, (answer, _room)) in applied.into_iter().zip(answers) {
                let _ = answer.send(Ok(applied));
            }
        }
        Err(error) => {
            for (answer, _room) in answers {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
}

/// What each member of an entry is told.
fn settle<E>(
    written: Result<ClientWriteResult<TypeConfig>, E>,
    appended: &AtomicBool,
) -> Result<Vec<Applied>, ProposeError> {
    let leader = match written {
        Ok(Ok(response)) => {
            let index = Index(response.log_id.index);
            let outcomes = response.data.outcomes.into_iter();
            return Ok(outcomes.map(|outcome| Applied { index, outcome }).collect());
        }
        Ok(Err(ClientWriteError::ForwardToLeader(forward))) => forward.leader_id.map(NodeId),
        Ok(Err(ClientWriteError::ChangeMembershipError(_))) | Err(_) => None,
    };
    if appended.load(Ordering::Acquire) {
        // It stands in our log, and may in others'.
        Err(ProposeError::Unknown)
    } else {
        Err(ProposeError::NotLeader(leader))
    }
}
