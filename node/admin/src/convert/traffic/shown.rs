//! Settings as they are shown: all but the secret.

use bytes::Bytes;
use proto::admin::v1::{self, origin_trust::Trust};
use state::{
    Traffic,
    traffic::{
        Ciphers, Ejection, HeaderAction, HeaderRule, HealthCheck, Hsts, Maintenance,
        OriginIdentity, OriginName, OriginTrust, PathRule, Rate, Redirect, Switch, TlsVersion,
        Weighted,
    },
};

use crate::convert::{duration, pem, shown_origin};

pub(crate) fn traffic(traffic: &Traffic) -> v1::Traffic {
    let name = |name: &Option<OriginName>| {
        let name = name.as_ref().map(|name| name.as_str().to_owned());
        name.unwrap_or_default()
    };
    v1::Traffic {
        origins: traffic.origins.as_deref().map(origins),
        health_check: traffic
            .health_check
            .as_ref()
            .map(|it| health_check(it.on().map(|it| &**it))),
        ejection: traffic.ejection.as_ref().map(|it| ejection(it.on())),
        retry_percent: traffic.retry_percent.map(Into::into),
        origin_host: name(&traffic.origin_host),
        origin_sni: name(&traffic.origin_sni),
        origin_trust: traffic.origin_trust.as_ref().map(trust),
        origin_identity: traffic
            .origin_identity
            .as_ref()
            .map(|it| identity(it.on().map(|it| &**it))),
        min_tls: version(traffic.min_tls).into(),
        ciphers: ciphers(traffic.ciphers).into(),
        http2: traffic.http2,
        client_roots: traffic.client_roots.as_ref().map(|it| v1::ClientRoots {
            off: *it == Switch::Off,
            roots_pem: it.on().map(|roots| certificates(roots)).unwrap_or_default(),
        }),
        hsts: traffic.hsts.as_ref().map(|it| hsts(it.on())),
        redirects: traffic.redirects.as_deref().map(|list| v1::Redirects {
            redirects: list.iter().map(redirect).collect(),
        }),
        request_headers: traffic.request_headers.as_deref().map(header_rules),
        response_headers: traffic.response_headers.as_deref().map(header_rules),
        paths: traffic.paths.as_deref().map(|list| v1::PathRules {
            rules: list.iter().map(path_rule).collect(),
        }),
        metadata: traffic.metadata.as_deref().map(|list| v1::Metadata {
            entries: list
                .iter()
                .map(|datum| (datum.key.to_string(), datum.value.to_string()))
                .collect(),
        }),
        max_body: traffic.max_body,
        request_rate: traffic.request_rate.as_ref().map(|it| rate(it.on())),
        max_connections: traffic.max_connections.map(|it| v1::MaxConnections {
            off: it == Switch::Off,
            most: it.on().copied().unwrap_or_default(),
        }),
        maintenance: traffic
            .maintenance
            .as_ref()
            .map(|it| maintenance(it.on().map(|it| &**it))),
    }
}

fn origins(list: &[Weighted]) -> v1::Origins {
    let one = |weighted: &Weighted| v1::WeightedOrigin {
        origin: Some(shown_origin(&weighted.origin)),
        weight: weighted.weight.into(),
    };
    v1::Origins {
        origins: list.iter().map(one).collect(),
    }
}

fn health_check(check: Option<&HealthCheck>) -> v1::HealthCheck {
    let Some(check) = check else {
        return v1::HealthCheck {
            off: true,
            ..Default::default()
        };
    };
    v1::HealthCheck {
        off: false,
        path: check.path.to_string(),
        interval: Some(duration(check.interval)),
        timeout: Some(duration(check.timeout)),
        rise: check.rise.into(),
        fall: check.fall.into(),
        status_from: check.status_from.into(),
        status_to: check.status_to.into(),
    }
}

fn ejection(ejection: Option<&Ejection>) -> v1::Ejection {
    v1::Ejection {
        off: ejection.is_none(),
        failures: ejection.map_or(0, |it| it.failures.into()),
        period: ejection.map(|it| duration(it.period)),
    }
}

fn trust(trust: &OriginTrust) -> v1::OriginTrust {
    let trust = match trust {
        OriginTrust::System => Trust::System(true),
        OriginTrust::Off => Trust::Off(true),
        OriginTrust::Roots(roots) => Trust::RootsPem(certificates(roots)),
        OriginTrust::Pins(pins) => Trust::Pins(v1::OriginPins {
            sha256: pins.iter().map(|pin| Bytes::copy_from_slice(pin)).collect(),
        }),
    };
    v1::OriginTrust { trust: Some(trust) }
}

fn identity(identity: Option<&OriginIdentity>) -> v1::OriginIdentity {
    v1::OriginIdentity {
        off: identity.is_none(),
        certificate_pem: identity
            .map(|it| certificates(&it.chain))
            .unwrap_or_default(),
        private_key_pem: String::new(),
    }
}

fn certificates(ders: &[Bytes]) -> String {
    ders.iter().map(|der| pem("CERTIFICATE", der)).collect()
}

fn version(version: Option<TlsVersion>) -> v1::TlsVersion {
    match version {
        None => v1::TlsVersion::Unspecified,
        Some(TlsVersion::V12) => v1::TlsVersion::TlsVersion12,
        Some(TlsVersion::V13) => v1::TlsVersion::TlsVersion13,
    }
}

fn ciphers(ciphers: Option<Ciphers>) -> v1::CipherPolicy {
    match ciphers {
        None => v1::CipherPolicy::Unspecified,
        Some(Ciphers::Default) => v1::CipherPolicy::Default,
        Some(Ciphers::Strong) => v1::CipherPolicy::Strong,
        Some(Ciphers::Aes) => v1::CipherPolicy::Aes,
    }
}

fn hsts(hsts: Option<&Hsts>) -> v1::Hsts {
    v1::Hsts {
        off: hsts.is_none(),
        max_age: hsts.map_or(0, |it| it.max_age),
        include_subdomains: hsts.is_some_and(|it| it.subdomains),
        preload: hsts.is_some_and(|it| it.preload),
    }
}

fn redirect(redirect: &Redirect) -> v1::Redirect {
    v1::Redirect {
        path: redirect.path.to_string(),
        target: redirect.target.to_string(),
        keep: redirect.keep,
        status: redirect.status.into(),
    }
}

fn header_rules(list: &[HeaderRule]) -> v1::HeaderRules {
    let one = |rule: &HeaderRule| {
        let (action, value) = match &rule.action {
            HeaderAction::Set(value) => (v1::HeaderAction::Set, &**value),
            HeaderAction::Add(value) => (v1::HeaderAction::Add, &**value),
            HeaderAction::Remove => (v1::HeaderAction::Remove, ""),
        };
        v1::HeaderRule {
            name: rule.name.to_string(),
            action: action.into(),
            value: value.to_owned(),
        }
    };
    v1::HeaderRules {
        rules: list.iter().map(one).collect(),
    }
}

fn path_rule(rule: &PathRule) -> v1::PathRule {
    v1::PathRule {
        path: rule.path.to_string(),
        replace: rule.replace.as_deref().map(ToOwned::to_owned),
        origins: rule.origins.as_deref().map(origins),
    }
}

fn rate(rate: Option<&Rate>) -> v1::Rate {
    v1::Rate {
        off: rate.is_none(),
        per_second: rate.map_or(0, |it| it.per_second),
        burst: rate.map_or(0, |it| it.burst),
    }
}

fn maintenance(maintenance: Option<&Maintenance>) -> v1::Maintenance {
    let Some(maintenance) = maintenance else {
        return v1::Maintenance {
            off: true,
            ..Default::default()
        };
    };
    v1::Maintenance {
        off: false,
        status: maintenance.status.into(),
        content_type: maintenance.content_type.to_string(),
        body: maintenance.body.clone(),
        retry_after: maintenance.retry_after,
    }
}
