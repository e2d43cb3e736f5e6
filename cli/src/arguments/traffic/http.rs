//! HTTP, as it is written on a line.

use std::path::PathBuf;

use proto::admin::v1 as wire;

use super::{Parsed, number, origin, parts};

/// A maintenance page, and the file of its body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Page {
    pub(crate) page: wire::Maintenance,
    pub(crate) body: Option<PathBuf>,
}

pub(super) fn hsts(text: &str) -> Parsed<wire::Hsts> {
    let (age, named) = parts(text, &["subdomains", "preload"])?;
    let said = |wanted: &str| named.iter().any(|(name, _)| *name == wanted);
    Ok(wire::Hsts {
        off: false,
        max_age: number(age)?,
        include_subdomains: said("subdomains"),
        preload: said("preload"),
    })
}

/// `/old https://shop.example/new 301 keep`.
pub(super) fn redirect(text: &str) -> Parsed<wire::Redirect> {
    let mut words = text.split_whitespace();
    let (Some(path), Some(target)) = (words.next(), words.next()) else {
        return Err(format!("`{text}` is not PATH TARGET [STATUS] [keep]"));
    };
    let mut redirect = wire::Redirect {
        path: path.to_owned(),
        target: target.to_owned(),
        ..Default::default()
    };
    for word in words {
        match word {
            "keep" => redirect.keep = true,
            word => redirect.status = number(word)?,
        }
    }
    Ok(redirect)
}

pub(super) fn header(text: &str) -> Parsed<wire::HeaderRule> {
    let (action, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (name, value) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
    let action = match action {
        "set" => wire::HeaderAction::Set,
        "add" => wire::HeaderAction::Add,
        "remove" => wire::HeaderAction::Remove,
        _ => return Err(format!("`{text}` begins with none of set, add and remove")),
    };
    Ok(wire::HeaderRule {
        name: name.to_owned(),
        action: action.into(),
        value: value.trim().to_owned(),
    })
}

/// `/api replace=/ origin=https://api.internal,weight=2 origin=https://api-2.internal`.
pub(super) fn path(text: &str) -> Parsed<wire::PathRule> {
    let mut words = text.split_whitespace();
    let mut rule = wire::PathRule {
        path: words.next().unwrap_or_default().to_owned(),
        ..Default::default()
    };
    for word in words {
        match word.split_once('=') {
            Some(("replace", path)) => rule.replace = Some(path.to_owned()),
            Some(("origin", text)) => {
                let origins = rule.origins.get_or_insert_default();
                origins.origins.push(origin::origin(text)?);
            }
            _ => {
                return Err(format!(
                    "`{word}` is neither replace=PATH nor origin=ORIGIN"
                ));
            }
        }
    }
    Ok(rule)
}

pub(super) fn metadatum(text: &str) -> Parsed<(String, String)> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// `10M`: of 1024 bytes each, and so on.
pub(super) fn bytes(text: &str) -> Parsed<u64> {
    let units = [("K", 10), ("M", 20), ("G", 30)];
    let found = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let (digits, shift) = found.unwrap_or((text, 0));
    let number = digits.parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| format!("`{text}` is no number of bytes such as 512K, 10M or 1G"))
}

pub(super) fn rate(text: &str) -> Parsed<wire::Rate> {
    let (per_second, named) = parts(text, &["burst"])?;
    let burst = named.first().map(|(_, value)| number(value)).transpose()?;
    Ok(wire::Rate {
        off: false,
        per_second: number(per_second)?,
        burst: burst.unwrap_or_default(),
    })
}

pub(super) fn maintenance(text: &str) -> Parsed<Page> {
    let (status, named) = parts(text, &["retry-after", "type", "page"])?;
    let mut page = wire::Maintenance {
        status: number(status)?,
        ..Default::default()
    };
    let mut body = None;
    for (name, value) in named {
        match name {
            "retry-after" => page.retry_after = Some(number(value)?),
            "type" => page.content_type = value.to_owned(),
            _ => body = Some(PathBuf::from(value)),
        }
    }
    Ok(Page { page, body })
}
