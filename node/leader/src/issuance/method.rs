//! Which of its challenges an authorization is to be proven by. Pure.

use state::{ChallengeKind, Failure, FailureClass, order::PlacedChallenge};

use super::authority::{self, AuthorizationView, ChallengeView};

/// How the challenges of one attempt are chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// The kinds that can succeed, the first to be tried first.
    pub(super) methods: Vec<ChallengeKind>,
    /// A member that serves is silent: it cannot show a certificate that it has not heard
    /// of, so tls-alpn-01 is not chosen. (HTTP it can answer without knowing.)
    pub(super) member_silent: bool,
    /// How many kinds have failed before.
    pub(super) turn: u32,
}

/// Why none was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoChallenge {
    /// The CA offers none that can succeed here.
    Unfit,
    /// Only tls-alpn-01 could, and a member is silent.
    MemberSilent,
}

impl Choice {
    /// After the last attempt's failure, if it failed: what was not proven by one kind is
    /// tried by the next.
    pub(super) fn turn_of(attempt: u32, last: Option<&Failure>) -> u32 {
        let unproven = last.is_some_and(|last| last.class == FailureClass::Challenge);
        if unproven {
            attempt.saturating_sub(1)
        } else {
            0
        }
    }

    /// Of an authorization that is not valid yet.
    pub(super) fn of(&self, view: &AuthorizationView) -> Result<PlacedChallenge, NoChallenge> {
        let fitting: Vec<PlacedChallenge> = self
            .methods
            .iter()
            // RFC 8555 section 7.1.3: nothing else shows that one has all of a domain.
            .filter(|kind| !view.wildcard || **kind == ChallengeKind::Dns01)
            .filter_map(|kind| placed(view.challenge(&offered(*kind))?, *kind))
            .collect();
        let now: Vec<&PlacedChallenge> = fitting
            .iter()
            .filter(|it| !(self.member_silent && it.kind == ChallengeKind::TlsAlpn01))
            .collect();
        let turn = usize::try_from(self.turn).unwrap_or_default();
        match now.get(turn.checked_rem(now.len()).unwrap_or_default()) {
            Some(chosen) => Ok((*chosen).clone()),
            None if fitting.is_empty() => Err(NoChallenge::Unfit),
            None => Err(NoChallenge::MemberSilent),
        }
    }
}

fn offered(kind: ChallengeKind) -> authority::ChallengeKind {
    match kind {
        ChallengeKind::Http01 => authority::ChallengeKind::Http01,
        ChallengeKind::TlsAlpn01 => authority::ChallengeKind::TlsAlpn01,
        ChallengeKind::Dns01 => authority::ChallengeKind::Dns01,
    }
}

fn placed(view: &ChallengeView, kind: ChallengeKind) -> Option<PlacedChallenge> {
    Some(PlacedChallenge {
        kind,
        url: view.url.clone(),
        token: view.token.clone()?,
    })
}

#[cfg(test)]
mod tests {
    use ChallengeKind::{Dns01, Http01, TlsAlpn01};
    use state::{Timestamp, testing::host};

    use super::*;
    use crate::issuance::authority::{AuthorizationStatus, ChallengeStatus};

    fn view(wildcard: bool, kinds: &[ChallengeKind]) -> AuthorizationView {
        let challenge = |kind: &ChallengeKind| ChallengeView {
            kind: offered(*kind),
            url: format!("https://ca.example/{}", kind.as_str()),
            token: Some("token".to_owned()),
            persist: None,
            status: ChallengeStatus::Pending,
            error: None,
        };
        AuthorizationView {
            url: String::new(),
            hostname: host("shop.example"),
            wildcard,
            status: AuthorizationStatus::Pending,
            expires: None,
            challenges: kinds.iter().map(challenge).collect(),
            retry_after: None,
        }
    }

    fn choice(methods: &[ChallengeKind], turn: u32) -> Choice {
        Choice {
            methods: methods.to_vec(),
            member_silent: false,
            turn,
        }
    }

    #[track_caller]
    fn check(
        choice: &Choice,
        view: &AuthorizationView,
        expected: Result<ChallengeKind, NoChallenge>,
    ) {
        assert_eq!(choice.of(view).map(|it| it.kind), expected);
    }

    #[test]
    fn our_order_decides_among_what_the_ca_offers() {
        let all = view(false, &[Dns01, TlsAlpn01, Http01]);
        check(&choice(&[Http01, TlsAlpn01], 0), &all, Ok(Http01));
        check(&choice(&[TlsAlpn01, Http01], 0), &all, Ok(TlsAlpn01));
        let dns = view(false, &[Dns01]);
        check(&choice(&[Http01, Dns01], 0), &dns, Ok(Dns01));
        let unfit = Err(NoChallenge::Unfit);
        check(&choice(&[Http01], 0), &dns, unfit);
        check(&choice(&[Http01], 0), &view(false, &[]), unfit);
    }

    #[test]
    fn a_wildcard_is_proven_by_dns_whatever_is_offered() {
        let all = view(true, &[Http01, TlsAlpn01, Dns01]);
        check(&choice(&[Http01, Dns01], 0), &all, Ok(Dns01));
        let unfit = Err(NoChallenge::Unfit);
        check(&choice(&[Http01, TlsAlpn01], 0), &all, unfit);
    }

    #[test]
    fn each_attempt_takes_the_next_kind_and_then_the_first_again() {
        let all = view(false, &[Http01, TlsAlpn01, Dns01]);
        for (turn, expected) in [(0, Http01), (1, TlsAlpn01), (2, Dns01), (3, Http01)] {
            check(
                &choice(&[Http01, TlsAlpn01, Dns01], turn),
                &all,
                Ok(expected),
            );
        }
    }

    #[test]
    fn tls_is_not_chosen_while_a_member_is_silent() {
        let all = view(false, &[Http01, TlsAlpn01]);
        let silent = |methods: &[ChallengeKind]| Choice {
            member_silent: true,
            ..choice(methods, 0)
        };
        check(&silent(&[TlsAlpn01, Http01]), &all, Ok(Http01));
        let held = Err(NoChallenge::MemberSilent);
        check(&silent(&[TlsAlpn01]), &all, held);
    }

    #[test]
    fn only_what_was_not_proven_is_tried_otherwise() {
        let failure = |class| Failure {
            class,
            reason: "no".into(),
            count: 2,
            since: Timestamp::default(),
            at: Timestamp::default(),
            parked: false,
            next_try: Timestamp::default(),
        };
        assert_eq!(Choice::turn_of(1, None), 0);
        let unproven = failure(FailureClass::Challenge);
        assert_eq!(Choice::turn_of(3, Some(&unproven)), 2);
        let limited = failure(FailureClass::RateLimited);
        assert_eq!(Choice::turn_of(3, Some(&limited)), 0);
    }
}
