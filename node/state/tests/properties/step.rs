//! One step of a random history.

mod hostnames;
mod issuance;
mod secrets;

pub(crate) use issuance::limits;

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use state::{
    Actor, CaName, CertificateId, Change, Command, FeatureLevel, Hostname, InvitationId,
    IssuedCertificate, KeyPurpose, NodeId, OperatorId, OrderId, Registration, Role, Sealed, Stage,
    State, Tenant, Term, Timestamp,
    testing::{self, host},
};

/// A step before it meets a state: what to try, and four bytes to choose with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    what: What,
    which: u8,
    how: u8,
    /// Whose duty: the present leader's, mostly.
    term: Whose,
    /// How much later than the step before.
    wait: Wait,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Found,
    TakeOver,
    Confirm,
    Pause,
    Resume,
    Authorize,
    RemoveHostname,
    SetOrigin,
    SetZone,
    SetWants,
    SetTraffic,
    Contest,
    EndContest,
    Request,
    Prove,
    ProveContest,
    Defer,
    Bury,
    PutCa,
    External,
    RemoveCa,
    Roll,
    Rolled,
    Observe,
    CorrectLimit,
    Invite,
    Revoke,
    Sweep,
    AdmitNode,
    AdmitMachine,
    RaiseLevel,
    AdmitOperator,
    CertifyNode,
    CertifyOperator,
    RenewIssuing,
    Share,
    Rotate,
    AskRotation,
    Reseal,
    ResealCertificate,
    DropKey,
    RemoveNode,
    FinishRemoval,
    AccountKey,
    Register,
    Admit,
    IntendOrder,
    Prepare,
    Ready,
    Finalize,
    Install,
    Fail,
    Forget,
    Reissue,
    RevokeCertificate,
    Revoked,
    Upload,
    Schedule,
}

#[derive(Clone, Copy, Debug)]
enum Whose {
    Present,
    Stale,
    Future,
    Nobody,
}

#[derive(Clone, Copy, Debug)]
enum Wait {
    No,
    Minutes(u8),
    Days(u8),
    Back(u8),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let what = prop_oneof![
        // The way of an order is long: it must come up often to be walked to its end.
        30 => way_of_an_order(),
        12 => hostnames(),
        6 => certificates(),
        4 => members(),
        4 => cluster(),
        4 => secrets(),
    ];
    step_of(what)
}

/// A step of a history in which members come and go.
pub(crate) fn step_of_members() -> impl Strategy<Value = Step> {
    step_of(prop_oneof![
        8 => members(),
        1 => cluster(),
    ])
}

fn step_of(what: impl Strategy<Value = What>) -> impl Strategy<Value = Step> {
    let whose = prop_oneof![
        20 => Just(Whose::Present),
        1 => Just(Whose::Stale),
        1 => Just(Whose::Future),
        1 => Just(Whose::Nobody),
    ];
    let wait = prop_oneof![
        12 => Just(Wait::No),
        3 => (1u8..120).prop_map(Wait::Minutes),
        2 => (1u8..40).prop_map(Wait::Days),
        1 => (40u8..220).prop_map(Wait::Days),
        1 => (1u8..120).prop_map(Wait::Back),
    ];
    (what, any::<u8>(), any::<u8>(), whose, wait).prop_map(|(what, which, how, term, wait)| Step {
        what,
        which,
        how,
        term,
        wait,
    })
}

fn way_of_an_order() -> impl Strategy<Value = What> {
    prop_oneof![
        4 => Just(What::Admit),
        1 => Just(What::IntendOrder),
        4 => Just(What::Prepare),
        2 => Just(What::Ready),
        4 => Just(What::Finalize),
        4 => Just(What::Install),
        2 => Just(What::Fail),
        2 => Just(What::Forget),
    ]
}

fn hostnames() -> impl Strategy<Value = What> {
    prop_oneof![
        3 => Just(What::Authorize),
        2 => Just(What::RemoveHostname),
        1 => Just(What::SetOrigin),
        1 => Just(What::SetZone),
        2 => Just(What::SetWants),
        2 => Just(What::SetTraffic),
        2 => Just(What::Contest),
        1 => Just(What::EndContest),
        1 => Just(What::Request),
        4 => Just(What::Prove),
        3 => Just(What::ProveContest),
        1 => Just(What::Defer),
        1 => Just(What::Bury),
    ]
}

fn certificates() -> impl Strategy<Value = What> {
    prop_oneof![
        2 => Just(What::Reissue),
        2 => Just(What::RevokeCertificate),
        2 => Just(What::Revoked),
        3 => Just(What::Upload),
        1 => Just(What::Schedule),
    ]
}

fn members() -> impl Strategy<Value = What> {
    prop_oneof![
        2 => Just(What::Invite),
        1 => Just(What::Revoke),
        1 => Just(What::Sweep),
        3 => Just(What::AdmitNode),
        2 => Just(What::AdmitMachine),
        1 => Just(What::RaiseLevel),
        1 => Just(What::AdmitOperator),
        1 => Just(What::CertifyNode),
        1 => Just(What::CertifyOperator),
        1 => Just(What::Share),
        1 => Just(What::Rotate),
        1 => Just(What::AskRotation),
        2 => Just(What::RemoveNode),
        2 => Just(What::FinishRemoval),
    ]
}

fn secrets() -> impl Strategy<Value = What> {
    prop_oneof![
        1 => Just(What::Rotate),
        4 => Just(What::Reseal),
        4 => Just(What::ResealCertificate),
        4 => Just(What::DropKey),
    ]
}

fn cluster() -> impl Strategy<Value = What> {
    prop_oneof![
        1 => Just(What::Found),
        4 => Just(What::TakeOver),
        1 => Just(What::Confirm),
        2 => Just(What::Pause),
        1 => Just(What::Resume),
        1 => Just(What::RenewIssuing),
        2 => Just(What::AccountKey),
        1 => Just(What::Register),
        1 => Just(What::PutCa),
        1 => Just(What::External),
        1 => Just(What::RemoveCa),
        1 => Just(What::Roll),
        2 => Just(What::Rolled),
        2 => Just(What::Observe),
        1 => Just(What::CorrectLimit),
    ]
}

impl Step {
    /// The moment of the step, after a step at `now`.
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        let minutes = |minutes: u8| Duration::from_secs(60 * u64::from(minutes));
        match self.wait {
            Wait::No => now,
            Wait::Minutes(number) => now.plus(minutes(number)),
            Wait::Days(days) => now.plus(minutes(days) * (24 * 60)),
            Wait::Back(number) => now.minus(minutes(number)),
        }
    }

    /// The step as a command to a cluster in this state. `unique` names what must be
    /// new: the CA never gives one leaf or one token twice.
    pub(crate) fn command(self, state: &State, at: Timestamp, unique: u64) -> Command {
        let step = Self {
            what: self.aim(state),
            ..self
        };
        let change = step.change(state, at, unique);
        let present = state.epoch().term.0;
        let next = u64::from(matches!(change, Change::TakeOver { .. }));
        let term = match self.term {
            Whose::Present => Some(present + next),
            Whose::Stale => Some(present.saturating_sub(1 + u64::from(self.how % 3))),
            Whose::Future => Some(present + 1 + u64::from(self.how % 3)),
            Whose::Nobody => None,
        };
        Command {
            at,
            actor: Actor::operator(["alice", "bob"][usize::from(self.how % 2)]),
            duty: term.filter(|_| change.is_duty()).map(Term),
            change,
        }
    }

    /// What comes first where there is nothing yet to do it to, mostly.
    fn aim(self, state: &State) -> What {
        if self.how % 16 == 15 {
            return self.what;
        }
        // Nothing goes on before.
        if state.pause().is_some() && self.which.is_multiple_of(2) {
            return What::Resume;
        }
        match self.what {
            What::IntendOrder
            | What::Prepare
            | What::Ready
            | What::Finalize
            | What::Install
            | What::Fail => match state.order(self.order(state)) {
                Some(order) if self.which.is_multiple_of(4) => self.after(&order.stage),
                Some(_) => self.what,
                None => self.aim_at_hostname(state, What::Admit),
            },
            What::Reissue
            | What::RevokeCertificate
            | What::Revoked
            | What::Schedule
            | What::Forget
                if state.certificates().next().is_none() =>
            {
                self.aim_at_hostname(state, What::Admit)
            }
            What::Revoked => {
                let mut all = state.certificates();
                if all.any(|one| one.revocation.is_some()) {
                    What::Revoked
                } else {
                    What::RevokeCertificate
                }
            }
            What::RemoveHostname
            | What::SetWants
            | What::SetTraffic
            | What::Contest
            | What::EndContest
            | What::Request
            | What::Prove
            | What::ProveContest
            | What::Defer
            | What::Admit
            | What::Upload => self.aim_at_hostname(state, self.what),
            What::Rolled => match state.ca(self.ca().as_str()).map(|ca| &ca.registration) {
                Some(Registration::Registered { rollover: true, .. }) => What::AccountKey,
                Some(Registration::Registered { .. }) if self.which < 64 => What::Roll,
                _ => What::Rolled,
            },
            other => other,
        }
    }

    fn aim_at_hostname(self, state: &State, what: What) -> What {
        let Some(record) = state.hostname(self.hostname().as_str()) else {
            return What::Authorize;
        };
        let holds = record.ownership.standing.holds();
        match what {
            What::Admit | What::Upload if !holds => What::Prove,
            What::EndContest | What::ProveContest if record.contest().is_none() => What::Contest,
            what => what,
        }
    }

    fn after(self, stage: &Stage) -> What {
        match stage {
            Stage::Admitted => What::Prepare,
            Stage::Prepared(_) if self.how.is_multiple_of(2) => What::Ready,
            Stage::Prepared(_) | Stage::ReadyIntent(_) => What::Finalize,
            Stage::FinalizeIntent(_) => What::Install,
        }
    }

    fn change(self, state: &State, at: Timestamp, unique: u64) -> Change {
        match self.what {
            What::Found => Change::Found(Box::new(testing::found())),
            What::TakeOver => Change::TakeOver { node: self.node() },
            What::Confirm => Change::Confirm,
            What::Pause => Change::PauseIssuance {
                reason: ["a test", "an incident"][usize::from(self.which % 2)].to_owned(),
            },
            What::Resume => Change::ResumeIssuance { cluster: None },
            What::AccountKey
            | What::Register
            | What::PutCa
            | What::External
            | What::RemoveCa
            | What::Roll
            | What::Rolled
            | What::Observe
            | What::CorrectLimit => self.ca_change(state, at, unique),
            What::Authorize
            | What::RemoveHostname
            | What::SetOrigin
            | What::SetZone
            | What::SetWants
            | What::SetTraffic
            | What::Contest
            | What::EndContest
            | What::Request
            | What::Prove
            | What::ProveContest
            | What::Defer
            | What::Bury => self.hostname_change(state, at, unique),
            What::Invite
            | What::Revoke
            | What::Sweep
            | What::AdmitNode
            | What::AdmitMachine
            | What::RaiseLevel
            | What::AdmitOperator
            | What::CertifyNode
            | What::CertifyOperator
            | What::RenewIssuing
            | What::RemoveNode
            | What::FinishRemoval => self.member_change(state, at, unique),
            What::Share
            | What::Rotate
            | What::AskRotation
            | What::Reseal
            | What::ResealCertificate
            | What::DropKey => self.secret_change(state, unique),
            What::Admit
            | What::IntendOrder
            | What::Prepare
            | What::Ready
            | What::Finalize
            | What::Install
            | What::Fail
            | What::Forget
            | What::Reissue
            | What::RevokeCertificate
            | What::Revoked
            | What::Upload
            | What::Schedule => self.order_change(state, at, unique),
        }
    }

    fn member_change(self, state: &State, at: Timestamp, unique: u64) -> Change {
        let certificate = IssuedCertificate {
            leaf: number(unique),
            issuing: Bytes::from_static(b"issuing"),
            not_after: at.plus(Duration::from_secs(7 * 86400)),
            renew_at: Some(at.plus(Duration::from_secs(3 * 86400))),
        };
        match self.what {
            What::Invite => Change::CreateInvitation {
                role: Role::ALL[usize::from(self.how % 4).min(2)],
                verifier: [self.how; 32],
                expires_at: at.plus(Duration::from_secs(60 * u64::from(self.which))),
            },
            What::Revoke => Change::RevokeInvitation {
                id: self.invitation(),
            },
            What::Sweep => Change::SweepInvitation {
                id: self.invitation(),
            },
            What::AdmitNode => Change::AdmitNode {
                invitation: self.open_invitation(state, at),
                newcomer: testing::newcomer(1 + self.how % 5),
            },
            What::AdmitMachine => Change::AdmitMachine {
                machine: format!("machine-{}", self.which % 4),
                newcomer: testing::newcomer(1 + self.how % 5),
            },
            What::RaiseLevel => Change::RaiseLevel {
                level: FeatureLevel(1 + u32::from(self.how % 2)),
                members: state
                    .members()
                    .map(|member| member.id)
                    .skip(usize::from(self.which.is_multiple_of(3)))
                    .collect(),
            },
            What::AdmitOperator => Change::AdmitOperator {
                invitation: self.invitation(),
                name: "bob".to_owned(),
                public_key: number(u64::from(self.how % 3)),
            },
            What::CertifyNode => Change::CertifyNode {
                node: self.node(),
                certificate,
            },
            What::CertifyOperator => Change::CertifyOperator {
                operator: OperatorId(1 + u64::from(self.which % 3)),
                certificate,
            },
            What::RenewIssuing => Change::RenewIssuing {
                issuing: number(unique),
                issuing_key: sealed(state, KeyPurpose::Control, unique),
                not_after: at,
                renew_at: at,
            },
            What::RemoveNode => Change::RemoveNode { node: self.node() },
            _ => {
                let leaving = state.members().find(|member| member.leaving);
                Change::FinishRemoval {
                    node: leaving.map_or(self.node(), |member| member.id),
                }
            }
        }
    }

    fn tenant(self) -> Tenant {
        TENANTS[usize::from(self.how / 4) % TENANTS.len()]
            .parse()
            .expect("a tenant")
    }

    /// The first, mostly.
    fn ca(self) -> CaName {
        let name = match self.how % 8 {
            0 => "other-ca",
            1 => "third-ca",
            _ => return testing::ca_name(),
        };
        name.parse().expect("a CA")
    }

    /// One of those there are, if there are any.
    fn certificate(self, state: &State) -> CertificateId {
        let ids: Vec<_> = state.certificates().map(|one| one.id).collect();
        let id = ids.get(usize::from(self.which) % ids.len().max(1));
        id.copied().unwrap_or(CertificateId([0; 32]))
    }

    fn later(self, at: Timestamp) -> Timestamp {
        at.plus(Duration::from_secs(u64::from(self.which) * 600))
    }

    fn hostname(self) -> Hostname {
        host(HOSTNAMES[usize::from(self.which) % HOSTNAMES.len()])
    }

    fn node(self) -> NodeId {
        NodeId(1 + u64::from(self.which % 5))
    }

    fn invitation(self) -> InvitationId {
        InvitationId(1 + u64::from(self.which % 6))
    }

    /// One that a node may spend, mostly.
    fn open_invitation(self, state: &State, at: Timestamp) -> InvitationId {
        let mut open = state.invitations().filter(|invitation| {
            invitation.role == Role::Node
                && invitation.redemption.is_none()
                && at < invitation.expires_at
        });
        match open.next() {
            Some(invitation) if !self.which.is_multiple_of(4) => invitation.id,
            _ => self.invitation(),
        }
    }

    /// One of those in flight, mostly.
    fn order(self, state: &State) -> OrderId {
        let orders: Vec<OrderId> = state.orders().map(|order| order.id).collect();
        match orders.get(usize::from(self.which) % orders.len().max(1)) {
            Some(order) if self.how % 16 != 15 => *order,
            _ => OrderId(u64::from(self.which % 16)),
        }
    }
}

/// Whose hostnames are.
const TENANTS: [&str; 3] = ["default", "a", "b"];

/// Few, so that each lives through much.
pub(crate) const HOSTNAMES: [&str; 3] = ["a.example", "b.example", "b.a.example"];

fn number(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// Under the present key, mostly: who sealed it may not know of that yet.
fn sealed(state: &State, purpose: KeyPurpose, unique: u64) -> Sealed {
    let newest = state.current_data_key(purpose);
    let newest = newest.map_or(1, |key| key.generation);
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&unique.to_be_bytes());
    Sealed {
        purpose,
        generation: newest.saturating_sub(u32::from(unique.is_multiple_of(7))),
        nonce,
        ciphertext: number(unique),
    }
}
