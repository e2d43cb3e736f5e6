//! The zone.

use std::{net::IpAddr, str::FromStr};

use clap::{Args, Subcommand, ValueEnum};

use super::SetTraffic;

#[derive(Debug, Subcommand)]
pub(crate) enum Zone {
    /// The zone as it is
    Show,
    /// What the operator is to publish for it
    Records,
    /// Change it
    Set(Box<SetZone>),
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("changes").required(true).multiple(true))]
pub(crate) struct SetZone {
    /// What makes a hostname its tenant's
    #[arg(long, env = "HOSTQUORUM_OWNERSHIP", value_enum, group = "changes")]
    pub(crate) ownership: Option<Policy>,
    /// The domain under which each tenant has its CNAME target; an empty value: none
    #[arg(
        long,
        env = "HOSTQUORUM_EDGE_DOMAIN",
        value_name = "DOMAIN",
        group = "changes"
    )]
    pub(crate) edge_domain: Option<String>,
    /// Where customers' A and AAAA records point to: the accelerator's addresses or the nodes';
    /// an empty value: none
    #[arg(
        long,
        env = "HOSTQUORUM_POINTS_TO",
        value_name = "ADDRESS",
        value_delimiter = ',',
        group = "changes"
    )]
    pub(crate) points_to: Option<Vec<String>>,
    /// The zone that the nodes answer for, to which _acme-challenge is delegated; an empty
    /// value: none
    #[arg(
        long,
        env = "HOSTQUORUM_DNS_ZONE",
        value_name = "DOMAIN",
        group = "changes"
    )]
    pub(crate) dns_zone: Option<String>,
    /// A name server of that zone with its addresses, as ns1.acme.example=192.0.2.1,2001:db8::1;
    /// at least two
    #[arg(
        long,
        env = "HOSTQUORUM_NAMESERVER",
        value_name = "NAME=ADDRESS",
        value_delimiter = ';',
        requires = "dns_zone"
    )]
    pub(crate) nameserver: Vec<Nameserver>,
    /// Who may issue for hostnames whose CNAME leads into that zone
    #[arg(long, env = "HOSTQUORUM_CAA", value_enum, group = "changes")]
    pub(crate) caa: Option<Caa>,
    #[command(flatten)]
    pub(crate) traffic: SetTraffic,
    /// Only if this is the zone's revision
    #[arg(
        long,
        env = "HOSTQUORUM_REVISION",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(crate) revision: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Caa {
    /// Our accounts only, by CAA records
    Pinned,
    /// Any CA: no CAA records
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Policy {
    /// An operator's word; nothing is looked up
    Operator,
    /// DNS or HTTP must show it before every order
    Proof,
}

/// `ns1.acme.example=192.0.2.1,2001:db8::1`; without addresses for one outside the zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nameserver {
    pub(crate) name: String,
    pub(crate) addresses: Vec<IpAddr>,
}

impl FromStr for Nameserver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, addresses) = text.split_once('=').unwrap_or((text, ""));
        let addresses = addresses.split(',').filter(|text| !text.is_empty());
        let addresses = addresses.map(|text| {
            text.parse()
                .map_err(|_| format!("`{text}` is no address of a name server"))
        });
        Ok(Self {
            name: name.to_owned(),
            addresses: addresses.collect::<Result<_, _>>()?,
        })
    }
}
