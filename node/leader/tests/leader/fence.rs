//! The fence on a real connection: what may not leave does not, to the last byte.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use leader::{
    fence::{Permit, Shut},
    issuance::{
        acme::{AcmeAuthorities, Tcp},
        authority::{Authorities, Authority, AuthorityError, OrderStatus},
        request::{P256, Requests},
    },
};
use state::{
    Account, KeyPurpose, OrderId, Placed, Registration, Sealed, Term,
    ports::{Clock, Lease},
    testing::{ManualClock, found, host, placed},
};
use tokio::time::{Instant, sleep, timeout};

use crate::recorder::{Answer, Recorder};

/// A lease that holds for so many questions.
struct Holds(AtomicU32);

impl Lease for Holds {
    fn holds(&self, _: Term) -> bool {
        let left = self
            .0
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        left.is_ok()
    }
}

struct Bench {
    clock: Arc<ManualClock>,
    lease: Arc<Holds>,
    recorder: Recorder,
    authority: Arc<dyn Authority>,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|_, _| None).await
    }

    async fn with(script: impl Fn(&str, u32) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self::at(Arc::new(ManualClock::default()), script).await
    }

    async fn at(
        clock: Arc<ManualClock>,
        script: impl Fn(&str, u32) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let recorder = Recorder::start(script).await;
        let lease = Arc::new(Holds(AtomicU32::new(u32::MAX)));
        let key = P256.account_key().unwrap();
        let account = Account {
            directory: format!("{}/directory", recorder.base),
            trust_roots_pem: recorder.root_pem.clone(),
            registration: Registration::Registered {
                key: Sealed {
                    purpose: KeyPurpose::Control,
                    generation: 1,
                    nonce: [0; 12],
                    ciphertext: bytes::Bytes::new(),
                },
                thumbprint: key.thumbprint,
                url: format!("{}/account/1", recorder.base),
            },
            ..found().account
        };
        let authorities = AcmeAuthorities::new(Arc::new(Tcp), lease.clone(), clock.clone());
        let authority = authorities.open(&account, &key.key).unwrap();
        Self {
            clock,
            lease,
            recorder,
            authority,
        }
    }

    fn permit(&self) -> Permit {
        Permit::new(Term(3), self.clock.boottime())
    }

    fn placed(&self) -> Placed {
        Placed {
            url: format!("{}/order/1", self.recorder.base),
            ..placed(OrderId(1), "token")
        }
    }

    async fn order(&self, permit: Permit) -> Result<(), AuthorityError> {
        let name = host("shop.example");
        let order = self.authority.new_order(&name, permit);
        order.await.map(|_| ())
    }
}

#[tokio::test]
async fn a_warm_road_makes_an_act_one_request_on_one_connection() {
    let bench = Bench::new().await;
    bench.authority.warm().await.unwrap();
    let before = bench.recorder.requests().len();
    bench.order(bench.permit()).await.unwrap();
    let after = bench.recorder.requests();
    assert_eq!(after.len(), before + 1);
    assert!(after[before].starts_with("POST /new "), "{}", after[before]);

    // Finalizing an order that was just made reads nothing first.
    let placed = bench.placed();
    let view = bench.authority.finalize(&placed, b"csr", bench.permit());
    assert_eq!(view.await.unwrap().status, OrderStatus::Ready);
    let requests = bench.recorder.requests();
    assert_eq!(requests.len(), before + 2);
    assert!(requests[before + 1].starts_with("POST /finalize/1 "));
    assert_eq!(bench.recorder.connections(), 1);
}

#[tokio::test]
async fn an_expired_permission_lets_no_byte_out() {
    let bench = Bench::new().await;
    bench.authority.warm().await.unwrap();
    let permit = bench.permit();
    bench.clock.advance(Duration::from_secs(3));
    let error = bench.order(permit).await.unwrap_err();
    assert_eq!(error, AuthorityError::Fenced(Shut::Late));
    assert_eq!(bench.recorder.posts(), 0);
}

#[tokio::test]
async fn a_lost_lease_lets_no_byte_out() {
    let bench = Bench::new().await;
    bench.authority.warm().await.unwrap();
    bench.lease.0.store(0, SeqCst);
    let error = bench.order(bench.permit()).await.unwrap_err();
    assert_eq!(error, AuthorityError::Fenced(Shut::Deposed));
    assert_eq!(bench.recorder.posts(), 0);
}

#[tokio::test]
async fn a_lease_that_is_lost_while_the_request_is_made_lets_no_byte_out() {
    let bench = Bench::new().await;
    bench.authority.warm().await.unwrap();
    // It holds when the call begins, and no more at the write.
    bench.lease.0.store(1, SeqCst);
    let error = bench.order(bench.permit()).await.unwrap_err();
    assert_eq!(error, AuthorityError::Fenced(Shut::Deposed));
    sleep(Duration::from_millis(50)).await;
    assert_eq!(bench.recorder.posts(), 0);
}

#[tokio::test]
async fn an_answer_may_come_after_the_permission_has_ended() {
    let clock = Arc::new(ManualClock::default());
    let patient = clock.clone();
    let slow = move |line: &str, _: u32| {
        if line.starts_with("POST /new ") {
            patient.advance(Duration::from_secs(10));
        }
        None
    };
    let bench = Bench::at(clock, slow).await;
    bench.authority.warm().await.unwrap();
    bench.order(bench.permit()).await.unwrap();
    assert_eq!(bench.recorder.posts(), 1);
}

#[tokio::test]
async fn reading_needs_no_permission() {
    let bench = Bench::new().await;
    bench.lease.0.store(0, SeqCst);
    let view = bench.authority.order(&bench.placed().url).await.unwrap();
    assert_eq!(view.status, OrderStatus::Ready);
    assert_eq!(bench.recorder.posts(), 1, "a POST-as-GET");
}

#[tokio::test]
async fn the_repetition_after_a_bad_nonce_asks_again() {
    let stale = |line: &str, _: u32| {
        let body = r#"{"type":"urn:ietf:params:acme:error:badNonce","detail":"stale"}"#;
        let new = line.starts_with("POST /new ");
        new.then(|| Answer::Say("400 Bad Request", body.to_owned()))
    };
    let bench = Bench::with(stale).await;
    bench.authority.warm().await.unwrap();
    let error = bench.order(bench.permit()).await.unwrap_err();
    assert_eq!(error.kind(), "badNonce");
    assert_eq!(bench.recorder.posts(), 3, "instant-acme's own tries");

    // Asked at the call, at the write and at the flush of the first; never again.
    let bench = Bench::with(stale).await;
    bench.authority.warm().await.unwrap();
    let lease = bench.lease.clone();
    let order = bench.order(bench.permit());
    let depose = async {
        while bench.recorder.posts() == 0 {
            tokio::task::yield_now().await;
        }
        lease.0.store(0, SeqCst);
    };
    let (outcome, ()) = tokio::join!(order, depose);
    assert_eq!(outcome.unwrap_err(), AuthorityError::Fenced(Shut::Deposed));
    assert_eq!(bench.recorder.posts(), 1);
}

#[tokio::test]
async fn a_request_that_is_abandoned_is_reset_and_not_left_to_the_kernel() {
    let silent = |line: &str, _: u32| line.starts_with("POST /new ").then_some(Answer::Silence);
    let bench = Bench::with(silent).await;
    bench.authority.warm().await.unwrap();
    let order = timeout(Duration::from_millis(200), bench.order(bench.permit()));
    assert!(order.await.is_err(), "it was cut off while waiting");
    assert_eq!(bench.recorder.posts(), 1);
    let limit = Instant::now() + Duration::from_secs(5);
    while bench.recorder.resets() == 0 {
        assert!(Instant::now() < limit, "the connection was not reset");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_connection_that_the_ca_has_closed_is_not_the_end_of_a_request() {
    let bench = Bench::new().await;
    bench.authority.warm().await.unwrap();
    // Longer than an idle connection is trusted.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    bench.order(bench.permit()).await.unwrap();
    assert_eq!(bench.recorder.connections(), 2);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let huge = |line: &str, _: u32| {
        let order = line.starts_with("POST /order/1 ");
        order.then(|| Answer::Say("200 OK", "x".repeat(300 * 1024)))
    };
    let bench = Bench::with(huge).await;
    let error = bench
        .authority
        .order(&bench.placed().url)
        .await
        .unwrap_err();
    assert!(matches!(error, AuthorityError::Unknown(_)), "{error}");
}

#[tokio::test]
async fn what_is_no_acme_is_told_apart() {
    let page = |line: &str, _: u32| {
        let new = line.starts_with("POST /new ");
        new.then(|| Answer::Say("503 Service Unavailable\r\nRetry-After: 7", "<html>".into()))
    };
    let bench = Bench::with(page).await;
    let error = bench.order(bench.permit()).await.unwrap_err();
    let expected = AuthorityError::Unavailable {
        status: 503,
        retry_after: Some(Duration::from_secs(7)),
    };
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_ca_that_is_not_there_or_not_trusted_was_sent_nothing() {
    let bench = Bench::new().await;
    let other = Recorder::start(|_, _| None).await;
    let key = P256.account_key().unwrap();
    for (directory, roots) in [
        (
            "https://127.0.0.1:1/directory".to_owned(),
            &bench.recorder.root_pem,
        ),
        (
            format!("{}/directory", other.base),
            &bench.recorder.root_pem,
        ),
        (
            format!("{}/directory", other.base).replace("https", "http"),
            &other.root_pem,
        ),
    ] {
        let account = Account {
            directory,
            trust_roots_pem: roots.clone(),
            ..found().account
        };
        let authorities =
            AcmeAuthorities::new(Arc::new(Tcp), bench.lease.clone(), bench.clock.clone());
        let authority = authorities.open(&account, &key.key).unwrap();
        let error = authority.warm().await.unwrap_err();
        assert!(matches!(error, AuthorityError::Unreachable(_)), "{error}");
        let error = authority.register(bench.permit()).await.unwrap_err();
        assert!(matches!(error, AuthorityError::Unreachable(_)), "{error}");
    }
    assert_eq!(other.requests(), Vec::<String>::new());
}

#[test]
fn an_account_that_cannot_be_used_says_why() {
    let clock = Arc::new(ManualClock::default());
    let lease = Arc::new(Holds(AtomicU32::new(0)));
    let authorities = AcmeAuthorities::new(Arc::new(Tcp), lease, clock);
    let key = P256.account_key().unwrap().key;
    for (directory, roots, expected) in [
        ("not a url", "", "no URL"),
        ("https://ca.example/", "not pem", "no trust root"),
        (
            "https://ca.example/",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "no certificate",
        ),
    ] {
        let account = Account {
            directory: directory.to_owned(),
            trust_roots_pem: roots.to_owned(),
            ..found().account
        };
        let Err(error) = authorities.open(&account, &key) else {
            panic!("{directory}: it opened");
        };
        assert!(error.to_string().contains(expected), "{error}");
    }
}
