//! Certificates: brought, requested, shown, revoked, replaced in numbers.

use std::time::Duration;

use proto::admin::v1::*;
use state::{
    CertificateId, Term,
    ports::{Bodies, Seal},
    sealed::SealContext,
    testing::{MaskSeal, START, host},
};

use crate::{
    mill::{Ground, Mill},
    stand::{Clients, Stand, millis, told},
};

const TERM: Term = Term(4);

fn upload(ground: &Ground) -> UploadCertificateRequest {
    UploadCertificateRequest {
        hostname: "hostnames/shop.example".to_owned(),
        chain_pem: ground.chain.clone(),
        private_key_pem: ground.key.clone(),
        ..Default::default()
    }
}

async fn brought(admin: &mut Clients, request: UploadCertificateRequest) -> Certificate {
    let answer = admin
        .certificates
        .upload_certificate(request)
        .await
        .unwrap();
    answer.into_inner().certificate.unwrap()
}

async fn get(admin: &mut Clients, name: &str) -> Hostname {
    let name = format!("hostnames/{name}");
    let answer = admin
        .hostnames
        .get_hostname(GetHostnameRequest { name })
        .await;
    answer.unwrap().into_inner()
}

/// The lines of a PEM between its marks, as one.
fn body(pem: &str) -> String {
    pem.lines()
        .filter(|line| !line.starts_with("-----"))
        .collect()
}

#[tokio::test]
async fn an_uploaded_certificate_is_served_its_key_sealed() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    stand.alone.authorize("shop.example");
    let ground = Mill::new().grind(&["shop.example", "*.shop.example"]);
    let shown = brought(&mut admin, upload(&ground)).await;
    assert_eq!((&*shown.ca, &*shown.issuer), ("", "Mill 1"));
    assert!(shown.served && shown.wildcard);
    assert_eq!(shown.algorithm(), KeyAlgorithm::Ecdsa);
    // Two thirds of 90 days after the 31st of December.
    let move_at = START.plus(Duration::from_secs(59 * 86_400));
    assert_eq!(millis(shown.renew_at), Some(move_at));
    let hostname = get(&mut admin, "shop.example").await;
    assert_eq!(hostname.state(), HostnameState::Live);
    assert_eq!(hostname.certificate, Some(shown.clone()));

    let state = stand.alone.state();
    let id: CertificateId = shown.id.parse().unwrap();
    let kept = state.certificate(&id).unwrap();
    let kept = stand.alone.certificate(kept).unwrap().unwrap();
    let context = SealContext::CertificateKey(host("shop.example"));
    let key = MaskSeal.open(&kept.sealed_key, &context).unwrap();
    let key = rcgen::KeyPair::try_from(key.expose()).unwrap();
    let given = rcgen::KeyPair::from_pem(&ground.key).unwrap();
    assert_eq!(key.public_key_raw(), given.public_key_raw());

    let request = GetCertificateRequest { name: shown.name };
    let whole = admin
        .certificates
        .get_certificate(request)
        .await
        .unwrap()
        .into_inner();
    let first = ground
        .chain
        .split_inclusive("-----END CERTIFICATE-----\n")
        .next()
        .unwrap();
    assert_eq!(body(&whole.chain_pem), body(first), "the root is left out");
    assert!(!format!("{whole:?}").contains("PRIVATE"));
}

#[tokio::test]
async fn one_of_each_kind_of_key_is_served() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    stand.alone.authorize("shop.example");
    let mill = Mill::new();
    let ecdsa = brought(&mut admin, upload(&mill.grind(&["shop.example"]))).await;
    let rsa = brought(&mut admin, upload(&mill.grind_rsa(&["shop.example"]))).await;
    let hostname = get(&mut admin, "shop.example").await;
    assert_eq!(hostname.certificate.unwrap().id, ecdsa.id);
    assert_eq!(hostname.rsa_certificate.unwrap().id, rsa.id);
    let next = brought(&mut admin, upload(&mill.grind(&["shop.example"]))).await;
    let of_it = ListCertificatesRequest {
        hostname: "hostnames/shop.example".to_owned(),
        ..Default::default()
    };
    let all = admin
        .certificates
        .list_certificates(of_it)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(all.certificates.len(), 3);
    let still: Vec<_> = all.certificates.iter().filter(|one| one.served).collect();
    assert_eq!(still.len(), 2, "the first was replaced");
    assert!(still.iter().any(|one| one.id == next.id));
    let list = admin
        .certificates
        .list_certificates(ListCertificatesRequest::default())
        .await;
    assert_eq!(
        list.unwrap().into_inner().certificates.len(),
        2,
        "the served ones"
    );
}

#[tokio::test]
async fn one_certificate_of_many_names_is_served_for_each_that_it_was_brought_for() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    let names = ["shop.example", "blog.example"];
    let ground = Mill::new().grind(&names);
    let mut ids = Vec::new();
    for name in names {
        stand.alone.authorize(name);
        let mut request = upload(&ground);
        request.hostname = format!("hostnames/{name}");
        ids.push(brought(&mut admin, request).await.id);
    }
    for (name, id) in names.into_iter().zip(&ids) {
        assert_eq!(get(&mut admin, name).await.certificate.unwrap().id, *id);
    }
    // Each by itself: one goes, the other stays.
    let remove = DeleteHostnameRequest {
        name: "hostnames/shop.example".to_owned(),
        ..Default::default()
    };
    admin.hostnames.delete_hostname(remove).await.unwrap();
    let hostname = get(&mut admin, "blog.example").await;
    assert_eq!(hostname.state(), HostnameState::Live);
    assert_eq!(hostname.certificate.unwrap().id, ids[1]);
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_by_its_reason_before_anything_is_agreed_on() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    stand.alone.authorize("shop.example");
    let before = stand.alone.log().len();
    let mill = Mill::new();
    let good = mill.grind(&["shop.example"]);
    let other = mill.grind(&["other.example"]);
    let with = |change: &dyn Fn(&mut UploadCertificateRequest)| {
        let mut request = upload(&good);
        change(&mut request);
        request
    };
    let cases = [
        (
            with(&|it| it.hostname = "shop.example".into()),
            "INVALID_ARGUMENT field=hostname",
        ),
        (
            with(&|it| it.chain_pem.clear()),
            "CERTIFICATE_UNREADABLE field=chain_pem",
        ),
        (
            with(&|it| it.chain_pem = "x".repeat(70_000)),
            "INVALID_ARGUMENT field=chain_pem",
        ),
        (
            with(&|it| it.private_key_pem.clear()),
            "INVALID_ARGUMENT field=private_key_pem",
        ),
        (
            with(&|it| it.private_key_pem = "x".into()),
            "KEY_UNREADABLE field=private_key_pem",
        ),
        (
            with(&|it| it.private_key_pem = "x".repeat(20_000)),
            "INVALID_ARGUMENT field=private_key_pem",
        ),
        (
            with(&|it| it.private_key_pem = other.key.clone()),
            "KEY_MISMATCH field=private_key_pem",
        ),
        (
            with(&|it| {
                it.chain_pem = other.chain.clone();
                it.private_key_pem = other.key.clone();
            }),
            "CERTIFICATE_NAME field=chain_pem",
        ),
        (
            with(&|it| {
                it.keep = true;
                it.move_at = Some(prost_types::Timestamp::default());
            }),
            "INVALID_ARGUMENT field=move_at",
        ),
        (
            with(&|it| {
                it.move_at = Some(prost_types::Timestamp {
                    seconds: -1,
                    nanos: 0,
                });
            }),
            "INVALID_ARGUMENT field=move_at",
        ),
        (
            // After its end.
            with(&|it| {
                it.move_at = Some(prost_types::Timestamp {
                    seconds: 1_780_000_000,
                    nanos: 0,
                });
            }),
            "INVALID_ARGUMENT field=move_at",
        ),
    ];
    for (request, expected) in cases {
        assert!(!format!("{request:?}").contains("PRIVATE KEY"));
        let answer = admin.certificates.upload_certificate(request).await;
        assert_eq!(told(answer), format!("InvalidArgument {expected}"));
    }
    assert_eq!(stand.alone.log().len(), before, "nothing was proposed");
    stand.clock.advance(Duration::from_secs(89 * 86_400));
    let answer = admin.certificates.upload_certificate(upload(&good)).await;
    assert_eq!(
        told(answer),
        "InvalidArgument CERTIFICATE_EXPIRED field=chain_pem"
    );
    let mut missing = upload(&good);
    missing.hostname = "hostnames/nowhere.example".to_owned();
    let answer = admin.certificates.upload_certificate(missing).await;
    assert_eq!(told(answer), "NotFound HOSTNAME_NOT_FOUND");
}

#[tokio::test]
async fn a_request_s_key_never_leaves_and_serves_what_is_signed_for_it() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    stand.alone.authorize("shop.example");
    let hostname = "hostnames/shop.example".to_owned();
    let request = CreateCertificateRequestRequest {
        hostname: hostname.clone(),
        algorithm: 0,
    };
    let made = admin.certificates.create_certificate_request(request).await;
    let made = made.unwrap().into_inner();
    assert!(
        made.csr_pem
            .starts_with("-----BEGIN CERTIFICATE REQUEST-----\n")
    );
    assert_eq!(
        get(&mut admin, "shop.example").await.request,
        Some(made.clone())
    );
    let mill = Mill::new();
    let chain = mill.sign_request(&["shop.example"], &made.csr_pem);
    let without_key = |chain_pem| UploadCertificateRequest {
        hostname: hostname.clone(),
        chain_pem,
        keep: true,
        ..Default::default()
    };
    let strange = without_key(mill.grind(&["shop.example"]).chain);
    let answer = admin.certificates.upload_certificate(strange).await;
    assert_eq!(told(answer), "InvalidArgument KEY_MISMATCH field=chain_pem");
    let shown = brought(&mut admin, without_key(chain)).await;
    assert_eq!(shown.renew_at, None, "it is kept");
    let hostname = get(&mut admin, "shop.example").await;
    assert!(hostname.request.is_none(), "it is spent");
    assert_eq!(hostname.certificate, Some(shown));
}

#[tokio::test]
async fn uploads_near_their_end_are_told_of() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    stand.alone.authorize("shop.example");
    let mut kept = upload(&Mill::new().grind(&["shop.example"]));
    kept.keep = true;
    brought(&mut admin, kept).await;
    let mut words = Vec::new();
    for days in [40, 20, 8, 8, 7, 5, 1] {
        stand.clock.advance(Duration::from_secs(days * 86_400));
        let status = admin.cluster.get_status(GetStatusRequest {}).await.unwrap();
        let warnings = status.into_inner().warnings;
        words.push(warnings.first().cloned().unwrap_or_default());
    }
    let expected = [
        "",
        "soon",
        "soon",
        "this week",
        "a day or two",
        "NOW",
        "ended at",
    ];
    for (told, expected) in words.iter().zip(expected) {
        assert!(
            told.contains(expected) && told.is_empty() == expected.is_empty(),
            "{words:?}"
        );
    }
}

async fn issued(stand: &Stand, names: &[&str]) {
    for (number, name) in (0u8..).zip(names) {
        stand.alone.authorize(name);
        let context = SealContext::CertificateKey(host(name));
        let key = MaskSeal
            .seal(state::KeyPurpose::Serving, &context, b"key")
            .unwrap();
        let leaf = vec![number, 1, 2, 3];
        stand.alone.install(
            TERM,
            name,
            key,
            leaf.into(),
            vec![b"issuer".to_vec().into()],
        );
    }
}

#[tokio::test]
async fn a_revocation_is_asked_for_once_and_has_its_replacement_hurry() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    issued(&stand, &["shop.example"]).await;
    let name = get(&mut admin, "shop.example")
        .await
        .certificate
        .unwrap()
        .name;
    let request = RevokeCertificateRequest {
        name,
        reason: RevocationReason::KeyCompromise.into(),
    };
    let answer = admin.certificates.revoke_certificate(request.clone()).await;
    let shown = answer.unwrap().into_inner();
    let revocation = shown.revocation.clone().unwrap();
    assert_eq!(revocation.reason(), RevocationReason::KeyCompromise);
    assert_eq!((&*revocation.state, &*shown.reissue), ("wanted", "urgent"));
    let again = admin
        .certificates
        .revoke_certificate(request)
        .await
        .unwrap();
    assert_eq!(again.into_inner(), shown);
    let explain = ExplainHostnameRequest {
        name: "hostnames/shop.example".to_owned(),
    };
    let told = admin
        .hostnames
        .explain_hostname(explain)
        .await
        .unwrap()
        .into_inner();
    assert!(
        told.summary.contains("The revocation of"),
        "{}",
        told.summary
    );

    stand.alone.authorize("own.example");
    let mut own = upload(&Mill::new().grind(&["own.example"]));
    own.hostname = "hostnames/own.example".to_owned();
    let own = brought(&mut admin, own).await;
    let request = RevokeCertificateRequest {
        name: own.name.clone(),
        reason: 0,
    };
    let answer = admin.certificates.revoke_certificate(request).await;
    let subject = format!("FailedPrecondition UNFIT subject={}", own.name);
    assert_eq!(self::told(answer), subject);
}

#[tokio::test]
async fn a_mass_reissue_is_planned_and_then_asked_for() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    issued(&stand, &["a.example", "b.example", "c.example"]).await;
    stand.alone.authorize("d.example");
    stand.alone.authorize("shop.example");
    brought(&mut admin, upload(&Mill::new().grind(&["shop.example"]))).await;
    let plan = |conditions: &[&str]| PlanReissueRequest {
        r#where: conditions.iter().map(ToString::to_string).collect(),
        urgent: false,
    };
    let before = stand.alone.log().len();
    for (conditions, certificates, uploaded) in [
        (&["all"][..], 3, 1),
        (&["ca=test-ca"], 3, 0),
        (&["issuer=Test CA"], 3, 0),
        (&["issuer=Mill 1"], 0, 1),
        (&["hostname=b.example"], 1, 0),
        (&["tenant=default", "hostname=b.example"], 1, 0),
        (&["tenant=other"], 0, 0),
        (&["expiring<91d"], 3, 1),
        (&["expiring<30d"], 0, 0),
    ] {
        let answer = admin.certificates.plan_reissue(plan(conditions)).await;
        let told = answer.unwrap().into_inner();
        assert_eq!(
            (told.certificates, told.uploaded),
            (certificates, uploaded),
            "{conditions:?}"
        );
        assert!(!told.notes.is_empty());
    }
    assert_eq!(stand.alone.log().len(), before, "planning changes nothing");
    let told = admin
        .certificates
        .plan_reissue(plan(&["all"]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(told.sample, ["a.example", "b.example", "c.example"]);
    assert_eq!(
        millis(told.done_at),
        Some(START.plus(state::forecast::PACE * 3))
    );

    let request = ReissueCertificatesRequest {
        r#where: vec!["all".to_owned()],
        urgent: true,
        page_token: String::new(),
    };
    let done = admin
        .certificates
        .reissue_certificates(request.clone())
        .await;
    let done = done.unwrap().into_inner();
    assert_eq!((done.hostnames, &*done.next_page_token), (3, ""));
    assert_eq!(done.index, stand.alone.state().index().0);
    let certificate = get(&mut admin, "b.example").await.certificate.unwrap();
    assert_eq!(certificate.reissue, "urgent");
    assert_eq!(millis(certificate.renew_at), Some(START));
    let none = ReissueCertificatesRequest {
        r#where: vec!["tenant=other".to_owned()],
        ..request
    };
    let none = admin
        .certificates
        .reissue_certificates(none)
        .await
        .unwrap()
        .into_inner();
    assert_eq!((none.hostnames, none.index), (0, 0));
}

#[tokio::test]
async fn a_chain_that_cannot_be_read_is_told() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    issued(&stand, &["shop.example"]).await;
    let name = get(&mut admin, "shop.example")
        .await
        .certificate
        .unwrap()
        .name;
    stand
        .doubles
        .broken_disk
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let answer = admin
        .certificates
        .get_certificate(GetCertificateRequest { name })
        .await;
    let shown = answer.unwrap().into_inner();
    assert_eq!(shown.chain_pem, "");
    assert!(
        shown.chain_fault.contains("input/output error"),
        "{}",
        shown.chain_fault
    );
}

#[tokio::test]
async fn a_hostname_that_failed_is_tried_at_once_if_it_is_named() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    stand.alone.authorize("shop.example");
    let context = SealContext::CertificateKey(host("shop.example"));
    let key = MaskSeal
        .seal(state::KeyPurpose::Serving, &context, b"key")
        .unwrap();
    let order = stand.alone.admit(TERM, "shop.example", key);
    stand.alone.duty(
        TERM,
        state::Change::FailOrder {
            order,
            evidence: state::Evidence::NeverPlaced,
            class: state::FailureClass::Unavailable,
            reason: "no answer".to_owned(),
            next_try: START.plus(Duration::from_secs(86_400)),
        },
    );
    let ask = |conditions: &[&str]| ReissueCertificatesRequest {
        r#where: conditions.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    for (conditions, hostnames) in [
        (&["all"][..], 0),
        (&["hostname=shop.example", "ca=test-ca"], 0),
        (&["hostname=shop.example", "tenant=other"], 0),
        (&["hostname=shop.example", "tenant=default"], 1),
    ] {
        let done = admin
            .certificates
            .reissue_certificates(ask(conditions))
            .await;
        assert_eq!(
            done.unwrap().into_inner().hostnames,
            hostnames,
            "{conditions:?}"
        );
    }
    assert!(get(&mut admin, "shop.example").await.failure.is_none());
}
