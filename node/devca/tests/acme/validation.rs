//! How the CA looks at hostnames, over loopback.

use std::time::Duration;

use devca::{Agreement, Config, Probing, Running, Server};
use http::Request;
use instant_acme::{Account, ChallengeType, Error, HttpClient, Order, OrderStatus, RetryPolicy};

use crate::client::{Https, account, answer, ca_for, config, new_order};
use crate::site::Site;

const NAME: &str = "shop.client.example";

async fn outcome(order: &mut Order) -> Result<OrderStatus, String> {
    match order.poll_ready(&RetryPolicy::default()).await {
        Ok(status) => Ok(status),
        Err(Error::Api(problem)) => {
            let kind = problem.r#type.unwrap_or_default();
            let kind = kind.rsplit(':').next().unwrap_or_default().to_owned();
            Err(format!("{kind}: {}", problem.detail.unwrap_or_default()))
        }
        Err(error) => panic!("{error}"),
    }
}

/// Orders for `NAME`, with answers on all of `sites`.
async fn tried(account: &Account, kind: ChallengeType, sites: &[&Site]) -> Order {
    let mut order = new_order(account, &[NAME]).await;
    let mut authorizations = order.authorizations();
    let mut authorization = authorizations.next().await.unwrap().unwrap();
    let mut challenge = authorization.challenge(kind).unwrap();
    for site in sites {
        let token = challenge.token.clone();
        site.serve(NAME, &token, challenge.key_authorization().as_str());
    }
    challenge.set_ready().await.unwrap();
    order
}

#[tokio::test]
async fn a_wrong_answer_is_refused() {
    let site = Site::start().await;
    let ca = ca_for(&site).await;
    let account = account(&ca).await;
    let mut absent = tried(&account, ChallengeType::Http01, &[]).await;
    let told = outcome(&mut absent).await.unwrap_err();
    assert!(
        told.starts_with("unauthorized: ") && told.contains("404"),
        "{told}"
    );
    let mut other = new_order(&account, &[NAME]).await;
    let mut authorizations = other.authorizations();
    let mut authorization = authorizations.next().await.unwrap().unwrap();
    let mut challenge = authorization.challenge(ChallengeType::Http01).unwrap();
    let token = challenge.token.clone();
    site.serve(NAME, &token, "another answer");
    challenge.set_ready().await.unwrap();
    let told = outcome(&mut other).await.unwrap_err();
    assert!(told.contains("not the key authorization"), "{told}");
    let mut alpn = tried(&account, ChallengeType::TlsAlpn01, &[]).await;
    let told = outcome(&mut alpn).await.unwrap_err();
    assert!(told.starts_with("incorrectResponse: "), "{told}");
    ca.shutdown().await;
}

#[tokio::test]
async fn an_absent_host_is_told_as_such() {
    let site = Site::start().await;
    let ca = ca_for(&site).await;
    let account = account(&ca).await;
    drop(site);
    for kind in [ChallengeType::Http01, ChallengeType::TlsAlpn01] {
        let mut order = tried(&account, kind, &[]).await;
        let told = outcome(&mut order).await.unwrap_err();
        assert!(told.starts_with("connection: "), "{told}");
    }
    ca.shutdown().await;
}

#[tokio::test]
async fn redirects_are_followed_to_a_limit() {
    let site = Site::start().await;
    let ca = ca_for(&site).await;
    let account = account(&ca).await;
    let mut order = new_order(&account, &[NAME]).await;
    let mut authorizations = order.authorizations();
    let mut authorization = authorizations.next().await.unwrap().unwrap();
    let mut challenge = authorization.challenge(ChallengeType::Http01).unwrap();
    let path = format!("/.well-known/acme-challenge/{}", challenge.token);
    let port = site.vantage().tls.port();
    site.serve("other.example", "t", challenge.key_authorization().as_str());
    site.redirect(NAME, &path, "/relative");
    site.redirect(
        NAME,
        "/relative",
        &format!("https://other.example:{port}/deep"),
    );
    let target = format!("other.example:{port}");
    site.redirect(
        &target,
        "/deep",
        "http://other.example/.well-known/acme-challenge/t",
    );
    challenge.set_ready().await.unwrap();
    assert_eq!(outcome(&mut order).await, Ok(OrderStatus::Ready));

    let mut order = new_order(&account, &[NAME]).await;
    let mut authorizations = order.authorizations();
    let mut authorization = authorizations.next().await.unwrap().unwrap();
    let mut challenge = authorization.challenge(ChallengeType::Http01).unwrap();
    let path = format!("/.well-known/acme-challenge/{}", challenge.token);
    site.redirect(NAME, &path, &path);
    challenge.set_ready().await.unwrap();
    let told = outcome(&mut order).await.unwrap_err();
    assert!(told.contains("more than 10 redirects"), "{told}");
    ca.shutdown().await;
}

async fn ca_looking_at(sites: &[&Site], agreement: Agreement) -> Running {
    let vantages = sites.iter().map(|site| site.vantage()).collect();
    let mut probing = Probing::vantages(vantages, agreement);
    probing.timeout = Duration::from_secs(2);
    Server::start(config(probing)).await.unwrap()
}

#[tokio::test]
async fn three_nodes_are_looked_at_as_told() {
    let sites = [
        Site::start().await,
        Site::start().await,
        Site::start().await,
    ];
    let all: Vec<_> = sites.iter().collect();
    let ca = ca_looking_at(&all, Agreement::Every).await;
    let account = account(&ca).await;
    let mut order = tried(&account, ChallengeType::Http01, &all).await;
    assert_eq!(outcome(&mut order).await, Ok(OrderStatus::Ready));
    let mut order = tried(&account, ChallengeType::Http01, &all[..2]).await;
    assert!(outcome(&mut order).await.is_err());

    let [one, two, three] = &sites;
    let vantages = vec![one.vantage(), two.vantage(), three.vantage()];
    ca.set_probing(Probing::vantages(vantages, Agreement::AtLeast(2)));
    let mut order = tried(&account, ChallengeType::Http01, &all[..2]).await;
    assert_eq!(outcome(&mut order).await, Ok(OrderStatus::Ready));

    let [one, two, three] = sites;
    let vantages = vec![one.vantage(), two.vantage(), three.vantage()];
    drop(three);
    ca.set_probing(Probing::vantages(vantages, Agreement::EveryReachable));
    let mut order = tried(&account, ChallengeType::TlsAlpn01, &[&one, &two]).await;
    assert_eq!(outcome(&mut order).await, Ok(OrderStatus::Ready));
    let mut order = tried(&account, ChallengeType::Http01, &[&one]).await;
    assert!(outcome(&mut order).await.is_err());
    ca.shutdown().await;
}

#[tokio::test]
async fn names_are_resolved_and_probed_on_ports_of_their_own() {
    let site = Site::start().await;
    let vantage = site.vantage();
    let probing = Probing::loopback(vantage.http.port(), vantage.tls.port());
    let ca = Server::start(config(probing)).await.unwrap();
    let account = account(&ca).await;
    let mut order = new_order(&account, &[NAME, "www.client.example"]).await;
    answer(&mut order, ChallengeType::Http01, &site).await;
    assert_eq!(outcome(&mut order).await, Ok(OrderStatus::Ready));
    ca.shutdown().await;
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused_with_a_nonce() {
    let site = Site::start().await;
    let config: Config = config(site.probing());
    let ca = Server::start(config).await.unwrap();
    let url = ca.directory_url().replace("directory", "order");
    let request = Request::post(url)
        .header("content-type", "application/jose+json")
        .body(vec![b'x'; 70_000].into())
        .unwrap();
    let response = Https::trusting(&ca).request(request).await.unwrap();
    assert_eq!(response.parts.status, 413);
    assert!(response.parts.headers.contains_key("replay-nonce"));
    ca.shutdown().await;
}
