//! How traffic is served: each setting as it would be written on a line, and whence it is.

use proto::admin::v1 as wire;
use serde::Serialize;
use wire::origin_trust::Trust;

use crate::output::clean;

/// One setting as it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    /// As the option of `set`, with `_` for `-`.
    pub(crate) name: &'static str,
    /// As `set` takes it, but for what comes from files; lists have a line for each entry.
    pub(crate) value: String,
    /// hostname, zone or default.
    pub(crate) from: &'static str,
}

/// All settings in the order of the options, and what holds where nobody decides.
const DEFAULTS: [(&str, &str); 22] = [
    ("origins", "the zone's origin"),
    ("health_check", "off"),
    ("ejection", "5,period=10s"),
    ("retry_percent", "10"),
    ("origin_host", "client"),
    ("origin_sni", "origin"),
    ("origin_trust", "system"),
    ("origin_identity", "off"),
    ("min_tls", "1.2"),
    ("ciphers", "default"),
    ("http2", "true"),
    ("client_roots", "off"),
    ("hsts", "off"),
    ("redirects", "off"),
    ("request_headers", "off"),
    ("response_headers", "off"),
    ("paths", "off"),
    ("metadata", "off"),
    ("max_body", "10G"),
    ("request_rate", "off"),
    ("max_connections", "off"),
    ("maintenance", "off"),
];

/// All of them, as they hold for a hostname, or for the zone alone.
pub(crate) fn settings(own: Option<&wire::Traffic>, zone: &wire::Traffic) -> Vec<Setting> {
    let setting = |(name, usual): (&'static str, &str)| {
        let own = own.and_then(|own| told(name, own));
        let of_zone = || told(name, zone).map(|value| (value, "zone"));
        let decided = own.map(|value| (value, "hostname")).or_else(of_zone);
        let (value, from) = decided.unwrap_or((usual.to_owned(), "default"));
        Setting { name, value, from }
    };
    DEFAULTS.into_iter().map(setting).collect()
}

/// Those that somebody decided, for people: what is as by default is left out.
pub(crate) fn lines(settings: &[Setting]) -> Vec<(&'static str, String)> {
    let decided = settings.iter().filter(|setting| setting.from != "default");
    let line = |setting: &Setting| {
        let value = setting.value.replace('\n', "; ");
        let whence = match setting.from {
            "zone" => " (zone)",
            _ => "",
        };
        let danger = match (setting.name, &*setting.value) {
            ("origin_trust", "off") => ": whoever answers in an origin's place is believed",
            _ => "",
        };
        (setting.name, format!("{}{danger}{whence}", clean(&value)))
    };
    decided.map(line).collect()
}

/// What a set decides about one setting.
fn told(name: &str, traffic: &wire::Traffic) -> Option<String> {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    match name {
        "origins" => traffic.origins.as_ref().map(origins),
        "health_check" => traffic.health_check.as_ref().map(health_check),
        "ejection" => traffic.ejection.as_ref().map(ejection),
        "retry_percent" => traffic.retry_percent.map(|percent| percent.to_string()),
        "origin_host" => text(&traffic.origin_host),
        "origin_sni" => text(&traffic.origin_sni),
        "origin_trust" => traffic.origin_trust.as_ref().map(trust),
        "origin_identity" => traffic
            .origin_identity
            .as_ref()
            .map(|identity| unless(identity.off, || certificates(&identity.certificate_pem))),
        "min_tls" => match traffic.min_tls() {
            wire::TlsVersion::Unspecified => None,
            wire::TlsVersion::TlsVersion12 => Some("1.2".to_owned()),
            wire::TlsVersion::TlsVersion13 => Some("1.3".to_owned()),
        },
        "ciphers" => match traffic.ciphers() {
            wire::CipherPolicy::Unspecified => None,
            wire::CipherPolicy::Default => Some("default".to_owned()),
            wire::CipherPolicy::Strong => Some("strong".to_owned()),
            wire::CipherPolicy::Aes => Some("aes".to_owned()),
        },
        "http2" => traffic.http2.map(|on| on.to_string()),
        "client_roots" => {
            let roots = traffic.client_roots.as_ref();
            roots.map(|roots| unless(roots.off, || certificates(&roots.roots_pem)))
        }
        "hsts" => traffic
            .hsts
            .as_ref()
            .map(|hsts| unless(hsts.off, || self::hsts(hsts))),
        "redirects" => traffic
            .redirects
            .as_ref()
            .map(|it| list(&it.redirects, redirect)),
        "request_headers" => traffic
            .request_headers
            .as_ref()
            .map(|it| list(&it.rules, header)),
        "response_headers" => traffic
            .response_headers
            .as_ref()
            .map(|it| list(&it.rules, header)),
        "paths" => traffic.paths.as_ref().map(|it| list(&it.rules, path)),
        "metadata" => traffic.metadata.as_ref().map(metadata),
        "max_body" => traffic.max_body.map(bytes),
        "request_rate" => traffic.request_rate.as_ref().map(|rate| {
            unless(rate.off, || {
                format!("{},burst={}", rate.per_second, rate.burst)
            })
        }),
        "max_connections" => {
            let most = traffic.max_connections.as_ref();
            most.map(|most| unless(most.off, || most.most.to_string()))
        }
        _ => traffic
            .maintenance
            .as_ref()
            .map(|page| unless(page.off, || maintenance(page))),
    }
}

fn unless(off: bool, on: impl FnOnce() -> String) -> String {
    if off { "off".to_owned() } else { on() }
}

/// A line for each; of none `off`.
fn list<T>(entries: &[T], one: impl Fn(&T) -> String) -> String {
    let lines: Vec<String> = entries.iter().map(one).collect();
    unless(lines.is_empty(), || lines.join("\n"))
}

fn origin(weighted: &wire::WeightedOrigin) -> String {
    let origin = weighted.origin.clone().unwrap_or_default();
    let protocol = match origin.protocol() {
        wire::OriginProtocol::Unspecified => "",
        wire::OriginProtocol::Http1 => ",protocol=http1",
        wire::OriginProtocol::Http2 => ",protocol=http2",
    };
    let weight = match weighted.weight {
        0 | 1 => String::new(),
        weight => format!(",weight={weight}"),
    };
    format!("{}{weight}{protocol}", origin.url)
}

fn origins(origins: &wire::Origins) -> String {
    list(&origins.origins, origin)
}

fn span(span: Option<&prost_types::Duration>) -> String {
    let span = span.copied().unwrap_or_default();
    let seconds = u64::try_from(span.seconds).unwrap_or_default();
    let nanos = u32::try_from(span.nanos).unwrap_or_default();
    humantime::format_duration(std::time::Duration::new(seconds, nanos)).to_string()
}

fn health_check(check: &wire::HealthCheck) -> String {
    unless(check.off, || {
        format!(
            "{},interval={},timeout={},rise={},fall={},status={}-{}",
            check.path,
            span(check.interval.as_ref()),
            span(check.timeout.as_ref()),
            check.rise,
            check.fall,
            check.status_from,
            check.status_to
        )
    })
}

fn ejection(ejection: &wire::Ejection) -> String {
    unless(ejection.off, || {
        format!(
            "{},period={}",
            ejection.failures,
            span(ejection.period.as_ref())
        )
    })
}

fn trust(trust: &wire::OriginTrust) -> String {
    match &trust.trust {
        Some(Trust::RootsPem(pem)) => certificates(pem),
        Some(Trust::Pins(pins)) => {
            let pin = |pin: &[u8]| format!("sha256:{}", data_encoding::HEXLOWER.encode(pin));
            let pins: Vec<String> = pins.sha256.iter().map(|it| pin(it)).collect();
            pins.join(",")
        }
        Some(Trust::Off(_)) => "off".to_owned(),
        Some(Trust::System(_)) | None => "system".to_owned(),
    }
}

/// What stands in files is told by its number; JSON of the API has all of it.
fn certificates(pem: &str) -> String {
    match pem.matches("-----BEGIN CERTIFICATE-----").count() {
        1 => "1 certificate".to_owned(),
        count => format!("{count} certificates"),
    }
}

fn hsts(hsts: &wire::Hsts) -> String {
    let subdomains = if hsts.include_subdomains {
        ",subdomains"
    } else {
        ""
    };
    let preload = if hsts.preload { ",preload" } else { "" };
    format!("{}{subdomains}{preload}", hsts.max_age)
}

fn redirect(redirect: &wire::Redirect) -> String {
    let keep = if redirect.keep { " keep" } else { "" };
    format!(
        "{} {} {}{keep}",
        redirect.path, redirect.target, redirect.status
    )
}

fn header(rule: &wire::HeaderRule) -> String {
    match rule.action() {
        wire::HeaderAction::Add => format!("add {} {}", rule.name, rule.value),
        wire::HeaderAction::Remove => format!("remove {}", rule.name),
        wire::HeaderAction::Set | wire::HeaderAction::Unspecified => {
            format!("set {} {}", rule.name, rule.value)
        }
    }
}

fn path(rule: &wire::PathRule) -> String {
    let mut text = rule.path.clone();
    if let Some(replace) = &rule.replace {
        text.push_str(&format!(" replace={replace}"));
    }
    for weighted in rule.origins.iter().flat_map(|it| &it.origins) {
        text.push_str(&format!(" origin={}", origin(weighted)));
    }
    text
}

fn metadata(metadata: &wire::Metadata) -> String {
    let mut entries: Vec<_> = metadata.entries.iter().collect();
    entries.sort();
    list(&entries, |(key, value)| format!("{key}={value}"))
}

fn bytes(bytes: u64) -> String {
    let units = [(30, "G"), (20, "M"), (10, "K")];
    let whole = units
        .iter()
        .find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    whole.map_or_else(
        || bytes.to_string(),
        |(shift, unit)| format!("{}{unit}", bytes >> shift),
    )
}

fn maintenance(page: &wire::Maintenance) -> String {
    let mut text = page.status.to_string();
    if let Some(after) = page.retry_after {
        text.push_str(&format!(",retry-after={after}"));
    }
    text.push_str(&format!(",type={}", page.content_type));
    if !page.body.is_empty() {
        text.push_str(&format!(" ({} bytes)", page.body.len()));
    }
    text
}
