//! The cluster's health and its members.

use proto::admin::v1::*;
use state::{
    NodeId, Term,
    ports::{Leadership, MembersError, ProposeError},
};

use crate::stand::{Stand, report, told};

#[tokio::test]
async fn the_status_tells_what_the_node_sees() {
    let stand = Stand::start().await;
    stand.three_voters();
    stand.alone.authorize("shop.example");
    stand.overview.send_modify(|overview| {
        overview.acme_progress = vec!["shop.example: waits".to_owned()];
    });
    let mut cluster = stand.admin().await.cluster;
    let status = cluster
        .get_status(GetStatusRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(status.cluster_id, "07".repeat(16));
    assert_eq!(
        (status.member.as_str(), status.node_name.as_str()),
        ("members/1", "node-1")
    );
    assert_eq!(status.version, "1.2.3");
    assert_eq!((status.term, status.leader.as_str()), (4, "members/1"));
    assert!(status.quorum);
    assert_eq!(status.applied_index, stand.alone.state().index().0);
    assert_eq!(status.published_index, 1000);
    assert_eq!(status.replica_fault, "");
    let counts = status.hostnames.unwrap();
    assert_eq!(
        (
            counts.total,
            counts.live,
            counts.orders_in_flight,
            counts.failing
        ),
        (1, 0, 0, 0)
    );
    let acme = status.acme.unwrap();
    assert_eq!(acme.directory, "https://ca.example/directory");
    assert_eq!(acme.account_state, "none");
    assert_eq!(acme.progress, ["shop.example: waits"]);
    let members: Vec<_> = status
        .members
        .iter()
        .map(|member| {
            (
                member.name.as_str(),
                member.standing.as_str(),
                member.leader,
            )
        })
        .collect();
    assert_eq!(
        members,
        [
            ("members/1", "admitted", true),
            ("members/2", "admitted", false),
            ("members/3", "admitted", false),
        ]
    );
}

#[tokio::test]
async fn issuance_is_paused_for_a_reason_and_resumed() {
    let stand = Stand::start().await;
    let mut cluster = stand.admin().await.cluster;
    let pause = |reason: &str| PauseIssuanceRequest {
        reason: reason.to_owned(),
    };
    for reason in ["", "two\nlines", &"x".repeat(201)] {
        let refused = cluster.pause_issuance(pause(reason)).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{reason:?}");
    }
    cluster.pause_issuance(pause("a drill")).await.unwrap();
    let status = cluster.get_status(GetStatusRequest {}).await.unwrap();
    let told = status.into_inner().issuance_pause.unwrap();
    assert_eq!(
        (told.by.as_str(), told.reason.as_str()),
        ("operator:founder", "a drill")
    );
    assert_eq!(stand.alone.state().pause().unwrap().reason, "a drill");
    cluster
        .resume_issuance(ResumeIssuanceRequest::default())
        .await
        .unwrap();
    let status = cluster.get_status(GetStatusRequest {}).await.unwrap();
    assert_eq!(status.into_inner().issuance_pause, None);
}

#[tokio::test]
async fn the_status_says_when_there_is_no_quorum_and_why_the_replica_stopped() {
    let stand = Stand::start().await;
    let mut cluster = stand.admin().await.cluster;
    *stand.doubles.refusal.lock().unwrap() = Some(ProposeError::NoLeader);
    stand.leadership.send_replace(Leadership::Following {
        term: Term(9),
        leader: None,
    });
    let status = cluster
        .get_status(GetStatusRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(!status.quorum);
    assert_eq!((status.term, status.leader.as_str()), (9, ""));
    stand.leadership.send_replace(Leadership::Stopped);
    stand.overview.send_modify(|overview| {
        overview.replica_fault = Some("no space left on device".to_owned());
    });
    let status = cluster
        .get_status(GetStatusRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(!status.quorum);
    assert_eq!(status.replica_fault, "no space left on device");
}

#[tokio::test]
async fn members_show_their_reports() {
    let stand = Stand::start().await;
    stand.three_voters();
    let mut two = report(2, Some(40), 1500);
    two.faults = vec!["clock is off by 7 s".to_owned()];
    two.clock_offset_ms = -7000;
    *stand.doubles.reports.lock().unwrap() = vec![report(1, Some(50), 0), two, report(3, None, 0)];
    let mut cluster = stand.admin().await.cluster;
    let members = cluster
        .list_members(ListMembersRequest {})
        .await
        .unwrap()
        .into_inner()
        .members;
    let second = members[1].report.clone().unwrap();
    assert_eq!(second.published_index, 40);
    assert_eq!((second.silent_ms, second.clock_offset_ms), (1500, -7000));
    assert_eq!(second.faults, ["clock is off by 7 s"]);
    assert_eq!(members[2].report, None, "never heard");
    assert_eq!(members[1].admin_address, "127.0.0.2:7444");
}

#[tokio::test]
async fn a_member_is_removed_while_the_others_are_a_majority() {
    let stand = Stand::start().await;
    stand.three_voters();
    let mut cluster = stand.admin().await.cluster;
    let remove = |id: u64| RemoveMemberRequest {
        name: format!("members/{id}"),
    };
    *stand.doubles.reports.lock().unwrap() = vec![
        report(1, Some(50), 0),
        report(2, Some(50), 9000),
        report(3, Some(50), 10),
    ];
    let answer = cluster.remove_member(remove(3)).await;
    assert_eq!(
        told(answer),
        "FailedPrecondition QUORUM_AT_RISK subject=members/3"
    );
    let removed = cluster.remove_member(remove(2)).await.unwrap().into_inner();
    assert_eq!(removed.index, stand.alone.state().index().0);
    assert!(stand.alone.state().member(NodeId(2)).unwrap().leaving);
    let members = cluster
        .list_members(ListMembersRequest {})
        .await
        .unwrap()
        .into_inner()
        .members;
    assert_eq!(members[1].standing, "leaving");
    cluster
        .remove_member(remove(2))
        .await
        .expect("asking again is no fault");
}

#[tokio::test]
async fn the_last_member_stays() {
    let stand = Stand::start().await;
    let mut cluster = stand.admin().await.cluster;
    let remove = RemoveMemberRequest {
        name: "members/1".to_owned(),
    };
    let answer = cluster.remove_member(remove).await;
    assert_eq!(
        told(answer),
        "FailedPrecondition QUORUM_AT_RISK subject=members/1"
    );
}

#[tokio::test]
async fn leadership_is_handed_to_voters_only() {
    let stand = Stand::start().await;
    stand.three_voters();
    stand.doubles.configuration.lock().unwrap().voters = vec![NodeId(1), NodeId(2)];
    let mut cluster = stand.admin().await.cluster;
    let to = |target: &str| TransferLeadershipRequest {
        target: target.to_owned(),
    };
    let answer = cluster.transfer_leadership(to("members/3")).await;
    assert_eq!(
        told(answer),
        "FailedPrecondition NOT_A_VOTER subject=members/3"
    );
    let done = cluster
        .transfer_leadership(to("members/2"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(done.leader, "members/2");
    let done = cluster
        .transfer_leadership(to(""))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(done.leader, "members/1");
    for (error, expected) in [
        (
            MembersError::Refused("it is behind".to_owned()),
            "FailedPrecondition TRANSFER_REFUSED subject=leadership",
        ),
        (MembersError::NotLeader(None), "Unavailable NOT_LEADER"),
        (MembersError::Unknown, "Unavailable OUTCOME_UNKNOWN"),
        (
            MembersError::Stopped("full disk".to_owned()),
            "Unavailable REPLICA_STOPPED",
        ),
    ] {
        *stand.doubles.transfer.lock().unwrap() = Err(error);
        assert_eq!(told(cluster.transfer_leadership(to("")).await), expected);
    }
}
