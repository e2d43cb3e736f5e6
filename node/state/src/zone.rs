//! The zone: one namespace of hostnames with one fallback origin.

use std::{fmt, net::IpAddr, str::FromStr, sync::Arc};

use crate::{Hostname, Index, Traffic};

/// The cluster's only zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Where requests go; absent until an operator sets it.
    pub origin: Option<Arc<Origin>>,
    /// What else operators decided.
    pub settings: Arc<ZoneSettings>,
    /// How traffic is served wherever a hostname does not decide otherwise.
    pub traffic: Arc<Traffic>,
    /// The log index of its last change.
    pub revision: Index,
}

/// What operators decide about the zone besides its origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneSettings {
    /// What makes a hostname its tenant's.
    pub ownership: OwnershipPolicy,
    /// The domain under which each tenant has its CNAME target.
    pub edge_domain: Option<Hostname>,
    /// Where customers' A and AAAA records point to: the accelerator's or the nodes'.
    pub addresses: Vec<IpAddr>,
    /// The zone that our DNS servers answer for, to which `_acme-challenge` is delegated.
    pub dns: Option<DnsZone>,
    /// Our names carry no CAA records, so that customers may have certificates of other
    /// CAs, too, for hostnames whose CNAME leads here. Otherwise they pin our accounts.
    pub caa_open: bool,
}

/// What makes a hostname its tenant's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnershipPolicy {
    /// An operator's word. Nothing is looked up before an order: for clusters whose
    /// operators prove ownership by their own means, and for development.
    #[default]
    Operator,
    /// DNS or HTTP, looked at before the first order and before each next one.
    Proof,
}

impl OwnershipPolicy {
    /// Its name in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Proof => "proof",
        }
    }

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Operator, Self::Proof]
            .into_iter()
            .find(|policy| policy.as_str() == text)
    }
}

/// A DNS zone that the nodes answer for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsZone {
    /// Its apex.
    pub name: Hostname,
    /// Its servers, as its parent names them.
    pub nameservers: Vec<Nameserver>,
}

/// A DNS server of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nameserver {
    /// Its name.
    pub name: Hostname,
    /// Its addresses, for glue.
    pub addresses: Vec<IpAddr>,
}

/// An application that requests are forwarded to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// With or without TLS.
    pub scheme: OriginScheme,
    /// A DNS name or an address, without brackets, lower case.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Which HTTP.
    pub protocol: OriginProtocol,
}

/// With or without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OriginScheme {
    /// Clear text.
    Http,
    /// TLS, the certificate checked against `host`.
    Https,
}

/// Which HTTP is spoken to an origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OriginProtocol {
    /// By ALPN over https, HTTP/1.1 over http.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, with prior knowledge over http.
    Http2,
}

impl Origin {
    /// `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The same origin, spoken to by `protocol`.
    #[must_use]
    pub fn with_protocol(mut self, protocol: OriginProtocol) -> Self {
        self.protocol = protocol;
        self
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            OriginScheme::Http => "http",
            OriginScheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.authority())
    }
}

/// Why a text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// No `http://` or `https://` in front.
    #[error("an origin begins with http:// or https://")]
    Scheme,
    /// User, path, query or fragment.
    #[error("an origin is scheme, host and port only: no user, path or query")]
    Extra,
    /// Not a DNS name or an address.
    #[error("the origin's host `{0}` is neither a DNS name nor an address")]
    Host(String),
    /// Not 1 to 65535.
    #[error("the origin's port `{0}` is not a number from 1 to 65535")]
    Port(String),
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (scheme, rest, default_port) = if let Some(rest) = text.strip_prefix("http://") {
            (OriginScheme::Http, rest, 80)
        } else if let Some(rest) = text.strip_prefix("https://") {
            (OriginScheme::Https, rest, 443)
        } else {
            return Err(OriginError::Scheme);
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@']) {
            return Err(OriginError::Extra);
        }
        let (host, port) = split_authority(rest)?;
        let port = match port {
            None => default_port,
            Some(text) => match text.parse() {
                Ok(port) if port != 0 && text.bytes().all(|b| b.is_ascii_digit()) => port,
                _ => return Err(OriginError::Port(text.to_owned())),
            },
        };
        Ok(Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
            protocol: OriginProtocol::Auto,
        })
    }
}

fn split_authority(text: &str) -> Result<(&str, Option<&str>), OriginError> {
    let bad = || OriginError::Host(text.to_owned());
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(bad)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(bad()),
        };
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let name = !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
    if name { Ok((host, port)) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let got = text
            .parse::<Origin>()
            .map(|o| o.to_string())
            .map_err(|e| e.to_string());
        assert_eq!(got.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn origins_are_parsed() {
        check("http://app:8080", Ok("http://app:8080"));
        check("http://app", Ok("http://app:80"));
        check("https://App.Internal/", Ok("https://app.internal:443"));
        check("http://127.0.0.1:3000", Ok("http://127.0.0.1:3000"));
        check("http://[::1]:3000", Ok("http://[::1]:3000"));
    }

    #[test]
    fn what_is_no_origin_is_refused_with_its_reason() {
        check("app:8080", Err("an origin begins with http:// or https://"));
        check(
            "http://app/path",
            Err("an origin is scheme, host and port only: no user, path or query"),
        );
        check(
            "http://u@app",
            Err("an origin is scheme, host and port only: no user, path or query"),
        );
        check(
            "http://app:0",
            Err("the origin's port `0` is not a number from 1 to 65535"),
        );
        check(
            "http://app:+80",
            Err("the origin's port `+80` is not a number from 1 to 65535"),
        );
        check(
            "http://",
            Err("the origin's host `` is neither a DNS name nor an address"),
        );
        check(
            "http://a b",
            Err("the origin's host `a b` is neither a DNS name nor an address"),
        );
        check(
            "http://[::g]:1",
            Err("the origin's host `[::g]:1` is neither a DNS name nor an address"),
        );
    }
}
