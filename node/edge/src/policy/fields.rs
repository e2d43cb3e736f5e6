//! Changes of header fields, and answers of our own.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use state::{
    Traffic,
    traffic::{HeaderAction, HeaderRule, Hsts, Maintenance, Switch},
};

/// One change, ready to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Set(HeaderName, HeaderValue),
    Add(HeaderName, HeaderValue),
    Remove(HeaderName),
}

impl Change {
    /// What cannot stand in a header is left out; the API lets nothing such in.
    fn new(name: &str, action: &HeaderAction) -> Option<Self> {
        let name = HeaderName::try_from(name).ok()?;
        let value = |value: &str| HeaderValue::from_str(value).ok();
        Some(match action {
            HeaderAction::Set(text) => Self::Set(name, value(text)?),
            HeaderAction::Add(text) => Self::Add(name, value(text)?),
            HeaderAction::Remove => Self::Remove(name),
        })
    }
}

/// Makes all changes in their order.
pub(crate) fn change(headers: &mut HeaderMap, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Set(name, value) => {
                headers.insert(name, value.clone());
            }
            Change::Add(name, value) => {
                headers.append(name, value.clone());
            }
            Change::Remove(name) => {
                headers.remove(name);
            }
        }
    }
}

/// The prefix of what origins are told of a hostname.
const METADATA: &str = "hostquorum-metadata-";

pub(super) fn of_requests(traffic: &Traffic) -> Vec<Change> {
    let metadata = traffic.metadata.as_deref().unwrap_or_default();
    let told = metadata.iter().filter_map(|datum| {
        let name = format!("{METADATA}{}", datum.key);
        Change::new(&name, &HeaderAction::Set(datum.value.clone()))
    });
    told.chain(rules(traffic.request_headers.as_deref()))
        .collect()
}

pub(super) fn of_responses(traffic: &Traffic) -> Vec<Change> {
    let hsts = traffic.hsts.as_ref().and_then(Switch::on);
    let hsts = hsts.and_then(|hsts| {
        let value = HeaderValue::try_from(told(hsts)).ok()?;
        Some(Change::Set(header::STRICT_TRANSPORT_SECURITY, value))
    });
    hsts.into_iter()
        .chain(rules(traffic.response_headers.as_deref()))
        .collect()
}

fn rules(rules: Option<&[HeaderRule]>) -> impl Iterator<Item = Change> {
    let rules = rules.unwrap_or_default().iter();
    rules.filter_map(|rule| Change::new(&rule.name, &rule.action))
}

/// RFC 6797 section 6.1.
fn told(hsts: &Hsts) -> String {
    let mut value = format!("max-age={}", hsts.max_age);
    if hsts.subdomains {
        value.push_str("; includeSubDomains");
    }
    if hsts.preload {
        value.push_str("; preload");
    }
    value
}

/// A maintenance page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Page {
    pub(super) fn new(maintenance: &Maintenance) -> Self {
        let mut headers = HeaderMap::new();
        if let Ok(kind) = HeaderValue::from_str(&maintenance.content_type) {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = maintenance.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after));
        }
        Self {
            status: StatusCode::from_u16(maintenance.status)
                .unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
            headers,
            body: maintenance.body.clone(),
        }
    }

    pub(crate) fn answer(&self) -> Response<Bytes> {
        let mut response = Response::new(self.body.clone());
        *response.status_mut() = self.status;
        response.headers_mut().clone_from(&self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use state::traffic::Metadatum;

    use super::*;

    fn rule(name: &str, action: HeaderAction) -> HeaderRule {
        let name = name.into();
        HeaderRule { name, action }
    }

    #[track_caller]
    fn check(changes: &[Change], before: &[(&str, &str)], after: &[(&str, &str)]) {
        let map = |fields: &[(&str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in fields {
                let name = HeaderName::try_from(*name).unwrap();
                map.append(name, HeaderValue::from_str(value).unwrap());
            }
            map
        };
        let mut headers = map(before);
        change(&mut headers, changes);
        assert_eq!(headers, map(after));
    }

    #[test]
    fn rules_are_done_in_their_order() {
        let traffic = Traffic {
            request_headers: Some(
                [
                    rule("a", HeaderAction::Set("1".into())),
                    rule("b", HeaderAction::Add("2".into())),
                    rule("c", HeaderAction::Remove),
                    rule("c", HeaderAction::Add("3".into())),
                ]
                .into(),
            ),
            ..Traffic::default()
        };
        check(
            &of_requests(&traffic),
            &[("a", "x"), ("a", "y"), ("b", "x"), ("c", "x")],
            &[("a", "1"), ("b", "x"), ("b", "2"), ("c", "3")],
        );
    }

    #[test]
    fn metadata_are_fields_of_their_own() {
        let datum = Metadatum {
            key: "plan".into(),
            value: "gold".into(),
        };
        let traffic = Traffic {
            metadata: Some([datum].into()),
            ..Traffic::default()
        };
        check(
            &of_requests(&traffic),
            &[],
            &[("hostquorum-metadata-plan", "gold")],
        );
    }

    #[test]
    fn hsts_takes_the_place_of_the_origins_own() {
        let hsts = |max_age, subdomains, preload| Traffic {
            hsts: Some(Switch::On(Hsts {
                max_age,
                subdomains,
                preload,
            })),
            ..Traffic::default()
        };
        let name = "strict-transport-security";
        check(
            &of_responses(&hsts(60, false, false)),
            &[(name, "max-age=1")],
            &[(name, "max-age=60")],
        );
        check(
            &of_responses(&hsts(60, true, true)),
            &[],
            &[(name, "max-age=60; includeSubDomains; preload")],
        );
        let off = Traffic {
            hsts: Some(Switch::Off),
            ..Traffic::default()
        };
        check(
            &of_responses(&off),
            &[(name, "max-age=1")],
            &[(name, "max-age=1")],
        );
    }
}
