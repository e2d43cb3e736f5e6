//! HTTP with clients.

use std::sync::Arc;

use proto::admin::v1;
use state::traffic::{Hsts, Maintenance, PathRule, Rate, Redirect, Switch};

use super::{at, bounded, field_value, origin, path, within};
use crate::{limits, names, problem::Problem};

pub(super) fn hsts(wire: &v1::Hsts) -> Result<Switch<Hsts>, Problem> {
    if wire.off {
        return Ok(Switch::Off);
    }
    let hsts = Hsts {
        max_age: within("traffic.hsts.max_age", wire.max_age, 0..=limits::HSTS_MAX)?,
        subdomains: wire.include_subdomains,
        preload: wire.preload,
    };
    // What the browsers' list asks for; without it nothing is preloaded.
    if hsts.preload && !(hsts.subdomains && hsts.max_age >= limits::HSTS_PRELOAD_MIN) {
        let message = format!(
            "preload needs include_subdomains and a max_age of {} or more",
            limits::HSTS_PRELOAD_MIN
        );
        return Err(Problem::field("traffic.hsts.preload", message));
    }
    Ok(Switch::On(hsts))
}

pub(super) fn redirects(wire: &v1::Redirects) -> Result<Arc<[Redirect]>, Problem> {
    const FIELD: &str = "traffic.redirects";
    bounded(FIELD, wire.redirects.len(), limits::REDIRECTS_MAX)?;
    let mut list: Vec<Redirect> = Vec::with_capacity(wire.redirects.len());
    for (place, wire) in wire.redirects.iter().enumerate() {
        let redirect = redirect(wire).map_err(|why| at(FIELD, place, why))?;
        if list.iter().any(|other| other.path == redirect.path) {
            let why = format!("the path {} stands there twice", redirect.path);
            return Err(at(FIELD, place, why));
        }
        list.push(redirect);
    }
    Ok(list.into())
}

fn redirect(wire: &v1::Redirect) -> Result<Redirect, String> {
    path(&wire.path)?;
    target(&wire.target)?;
    if wire.keep && wire.target.contains(['?', '#']) {
        return Err(format!(
            "nothing can follow the query or fragment of {}",
            wire.target
        ));
    }
    if wire.target.starts_with('/') && is_below(&wire.target, &wire.path) {
        return Err(format!(
            "{} lies below {} and would be sent there again without end",
            wire.target, wire.path
        ));
    }
    let status = match wire.status {
        0 => 308,
        status @ (301 | 302 | 303 | 307 | 308) => status as u16,
        other => {
            return Err(format!(
                "{other} is no status of a redirect: 301, 302, 303, 307 or 308"
            ));
        }
    };
    Ok(Redirect {
        path: wire.path.as_str().into(),
        target: wire.target.as_str().into(),
        keep: wire.keep,
        status,
    })
}

fn is_below(target: &str, path: &str) -> bool {
    let target = target.split(['?', '#']).next().unwrap_or_default();
    let below = target.strip_prefix(path.trim_end_matches('/'));
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn target(text: &str) -> Result<(), String> {
    let most = limits::REDIRECT_TARGET_MAX;
    let bad = |why: &str| Err(format!("`{}` {why}", names::shown(text)));
    if text.len() > most || !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains('\\') {
        return Err(format!(
            "a target is of visible ASCII without \\, at most {most} bytes"
        ));
    }
    if text.starts_with('/') {
        return if text.starts_with("//") {
            bad("begins with two slashes, which browsers take for another host")
        } else {
            Ok(())
        };
    }
    let uri: Result<http::Uri, _> = text.parse();
    let is_url = uri.is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|it| !it.as_str().contains('@'))
    });
    if is_url {
        Ok(())
    } else {
        bad("is neither a path from / nor an http or https URL")
    }
}

pub(super) fn paths(wire: &v1::PathRules) -> Result<Arc<[PathRule]>, Problem> {
    const FIELD: &str = "traffic.paths";
    bounded(FIELD, wire.rules.len(), limits::PATHS_MAX)?;
    let mut list: Vec<PathRule> = Vec::with_capacity(wire.rules.len());
    for (place, wire) in wire.rules.iter().enumerate() {
        path(&wire.path).map_err(|why| at(FIELD, place, why))?;
        if list.iter().any(|other| *other.path == *wire.path) {
            let why = format!("the path {} stands there twice", wire.path);
            return Err(at(FIELD, place, why));
        }
        if let Some(replace) = &wire.replace {
            path(replace).map_err(|why| at(FIELD, place, format!("its replacement: {why}")))?;
        }
        if wire.replace.is_none() && wire.origins.is_none() {
            let why = "it says neither what stands in the path's place nor where it goes";
            return Err(at(FIELD, place, why));
        }
        let origins = origin::list(FIELD, &wire.origins);
        list.push(PathRule {
            path: wire.path.as_str().into(),
            replace: wire.replace.as_deref().map(Into::into),
            origins: origins.map_err(|problem| at(FIELD, place, problem.message))?,
        });
    }
    Ok(list.into())
}

pub(super) fn max_body(bytes: u64) -> Result<u64, Problem> {
    let most = limits::BODY_MAX;
    if (1..=most).contains(&bytes) {
        Ok(bytes)
    } else {
        let message = format!("{bytes} is not within 1 and {most}");
        Err(Problem::field("traffic.max_body", message))
    }
}

pub(super) fn rate(wire: &v1::Rate) -> Result<Switch<Rate>, Problem> {
    if wire.off {
        return Ok(Switch::Off);
    }
    let bounds = 1..=limits::RATE_MAX;
    let per_second = within(
        "traffic.request_rate.per_second",
        wire.per_second,
        bounds.clone(),
    )?;
    let burst = match wire.burst {
        0 => per_second,
        burst => within("traffic.request_rate.burst", burst, bounds)?,
    };
    Ok(Switch::On(Rate { per_second, burst }))
}

pub(super) fn connections(wire: &v1::MaxConnections) -> Result<Switch<u32>, Problem> {
    if wire.off {
        return Ok(Switch::Off);
    }
    let bounds = 1..=limits::CONNECTIONS_MAX;
    within("traffic.max_connections.most", wire.most, bounds).map(Switch::On)
}

pub(super) fn maintenance(wire: &v1::Maintenance) -> Result<Switch<Arc<Maintenance>>, Problem> {
    const TYPE: &str = "traffic.maintenance.content_type";
    if wire.off {
        return Ok(Switch::Off);
    }
    if wire.body.len() > limits::MAINTENANCE_BODY_MAX {
        let message = format!(
            "the page has {} bytes, and may have {}",
            wire.body.len(),
            limits::MAINTENANCE_BODY_MAX
        );
        return Err(Problem::field("traffic.maintenance.body", message));
    }
    let status = match wire.status {
        0 => 503,
        // Neither has a body.
        204 | 304 => {
            let message = format!("{} has no page", wire.status);
            return Err(Problem::field("traffic.maintenance.status", message));
        }
        status => within("traffic.maintenance.status", status, 200..=599)?,
    };
    let content_type = match wire.content_type.as_str() {
        "" => "text/html; charset=utf-8",
        text => {
            field_value(text, limits::CONTENT_TYPE_MAX).map_err(|why| Problem::field(TYPE, why))?;
            text
        }
    };
    let retry_after = wire
        .retry_after
        .map(|after| {
            within(
                "traffic.maintenance.retry_after",
                after,
                0..=limits::MAINTENANCE_RETRY_MAX,
            )
        })
        .transpose()?;
    Ok(Switch::On(Arc::new(Maintenance {
        status,
        content_type: content_type.into(),
        body: wire.body.clone(),
        retry_after,
    })))
}
