//! When nothing can be agreed on: an answer all the same, in time and true.

use std::{sync::atomic::Ordering, time::Duration};

use proto::admin::v1::*;
use state::{NodeId, ports::ProposeError};
use tokio::time::{Instant, timeout};
use tonic::{client::Grpc, service::interceptor::InterceptedService};

use crate::stand::{ADMIN, Claim, Stand, told};

/// What every write must be answered within.
const PROMISED: Duration = Duration::from_secs(3);

#[tokio::test]
async fn every_write_is_answered_in_time_and_says_that_the_outcome_is_unknown() {
    let stand = Stand::start().await;
    stand.three_voters();
    stand.alone.authorize("shop.example");
    stand.doubles.silent.store(true, Ordering::Relaxed);
    let admin = stand.admin().await;
    let (mut one, mut two, mut three) = (admin.clone(), admin.clone(), admin.clone());
    let (mut four, mut five, mut six) = (admin.clone(), admin.clone(), admin.clone());
    let mut seven = admin.clone();
    let begun = Instant::now();
    let name = "hostnames/shop.example".to_owned();
    let answers = timeout(PROMISED, async {
        tokio::join!(
            one.hostnames.create_hostname(CreateHostnameRequest {
                hostname: "b.example".to_owned(),
                ..Default::default()
            }),
            two.hostnames
                .delete_hostname(DeleteHostnameRequest { name, revision: 0 }),
            three.zones.set_origin(SetOriginRequest {
                name: "zones/default".to_owned(),
                origin: Some(Origin {
                    url: "http://app".to_owned(),
                    protocol: 0
                }),
                revision: 0,
            }),
            four.cluster.remove_member(RemoveMemberRequest {
                name: "members/3".to_owned()
            }),
            five.cluster.transfer_leadership(TransferLeadershipRequest {
                target: String::new()
            }),
            six.invitations.create_invitation(CreateInvitationRequest {
                role: Role::Viewer.into(),
                ttl_seconds: 0,
            }),
            seven
                .invitations
                .revoke_invitation(RevokeInvitationRequest {
                    name: "invitations/1".to_owned(),
                }),
        )
    });
    let (create, delete, origin, remove, transfer, invite, revoke) =
        answers.await.expect("answered in time");
    let unknown = "Unavailable OUTCOME_UNKNOWN";
    assert_eq!(told(create), unknown);
    assert_eq!(told(delete), unknown);
    assert_eq!(told(origin), unknown);
    assert_eq!(told(remove), unknown);
    assert_eq!(told(transfer), unknown);
    assert_eq!(told(invite), unknown);
    assert_eq!(told(revoke), unknown);
    assert!(
        begun.elapsed() > Duration::from_secs(1),
        "a slow quorum gets its chance"
    );
}

#[tokio::test]
async fn reads_need_no_quorum_and_the_status_tells_the_truth_in_time() {
    let stand = Stand::start().await;
    stand.alone.authorize("shop.example");
    stand.doubles.silent.store(true, Ordering::Relaxed);
    let mut admin = stand.admin().await;
    let begun = Instant::now();
    let name = "hostnames/shop.example".to_owned();
    admin
        .hostnames
        .get_hostname(GetHostnameRequest { name: name.clone() })
        .await
        .unwrap();
    admin
        .hostnames
        .list_hostnames(ListHostnamesRequest::default())
        .await
        .unwrap();
    admin
        .hostnames
        .explain_hostname(ExplainHostnameRequest { name })
        .await
        .unwrap();
    admin
        .zones
        .get_zone(GetZoneRequest {
            name: "zones/default".to_owned(),
        })
        .await
        .unwrap();
    admin
        .cluster
        .list_members(ListMembersRequest {})
        .await
        .unwrap();
    admin
        .invitations
        .list_invitations(ListInvitationsRequest::default())
        .await
        .unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "reads do not wait"
    );
    let status = timeout(PROMISED, admin.cluster.get_status(GetStatusRequest {})).await;
    assert!(!status.unwrap().unwrap().into_inner().quorum);
}

#[tokio::test]
async fn each_way_of_not_proposing_has_its_reason() {
    let stand = Stand::start().await;
    let mut hostnames = stand.admin().await.hostnames;
    for (error, expected) in [
        (ProposeError::Unknown, "Unavailable OUTCOME_UNKNOWN"),
        (
            ProposeError::NotLeader(Some(NodeId(2))),
            "Unavailable NOT_LEADER",
        ),
        (ProposeError::NoLeader, "Unavailable NO_LEADER"),
        (
            ProposeError::Overloaded,
            "ResourceExhausted OVERLOADED retry",
        ),
        (
            ProposeError::Stopped("full disk".to_owned()),
            "Unavailable REPLICA_STOPPED",
        ),
    ] {
        *stand.doubles.refusal.lock().unwrap() = Some(error);
        let request = CreateHostnameRequest {
            hostname: "shop.example".to_owned(),
            ..Default::default()
        };
        assert_eq!(told(hostnames.create_hostname(request).await), expected);
    }
}

#[tokio::test]
async fn a_flood_of_one_operator_is_refused_at_once_and_spares_the_others() {
    let stand = Stand::start().await;
    let bob = stand.operator("bob", state::Role::Admin);
    stand.doubles.silent.store(true, Ordering::Relaxed);
    let admin = stand.admin().await;
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..300 {
        let mut hostnames = admin.hostnames.clone();
        flood.spawn(async move {
            let hostname = format!("shop-{number}.example");
            told(
                hostnames
                    .create_hostname(CreateHostnameRequest {
                        hostname,
                        ..Default::default()
                    })
                    .await,
            )
        });
    }
    // The first answers are refusals: nothing else can have been answered yet.
    let mut refused = 0;
    while refused < 44 {
        let answer = flood.join_next().await.unwrap().unwrap();
        assert_eq!(answer, "ResourceExhausted OVERLOADED retry");
        refused += 1;
    }
    let mut bob = stand.clients(Some(bob)).await;
    let list = bob
        .hostnames
        .list_hostnames(ListHostnamesRequest::default());
    timeout(Duration::from_secs(1), list)
        .await
        .expect("not held up")
        .unwrap();
    while let Some(answer) = flood.join_next().await {
        assert_eq!(answer.unwrap(), "Unavailable OUTCOME_UNKNOWN");
    }
    stand.doubles.silent.store(false, Ordering::Relaxed);
    let request = CreateHostnameRequest {
        hostname: "shop.example".to_owned(),
        ..Default::default()
    };
    let mut hostnames = admin.hostnames;
    hostnames
        .create_hostname(request)
        .await
        .expect("the places came back");
}

#[tokio::test]
async fn a_request_that_never_comes_whole_is_answered_too() {
    let stand = Stand::start().await;
    let who = (ADMIN.0, ADMIN.1.to_owned(), ADMIN.2);
    let channel = InterceptedService::new(stand.channel().await, Claim(Some(who)));
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let nothing = tonic::Request::new(tokio_stream::pending::<CreateHostnameRequest>());
    let path = "/hostquorum.admin.v1.Hostnames/CreateHostname"
        .parse()
        .unwrap();
    let codec = tonic_prost::ProstCodec::<CreateHostnameRequest, Hostname>::default();
    let call = grpc.client_streaming(nothing, path, codec);
    let answer = timeout(PROMISED, call).await.expect("answered in time");
    assert_eq!(told(answer), "Unavailable OUTCOME_UNKNOWN");
}

#[tokio::test]
async fn changes_of_issuance_are_answered_in_time_too() {
    let stand = Stand::start().await;
    stand.alone.authorize("shop.example");
    stand.doubles.silent.store(true, Ordering::Relaxed);
    let admin = stand.admin().await;
    let (mut one, mut two, mut three) = (admin.clone(), admin.clone(), admin.clone());
    let (mut four, mut five) = (admin.clone(), admin.clone());
    let mask = |path: &str| {
        Some(prost_types::FieldMask {
            paths: vec![path.to_owned()],
        })
    };
    let name = "hostnames/shop.example".to_owned();
    let answers = timeout(PROMISED, async {
        tokio::join!(
            one.hostnames.update_hostname(UpdateHostnameRequest {
                name: name.clone(),
                wants: Some(Wants {
                    manual: true,
                    ..Default::default()
                }),
                update_mask: mask("manual"),
                revision: 0,
            }),
            two.zones.update_zone(UpdateZoneRequest {
                name: "zones/default".to_owned(),
                settings: Some(ZoneSettings {
                    edge_domain: "edge.example".to_owned(),
                    ..Default::default()
                }),
                update_mask: mask("edge_domain"),
                revision: 0,
            }),
            three.cas.roll_account_key(RollAccountKeyRequest {
                name: "cas/test-ca".to_owned(),
            }),
            four.certificates
                .create_certificate_request(CreateCertificateRequestRequest {
                    hostname: name.clone(),
                    algorithm: 0,
                }),
            five.hostnames.contest_hostname(ContestHostnameRequest {
                name: name.clone(),
                tenant: "other".to_owned(),
            }),
        )
    });
    let (update, zone, roll, request, contest) = answers.await.expect("answered in time");
    let unknown = "Unavailable OUTCOME_UNKNOWN";
    assert_eq!(told(update), unknown);
    assert_eq!(told(zone), unknown);
    assert_eq!(told(roll), unknown);
    assert_eq!(told(request), unknown);
    assert_eq!(told(contest), unknown);
}
