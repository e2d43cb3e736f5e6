//! Bad input to the methods of issuance: refused before anything is proposed, with the
//! field that is at fault.

use proto::admin::v1::*;

use crate::stand::{Stand, told};

fn field(name: &str) -> String {
    format!("InvalidArgument INVALID_ARGUMENT field={name}")
}

fn mask(path: &str) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask {
        paths: vec![path.to_owned()],
    })
}

fn limit(kind: i32, burst: u32, refill: Option<(i64, i32)>) -> Limit {
    Limit {
        kind,
        burst,
        refill: refill.map(|(seconds, nanos)| prost_types::Duration { seconds, nanos }),
    }
}

/// Settings of a CA that cannot be, each with the field at fault.
fn bad_settings() -> Vec<(&'static str, CaSettings)> {
    let orders = LimitKind::Orders.into();
    let domains = LimitKind::CertificatesPerDomain.into();
    let with = |edit: &dyn Fn(&mut CaSettings)| {
        let mut settings = CaSettings::default();
        edit(&mut settings);
        settings
    };
    let exception = |key: &str, limit: Option<Limit>| LimitOverride {
        key: key.to_owned(),
        limit,
    };
    let fine = limit(domains, 1, Some((1, 0)));
    vec![
        (
            "directory",
            with(&|it| it.directory = "http://ca.example".into()),
        ),
        ("directory", with(&|it| it.directory = "https://".into())),
        (
            "directory",
            with(&|it| it.directory = "https://u@ca.example/".into()),
        ),
        (
            "directory",
            with(&|it| it.directory = "https://ca.example/a b".into()),
        ),
        (
            "directory",
            with(&|it| it.directory = format!("https://{}", "a".repeat(3000))),
        ),
        (
            "trust_roots_pem",
            with(&|it| it.trust_roots_pem = "nonsense".into()),
        ),
        (
            "trust_roots_pem",
            with(&|it| it.trust_roots_pem = "x".repeat(70_000)),
        ),
        (
            "contacts",
            with(&|it| it.contacts = vec!["ops@a.example".into()]),
        ),
        (
            "contacts",
            with(&|it| it.contacts = vec!["mailto:a@b?subject=c".into()]),
        ),
        (
            "contacts",
            with(&|it| it.contacts = vec!["mailto:@b".into()]),
        ),
        (
            "contacts",
            with(&|it| it.contacts = vec!["mailto:a@b".into(); 9]),
        ),
        ("terms_agreed", with(&|_| {})),
        (
            "caa_identities",
            with(&|it| it.caa_identities = vec!["not a domain".into()]),
        ),
        (
            "caa_identities",
            with(&|it| it.caa_identities = vec!["a.example".into(); 17]),
        ),
        ("profile", with(&|it| it.profile = "a b".into())),
        ("profile", with(&|it| it.profile = "x".repeat(65))),
        (
            "preferred_chain",
            with(&|it| it.preferred_chain = "a\nb".into()),
        ),
        (
            "preferred_chain",
            with(&|it| it.preferred_chain = "x".repeat(300)),
        ),
        (
            "limits",
            with(&|it| it.limits = vec![limit(0, 1, Some((1, 0)))]),
        ),
        (
            "limits",
            with(&|it| it.limits = vec![limit(99, 1, Some((1, 0)))]),
        ),
        (
            "limits",
            with(&|it| it.limits = vec![limit(orders, 0, Some((1, 0)))]),
        ),
        (
            "limits",
            with(&|it| it.limits = vec![limit(orders, 1, None)]),
        ),
        (
            "limits",
            with(&|it| it.limits = vec![limit(orders, 1, Some((0, 1)))]),
        ),
        (
            "limits",
            with(&|it| it.limits = vec![limit(orders, 1, Some((-1, 0)))]),
        ),
        (
            "limits",
            with(&|it| it.limits = vec![limit(orders, 1, Some((i64::MAX, 0)))]),
        ),
        (
            "limits",
            with(&|it| it.limits = vec![limit(orders, 1, Some((1, 0))); 2]),
        ),
        (
            "overrides",
            with(&|it| it.overrides = vec![exception("a.example", None)]),
        ),
        (
            "overrides",
            with(&|it| it.overrides = vec![exception("", Some(fine))]),
        ),
        (
            "overrides",
            with(&|it| it.overrides = vec![exception("a b", Some(fine))]),
        ),
        (
            "overrides",
            with(&|it| it.overrides = vec![exception("a.example", Some(fine)); 2]),
        ),
        (
            "overrides",
            with(&|it| {
                let orders = limit(orders, 1, Some((1, 0)));
                it.overrides = vec![exception("a.example", Some(orders))];
            }),
        ),
    ]
}

#[tokio::test]
async fn cas_that_cannot_be() {
    let stand = Stand::start().await;
    let mut cas = stand.admin().await.cas;
    for (at_fault, settings) in bad_settings() {
        let request = UpdateCaRequest {
            name: "cas/test-ca".to_owned(),
            settings: Some(settings.clone()),
            update_mask: mask(at_fault),
            revision: 0,
        };
        let expected = field(&format!("settings.{at_fault}"));
        assert_eq!(told(cas.update_ca(request).await), expected, "{settings:?}");
    }
    let agreed = Some(CaSettings {
        terms_agreed: true,
        ..Default::default()
    });
    let create = |ca_id: &str, preset: &str, settings: Option<CaSettings>| CreateCaRequest {
        ca_id: ca_id.to_owned(),
        preset: preset.to_owned(),
        settings,
        external_account: None,
    };
    for (request, at_fault) in [
        (create("", "", agreed.clone()), "ca_id"),
        (create("Upper", "letsencrypt", agreed.clone()), "ca_id"),
        (create("", "letsencrypt-prod", agreed.clone()), "preset"),
        (create("own", "", agreed.clone()), "settings.directory"),
        (create("", "letsencrypt", None), "settings.terms_agreed"),
    ] {
        assert_eq!(
            told(cas.create_ca(request.clone()).await),
            field(at_fault),
            "{request:?}"
        );
    }
    for mask in [
        None,
        mask("revision"),
        Some(prost_types::FieldMask::default()),
    ] {
        let request = UpdateCaRequest {
            name: "cas/test-ca".to_owned(),
            settings: None,
            update_mask: mask,
            revision: 0,
        };
        assert_eq!(told(cas.update_ca(request).await), field("update_mask"));
    }
    assert_eq!(stand.alone.log().len(), 1, "nothing was proposed");
}

#[tokio::test]
async fn names_of_cas_that_cannot_be() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    for bad in ["", "test-ca", "cas/", "cas/A", "cas/a/b", "zones/default"] {
        let name = bad.to_owned();
        let at_fault = field("name");
        let answer = admin.cas.get_ca(GetCaRequest { name: name.clone() }).await;
        assert_eq!(told(answer), at_fault, "{bad:?}");
        let request = UpdateCaRequest {
            name: name.clone(),
            ..Default::default()
        };
        assert_eq!(
            told(admin.cas.update_ca(request).await),
            at_fault,
            "{bad:?}"
        );
        let request = DeleteCaRequest {
            name: name.clone(),
            revision: 0,
        };
        assert_eq!(
            told(admin.cas.delete_ca(request).await),
            at_fault,
            "{bad:?}"
        );
        let request = BindExternalAccountRequest {
            name: name.clone(),
            account: None,
        };
        assert_eq!(
            told(admin.cas.bind_external_account(request).await),
            at_fault
        );
        let request = UnbindExternalAccountRequest { name: name.clone() };
        assert_eq!(
            told(admin.cas.unbind_external_account(request).await),
            at_fault
        );
        let request = RollAccountKeyRequest { name: name.clone() };
        assert_eq!(
            told(admin.cas.roll_account_key(request).await),
            at_fault,
            "{bad:?}"
        );
        let request = SetLimitOverrideRequest {
            name: name.clone(),
            r#override: None,
        };
        assert_eq!(
            told(admin.ledger.set_limit_override(request).await),
            at_fault
        );
        let request = ClearLimitOverrideRequest {
            name,
            ..Default::default()
        };
        assert_eq!(
            told(admin.ledger.clear_limit_override(request).await),
            at_fault
        );
    }
    let name = "cas/nowhere".to_owned();
    let answer = admin.cas.get_ca(GetCaRequest { name: name.clone() }).await;
    assert_eq!(told(answer), "NotFound CA_NOT_FOUND");
    let answer = admin
        .cas
        .roll_account_key(RollAccountKeyRequest { name })
        .await;
    assert_eq!(told(answer), "NotFound CA_NOT_FOUND");
}

#[tokio::test]
async fn external_accounts_that_cannot_be() {
    let stand = Stand::start().await;
    let mut cas = stand.admin().await.cas;
    let good = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    let bind = |account: Option<(&str, &str)>| BindExternalAccountRequest {
        name: "cas/test-ca".to_owned(),
        account: account.map(|(key_id, hmac)| ExternalAccount {
            key_id: key_id.to_owned(),
            hmac: hmac.to_owned(),
        }),
    };
    let long = "x".repeat(300);
    for (request, at_fault) in [
        (bind(None), "account"),
        (bind(Some(("", good))), "account.key_id"),
        (bind(Some(("a b", good))), "account.key_id"),
        (bind(Some((&long, good))), "account.key_id"),
        (bind(Some(("kid", ""))), "account.hmac"),
        (bind(Some(("kid", "c2hvcnQ"))), "account.hmac"),
        (
            bind(Some(("kid", "not+base64/url+not+base64/url=="))),
            "account.hmac",
        ),
        (bind(Some(("kid", &"A".repeat(2000)))), "account.hmac"),
    ] {
        let answer = cas.bind_external_account(request).await;
        let words = format!("{answer:?}");
        assert_eq!(told(answer), field(at_fault));
        assert!(
            !words.contains("c2hvcnQ") && !words.contains("not+base64"),
            "{words}"
        );
    }
}

#[tokio::test]
async fn looks_at_the_ledger_that_cannot_be() {
    let stand = Stand::start().await;
    let mut ledger = stand.admin().await.ledger;
    let list = |page_size, page_token: &str, ca: &str, kind| ListBucketsRequest {
        page_size,
        page_token: page_token.to_owned(),
        ca: ca.to_owned(),
        kind,
        key: String::new(),
    };
    for (request, at_fault) in [
        (list(-1, "", "", 0), "page_size"),
        (list(1001, "", "", 0), "page_size"),
        (list(0, "nonsense", "", 0), "page_token"),
        (list(0, "", "letsencrypt", 0), "ca"),
        (list(0, "", "", 99), "kind"),
    ] {
        let answer = ledger.list_buckets(request.clone()).await;
        assert_eq!(told(answer), field(at_fault), "{request:?}");
    }
    for days in [401, u32::MAX] {
        let answer = ledger.forecast_ledger(ForecastLedgerRequest { days }).await;
        assert_eq!(told(answer), field("days"));
    }
    let name = "cas/test-ca".to_owned();
    let request = SetLimitOverrideRequest {
        name: name.clone(),
        r#override: None,
    };
    assert_eq!(
        told(ledger.set_limit_override(request).await),
        field("override")
    );
    for (kind, key, at_fault) in [
        (0, "", "kind"),
        (LimitKind::Orders.into(), "a.example", "key"),
        (LimitKind::FailedValidations.into(), "", "key"),
    ] {
        let request = ClearLimitOverrideRequest {
            name: name.clone(),
            kind,
            key: key.to_owned(),
        };
        assert_eq!(
            told(ledger.clear_limit_override(request).await),
            field(at_fault)
        );
    }
}

#[tokio::test]
async fn certificates_that_cannot_be() {
    let stand = Stand::start().await;
    let mut certificates = stand.admin().await.certificates;
    for bad in [
        "",
        "ab",
        "certificates/",
        "certificates/ab",
        "hostnames/a.example",
    ] {
        let name = bad.to_owned();
        let answer = certificates.get_certificate(GetCertificateRequest { name: name.clone() });
        assert_eq!(told(answer.await), field("name"), "{bad:?}");
        let request = RevokeCertificateRequest { name, reason: 0 };
        assert_eq!(
            told(certificates.revoke_certificate(request).await),
            field("name")
        );
    }
    let name = format!("certificates/{}", "ab".repeat(32));
    for reason in [-1, 7, 8, 11] {
        let name = name.clone();
        let request = RevokeCertificateRequest { name, reason };
        assert_eq!(
            told(certificates.revoke_certificate(request).await),
            field("reason")
        );
    }
    let missing = "NotFound CERTIFICATE_NOT_FOUND";
    let answer = certificates
        .get_certificate(GetCertificateRequest { name: name.clone() })
        .await;
    assert_eq!(told(answer), missing);
    let request = RevokeCertificateRequest { name, reason: 0 };
    assert_eq!(
        told(certificates.revoke_certificate(request).await),
        missing
    );

    let list = |page_size, page_token: &str, hostname: &str, seconds| ListCertificatesRequest {
        page_size,
        page_token: page_token.to_owned(),
        hostname: hostname.to_owned(),
        expiring_within: Some(prost_types::Duration { seconds, nanos: 0 }),
    };
    for (request, at_fault) in [
        (list(-1, "", "", 1), "page_size"),
        (list(0, "nonsense", "", 1), "page_token"),
        (list(0, "", "a.example", 1), "hostname"),
        (list(0, "", "", -1), "expiring_within"),
    ] {
        let answer = certificates.list_certificates(request.clone()).await;
        assert_eq!(told(answer), field(at_fault), "{request:?}");
    }
    for (hostname, algorithm, expected) in [
        ("a.example", 0, field("hostname")),
        ("hostnames/a.example", 9, field("algorithm")),
        (
            "hostnames/a.example",
            0,
            "NotFound HOSTNAME_NOT_FOUND".to_owned(),
        ),
    ] {
        let request = CreateCertificateRequestRequest {
            hostname: hostname.to_owned(),
            algorithm,
        };
        assert_eq!(
            told(certificates.create_certificate_request(request).await),
            expected
        );
    }
    assert_eq!(
        stand.alone.log().len(),
        2,
        "only the revocation of what is not there"
    );
}

#[tokio::test]
async fn reissues_that_cannot_be() {
    let stand = Stand::start().await;
    let mut certificates = stand.admin().await.certificates;
    for conditions in [
        &[][..],
        &["everything"],
        &["all", "ca=x"],
        &["issuer="],
        &["expiring<x"],
    ] {
        let r#where: Vec<String> = conditions.iter().map(ToString::to_string).collect();
        let request = PlanReissueRequest {
            r#where: r#where.clone(),
            urgent: false,
        };
        let answer = certificates.plan_reissue(request).await;
        assert_eq!(told(answer), field("where"), "{conditions:?}");
        let request = ReissueCertificatesRequest {
            r#where,
            ..Default::default()
        };
        let answer = certificates.reissue_certificates(request).await;
        assert_eq!(told(answer), field("where"), "{conditions:?}");
    }
    let request = ReissueCertificatesRequest {
        r#where: vec!["all".to_owned()],
        urgent: false,
        page_token: "nonsense".to_owned(),
    };
    let answer = certificates.reissue_certificates(request).await;
    assert_eq!(told(answer), field("page_token"));
    assert_eq!(stand.alone.log().len(), 1, "nothing was proposed");
}
