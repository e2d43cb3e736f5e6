//! The sentences, as data.

use std::time::Duration;

use state::{
    Actor, Algorithms, KeyAlgorithm, OrderId, Proof, Registration, RevocationState, Source, Wants,
    testing::{self, START, account_key, found, host, placed, record},
};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

struct Case {
    hostname: Hostname,
    record: HostnameRecord,
    certificate: Option<Certificate>,
    order: Option<Order>,
    ca: Ca,
    progress: Vec<String>,
    led: bool,
    origin: bool,
    behind: Vec<String>,
    due: Option<Timestamp>,
    rsa: Option<Certificate>,
    pause: Option<&'static str>,
    limited: Option<(LimitKind, Timestamp)>,
    paused: Option<Pause>,
}

fn case() -> Case {
    let mut ca = found().ca.unwrap();
    ca.registration = Registration::Registered {
        key: account_key("t"),
        url: "https://ca.example/account/1".to_owned(),
        rollover: false,
    };
    Case {
        hostname: host("shop.example"),
        record: record("alice"),
        certificate: None,
        order: None,
        ca,
        progress: Vec::new(),
        led: true,
        origin: true,
        behind: Vec::new(),
        due: None,
        rsa: None,
        pause: None,
        limited: None,
        paused: None,
    }
}

fn certificate(days: u64) -> Certificate {
    Certificate {
        not_after: START.plus(HOUR * 24 * u32::try_from(days).unwrap()),
        ..testing::certificate("shop.example")
    }
}

fn order(stage: Stage) -> Order {
    Order {
        attempt: 2,
        ..testing::order(OrderId(7), "shop.example", stage)
    }
}

fn failure(class: FailureClass, count: u32) -> Failure {
    Failure {
        class,
        reason: "connection refused".into(),
        count,
        since: START,
        parked: false,
        at: START,
        next_try: START.plus(HOUR),
    }
}

impl Case {
    #[track_caller]
    fn check(&self, after: Duration, expected: &str) -> Option<Timestamp> {
        let served: Vec<_> = self.certificate.iter().chain(&self.rsa).collect();
        let answer = explain(&Situation {
            now: START.plus(after),
            hostname: &self.hostname,
            record: &self.record,
            certificates: &served,
            order: self.order.as_ref(),
            ca: Some(&self.ca),
            pause: self.pause,
            limited: self.limited,
            paused: self.paused.as_ref(),
            target: None,
            progress: &self.progress,
            led: self.led,
            origin: self.origin,
            behind: &self.behind,
            due: self.due,
        });
        assert_eq!(answer.summary, expected);
        answer.next_try
    }
}

#[test]
fn a_live_hostname() {
    let mut case = case();
    case.certificate = Some(certificate(90));
    case.due = Some(START.plus(HOUR * 24 * 60));
    let next = case.check(
        HOUR,
        "shop.example is live: its certificate abcd from Test CA is valid until \
         2026-04-01T00:00:00Z (89 days left), and its renewal begins at 2026-03-02T00:00:00Z.",
    );
    assert_eq!(next, case.due);
}

#[test]
fn a_live_hostname_that_not_all_serve_and_that_leads_nowhere() {
    let mut case = case();
    case.certificate = Some(certificate(90));
    case.behind = vec!["node-2".to_owned(), "node-3".to_owned()];
    case.origin = false;
    case.check(
        HOUR,
        "shop.example is live: its certificate abcd from Test CA is valid until \
         2026-04-01T00:00:00Z (89 days left), and its renewal begins at 2026-03-02T00:00:00Z. \
         Not every node serves this state yet: node-2, node-3 are behind or silent. No origin is \
         set, so requests have nowhere to go: run `hostquorum origin set URL`.",
    );
}

#[test]
fn a_hostname_whose_order_has_not_begun() {
    let mut case = case();
    case.due = Some(START);
    let next = case.check(
        Duration::from_secs(3),
        "shop.example is not live: it was authorized 3 s ago and has no certificate yet. The \
         leader begins its order by itself, within seconds.",
    );
    assert_eq!(next, Some(START.plus(Duration::from_secs(3))), "due now");
}

#[test]
fn an_account_that_is_not_registered_and_no_leader() {
    let mut case = case();
    case.ca.registration = Registration::None;
    case.led = false;
    case.check(
        HOUR,
        "shop.example is not live: it was authorized 60 min ago and has no certificate yet. Its \
         order begins when the account at https://ca.example/directory is registered, which the \
         leader does by itself. This node knows of no leader, and only a leader obtains \
         certificates: is a majority of the voters up? See `hostquorum cluster status`.",
    );
}

#[test]
fn what_the_leader_says_is_passed_on() {
    let mut case = case();
    case.ca.registration = Registration::None;
    case.progress = vec!["the CA's directory cannot be reached".to_owned()];
    case.check(
        Duration::ZERO,
        "shop.example is not live: it was authorized less than a second ago and has no \
         certificate yet. Its order begins when the account at https://ca.example/directory is \
         registered, which the leader does by itself. The leader says: the CA's directory cannot \
         be reached.",
    );
}

#[test]
fn an_order_under_way() {
    let mut case = case();
    case.order = Some(order(Stage::Prepared(placed(OrderId(7), "token"))));
    let next = case.check(
        Duration::from_secs(2),
        "shop.example is not live: it was authorized 2 s ago and has no certificate yet. Order 7 \
         (attempt 2) waits until every node can answer the CA's challenge, for 2 s now.",
    );
    assert_eq!(next, None);
}

#[test]
fn an_order_that_takes_too_long() {
    let mut case = case();
    case.order = Some(order(Stage::ReadyIntent(placed(OrderId(7), "token"))));
    case.check(
        HOUR,
        "shop.example is not live: it was authorized 60 min ago and has no certificate yet. Order \
         7 (attempt 2) waits for the CA to check the challenge, for 60 min now. That is longer \
         than usual. The CA must reach http://shop.example/.well-known/acme-challenge/ on port \
         80: does the DNS of shop.example point to the nodes, and is port 80 open to the world?",
    );
}

#[test]
fn a_failed_order() {
    let mut case = case();
    case.record.failure = Some(Box::new(failure(FailureClass::Challenge, 3)));
    case.due = Some(START.plus(HOUR));
    case.check(
        Duration::from_secs(600),
        "shop.example is not live: it was authorized 10 min ago and has no certificate yet. The \
         last order failed at 2026-01-01T00:00:00Z (10 min ago), 3 times in a row: connection \
         refused. The next try is at 2026-01-01T01:00:00Z (in 50 min). Check that the DNS of \
         shop.example points to the nodes and that port 80 is open to the world.",
    );
}

#[test]
fn a_renewal_that_fails_while_the_hostname_is_live() {
    let mut case = case();
    case.certificate = Some(certificate(90));
    case.record.failure = Some(Box::new(failure(FailureClass::Unavailable, 1)));
    case.check(
        HOUR * 2,
        "shop.example is live: its certificate abcd from Test CA is valid until \
         2026-04-01T00:00:00Z (89 days left). Its renewal failed at 2026-01-01T00:00:00Z (2 h \
         ago): connection refused. The next try is due now. Check that the leader reaches the CA \
         over https, and the CA's own status page.",
    );
}

#[test]
fn an_operator_has_paused_issuance() {
    let mut case = case();
    case.paused = Some(Pause {
        by: Actor::operator("alice"),
        reason: "the CA asked for it.".to_owned(),
        since: START,
    });
    says(
        &case,
        "Nothing is issued: operator:alice paused issuance at 2026-01-01T00:00:00Z (60 min ago): \
         the CA asked for it. `hostquorum issuance resume` ends that.",
    );
}

#[test]
fn a_certificate_that_has_ended() {
    let mut case = case();
    case.certificate = Some(certificate(1));
    case.order = Some(order(Stage::Admitted));
    case.check(
        HOUR * 25,
        "shop.example is not live: its certificate ended at 2026-01-02T00:00:00Z (60 min ago). \
         Order 7 (attempt 2) is being placed with the CA, for 25 h now. That is longer than \
         usual. Can the leader reach the CA over https?",
    );
}

#[test]
fn a_clock_before_the_certificate() {
    let mut case = case();
    let mut early = certificate(90);
    early.not_before = START.plus(HOUR);
    case.certificate = Some(early);
    case.check(
        Duration::ZERO,
        "shop.example is not live: its certificate is valid only from 2026-01-01T01:00:00Z; does \
         this node's clock go right? The leader begins its order by itself, within seconds.",
    );
}

/// The explanation after an hour holds these words.
#[track_caller]
fn says(case: &Case, words: &str) {
    let served: Vec<_> = case.certificate.iter().chain(&case.rsa).collect();
    let answer = explain(&Situation {
        now: START.plus(HOUR),
        hostname: &case.hostname,
        record: &case.record,
        certificates: &served,
        order: case.order.as_ref(),
        ca: Some(&case.ca),
        pause: case.pause,
        limited: case.limited,
        paused: case.paused.as_ref(),
        target: Some("abc.edge.example".to_owned()),
        progress: &case.progress,
        led: case.led,
        origin: case.origin,
        behind: &case.behind,
        due: case.due,
    });
    assert!(answer.summary.contains(words), "{}", answer.summary);
}

#[test]
fn a_hostname_that_is_not_proven() {
    let mut case = case();
    case.record.ownership.standing = Proof::Unproven;
    case.record.ownership.next_check = Some(START.plus(HOUR * 2));
    says(
        &case,
        "It is not proven to be tenant default's, and nothing is ordered before that; it \
        was not looked at yet. It is looked at again at 2026-01-01T02:00:00Z (in 60 min). The \
        claim's token 040g2081040g2081040g208104, or its CNAME to abc.edge.example, proves it: \
        run `hostquorum hostname check shop.example`.",
    );
    case.record.ownership.fault = Some("no TXT record; the owner must add one".into());
    says(
        &case,
        "before that: no TXT record; the owner must add one. It is looked",
    );
    case.certificate = Some(certificate(90));
    case.record.ownership.standing = Proof::Lapsed;
    says(
        &case,
        "It is no longer proven to be tenant default's, since 2026-01-01T00:00:00Z: what \
        is served stays, and nothing new is ordered: no TXT record",
    );
}

#[test]
fn a_look_before_an_order_and_a_hostname_that_is_parked() {
    let mut case = case();
    case.due = Some(START.plus(HOUR));
    let mut failure = failure(FailureClass::Preflight, 2);
    failure.reason = "AAAA leads elsewhere; the owner must change it".into();
    case.record.failure = Some(Box::new(failure.clone()));
    says(
        &case,
        "A look before its order failed at 2026-01-01T00:00:00Z (60 min ago): AAAA leads elsewhere; the owner must change it. The next try is due now. Run \
        `hostquorum hostname check shop.example`",
    );
    failure.parked = true;
    failure.count = 20;
    failure.next_try = START.plus(HOUR * 24);
    case.record.failure = Some(Box::new(failure));
    says(
        &case,
        "It is parked: 20 orders failed in a row since 2026-01-01T00:00:00Z, the last try 60 \
        min ago: AAAA leads elsewhere; the owner must change it. It is looked at again at \
        2026-01-02T00:00:00Z and tried as soon as that has changed",
    );
}

#[test]
fn what_a_limit_a_ca_and_a_new_key_hold_up() {
    let mut case = case();
    case.due = Some(START);
    case.limited = Some((LimitKind::Certificates, START.plus(HOUR * 3)));
    says(
        &case,
        "The limit of test-ca on certificates-per-domain allows no more before \
        2026-01-01T03:00:00Z (in 2 h): see `hostquorum ledger show --ca test-ca`.",
    );
    case.pause = Some("503 Service Unavailable.");
    says(
        &case,
        "The leader leaves test-ca alone for a moment: 503 Service Unavailable.",
    );
    case.ca.registration = Registration::Registered {
        key: account_key("t"),
        url: "https://ca.example/account/1".to_owned(),
        rollover: true,
    };
    says(&case, "The key of the account at test-ca is being changed");
}

#[test]
fn uploads_and_a_second_key() {
    let mut case = case();
    let mut brought = certificate(90);
    brought.source = Source::Uploaded;
    case.certificate = Some(brought.clone());
    case.due = Some(brought.renew_at);
    says(
        &case,
        "its uploaded certificate abcd from Test CA is valid until",
    );
    says(
        &case,
        "and is replaced by one that is ordered from 2026-03-02T00:00:00Z on.",
    );
    brought.renew_at = Timestamp(u64::MAX);
    case.certificate = Some(brought);
    says(
        &case,
        "nothing is ordered in its place: upload the next one in time.",
    );
    let wants = Wants {
        algorithms: Algorithms::Both,
        ..Wants::default()
    };
    case.record.wants = Some(std::sync::Arc::new(wants));
    says(
        &case,
        "One with an RSA key is wanted too and not there yet.",
    );
    let mut rsa = certificate(80);
    rsa.id = state::CertificateId([9; 32]);
    rsa.algorithm = KeyAlgorithm::Rsa;
    case.rsa = Some(rsa);
    says(
        &case,
        "Its certificate with an RSA key is valid until 2026-03-22T00:00:00Z.",
    );
}

#[test]
fn a_hostname_for_which_nothing_is_ordered() {
    let mut case = case();
    let wants = Wants {
        automatic: false,
        ..Wants::default()
    };
    case.record.wants = Some(std::sync::Arc::new(wants));
    says(
        &case,
        "Nothing is ordered for it: upload a certificate by `hostquorum certificate \
        upload shop.example",
    );
}

#[test]
fn a_revocation_and_a_window() {
    let mut case = case();
    let mut revoked = certificate(90);
    revoked.window = Some(state::Window {
        start: START.plus(HOUR * 24),
        end: START.plus(HOUR * 48),
    });
    case.certificate = Some(revoked.clone());
    says(
        &case,
        "within the CA's window from 2026-01-02T00:00:00Z to 2026-01-03T00:00:00Z",
    );
    let states = [
        (
            RevocationState::Wanted { next_try: START },
            "the CA is told at 2026-01-01T00:00:00Z",
        ),
        (
            RevocationState::Done,
            "abcd is revoked, as was asked for 60 min ago",
        ),
        (
            RevocationState::Refused("already expired".into()),
            "refused to revoke abcd: already",
        ),
    ];
    for (state, words) in states {
        revoked.revocation = Some(Box::new(state::Revocation {
            reason: 1,
            asked_at: START,
            state,
        }));
        case.certificate = Some(revoked.clone());
        says(&case, words);
    }
}

#[test]
fn a_claim_of_another_tenant() {
    let mut case = case();
    case.record.extra = Some(Box::new(state::Extra {
        contest: Some(state::Contest {
            tenant: "acme".parse().unwrap(),
            token: state::OwnershipToken([2; 16]),
            since: START,
            next_check: START,
            fault: Some("no TXT record".into()),
            claim: state::Index(9),
        }),
        ..state::Extra::default()
    }));
    says(
        &case,
        "Tenant acme claims it since 60 min ago; it stays tenant default's unless the \
        claim is proven before 2026-01-08T00:00:00Z. The last look found: no TXT record.",
    );
}
