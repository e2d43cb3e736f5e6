//! What must hold, checked at each event. One file each; each sees all events in
//! their order, and what clients were promised.

mod acknowledged;
mod agreement;
mod answered_in_time;
mod authorized_orders;
mod bounded;
mod challenge_visible;
mod committed;
mod fenced;
mod followed;
mod forgotten;
mod freshness;
mod kept_serving;
mod linearizable;
mod members_only;
mod membership;
mod monotonic;
mod one_certificate;
mod one_leader;
mod order_budget;
mod real_time;
mod served_is_issued;
mod single_actor;
mod tokens;

pub(crate) use answered_in_time::WITHIN;

use crate::events::Event;
use crate::oracle::Oracle;
use crate::scenario::Settings;

/// Something that must hold.
pub(crate) trait Invariant {
    /// Its name in reports.
    fn name(&self) -> &'static str;

    /// Takes an event in, which the oracle has noted already; says in what way it
    /// violates the invariant.
    fn check(&mut self, event: &Event, oracle: &Oracle) -> Result<(), String>;
}

/// All of them, at the beginning of a run.
pub(crate) fn all(settings: &Settings) -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(one_leader::OneLeader::default()),
        Box::new(agreement::Agreement::default()),
        Box::new(committed::Committed::default()),
        Box::new(followed::Followed::default()),
        Box::new(monotonic::Monotonic::default()),
        Box::new(acknowledged::Acknowledged),
        Box::new(real_time::RealTime),
        Box::new(answered_in_time::AnsweredInTime),
        Box::new(linearizable::Linearizable),
        Box::new(membership::Membership),
        Box::new(forgotten::Forgotten::default()),
        Box::new(members_only::MembersOnly::default()),
        Box::new(bounded::Bounded::default()),
        Box::new(tokens::Tokens::default()),
        Box::new(freshness::Freshness::default()),
        Box::new(kept_serving::KeptServing::default()),
        Box::new(fenced::Fenced::default()),
        Box::new(challenge_visible::ChallengeVisible::default()),
        Box::new(single_actor::SingleActor::default()),
        Box::new(served_is_issued::ServedIsIssued::default()),
        Box::new(authorized_orders::AuthorizedOrders::new(settings.proof)),
        Box::new(order_budget::OrderBudget::new(settings.orders)),
        Box::new(one_certificate::OneCertificate::new(settings.validity)),
    ]
}

/// Events as a test writes them down.
#[cfg(test)]
pub(crate) mod sample {
    use std::sync::Arc;

    use state::ports::{Applied, Leadership, Seal};
    use state::sealed::SealContext;
    use state::testing::{Alone, ManualClock, MaskSeal, START, found, host};
    use state::{
        Actor, Batch, Change, Command, Index, InvitationId, KeyPurpose, NodeId, Outcome, Refusal,
        Role, Sealed, State, Term, outcome::Done,
    };

    use super::Invariant;
    use crate::digest::Digest;
    use crate::events::{Event, What};
    use crate::founding::{invite, spend};
    use crate::operation::{Answer, Op, Operation};
    use crate::oracle::Oracle;

    /// What the invariant says of these events, each a millisecond after the other.
    pub(crate) fn check(mut invariant: impl Invariant, events: Vec<What>) -> Result<(), String> {
        let mut oracle = Oracle::default();
        for (tick, what) in (0..).zip(events) {
            let event = Event { tick, what };
            oracle.note(&event);
            invariant.check(&event, &oracle)?;
        }
        Ok(())
    }

    /// The events are a violation that is told in these words.
    #[track_caller]
    pub(crate) fn violates(invariant: impl Invariant, events: Vec<What>, words: &str) {
        let said = check(invariant, events).unwrap_err();
        assert!(said.contains(words), "{said}");
    }

    pub(crate) fn leads(node: u64, term: u64) -> What {
        What::Led {
            node: NodeId(node),
            leadership: Leadership::Leading(Term(term)),
        }
    }

    pub(crate) fn follows(node: u64, term: u64) -> What {
        What::Led {
            node: NodeId(node),
            leadership: Leadership::Following {
                term: Term(term),
                leader: None,
            },
        }
    }

    pub(crate) fn asked(op: u64, operation: Operation) -> What {
        What::Asked {
            op: Op(op),
            node: NodeId(1),
            operation,
        }
    }

    pub(crate) fn answered(op: u64, answer: Answer) -> What {
        What::Answered {
            op: Op(op),
            node: NodeId(1),
            answer,
        }
    }

    pub(crate) fn done(op: u64, index: u64) -> What {
        answered(
            op,
            Answer::Applied(Applied {
                index: Index(index),
                outcome: Outcome::Done(Done::Nothing),
            }),
        )
    }

    pub(crate) fn refused(op: u64, index: u64) -> What {
        answered(
            op,
            Answer::Applied(Applied {
                index: Index(index),
                outcome: Outcome::Refused(Refusal::InvitationSpent),
            }),
        )
    }

    fn key(name: &str) -> Sealed {
        let context = SealContext::CertificateKey(host(name));
        MaskSeal
            .seal(KeyPurpose::Serving, &context, b"key")
            .unwrap()
    }

    fn alone(name: &str) -> Alone {
        let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
        alone.authorize(name);
        alone
    }

    /// Node 1 alone takes part.
    pub(crate) fn voting(mut state: State) -> State {
        state.set_membership(state.index(), [NodeId(1)].into(), [].into());
        state
    }

    /// An order of `name` is admitted.
    pub(crate) fn admitted(name: &str) -> State {
        let alone = alone(name);
        alone.admit(Term(1), name, key(name));
        (*alone.state()).clone()
    }

    /// It is intended to be finalized; with the CA's id of it, and of its authorization.
    pub(crate) fn finalizing(name: &str) -> (String, State) {
        let alone = alone(name);
        let order = alone.prepare(Term(1), name, key(name), "token");
        alone.duty(Term(1), Change::IntendReady { order });
        alone.duty(Term(1), Change::IntendFinalize { order });
        (order.to_string(), (*alone.state()).clone())
    }

    /// It has a certificate, of that serial number.
    pub(crate) fn served(name: &str) -> (String, State) {
        let alone = alone(name);
        let leaf = b"leaf".as_slice().into();
        alone.install(Term(1), name, key(name), leaf, Vec::new());
        let state = (*alone.state()).clone();
        let certificate = state.certificates().next().unwrap();
        (certificate.serial_hex(), state)
    }

    pub(crate) fn applied(node: u64, state: &State) -> What {
        applied_by(node, state, Vec::new())
    }

    /// By these entries.
    pub(crate) fn applied_by(node: u64, state: &State, entries: Vec<(Index, Vec<u8>)>) -> What {
        What::Applied {
            node: NodeId(node),
            state: Arc::new(state.clone()),
            digest: Digest::of_state(state),
            entries,
        }
    }

    pub(crate) fn authorize(name: &str) -> Operation {
        Operation::Authorize(host(name))
    }

    pub(crate) fn remove(name: &str) -> Operation {
        Operation::Remove(host(name))
    }

    pub(crate) fn read(name: &str) -> Operation {
        Operation::Read(host(name))
    }

    pub(crate) const INVITE: Operation = Operation::Invite(Role::Viewer);

    /// A founded state (at index 1) in which these calls took effect, at an index each.
    pub(crate) fn state(calls: &[(u64, u64, Operation)]) -> State {
        let mut state = State::default();
        apply(
            &mut state,
            1,
            Actor::socket(),
            Change::Found(Box::new(found())),
        );
        for (op, index, operation) in calls {
            let change = operation.change(Op(*op)).unwrap();
            apply(&mut state, *index, Op(*op).actor(), change);
        }
        state
    }

    /// That node was a member, and was removed.
    pub(crate) fn without(node: u64) -> State {
        let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
        alone.apply(Actor::socket(), None, invite(node));
        alone.apply(Actor::socket(), None, spend(InvitationId(1), node));
        let node = NodeId(node);
        alone.apply(Actor::socket(), None, Change::RemoveNode { node });
        alone.duty(Term(1), Change::TakeOver { node: NodeId(1) });
        alone.duty(Term(1), Change::FinishRemoval { node });
        let removed = (*alone.state()).clone();
        assert!(removed.is_removed(node), "{:?}", alone.log());
        removed
    }

    /// What call `op` proposes.
    pub(crate) fn command(op: u64, operation: &Operation) -> Command {
        as_proposed(Op(op).actor(), operation.change(Op(op)).unwrap())
    }

    fn as_proposed(actor: Actor, change: Change) -> Command {
        Command {
            at: START,
            actor,
            duty: None,
            change,
        }
    }

    fn apply(state: &mut State, index: u64, actor: Actor, change: Change) {
        let (outcomes, _) = state.apply(
            Index(index),
            &Batch {
                commands: vec![as_proposed(actor, change)],
            },
        );
        assert!(matches!(outcomes[..], [Outcome::Done(_)]), "{outcomes:?}");
    }
}
