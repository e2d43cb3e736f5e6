//! Origins.

use std::{sync::Arc, time::Duration};

use proto::admin::v1;
use state::{
    Origin,
    traffic::{Ejection, HealthCheck, OriginName, Switch, Weighted},
};

use super::{at, bounded, path, within};
use crate::{convert, limits, names, problem::Problem};

/// Origins as they were sent; absent: not decided.
pub(super) fn list(
    field: &'static str,
    wire: &Option<v1::Origins>,
) -> Result<Option<Arc<[Weighted]>>, Problem> {
    let Some(wire) = wire else {
        return Ok(None);
    };
    if wire.origins.is_empty() {
        let message = "at least one origin is needed, such as http://app:8080";
        return Err(Problem::field(field, message));
    }
    bounded(field, wire.origins.len(), limits::ORIGINS_MAX)?;
    let mut list: Vec<Weighted> = Vec::with_capacity(wire.origins.len());
    for (place, wire) in wire.origins.iter().enumerate() {
        let origin = convert::origin(wire.origin.as_ref())
            .map_err(|problem| at(field, place, problem.message))?;
        let weight = match wire.weight {
            0 => 1,
            weight => within(field, weight, 1..=limits::WEIGHT_MAX)
                .map_err(|problem| at(field, place, format!("its weight: {}", problem.message)))?,
        };
        if list.iter().any(|other| *other.origin == origin) {
            return Err(at(field, place, format!("{origin} stands there twice")));
        }
        let origin = Arc::new(origin);
        list.push(Weighted { origin, weight });
    }
    Ok(Some(list.into()))
}

pub(super) fn health_check(wire: &v1::HealthCheck) -> Result<Switch<Arc<HealthCheck>>, Problem> {
    if wire.off {
        return Ok(Switch::Off);
    }
    path(&wire.path).map_err(|why| Problem::field("traffic.health_check.path", why))?;
    const INTERVAL: &str = "traffic.health_check.interval";
    const TIMEOUT: &str = "traffic.health_check.timeout";
    let interval = span(INTERVAL, wire.interval, limits::CHECK_EVERY)?;
    let longest = limits::CHECK_EVERY_MAX;
    if interval < limits::CHECK_EVERY_MIN || interval > longest {
        return Err(Problem::field(INTERVAL, "an interval is 1 s to 1 h long"));
    }
    let timeout = span(TIMEOUT, wire.timeout, limits::CHECK_PATIENCE.min(interval))?;
    if timeout < limits::CHECK_PATIENCE_MIN || timeout > interval {
        let message = "a timeout is 0.1 s long or longer, and no longer than the interval";
        return Err(Problem::field(TIMEOUT, message));
    }
    let or = |number: u32, usual: u32| if number == 0 { usual } else { number };
    let status_from: u16 = within(
        "traffic.health_check.status_from",
        or(wire.status_from, 200),
        100..=599,
    )?;
    let status_to: u16 = within(
        "traffic.health_check.status_to",
        or(wire.status_to, 399),
        status_from.into()..=599,
    )?;
    Ok(Switch::On(Arc::new(HealthCheck {
        path: wire.path.as_str().into(),
        interval,
        timeout,
        rise: within("traffic.health_check.rise", or(wire.rise, 2), 1..=10)?,
        fall: within("traffic.health_check.fall", or(wire.fall, 3), 1..=10)?,
        status_from,
        status_to,
    })))
}

fn span(
    field: &'static str,
    wire: Option<prost_types::Duration>,
    usual: Duration,
) -> Result<Duration, Problem> {
    wire.map_or(Ok(usual), |wire| convert::duration_from(field, wire))
}

pub(super) fn ejection(wire: &v1::Ejection) -> Result<Switch<Ejection>, Problem> {
    const PERIOD: &str = "traffic.ejection.period";
    if wire.off {
        return Ok(Switch::Off);
    }
    let failures = match wire.failures {
        0 => 5,
        failures => within("traffic.ejection.failures", failures, 1..=1000)?,
    };
    let period = span(PERIOD, wire.period, limits::EJECTED_FOR)?;
    if period < Duration::from_secs(1) || period > Duration::from_secs(3600) {
        return Err(Problem::field(PERIOD, "a period is 1 s to 1 h long"));
    }
    Ok(Switch::On(Ejection { failures, period }))
}

pub(super) fn percent(wire: u32) -> Result<u8, Problem> {
    within("traffic.retry_percent", wire, 0..=100)
}

pub(super) fn host(wire: &str) -> Result<Option<OriginName>, Problem> {
    const FIELD: &str = "traffic.origin_host";
    name(wire, |text| {
        let shaped = format!("http://{text}").parse::<Origin>();
        let fits = text.len() <= limits::ORIGIN_URL_MAX && !text.ends_with('/');
        if shaped.is_ok() && fits {
            return Ok(());
        }
        let message = format!(
            "`{}` is no host: `client`, `origin`, or a name or address with or without a port",
            names::shown(text)
        );
        Err(Problem::field(FIELD, message))
    })
}

pub(super) fn sni(wire: &str) -> Result<Option<OriginName>, Problem> {
    const FIELD: &str = "traffic.origin_sni";
    name(wire, |text| {
        let is_name = rustls_pki_types::DnsName::try_from(text).is_ok();
        if is_name && !text.ends_with('.') && text.parse::<std::net::IpAddr>().is_err() {
            return Ok(());
        }
        let message = format!(
            "`{}` is no server name: `client`, `origin`, or a DNS name",
            names::shown(text)
        );
        Err(Problem::field(FIELD, message))
    })
}

/// Empty: not decided.
fn name(
    wire: &str,
    check: impl FnOnce(&str) -> Result<(), Problem>,
) -> Result<Option<OriginName>, Problem> {
    if wire.is_empty() {
        return Ok(None);
    }
    let name = OriginName::parse(&wire.to_ascii_lowercase());
    if let OriginName::Fixed(fixed) = &name {
        check(fixed)?;
    }
    Ok(Some(name))
}
