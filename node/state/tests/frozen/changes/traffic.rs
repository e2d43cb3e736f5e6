//! How traffic is served: each setting alone, in each of its forms.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use state::{
    Change, Index, KeyPurpose, Traffic,
    traffic::{
        Ciphers, Ejection, HeaderAction, HeaderRule, HealthCheck, Hsts, Maintenance, Metadatum,
        OriginIdentity, OriginName, OriginTrust, PathRule, Rate, Redirect, Switch, TlsVersion,
        Weighted,
    },
};

use super::{bytes, host, origin, sealed};

pub(super) fn add(add: &mut impl FnMut(&str, Change)) {
    let mut decided = BTreeSet::new();
    for (name, traffic) in samples() {
        decided.extend(traffic.decided());
        let change = Change::SetTraffic {
            hostname: Some(host("shop.example")),
            traffic: Box::new(traffic),
            revision: Some(Index(9)),
        };
        add(&format!("set-traffic.{name}"), change);
    }
    let names: BTreeSet<&str> = Traffic::NAMES.iter().copied().collect();
    assert_eq!(decided, names, "a setting without a sample");
    let zone = Change::SetTraffic {
        hostname: None,
        traffic: Box::new(whole()),
        revision: None,
    };
    add("set-traffic.zone", zone);
}

/// One that decides everything.
pub(crate) fn whole() -> Traffic {
    let nothing = Traffic::default();
    samples()
        .into_iter()
        .fold(nothing, |whole, (_, one)| one.over(&whole))
}

fn samples() -> Vec<(&'static str, Traffic)> {
    let none = Traffic::default;
    let mut samples = switches();
    samples.extend(origins());
    samples.extend(rules());
    samples.extend([
        (
            "min-tls.1-2",
            Traffic {
                min_tls: Some(TlsVersion::V12),
                ..none()
            },
        ),
        (
            "min-tls.1-3",
            Traffic {
                min_tls: Some(TlsVersion::V13),
                ..none()
            },
        ),
        (
            "ciphers.default",
            Traffic {
                ciphers: Some(Ciphers::Default),
                ..none()
            },
        ),
        (
            "ciphers.strong",
            Traffic {
                ciphers: Some(Ciphers::Strong),
                ..none()
            },
        ),
        (
            "ciphers.aes",
            Traffic {
                ciphers: Some(Ciphers::Aes),
                ..none()
            },
        ),
        (
            "http2.off",
            Traffic {
                http2: Some(false),
                ..none()
            },
        ),
        (
            "http2.on",
            Traffic {
                http2: Some(true),
                ..none()
            },
        ),
        (
            "max-body",
            Traffic {
                max_body: Some(1 << 33),
                ..none()
            },
        ),
        (
            "retry-percent",
            Traffic {
                retry_percent: Some(0),
                ..none()
            },
        ),
        ("nothing", none()),
    ]);
    samples
}

fn roots() -> Arc<[Bytes]> {
    [bytes("root one"), bytes("root two")].into()
}

/// Those that can be turned off, both ways.
fn switches() -> Vec<(&'static str, Traffic)> {
    let none = Traffic::default;
    let check = HealthCheck {
        path: "/healthz".into(),
        interval: Duration::from_secs(5),
        timeout: Duration::from_millis(1500),
        rise: 2,
        fall: 3,
        status_from: 200,
        status_to: 299,
    };
    let ejection = Ejection {
        failures: 300,
        period: Duration::from_secs(10),
    };
    let identity = OriginIdentity {
        chain: vec![bytes("leaf"), bytes("issuer")],
        key: sealed(KeyPurpose::Serving),
    };
    let hsts = Hsts {
        max_age: 31_536_000,
        subdomains: true,
        preload: true,
    };
    let rate = Rate {
        per_second: 100,
        burst: 200,
    };
    let page = Maintenance {
        status: 503,
        content_type: "text/plain".into(),
        body: bytes("soon"),
        retry_after: Some(0),
    };
    let on = |of| Some(Switch::On(of));
    vec![
        (
            "health-check.on",
            Traffic {
                health_check: Some(Switch::On(Arc::new(check))),
                ..none()
            },
        ),
        (
            "health-check.off",
            Traffic {
                health_check: Some(Switch::Off),
                ..none()
            },
        ),
        (
            "ejection.on",
            Traffic {
                ejection: Some(Switch::On(ejection)),
                ..none()
            },
        ),
        (
            "ejection.off",
            Traffic {
                ejection: Some(Switch::Off),
                ..none()
            },
        ),
        (
            "origin-identity.on",
            Traffic {
                origin_identity: Some(Switch::On(Arc::new(identity))),
                ..none()
            },
        ),
        (
            "origin-identity.off",
            Traffic {
                origin_identity: Some(Switch::Off),
                ..none()
            },
        ),
        (
            "client-roots.on",
            Traffic {
                client_roots: Some(Switch::On(roots())),
                ..none()
            },
        ),
        (
            "client-roots.off",
            Traffic {
                client_roots: Some(Switch::Off),
                ..none()
            },
        ),
        (
            "hsts.on",
            Traffic {
                hsts: Some(Switch::On(hsts)),
                ..none()
            },
        ),
        (
            "hsts.off",
            Traffic {
                hsts: Some(Switch::Off),
                ..none()
            },
        ),
        (
            "request-rate.on",
            Traffic {
                request_rate: Some(Switch::On(rate)),
                ..none()
            },
        ),
        (
            "request-rate.off",
            Traffic {
                request_rate: Some(Switch::Off),
                ..none()
            },
        ),
        (
            "max-connections.on",
            Traffic {
                max_connections: on(7),
                ..none()
            },
        ),
        (
            "max-connections.off",
            Traffic {
                max_connections: Some(Switch::Off),
                ..none()
            },
        ),
        (
            "maintenance.on",
            Traffic {
                maintenance: Some(Switch::On(Arc::new(page))),
                ..none()
            },
        ),
        (
            "maintenance.off",
            Traffic {
                maintenance: Some(Switch::Off),
                ..none()
            },
        ),
    ]
}

fn weighted() -> Arc<[Weighted]> {
    let one = |weight, protocol| Weighted {
        origin: Arc::new(origin(protocol)),
        weight,
    };
    use state::OriginProtocol::{Auto, Http2};
    [one(1, Auto), one(1000, Http2)].into()
}

fn origins() -> Vec<(&'static str, Traffic)> {
    let none = Traffic::default;
    let host = |host| Traffic {
        origin_host: Some(host),
        ..none()
    };
    let sni = |sni| Traffic {
        origin_sni: Some(sni),
        ..none()
    };
    let trust = |trust| Traffic {
        origin_trust: Some(trust),
        ..none()
    };
    vec![
        (
            "origins",
            Traffic {
                origins: Some(weighted()),
                ..none()
            },
        ),
        ("origin-host.client", host(OriginName::Client)),
        ("origin-host.origin", host(OriginName::Origin)),
        (
            "origin-host.fixed",
            host(OriginName::Fixed("app.internal:81".into())),
        ),
        ("origin-sni.client", sni(OriginName::Client)),
        ("origin-sni.origin", sni(OriginName::Origin)),
        (
            "origin-sni.fixed",
            sni(OriginName::Fixed("app.internal".into())),
        ),
        ("origin-trust.system", trust(OriginTrust::System)),
        ("origin-trust.roots", trust(OriginTrust::Roots(roots()))),
        (
            "origin-trust.pins",
            trust(OriginTrust::Pins([[7; 32], [8; 32]].into())),
        ),
        ("origin-trust.off", trust(OriginTrust::Off)),
    ]
}

fn rules() -> Vec<(&'static str, Traffic)> {
    let none = Traffic::default;
    let field = |name: &str, action| HeaderRule {
        name: name.into(),
        action,
    };
    let fields: Arc<[HeaderRule]> = [
        field("x-set", HeaderAction::Set("one".into())),
        field("x-add", HeaderAction::Add("two".into())),
        field("x-gone", HeaderAction::Remove),
    ]
    .into();
    let redirect = Redirect {
        path: "/old".into(),
        target: "https://shop.example/new".into(),
        keep: true,
        status: 308,
    };
    let path = |path: &str, replace: Option<&str>, origins| PathRule {
        path: path.into(),
        replace: replace.map(Into::into),
        origins,
    };
    let paths = [
        path("/api", Some("/"), None),
        path("/blog", None, Some(weighted())),
    ];
    let datum = Metadatum {
        key: "plan".into(),
        value: "gold".into(),
    };
    vec![
        (
            "redirects",
            Traffic {
                redirects: Some([redirect].into()),
                ..none()
            },
        ),
        (
            "redirects.none",
            Traffic {
                redirects: Some([].into()),
                ..none()
            },
        ),
        (
            "request-headers",
            Traffic {
                request_headers: Some(Arc::clone(&fields)),
                ..none()
            },
        ),
        (
            "response-headers",
            Traffic {
                response_headers: Some(fields),
                ..none()
            },
        ),
        (
            "paths",
            Traffic {
                paths: Some(paths.into()),
                ..none()
            },
        ),
        (
            "metadata",
            Traffic {
                metadata: Some([datum].into()),
                ..none()
            },
        ),
    ]
}
