//! Outcomes, as they travel back to whoever asked.

use state::{
    Done, Index, InvitationId, LimitKind, NodeId, OperatorId, OrderId, Outcome, Refusal, Stage,
    Term, Timestamp, codec, outcome::Kind,
};

use crate::{complete, frozen, none_lost, variants};

variants!(DONE, done_name, Done, {
    Done::Nothing => "nothing",
    Done::Unchanged => "unchanged",
    Done::Node(_) => "node",
    Done::Operator(_) => "operator",
    Done::Invitation(_) => "invitation",
    Done::Order(_) => "order",
});

variants!(REFUSALS, refusal_name, Refusal, {
    Refusal::StaleTerm { .. } => "stale-term",
    Refusal::NotFound(_) => "not-found",
    Refusal::AlreadyExists(_) => "already-exists",
    Refusal::RevisionMismatch { .. } => "revision-mismatch",
    Refusal::AlreadyFounded => "already-founded",
    Refusal::NotFounded => "not-founded",
    Refusal::InvitationExpired => "invitation-expired",
    Refusal::InvitationRevoked => "invitation-revoked",
    Refusal::InvitationSpent => "invitation-spent",
    Refusal::InvitationRole => "invitation-role",
    Refusal::MemberTaken(_) => "member-taken",
    Refusal::LastMember => "last-member",
    Refusal::StillInRaft => "still-in-raft",
    Refusal::Busy => "busy",
    Refusal::NotDue => "not-due",
    Refusal::ClaimChanged => "claim-changed",
    Refusal::WrongStage(_) => "wrong-stage",
    Refusal::MayBeIssued => "may-be-issued",
    Refusal::WrongGeneration => "wrong-generation",
    Refusal::AccountState => "account-state",
    Refusal::Paused => "paused",
    Refusal::Restoring => "restoring",
    Refusal::Quarantined => "quarantined",
    Refusal::OtherCluster => "other-cluster",
    Refusal::Unproven => "unproven",
    Refusal::Limited { .. } => "limited",
    Refusal::OtherTenant(_) => "other-tenant",
    Refusal::InUse(_) => "in-use",
    Refusal::Unfit(_) => "unfit",
    Refusal::TooMany(_) => "too-many",
});

variants!(KINDS, kind_name, Kind, {
    Kind::Hostname => "hostname",
    Kind::Member => "member",
    Kind::Invitation => "invitation",
    Kind::Order => "order",
    Kind::Operator => "operator",
    Kind::Certificate => "certificate",
    Kind::DataKey => "data-key",
    Kind::Ca => "ca",
    Kind::Contest => "contest",
    Kind::Limit => "limit",
    Kind::Request => "request",
});

#[test]
fn outcomes_are_read_as_they_were_written() {
    let samples = samples();
    for (name, outcome) in &samples {
        let written = codec::outcome_to(outcome);
        let bytes = frozen(&format!("outcome.{name}.bin"), &written);
        assert_eq!(written, bytes, "{name} is written otherwise now");
        assert_eq!(codec::outcome_from(&bytes).as_ref(), Ok(outcome), "{name}");
    }
    let names = samples
        .iter()
        .map(|(name, _)| format!("outcome.{name}.bin"));
    none_lost("outcome.", names);
}

fn samples() -> Vec<(String, Outcome)> {
    let done = [
        Done::Nothing,
        Done::Unchanged,
        Done::Node(NodeId(1)),
        Done::Operator(OperatorId(2)),
        Done::Invitation(InvitationId(3)),
        Done::Order(OrderId(4)),
    ];
    complete(DONE, done.iter().map(done_name));
    let done = done.map(|done| (done_name(&done).to_owned(), Outcome::Done(done)));
    done.into_iter().chain(refusals()).collect()
}

fn refusals() -> Vec<(String, Outcome)> {
    let plain = [
        Refusal::StaleTerm { now: Term(5) },
        Refusal::RevisionMismatch { current: Index(6) },
        Refusal::AlreadyFounded,
        Refusal::NotFounded,
        Refusal::InvitationExpired,
        Refusal::InvitationRevoked,
        Refusal::InvitationSpent,
        Refusal::InvitationRole,
        Refusal::LastMember,
        Refusal::StillInRaft,
        Refusal::Busy,
        Refusal::NotDue,
        Refusal::ClaimChanged,
        Refusal::MayBeIssued,
        Refusal::WrongGeneration,
        Refusal::AccountState,
        Refusal::Paused,
        Refusal::Restoring,
        Refusal::Quarantined,
        Refusal::OtherCluster,
        Refusal::Unproven,
        Refusal::OtherTenant("org_1:cust.2".parse().unwrap()),
        Refusal::InUse("orders are in flight there".to_owned()),
        Refusal::Unfit("it was uploaded".to_owned()),
    ];
    let mut samples: Vec<(String, Refusal)> = plain
        .into_iter()
        .map(|refusal| (String::new(), refusal))
        .collect();
    for kind in Kind::ALL {
        let name = kind_name(&kind);
        samples.push((format!(".{name}"), Refusal::NotFound(kind)));
        samples.push((format!(".{name}"), Refusal::AlreadyExists(kind)));
        samples.push((format!(".{name}"), Refusal::TooMany(kind)));
    }
    complete(KINDS, Kind::ALL.iter().map(kind_name));
    for limit in LimitKind::ALL {
        let until = Timestamp(7);
        samples.push((format!(".{limit}"), Refusal::Limited { limit, until }));
    }
    for what in ["name", "key", "machine"] {
        samples.push((format!(".{what}"), Refusal::MemberTaken(what)));
    }
    for stage in stages() {
        let stage = stage.as_str();
        samples.push((format!(".{stage}"), Refusal::WrongStage(stage)));
    }
    complete(
        REFUSALS,
        samples.iter().map(|(_, refusal)| refusal_name(refusal)),
    );
    let named = |(which, refusal): (String, Refusal)| {
        let name = format!("refused.{}{which}", refusal_name(&refusal));
        (name, Outcome::Refused(refusal))
    };
    samples.into_iter().map(named).collect()
}

/// One of each stage; the match in `records.rs` keeps the list whole.
fn stages() -> Vec<Stage> {
    crate::records::stages()
}
