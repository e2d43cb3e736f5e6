//! Where nodes meet.

use aws::Parameters;
use cluster::{
    meeting::{Claim, Meeting as _, MeetingError},
    token::RootPin,
};
use state::ClusterId;
use tokio::net::TcpListener;

use crate::{REGION, account_at};

async fn parameters(cluster: &str, node: &str) -> Parameters {
    Parameters::new(account_at(moto::url()).await, cluster, node)
}

/// As whoever administers the account.
fn put(name: &str, kind: &str, value: &str) {
    let body = serde_json::json!({ "Name": name, "Type": kind, "Value": value });
    moto::ask("ssm", REGION, "AmazonSSM.PutParameter", &body.to_string());
}

fn claim(founder: &str, cluster: u8) -> Claim {
    Claim {
        founder: founder.to_owned(),
        cluster: ClusterId([cluster; 16]),
        root: RootPin([cluster; 32]),
    }
}

#[tokio::test]
async fn of_two_that_claim_at_once_one_does() {
    let (a, b) = (
        parameters("at-once", "a").await,
        parameters("at-once", "b").await,
    );
    assert_eq!(a.claimed().await.unwrap(), None);
    let (of_a, of_b) = (claim("a", 1), claim("b", 2));
    let (first, second) = tokio::join!(a.claim(&of_a), b.claim(&of_b));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first != second, "{first} {second}");
    let winner = if first { of_a } else { of_b };
    assert_eq!(a.claimed().await.unwrap(), Some(winner.clone()));
    assert_eq!(b.claimed().await.unwrap(), Some(winner.clone()));
    assert!(!a.claim(&winner).await.unwrap(), "asked again");
}

#[tokio::test]
async fn an_invitation_is_for_one_node_and_sealed() {
    let token = format!("hq1.01010101.{}.42.{}", "a".repeat(52), "a".repeat(52));
    let value = format!("{{\"sponsor\": \"10.0.0.1:7444\", \"token\": \"{token}\"}}");
    put("/invites/nodes/b/invitation", "SecureString", &value);
    let found = parameters("invites", "b").await.invitation().await.unwrap();
    let found = found.unwrap();
    assert_eq!(found.sponsor, "10.0.0.1:7444");
    assert_eq!(found.token.invitation, 42);
    let other = parameters("invites", "c").await.invitation().await.unwrap();
    assert!(other.is_none(), "{other:?}");
}

#[tokio::test]
async fn what_something_else_wrote_is_told_and_its_text_is_not() {
    put("/spoilt/cluster", "String", "{\"founder\": \"sesame\"}");
    put("/spoilt/nodes/a/invitation", "SecureString", "sesame");
    let spoilt = parameters("spoilt", "a").await;
    let errors = [
        spoilt.claimed().await.unwrap_err(),
        spoilt.invitation().await.unwrap_err(),
    ];
    for (error, name) in errors.iter().zip(["/spoilt/cluster", "/a/invitation"]) {
        assert!(matches!(error, MeetingError::Refused(_)), "{error}");
        let told = error.to_string();
        assert!(told.contains(name) && !told.contains("sesame"), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_silent_can_be_asked_again() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let account = account_at(&format!("http://{address}")).await;
    let error = Parameters::new(account, "edge", "a").claimed().await;
    let error = error.unwrap_err();
    assert!(matches!(error, MeetingError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("/edge/cluster"), "{error}");
}

#[tokio::test]
async fn a_store_that_refuses_is_told_with_its_words() {
    // Names may not begin so: moto refuses as AWS does.
    let refused = parameters("aws", "a").await.claim(&claim("a", 1)).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, MeetingError::Refused(_)), "{refused}");
    assert!(refused.to_string().contains("/aws/cluster"), "{refused}");
}
