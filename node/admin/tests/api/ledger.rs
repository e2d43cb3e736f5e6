//! What the CAs allow, and what is coming.

use std::time::Duration;

use proto::admin::v1::*;
use state::{
    BucketKey, Change, Term,
    testing::{START, ca_name},
};

use crate::stand::{Clients, Stand, millis, told};

const TERM: Term = Term(4);

fn limit(kind: LimitKind, burst: u32, seconds: i64) -> Limit {
    Limit {
        kind: kind.into(),
        burst,
        refill: Some(prost_types::Duration { seconds, nanos: 0 }),
    }
}

/// A CA with a limit on orders and one on domains, and a registered account.
async fn limited(stand: &Stand) -> Clients {
    let mut admin = stand.admin().await;
    let request = UpdateCaRequest {
        name: "cas/test-ca".to_owned(),
        settings: Some(CaSettings {
            limits: vec![
                limit(LimitKind::Orders, 20, 60),
                limit(LimitKind::CertificatesPerDomain, 4, 3600),
            ],
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["limits".to_owned()],
        }),
        revision: 0,
    };
    admin.cas.update_ca(request).await.unwrap();
    stand.alone.register(TERM, "thumbprint");
    admin
}

fn key() -> state::Sealed {
    state::testing::account_key("t").sealed
}

async fn list(admin: &mut Clients, request: ListBucketsRequest) -> Vec<LimitBucket> {
    let answer = admin.ledger.list_buckets(request).await.unwrap();
    answer.into_inner().buckets
}

#[tokio::test]
async fn what_is_spent_promised_and_blocked_is_shown() {
    let stand = Stand::start().await;
    let mut admin = limited(&stand).await;
    let full = list(&mut admin, ListBucketsRequest::default()).await;
    let [orders] = &full[..] else {
        panic!("{full:?}");
    };
    assert_eq!((orders.kind(), orders.left), (LimitKind::Orders, Some(20)));
    assert_eq!((orders.full_at, orders.new_at), (None, None));

    stand.alone.authorize("shop.example");
    stand.alone.prepare(TERM, "shop.example", key(), "token");
    let until = START.plus(Duration::from_secs(600));
    let bucket = BucketKey {
        ca: ca_name(),
        kind: state::LimitKind::Failures,
        key: "shop.example".into(),
    };
    stand
        .alone
        .duty(TERM, Change::ObserveLimit { bucket, until });
    let shown = list(&mut admin, ListBucketsRequest::default()).await;
    let kinds: Vec<_> = shown
        .iter()
        .map(|one| (one.kind(), &*one.key, one.promised))
        .collect();
    assert_eq!(
        kinds,
        [
            (LimitKind::Orders, "", 0),
            (LimitKind::CertificatesPerDomain, "shop.example", 1),
            (LimitKind::CertificatesPerSet, "shop.example", 1),
            (LimitKind::FailedValidations, "shop.example", 0),
        ]
    );
    assert_eq!(shown[0].left, Some(19));
    assert_eq!(
        millis(shown[0].full_at),
        Some(START.plus(Duration::from_secs(60)))
    );
    assert_eq!(shown[1].left, Some(3));
    assert_eq!(shown[2].left, None, "its limit is not known");
    assert_eq!(millis(shown[3].blocked_until), Some(until));
    assert_eq!(millis(shown[3].new_at), Some(until));
}

#[tokio::test]
async fn what_is_named_is_shown_even_if_it_is_full() {
    let stand = Stand::start().await;
    let mut admin = limited(&stand).await;
    let named = |ca: &str, kind: LimitKind, key: &str| ListBucketsRequest {
        ca: ca.to_owned(),
        kind: kind.into(),
        key: key.to_owned(),
        ..Default::default()
    };
    let any = LimitKind::Unspecified;
    let shown = list(&mut admin, named("", any, "Client.example")).await;
    let [domain] = &shown[..] else {
        panic!("{shown:?}");
    };
    assert_eq!(domain.kind(), LimitKind::CertificatesPerDomain);
    assert_eq!((&*domain.key, domain.left), ("client.example", Some(4)));
    let orders = named("cas/test-ca", LimitKind::Orders, "");
    assert_eq!(list(&mut admin, orders).await.len(), 1);
    let domains = named("", LimitKind::CertificatesPerDomain, "");
    assert!(list(&mut admin, domains).await.is_empty());
    let answer = admin
        .ledger
        .list_buckets(named("cas/nowhere", any, ""))
        .await;
    assert_eq!(told(answer), "NotFound CA_NOT_FOUND");
}

#[tokio::test]
async fn pages_hold_every_bucket_once_and_in_order() {
    let stand = Stand::start().await;
    let mut admin = limited(&stand).await;
    for number in 10..20 {
        let name = format!("s.client-{number}.example");
        stand.alone.authorize(&name);
        stand.alone.admit(TERM, &name, key());
    }
    let all = list(&mut admin, ListBucketsRequest::default()).await;
    assert_eq!(all.len(), 21);
    for page_size in [1, 4, 20, 21, 1000] {
        let mut walked = Vec::new();
        let mut request = ListBucketsRequest {
            page_size,
            ..Default::default()
        };
        loop {
            let page = admin
                .ledger
                .list_buckets(request.clone())
                .await
                .unwrap()
                .into_inner();
            walked.extend(page.buckets);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(walked, all, "pages of {page_size}");
    }
}

#[tokio::test]
async fn an_exception_holds_for_its_key_until_it_is_cleared() {
    let stand = Stand::start().await;
    let mut admin = limited(&stand).await;
    let set = |key: &str, burst| SetLimitOverrideRequest {
        name: "cas/test-ca".to_owned(),
        r#override: Some(LimitOverride {
            key: key.to_owned(),
            limit: Some(limit(LimitKind::CertificatesPerDomain, burst, 60)),
        }),
    };
    admin
        .ledger
        .set_limit_override(set("Big.example", 10))
        .await
        .unwrap();
    let ca = admin
        .ledger
        .set_limit_override(set("big.example", 300))
        .await
        .unwrap();
    let overrides = ca.into_inner().settings.unwrap().overrides;
    assert_eq!(overrides.len(), 1, "one for a key");
    let request = ListBucketsRequest {
        key: "big.example".to_owned(),
        ..Default::default()
    };
    let shown = list(&mut admin, request).await;
    assert_eq!(shown[0].left, Some(300));
    assert!(shown[0].overridden);
    let clear = ClearLimitOverrideRequest {
        name: "cas/test-ca".to_owned(),
        kind: LimitKind::CertificatesPerDomain.into(),
        key: "big.example".to_owned(),
    };
    let ca = admin
        .ledger
        .clear_limit_override(clear.clone())
        .await
        .unwrap();
    assert!(ca.into_inner().settings.unwrap().overrides.is_empty());
    let answer = admin.ledger.clear_limit_override(clear).await;
    assert_eq!(told(answer), "NotFound NOT_FOUND");
}

#[tokio::test]
async fn a_forecast_tells_when_the_queue_is_through_and_what_holds_it_up() {
    let stand = Stand::start().await;
    let mut admin = limited(&stand).await;
    for number in 0..6 {
        stand.alone.authorize(&format!("s{number}.client.com"));
    }
    let request = ForecastLedgerRequest { days: 2 };
    let forecast = admin
        .ledger
        .forecast_ledger(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!((forecast.waiting, forecast.days.len()), (6, 2));
    // Of four a new name may use three, and then one an hour: all within a day.
    let end = START.plus(Duration::from_secs(86_400));
    assert_eq!(millis(forecast.waiting_until), Some(end));
    assert_eq!(forecast.days[0].firsts, 6);
    assert_eq!(forecast.days[0].waiting, 0);
    assert!(forecast.hits.is_empty(), "within a day all pass");
    let usual = admin
        .ledger
        .forecast_ledger(ForecastLedgerRequest::default())
        .await;
    assert_eq!(usual.unwrap().into_inner().days.len(), 90);

    let pause = "503 Service Unavailable".to_owned();
    stand.overview.send_modify(|overview| {
        overview.pauses = vec![admin::CaPause {
            ca: ca_name(),
            reason: pause.clone(),
        }];
    });
    for number in 0..4 {
        stand
            .alone
            .admit(TERM, &format!("s{number}.client.com"), key());
    }
    let explain = ExplainHostnameRequest {
        name: "hostnames/s5.client.com".to_owned(),
    };
    let told = admin
        .hostnames
        .explain_hostname(explain)
        .await
        .unwrap()
        .into_inner();
    assert!(
        told.summary
            .contains("leaves test-ca alone for a moment: 503"),
        "{}",
        told.summary
    );
}
