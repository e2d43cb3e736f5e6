//! The client at a CA that behaves as Boulder does: replacements, windows to renew in,
//! profiles, several chains; and at one that breaks on command.

use std::time::Duration;

use devca::{Behaviour, Endpoint, Fault, Mishap, RenewalInfo, RetryAfter};
use leader::issuance::authority::{
    AuthorityError, ChallengeKind, Feature, OrderRequest, OrderStatus, RevocationReason, renewal_id,
};
use state::testing::host;

use crate::client::{Site, leaf};

#[tokio::test]
async fn a_certificate_is_renewed_as_the_replacement_of_the_last() {
    let Site { client, ca } = Site::start(Behaviour::boulder()).await;
    let account = client.register().await;
    let (authority, name) = (&account.authority, host("shop.example"));
    let base = OrderRequest {
        wildcard: true,
        profile: Some("shortlived"),
        ..OrderRequest::of(&name)
    };
    let first = account.obtain(&client, &base).await;
    let id = renewal_id(&first.leaf).unwrap();
    let info = authority.renewal_info(&id).await.unwrap();
    let day = Duration::from_secs(86_400);
    let begins = info.start.since(client.clock.now());
    assert!(
        begins > 3 * day && begins < 4 * day,
        "half of 160 hours: {begins:?}"
    );
    assert_eq!(info.retry_after, Some(day / 4));

    let replacing = OrderRequest {
        replaces: Some(&id),
        ..base
    };
    let order = authority.new_order(&replacing, client.permit()).await;
    let order = order.unwrap();
    assert_eq!(order.replaces.as_deref(), Some(&*id));
    assert_eq!(order.profile.as_deref(), Some("shortlived"));
    // A crash before its URL was committed: the same again is refused, and without
    // `replaces` the CA gives the order that it has.
    let again = authority.new_order(&replacing, client.permit()).await;
    let error = again.unwrap_err();
    assert!(
        matches!(error, AuthorityError::ReplacesRefused(_)),
        "{error}"
    );
    assert!(error.is_about_replacing());
    let plain = authority.new_order(&base, client.permit()).await.unwrap();
    assert_eq!((&plain.url, &plain.replaces), (&order.url, &order.replaces));
    let second = account.carry(&client, plain).await;
    assert_ne!(first.leaf, second.leaf);
    let ledger = ca.ledger();
    assert_eq!(ledger.certificates.len(), 2);
    assert_eq!(ledger.orders.len(), 2);

    // The first is replaced for good.
    let late = authority.new_order(&replacing, client.permit()).await;
    assert!(matches!(late, Err(AuthorityError::ReplacesRefused(_))));
}

#[tokio::test]
async fn an_order_that_was_there_before_is_given_and_told_apart() {
    let Site { client, .. } = &Site::start(Behaviour::boulder()).await;
    let account = client.register().await;
    let (authority, name) = (&account.authority, host("shop.example"));
    let request = OrderRequest::of(&name);
    let first = account.obtain(client, &request).await;
    let pending = authority.new_order(&request, client.permit()).await;
    let pending = pending.unwrap();
    let id = renewal_id(&first.leaf).unwrap();
    let replacing = OrderRequest {
        replaces: Some(&id),
        ..request
    };
    let error = authority.new_order(&replacing, client.permit()).await;
    let Err(AuthorityError::ReplacesIgnored(view)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(view.url, pending.url);
    account.carry(client, *view).await;
}

#[tokio::test]
async fn what_the_ca_does_not_know_it_replaces_and_dates_not() {
    let Site { client, ca } = &Site::start(Behaviour::boulder()).await;
    let account = client.register().await;
    let name = host("shop.example");
    let unknown = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
    let replacing = OrderRequest {
        replaces: Some(unknown),
        ..OrderRequest::of(&name)
    };
    let error = account.authority.new_order(&replacing, client.permit());
    let error = error.await.unwrap_err();
    assert!(
        matches!(error, AuthorityError::ReplacesRefused(_)),
        "{error}"
    );
    let info = account.authority.renewal_info(unknown).await;
    let none = AuthorityError::Unsupported(Feature::RenewalInfo);
    assert_eq!(info, Err(none));
    assert_eq!(ca.ledger().orders.len(), 0);
}

#[tokio::test]
async fn a_mass_revocation_is_seen_as_a_window_that_is_past() {
    let Site { client, ca } = &Site::start(Behaviour::boulder()).await;
    let account = client.register().await;
    let name = host("shop.example");
    let obtained = account.obtain(client, &OrderRequest::of(&name)).await;
    let (authority, leaf) = (&account.authority, &obtained.leaf);
    let url = "https://ca.example/incident".to_owned();
    ca.control().adjust(|behaviour| {
        behaviour.renewal_info = Some(RenewalInfo {
            incident_before: Some(u64::MAX / 2000),
            explanation_url: Some(url.clone()),
            ..RenewalInfo::default()
        });
    });
    let id = renewal_id(leaf).unwrap();
    let info = authority.renewal_info(&id).await.unwrap();
    assert!(info.end < client.clock.now());
    assert_eq!(info.explanation_url, Some(url));

    let reason = RevocationReason::Superseded;
    for _ in 0..2 {
        let revoked = authority.revoke(leaf, reason, client.permit()).await;
        revoked.unwrap();
    }
    assert!(ca.ledger().certificates[0].revoked.is_some());
}

#[tokio::test]
async fn a_profile_that_is_ignored_is_told() {
    let Site { client, .. } = &Site::start(Behaviour {
        ignore_profiles: true,
        ..Behaviour::boulder()
    })
    .await;
    let account = client.register().await;
    let name = host("shop.example");
    let request = OrderRequest {
        profile: Some("tlsserver"),
        ..OrderRequest::of(&name)
    };
    let order = account.authority.new_order(&request, client.permit()).await;
    let ignored = matches!(order, Err(AuthorityError::ProfileIgnored { .. }));
    assert!(ignored, "{order:?}");
}

#[tokio::test]
async fn each_chain_that_is_offered_is_for_the_leaf() {
    let Site { client, .. } = &Site::start(Behaviour {
        alternate_chains: 3,
        ..Behaviour::boulder()
    })
    .await;
    let account = client.register().await;
    let name = host("shop.example");
    let obtained = account.obtain(client, &OrderRequest::of(&name)).await;
    assert_eq!(obtained.chain.alternates.len(), 3);
    for url in &obtained.chain.alternates {
        let pem = account.authority.alternate(url).await.unwrap();
        assert_eq!(leaf(&pem), obtained.leaf);
        assert_ne!(pem, obtained.chain.pem);
    }
}

#[tokio::test]
async fn an_order_goes_through_a_ca_that_refuses_most_nonces() {
    let Site { client, ca } = &Site::start(Behaviour::boulder()).await;
    for endpoint in [
        Endpoint::NewAccount,
        Endpoint::NewOrder,
        Endpoint::Order,
        Endpoint::Authorization,
        Endpoint::Challenge,
        Endpoint::Finalize,
        Endpoint::Certificate,
    ] {
        ca.control().inject(Fault {
            per_mille: 600,
            ..Fault::every(endpoint, Mishap::BadNonce)
        });
    }
    let account = client.register().await;
    for number in 0..5 {
        let name = host(&format!("n{number}.example"));
        account.obtain(client, &OrderRequest::of(&name)).await;
    }
    assert_eq!(ca.ledger().certificates.len(), 5);
    assert_eq!(ca.ledger().orders.len(), 5);
}

#[tokio::test]
async fn both_forms_of_retry_after_are_obeyed() {
    for retry_after in [RetryAfter::Seconds(120), RetryAfter::Date(120)] {
        let Site { client, ca } = &Site::start(Behaviour::boulder()).await;
        let account = client.register().await;
        let name = host("shop.example");
        let limited = Mishap::RateLimited { retry_after };
        for endpoint in [Endpoint::NewOrder, Endpoint::Order, Endpoint::RenewalInfo] {
            ca.control().inject(Fault::once(endpoint, limited.clone()));
        }
        let request = OrderRequest::of(&name);
        let order = account.authority.new_order(&request, client.permit());
        let url = account.url.replace("/account/", "/order/");
        let errors = [
            order.await.unwrap_err(),
            account.authority.order(&url).await.unwrap_err(),
            account.authority.renewal_info("a.b").await.unwrap_err(),
        ];
        for error in errors {
            let wait = error.retry_after().unwrap().as_secs();
            // The date is in whole seconds.
            assert!((118..=121).contains(&wait), "{error}: {wait}");
            assert_eq!(error.kind(), "rateLimited");
        }
    }
}

#[tokio::test]
async fn an_order_whose_location_is_elsewhere_is_not_taken() {
    let Site { client, ca } = &Site::start(Behaviour::boulder()).await;
    let account = client.register().await;
    let name = host("shop.example");
    let origin = "https://evil.example".to_owned();
    let elsewhere = Mishap::LocationElsewhere { origin };
    ca.control()
        .inject(Fault::once(Endpoint::NewOrder, elsewhere));
    let request = OrderRequest::of(&name);
    let order = account.authority.new_order(&request, client.permit()).await;
    assert!(
        matches!(order, Err(AuthorityError::Malformed(_))),
        "{order:?}"
    );
    // The same again gives the order that was made.
    account.obtain(client, &request).await;
    assert_eq!(ca.ledger().orders.len(), 1);
}

#[tokio::test]
async fn a_reading_that_breaks_off_is_made_again_or_told() {
    let Site { client, ca } = &Site::start(Behaviour::boulder()).await;
    let account = client.register().await;
    let name = host("shop.example");
    let request = OrderRequest::of(&name);
    let order = account.authority.new_order(&request, client.permit()).await;
    let order = order.unwrap();
    let url = &order.authorization_urls[0];
    for endpoint in [Endpoint::Order, Endpoint::Authorization] {
        let cut = Mishap::Truncate { bytes: 20 };
        ca.control().inject(Fault::every(endpoint, cut));
    }
    let read = account.authority.order(&order.url).await;
    assert!(matches!(read, Err(AuthorityError::Unknown(_))), "{read:?}");
    let read = account.authority.authorization(url).await;
    assert!(matches!(read, Err(AuthorityError::Unknown(_))), "{read:?}");
    ca.control().clear_faults();
    let view = account.authority.authorization(url).await.unwrap();
    assert!(view.challenge(&ChallengeKind::TlsAlpn01).is_some());

    let odd = Mishap::OrderStatus {
        status: "deactivated".to_owned(),
    };
    ca.control().inject(Fault::once(Endpoint::Order, odd));
    let read = account.authority.order(&order.url).await.unwrap();
    assert_eq!(read.status, OrderStatus::Invalid);
}
