//! What an answer that is none of the good ones means for an order. Pure.

use state::FailureClass;

use super::authority::{AuthorityError, Feature, Limit};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Opening a connection.
    Warm,
    /// newOrder.
    NewOrder,
    /// Anything that only reads.
    Read,
    /// The challenge.
    Ready,
    /// finalize.
    Finalize,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// Nothing happened at the CA: the same again, under a new intent.
    Again,
    /// What happened is for the next look to tell.
    Look,
    /// A finalize may be under way: wait until it cannot be, then look.
    Unsettled,
    /// The CA will never finalize this order with our request.
    Refused,
    /// The order is gone from the CA.
    Gone,
    /// The CA makes the order, but not as a replacement: the same again without.
    Plainly,
    /// The CA made the order, not as a replacement, and it is as good as another.
    Adopt,
    /// The CA refused to make the order.
    Fail(FailureClass),
}

/// How often the CA may answer with nonsense or with an error of its own before an order
/// that it does not hold is given up, so that its hostname has a failure to show and waits
/// its turn. An outage is waited out instead.
pub(crate) const PLACE_TRIES: u32 = 5;

/// What `error` means for an order, in answer to `request`; `tries` counts what went
/// wrong in a row, this one included.
pub(crate) fn react(request: Request, error: &AuthorityError, tries: u32) -> Reaction {
    match error {
        AuthorityError::Fenced(_)
        | AuthorityError::Paced { .. }
        | AuthorityError::Unusable(_)
        | AuthorityError::Unreachable(_) => Reaction::Again,
        AuthorityError::ReplacesRefused(_) | AuthorityError::Unsupported(Feature::RenewalInfo) => {
            Reaction::Plainly
        }
        AuthorityError::ReplacesIgnored(_) => Reaction::Adopt,
        // A profile is a promise to whoever asked for it: never without.
        AuthorityError::Unsupported(_)
        | AuthorityError::ProfileUnknown { .. }
        | AuthorityError::ProfileIgnored { .. } => Reaction::Fail(FailureClass::Rejected),
        AuthorityError::Unknown(_) | AuthorityError::Unavailable { .. } => unknown(request),
        AuthorityError::Malformed(_) => failing(request, tries),
        AuthorityError::Refused(problem) if error.is_outage() => {
            // `Service busy` is a refusal; an internal error may come after the deed.
            if problem.kind == "rateLimited" {
                Reaction::Again
            } else {
                failing(request, tries)
            }
        }
        AuthorityError::Refused(problem) => match (request, problem.limit()) {
            (Request::NewOrder, Some(Limit::Paused(_))) => Reaction::Fail(FailureClass::Paused),
            (Request::NewOrder, Some(_)) => Reaction::Fail(FailureClass::RateLimited),
            (_, Some(_)) => Reaction::Again,
            (_, None) => refused(request, problem.kind.as_str(), problem.status),
        },
    }
}

fn failing(request: Request, tries: u32) -> Reaction {
    if request == Request::NewOrder && tries >= PLACE_TRIES {
        Reaction::Fail(FailureClass::Unavailable)
    } else {
        unknown(request)
    }
}

fn unknown(request: Request) -> Reaction {
    match request {
        // The same newOrder again: at worst an order that nobody will finalize.
        Request::NewOrder | Request::Warm | Request::Read => Reaction::Again,
        Request::Ready => Reaction::Look,
        Request::Finalize => Reaction::Unsettled,
    }
}

fn refused(request: Request, kind: &str, status: u16) -> Reaction {
    match (request, kind) {
        (_, "badNonce") => Reaction::Again,
        (Request::NewOrder, _) => Reaction::Fail(FailureClass::Rejected),
        (Request::Read, _) if status == 404 => Reaction::Gone,
        (Request::Read | Request::Warm, _) => Reaction::Again,
        // Already valid, already processing, already failed: all are refusals somewhere.
        (Request::Ready, _) => Reaction::Look,
        (Request::Finalize, "orderNotReady") => Reaction::Look,
        (Request::Finalize, _) => Reaction::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fence::Shut, issuance::authority::Problem};

    fn problem(status: u16, kind: &str) -> AuthorityError {
        AuthorityError::Refused(Problem {
            kind: kind.to_owned(),
            status,
            ..Problem::default()
        })
    }

    /// The reaction to each request, in the order newOrder, read, ready, finalize.
    #[track_caller]
    fn check(error: &AuthorityError, expected: [Reaction; 4]) {
        let requests = [
            Request::NewOrder,
            Request::Read,
            Request::Ready,
            Request::Finalize,
        ];
        assert_eq!(requests.map(|request| react(request, error, 1)), expected);
    }

    #[test]
    fn what_never_left_is_done_again() {
        check(&AuthorityError::Fenced(Shut::Late), [Reaction::Again; 4]);
        let unreachable = AuthorityError::Unreachable("refused".into());
        check(&unreachable, [Reaction::Again; 4]);
    }

    #[test]
    fn what_may_have_left_is_looked_into_and_a_finalize_waited_for() {
        use Reaction::{Again, Look, Unsettled};
        for error in [
            AuthorityError::Unknown("timeout".into()),
            AuthorityError::Malformed("html".into()),
            AuthorityError::Unavailable {
                status: 503,
                retry_after: None,
            },
            problem(500, "serverInternal"),
        ] {
            check(&error, [Again, Again, Look, Unsettled]);
        }
    }

    #[test]
    fn refusals_mean_what_the_protocol_says() {
        use Reaction::{Again, Fail, Gone, Look, Refused};
        let rejected = Fail(FailureClass::Rejected);
        let limited = Fail(FailureClass::RateLimited);
        check(&problem(400, "badNonce"), [Again; 4]);
        check(&problem(429, "rateLimited"), [limited, Again, Again, Again]);
        check(&problem(503, "rateLimited"), [Again; 4]);
        check(
            &problem(403, "orderNotReady"),
            [rejected, Again, Look, Look],
        );
        check(&problem(404, "malformed"), [rejected, Gone, Look, Refused]);
        check(&problem(400, "badCSR"), [rejected, Again, Look, Refused]);
        check(&problem(403, "caa"), [rejected, Again, Look, Refused]);
    }

    #[test]
    fn a_name_that_the_ca_has_paused_is_told_apart_from_a_limit() {
        let mut paused = Problem {
            kind: "rateLimited".to_owned(),
            detail: "Your account is temporarily prevented from requesting certificates for \
                     a.example"
                .to_owned(),
            status: 429,
            ..Problem::default()
        };
        let expected = Reaction::Fail(FailureClass::Paused);
        let error = AuthorityError::Refused(paused.clone());
        assert_eq!(react(Request::NewOrder, &error, 1), expected);
        paused.detail = "too many".to_owned();
        let error = AuthorityError::Refused(paused);
        let expected = Reaction::Fail(FailureClass::RateLimited);
        assert_eq!(react(Request::NewOrder, &error, 1), expected);
    }

    #[test]
    fn a_refused_replacement_is_asked_for_plainly_and_a_profile_never_done_without() {
        let place = |error: &AuthorityError| react(Request::NewOrder, error, 1);
        let refused = AuthorityError::ReplacesRefused(Problem::default());
        assert_eq!(place(&refused), Reaction::Plainly);
        let unsupported = AuthorityError::Unsupported(Feature::RenewalInfo);
        assert_eq!(place(&unsupported), Reaction::Plainly);
        let rejected = Reaction::Fail(FailureClass::Rejected);
        let unknown = AuthorityError::ProfileUnknown {
            profile: "fast".to_owned(),
            offered: Vec::new(),
        };
        assert_eq!(place(&unknown), rejected);
        let ignored = AuthorityError::ProfileIgnored {
            profile: "fast".to_owned(),
            order_url: String::new(),
        };
        assert_eq!(place(&ignored), rejected);
    }

    #[test]
    fn nonsense_is_given_up_in_the_end_and_an_outage_never() {
        let at_last = |error: &AuthorityError| react(Request::NewOrder, error, PLACE_TRIES);
        let failed = Reaction::Fail(FailureClass::Unavailable);
        assert_eq!(at_last(&AuthorityError::Malformed("html".into())), failed);
        assert_eq!(at_last(&problem(500, "serverInternal")), failed);
        let unknown = AuthorityError::Unknown("timeout".into());
        assert_eq!(at_last(&unknown), Reaction::Again);
        assert_eq!(at_last(&problem(503, "rateLimited")), Reaction::Again);
    }
}
