//! How traffic is served: each setting checked on its own as it comes in.

mod headers;
mod http;
mod origin;
mod shown;
mod tls;

use prost::Message;
use proto::admin::v1;
use state::{Traffic, ports::Seal};

pub(crate) use self::shown::traffic;
use crate::{limits, problem::Problem};

/// Those settings of `wire` that the mask names; of the others nothing is looked at.
pub(crate) fn traffic_settings(
    wire: &v1::Traffic,
    mask: &[&'static str],
    seal: &dyn Seal,
) -> Result<Traffic, Problem> {
    let mut traffic = Traffic::default();
    for setting in mask {
        // Several may have been sent: which of them it is must stand in the sentence.
        decide(&mut traffic, setting, wire, seal).map_err(|problem| Problem {
            message: format!("{setting}: {}", problem.message),
            ..problem
        })?;
    }
    Ok(traffic)
}

fn decide(
    traffic: &mut Traffic,
    setting: &str,
    wire: &v1::Traffic,
    seal: &dyn Seal,
) -> Result<(), Problem> {
    match setting {
        "origins" => traffic.origins = origin::list("traffic.origins", &wire.origins)?,
        "health_check" => {
            traffic.health_check = optional(&wire.health_check, origin::health_check)?;
        }
        "ejection" => traffic.ejection = optional(&wire.ejection, origin::ejection)?,
        "retry_percent" => {
            traffic.retry_percent = wire.retry_percent.map(origin::percent).transpose()?;
        }
        "origin_host" => traffic.origin_host = origin::host(&wire.origin_host)?,
        "origin_sni" => traffic.origin_sni = origin::sni(&wire.origin_sni)?,
        "origin_trust" => traffic.origin_trust = optional(&wire.origin_trust, tls::trust)?,
        "origin_identity" => {
            let sealed = |wire: &_| tls::identity(wire, seal);
            traffic.origin_identity = optional(&wire.origin_identity, sealed)?;
        }
        "min_tls" => traffic.min_tls = tls::version(wire.min_tls)?,
        "ciphers" => traffic.ciphers = tls::ciphers(wire.ciphers)?,
        "http2" => traffic.http2 = wire.http2,
        "client_roots" => {
            traffic.client_roots = optional(&wire.client_roots, tls::client_roots)?;
        }
        "hsts" => traffic.hsts = optional(&wire.hsts, http::hsts)?,
        "redirects" => traffic.redirects = optional(&wire.redirects, http::redirects)?,
        "request_headers" => {
            let field = "traffic.request_headers";
            let rules = |wire: &_| headers::rules(field, wire);
            traffic.request_headers = optional(&wire.request_headers, rules)?;
        }
        "response_headers" => {
            let field = "traffic.response_headers";
            let rules = |wire: &_| headers::rules(field, wire);
            traffic.response_headers = optional(&wire.response_headers, rules)?;
        }
        "paths" => traffic.paths = optional(&wire.paths, http::paths)?,
        "metadata" => traffic.metadata = optional(&wire.metadata, headers::metadata)?,
        "max_body" => traffic.max_body = wire.max_body.map(http::max_body).transpose()?,
        "request_rate" => traffic.request_rate = optional(&wire.request_rate, http::rate)?,
        "max_connections" => {
            traffic.max_connections = optional(&wire.max_connections, http::connections)?;
        }
        _ => traffic.maintenance = optional(&wire.maintenance, http::maintenance)?,
    }
    Ok(())
}

/// `present` with the settings that the mask names as in `wanted`.
pub(crate) fn traffic_edited(
    present: &Traffic,
    wanted: &Traffic,
    mask: &[&'static str],
) -> Result<Traffic, Problem> {
    let mut edited = present.clone();
    for setting in mask {
        edited.copy(setting, wanted);
    }
    let size = traffic(&edited).encoded_len();
    if size > limits::TRAFFIC_BYTES_MAX {
        let message = format!(
            "the settings have {size} bytes in all, and may have {}",
            limits::TRAFFIC_BYTES_MAX
        );
        return Err(Problem::field("traffic", message));
    }
    Ok(edited)
}

fn optional<W, T>(
    wire: &Option<W>,
    parse: impl FnOnce(&W) -> Result<T, Problem>,
) -> Result<Option<T>, Problem> {
    wire.as_ref().map(parse).transpose()
}

/// A number within bounds, told in words if it is not.
fn within<T: TryFrom<u32>>(
    field: &'static str,
    number: u32,
    bounds: std::ops::RangeInclusive<u32>,
) -> Result<T, Problem> {
    let bad = || {
        let (from, to) = (bounds.start(), bounds.end());
        Problem::field(field, format!("{number} is not within {from} and {to}"))
    };
    if bounds.contains(&number) {
        number.try_into().map_err(|_| bad())
    } else {
        Err(bad())
    }
}

/// Entries of a list are told by their place, counted from 1.
fn at(field: &'static str, place: usize, why: impl std::fmt::Display) -> Problem {
    Problem::field(field, format!("entry {}: {why}", place + 1))
}

fn bounded(field: &'static str, length: usize, most: usize) -> Result<(), Problem> {
    if length > most {
        let message = format!("there are {length} entries, and may be {most}");
        return Err(Problem::field(field, message));
    }
    Ok(())
}

/// Why a text is no path that rules can be about.
fn path(text: &str) -> Result<(), String> {
    let most = limits::PATH_MAX;
    if !text.starts_with('/') {
        return Err(format!(
            "a path begins with /, and `{}` does not",
            crate::names::shown(text)
        ));
    }
    if text.len() > most {
        return Err(format!("a path has at most {most} bytes"));
    }
    if let Some(bad) = text
        .chars()
        .find(|c| !c.is_ascii_graphic() || "?#\\\"<>^`{|}%".contains(*c))
    {
        return Err(format!(
            "a path cannot hold {bad:?}: it is compared with what a request's means, without \
             query and percent-encoding"
        ));
    }
    if text.contains("//") || text.split('/').any(|part| part == "." || part == "..") {
        return Err("a path has no empty parts and no `.` or `..`".to_owned());
    }
    Ok(())
}

/// Why a text cannot be the value of a header field.
fn field_value(text: &str, most: usize) -> Result<(), String> {
    if text.is_empty() || text.len() > most {
        return Err(format!("a value has 1 to {most} bytes"));
    }
    let visible = text.bytes().all(|b| (b' '..=b'~').contains(&b));
    if !visible || text.trim() != text {
        return Err("a value is of visible ASCII, and spaces within".to_owned());
    }
    Ok(())
}

#[cfg(test)]
#[path = "traffic/tests.rs"]
mod tests;
