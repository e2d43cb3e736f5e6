//! How runs end, as `--help` promises.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use state::{Change, Evidence, FailureClass, KeyPurpose, Sealed, Term, testing::START};

use crate::program::{Home, stand};

#[tokio::test(flavor = "multi_thread")]
async fn no_quorum_is_told_apart() {
    let (node, home) = stand().await;
    node.alone.authorize("shop.example");
    node.doubles.no_quorum.store(true, Ordering::Relaxed);
    let status = home.run("cluster status").await.ends(2);
    assert!(
        status.out.contains("NO: nothing can be changed"),
        "{status:?}"
    );
    for line in [
        "hostname add new.example",
        "hostname remove shop.example",
        "origin set http://app:8080",
        "token create --role node",
        "token revoke 1",
    ] {
        let ran = home.run(line).await.ends(5);
        ran.complains("OUTCOME_UNKNOWN");
        ran.complains("look before trying again");
        assert!(!ran.out.contains("hq1."), "no token is shown: {ran:?}");
    }
    for line in [
        "hostname show shop.example",
        "hostname list",
        "token list",
        "origin show",
    ] {
        home.run(line).await.ends(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_hostname_is_a_bad_answer() {
    let (node, home) = stand().await;
    node.alone.authorize("shop.example");
    node.alone.register(Term(1), "thumbprint");
    let key = Sealed {
        purpose: KeyPurpose::Serving,
        generation: 1,
        nonce: [0; 12],
        ciphertext: Bytes::new(),
    };
    let order = node.alone.prepare(Term(1), "shop.example", key, "token");
    node.alone.duty(
        Term(1),
        Change::FailOrder {
            order,
            evidence: Evidence::Invalid,
            class: FailureClass::Challenge,
            reason: "connection refused".to_owned(),
            next_try: START.plus(std::time::Duration::from_secs(60)),
        },
    );
    let shown = home.run("hostname show shop.example").await.ends(2);
    assert!(
        shown.out.contains("challenge: connection refused"),
        "{shown:?}"
    );
    let explained = home.run("hostname explain shop.example").await.ends(2);
    assert!(explained.out.contains("port 80 is open"), "{explained:?}");
    let waited = home
        .run("hostname wait shop.example --timeout 20s")
        .await
        .ends(2);
    waited.complains("shop.example failed: challenge: connection refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_over_is_told_apart() {
    let (node, home) = stand().await;
    node.alone.authorize("shop.example");
    let waited = home
        .run("hostname wait shop.example --timeout 1s")
        .await
        .ends(124);
    waited.complains("the time is over and shop.example is pending");
    home.run("hostname watch shop.example --timeout 1s")
        .await
        .ends(124);
    home.run("hostname add other.example --wait --timeout 1s")
        .await
        .ends(124);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_may_look_and_not_change() {
    let (node, home) = stand().await;
    let viewer = node.viewer();
    home.write_context("vera", vec![node.address.clone()], viewer);
    home.run("cluster status --context vera").await.ends(0);
    let denied = home
        .run("hostname add shop.example --context vera")
        .await
        .ends(1);
    denied.complains("PERMISSION_DENIED");
    denied.complains("ask an administrator");
    assert_eq!(node.alone.state().hostname_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_use_is_an_error_and_help_is_not() {
    let home = Home::new();
    home.run("").await.ends(1);
    home.run("hostname").await.ends(1);
    home.run("cluster fly").await.ends(1);
    home.run("--version").await.ends(0);
    let help = home.run("--help").await.ends(0);
    assert!(help.out.contains("124  the time given"), "{help:?}");
    home.run("hostname list")
        .await
        .ends(1)
        .complains("there is no context");
}
