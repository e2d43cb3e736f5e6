//! Header fields that operators may write.

use std::sync::Arc;

use proto::admin::v1;
use state::traffic::{HeaderAction, HeaderRule, Metadatum};

use super::{at, bounded, field_value};
use crate::{limits, names, problem::Problem};

/// Frame a message or belong to one connection (RFC 9110 sections 7.6.1 and 8.6, RFC 9112
/// section 6), or name what the request is for.
const FRAMING: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Written by the edge from what it knows itself.
const OURS: [&str; 6] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
];

/// What begins so tells what only the edge can know.
const OURS_PREFIX: &str = "hostquorum-";

pub(super) fn rules(
    field: &'static str,
    wire: &v1::HeaderRules,
) -> Result<Arc<[HeaderRule]>, Problem> {
    bounded(field, wire.rules.len(), limits::HEADER_RULES_MAX)?;
    let one = |(place, rule): (usize, &v1::HeaderRule)| {
        self::rule(rule).map_err(|why| at(field, place, why))
    };
    wire.rules.iter().enumerate().map(one).collect()
}

fn rule(wire: &v1::HeaderRule) -> Result<HeaderRule, String> {
    let name = field_name(&wire.name)?;
    let value = || {
        field_value(&wire.value, limits::HEADER_VALUE_MAX)?;
        Ok::<_, String>(wire.value.as_str().into())
    };
    let action = match v1::HeaderAction::try_from(wire.action) {
        Ok(v1::HeaderAction::Set) => HeaderAction::Set(value()?),
        Ok(v1::HeaderAction::Add) => HeaderAction::Add(value()?),
        Ok(v1::HeaderAction::Remove) if wire.value.is_empty() => HeaderAction::Remove,
        Ok(v1::HeaderAction::Remove) => {
            return Err(format!("`{name}` is removed whatever its value: give none"));
        }
        Ok(v1::HeaderAction::Unspecified) | Err(_) => {
            return Err(format!("what is to become of `{name}`: set, add or remove"));
        }
    };
    let name = name.into();
    Ok(HeaderRule { name, action })
}

/// In lower case. CGI-like origins read `_` and `-` as one, so it is judged as one.
fn field_name(text: &str) -> Result<String, String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let most = limits::HEADER_NAME_MAX;
    if text.is_empty() || text.len() > most || !text.bytes().all(token) {
        return Err(format!(
            "`{}` is no field's name: letters, digits and -, at most {most}",
            names::shown(text)
        ));
    }
    let name = text.to_ascii_lowercase();
    let plain = name.replace('_', "-");
    if FRAMING.contains(&&*plain) {
        return Err(format!(
            "`{name}` frames the message, belongs to one connection or names the host: it is \
             written by the edge alone"
        ));
    }
    if OURS.contains(&&*plain) || plain.starts_with(OURS_PREFIX) {
        return Err(format!(
            "`{name}` tells what the edge itself knows of the client: it is written by the edge \
             alone"
        ));
    }
    Ok(name)
}

pub(super) fn metadata(wire: &v1::Metadata) -> Result<Arc<[Metadatum]>, Problem> {
    const FIELD: &str = "traffic.metadata";
    bounded(FIELD, wire.entries.len(), limits::METADATA_MAX)?;
    let mut entries: Vec<_> = wire.entries.iter().collect();
    entries.sort(); // a map has no order, and equal sets are to be equal
    let one = |(key, value): (&String, &String)| {
        let most = limits::METADATA_KEY_MAX;
        let fits = (1..=most).contains(&key.len())
            && key
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let told =
            |why: String| Problem::field(FIELD, format!("key `{}`: {why}", names::shown(key)));
        if !fits {
            let why = format!("a key is 1 to {most} of lower-case letters, digits and -");
            return Err(told(why));
        }
        field_value(value, limits::METADATA_VALUE_MAX).map_err(told)?;
        Ok(Metadatum {
            key: key.as_str().into(),
            value: value.as_str().into(),
        })
    };
    entries.into_iter().map(one).collect()
}
