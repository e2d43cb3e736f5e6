//! The zone.

use proto::admin::v1 as wire;
use serde::Serialize;

use super::traffic::{self, Setting, lines};
use crate::output::{Shape, pairs};

/// What makes a hostname its tenant's, and what customers point to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Zone {
    /// operator or proof.
    pub(crate) ownership: &'static str,
    /// Empty: none.
    pub(crate) edge_domain: String,
    pub(crate) addresses: Vec<String>,
    /// Absent: the nodes answer for none.
    pub(crate) dns: Option<Dns>,
    /// pinned or open.
    pub(crate) caa: &'static str,
    /// Absent until it is set.
    pub(crate) origin: Option<String>,
    /// How traffic is served; empty from a node that is older than this program.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) traffic: Vec<Setting>,
    pub(crate) revision: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Dns {
    pub(crate) name: String,
    pub(crate) nameservers: Vec<Nameserver>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Nameserver {
    pub(crate) name: String,
    pub(crate) addresses: Vec<String>,
}

impl From<wire::Zone> for Zone {
    fn from(wire: wire::Zone) -> Self {
        let settings = wire.settings.unwrap_or_default();
        let server = |server: wire::Nameserver| Nameserver {
            name: server.name,
            addresses: server.addresses,
        };
        Self {
            ownership: match settings.ownership() {
                wire::OwnershipPolicy::Unspecified => "unknown",
                wire::OwnershipPolicy::Operator => "operator",
                wire::OwnershipPolicy::Proof => "proof",
            },
            edge_domain: settings.edge_domain,
            addresses: settings.addresses,
            dns: settings.dns.map(|dns| Dns {
                name: dns.name,
                nameservers: dns.nameservers.into_iter().map(server).collect(),
            }),
            caa: if settings.caa_open { "open" } else { "pinned" },
            origin: wire.origin.map(|origin| origin.url),
            traffic: wire
                .traffic
                .map(|zone| traffic::settings(None, &zone))
                .unwrap_or_default(),
            revision: wire.revision,
        }
    }
}

impl Shape for Zone {
    fn table(&self) -> String {
        let ownership = match self.ownership {
            "operator" => "an operator's word; nothing is looked up",
            "proof" => "DNS or HTTP must show it before every order",
            other => other,
        };
        let servers = self.dns.iter().flat_map(|dns| &dns.nameservers);
        let servers = servers.map(|server| {
            let addresses = server.addresses.join(", ");
            format!("{} ({addresses})", server.name)
        });
        let dns = self.dns.as_ref().map(|dns| dns.name.clone());
        let caa = match self.caa {
            _ if self.edge_domain.is_empty() && self.dns.is_none() => "",
            "open" => "none: any CA may issue for what points here",
            _ => "only our accounts may issue for what points here",
        };
        let mut said = vec![
            ("ownership", ownership.to_owned()),
            ("edge domain", self.edge_domain.clone()),
            ("customers point to", self.addresses.join(", ")),
            ("dns zone", dns.unwrap_or_default()),
            ("name servers", servers.collect::<Vec<_>>().join("; ")),
            ("CAA records", caa.to_owned()),
            ("origin", self.origin.clone().unwrap_or_default()),
        ];
        said.extend(lines(&self.traffic).into_iter().map(|(name, value)| {
            let value = value
                .strip_suffix(" (zone)")
                .map(ToOwned::to_owned)
                .unwrap_or(value);
            (name, value)
        }));
        said.push(("revision", self.revision.to_string()));
        pairs(said)
    }
}
