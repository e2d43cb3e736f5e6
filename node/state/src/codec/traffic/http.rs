//! HTTP.

use std::sync::Arc;

use super::{Result, origin, small, switch};
use crate::{
    codec::{DecodeError, wire},
    traffic::{
        HeaderAction, HeaderRule, Hsts, Maintenance, Metadatum, PathRule, Rate, Redirect, Switch,
    },
};

const SET: &str = "set";
const ADD: &str = "add";
const REMOVE: &str = "remove";

impl From<&Switch<Hsts>> for wire::Hsts {
    fn from(hsts: &Switch<Hsts>) -> Self {
        let on = hsts.on();
        Self {
            off: on.is_none(),
            max_age: on.map_or(0, |on| on.max_age),
            subdomains: on.is_some_and(|on| on.subdomains),
            preload: on.is_some_and(|on| on.preload),
        }
    }
}

impl TryFrom<wire::Hsts> for Switch<Hsts> {
    type Error = DecodeError;

    fn try_from(wire: wire::Hsts) -> Result<Self> {
        switch(wire.off, || {
            Ok(Hsts {
                max_age: wire.max_age,
                subdomains: wire.subdomains,
                preload: wire.preload,
            })
        })
    }
}

pub(super) fn redirects_to(list: &[Redirect]) -> wire::Redirects {
    let one = |redirect: &Redirect| wire::Redirect {
        path: redirect.path.to_string(),
        target: redirect.target.to_string(),
        keep: redirect.keep,
        status: redirect.status.into(),
    };
    wire::Redirects {
        list: list.iter().map(one).collect(),
    }
}

pub(super) fn redirects_from(wire: wire::Redirects) -> Result<Arc<[Redirect]>> {
    let one = |wire: wire::Redirect| {
        Ok(Redirect {
            path: wire.path.into(),
            target: wire.target.into(),
            keep: wire.keep,
            status: small(wire.status, "status")?,
        })
    };
    wire.list.into_iter().map(one).collect()
}

pub(super) fn headers_to(list: &[HeaderRule]) -> wire::HeaderRules {
    let one = |rule: &HeaderRule| {
        let (action, value) = match &rule.action {
            HeaderAction::Set(value) => (SET, &**value),
            HeaderAction::Add(value) => (ADD, &**value),
            HeaderAction::Remove => (REMOVE, ""),
        };
        wire::HeaderRule {
            name: rule.name.to_string(),
            action: action.to_owned(),
            value: value.to_owned(),
        }
    };
    wire::HeaderRules {
        list: list.iter().map(one).collect(),
    }
}

pub(super) fn headers_from(wire: wire::HeaderRules) -> Result<Arc<[HeaderRule]>> {
    let one = |wire: wire::HeaderRule| {
        let action = match wire.action.as_str() {
            SET => HeaderAction::Set(wire.value.into()),
            ADD => HeaderAction::Add(wire.value.into()),
            REMOVE => HeaderAction::Remove,
            _ => return Err(DecodeError::Unknown("change of a header field")),
        };
        Ok(HeaderRule {
            name: wire.name.into(),
            action,
        })
    };
    wire.list.into_iter().map(one).collect()
}

pub(super) fn paths_to(list: &[PathRule]) -> wire::PathRules {
    let one = |rule: &PathRule| wire::PathRule {
        path: rule.path.to_string(),
        replace: rule.replace.as_deref().map(ToOwned::to_owned),
        origins: rule.origins.as_deref().map(origin::list_to),
    };
    wire::PathRules {
        list: list.iter().map(one).collect(),
    }
}

pub(super) fn paths_from(wire: wire::PathRules) -> Result<Arc<[PathRule]>> {
    let one = |wire: wire::PathRule| {
        Ok(PathRule {
            path: wire.path.into(),
            replace: wire.replace.map(Into::into),
            origins: wire.origins.map(origin::list_from).transpose()?,
        })
    };
    wire.list.into_iter().map(one).collect()
}

pub(super) fn metadata_to(list: &[Metadatum]) -> wire::Metadata {
    let one = |datum: &Metadatum| wire::Metadatum {
        key: datum.key.to_string(),
        value: datum.value.to_string(),
    };
    wire::Metadata {
        list: list.iter().map(one).collect(),
    }
}

pub(super) fn metadata_from(wire: wire::Metadata) -> Arc<[Metadatum]> {
    let one = |wire: wire::Metadatum| Metadatum {
        key: wire.key.into(),
        value: wire.value.into(),
    };
    wire.list.into_iter().map(one).collect()
}

impl From<&Switch<Rate>> for wire::Rate {
    fn from(rate: &Switch<Rate>) -> Self {
        let on = rate.on();
        Self {
            off: on.is_none(),
            per_second: on.map_or(0, |on| on.per_second),
            burst: on.map_or(0, |on| on.burst),
        }
    }
}

impl TryFrom<wire::Rate> for Switch<Rate> {
    type Error = DecodeError;

    fn try_from(wire: wire::Rate) -> Result<Self> {
        switch(wire.off, || {
            Ok(Rate {
                per_second: wire.per_second,
                burst: wire.burst,
            })
        })
    }
}

impl From<&Switch<Arc<Maintenance>>> for wire::Maintenance {
    fn from(maintenance: &Switch<Arc<Maintenance>>) -> Self {
        let Switch::On(maintenance) = maintenance else {
            return Self {
                off: true,
                ..Self::default()
            };
        };
        Self {
            off: false,
            status: maintenance.status.into(),
            content_type: maintenance.content_type.to_string(),
            body: maintenance.body.clone(),
            retry_after: maintenance.retry_after,
        }
    }
}

impl TryFrom<wire::Maintenance> for Switch<Arc<Maintenance>> {
    type Error = DecodeError;

    fn try_from(wire: wire::Maintenance) -> Result<Self> {
        switch(wire.off, || {
            Ok(Arc::new(Maintenance {
                status: small(wire.status, "status")?,
                content_type: wire.content_type.into(),
                body: wire.body,
                retry_after: wire.retry_after,
            }))
        })
    }
}
