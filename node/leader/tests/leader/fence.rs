//! The fence on a real connection: what may not leave does not, to the last byte.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use leader::{
    fence::{Permit, Shut},
    issuance::{
        acme::{AcmeAuthorities, Tcp},
        authority::{
            Access, Authorities, Authority, AuthorityError, FinalizeRequest, OrderRequest,
            OrderStatus, Rates, RevocationReason,
        },
    },
};
use state::testing::{ManualClock, host};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    client::{Client, Holds, new_key, plain},
    recorder::{Answer, Recorder},
};

struct Bench {
    clock: Arc<ManualClock>,
    client: Client,
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
        let directory = format!("{}/directory", recorder.base);
        let client = Client::at(clock.clone(), &directory, &recorder.root_pem);
        let account = format!("{}/account/1", recorder.base);
        Self {
            authority: client.open(&new_key(), Some(&account)),
            clock,
            client,
            recorder,
        }
    }

    fn permit(&self) -> Permit {
        self.client.permit()
    }

    fn lease(&self) -> &Arc<Holds> {
        &self.client.lease
    }

    fn order_url(&self) -> String {
        format!("{}/order/1", self.recorder.base)
    }

    async fn order(&self, permit: Permit) -> Result<(), AuthorityError> {
        let name = host("shop.example");
        let request = OrderRequest::of(&name);
        self.authority.new_order(&request, permit).await.map(|_| ())
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
    let order_url = bench.order_url();
    let request = FinalizeRequest {
        order_url: &order_url,
        finalize_url: &format!("{}/finalize/1", bench.recorder.base),
        csr: b"csr",
    };
    let view = bench.authority.finalize(&request, bench.permit());
    assert_eq!(view.await.unwrap().status, OrderStatus::Ready);
    let requests = bench.recorder.requests();
    assert_eq!(requests.len(), before + 2);
    assert!(requests[before + 1].starts_with("POST /finalize/1 "));
    assert_eq!(bench.recorder.connections(), 1);
}

/// All that has an effect, whoever signs it.
#[derive(Clone, Copy, Debug)]
enum Act {
    Register,
    Contacts,
    RollKey,
    Order,
    Ready,
    Finalize,
    Revoke,
}

const ACTS: [Act; 7] = [
    Act::Register,
    Act::Contacts,
    Act::RollKey,
    Act::Order,
    Act::Ready,
    Act::Finalize,
    Act::Revoke,
];

impl Bench {
    async fn act(&self, act: Act, permit: Permit) -> Result<(), AuthorityError> {
        let (authority, base) = (&self.authority, &self.recorder.base);
        let account = format!("{base}/account/1");
        match act {
            Act::Register => authority.register(&plain(), permit).await.map(|_| ()),
            Act::Contacts => authority.set_contacts(&account, &[], permit).await,
            Act::RollKey => authority.roll_key(&account, &new_key(), permit).await,
            Act::Order => self.order(permit).await,
            Act::Ready => authority.ready(&format!("{base}/challenge"), permit).await,
            Act::Finalize => {
                let request = FinalizeRequest {
                    order_url: &self.order_url(),
                    finalize_url: &format!("{base}/finalize/1"),
                    csr: b"csr",
                };
                authority.finalize(&request, permit).await.map(|_| ())
            }
            Act::Revoke => {
                let reason = RevocationReason::Unspecified;
                authority.revoke(b"leaf", reason, permit).await
            }
        }
    }

    /// A CA that offers everything.
    async fn generous() -> Self {
        let bench = Self::with(|line, _| {
            let directory = r#"{"newNonce":"{base}/nonce","newAccount":"{base}/account",
                "newOrder":"{base}/new","revokeCert":"{base}/revoke","keyChange":"{base}/roll"}"#;
            let body = if line.starts_with("GET /directory") {
                directory
            } else if line.contains("/account") {
                r#"{"status":"valid"}"#
            } else {
                return None;
            };
            Some(Answer::Say("200 OK", body.to_owned()))
        })
        .await;
        bench.authority.warm().await.unwrap();
        bench
    }
}

#[tokio::test]
async fn a_permission_that_holds_lets_each_act_out_once() {
    let bench = Bench::generous().await;
    for (at, act) in ACTS.into_iter().enumerate() {
        bench.act(act, bench.permit()).await.unwrap();
        assert_eq!(bench.recorder.posts(), at + 1, "{act:?}");
    }
}

#[tokio::test]
async fn an_expired_permission_lets_no_byte_out() {
    let bench = Bench::generous().await;
    let permit = bench.permit();
    bench.clock.advance(Duration::from_secs(3));
    for act in ACTS {
        let error = bench.act(act, permit).await.unwrap_err();
        assert_eq!(error, AuthorityError::Fenced(Shut::Late), "{act:?}");
    }
    assert_eq!(bench.recorder.posts(), 0);
}

#[tokio::test]
async fn a_lost_lease_lets_no_byte_out() {
    let bench = Bench::generous().await;
    bench.lease().0.store(0, SeqCst);
    for act in ACTS {
        let error = bench.act(act, bench.permit()).await.unwrap_err();
        assert_eq!(error, AuthorityError::Fenced(Shut::Deposed), "{act:?}");
    }
    assert_eq!(bench.recorder.posts(), 0);
}

#[tokio::test]
async fn a_lease_that_is_lost_while_the_request_is_made_lets_no_byte_out() {
    let bench = Bench::generous().await;
    for act in ACTS {
        // It holds when the call begins, and no more at the write.
        bench.lease().0.store(1, SeqCst);
        let error = bench.act(act, bench.permit()).await.unwrap_err();
        assert_eq!(error, AuthorityError::Fenced(Shut::Deposed), "{act:?}");
    }
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
    bench.lease().0.store(0, SeqCst);
    let view = bench.authority.order(&bench.order_url()).await.unwrap();
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
    assert_eq!(bench.recorder.posts(), 24, "and has an end");
    let url = format!("{}/challenge", bench.recorder.base);
    bench.authority.ready(&url, bench.permit()).await.unwrap();

    // Asked at the call, at the write and at the flush of the first; never again.
    let bench = Bench::with(stale).await;
    bench.authority.warm().await.unwrap();
    let lease = bench.lease().clone();
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
    let error = bench.authority.order(&bench.order_url()).await.unwrap_err();
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
    let away = format!("{}/directory", other.base);
    let plain_http = away.replace("https", "http");
    for (directory, roots) in [
        ("https://127.0.0.1:1/directory", &bench.recorder.root_pem),
        (away.as_str(), &bench.recorder.root_pem),
        (plain_http.as_str(), &other.root_pem),
    ] {
        let client = Client::at(bench.clock.clone(), directory, roots);
        let authority = client.open(&new_key(), None);
        let error = authority.warm().await.unwrap_err();
        assert!(matches!(error, AuthorityError::Unreachable(_)), "{error}");
        let error = authority.register(&plain(), bench.permit()).await;
        let error = error.unwrap_err();
        assert!(matches!(error, AuthorityError::Unreachable(_)), "{error}");
    }
    assert_eq!(other.requests(), Vec::<String>::new());
}

#[test]
fn an_account_that_cannot_be_used_says_why() {
    let clock = Arc::new(ManualClock::default());
    for (directory, roots, expected) in [
        ("not a url", "", "no URL"),
        ("https://ca.example/", "not pem", "no trust root"),
        (
            "https://ca.example/",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "no certificate",
        ),
    ] {
        let client = Client::at(clock.clone(), directory, roots);
        let Err(error) = client.try_open(&new_key(), None) else {
            panic!("{directory}: it opened");
        };
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_key_other_than_the_one_agreed_on_is_not_used() {
    let clock = Arc::new(ManualClock::default());
    let client = Client::at(clock.clone(), "https://ca.example/", "");
    let authorities = AcmeAuthorities::new(Arc::new(Tcp), client.lease.clone(), clock);
    let opened = authorities.open(&Access {
        directory: "https://ca.example/",
        trust_roots_pem: "",
        rates: Rates::UNPUBLISHED,
        key: &new_key(),
        thumbprint: Some("another"),
        account_url: None,
    });
    let Err(error) = opened else {
        panic!("it opened");
    };
    assert!(error.to_string().contains("thumbprint"), "{error}");
}
