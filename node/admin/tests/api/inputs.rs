//! Bad input to every method: refused before anything is proposed, with the field
//! that is at fault.

use proto::admin::v1::*;

use crate::stand::{Stand, told};

fn field(name: &str) -> String {
    format!("InvalidArgument INVALID_ARGUMENT field={name}")
}

#[tokio::test]
async fn hostnames_that_cannot_be() {
    let stand = Stand::start().await;
    let mut hostnames = stand.admin().await.hostnames;
    for bad in [
        "",
        ".",
        "*.shop.example",
        "127.0.0.1",
        "[::1]",
        "localhost",
        "a..b",
        "-a.example",
        "under_score.example",
        "shop.example:443",
        "http://shop.example",
        "hostnames/shop.example",
        "a\0b.example",
    ] {
        let hostname = bad.to_owned();
        let answer = hostnames
            .create_hostname(CreateHostnameRequest {
                hostname,
                ..Default::default()
            })
            .await;
        assert_eq!(told(answer), field("hostname"), "{bad:?}");
    }
    assert_eq!(stand.alone.state().hostname_count(), 0);
    assert_eq!(stand.alone.log().len(), 1, "nothing was proposed");
}

#[tokio::test]
async fn names_of_hostnames_that_cannot_be() {
    let stand = Stand::start().await;
    let mut hostnames = stand.admin().await.hostnames;
    for bad in [
        "",
        "shop.example",
        "hostnames/",
        "hostnames/*.example",
        "members/1",
        "hostnames/a/b",
        "hostnames/localhost",
    ] {
        let name = bad.to_owned();
        let answer = hostnames
            .get_hostname(GetHostnameRequest { name: name.clone() })
            .await;
        assert_eq!(told(answer), field("name"), "{bad:?}");
        let request = DeleteHostnameRequest {
            name: name.clone(),
            revision: 0,
        };
        assert_eq!(
            told(hostnames.delete_hostname(request).await),
            field("name"),
            "{bad:?}"
        );
        let answer = hostnames
            .watch_hostname(WatchHostnameRequest { name: name.clone() })
            .await;
        assert_eq!(told(answer), field("name"), "{bad:?}");
        let answer = hostnames
            .explain_hostname(ExplainHostnameRequest { name })
            .await;
        assert_eq!(told(answer), field("name"), "{bad:?}");
    }
}

#[tokio::test]
async fn hostnames_that_are_not_there() {
    let stand = Stand::start().await;
    let mut hostnames = stand.admin().await.hostnames;
    let name = "hostnames/shop.example".to_owned();
    let missing = "NotFound HOSTNAME_NOT_FOUND";
    let answer = hostnames
        .get_hostname(GetHostnameRequest { name: name.clone() })
        .await;
    assert_eq!(told(answer), missing);
    let request = DeleteHostnameRequest {
        name: name.clone(),
        revision: 0,
    };
    assert_eq!(told(hostnames.delete_hostname(request).await), missing);
    let answer = hostnames
        .watch_hostname(WatchHostnameRequest { name: name.clone() })
        .await;
    assert_eq!(told(answer), missing);
    let answer = hostnames
        .explain_hostname(ExplainHostnameRequest { name })
        .await;
    assert_eq!(told(answer), missing);
}

#[tokio::test]
async fn listings_that_cannot_be() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    let list = |page_size, page_token: &str, state| ListHostnamesRequest {
        page_size,
        page_token: page_token.to_owned(),
        state,
        ..Default::default()
    };
    for (request, at_fault) in [
        (list(-1, "", 0), "page_size"),
        (list(1001, "", 0), "page_size"),
        (list(0, "nonsense", 0), "page_token"),
        (list(0, "AQ", 0), "page_token"),
        (list(0, &"A".repeat(5000), 0), "page_token"),
        (list(0, "", 99), "state"),
        (list(0, "", -1), "state"),
    ] {
        let answer = admin.hostnames.list_hostnames(request.clone()).await;
        assert_eq!(told(answer), field(at_fault), "{request:?}");
    }
    for (page_size, page_token, at_fault) in [
        (-1, "", "page_size"),
        (1001, "", "page_size"),
        (0, "nonsense", "page_token"),
    ] {
        let page_token = page_token.to_owned();
        let request = ListInvitationsRequest {
            page_size,
            page_token,
        };
        let answer = admin.invitations.list_invitations(request).await;
        assert_eq!(told(answer), field(at_fault));
    }
}

#[tokio::test]
async fn zones_and_origins_that_cannot_be() {
    let stand = Stand::start().await;
    let mut zones = stand.admin().await.zones;
    for bad in ["", "default", "zones/", "zones/other"] {
        let answer = zones
            .get_zone(GetZoneRequest {
                name: bad.to_owned(),
            })
            .await;
        assert_eq!(told(answer), field("name"), "{bad:?}");
    }
    let set = |name: &str, origin: Option<(&str, i32)>| SetOriginRequest {
        name: name.to_owned(),
        origin: origin.map(|(url, protocol)| Origin {
            url: url.to_owned(),
            protocol,
        }),
        revision: 0,
    };
    let long = format!("http://{}", "a".repeat(600));
    for (request, at_fault) in [
        (set("zones/other", Some(("http://app", 0))), "name"),
        (set("zones/default", None), "origin"),
        (set("zones/default", Some(("", 0))), "origin.url"),
        (set("zones/default", Some(("app:80", 0))), "origin.url"),
        (set("zones/default", Some(("ftp://app", 0))), "origin.url"),
        (
            set("zones/default", Some(("http://u@app", 0))),
            "origin.url",
        ),
        (
            set("zones/default", Some(("http://app/path", 0))),
            "origin.url",
        ),
        (
            set("zones/default", Some(("http://app:0", 0))),
            "origin.url",
        ),
        (set("zones/default", Some((&long, 0))), "origin.url"),
        (
            set("zones/default", Some(("http://app", 3))),
            "origin.protocol",
        ),
        (
            set("zones/default", Some(("http://app", -1))),
            "origin.protocol",
        ),
    ] {
        assert_eq!(
            told(zones.set_origin(request.clone()).await),
            field(at_fault),
            "{request:?}"
        );
    }
    assert!(stand.alone.state().zone().origin.is_none());
}

#[tokio::test]
async fn members_that_cannot_be() {
    let stand = Stand::start().await;
    let mut cluster = stand.admin().await.cluster;
    for bad in [
        "",
        "1",
        "members/",
        "members/x",
        "members/-1",
        "members/01",
        "nodes/1",
    ] {
        let name = bad.to_owned();
        let answer = cluster
            .remove_member(RemoveMemberRequest { name: name.clone() })
            .await;
        assert_eq!(told(answer), field("name"), "{bad:?}");
        if !bad.is_empty() {
            let request = TransferLeadershipRequest { target: name };
            let answer = cluster.transfer_leadership(request).await;
            assert_eq!(told(answer), field("target"), "{bad:?}");
        }
    }
    let name = "members/9".to_owned();
    let answer = cluster
        .remove_member(RemoveMemberRequest { name: name.clone() })
        .await;
    assert_eq!(told(answer), "NotFound MEMBER_NOT_FOUND");
    let answer = cluster
        .transfer_leadership(TransferLeadershipRequest { target: name })
        .await;
    assert_eq!(told(answer), "NotFound MEMBER_NOT_FOUND");
}

#[tokio::test]
async fn invitations_that_cannot_be() {
    let stand = Stand::start().await;
    let mut invitations = stand.admin().await.invitations;
    let viewer = Role::Viewer.into();
    for (role, ttl_seconds, at_fault) in [
        (0, 0, "role"),
        (9, 0, "role"),
        (-1, 0, "role"),
        (viewer, 59, "ttl_seconds"),
        (viewer, 86_401, "ttl_seconds"),
        (viewer, u32::MAX, "ttl_seconds"),
    ] {
        let request = CreateInvitationRequest { role, ttl_seconds };
        let answer = invitations.create_invitation(request).await;
        assert_eq!(told(answer), field(at_fault), "{role} {ttl_seconds}");
    }
    for bad in ["", "1", "invitations/", "invitations/x", "invitations/0"] {
        let request = RevokeInvitationRequest {
            name: bad.to_owned(),
        };
        assert_eq!(
            told(invitations.revoke_invitation(request).await),
            field("name"),
            "{bad:?}"
        );
    }
    let request = RevokeInvitationRequest {
        name: "invitations/7".to_owned(),
    };
    let answer = invitations.revoke_invitation(request).await;
    assert_eq!(told(answer), "NotFound INVITATION_NOT_FOUND");
}

#[tokio::test]
async fn a_request_beyond_the_bound_is_refused() {
    let stand = Stand::start().await;
    let mut hostnames = stand.admin().await.hostnames;
    let hostname = "a".repeat(admin::limits::REQUEST_BYTES_MAX);
    let answer = hostnames
        .create_hostname(CreateHostnameRequest {
            hostname,
            ..Default::default()
        })
        .await;
    assert_eq!(answer.unwrap_err().code(), tonic::Code::OutOfRange);
}
