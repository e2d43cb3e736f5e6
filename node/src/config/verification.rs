//! How hostnames are looked at.

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;

use super::{NETWORKS_MAX, file::File};

/// How hostnames are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Recursive resolvers; absent: those of the machine.
    pub resolvers: Option<Vec<SocketAddr>>,
    /// Whether the servers of hostnames' zones are asked too.
    pub authoritative: bool,
    /// Whether the cluster's addresses alone prove a first claim.
    pub addresses_prove: bool,
    /// Networks that probes may reach although they are not public.
    pub egress_allow: Vec<IpNet>,
    /// Longest time of one look at a record.
    pub timeout: Duration,
    /// Shortest wait between two looks at what is not as it should be.
    pub retry: Duration,
    /// How long a look at a proof counts.
    pub fresh: Duration,
}

/// Most resolvers: each is asked every question.
const RESOLVERS_MAX: usize = 8;

const SECTION: &str = "verification";

impl Verification {
    pub(super) fn read(file: &mut File<'_>) -> Self {
        let seconds = Duration::from_secs;
        let resolvers: Option<Vec<SocketAddr>> = file.read(SECTION, "resolvers");
        let count = resolvers.as_ref().map_or(1, Vec::len);
        if !(1..=RESOLVERS_MAX).contains(&count) {
            let message = format!("{count} resolvers; 1 to {RESOLVERS_MAX} are wanted");
            file.fault(SECTION, "resolvers", &message);
        }
        let egress_allow: Vec<IpNet> = file.read(SECTION, "egress_allow").unwrap_or_default();
        if egress_allow.len() > NETWORKS_MAX {
            let message = format!("{} networks; at most {NETWORKS_MAX}", egress_allow.len());
            file.fault(SECTION, "egress_allow", &message);
        }
        Self {
            resolvers,
            authoritative: file.read(SECTION, "authoritative").unwrap_or(true),
            addresses_prove: file.read(SECTION, "addresses_prove").unwrap_or(true),
            egress_allow,
            timeout: file.bounded(SECTION, "timeout", seconds(1)..=seconds(60), seconds(12)),
            retry: file.bounded(SECTION, "retry", seconds(1)..=seconds(3600), seconds(30)),
            fresh: file.bounded(
                SECTION,
                "fresh",
                Duration::ZERO..=seconds(7 * 86_400),
                seconds(3600),
            ),
        }
    }
}
