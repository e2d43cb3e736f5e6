use prost_types::Duration;
use proto::admin::v1::origin_trust::Trust;
use state::testing::MaskSeal;

use super::*;

/// A set that decides one thing; which is told by the field of the problem, if there is
/// one.
#[track_caller]
fn check(name: &'static str, wire: v1::Traffic, expected: Result<(), (&str, &str)>) {
    let parsed = traffic_settings(&wire, &[name], &MaskSeal);
    match (parsed, expected) {
        (Ok(parsed), Ok(())) => {
            assert_eq!(parsed.decided().collect::<Vec<_>>(), [name]);
            // What is shown can be given back, but for the secret.
            if name != "origin_identity" {
                let again = traffic_settings(&traffic(&parsed), &[name], &MaskSeal);
                assert_eq!(again.unwrap(), parsed);
            }
        }
        (Err(problem), Err((field, words))) => {
            let crate::problem::Detail::Field(at) = problem.detail else {
                panic!("no field: {problem:?}");
            };
            assert_eq!(at, field, "{}", problem.message);
            assert!(problem.message.contains(words), "{}", problem.message);
        }
        (parsed, expected) => panic!("{name}: {parsed:?}, and not {expected:?}"),
    }
}

fn origins(list: &[(&str, u32)]) -> Option<v1::Origins> {
    let one = |(url, weight): &(&str, u32)| v1::WeightedOrigin {
        origin: Some(v1::Origin {
            url: (*url).to_owned(),
            protocol: 0,
        }),
        weight: *weight,
    };
    Some(v1::Origins {
        origins: list.iter().map(one).collect(),
    })
}

#[test]
fn origins_are_one_to_sixteen_with_weights() {
    let check = |list: &[(&str, u32)], expected| {
        let origins = origins(list);
        let wire = v1::Traffic {
            origins,
            ..Default::default()
        };
        check("origins", wire, expected);
    };
    check(
        &[("https://a.internal", 0), ("http://b:8080", 1000)],
        Ok(()),
    );
    let bad = |words| Err(("traffic.origins", words));
    check(&[], bad("at least one origin"));
    check(
        &[("http://a", 1), ("ftp://b", 1)],
        bad("entry 2: an origin begins with"),
    );
    check(
        &[("http://a", 1), ("http://a:80", 1)],
        bad("entry 2: http://a:80 stands there twice"),
    );
    check(
        &[("http://a", 1001)],
        bad("entry 1: its weight: 1001 is not within 1 and 1000"),
    );
    let many: Vec<String> = (0..17).map(|number| format!("http://a{number}")).collect();
    let many: Vec<(&str, u32)> = many.iter().map(|url| (url.as_str(), 1)).collect();
    check(&many, bad("17 entries, and may be 16"));
}

#[test]
fn health_checks_have_bounds() {
    let span = |seconds, millis: i32| {
        Some(Duration {
            seconds,
            nanos: millis * 1_000_000,
        })
    };
    let check = |asked: v1::HealthCheck, expected| {
        let wire = v1::Traffic {
            health_check: Some(asked),
            ..Default::default()
        };
        check("health_check", wire, expected);
    };
    let usual = || v1::HealthCheck {
        path: "/healthz".to_owned(),
        ..Default::default()
    };
    check(usual(), Ok(()));
    check(
        v1::HealthCheck {
            off: true,
            ..Default::default()
        },
        Ok(()),
    );
    let bad = |field, words| Err((field, words));
    check(
        v1::HealthCheck::default(),
        bad("traffic.health_check.path", "begins with /"),
    );
    check(
        v1::HealthCheck {
            interval: span(0, 500),
            ..usual()
        },
        bad("traffic.health_check.interval", "1 s to 1 h"),
    );
    check(
        v1::HealthCheck {
            interval: span(5, 0),
            timeout: span(6, 0),
            ..usual()
        },
        bad(
            "traffic.health_check.timeout",
            "no longer than the interval",
        ),
    );
    check(
        v1::HealthCheck {
            rise: 11,
            ..usual()
        },
        bad("traffic.health_check.rise", "11 is not within 1 and 10"),
    );
    check(
        v1::HealthCheck {
            status_from: 300,
            status_to: 299,
            ..usual()
        },
        bad(
            "traffic.health_check.status_to",
            "299 is not within 300 and 599",
        ),
    );
}

#[test]
fn names_for_origins_are_hosts() {
    let host = |name: &str| v1::Traffic {
        origin_host: name.to_owned(),
        ..Default::default()
    };
    let sni = |name: &str| v1::Traffic {
        origin_sni: name.to_owned(),
        ..Default::default()
    };
    for name in [
        "client",
        "origin",
        "App.Internal:8443",
        "127.0.0.1",
        "[::1]:81",
    ] {
        check("origin_host", host(name), Ok(()));
    }
    for name in ["a b", "u@evil", "a/b", "a:0", "a/"] {
        check(
            "origin_host",
            host(name),
            Err(("traffic.origin_host", "is no host")),
        );
    }
    for name in ["client", "origin", "app.internal"] {
        check("origin_sni", sni(name), Ok(()));
    }
    for name in ["app:443", "127.0.0.1", "a b", "app.internal."] {
        check(
            "origin_sni",
            sni(name),
            Err(("traffic.origin_sni", "is no server name")),
        );
    }
}

#[test]
fn trust_is_one_of_four() {
    let check = |trust, expected| {
        let wire = v1::Traffic {
            origin_trust: Some(v1::OriginTrust { trust }),
            ..Default::default()
        };
        check("origin_trust", wire, expected);
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["root".to_owned()]).unwrap();
    let root = params.self_signed(&key).unwrap();
    let pins = |pins: &[&'static [u8]]| {
        let sha256 = pins
            .iter()
            .map(|pin| bytes::Bytes::from_static(pin))
            .collect();
        Some(Trust::Pins(v1::OriginPins { sha256 }))
    };
    check(Some(Trust::System(true)), Ok(()));
    check(Some(Trust::Off(true)), Ok(()));
    check(Some(Trust::RootsPem(root.pem())), Ok(()));
    check(pins(&[&[1; 32], &[2; 32]]), Ok(()));
    check(None, Err(("traffic.origin_trust", "one of system")));
    check(
        Some(Trust::Off(false)),
        Err(("traffic.origin_trust", "one of system")),
    );
    check(
        pins(&[]),
        Err(("traffic.origin_trust.pins", "at least one pin")),
    );
    check(
        pins(&[&[1; 32], &[2; 31]]),
        Err(("traffic.origin_trust.pins", "entry 2: a pin")),
    );
    check(
        Some(Trust::RootsPem("none".to_owned())),
        Err(("traffic.origin_trust.roots_pem", "no certificate")),
    );
}

#[test]
fn an_identity_is_a_certificate_with_its_key() {
    let made = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let identity = |certificate: &str, key: &str| v1::Traffic {
        origin_identity: Some(v1::OriginIdentity {
            off: false,
            certificate_pem: certificate.to_owned(),
            private_key_pem: key.to_owned(),
        }),
        ..Default::default()
    };
    let ((one, its_key), (_, other_key)) = (made("one"), made("other"));
    check("origin_identity", identity(&one, &its_key), Ok(()));
    let key = "traffic.origin_identity.private_key_pem";
    check(
        "origin_identity",
        identity(&one, &other_key),
        Err((key, "not that of the first")),
    );
    check(
        "origin_identity",
        identity(&one, ""),
        Err((key, "no private key")),
    );
    let certificate = "traffic.origin_identity.certificate_pem";
    check(
        "origin_identity",
        identity("", &its_key),
        Err((certificate, "no certificate")),
    );
    let parsed = traffic_settings(&identity(&one, &its_key), &["origin_identity"], &MaskSeal);
    let shown = traffic(&parsed.unwrap()).origin_identity.unwrap();
    assert_eq!(
        (shown.certificate_pem, shown.private_key_pem),
        (one, String::new())
    );
}

#[test]
fn fields_that_are_not_an_operators_are_refused() {
    let rules = |rules: &[(&str, v1::HeaderAction, &str)]| {
        let one = |(name, action, value): &(&str, v1::HeaderAction, &str)| v1::HeaderRule {
            name: (*name).to_owned(),
            action: (*action).into(),
            value: (*value).to_owned(),
        };
        v1::Traffic {
            request_headers: Some(v1::HeaderRules {
                rules: rules.iter().map(one).collect(),
            }),
            ..Default::default()
        }
    };
    use v1::HeaderAction::{Add, Remove, Set, Unspecified};
    let name = "request_headers";
    check(
        name,
        rules(&[
            ("X-A", Set, "1"),
            ("vary", Add, "a, b"),
            ("server", Remove, ""),
        ]),
        Ok(()),
    );
    check(name, rules(&[]), Ok(()));
    let field = "traffic.request_headers";
    for (rule, words) in [
        (
            ("Content-Length", Set, "1"),
            "entry 1: `content-length` frames the message",
        ),
        (("transfer_encoding", Remove, ""), "frames the message"),
        (("host", Set, "evil"), "frames the message"),
        (("connection", Add, "x"), "belongs to one connection"),
        (("X-Forwarded-For", Remove, ""), "the edge itself knows"),
        (("x_real_ip", Set, "1"), "the edge itself knows"),
        (
            ("hostquorum-client-subject", Set, "me"),
            "the edge itself knows",
        ),
        (
            ("Hostquorum_Metadata_Plan", Add, "me"),
            "the edge itself knows",
        ),
        (("a b", Set, "1"), "no field's name"),
        (("", Set, "1"), "no field's name"),
        (("x-a", Set, ""), "1 to 4096 bytes"),
        (("x-a", Set, "a\r\nb: c"), "visible ASCII"),
        (("x-a", Set, " a"), "visible ASCII"),
        (("x-a", Remove, "1"), "give none"),
        (("x-a", Unspecified, "1"), "set, add or remove"),
    ] {
        check(name, rules(&[rule]), Err((field, words)));
    }
    let many = vec![("x-a", Remove, ""); 33];
    check(
        name,
        rules(&many),
        Err((field, "33 entries, and may be 32")),
    );
}

#[test]
fn metadata_are_keys_and_values_of_fields() {
    let check = |key: &str, value: &str, expected| {
        let entries = [(key.to_owned(), value.to_owned())].into();
        let wire = v1::Traffic {
            metadata: Some(v1::Metadata { entries }),
            ..Default::default()
        };
        check("metadata", wire, expected);
    };
    check("plan-2", "gold and more", Ok(()));
    for key in ["", "Plan", "a_b", "a b", &"a".repeat(65)] {
        check(key, "1", Err(("traffic.metadata", "1 to 64 of lower-case")));
    }
    check(
        "plan",
        "",
        Err(("traffic.metadata", "key `plan`: a value has 1 to 1024")),
    );
    check(
        "plan",
        "a\nb",
        Err(("traffic.metadata", "key `plan`: a value is of visible")),
    );
}

#[test]
fn redirects_lead_somewhere_else() {
    let check = |path: &str, target: &str, keep, status, expected| {
        let redirect = v1::Redirect {
            path: path.to_owned(),
            target: target.to_owned(),
            keep,
            status,
        };
        let wire = v1::Traffic {
            redirects: Some(v1::Redirects {
                redirects: vec![redirect],
            }),
            ..Default::default()
        };
        check("redirects", wire, expected);
    };
    check("/", "https://www.shop.example", true, 0, Ok(()));
    check("/old", "/new?from=old", false, 301, Ok(()));
    let bad = |words| Err(("traffic.redirects", words));
    check(
        "old",
        "/new",
        false,
        0,
        bad("entry 1: a path begins with /"),
    );
    check("/old", "/old/new", true, 0, bad("without end"));
    check("/old", "//evil.example", false, 0, bad("two slashes"));
    check(
        "/old",
        "javascript:alert(1)",
        false,
        0,
        bad("neither a path"),
    );
    check(
        "/old",
        "https://u@evil.example",
        false,
        0,
        bad("neither a path"),
    );
    check(
        "/old",
        "https://a.example/\r\nset-cookie:x",
        false,
        0,
        bad("visible ASCII"),
    );
    check(
        "/old",
        "/new",
        false,
        200,
        bad("200 is no status of a redirect"),
    );
    check("/old", "/new?x", true, 0, bad("nothing can follow"));
    check("/a/../b", "/new", false, 0, bad("no `.` or `..`"));
    check("/%61", "/new", false, 0, bad("cannot hold '%'"));
}

#[test]
fn paths_say_what_is_otherwise() {
    let check = |path: &str, replace: Option<&str>, origins, expected| {
        let rule = v1::PathRule {
            path: path.to_owned(),
            replace: replace.map(ToOwned::to_owned),
            origins,
        };
        let wire = v1::Traffic {
            paths: Some(v1::PathRules { rules: vec![rule] }),
            ..Default::default()
        };
        check("paths", wire, expected);
    };
    check("/api", Some("/"), None, Ok(()));
    check("/api", None, origins(&[("http://api", 1)]), Ok(()));
    let bad = |words| Err(("traffic.paths", words));
    check("/api", None, None, bad("neither what stands"));
    check(
        "/api",
        Some("v1"),
        None,
        bad("its replacement: a path begins with /"),
    );
    check("/api", None, origins(&[]), bad("at least one origin"));
}

#[test]
fn numbers_have_bounds() {
    let none = v1::Traffic::default;
    let percent = |percent| v1::Traffic {
        retry_percent: Some(percent),
        ..none()
    };
    check("retry_percent", percent(0), Ok(()));
    check(
        "retry_percent",
        percent(101),
        Err(("traffic.retry_percent", "within 0 and 100")),
    );
    let body = |bytes| v1::Traffic {
        max_body: Some(bytes),
        ..none()
    };
    check("max_body", body(1), Ok(()));
    check(
        "max_body",
        body(0),
        Err(("traffic.max_body", "0 is not within 1 and 10737418240")),
    );
    let rate = |per_second, burst| v1::Traffic {
        request_rate: Some(v1::Rate {
            off: false,
            per_second,
            burst,
        }),
        ..none()
    };
    check("request_rate", rate(5, 0), Ok(()));
    check(
        "request_rate",
        rate(0, 0),
        Err(("traffic.request_rate.per_second", "0 is not")),
    );
    let most = |most| v1::Traffic {
        max_connections: Some(v1::MaxConnections { off: false, most }),
        ..none()
    };
    check("max_connections", most(9), Ok(()));
    check(
        "max_connections",
        most(0),
        Err(("traffic.max_connections.most", "0 is not")),
    );
    let hsts = |max_age, include_subdomains, preload| v1::Traffic {
        hsts: Some(v1::Hsts {
            off: false,
            max_age,
            include_subdomains,
            preload,
        }),
        ..none()
    };
    check("hsts", hsts(0, false, false), Ok(()));
    check(
        "hsts",
        hsts(63_072_001, false, false),
        Err(("traffic.hsts.max_age", "63072001")),
    );
    check(
        "hsts",
        hsts(86_400, true, true),
        Err(("traffic.hsts.preload", "31536000 or more")),
    );
    let page = |status, body: usize| v1::Traffic {
        maintenance: Some(v1::Maintenance {
            status,
            body: vec![b'x'; body].into(),
            ..Default::default()
        }),
        ..none()
    };
    check("maintenance", page(0, 16 * 1024), Ok(()));
    check(
        "maintenance",
        page(204, 0),
        Err(("traffic.maintenance.status", "204 has no page")),
    );
    check(
        "maintenance",
        page(0, 16 * 1024 + 1),
        Err(("traffic.maintenance.body", "16385 bytes")),
    );
}

#[test]
fn only_what_the_mask_names_is_looked_at_and_changed() {
    let wire = v1::Traffic {
        max_body: Some(0),
        http2: Some(false),
        ..Default::default()
    };
    let wanted = traffic_settings(&wire, &["http2", "hsts"], &MaskSeal).unwrap();
    let present = Traffic {
        max_body: Some(5),
        hsts: Some(state::traffic::Switch::Off),
        ..Traffic::default()
    };
    let edited = traffic_edited(&present, &wanted, &["http2", "hsts"]).unwrap();
    assert_eq!(edited.decided().collect::<Vec<_>>(), ["http2", "max_body"]);
}

#[test]
fn all_settings_together_have_a_bound() {
    let value = "x".repeat(4096);
    let rule = |place| v1::HeaderRule {
        name: format!("x-{place}"),
        action: v1::HeaderAction::Set.into(),
        value: value.clone(),
    };
    let wire = v1::Traffic {
        request_headers: Some(v1::HeaderRules {
            rules: (0..32).map(rule).collect(),
        }),
        ..Default::default()
    };
    let wanted = traffic_settings(&wire, &["request_headers"], &MaskSeal).unwrap();
    let problem = traffic_edited(&Traffic::default(), &wanted, &["request_headers"]).unwrap_err();
    assert!(
        problem.message.contains("bytes in all, and may have 65536"),
        "{problem}"
    );
}

#[test]
fn every_setting_can_be_sent() {
    // An arm that is missing would be taken for the last one's.
    for name in Traffic::NAMES {
        let parsed = traffic_settings(&v1::Traffic::default(), &[name], &MaskSeal);
        assert_eq!(parsed.unwrap(), Traffic::default(), "{name}");
    }
}
