//! How traffic is served: from the line to what is sent.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use prost_types::FieldMask;
use proto::admin::v1 as wire;

use crate::{
    arguments::{Page, Said, SetTraffic, Trust},
    output::note,
    secret,
};

/// Settings and their names; none if the line says nothing of any.
pub(crate) fn changed(set: SetTraffic) -> Result<Option<(wire::Traffic, FieldMask)>> {
    let mut traffic = wire::Traffic::default();
    let mut paths = Vec::new();
    let mut name = |field: &str| paths.push(field.to_owned());
    if let Some(list) = set.origins {
        traffic.origins = entries(list).map(|origins| wire::Origins { origins });
        name("origins");
    }
    if let Some(said) = set.health_check {
        traffic.health_check = switch(said, |off| wire::HealthCheck {
            off,
            ..Default::default()
        });
        name("health_check");
    }
    if let Some(said) = set.ejection {
        traffic.ejection = switch(said, |off| wire::Ejection {
            off,
            ..Default::default()
        });
        name("ejection");
    }
    if let Some(said) = set.retry_percent {
        traffic.retry_percent = value(said);
        name("retry_percent");
    }
    if let Some(host) = set.origin_host {
        traffic.origin_host = host;
        name("origin_host");
    }
    if let Some(sni) = set.origin_sni {
        traffic.origin_sni = sni;
        name("origin_sni");
    }
    if let Some(said) = set.origin_trust {
        traffic.origin_trust = value(said).map(trust).transpose()?;
        name("origin_trust");
    }
    if let Some(said) = set.origin_certificate {
        traffic.origin_identity = match said {
            Said::Nothing => None,
            Said::Off => Some(wire::OriginIdentity {
                off: true,
                ..Default::default()
            }),
            Said::So(file) => Some(wire::OriginIdentity {
                off: false,
                certificate_pem: text(&file)?,
                private_key_pem: match &set.origin_key {
                    Some(file) => secret::text(file, "the private key")?,
                    None => String::new(),
                },
            }),
        };
        name("origin_identity");
    }
    if let Some(said) = set.min_tls {
        traffic.min_tls = value(said).unwrap_or_default().into();
        name("min_tls");
    }
    if let Some(said) = set.ciphers {
        traffic.ciphers = value(said).unwrap_or_default().into();
        name("ciphers");
    }
    if let Some(said) = set.http2 {
        traffic.http2 = value(said);
        name("http2");
    }
    if let Some(said) = set.client_roots {
        traffic.client_roots = match said {
            Said::Nothing => None,
            Said::Off => Some(wire::ClientRoots {
                off: true,
                ..Default::default()
            }),
            Said::So(file) => Some(wire::ClientRoots {
                off: false,
                roots_pem: text(&file)?,
            }),
        };
        name("client_roots");
    }
    if let Some(said) = set.hsts {
        traffic.hsts = switch(said, |off| wire::Hsts {
            off,
            ..Default::default()
        });
        name("hsts");
    }
    if let Some(list) = set.redirects {
        traffic.redirects = entries(list).map(|redirects| wire::Redirects { redirects });
        name("redirects");
    }
    if let Some(list) = set.request_headers {
        traffic.request_headers = entries(list).map(|rules| wire::HeaderRules { rules });
        name("request_headers");
    }
    if let Some(list) = set.response_headers {
        traffic.response_headers = entries(list).map(|rules| wire::HeaderRules { rules });
        name("response_headers");
    }
    if let Some(list) = set.paths {
        traffic.paths = entries(list).map(|rules| wire::PathRules { rules });
        name("paths");
    }
    if let Some(list) = set.metadata {
        traffic.metadata = entries(list).map(|list| wire::Metadata {
            entries: list.into_iter().collect(),
        });
        name("metadata");
    }
    if let Some(said) = set.max_body {
        traffic.max_body = value(said);
        name("max_body");
    }
    if let Some(said) = set.request_rate {
        traffic.request_rate = switch(said, |off| wire::Rate {
            off,
            ..Default::default()
        });
        name("request_rate");
    }
    if let Some(said) = set.max_connections {
        traffic.max_connections = match said {
            Said::Nothing => None,
            Said::Off => Some(wire::MaxConnections { off: true, most: 0 }),
            Said::So(most) => Some(wire::MaxConnections { off: false, most }),
        };
        name("max_connections");
    }
    if let Some(said) = set.maintenance {
        traffic.maintenance = match said {
            Said::Nothing => None,
            Said::Off => Some(wire::Maintenance {
                off: true,
                ..Default::default()
            }),
            Said::So(Page { mut page, body }) => {
                if let Some(file) = body {
                    let read = fs::read(&file);
                    page.body = read.with_context(|| cannot_read(&file))?.into();
                }
                Some(page)
            }
        };
        name("maintenance");
    }
    Ok((!paths.is_empty()).then_some((traffic, FieldMask { paths })))
}

fn switch<T>(said: Said<T>, off: impl FnOnce(bool) -> T) -> Option<T> {
    match said {
        Said::Nothing => None,
        Said::Off => Some(off(true)),
        Said::So(value) => Some(value),
    }
}

fn value<T>(said: Said<T>) -> Option<T> {
    match said {
        Said::Nothing | Said::Off => None,
        Said::So(value) => Some(value),
    }
}

/// The entries of a list; `off` stands for none of them, and nothing for no list.
fn entries<T>(list: Vec<Said<T>>) -> Option<Vec<T>> {
    let nothing = list.iter().all(|said| matches!(said, Said::Nothing));
    (!nothing).then(|| list.into_iter().filter_map(value).collect())
}

fn trust(trust: Trust) -> Result<wire::OriginTrust> {
    use wire::origin_trust::Trust as So;
    let trust = match trust {
        Trust::So(so) => so,
        Trust::Roots(file) => So::RootsPem(text(&file)?),
    };
    if matches!(trust, So::Off(_)) {
        note(
            "warning: origins' certificates will not be verified: whoever can answer in an \
             origin's place reads and writes this traffic",
        );
    }
    Ok(wire::OriginTrust { trust: Some(trust) })
}

fn text(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| cannot_read(file))
}

fn cannot_read(file: &Path) -> String {
    format!("cannot read {}", file.display())
}
