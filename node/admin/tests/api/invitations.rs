//! Invitations from their making to their end.

use std::time::Duration;

use proto::admin::v1::*;
use state::testing::START;

use crate::stand::{Stand, millis, told};

#[tokio::test]
async fn a_token_is_shown_once() {
    let stand = Stand::start().await;
    let mut invitations = stand.admin().await.invitations;
    let request = CreateInvitationRequest {
        role: Role::Viewer.into(),
        ttl_seconds: 0,
    };
    let made = invitations
        .create_invitation(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(made.token, "hq1.secret.1");
    let invitation = made.invitation.unwrap();
    assert_eq!(invitation.name, "invitations/1");
    assert_eq!(invitation.role(), Role::Viewer);
    assert_eq!(invitation.state, "open");
    assert_eq!(invitation.created_by, "operator:founder");
    assert_eq!(
        millis(invitation.expires_at),
        Some(START.plus(Duration::from_secs(900)))
    );
    let listed = invitations
        .list_invitations(ListInvitationsRequest::default())
        .await
        .unwrap();
    let listed = format!("{listed:?}");
    assert!(
        listed.contains("invitations/1") && !listed.contains("secret"),
        "{listed}"
    );
}

#[tokio::test]
async fn an_invitation_is_open_revoked_expired_or_spent() {
    let stand = Stand::start().await;
    let mut invitations = stand.admin().await.invitations;
    let request = CreateInvitationRequest {
        role: Role::Admin.into(),
        ttl_seconds: 60,
    };
    for _ in 0..2 {
        invitations.create_invitation(request).await.unwrap();
    }
    stand.operator("alice", state::Role::Admin);
    let node = stand.member(2);
    let revoke = RevokeInvitationRequest {
        name: "invitations/2".to_owned(),
    };
    let revoked = invitations
        .revoke_invitation(revoke.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(revoked.index, stand.alone.state().index().0);
    invitations
        .revoke_invitation(revoke)
        .await
        .expect("again is no fault");
    stand.clock.advance(Duration::from_secs(60));
    let list = ListInvitationsRequest::default();
    let listed = invitations
        .list_invitations(list)
        .await
        .unwrap()
        .into_inner();
    let listed: Vec<_> = listed
        .invitations
        .iter()
        .map(|invitation| (invitation.state.as_str(), invitation.redeemed_by.clone()))
        .collect();
    assert_eq!(
        listed,
        [
            ("expired", String::new()),
            ("revoked", String::new()),
            ("spent", "alice".to_owned()),
            ("spent", format!("members/{node}")),
        ]
    );
    let revoke = RevokeInvitationRequest {
        name: "invitations/3".to_owned(),
    };
    let answer = invitations.revoke_invitation(revoke).await;
    assert_eq!(
        told(answer),
        "FailedPrecondition INVITATION_SPENT subject=invitations/3"
    );
}

#[tokio::test]
async fn pages_hold_every_invitation_once() {
    let stand = Stand::start().await;
    let mut invitations = stand.admin().await.invitations;
    let request = CreateInvitationRequest {
        role: Role::Node.into(),
        ttl_seconds: 0,
    };
    for _ in 0..7 {
        invitations.create_invitation(request).await.unwrap();
    }
    for page_size in [1, 3, 7, 8] {
        let (mut names, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListInvitationsRequest {
                page_size,
                page_token,
            };
            let page = invitations
                .list_invitations(request)
                .await
                .unwrap()
                .into_inner();
            names.extend(
                page.invitations
                    .into_iter()
                    .map(|invitation| invitation.name),
            );
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let expected: Vec<String> = (1..=7).map(|id| format!("invitations/{id}")).collect();
        assert_eq!(names, expected);
    }
}
