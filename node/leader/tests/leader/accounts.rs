//! Accounts at a CA: whatever crashes, there is one, and its key is known.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use devca::{Behaviour, Endpoint, ExternalAccounts, Fault, Mishap};
use leader::{
    fence::Shut,
    issuance::authority::{AuthorityError, ExternalAccount, Feature, OrderRequest, Registration},
};
use state::{Secret, testing::host};

use crate::{
    client::{Client, Site, new_key, plain},
    pebble::server::{Manners, Server as Pebble},
    recorder::{Answer, Recorder},
};

#[tokio::test]
async fn a_key_has_one_account_however_often_it_is_registered() {
    let Site { client, ca } = Site::start(Behaviour::default()).await;
    let key = new_key();
    let stranger = client.open(&key, None);
    assert_eq!(stranger.find().await, Ok(None));
    // A crash before the answer was committed: the next leader asks again.
    let first = stranger.register(&plain(), client.permit()).await.unwrap();
    let heir = client.open(&key, None);
    let second = heir.register(&plain(), client.permit()).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(heir.find().await, Ok(Some(first)));
    assert_eq!(ca.ledger().accounts.len(), 1);
}

#[tokio::test]
async fn asking_for_an_account_needs_no_permission_and_making_one_does() {
    let Site { client, ca } = Site::start(Behaviour::default()).await;
    let key = new_key();
    let authority = client.open(&key, None);
    authority.warm().await.unwrap();
    client.lease.0.store(0, SeqCst);
    assert_eq!(authority.find().await, Ok(None));
    let registered = authority.register(&plain(), client.permit()).await;
    assert_eq!(registered, Err(AuthorityError::Fenced(Shut::Deposed)));
    assert_eq!(ca.ledger().accounts.len(), 0);
}

#[tokio::test]
async fn terms_that_nobody_agreed_to_make_no_account() {
    let Site { client, ca } = Site::start(Behaviour::default()).await;
    let unagreed = Registration {
        terms_agreed: false,
        ..plain()
    };
    let authority = client.open(&new_key(), None);
    let error = authority.register(&unagreed, client.permit()).await;
    assert_eq!(error.unwrap_err().kind(), "userActionRequired");
    assert_eq!(ca.ledger().accounts.len(), 0);
}

#[tokio::test]
async fn contacts_are_given_at_the_beginning_and_changed_later() {
    let Site { client, ca: _ca } = Site::start(Behaviour::default()).await;
    let contacts = ["mailto:ops@shop.example".to_owned()];
    let with = Registration {
        contacts: &contacts,
        ..plain()
    };
    let authority = client.open(&new_key(), None);
    let url = authority.register(&with, client.permit()).await.unwrap();
    let set = authority.set_contacts(&url, &[], client.permit());
    set.await.unwrap();
    let odd = ["ops".to_owned()];
    let set = authority.set_contacts(&url, &odd, client.permit());
    assert_eq!(set.await.unwrap_err().kind(), "unsupportedContact");
}

#[tokio::test]
async fn an_account_that_is_not_registered_orders_nothing() {
    let Site { client, ca: _ca } = Site::start(Behaviour::default()).await;
    let name = host("shop.example");
    let authority = client.open(&new_key(), None);
    let request = OrderRequest::of(&name);
    let order = authority.new_order(&request, client.permit()).await;
    let error = order.unwrap_err();
    assert!(matches!(error, AuthorityError::Unusable(_)), "{error}");
}

/// The change of a key that was committed as the next one, with a crash before or after
/// the CA has changed over: whoever comes next asks under the next key, and knows.
async fn rollover(client: &Client) {
    let account = client.register().await;
    let next = new_key();
    let heir = client.open(&next, None);

    // Died before it was sent.
    assert_eq!(heir.find().await, Ok(None));
    // It was sent too late, and nothing left.
    client.lease.0.store(0, SeqCst);
    let roll = account
        .authority
        .roll_key(&account.url, &next, client.permit());
    let error = roll.await.unwrap_err();
    assert_eq!(error, AuthorityError::Fenced(Shut::Deposed));
    client.lease.0.store(u32::MAX, SeqCst);
    assert_eq!(heir.find().await, Ok(None));
    let name = host("shop.example");
    let request = OrderRequest::of(&name);
    let order = account.authority.new_order(&request, client.permit()).await;
    let order = order.unwrap();

    let roll = account
        .authority
        .roll_key(&account.url, &next, client.permit());
    roll.await.unwrap();
    // Died before that was committed.
    assert_eq!(heir.find().await, Ok(Some(account.url.clone())));
    let old = client.open(&account.key, Some(&account.url));
    let error = old.order(&order.url).await.unwrap_err();
    assert!(matches!(error, AuthorityError::Refused(_)), "{error}");
    let new = client.open(&next, Some(&account.url));
    assert_eq!(new.order(&order.url).await.unwrap().url, order.url);

    // Sent once more by somebody who did not ask: refused, and nothing changes.
    let again = account
        .authority
        .roll_key(&account.url, &next, client.permit());
    again.await.unwrap_err();
    assert_eq!(heir.find().await, Ok(Some(account.url.clone())));
}

#[tokio::test]
async fn a_key_that_is_changed_is_lost_by_no_crash() {
    let Site { client, ca } = Site::start(Behaviour::default()).await;
    rollover(&client).await;
    assert_eq!(ca.ledger().accounts.len(), 1);
}

#[tokio::test]
async fn nor_at_pebble_that_refuses_most_nonces() {
    let manners = Manners {
        refused_nonces: 60,
        ..Manners::default()
    };
    let Some(pebble) = Pebble::start(manners).await else {
        return;
    };
    rollover(&Client::now(&pebble.directory, &pebble.root_pem)).await;
}

#[tokio::test]
async fn the_key_of_another_account_is_not_taken() {
    let Site { client, ca: _ca } = Site::start(Behaviour::default()).await;
    let (one, other) = (client.register().await, client.register().await);
    let roll = one
        .authority
        .roll_key(&one.url, &other.key, client.permit());
    let error = roll.await.unwrap_err();
    assert_eq!(error.problem().unwrap().status, 409);
    let found = client.open(&other.key, None).find().await;
    assert_eq!(found, Ok(Some(other.url)));
}

const HMAC: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

#[tokio::test]
async fn an_external_account_is_bound_by_its_own_key_and_by_no_other() {
    let manners = Manners {
        external: Some(("kid-1", HMAC)),
        ..Manners::default()
    };
    let Some(pebble) = Pebble::start(manners).await else {
        return;
    };
    let client = Client::now(&pebble.directory, &pebble.root_pem);
    let (key, hmac) = (
        new_key(),
        Secret::new(BASE64URL_NOPAD.decode(HMAC.as_bytes()).unwrap()),
    );
    let authority = client.open(&key, None);
    assert!(
        authority
            .directory()
            .await
            .unwrap()
            .external_account_required
    );
    let without = authority.register(&plain(), client.permit()).await;
    assert_eq!(without.unwrap_err().kind(), "externalAccountRequired");
    let wrong = Secret::new(b"some other secret".to_vec());
    for (kid, hmac) in [("kid-1", &wrong), ("kid-2", &hmac)] {
        let external = Some(ExternalAccount { kid, hmac });
        let bound = Registration {
            external,
            ..plain()
        };
        let error = authority.register(&bound, client.permit()).await;
        let error = error.unwrap_err();
        assert!(matches!(error, AuthorityError::Refused(_)), "{error}");
        let shown = format!("{error} {error:?} {bound:?}");
        assert!(
            !shown.contains("secret") && !shown.contains(&HMAC[..8]),
            "{shown}"
        );
    }
    let external = Some(ExternalAccount {
        kid: "kid-1",
        hmac: &hmac,
    });
    let bound = Registration {
        external,
        ..plain()
    };
    let url = authority.register(&bound, client.permit()).await.unwrap();
    // After a lost answer.
    assert_eq!(authority.find().await, Ok(Some(url.clone())));
    assert_eq!(authority.register(&bound, client.permit()).await, Ok(url));
}

#[tokio::test]
async fn a_permission_that_has_ended_registers_nothing() {
    let clock = Arc::new(state::testing::ManualClock::default());
    let Site { ca, .. } = Site::start(Behaviour::default()).await;
    let client = Client::at(clock.clone(), ca.directory_url(), ca.root_pem());
    let authority = client.open(&new_key(), None);
    let permit = client.permit();
    clock.advance(Duration::from_secs(3));
    let error = authority.register(&plain(), permit).await.unwrap_err();
    assert_eq!(error, AuthorityError::Fenced(Shut::Late));
    assert_eq!(ca.ledger().accounts.len(), 0);
}

#[tokio::test]
async fn a_ca_without_change_of_keys_is_asked_for_none() {
    let recorder = Recorder::start(|_, _| None).await;
    let directory = format!("{}/directory", recorder.base);
    let client = Client::now(&directory, &recorder.root_pem);
    let url = format!("{}/account/1", recorder.base);
    let authority = client.open(&new_key(), Some(&url));
    let roll = authority.roll_key(&url, &new_key(), client.permit()).await;
    assert_eq!(roll, Err(AuthorityError::Unsupported(Feature::KeyChange)));
    assert_eq!(recorder.posts(), 0);
}

/// What may become of a request that has an effect, and whether the effect came about.
fn mishaps() -> [(Mishap, bool); 6] {
    let page = Mishap::Status {
        status: 503,
        html: true,
    };
    [
        (Mishap::ResetBefore, false),
        (page, false),
        (Mishap::BadNonce, true),
        (Mishap::ResetAfter, true),
        (Mishap::Truncate { bytes: 5 }, true),
        (Mishap::StatusAfter { status: 500 }, true),
    ]
}

#[tokio::test]
async fn whatever_became_of_a_registration_is_found_out() {
    for (mishap, done) in mishaps() {
        let Site { client, ca } = Site::start(Behaviour::default()).await;
        ca.control()
            .inject(Fault::once(Endpoint::NewAccount, mishap.clone()));
        let authority = client.open(&new_key(), None);
        let first = authority.register(&plain(), client.permit()).await;
        assert_eq!(first.is_ok(), mishap == Mishap::BadNonce, "{first:?}");
        let found = authority.find().await.unwrap();
        assert_eq!(found.is_some(), done, "{mishap:?}");
        let again = authority.register(&plain(), client.permit()).await.unwrap();
        assert_eq!(found.unwrap_or_else(|| again.clone()), again);
        assert_eq!(ca.ledger().accounts.len(), 1);
    }
}

#[tokio::test]
async fn whatever_became_of_a_change_of_keys_is_found_out() {
    for (mishap, done) in mishaps() {
        let Site { client, ca } = Site::start(Behaviour::boulder()).await;
        let account = client.register().await;
        ca.control()
            .inject(Fault::once(Endpoint::KeyChange, mishap.clone()));
        let next = new_key();
        let roll = account
            .authority
            .roll_key(&account.url, &next, client.permit());
        let rolled = roll.await;
        assert_eq!(rolled.is_ok(), mishap == Mishap::BadNonce, "{rolled:?}");
        let heir = client.open(&next, None);
        let found = heir.find().await.unwrap();
        assert_eq!(found, done.then(|| account.url.clone()), "{mishap:?}");
        if !done {
            let roll = account
                .authority
                .roll_key(&account.url, &next, client.permit());
            roll.await.unwrap();
            assert_eq!(heir.find().await, Ok(Some(account.url)));
        }
    }
}

#[tokio::test]
async fn a_binding_that_is_good_for_one_use_is_not_lost_with_an_answer() {
    let keys = vec![devca::ExternalAccount {
        kid: "kid-1".to_owned(),
        hmac_key: HMAC.to_owned(),
    }];
    let Site { client, ca } = Site::start(Behaviour {
        external_accounts: Some(ExternalAccounts {
            keys,
            single_use: true,
        }),
        ..Behaviour::boulder()
    })
    .await;
    ca.control()
        .inject(Fault::once(Endpoint::NewAccount, Mishap::ResetAfter));
    let hmac = Secret::new(BASE64URL_NOPAD.decode(HMAC.as_bytes()).unwrap());
    let bound = Registration {
        external: Some(ExternalAccount {
            kid: "kid-1",
            hmac: &hmac,
        }),
        ..plain()
    };
    let authority = client.open(&new_key(), None);
    let lost = authority.register(&bound, client.permit()).await;
    assert!(matches!(lost, Err(AuthorityError::Unknown(_))), "{lost:?}");
    assert!(authority.find().await.unwrap().is_some());
    // Another key cannot use it again.
    let other = client.open(&new_key(), None);
    let error = other.register(&bound, client.permit()).await;
    assert!(
        matches!(error, Err(AuthorityError::Refused(_))),
        "{error:?}"
    );
}

/// The private scalar of a key, as PKCS #8 (RFC 5915) holds it, in the forms in which it
/// could be shown.
fn canaries(key: &Secret) -> [String; 4] {
    let der = key.expose();
    let at = der.windows(2).position(|two| two == [4, 32]).unwrap() + 2;
    let scalar = &der[at..at + 32];
    [
        HEXLOWER.encode(scalar),
        BASE64URL_NOPAD.encode(scalar),
        // Of the whole, whose beginning is no secret.
        BASE64.encode(der)[60..].to_owned(),
        format!("{scalar:?}"),
    ]
}

#[tokio::test]
async fn no_key_is_in_what_is_sent_or_in_what_is_said() {
    for page in ["<html>", r#"{"type":"x","detail":"y"}"#] {
        let recorder = Recorder::start(move |line, _| {
            let directory = r#"{"newNonce":"{base}/nonce","newAccount":"{base}/account",
                "newOrder":"{base}/new","keyChange":"{base}/roll"}"#;
            match line.split(' ').next() {
                Some("GET") => Some(Answer::Say("200 OK", directory.to_owned())),
                Some("POST") => Some(Answer::Say("500 Oops", page.to_owned())),
                _ => None,
            }
        })
        .await;
        let directory = format!("{}/directory", recorder.base);
        let client = Client::now(&directory, &recorder.root_pem);
        let (key, next) = (new_key(), new_key());
        let url = format!("{}/account/1", recorder.base);
        let authority = client.open(&key, Some(&url));
        let hmac = Secret::new(key.expose().to_vec());
        let bound = Registration {
            external: Some(ExternalAccount {
                kid: "kid-1",
                hmac: &hmac,
            }),
            ..plain()
        };
        let permit = client.permit();
        let name = host("shop.example");
        let request = OrderRequest::of(&name);
        let said = [
            format!("{:?}", authority.register(&bound, permit).await),
            format!("{:?}", authority.find().await),
            format!("{:?}", authority.set_contacts(&url, &[], permit).await),
            format!("{:?}", authority.roll_key(&url, &next, permit).await),
            format!("{:?}", authority.new_order(&request, permit).await),
            format!("{bound:?} {key:?}"),
        ];
        let all = recorder.requests().into_iter().chain(said);
        let all: String = all.collect();
        let payloads: String = all.split('"').filter_map(decoded).collect();
        for canary in canaries(&key).into_iter().chain(canaries(&next)) {
            assert!(!all.contains(&canary) && !payloads.contains(&canary));
        }
    }
}

fn decoded(text: &str) -> Option<String> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
