//! Each published state holds what was acknowledged up to its index (I2, durability),
//! and nothing that was not asked for, was refused, or was certainly not proposed
//! (I3, no phantom). Calls whose outcome is unknown may have happened or not.
//!
//! Every call names itself in what it changes, so that each record names its call.

use std::collections::BTreeSet;

use state::{Actor, Hostname, Index, Invitation, State};

use super::Invariant;
use crate::events::{Event, What};
use crate::operation::{Op, Operation};
use crate::oracle::{Oracle, Promise};

/// See the module.
#[derive(Debug)]
pub(super) struct Acknowledged;

impl Invariant for Acknowledged {
    fn name(&self) -> &'static str {
        "what was acknowledged is there, and nothing else"
    }

    fn check(&mut self, event: &Event, oracle: &Oracle) -> Result<(), String> {
        let What::Applied { node, state, .. } = &event.what else {
            return Ok(());
        };
        let found = hostnames_were_asked_for(state, oracle)
            .and_then(|()| invitations_were_asked_for(state, oracle))
            .and_then(|()| origin_was_asked_for(state, oracle))
            .and_then(|()| hostnames_are_there(state, oracle))
            .and_then(|()| other_promises_are_kept(state, oracle));
        found.map_err(|what| format!("node {node} at index {}: {what}", state.index()))
    }
}

/// The call that `op` names, if it may stand behind what was found.
fn cause<'a>(
    oracle: &'a Oracle,
    op: Option<Op>,
    found: &str,
    asks: impl Fn(&Operation) -> bool,
) -> Result<(Op, &'a Promise), String> {
    let named = op.and_then(|op| Some((op, oracle.promise(op)?)));
    let (op, promise) = named.ok_or_else(|| format!("{found}, which nobody asked for"))?;
    if !asks(&promise.operation) {
        return Err(format!("{found} by {op}, which asked something else"));
    }
    if !promise.may_have_happened() {
        return Err(format!(
            "{found} by {op}, which was told that it did not happen"
        ));
    }
    Ok((op, promise))
}

fn hostnames_were_asked_for(state: &State, oracle: &Oracle) -> Result<(), String> {
    for (name, record) in state.hostnames() {
        let op = Op::of_actor(&record.authorized_by);
        let found = format!("{name} is authorized");
        let asks = |operation: &Operation| matches!(operation, Operation::Authorize(asked) if asked == name);
        let (op, promise) = cause(oracle, op, &found, asks)?;
        if promise.done_at().is_some_and(|at| at != record.claim) {
            return Err(format!(
                "{found} by {op} at {}, not where it was told",
                record.claim
            ));
        }
    }
    Ok(())
}

fn invitations_were_asked_for(state: &State, oracle: &Oracle) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let drawn = state
        .invitations()
        .filter(|invitation| invitation.created_by != Actor::socket());
    for invitation in drawn {
        let found = format!("invitation {} stands", invitation.id);
        let asks = |operation: &Operation| *operation == Operation::Invite(invitation.role);
        let (op, _) = cause(oracle, creator(invitation), &found, asks)?;
        if !seen.insert(op) {
            return Err(format!("{found} by {op}, which made another already"));
        }
        let revoked = oracle.promises().any(|(_, promise)| {
            promise.operation == Operation::Revoke(invitation.id) && promise.may_have_happened()
        });
        if invitation.revoked && !revoked {
            return Err(format!(
                "invitation {} is revoked, which nobody asked for",
                invitation.id
            ));
        }
    }
    Ok(())
}

fn creator(invitation: &Invitation) -> Option<Op> {
    Op::of_actor(invitation.created_by.as_str())
}

fn origin_was_asked_for(state: &State, oracle: &Oracle) -> Result<(), String> {
    let Some(origin) = &state.zone().origin else {
        return Ok(());
    };
    let found = format!("the origin is {origin}");
    let asks = |operation: &Operation| *operation == Operation::SetOrigin;
    let (op, promise) = cause(oracle, Op::of_origin(origin), &found, asks)?;
    if promise
        .done_at()
        .is_some_and(|at| at != state.zone().revision)
    {
        return Err(format!(
            "{found} by {op} at {}, not where it was told",
            state.zone().revision
        ));
    }
    Ok(())
}

fn hostnames_are_there(state: &State, oracle: &Oracle) -> Result<(), String> {
    for (name, calls) in oracle.hostnames() {
        hostname_is_there(state, name, &calls)?;
    }
    Ok(())
}

/// The last acknowledged change of a hostname is there, unless a later one undid it.
fn hostname_is_there(
    state: &State,
    name: &Hostname,
    calls: &[(Op, &Promise)],
) -> Result<(), String> {
    let removes = |promise: &Promise| matches!(promise.operation, Operation::Remove(_));
    let done = |removal: bool| {
        let calls = calls
            .iter()
            .filter(move |(_, promise)| removes(promise) == removal);
        let done = calls.filter_map(|(op, promise)| Some((promise.done_at()?, *op)));
        done.filter(|(at, _)| *at <= state.index()).max()
    };
    let claim = state.hostname(name.as_str()).map(|record| record.claim);
    if let (Some((at, op)), Some(claim)) = (done(true), claim)
        && claim < at
    {
        return Err(format!(
            "{op} removed {name} at {at}, but it is authorized since {claim}"
        ));
    }
    let Some((at, op)) = done(false) else {
        return Ok(());
    };
    if claim.is_some_and(|claim| claim >= at) {
        return Ok(());
    }
    let undone = |(_, promise): &(Op, &Promise)| {
        removes(promise)
            && promise.may_have_happened()
            && promise.done_at().is_none_or(|removed| removed >= at)
    };
    if claim.is_none() && calls.iter().any(undone) {
        return Ok(());
    }
    Err(format!("{op} authorized {name} at {at}, and it is lost"))
}

fn other_promises_are_kept(state: &State, oracle: &Oracle) -> Result<(), String> {
    for (op, promise) in oracle.promises() {
        let Some(at) = promise.done_at().filter(|at| *at <= state.index()) else {
            continue;
        };
        let kept = match &promise.operation {
            Operation::SetOrigin => origin_is_there(state, at),
            Operation::Invite(_) => state
                .invitations()
                .any(|invitation| creator(invitation) == Some(*op)),
            Operation::Revoke(id) => state
                .invitation(*id)
                .is_some_and(|invitation| invitation.revoked),
            _ => true,
        };
        if !kept {
            return Err(format!(
                "{op} was acknowledged at {at} ({}), and it is lost",
                promise.operation
            ));
        }
    }
    Ok(())
}

/// Whether an origin set at `at`, or a later one, stands.
fn origin_is_there(state: &State, at: Index) -> bool {
    state.zone().revision >= at
}

#[cfg(test)]
mod tests {
    use state::{Index, InvitationId};

    use super::Acknowledged;
    use crate::events::What;
    use crate::invariants::sample::{
        INVITE, answered, applied, asked, authorize, check, done, remove, state, violates,
    };
    use crate::operation::{Answer, Operation};

    const NAME: &str = "a.example";

    fn good(events: Vec<What>) {
        check(Acknowledged, events).unwrap();
    }

    fn bad(events: Vec<What>, words: &str) {
        violates(Acknowledged, events, words);
    }

    #[test]
    fn acknowledged_writes_are_found_or_not_reached_yet() {
        let events = vec![
            asked(1, authorize(NAME)),
            asked(2, INVITE),
            asked(3, Operation::SetOrigin),
            done(1, 5),
            done(2, 6),
            done(3, 7),
            applied(1, &state(&[])),
            applied(1, &state(&[(1, 5, authorize(NAME))])),
            applied(
                2,
                &state(&[
                    (1, 5, authorize(NAME)),
                    (2, 6, INVITE),
                    (3, 7, Operation::SetOrigin),
                ]),
            ),
        ];
        good(events);
    }

    #[test]
    fn unknown_outcomes_may_be_either() {
        let unknown = |op| answered(op, Answer::Unknown);
        let begun = [asked(1, authorize(NAME)), unknown(1), asked(2, INVITE)];
        let with = |state| begun.iter().cloned().chain([applied(1, &state)]).collect();
        good(with(state(&[])));
        good(with(state(&[(1, 5, authorize(NAME)), (2, 6, INVITE)])));
        let mut removed = vec![
            asked(1, authorize(NAME)),
            done(1, 5),
            asked(2, remove(NAME)),
            unknown(2),
        ];
        removed.push(applied(1, &state(&[(1, 5, authorize(NAME))])));
        removed.push(applied(
            1,
            &state(&[(1, 5, authorize(NAME)), (2, 6, remove(NAME))]),
        ));
        good(removed);
    }

    #[test]
    fn a_lost_authorization_is_seen() {
        let lost = state(&[(2, 6, INVITE)]);
        let events = vec![
            asked(1, authorize(NAME)),
            asked(2, INVITE),
            done(1, 5),
            applied(3, &lost),
        ];
        bad(
            events,
            "node 3 at index 6: op-1 authorized a.example at 5, and it is lost",
        );
    }

    #[test]
    fn a_lost_removal_is_seen() {
        let events = vec![
            asked(1, authorize(NAME)),
            asked(2, remove(NAME)),
            asked(3, INVITE),
            done(1, 5),
            done(2, 6),
            applied(1, &state(&[(1, 5, authorize(NAME)), (3, 7, INVITE)])),
        ];
        bad(
            events,
            "op-2 removed a.example at 6, but it is authorized since 5",
        );
    }

    #[test]
    fn a_removal_before_the_authorization_does_not_excuse_its_loss() {
        let events = vec![
            asked(1, authorize(NAME)),
            asked(2, remove(NAME)),
            asked(3, authorize(NAME)),
            done(1, 5),
            done(2, 6),
            done(3, 7),
            asked(4, INVITE),
            applied(
                1,
                &state(&[
                    (1, 5, authorize(NAME)),
                    (2, 6, remove(NAME)),
                    (4, 8, INVITE),
                ]),
            ),
        ];
        bad(events, "op-3 authorized a.example at 7, and it is lost");
    }

    #[test]
    fn other_lost_writes_are_seen() {
        for (operation, words) in [
            (INVITE, "invite viewer"),
            (Operation::SetOrigin, "set-origin"),
        ] {
            let later = state(&[(2, 6, authorize(NAME))]);
            let events = vec![
                asked(1, operation),
                asked(2, authorize(NAME)),
                done(1, 5),
                applied(1, &later),
            ];
            bad(events, words);
        }
        let id = InvitationId(1);
        let standing = state(&[(1, 5, INVITE), (3, 7, authorize(NAME))]);
        let events = vec![
            asked(1, INVITE),
            asked(2, Operation::Revoke(id)),
            asked(3, authorize(NAME)),
            done(2, 6),
            applied(1, &standing),
        ];
        bad(events, "revoke 1");
    }

    #[test]
    fn phantoms_are_seen() {
        let there = state(&[(1, 5, authorize(NAME))]);
        bad(vec![applied(1, &there)], "which nobody asked for");
        bad(
            vec![asked(1, authorize("b.example")), applied(1, &there)],
            "which asked something else",
        );
        let told = answered(1, Answer::NotProposed("no leader"));
        bad(
            vec![asked(1, authorize(NAME)), told, applied(1, &there)],
            "told that it did not happen",
        );
        bad(
            vec![asked(1, authorize(NAME)), done(1, 4), applied(1, &there)],
            "at 5, not where it was told",
        );
        bad(
            vec![applied(1, &state(&[(1, 5, INVITE)]))],
            "invitation 1 stands, which nobody asked for",
        );
        bad(
            vec![applied(1, &state(&[(1, 5, Operation::SetOrigin)]))],
            "the origin is",
        );
        let revoked = state(&[(1, 5, INVITE), (2, 6, Operation::Revoke(InvitationId(1)))]);
        bad(
            vec![asked(1, INVITE), applied(1, &revoked)],
            "is revoked, which nobody asked for",
        );
    }

    #[test]
    fn a_call_that_took_effect_twice_is_seen() {
        let twice = state(&[(1, 5, INVITE), (1, 6, INVITE)]);
        assert_eq!(twice.index(), Index(6));
        bad(
            vec![asked(1, INVITE), applied(1, &twice)],
            "which made another already",
        );
    }
}
