//! How traffic is served, between the shapes of the wire and the domain's.

mod http;
mod origin;

use bytes::Bytes;

use super::{DecodeError, wire};
use crate::{
    Traffic,
    traffic::{Ciphers, OriginName, Switch, TlsVersion},
};

type Result<T> = std::result::Result<T, DecodeError>;

impl From<&Traffic> for wire::Traffic {
    fn from(traffic: &Traffic) -> Self {
        let name = |name: &OriginName| name.as_str().to_owned();
        Self {
            origins: traffic.origins.as_deref().map(origin::list_to),
            health_check: traffic.health_check.as_ref().map(Into::into),
            ejection: traffic.ejection.as_ref().map(Into::into),
            retry_percent: traffic.retry_percent.map(u32::from),
            origin_host: traffic.origin_host.as_ref().map(name),
            origin_sni: traffic.origin_sni.as_ref().map(name),
            origin_trust: traffic.origin_trust.as_ref().map(Into::into),
            origin_identity: traffic.origin_identity.as_ref().map(Into::into),
            min_tls: traffic.min_tls.map(|version| version.as_str().to_owned()),
            ciphers: traffic.ciphers.map(|ciphers| ciphers.as_str().to_owned()),
            http2: traffic.http2,
            client_roots: traffic.client_roots.as_ref().map(|roots| match roots {
                Switch::Off => wire::ClientRoots {
                    off: true,
                    ..Default::default()
                },
                Switch::On(roots) => wire::ClientRoots {
                    off: false,
                    roots: roots.to_vec(),
                },
            }),
            hsts: traffic.hsts.as_ref().map(Into::into),
            redirects: traffic.redirects.as_deref().map(http::redirects_to),
            request_headers: traffic.request_headers.as_deref().map(http::headers_to),
            response_headers: traffic.response_headers.as_deref().map(http::headers_to),
            paths: traffic.paths.as_deref().map(http::paths_to),
            metadata: traffic.metadata.as_deref().map(http::metadata_to),
            max_body: traffic.max_body,
            request_rate: traffic.request_rate.as_ref().map(Into::into),
            max_connections: traffic.max_connections.map(|most| wire::MaxConnections {
                off: most == Switch::Off,
                most: most.on().copied().unwrap_or_default(),
            }),
            maintenance: traffic.maintenance.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<wire::Traffic> for Traffic {
    type Error = DecodeError;

    fn try_from(wire: wire::Traffic) -> Result<Self> {
        let name = |text: String| OriginName::parse(&text);
        let version =
            |text: String| TlsVersion::parse(&text).ok_or(DecodeError::Unknown("version of TLS"));
        let ciphers =
            |text: String| Ciphers::parse(&text).ok_or(DecodeError::Unknown("choice of ciphers"));
        Ok(Self {
            origins: wire.origins.map(origin::list_from).transpose()?,
            health_check: wire.health_check.map(TryInto::try_into).transpose()?,
            ejection: wire.ejection.map(TryInto::try_into).transpose()?,
            retry_percent: wire
                .retry_percent
                .map(|percent| small(percent, "retry_percent"))
                .transpose()?,
            origin_host: wire.origin_host.map(name),
            origin_sni: wire.origin_sni.map(name),
            origin_trust: wire.origin_trust.map(TryInto::try_into).transpose()?,
            origin_identity: wire.origin_identity.map(TryInto::try_into).transpose()?,
            min_tls: wire.min_tls.map(version).transpose()?,
            ciphers: wire.ciphers.map(ciphers).transpose()?,
            http2: wire.http2,
            client_roots: wire
                .client_roots
                .map(|wire| switch(wire.off, || Ok(roots(wire.roots))))
                .transpose()?,
            hsts: wire.hsts.map(TryInto::try_into).transpose()?,
            redirects: wire.redirects.map(http::redirects_from).transpose()?,
            request_headers: wire.request_headers.map(http::headers_from).transpose()?,
            response_headers: wire.response_headers.map(http::headers_from).transpose()?,
            paths: wire.paths.map(http::paths_from).transpose()?,
            metadata: wire.metadata.map(http::metadata_from),
            max_body: wire.max_body,
            request_rate: wire.request_rate.map(TryInto::try_into).transpose()?,
            max_connections: wire
                .max_connections
                .map(|wire| switch(wire.off, || Ok(wire.most)))
                .transpose()?,
            maintenance: wire.maintenance.map(TryInto::try_into).transpose()?,
        })
    }
}

fn switch<T>(off: bool, on: impl FnOnce() -> Result<T>) -> Result<Switch<T>> {
    if off {
        Ok(Switch::Off)
    } else {
        on().map(Switch::On)
    }
}

fn roots(wire: Vec<Bytes>) -> std::sync::Arc<[Bytes]> {
    wire.into()
}

/// Numbers travel as 32 bits and are kept as few as they need.
fn small<T: TryFrom<u32>>(number: u32, field: &'static str) -> Result<T> {
    number.try_into().map_err(|_| DecodeError::Field(field))
}
