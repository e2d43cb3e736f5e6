//! Origins.

use std::{sync::Arc, time::Duration};

use super::{Result, small, switch};
use crate::{
    codec::{
        DecodeError,
        convert::{array, bytes_of, field},
        wire,
    },
    traffic::{Ejection, HealthCheck, OriginIdentity, OriginTrust, Switch, Weighted},
};

const SYSTEM: &str = "system";
const ROOTS: &str = "roots";
const PINS: &str = "pins";
const OFF: &str = "off";

pub(super) fn list_to(list: &[Weighted]) -> wire::Origins {
    let one = |weighted: &Weighted| wire::Weighted {
        origin: Some((&*weighted.origin).into()),
        weight: weighted.weight.into(),
    };
    wire::Origins {
        list: list.iter().map(one).collect(),
    }
}

pub(super) fn list_from(wire: wire::Origins) -> Result<Arc<[Weighted]>> {
    let one = |wire: wire::Weighted| {
        Ok(Weighted {
            origin: Arc::new(field(wire.origin, "origin")?.try_into()?),
            weight: small(wire.weight, "weight")?,
        })
    };
    wire.list.into_iter().map(one).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<&Switch<Arc<HealthCheck>>> for wire::HealthCheck {
    fn from(check: &Switch<Arc<HealthCheck>>) -> Self {
        let Switch::On(check) = check else {
            return Self {
                off: true,
                ..Self::default()
            };
        };
        Self {
            off: false,
            path: check.path.to_string(),
            interval_ms: millis(check.interval),
            timeout_ms: millis(check.timeout),
            rise: check.rise.into(),
            fall: check.fall.into(),
            status_from: check.status_from.into(),
            status_to: check.status_to.into(),
        }
    }
}

impl TryFrom<wire::HealthCheck> for Switch<Arc<HealthCheck>> {
    type Error = DecodeError;

    fn try_from(wire: wire::HealthCheck) -> Result<Self> {
        switch(wire.off, || {
            Ok(Arc::new(HealthCheck {
                path: wire.path.into(),
                interval: Duration::from_millis(wire.interval_ms),
                timeout: Duration::from_millis(wire.timeout_ms),
                rise: small(wire.rise, "rise")?,
                fall: small(wire.fall, "fall")?,
                status_from: small(wire.status_from, "status_from")?,
                status_to: small(wire.status_to, "status_to")?,
            }))
        })
    }
}

impl From<&Switch<Ejection>> for wire::Ejection {
    fn from(ejection: &Switch<Ejection>) -> Self {
        let on = ejection.on();
        Self {
            off: on.is_none(),
            failures: on.map_or(0, |on| on.failures.into()),
            period_ms: on.map_or(0, |on| millis(on.period)),
        }
    }
}

impl TryFrom<wire::Ejection> for Switch<Ejection> {
    type Error = DecodeError;

    fn try_from(wire: wire::Ejection) -> Result<Self> {
        switch(wire.off, || {
            Ok(Ejection {
                failures: small(wire.failures, "failures")?,
                period: Duration::from_millis(wire.period_ms),
            })
        })
    }
}

impl From<&OriginTrust> for wire::OriginTrust {
    fn from(trust: &OriginTrust) -> Self {
        let how = |how: &str| Self {
            how: how.to_owned(),
            ..Self::default()
        };
        match trust {
            OriginTrust::System => how(SYSTEM),
            OriginTrust::Off => how(OFF),
            OriginTrust::Roots(roots) => Self {
                roots: roots.to_vec(),
                ..how(ROOTS)
            },
            OriginTrust::Pins(pins) => Self {
                pins: pins.iter().map(|pin| bytes_of(pin)).collect(),
                ..how(PINS)
            },
        }
    }
}

impl TryFrom<wire::OriginTrust> for OriginTrust {
    type Error = DecodeError;

    fn try_from(wire: wire::OriginTrust) -> Result<Self> {
        let pins = wire.pins.iter().map(|pin| array(pin, "pin"));
        match wire.how.as_str() {
            SYSTEM => Ok(Self::System),
            OFF => Ok(Self::Off),
            ROOTS => Ok(Self::Roots(wire.roots.into())),
            PINS => Ok(Self::Pins(pins.collect::<Result<_>>()?)),
            _ => Err(DecodeError::Unknown("trust in an origin")),
        }
    }
}

impl From<&Switch<Arc<OriginIdentity>>> for wire::OriginIdentity {
    fn from(identity: &Switch<Arc<OriginIdentity>>) -> Self {
        let on = identity.on();
        Self {
            off: on.is_none(),
            chain: on.map(|on| on.chain.clone()).unwrap_or_default(),
            key: on.map(|on| (&on.key).into()),
        }
    }
}

impl TryFrom<wire::OriginIdentity> for Switch<Arc<OriginIdentity>> {
    type Error = DecodeError;

    fn try_from(wire: wire::OriginIdentity) -> Result<Self> {
        switch(wire.off, || {
            Ok(Arc::new(OriginIdentity {
                chain: wire.chain,
                key: field(wire.key, "key")?.try_into()?,
            }))
        })
    }
}
