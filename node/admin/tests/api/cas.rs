//! CAs and our accounts there.

use proto::admin::v1::*;
use state::{Registration, Term, ports::Seal, sealed::SealContext, testing::MaskSeal};

use crate::stand::{Clients, Stand, told};

/// 20 bytes as a CA gives them.
const HMAC: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";

fn preset(name: &str) -> CreateCaRequest {
    CreateCaRequest {
        preset: name.to_owned(),
        settings: Some(CaSettings {
            terms_agreed: true,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn account(key_id: &str, hmac: &str) -> Option<ExternalAccount> {
    Some(ExternalAccount {
        key_id: key_id.to_owned(),
        hmac: hmac.to_owned(),
    })
}

async fn create(admin: &mut Clients, request: CreateCaRequest) -> Ca {
    admin.cas.create_ca(request).await.unwrap().into_inner()
}

async fn update(
    admin: &mut Clients,
    settings: CaSettings,
    paths: &[&str],
) -> Result<Ca, tonic::Status> {
    let request = UpdateCaRequest {
        name: "cas/test-ca".to_owned(),
        settings: Some(settings),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(ToString::to_string).collect(),
        }),
        revision: 0,
    };
    let answer = admin.cas.update_ca(request).await;
    answer.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_preset_brings_what_is_known_and_comes_behind_the_others() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    let ca = create(&mut admin, preset("letsencrypt")).await;
    assert_eq!(ca.name, "cas/letsencrypt");
    assert_eq!(ca.registration, "none");
    let settings = ca.settings.unwrap();
    assert_eq!(settings.rank, Some(1), "behind the first");
    assert_eq!(settings.limits.len(), 4);
    assert!(settings.finalize_atomic);
    let mut own = preset("letsencrypt");
    own.ca_id = "second".to_owned();
    own.settings.as_mut().unwrap().rank = Some(0);
    own.settings.as_mut().unwrap().profile = "shortlived".to_owned();
    create(&mut admin, own).await;
    let list = admin
        .cas
        .list_cas(ListCasRequest {})
        .await
        .unwrap()
        .into_inner();
    let names: Vec<&str> = list.cas.iter().map(|ca| ca.name.as_str()).collect();
    assert_eq!(names, ["cas/second", "cas/test-ca", "cas/letsencrypt"]);
    let again = admin.cas.create_ca(preset("letsencrypt")).await;
    assert_eq!(told(again), "AlreadyExists CA_EXISTS");
}

#[tokio::test]
async fn a_ca_is_changed_field_by_field() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    let wanted = CaSettings {
        rank: Some(7),
        profile: "shortlived".to_owned(),
        contacts: vec!["mailto:new@saas.example".to_owned()],
        ..Default::default()
    };
    let changed = update(&mut admin, wanted.clone(), &["rank", "profile"])
        .await
        .unwrap();
    let settings = changed.settings.unwrap();
    assert_eq!((settings.rank, &*settings.profile), (Some(7), "shortlived"));
    assert_eq!(
        settings.contacts,
        ["mailto:ops@saas.example"],
        "not named, not changed"
    );
    let same = update(&mut admin, wanted, &["rank"]).await.unwrap();
    assert_eq!(same.revision, changed.revision, "nothing changed");
    let stale = UpdateCaRequest {
        name: "cas/test-ca".to_owned(),
        settings: Some(CaSettings::default()),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["profile".to_owned()],
        }),
        revision: 1,
    };
    let answer = admin.cas.update_ca(stale).await;
    assert_eq!(
        told(answer),
        "Aborted REVISION_MISMATCH subject=cas/test-ca"
    );
    stand.alone.register(Term(4), "thumbprint");
    let elsewhere = CaSettings {
        directory: "https://other.example/directory".to_owned(),
        ..Default::default()
    };
    let answer = update(&mut admin, elsewhere, &["directory"]).await;
    assert_eq!(told(answer), "FailedPrecondition UNFIT subject=cas/test-ca");
}

#[tokio::test]
async fn an_external_account_is_sealed_and_never_shown() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    let mut request = preset("zerossl");
    request.external_account = account("kid-1", &format!("{HMAC}="));
    let ca = create(&mut admin, request).await;
    assert_eq!(ca.external_account_key_id, "kid-1");
    assert!(!format!("{ca:?}").contains(HMAC));
    let state = stand.alone.state();
    let kept = state
        .ca("zerossl")
        .unwrap()
        .external_account
        .clone()
        .unwrap();
    let context = SealContext::ExternalAccountKey("zerossl".parse().unwrap());
    let opened = MaskSeal.open(&kept.hmac, &context).unwrap();
    assert_eq!(opened.expose(), b"secret-secret-secret");
    assert!(!format!("{:?}", stand.alone.log()).contains("secret-secret"));

    let name = "cas/zerossl".to_owned();
    let bind = BindExternalAccountRequest {
        name: name.clone(),
        account: account("kid-2", HMAC),
    };
    assert!(!format!("{bind:?}").contains(HMAC));
    let bound = admin
        .cas
        .bind_external_account(bind)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(bound.external_account_key_id, "kid-2");
    let unbind = UnbindExternalAccountRequest { name };
    let bare = admin
        .cas
        .unbind_external_account(unbind)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(bare.external_account_key_id, "");
}

#[tokio::test]
async fn a_status_tells_of_a_ca_that_waits_for_an_operator() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    create(&mut admin, preset("google")).await;
    let status = admin
        .cluster
        .get_status(GetStatusRequest {})
        .await
        .unwrap()
        .into_inner();
    let [warning] = &status.warnings[..] else {
        panic!("{:?}", status.warnings);
    };
    assert!(warning.contains("hostquorum ca bind google"), "{warning}");
    let cas: Vec<_> = status
        .cas
        .iter()
        .map(|ca| (&*ca.name, &*ca.registration))
        .collect();
    assert_eq!(cas, [("cas/test-ca", "none"), ("cas/google", "none")]);
}

#[tokio::test]
async fn an_account_key_is_rolled_once_there_is_an_account() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    let request = RollAccountKeyRequest {
        name: "cas/test-ca".to_owned(),
    };
    let answer = admin.cas.roll_account_key(request.clone()).await;
    assert_eq!(
        told(answer),
        "FailedPrecondition ACCOUNT_STATE subject=cas/test-ca"
    );
    stand.alone.register(Term(4), "thumbprint");
    let ca = admin
        .cas
        .roll_account_key(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(ca.registration, "rollover-wanted");
    assert_eq!(ca.key_thumbprint, "thumbprint");
    assert_eq!(ca.account_url, "https://ca.example/account/1");
    let state = stand.alone.state();
    let registration = &state.ca("test-ca").unwrap().registration;
    assert!(matches!(
        registration,
        Registration::Registered { rollover: true, .. }
    ));
}

#[tokio::test]
async fn the_only_ca_stays_and_one_that_is_wanted() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    let remove = |name: &str| DeleteCaRequest {
        name: format!("cas/{name}"),
        revision: 0,
    };
    let answer = admin.cas.delete_ca(remove("test-ca")).await;
    assert_eq!(
        told(answer),
        "FailedPrecondition IN_USE subject=cas/test-ca"
    );
    create(&mut admin, preset("letsencrypt")).await;
    let request = CreateHostnameRequest {
        hostname: "shop.example".to_owned(),
        wants: Some(Wants {
            ca: "cas/letsencrypt".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    admin.hostnames.create_hostname(request).await.unwrap();
    let answer = admin.cas.delete_ca(remove("letsencrypt")).await;
    assert_eq!(
        told(answer),
        "FailedPrecondition IN_USE subject=cas/letsencrypt"
    );
    admin.cas.delete_ca(remove("test-ca")).await.unwrap();
    let answer = admin.cas.delete_ca(remove("test-ca")).await;
    assert_eq!(told(answer), "NotFound CA_NOT_FOUND");
}
