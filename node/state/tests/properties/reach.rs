//! The random histories are worth something: they reach what there is to reach.

use std::collections::BTreeSet;

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use state::{Change, Done, Outcome, Refusal, State};

use crate::history::{Entry, Plan, live, plan, plan_of_members};

/// How many histories are lived through.
const HISTORIES: usize = 400;

/// What must take effect at least once.
const DONE: [&str; 58] = [
    "admit-machine",
    "admit-node",
    "admit-operator",
    "admit-order",
    "ask-rotation",
    "authorize-hostname",
    "bind-external-account",
    "certify-node",
    "certify-operator",
    "commit-account-key",
    "confirm",
    "contest-hostname",
    "create-invitation",
    "create-request",
    "defer-hostname",
    "drop-data-key",
    "end-contest",
    "fail-order",
    "finish-removal",
    "finish-revocation",
    "finish-rollover",
    "forget-certificate",
    "forget-tombstone",
    "found",
    "install-certificate",
    "intend-finalize",
    "intend-order",
    "intend-ready",
    "observe-limit",
    "pause-issuance",
    "prepare-order",
    "put-ca",
    "raise-level",
    "record-contest",
    "record-ownership",
    "register-account",
    "reissue-certificates",
    "remove-ca",
    "remove-hostname",
    "remove-node",
    "renew-issuing",
    "resume-issuance",
    "reseal",
    "reseal-certificate",
    "revoke-certificate",
    "revoke-invitation",
    "roll-account-key",
    "rotate-data-key",
    "schedule-renewal",
    "set-origin",
    "set-wants",
    "set-zone",
    "share-data-key",
    "sweep-invitation",
    "take-over",
    "upload-certificate",
    // Parts of the above.
    "taken up again",
    "transferred",
];

/// With what a command must be refused at least once.
const REFUSED: [&str; 23] = [
    "AccountState",
    "AlreadyExists",
    "AlreadyFounded",
    "Busy",
    "ClaimChanged",
    "InUse",
    "InvitationExpired",
    "InvitationRevoked",
    "InvitationRole",
    "InvitationSpent",
    "LastMember",
    "Limited",
    "MayBeIssued",
    "MemberTaken",
    "NotDue",
    "NotFound",
    "OtherTenant",
    "Paused",
    "RevisionMismatch",
    "StaleTerm",
    "Unfit",
    "Unproven",
    "WrongStage",
];

#[test]
fn histories_reach_every_command_and_most_refusals() {
    let mut runner = TestRunner::deterministic();
    let (mut done, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for number in 0..HISTORIES {
        let plan = if number % 8 == 0 {
            drawn(&plan_of_members(), &mut runner)
        } else {
            drawn(&plan(), &mut runner)
        };
        for entry in live(&plan) {
            for (command, outcome) in entry.batch.commands.iter().zip(&entry.outcomes) {
                match outcome {
                    Outcome::Done(Done::Unchanged) => {}
                    Outcome::Done(_) => {
                        done.insert(command.change.name());
                        done.extend(part(&command.change, &entry));
                    }
                    Outcome::Refused(refusal) => {
                        refused.insert(kind(refusal));
                    }
                }
            }
        }
    }
    let missing = |all: &[&'static str], reached: &BTreeSet<&str>| {
        let missing = all.iter().filter(|name| !reached.contains(*name));
        missing.copied().collect::<Vec<_>>()
    };
    let refused = refused.iter().map(String::as_str).collect();
    assert_eq!(missing(&DONE, &done), [""; 0], "commands without effect");
    assert_eq!(missing(&REFUSED, &refused), [""; 0], "refusals never met");
}

fn drawn(plans: &impl Strategy<Value = Plan>, runner: &mut TestRunner) -> Plan {
    plans.new_tree(runner).expect("a plan").current()
}

/// What of a command is worth its own name.
fn part(change: &Change, entry: &Entry) -> Option<&'static str> {
    match change {
        Change::RecordContest {
            proven: Some(_), ..
        } => Some("transferred"),
        Change::RecordOwnership { hostname, .. } => {
            let served = |state: &State| {
                let record = state.hostname(hostname.as_str())?;
                record.certificates().next()
            };
            let again = served(&entry.before).is_none() && served(&entry.after).is_some();
            again.then_some("taken up again")
        }
        _ => None,
    }
}

/// Its variant's name.
fn kind(refusal: &Refusal) -> String {
    let text = format!("{refusal:?}");
    let end = text.find(|c: char| !c.is_alphanumeric());
    text[..end.unwrap_or(text.len())].to_owned()
}
