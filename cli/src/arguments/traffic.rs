//! How traffic is served, of a hostname or of the zone.
//!
//! Everywhere an empty value stands for nothing that is decided here: a hostname is then
//! as its zone, and the zone as by default. `off` turns off what the zone turns on.

mod http;
mod origin;

use std::path::PathBuf;

use clap::Args;
use proto::admin::v1 as wire;

pub(crate) use self::{http::Page, origin::Trust};

/// What was said of a setting, or of one entry of a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said<T> {
    /// Not decided here.
    Nothing,
    /// Not, whatever the zone says.
    Off,
    /// So.
    So(T),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SetTraffic {
    /// Where requests go, once for each origin: URL[,weight=N][,protocol=http1|http2]; an
    /// empty value here and below: as in the zone, and for the zone as by default
    #[arg(long, env = "HOSTQUORUM_ORIGINS", value_name = "ORIGIN", value_delimiter = '\n',
          value_parser = said(origin::origin), group = "changes", help_heading = ORIGINS)]
    pub(crate) origins: Option<Vec<Said<wire::WeightedOrigin>>>,
    /// Ask origins whether they are well: PATH[,interval=10s][,timeout=2s][,rise=2][,fall=3]
    /// [,status=200-399], or off
    #[arg(long, env = "HOSTQUORUM_HEALTH_CHECK", value_name = "CHECK",
          value_parser = said(origin::health_check), group = "changes", help_heading = ORIGINS)]
    pub(crate) health_check: Option<Said<wire::HealthCheck>>,
    /// Leave origins alone that have just failed: FAILURES[,period=10s], or off
    #[arg(long, env = "HOSTQUORUM_EJECTION", value_name = "EJECTION",
          value_parser = said(origin::ejection), group = "changes", help_heading = ORIGINS)]
    pub(crate) ejection: Option<Said<wire::Ejection>>,
    /// How many of a hundred requests may be sent to another origin once more
    #[arg(long, env = "HOSTQUORUM_RETRY_PERCENT", value_name = "NUMBER",
          value_parser = plain(number), group = "changes", help_heading = ORIGINS)]
    pub(crate) retry_percent: Option<Said<u32>>,
    /// The host that origins are asked for: client, origin, or a host
    #[arg(long, env = "HOSTQUORUM_ORIGIN_HOST", value_name = "HOST", group = "changes",
          help_heading = ORIGINS)]
    pub(crate) origin_host: Option<String>,
    /// The server name for TLS with origins: origin, client, or a DNS name
    #[arg(long, env = "HOSTQUORUM_ORIGIN_SNI", value_name = "NAME", group = "changes",
          help_heading = ORIGINS)]
    pub(crate) origin_sni: Option<String>,
    /// How origins' certificates are verified: system, a file of roots (PEM),
    /// sha256:HEX[,sha256:HEX] of their keys, or off
    #[arg(long, env = "HOSTQUORUM_ORIGIN_TRUST", value_name = "TRUST",
          value_parser = plain(origin::trust), group = "changes", help_heading = ORIGINS)]
    pub(crate) origin_trust: Option<Said<Trust>>,
    /// The certificate that we show to origins, with its issuers (PEM), or off
    #[arg(long, env = "HOSTQUORUM_ORIGIN_CERTIFICATE", value_name = "FILE",
          value_parser = said(file), group = "changes", help_heading = ORIGINS)]
    pub(crate) origin_certificate: Option<Said<PathBuf>>,
    /// Its private key (PEM)
    #[arg(long, env = "HOSTQUORUM_ORIGIN_KEY", value_name = "FILE",
          requires = "origin_certificate", help_heading = ORIGINS)]
    pub(crate) origin_key: Option<PathBuf>,
    /// The lowest TLS version that clients may speak: 1.2 or 1.3
    #[arg(long, env = "HOSTQUORUM_MIN_TLS", value_name = "VERSION",
          value_parser = plain(version), group = "changes", help_heading = CLIENTS)]
    pub(crate) min_tls: Option<Said<wire::TlsVersion>>,
    /// Cipher suites for clients: default, strong (keys of 256 bits) or aes (AES-GCM only)
    #[arg(long, env = "HOSTQUORUM_CIPHERS", value_name = "CHOICE",
          value_parser = plain(ciphers), group = "changes", help_heading = CLIENTS)]
    pub(crate) ciphers: Option<Said<wire::CipherPolicy>>,
    /// Offer HTTP/2 to clients
    #[arg(long, env = "HOSTQUORUM_HTTP2", value_name = "BOOL",
          value_parser = plain(boolean), group = "changes", help_heading = CLIENTS)]
    pub(crate) http2: Option<Said<bool>>,
    /// Require certificates of clients that chain to these roots (PEM), or off
    #[arg(long, env = "HOSTQUORUM_CLIENT_ROOTS", value_name = "FILE",
          value_parser = said(file), group = "changes", help_heading = CLIENTS)]
    pub(crate) client_roots: Option<Said<PathBuf>>,
    /// Tell browsers to come by https only: SECONDS[,subdomains][,preload], or off
    #[arg(long, env = "HOSTQUORUM_HSTS", value_name = "HSTS",
          value_parser = said(http::hsts), group = "changes", help_heading = HTTP)]
    pub(crate) hsts: Option<Said<wire::Hsts>>,
    /// Send requests elsewhere: 'PATH TARGET [STATUS] [keep]', once for each, or off
    #[arg(long, env = "HOSTQUORUM_REDIRECTS", value_name = "REDIRECT", value_delimiter = '\n',
          value_parser = said(http::redirect), group = "changes", help_heading = HTTP)]
    pub(crate) redirects: Option<Vec<Said<wire::Redirect>>>,
    /// Change requests' header fields: 'set NAME VALUE', 'add NAME VALUE' or 'remove NAME', once
    /// for each, or off
    #[arg(long, env = "HOSTQUORUM_REQUEST_HEADERS", value_name = "RULE", value_delimiter = '\n',
          value_parser = said(http::header), group = "changes", help_heading = HTTP)]
    pub(crate) request_headers: Option<Vec<Said<wire::HeaderRule>>>,
    /// Change responses' header fields: the same
    #[arg(long, env = "HOSTQUORUM_RESPONSE_HEADERS", value_name = "RULE", value_delimiter = '\n',
          value_parser = said(http::header), group = "changes", help_heading = HTTP)]
    pub(crate) response_headers: Option<Vec<Said<wire::HeaderRule>>>,
    /// What is otherwise below a path: 'PATH [replace=PATH] [origin=ORIGIN]...', once for each,
    /// or off
    #[arg(long, env = "HOSTQUORUM_PATHS", value_name = "RULE", value_delimiter = '\n',
          value_parser = said(http::path), group = "changes", help_heading = HTTP)]
    pub(crate) paths: Option<Vec<Said<wire::PathRule>>>,
    /// What origins are told of the hostname: KEY=VALUE, once for each, or off
    #[arg(long, env = "HOSTQUORUM_METADATA", value_name = "KEY=VALUE", value_delimiter = '\n',
          value_parser = said(http::metadatum), group = "changes", help_heading = HTTP)]
    pub(crate) metadata: Option<Vec<Said<(String, String)>>>,
    /// Most bytes of a request's body, such as 10M
    #[arg(long, env = "HOSTQUORUM_MAX_BODY", value_name = "BYTES",
          value_parser = plain(http::bytes), group = "changes", help_heading = LIMITS)]
    pub(crate) max_body: Option<Said<u64>>,
    /// Most requests on each node: PER_SECOND[,burst=N], or off
    #[arg(long, env = "HOSTQUORUM_REQUEST_RATE", value_name = "RATE",
          value_parser = said(http::rate), group = "changes", help_heading = LIMITS)]
    pub(crate) request_rate: Option<Said<wire::Rate>>,
    /// Most connections on each node, or off
    #[arg(long, env = "HOSTQUORUM_MAX_CONNECTIONS", value_name = "NUMBER",
          value_parser = said(number), group = "changes", help_heading = LIMITS)]
    pub(crate) max_connections: Option<Said<u32>>,
    /// Answer in the origin's place: STATUS[,retry-after=SECONDS][,type=TYPE][,page=FILE], or off
    #[arg(long, env = "HOSTQUORUM_MAINTENANCE", value_name = "PAGE",
          value_parser = said(http::maintenance), group = "changes", help_heading = HTTP)]
    pub(crate) maintenance: Option<Said<Page>>,
}

const ORIGINS: &str = "Origins";
const CLIENTS: &str = "TLS with clients";
const HTTP: &str = "HTTP";
const LIMITS: &str = "Limits";

type Parsed<T> = Result<T, String>;

/// A value, nothing, or off.
fn said<T>(parse: fn(&str) -> Parsed<T>) -> impl Fn(&str) -> Parsed<Said<T>> + Clone {
    move |text| match text {
        "" => Ok(Said::Nothing),
        "off" => Ok(Said::Off),
        text => parse(text).map(Said::So),
    }
}

/// A value or nothing.
fn plain<T>(parse: fn(&str) -> Parsed<T>) -> impl Fn(&str) -> Parsed<Said<T>> + Clone {
    move |text| match text {
        "" => Ok(Said::Nothing),
        text => parse(text).map(Said::So),
    }
}

fn file(text: &str) -> Parsed<PathBuf> {
    Ok(PathBuf::from(text))
}

fn number(text: &str) -> Parsed<u32> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn boolean(text: &str) -> Parsed<bool> {
    text.parse()
        .map_err(|_| format!("`{text}` is neither true nor false"))
}

fn version(text: &str) -> Parsed<wire::TlsVersion> {
    match text {
        "1.2" => Ok(wire::TlsVersion::TlsVersion12),
        "1.3" => Ok(wire::TlsVersion::TlsVersion13),
        text => Err(format!("`{text}` is neither 1.2 nor 1.3")),
    }
}

fn ciphers(text: &str) -> Parsed<wire::CipherPolicy> {
    match text {
        "default" => Ok(wire::CipherPolicy::Default),
        "strong" => Ok(wire::CipherPolicy::Strong),
        "aes" => Ok(wire::CipherPolicy::Aes),
        text => Err(format!("`{text}` is none of default, strong and aes")),
    }
}

/// `FIRST,name=value,...`: the first part, and what is named after it.
fn parts<'a>(text: &'a str, known: &[&str]) -> Parsed<(&'a str, Vec<(&'a str, &'a str)>)> {
    let mut parts = text.split(',');
    let first = parts.next().unwrap_or_default();
    let named = parts.map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if known.contains(&name) {
            Ok((name, value))
        } else {
            Err(format!("`{part}` is none of {}", known.join(", ")))
        }
    });
    Ok((first, named.collect::<Parsed<_>>()?))
}

/// `10s`, `1m30s`, `500ms`.
fn span(text: &str) -> Parsed<prost_types::Duration> {
    let span = humantime::parse_duration(text)
        .map_err(|_| format!("`{text}` is no span of time such as 10s"))?;
    let seconds = i64::try_from(span.as_secs()).map_err(|_| format!("`{text}` is too long"))?;
    Ok(prost_types::Duration {
        seconds,
        // Below a billion.
        nanos: span.subsec_nanos().cast_signed(),
    })
}
