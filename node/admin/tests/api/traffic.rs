//! How traffic is served, as it is changed and shown.

use proto::admin::v1::*;

use crate::stand::{Clients, Stand, told};

const NAME: &str = "hostnames/shop.example";

fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask {
        paths: paths.iter().map(ToString::to_string).collect(),
    })
}

async fn of_zone(
    admin: &mut Clients,
    traffic: Traffic,
    paths: &[&str],
) -> Result<tonic::Response<Zone>, tonic::Status> {
    let request = UpdateZoneTrafficRequest {
        name: "zones/default".to_owned(),
        traffic: Some(traffic),
        update_mask: mask(paths),
        revision: 0,
    };
    admin.zones.update_zone_traffic(request).await
}

async fn of_hostname(
    admin: &mut Clients,
    traffic: Traffic,
    paths: &[&str],
    revision: u64,
) -> Result<tonic::Response<Hostname>, tonic::Status> {
    let request = UpdateHostnameTrafficRequest {
        name: NAME.to_owned(),
        traffic: Some(traffic),
        update_mask: mask(paths),
        revision,
    };
    admin.hostnames.update_hostname_traffic(request).await
}

async fn stand() -> (Stand, Clients) {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    let request = CreateHostnameRequest {
        hostname: "shop.example".to_owned(),
        ..Default::default()
    };
    admin.hostnames.create_hostname(request).await.unwrap();
    (stand, admin)
}

async fn get(admin: &mut Clients) -> Hostname {
    let name = NAME.to_owned();
    let answer = admin
        .hostnames
        .get_hostname(GetHostnameRequest { name })
        .await;
    answer.unwrap().into_inner()
}

fn hsts(max_age: u32) -> Traffic {
    Traffic {
        hsts: Some(Hsts {
            max_age,
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_hostname_and_its_zone_decide_setting_by_setting() {
    let (stand, mut admin) = stand().await;
    let zone = of_zone(&mut admin, hsts(60), &["hsts"])
        .await
        .unwrap()
        .into_inner();
    assert_eq!(zone.traffic, Some(hsts(60)));
    let both = Traffic {
        http2: Some(false),
        ..hsts(7)
    };
    let set = of_hostname(&mut admin, both.clone(), &["http2"], 0)
        .await
        .unwrap()
        .into_inner();
    let only = Traffic {
        http2: Some(false),
        ..Default::default()
    };
    assert_eq!(
        set.traffic,
        Some(only.clone()),
        "what the mask does not name is left"
    );
    assert_eq!(set.zone_traffic, Some(hsts(60)));
    let set = of_hostname(&mut admin, both.clone(), &["*"], set.revision)
        .await
        .unwrap();
    assert_eq!(set.get_ref().traffic, Some(both));
    // A field that is named and not there is as in the zone again.
    let revision = set.get_ref().revision;
    of_hostname(&mut admin, Traffic::default(), &["hsts"], revision)
        .await
        .unwrap();
    assert_eq!(get(&mut admin).await.traffic, Some(only));
    of_hostname(&mut admin, Traffic::default(), &["*"], 0)
        .await
        .unwrap();
    let bare = get(&mut admin).await;
    assert_eq!((bare.traffic, bare.zone_traffic), (None, Some(hsts(60))));
    assert_eq!(stand.alone.state().traffic_count(), 0);
    let list = admin
        .hostnames
        .list_hostnames(ListHostnamesRequest::default())
        .await
        .unwrap();
    assert_eq!(list.get_ref().hostnames[0].zone_traffic, None);
}

#[tokio::test]
async fn what_cannot_be_is_told_and_changes_nothing() {
    let (stand, mut admin) = stand().await;
    let before = stand.alone.state().index();
    let bad = Traffic {
        max_body: Some(0),
        ..Default::default()
    };
    let answer = of_hostname(&mut admin, bad.clone(), &["max_body"], 0).await;
    let expected = "InvalidArgument INVALID_ARGUMENT field=traffic.max_body";
    assert_eq!(told(answer), expected);
    assert_eq!(
        told(of_zone(&mut admin, bad, &["max_body"]).await),
        expected
    );
    for paths in [&[][..], &["nothing"], &["hsts.max_age"]] {
        let answer = of_hostname(&mut admin, hsts(7), paths, 0).await;
        let expected = "InvalidArgument INVALID_ARGUMENT field=update_mask";
        assert_eq!(told(answer), expected, "{paths:?}");
    }
    let answer = of_hostname(&mut admin, hsts(7), &["hsts"], 1).await;
    assert_eq!(
        told(answer),
        "Aborted REVISION_MISMATCH subject=hostnames/shop.example"
    );
    let request = UpdateHostnameTrafficRequest {
        name: "hostnames/nobody.example".to_owned(),
        traffic: Some(hsts(7)),
        update_mask: mask(&["hsts"]),
        revision: 0,
    };
    let answer = admin.hostnames.update_hostname_traffic(request).await;
    assert!(told(answer).starts_with("NotFound HOSTNAME_NOT_FOUND"));
    assert_eq!(stand.alone.state().index(), before);
}

#[tokio::test]
async fn a_key_is_sealed_and_never_shown() {
    let (stand, mut admin) = stand().await;
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["edge.example".to_owned()]).unwrap();
    let certificate_pem = params.self_signed(&key).unwrap().pem();
    let traffic = Traffic {
        origin_identity: Some(OriginIdentity {
            off: false,
            certificate_pem: certificate_pem.clone(),
            private_key_pem: key.serialize_pem(),
        }),
        ..Default::default()
    };
    of_hostname(&mut admin, traffic, &["origin_identity"], 0)
        .await
        .unwrap();
    let shown = get(&mut admin)
        .await
        .traffic
        .unwrap()
        .origin_identity
        .unwrap();
    assert_eq!(
        (shown.certificate_pem, shown.private_key_pem),
        (certificate_pem, String::new())
    );
    let der = key.serialize_der();
    for (_, value) in stand.alone.state().records() {
        assert!(
            !value.windows(der.len()).any(|part| part == der),
            "the log holds it"
        );
    }
}

#[tokio::test]
async fn a_zone_whose_origins_are_not_verified_is_warned_of() {
    let (_stand, mut admin) = stand().await;
    let warned = |status: ClusterStatus| {
        status
            .warnings
            .iter()
            .any(|warning| warning.contains("not verified"))
    };
    let status = admin
        .cluster
        .get_status(GetStatusRequest::default())
        .await
        .unwrap();
    assert!(!warned(status.into_inner()));
    let off = Traffic {
        origin_trust: Some(OriginTrust {
            trust: Some(origin_trust::Trust::Off(true)),
        }),
        ..Default::default()
    };
    of_zone(&mut admin, off, &["origin_trust"]).await.unwrap();
    let status = admin
        .cluster
        .get_status(GetStatusRequest::default())
        .await
        .unwrap();
    assert!(warned(status.into_inner()));
}
