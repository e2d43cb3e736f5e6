//! The cluster's own certificates: signed for whoever lacks one, renewed in time.

use state::{Change, NodeId, OperatorId, State, Timestamp, ports::IdentitiesError};

use crate::reign::{CommitError, Reign};

/// One certificate to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next online CA.
    RenewIssuing,
    /// A member's.
    CertifyNode(NodeId),
    /// An operator's.
    CertifyOperator(OperatorId),
}

/// Who needs a certificate at `now`: a member whose time is half over, or whose certificate
/// is of another CA than the present one. Renewals need a clock that is `trusted`; a newcomer's
/// first does not.
pub(crate) fn plan(state: &State, now: Timestamp, trusted: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let issuing = state.authority();
    if trusted && issuing.is_some_and(|authority| authority.issuing_renew_at <= now) {
        steps.push(Step::RenewIssuing);
    }
    let members = state.members().filter(|member| {
        !member.leaving
            && match &member.certificate {
                None => true,
                Some(issued) => {
                    let due = issued.renew_at.is_some_and(|at| at <= now);
                    let of_another = issuing.is_some_and(|it| it.issuing != issued.issuing);
                    trusted && (due || of_another)
                }
            }
    });
    steps.extend(members.map(|member| Step::CertifyNode(member.id)));
    let operators = state.operators();
    let operators = operators.filter(|operator| operator.certificate.is_none());
    steps.extend(operators.map(|operator| Step::CertifyOperator(operator.id)));
    steps
}

/// Why a certificate was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Identities(#[from] IdentitiesError),
}

/// Signs and commits. Each step is from the latest state: a renewed CA signs what follows.
pub(crate) async fn act(reign: &Reign, steps: Vec<Step>) -> Result<(), IdentityError> {
    for step in steps {
        // The moment first: if the clock has jumped before it was read, it is in doubt.
        let now = reign.now();
        let trusted = reign.clock_doubt().is_none();
        let state = reign.state();
        if !plan(&state, now, trusted).contains(&step) {
            continue;
        }
        let Some(change) = sign(reign, &state, step, now)? else {
            continue;
        };
        match reign.commit(change).await {
            // Removed meanwhile.
            Ok(_) | Err(CommitError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn sign(
    reign: &Reign,
    state: &State,
    step: Step,
    now: Timestamp,
) -> Result<Option<Change>, IdentitiesError> {
    let identities = &reign.ports.identities;
    let change = match step {
        Step::RenewIssuing => Some(identities.renew_issuing(state, now)),
        Step::CertifyNode(id) => {
            let member = state.member(id);
            member.map(|member| identities.certify_node(state, member, now))
        }
        Step::CertifyOperator(id) => {
            let operator = state.operator(id);
            operator.map(|operator| identities.certify_operator(state, operator, now))
        }
    };
    change.transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::{
        Actor, InvitationId, Role, Rotation, Term,
        testing::{Alone, ManualClock, START, newcomer},
    };
    use std::{sync::Arc, time::Duration};

    fn days(count: u64) -> Duration {
        Duration::from_secs(count * 86_400)
    }

    fn invite(alone: &Alone, role: Role) {
        let change = Change::CreateInvitation {
            role,
            verifier: [1; 32],
            expires_at: START.plus(days(1)),
        };
        alone.apply(Actor::operator("ann"), None, change);
    }

    #[test]
    fn newcomers_are_certified_and_members_renewed_at_half_life() {
        let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
        assert_eq!(plan(&alone.state(), START, true), []);
        invite(&alone, Role::Node);
        let change = Change::AdmitNode {
            invitation: InvitationId(1),
            newcomer: newcomer(2),
        };
        alone.apply(Actor::node(NodeId(1)), None, change);
        invite(&alone, Role::Viewer);
        let change = Change::AdmitOperator {
            invitation: InvitationId(2),
            name: "bob".to_owned(),
            public_key: bytes::Bytes::from_static(b"bob"),
        };
        alone.apply(Actor::node(NodeId(1)), None, change);
        let state = alone.state();
        let new = [
            Step::CertifyNode(NodeId(2)),
            Step::CertifyOperator(OperatorId(2)),
        ];
        assert_eq!(plan(&state, START, false), new);

        let later = START.plus(days(4));
        let founder = Step::CertifyNode(NodeId(1));
        assert_eq!(plan(&state, later, true), [founder, new[0], new[1]]);
        assert_eq!(plan(&state, later, false), new);

        let much_later = START.plus(days(200));
        assert_eq!(
            plan(&state, much_later, true).first(),
            Some(&Step::RenewIssuing)
        );
    }

    #[test]
    fn an_online_ca_that_is_not_trusted_any_more_goes_at_once_and_its_certificates_with_it() {
        let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
        let of = Rotation::IssuingCa;
        alone.apply(Actor::operator("ann"), None, Change::AskRotation { of });
        assert_eq!(plan(&alone.state(), START, true), [Step::RenewIssuing]);
        let mut authority = (**alone.state().authority().unwrap()).clone();
        authority.issuing = bytes::Bytes::from_static(b"the next");
        let change = Change::RenewIssuing {
            issuing: authority.issuing,
            issuing_key: authority.issuing_key,
            not_after: START.plus(days(365)),
            renew_at: START.plus(days(182)),
        };
        alone.duty(Term(1), Change::TakeOver { node: NodeId(1) });
        alone.duty(Term(1), change);
        assert_eq!(plan(&alone.state(), START, false), []);
        let founder = Step::CertifyNode(NodeId(1));
        assert_eq!(plan(&alone.state(), START, true), [founder]);
    }
}
