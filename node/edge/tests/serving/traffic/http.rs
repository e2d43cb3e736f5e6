//! Redirects, header fields, paths, metadata, maintenance.

use std::{sync::Arc, sync::atomic::Ordering};

use http::Request;
use state::{
    Traffic,
    traffic::{
        HeaderAction, HeaderRule, Hsts, Maintenance, Metadatum, OriginName, PathRule, Redirect,
        Switch,
    },
};

use super::{list, served};
use crate::{
    origin::{App, Speaks},
    rig::{HOST, empty, whole},
};

fn hsts(max_age: u32) -> Option<Switch<Hsts>> {
    Some(Switch::On(Hsts {
        max_age,
        subdomains: false,
        preload: false,
    }))
}

#[tokio::test]
async fn a_hostname_is_served_as_its_zone_but_for_what_it_decides() {
    let (rig, _app) = served().await;
    let (head, _) = rig.get("/").await;
    assert!(!head.headers.contains_key("strict-transport-security"));
    rig.zone(Traffic {
        hsts: hsts(60),
        ..Traffic::default()
    })
    .await;
    assert_eq!(
        rig.get("/").await.0.headers["strict-transport-security"],
        "max-age=60"
    );
    rig.own(Traffic {
        hsts: hsts(7),
        ..Traffic::default()
    })
    .await;
    assert_eq!(
        rig.get("/").await.0.headers["strict-transport-security"],
        "max-age=7"
    );
    rig.own(Traffic {
        hsts: Some(Switch::Off),
        ..Traffic::default()
    })
    .await;
    assert!(
        !rig.get("/")
            .await
            .0
            .headers
            .contains_key("strict-transport-security")
    );
    rig.own(Traffic::default()).await;
    assert_eq!(
        rig.get("/").await.0.headers["strict-transport-security"],
        "max-age=60"
    );
}

#[tokio::test]
async fn a_change_holds_for_the_next_request_of_a_connection() {
    let (rig, _app) = served().await;
    for mut client in [rig.http2().await, rig.http2().await] {
        let ask = |path: &str| {
            let uri = format!("https://{HOST}{path}");
            Request::builder().uri(uri).body(empty()).unwrap()
        };
        rig.own(Traffic::default()).await;
        let head = client.send_request(ask("/")).await.unwrap();
        assert!(!head.headers().contains_key("strict-transport-security"));
        rig.own(Traffic {
            hsts: hsts(1),
            ..Traffic::default()
        })
        .await;
        let head = client.send_request(ask("/")).await.unwrap();
        assert_eq!(head.headers()["strict-transport-security"], "max-age=1");
    }
}

#[tokio::test]
async fn an_exact_hostname_counts_before_its_wildcard() {
    let (rig, _app) = served().await;
    rig.serve_wildcard("wild.example");
    rig.serve("exact.wild.example");
    rig.decide(
        Some("wild.example"),
        Traffic {
            hsts: hsts(5),
            ..Traffic::default()
        },
    )
    .await;
    for (name, expected) in [
        ("wild.example", Some("max-age=5")),
        ("any.wild.example", Some("max-age=5")),
        ("exact.wild.example", None),
    ] {
        let stream = rig
            .connect(name, rig.ca.client(&["http/1.1"]))
            .await
            .unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder().uri("/").header("host", name);
        let answer = sender
            .send_request(request.body(empty()).unwrap())
            .await
            .unwrap();
        let found = answer.headers().get("strict-transport-security");
        assert_eq!(found.map(|it| it.to_str().unwrap()), expected, "{name}");
    }
}

fn redirect(path: &str, target: &str, keep: bool, status: u16) -> Redirect {
    Redirect {
        path: path.into(),
        target: target.into(),
        keep,
        status,
    }
}

#[tokio::test]
async fn redirects_are_answered_here() {
    let (rig, app) = served().await;
    rig.own(Traffic {
        redirects: Some(
            [
                redirect("/", "https://www.client.example", true, 308),
                redirect("/old", "/new", false, 301),
                redirect("/stay", &format!("https://{HOST}/stay"), true, 302),
            ]
            .into(),
        ),
        hsts: hsts(9),
        ..Traffic::default()
    })
    .await;
    for (path, status, location) in [
        ("/a/b?c", 308, "https://www.client.example/a/b?c"),
        ("/old/x", 301, "/new"),
        ("/%6fld", 301, "/new"),
        ("/older", 308, "https://www.client.example/older"),
    ] {
        let (head, text) = rig.get(path).await;
        assert_eq!(head.status.as_u16(), status, "{path}");
        assert_eq!(head.headers["location"], location, "{path}");
        assert_eq!(head.headers["strict-transport-security"], "max-age=9");
        assert_eq!(text, "");
    }
    assert_eq!(app.seen.requests.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn fields_are_changed_in_both_directions() {
    let (rig, _app) = served().await;
    let rule = |name: &str, action: HeaderAction| HeaderRule {
        name: name.into(),
        action,
    };
    rig.own(Traffic {
        request_headers: Some(
            [
                rule("x-tenant", HeaderAction::Set("acme".into())),
                rule("x-secret", HeaderAction::Remove),
                rule("x-list", HeaderAction::Add("b".into())),
            ]
            .into(),
        ),
        response_headers: Some(
            [
                rule("x-kept", HeaderAction::Remove),
                rule("x-frame-options", HeaderAction::Set("DENY".into())),
            ]
            .into(),
        ),
        ..Traffic::default()
    })
    .await;
    let request = Request::builder()
        .uri("/")
        .header("host", HOST)
        .header("x-tenant", "forged")
        .header("x-secret", "1")
        .header("x-list", "a");
    let mut client = rig.http1().await;
    let answer = client
        .send_request(request.body(empty()).unwrap())
        .await
        .unwrap();
    let (head, text) = whole(answer).await;
    assert!(
        text.contains("x-tenant: acme\n") && !text.contains("forged"),
        "{text}"
    );
    assert!(
        !text.contains("x-secret") && text.contains("x-list: a\nx-list: b\n"),
        "{text}"
    );
    assert!(!head.headers.contains_key("x-kept"));
    assert_eq!(head.headers["x-frame-options"], "DENY");
}

#[tokio::test]
async fn nobody_can_forge_what_origins_are_told() {
    let (rig, _app) = served().await;
    let forged = [
        "hostquorum-metadata-plan",
        "Hostquorum-Metadata-Other",
        "hostquorum_metadata_plan",
        "hostquorum-client-subject",
        "hostquorum-client-fingerprint",
    ];
    let ask = || {
        let mut request = Request::builder().uri("/").header("host", HOST);
        for name in forged {
            request = request.header(name, "forged");
        }
        request.body(empty()).unwrap()
    };
    let text = whole(rig.http1().await.send_request(ask()).await.unwrap())
        .await
        .1;
    assert!(
        !text.contains("forged") && !text.contains("hostquorum-"),
        "{text}"
    );
    rig.own(Traffic {
        metadata: Some(
            [Metadatum {
                key: "plan".into(),
                value: "gold".into(),
            }]
            .into(),
        ),
        ..Traffic::default()
    })
    .await;
    let text = whole(rig.http1().await.send_request(ask()).await.unwrap())
        .await
        .1;
    assert!(text.contains("hostquorum-metadata-plan: gold\n"), "{text}");
    assert!(!text.contains("forged"), "{text}");
}

#[tokio::test]
async fn paths_are_replaced_and_led_to_other_origins() {
    let (rig, app) = served().await;
    let other = App::start(Speaks::Http2, &rig.ca).await;
    rig.own(Traffic {
        paths: Some(
            [
                PathRule {
                    path: "/api".into(),
                    replace: Some("/".into()),
                    origins: Some(list(&[&other.at])),
                },
                PathRule {
                    path: "/shop".into(),
                    replace: Some("/tenants/7".into()),
                    origins: None,
                },
            ]
            .into(),
        ),
        ..Traffic::default()
    })
    .await;
    for (path, asked, from) in [
        ("/api/users?q=1", "/users?q=1", &other),
        ("/x/../api", "/", &other),
        ("/shop/a%2fb", "/tenants/7/a%2fb", &app),
        ("/apis//x/../y", "/apis//x/../y", &app),
    ] {
        let before = from.seen.requests.load(Ordering::Relaxed);
        let (_, text) = rig.get(path).await;
        let target = text.split(' ').nth(1).unwrap();
        let target = target.find("/tenants").map_or(target, |at| &target[at..]);
        assert!(target.ends_with(asked), "{path}: {text}");
        assert_eq!(
            from.seen.requests.load(Ordering::Relaxed),
            before + 1,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_maintenance_page_is_shown_and_taken_away() {
    let (rig, app) = served().await;
    rig.own(Traffic {
        maintenance: Some(Switch::On(Arc::new(Maintenance {
            status: 503,
            content_type: "text/html; charset=utf-8".into(),
            body: "<h1>back soon</h1>".into(),
            retry_after: Some(600),
        }))),
        ..Traffic::default()
    })
    .await;
    let (head, text) = rig.get("/anything").await;
    assert_eq!(head.status, 503);
    assert_eq!(head.headers["retry-after"], "600");
    assert_eq!(head.headers["content-type"], "text/html; charset=utf-8");
    assert!(!head.headers.contains_key("hostquorum-error"));
    assert_eq!(text, "<h1>back soon</h1>");
    assert_eq!(app.seen.requests.load(Ordering::Relaxed), 0);
    rig.own(Traffic::default()).await;
    assert_eq!(rig.get("/").await.0.status, 200);
}

#[tokio::test]
async fn origins_are_asked_for_the_host_that_is_decided() {
    let (rig, app) = served().await;
    for (host, expected) in [
        (None, HOST.to_owned()),
        (Some(OriginName::Client), HOST.to_owned()),
        (Some(OriginName::Origin), app.at.authority()),
        (
            Some(OriginName::Fixed("app.internal:81".into())),
            "app.internal:81".to_owned(),
        ),
    ] {
        rig.own(Traffic {
            origin_host: host,
            ..Traffic::default()
        })
        .await;
        let (_, text) = rig.get("/").await;
        assert!(text.contains(&format!("\nhost: {expected}\n")), "{text}");
        assert!(
            text.contains(&format!("\nx-forwarded-host: {HOST}\n")),
            "{text}"
        );
    }
}
