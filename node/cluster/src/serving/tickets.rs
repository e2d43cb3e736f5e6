//! The secret that all nodes seal session tickets with, so that what one has begun another
//! resumes.
//!
//! It lives in memory only. Nodes ask each other for it over their links, and each steps it
//! on by the clock; when the cluster's serving data key changes, as it does after a member
//! was removed, a new one begins. Without one, and with another than a ticket's, there is a
//! full handshake and no error.

mod lineage;
mod plan;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use proto::peer::v1::{self as wire, serving_client::ServingClient};
use state::{KeyPurpose, NodeId, State, TicketSecrets, Timestamp};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

pub(super) use self::lineage::Name;
use self::{
    lineage::Lineage,
    plan::{Sight, Step},
};
use super::Serving;
use crate::{entropy::Entropy, peer::Channels};

/// How often a node looks whether there is anything to do: as often as reports come.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Longest question to a member.
const ASK_MAX: Duration = Duration::from_secs(1);

/// After a question in vain. Whoever was asked may have no more than an epoch that is far
/// from ours.
const ASK_PAUSE: Duration = Duration::from_secs(1);

/// Bytes of an answer; ours have 80.
const ANSWER_MAX: usize = 1024;

/// This node's secret, if it has one.
pub(super) struct Tickets {
    lineage: Mutex<Option<Lineage>>,
    secrets: watch::Sender<Option<Arc<TicketSecrets>>>,
    entropy: Arc<dyn Entropy>,
}

impl Tickets {
    pub(super) fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            lineage: Mutex::default(),
            secrets: watch::Sender::new(None),
            entropy,
        }
    }

    /// Which one it has.
    pub(super) fn name(&self) -> Option<Name> {
        self.lineage().as_ref().map(|lineage| lineage.name)
    }

    /// For a member that asks for that generation.
    pub(super) fn share(&self, generation: u32) -> wire::ShareTicketSecretReply {
        let lineage = self.lineage();
        let asked = lineage
            .as_ref()
            .filter(|lineage| lineage.name.generation == generation);
        asked.map(Lineage::message).unwrap_or_default()
    }

    /// Steps on to `now`, or gives up what is of another generation or time.
    fn advance(&self, generation: Option<u32>, now: Timestamp) {
        let mut lineage = self.lineage();
        let Some(held) = lineage.as_mut() else {
            return;
        };
        if Some(held.name.generation) != generation || held.advance(now).is_err() {
            tracing::info!(secret = ?held.name, "the secret of session tickets was given up");
            *lineage = None;
            self.secrets.send_replace(None);
            return;
        }
        let secrets = held.secrets(now);
        self.secrets.send_if_modified(|present| {
            let changed = present.as_deref() != Some(&secrets);
            if changed {
                *present = Some(Arc::new(secrets));
            }
            changed
        });
    }

    /// Takes one up, if it is of that generation, comes before what we have and can be used
    /// at `now`.
    fn take_up(&self, mut new: Lineage, generation: u32, now: Timestamp) -> bool {
        let mut lineage = self.lineage();
        let first = lineage.as_ref().is_none_or(|held| new.name < held.name);
        if new.name.generation != generation || !first || new.advance(now).is_err() {
            return false;
        }
        tracing::info!(secret = ?new.name, "session tickets have a secret");
        let secrets = Arc::new(new.secrets(now));
        *lineage = Some(new);
        self.secrets.send_replace(Some(secrets));
        true
    }

    fn lineage(&self) -> MutexGuard<'_, Option<Lineage>> {
        // Every change is a single step.
        self.lineage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a node remembers between two looks.
struct Keeping {
    generation: Option<u32>,
    /// Since when it has no secret of that generation.
    without_since: Option<Instant>,
    attempts: usize,
    ask_at: Instant,
}

impl Serving {
    /// What session tickets are sealed with; absent while this node has nothing.
    pub fn ticket_secrets(&self) -> watch::Receiver<Option<Arc<TicketSecrets>>> {
        self.tickets.secrets.subscribe()
    }

    /// Keeps this node's secret of session tickets until the state's source is gone. The
    /// roster must follow it already.
    pub async fn keep_tickets(self: Arc<Self>, links: Arc<dyn Channels>) {
        let Some(mut states) = self.roster.changes() else {
            return;
        };
        let mut keeping = Keeping {
            generation: None,
            without_since: None,
            attempts: 0,
            ask_at: Instant::now(),
        };
        loop {
            let state = states.borrow_and_update().clone();
            let generation = generation(&state);
            // What another generation makes of it is seen at once.
            let changed = states.wait_for(|state| self::generation(state) != generation);
            tokio::select! {
                biased;
                changed = changed => if changed.is_err() { return },
                () = self.look(&mut keeping, &state, generation, &links) => {}
            }
        }
    }

    /// Looks once, does what there is to do, and rests.
    async fn look(
        &self,
        keeping: &mut Keeping,
        state: &State,
        generation: Option<u32>,
        links: &Arc<dyn Channels>,
    ) {
        self.tickets.advance(generation, self.clock.now());
        if let Some(generation) = generation {
            match self.next_step(keeping, state, generation) {
                Step::Rest => {}
                Step::Make => {
                    let now = self.clock.now();
                    let made = Lineage::begin(generation, now, &*self.tickets.entropy);
                    self.tickets.take_up(made, generation, now);
                }
                Step::Ask(_) if Instant::now() < keeping.ask_at => {}
                Step::Ask(node) => {
                    if self.ask(node, generation, links).await {
                        keeping.attempts = 0;
                    } else {
                        keeping.attempts += 1;
                        keeping.ask_at = Instant::now() + ASK_PAUSE;
                    }
                }
            }
        }
        sleep(LOOK_EVERY).await;
    }

    fn next_step(&self, keeping: &mut Keeping, state: &State, generation: u32) -> Step {
        let (own, now) = (self.tickets.name(), Instant::now());
        if own.is_some() || keeping.generation != Some(generation) {
            keeping.generation = Some(generation);
            keeping.without_since = None;
        }
        let without = now - *keeping.without_since.get_or_insert(now);
        let me = self.roster.me();
        let sight = Sight {
            me,
            generation,
            own,
            without,
            heard: self.table().tickets(now),
            others: state.members().filter(|member| member.id != me).count(),
            attempts: keeping.attempts,
        };
        sight.step()
    }

    /// True if the member has given a secret that was taken up.
    async fn ask(&self, node: NodeId, generation: u32, links: &Arc<dyn Channels>) -> bool {
        let request = wire::ShareTicketSecretRequest {
            envelope: Some(self.envelope(node)),
            generation,
        };
        let mut client =
            ServingClient::new(links.clone().channel(node)).max_decoding_message_size(ANSWER_MAX);
        let answer = match timeout(ASK_MAX, client.share_ticket_secret(request)).await {
            Ok(Ok(answer)) => Lineage::read(answer.get_ref()),
            Ok(Err(status)) => {
                tracing::debug!(%node, error = status.message(), "no secret of session tickets");
                None
            }
            Err(_) => None,
        };
        answer.is_some_and(|lineage| self.tickets.take_up(lineage, generation, self.clock.now()))
    }
}

/// Of the serving data key, which changes when a member is removed.
fn generation(state: &State) -> Option<u32> {
    let key = state.current_data_key(KeyPurpose::Serving)?;
    Some(key.generation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    fn tickets() -> Tickets {
        Tickets::new(Arc::new(SystemEntropy))
    }

    fn present(tickets: &Tickets) -> Option<Arc<TicketSecrets>> {
        tickets.secrets.borrow().clone()
    }

    fn gives(from: &Tickets, to: &Tickets, now: Timestamp) -> bool {
        let given = Lineage::read(&from.share(1));
        given.is_some_and(|lineage| to.take_up(lineage, 1, now))
    }

    #[test]
    fn a_clock_that_was_ahead_for_a_while_loses_nothing_for_good() {
        let (one, other) = (tickets(), tickets());
        let now = Timestamp::from_secs(1_800_000_000);
        let ahead = now.plus(Duration::from_secs(10 * 365 * 86_400));
        assert!(one.take_up(Lineage::begin(1, now, &SystemEntropy), 1, now));
        assert!(gives(&one, &other, now));
        let before = present(&one);
        assert_eq!(present(&other), before);

        other.advance(Some(1), ahead);
        assert_ne!(present(&other), before);
        let third = tickets();
        assert!(!gives(&other, &third, now), "it has no way back to now");
        assert!(!gives(&one, &other, ahead), "it has that already");

        other.advance(Some(1), now);
        assert_eq!((present(&other), other.name()), (None, None));
        assert!(gives(&one, &other, now));
        assert_eq!(present(&other), before);
    }

    #[test]
    fn another_generation_ends_it_at_once_and_is_not_given_for_it() {
        let tickets = tickets();
        let now = Timestamp::from_secs(1_800_000_000);
        let old = Lineage::begin(1, now, &SystemEntropy);
        assert!(tickets.take_up(old.clone(), 1, now));
        assert_eq!(tickets.share(2), wire::ShareTicketSecretReply::default());
        tickets.advance(Some(2), now);
        assert_eq!((present(&tickets), tickets.name()), (None, None));
        assert!(!tickets.take_up(old, 2, now));
    }
}
