//! Origins, as they are written on a line.

use std::path::PathBuf;

use data_encoding::HEXLOWER_PERMISSIVE;
use proto::admin::v1 as wire;

use super::{Parsed, number, parts, span};

/// How origins' certificates are verified.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Trust {
    So(wire::origin_trust::Trust),
    Roots(PathBuf),
}

/// `https://app.internal:8443,weight=3,protocol=http2`.
pub(super) fn origin(text: &str) -> Parsed<wire::WeightedOrigin> {
    let (url, named) = parts(text, &["weight", "protocol"])?;
    let mut origin = wire::Origin {
        url: url.to_owned(),
        ..Default::default()
    };
    let mut weight = 0;
    for (name, value) in named {
        match name {
            "weight" => weight = number(value)?,
            _ => {
                let protocol = match value {
                    "auto" => wire::OriginProtocol::Unspecified,
                    "http1" => wire::OriginProtocol::Http1,
                    "http2" => wire::OriginProtocol::Http2,
                    value => return Err(format!("`{value}` is none of auto, http1 and http2")),
                };
                origin.protocol = protocol.into();
            }
        }
    }
    let origin = Some(origin);
    Ok(wire::WeightedOrigin { origin, weight })
}

pub(super) fn health_check(text: &str) -> Parsed<wire::HealthCheck> {
    let (path, named) = parts(text, &["interval", "timeout", "rise", "fall", "status"])?;
    let mut check = wire::HealthCheck {
        path: path.to_owned(),
        ..Default::default()
    };
    for (name, value) in named {
        match name {
            "interval" => check.interval = Some(span(value)?),
            "timeout" => check.timeout = Some(span(value)?),
            "rise" => check.rise = number(value)?,
            "fall" => check.fall = number(value)?,
            _ => {
                let (from, to) = value.split_once('-').unwrap_or((value, value));
                check.status_from = number(from)?;
                check.status_to = number(to)?;
            }
        }
    }
    Ok(check)
}

pub(super) fn ejection(text: &str) -> Parsed<wire::Ejection> {
    let (failures, named) = parts(text, &["period"])?;
    let period = named.first().map(|(_, value)| span(value)).transpose()?;
    Ok(wire::Ejection {
        off: false,
        failures: number(failures)?,
        period,
    })
}

pub(super) fn trust(text: &str) -> Parsed<Trust> {
    use wire::origin_trust::Trust as So;
    match text {
        "system" => Ok(Trust::So(So::System(true))),
        "off" => Ok(Trust::So(So::Off(true))),
        text if text.starts_with("sha256:") => {
            let pin = |part: &str| {
                let hex = part.strip_prefix("sha256:");
                let bytes = hex.and_then(|hex| HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok());
                bytes
                    .map(Into::into)
                    .ok_or_else(|| format!("`{part}` is not sha256: and hex"))
            };
            let sha256 = text.split(',').map(pin).collect::<Parsed<_>>()?;
            Ok(Trust::So(So::Pins(wire::OriginPins { sha256 })))
        }
        file => Ok(Trust::Roots(file.into())),
    }
}
