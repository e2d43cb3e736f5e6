//! From an order to its certificate and its revocation, by what a CA shows on the way.

use std::collections::BTreeSet;

use leader::issuance::authority::{
    AuthorityError, AuthorizationStatus, ChallengeKind, Feature, OrderRequest, OrderStatus,
    RevocationReason, renewal_id,
};
use state::testing::host;
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use crate::{
    client::{Client, leaf},
    pebble::server::{Manners, Server as Pebble},
};

async fn pebble(refused_nonces: u32) -> Option<(Pebble, Client)> {
    let pebble = Pebble::start(Manners {
        refused_nonces,
        credulous: true,
        alternate_roots: 2,
        ..Manners::default()
    });
    let pebble = pebble.await?;
    let client = Client::now(&pebble.directory, &pebble.root_pem);
    Some((pebble, client))
}

fn names(leaf: &[u8]) -> BTreeSet<String> {
    let (_, leaf) = X509Certificate::from_der(leaf).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    let names = names.value.general_names.iter().map(|name| match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        other => panic!("{other}"),
    });
    names.collect()
}

#[tokio::test]
async fn a_wildcard_stands_beside_its_base_in_one_order() {
    let Some((pebble, client)) = pebble(0).await else {
        return;
    };
    let account = client.register().await;
    let name = host("shop.example");
    let request = OrderRequest {
        wildcard: true,
        ..OrderRequest::of(&name)
    };
    let order = account.authority.new_order(&request, client.permit()).await;
    let order = order.unwrap();
    assert_eq!(order.status, OrderStatus::Pending);
    assert!(order.expires.is_some_and(|at| at > client.clock.now()));
    let asked: BTreeSet<_> = order.identifiers.iter().map(String::as_str).collect();
    assert_eq!(asked, BTreeSet::from(["*.shop.example", "shop.example"]));
    let mut seen = Vec::new();
    for url in &order.authorization_urls {
        let view = account.authority.authorization(url).await.unwrap();
        assert_eq!((view.hostname.as_str(), &view.url), ("shop.example", url));
        assert_eq!(view.status, AuthorizationStatus::Pending);
        let dns = view.challenge(&ChallengeKind::Dns01).unwrap();
        assert!(dns.token.is_some() && dns.error.is_none());
        let by_file = view.challenge(&ChallengeKind::Http01).is_some();
        seen.push((view.wildcard, by_file));
    }
    seen.sort_unstable();
    assert_eq!(seen, [(false, true), (true, false)]);

    let obtained = account.obtain(&client, &request).await;
    let expected = ["*.shop.example", "shop.example"].map(str::to_owned);
    assert_eq!(names(&obtained.leaf), BTreeSet::from(expected));
    assert_eq!(pebble.issued(), 1);
}

#[tokio::test]
async fn other_chains_are_offered_for_the_same_leaf() {
    let Some((_pebble, client)) = pebble(0).await else {
        return;
    };
    let account = client.register().await;
    let name = host("shop.example");
    let obtained = account.obtain(&client, &OrderRequest::of(&name)).await;
    assert_eq!(obtained.chain.alternates.len(), 2);
    let mut chains = BTreeSet::from([obtained.chain.pem.clone()]);
    for url in &obtained.chain.alternates {
        let pem = account.authority.alternate(url).await.unwrap();
        assert_eq!(leaf(&pem), obtained.leaf);
        chains.insert(pem);
    }
    assert_eq!(chains.len(), 3, "each is another");
}

#[tokio::test]
async fn a_certificate_is_revoked_once_and_twice_is_no_fault() {
    let Some((_pebble, client)) = pebble(0).await else {
        return;
    };
    let account = client.register().await;
    let name = host("shop.example");
    let obtained = account.obtain(&client, &OrderRequest::of(&name)).await;
    let stranger = client.register().await;
    let leaf = &obtained.leaf;
    let revoke = |by: &crate::client::Registered| {
        let (authority, permit) = (by.authority.clone(), client.permit());
        async move {
            let reason = RevocationReason::Superseded;
            authority.revoke(leaf, reason, permit).await
        }
    };
    let error = revoke(&stranger).await.unwrap_err();
    assert!(matches!(error, AuthorityError::Refused(_)), "{error}");
    revoke(&account).await.unwrap();
    revoke(&account).await.unwrap();
}

#[tokio::test]
async fn a_ca_that_refuses_most_nonces_costs_patience_and_nothing_else() {
    let Some((pebble, client)) = pebble(60).await else {
        return;
    };
    let account = client.register().await;
    for number in 0..5 {
        let name = host(&format!("n{number}.example"));
        let obtained = account.obtain(&client, &OrderRequest::of(&name)).await;
        for url in &obtained.chain.alternates {
            account.authority.alternate(url).await.unwrap();
        }
        let revoked = account.authority.revoke(
            &obtained.leaf,
            RevocationReason::Unspecified,
            client.permit(),
        );
        revoked.await.unwrap();
    }
    assert_eq!(pebble.issued(), 5);
    assert_eq!(pebble.logged("Added order"), 5);
}

#[tokio::test]
async fn a_ca_that_cannot_tell_when_to_renew_is_not_asked() {
    let Some((_pebble, client)) = pebble(0).await else {
        return;
    };
    let account = client.register().await;
    assert!(
        !account
            .authority
            .directory()
            .await
            .unwrap()
            .has_renewal_info
    );
    let name = host("shop.example");
    let obtained = account.obtain(&client, &OrderRequest::of(&name)).await;
    let id = renewal_id(&obtained.leaf).unwrap();
    let unsupported = AuthorityError::Unsupported(Feature::RenewalInfo);
    let info = account.authority.renewal_info(&id).await;
    assert_eq!(info, Err(unsupported.clone()));
    let replacing = OrderRequest {
        replaces: Some(&id),
        ..OrderRequest::of(&name)
    };
    let order = account.authority.new_order(&replacing, client.permit());
    let error = order.await.unwrap_err();
    assert!(error.is_about_replacing());
    assert_eq!(error, unsupported);
}
