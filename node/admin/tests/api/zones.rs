//! The zone and its origin.

use proto::admin::v1::*;

use crate::stand::{Stand, told};

fn set(url: &str, protocol: OriginProtocol, revision: u64) -> SetOriginRequest {
    SetOriginRequest {
        name: "zones/default".to_owned(),
        origin: Some(Origin {
            url: url.to_owned(),
            protocol: protocol.into(),
        }),
        revision,
    }
}

#[tokio::test]
async fn an_origin_is_set_and_shown() {
    let stand = Stand::start().await;
    let mut zones = stand.admin().await.zones;
    let get = GetZoneRequest {
        name: "zones/default".to_owned(),
    };
    let zone = zones.get_zone(get.clone()).await.unwrap().into_inner();
    assert_eq!(zone.origin, None);
    let wanted = set("HTTPS://App.Internal", OriginProtocol::Http2, 0);
    assert_eq!(
        told(zones.set_origin(wanted).await),
        "InvalidArgument INVALID_ARGUMENT field=origin.url"
    );
    let wanted = set("https://App.Internal", OriginProtocol::Http2, zone.revision);
    let zone = zones.set_origin(wanted).await.unwrap().into_inner();
    let origin = zone.origin.clone().unwrap();
    assert_eq!(origin.url, "https://app.internal:443");
    assert_eq!(origin.protocol(), OriginProtocol::Http2);
    assert_eq!(zones.get_zone(get).await.unwrap().into_inner(), zone);
}

#[tokio::test]
async fn a_stale_revision_is_refused() {
    let stand = Stand::start().await;
    let mut zones = stand.admin().await.zones;
    let auto = OriginProtocol::Unspecified;
    let zone = zones
        .set_origin(set("http://one", auto, 0))
        .await
        .unwrap()
        .into_inner();
    zones
        .set_origin(set("http://two", auto, zone.revision))
        .await
        .unwrap();
    let answer = zones
        .set_origin(set("http://three", auto, zone.revision))
        .await;
    assert_eq!(
        told(answer),
        "Aborted REVISION_MISMATCH subject=zones/default"
    );
    let origin = stand.alone.state().zone().origin.clone().unwrap();
    assert_eq!(origin.host, "two");
}

#[tokio::test]
async fn setting_what_is_set_changes_nothing() {
    let stand = Stand::start().await;
    let mut zones = stand.admin().await.zones;
    let auto = OriginProtocol::Unspecified;
    let first = zones
        .set_origin(set("http://one", auto, 0))
        .await
        .unwrap()
        .into_inner();
    let second = zones
        .set_origin(set("http://one", auto, 0))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first, second);
}
