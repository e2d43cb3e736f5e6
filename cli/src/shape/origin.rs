//! Where requests go.

use proto::admin::v1 as wire;
use serde::Serialize;

use crate::output::{Shape, pairs};

/// The zone's origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Origin {
    /// Absent until it is set.
    pub(crate) url: Option<String>,
    /// auto, http1 or http2.
    pub(crate) protocol: Option<&'static str>,
    pub(crate) revision: u64,
}

impl From<wire::Zone> for Origin {
    fn from(wire: wire::Zone) -> Self {
        let protocol = |origin: &wire::Origin| match origin.protocol() {
            wire::OriginProtocol::Unspecified => "auto",
            wire::OriginProtocol::Http1 => "http1",
            wire::OriginProtocol::Http2 => "http2",
        };
        Self {
            protocol: wire.origin.as_ref().map(protocol),
            url: wire.origin.map(|origin| origin.url),
            revision: wire.revision,
        }
    }
}

impl Shape for Origin {
    fn table(&self) -> String {
        let none = "none: set one by `hostquorum origin set URL`";
        pairs(vec![
            ("origin", self.url.clone().unwrap_or(none.to_owned())),
            ("protocol", self.protocol.unwrap_or_default().to_owned()),
            ("revision", self.revision.to_string()),
        ])
    }
}
