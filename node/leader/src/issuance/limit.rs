//! Which of a CA's limits a refusal is about. Pure.
//!
//! ACME has one type for all limits (`rateLimited`, RFC 8555 section 6.6); which one is
//! told in words only. These are Boulder's (`ratelimits/limiter.go`), older ones of its,
//! and what other CAs say in similar words.

use std::sync::Arc;

use state::{BucketKey, LimitKind, Order};

use super::authority::Problem;

/// The words of each limit, all of which must be there, in the order in which they are
/// looked for: the exact set speaks of certificates too.
const WORDS: [(&[&str], LimitKind); 8] = [
    (&["failed authorizations"], LimitKind::Failures),
    (&["failed validations"], LimitKind::Failures),
    (&["exact set"], LimitKind::Sets),
    (&["duplicate certificate"], LimitKind::Sets),
    (&["new orders"], LimitKind::Orders),
    (
        &["certificates", "already issued for"],
        LimitKind::Certificates,
    ),
    (
        &["certificates", "registered domain"],
        LimitKind::Certificates,
    ),
    (&["certificates", "per domain"], LimitKind::Certificates),
];

/// The bucket that is empty; `None` if the CA speaks of this order's names in words that
/// are not known: then nothing follows for other hostnames.
pub(super) fn bucket(order: &Order, problem: &Problem) -> Option<BucketKey> {
    let text = problem.detail.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().all(|word| text.contains(word));
    let known = WORDS.iter().find(|(words, _)| has(words));
    let kind = match known {
        Some((_, kind)) => *kind,
        None if names_one(order, problem, &text) => return None,
        // Of whatever it is the limit, the account has met it.
        None => LimitKind::Orders,
    };
    let key: Arc<str> = match kind {
        LimitKind::Orders => "".into(),
        LimitKind::Certificates => order.domain.clone(),
        LimitKind::Sets => order.names(),
        LimitKind::Failures => order.hostname.as_str().into(),
    };
    Some(BucketKey {
        ca: order.ca.clone(),
        kind,
        key,
    })
}

fn names_one(order: &Order, problem: &Problem, text: &str) -> bool {
    let named = |sub: &super::authority::Subproblem| !sub.identifier.is_empty();
    text.contains(order.hostname.as_str())
        || text.contains(&*order.domain)
        || problem.subproblems.iter().any(named)
}

#[cfg(test)]
mod tests {
    use state::{OrderId, Stage};

    use super::*;
    use crate::issuance::authority::Subproblem;

    fn order() -> Order {
        Order {
            wildcard: true,
            domain: "client.example".into(),
            ..state::testing::order(OrderId(1), "shop.client.example", Stage::Admitted)
        }
    }

    #[track_caller]
    fn check(detail: &str, expected: &str) {
        let problem = Problem {
            kind: "rateLimited".to_owned(),
            detail: detail.to_owned(),
            status: 429,
            ..Problem::default()
        };
        let found = bucket(&order(), &problem);
        let found = found.map_or_else(
            || "none".to_owned(),
            |bucket| format!("{} of '{}'", bucket.kind, bucket.key),
        );
        assert_eq!(found, expected, "{detail}");
    }

    #[test]
    fn the_words_of_boulder_are_known() {
        check(
            "too many new orders (300) from this account in the last 3h0m0s, retry after \
             2026-11-21 10:00:00 UTC: see https://letsencrypt.org/docs/rate-limits/",
            "orders of ''",
        );
        check(
            "too many certificates (50) already issued for \"client.example\" in the last \
             168h0m0s, retry after 2026-11-21 10:00:00 UTC",
            "certificates-per-domain of 'client.example'",
        );
        check(
            "too many certificates (5) already issued for this exact set of identifiers in the \
             last 168h0m0s, retry after 2026-11-21 10:00:00 UTC",
            "certificates-per-set of 'shop.client.example,*.shop.client.example'",
        );
        check(
            "too many failed authorizations (5) for \"shop.client.example\" in the last 1h0m0s",
            "failed-validations of 'shop.client.example'",
        );
    }

    #[test]
    fn unknown_words_are_the_accounts_unless_they_name_the_order() {
        check("Too many requests", "orders of ''");
        check("slow down for shop.client.example", "none");
        check("client.example was asked for too often", "none");
        let named = Problem {
            detail: "too many".to_owned(),
            subproblems: vec![Subproblem {
                identifier: "shop.client.example".to_owned(),
                ..Subproblem::default()
            }],
            ..Problem::default()
        };
        assert_eq!(bucket(&order(), &named), None);
    }
}
