//! One step of a random history.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use state::{
    Actor, Change, Command, Evidence, FailureClass, Hostname, HpkeSealed, Index, InvitationId,
    IssuedCertificate, KeyPurpose, NodeId, OperatorId, OrderId, Origin, OriginProtocol,
    OriginScheme, Role, Sealed, State, Term, Timestamp,
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
    Authorize,
    RemoveHostname,
    SetOrigin,
    Invite,
    Revoke,
    Sweep,
    AdmitNode,
    AdmitOperator,
    CertifyNode,
    CertifyOperator,
    RenewIssuing,
    Share,
    Rotate,
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
        8 => hostnames(),
        6 => members(),
        2 => cluster(),
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
    ]
}

fn members() -> impl Strategy<Value = What> {
    prop_oneof![
        2 => Just(What::Invite),
        1 => Just(What::Revoke),
        1 => Just(What::Sweep),
        3 => Just(What::AdmitNode),
        1 => Just(What::AdmitOperator),
        1 => Just(What::CertifyNode),
        1 => Just(What::CertifyOperator),
        1 => Just(What::Share),
        1 => Just(What::Rotate),
        2 => Just(What::RemoveNode),
        2 => Just(What::FinishRemoval),
    ]
}

fn cluster() -> impl Strategy<Value = What> {
    prop_oneof![
        1 => Just(What::Found),
        4 => Just(What::TakeOver),
        1 => Just(What::Confirm),
        1 => Just(What::RenewIssuing),
        1 => Just(What::AccountKey),
        1 => Just(What::Register),
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
        let change = self.change(state, at, unique);
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

    fn change(self, state: &State, at: Timestamp, unique: u64) -> Change {
        match self.what {
            What::Found => Change::Found(Box::new(testing::found())),
            What::TakeOver => Change::TakeOver { node: self.node() },
            What::Confirm => Change::Confirm,
            What::Authorize => Change::AuthorizeHostname {
                hostname: self.hostname(),
            },
            What::RemoveHostname => self.remove_hostname(state),
            What::SetOrigin => self.set_origin(state),
            What::AccountKey => Change::CommitAccountKey {
                key: sealed(KeyPurpose::Control, unique),
                thumbprint: format!("thumbprint-{unique}"),
            },
            What::Register => Change::RegisterAccount {
                url: format!("https://ca.example/acct/{}", self.how % 2),
            },
            What::Invite
            | What::Revoke
            | What::Sweep
            | What::AdmitNode
            | What::AdmitOperator
            | What::CertifyNode
            | What::CertifyOperator
            | What::RenewIssuing
            | What::Share
            | What::Rotate
            | What::RemoveNode
            | What::FinishRemoval => self.member_change(state, at, unique),
            What::Admit
            | What::IntendOrder
            | What::Prepare
            | What::Ready
            | What::Finalize
            | What::Install
            | What::Fail
            | What::Forget => self.order_change(state, at, unique),
        }
    }

    fn remove_hostname(self, state: &State) -> Change {
        let hostname = self.hostname();
        let record = state.hostname(hostname.as_str());
        let revision = match self.how % 4 {
            0 => record.map(|record| record.revision),
            1 => Some(Index(u64::from(self.which))),
            _ => None,
        };
        Change::RemoveHostname { hostname, revision }
    }

    fn set_origin(self, state: &State) -> Change {
        let host = ["app", "app.internal", "::1"][usize::from(self.which) % 3];
        let revision = match self.how % 3 {
            0 => Some(state.zone().revision),
            1 => Some(Index(u64::from(self.how))),
            _ => None,
        };
        Change::SetOrigin {
            origin: Origin {
                scheme: OriginScheme::Https,
                host: host.to_owned(),
                port: 8443,
                protocol: OriginProtocol::Auto,
            },
            revision,
        }
    }

    fn member_change(self, state: &State, at: Timestamp, unique: u64) -> Change {
        let certificate = IssuedCertificate {
            leaf: number(unique),
            issuing: Bytes::from_static(b"issuing"),
            not_after: at.plus(Duration::from_secs(7 * 86400)),
            renew_at: Some(at.plus(Duration::from_secs(3 * 86400))),
        };
        let purpose = KeyPurpose::ALL[usize::from(self.how % 2)];
        let present = state
            .current_data_key(purpose)
            .map_or(0, |key| key.generation);
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
                issuing_key: sealed(KeyPurpose::Control, unique),
                not_after: at,
                renew_at: at,
            },
            What::Share => Change::ShareDataKey {
                node: self.node(),
                purpose,
                generation: present,
                sealed: hpke(unique),
            },
            What::Rotate => Change::RotateDataKey {
                purpose,
                generation: present + u32::from(!self.how.is_multiple_of(5)),
                sealed_for: [self.node(), NodeId(1)]
                    .map(|node| (node, hpke(unique)))
                    .to_vec(),
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

    fn order_change(self, state: &State, at: Timestamp, unique: u64) -> Change {
        let order = self.order(state);
        match self.what {
            What::Admit => self.admit(state, unique),
            What::IntendOrder => Change::IntendOrder { order },
            What::Prepare => {
                // A CA that breaks the RFC gives one token twice.
                let token = if self.how.is_multiple_of(8) {
                    0
                } else {
                    unique
                };
                let mut placed = testing::placed(order, &format!("token-{token}"));
                placed.url = format!("https://ca.example/order/{unique}");
                placed.challenge = placed.challenge.filter(|_| self.how % 8 != 1);
                Change::PrepareOrder { order, placed }
            }
            What::Ready => Change::IntendReady { order },
            What::Finalize => Change::IntendFinalize { order },
            What::Install => {
                let chain = vec![number(u64::from(self.how % 2))];
                let mut install = testing::install(order, number(unique), chain, at);
                install.issuer = format!("CA {}", self.how % 3);
                Change::InstallCertificate(Box::new(install))
            }
            What::Fail => self.fail(order, at),
            _ => self.forget(state),
        }
    }

    fn admit(self, state: &State, unique: u64) -> Change {
        let hostname = self.hostname();
        let record = state.hostname(hostname.as_str());
        let present = record.map(|record| record.claim).unwrap_or_default();
        let claim = if self.how.is_multiple_of(8) {
            Index(1)
        } else {
            present
        };
        Change::AdmitOrder {
            hostname,
            claim,
            key: sealed(KeyPurpose::Serving, unique),
            csr: number(unique),
        }
    }

    fn fail(self, order: OrderId, at: Timestamp) -> Change {
        let evidence = [
            Evidence::NeverPlaced,
            Evidence::Invalid,
            Evidence::Gone,
            Evidence::Withdrawn,
            Evidence::Unusable,
        ];
        Change::FailOrder {
            order,
            evidence: evidence[usize::from(self.how) % evidence.len()],
            class: FailureClass::Challenge,
            reason: "no\nanswer".repeat(usize::from(self.how)),
            next_try: at.plus(Duration::from_secs(u64::from(self.how) * 30)),
        }
    }

    fn forget(self, state: &State) -> Change {
        let ids: Vec<_> = state
            .certificates()
            .map(|certificate| certificate.id)
            .collect();
        let id = ids.get(usize::from(self.which) % ids.len().max(1));
        Change::ForgetCertificate {
            id: id.copied().unwrap_or(state::CertificateId([0; 32])),
        }
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

/// Few, so that each lives through much.
pub(crate) const HOSTNAMES: [&str; 3] = ["a.example", "b.example", "b.a.example"];

fn number(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn sealed(purpose: KeyPurpose, unique: u64) -> Sealed {
    Sealed {
        purpose,
        generation: 1,
        nonce: [0; 12],
        ciphertext: number(unique),
    }
}

fn hpke(unique: u64) -> HpkeSealed {
    HpkeSealed {
        encapsulated: number(unique),
        ciphertext: number(unique),
    }
}
