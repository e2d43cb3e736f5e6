//! How this node looks at hostnames: whom it asks, and where it may go.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use leader::{
    issuance::pace::SystemJitter,
    verification::{
        agreement::Agreement,
        egress::Egress,
        fetch::Web,
        ownership::Rules,
        probe::Prober,
        resolver::{self, Dns},
        survey::Surveyor,
    },
};
use state::ports::Reach;

use crate::config::Config;

/// Where the machine's resolvers stand.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// As many of them as the system's own resolver takes (resolv.conf(5)).
const RESOLV_CONF_MOST: usize = 3;
/// Tries and servers that the time of one look must be enough for.
const SHARES: u32 = 6;

/// The looks of this node.
pub(crate) fn surveyor(config: &Config, reach: Arc<dyn Reach>) -> Surveyor {
    let settings = &config.verification;
    let recursive = settings.resolvers.clone().unwrap_or_else(own_resolvers);
    let agreement = Agreement {
        authoritative: settings.authoritative,
        ..Agreement::majority(recursive.len())
    };
    let egress = Egress {
        allow: settings.egress_allow.clone(),
    };
    tracing::info!(resolvers = ?recursive, authoritative = settings.authoritative, "hostnames are looked at by these");
    let jitter = Arc::new(SystemJitter);
    let dns = resolver::Config {
        authoritative: settings.authoritative,
        attempt: attempt(settings.timeout),
        look: settings.timeout,
        egress: egress.clone(),
        ..resolver::Config::new(recursive)
    };
    let prober = Prober {
        resolver: Arc::new(Dns::new(dns, jitter.clone())),
        fetch: Arc::new(Web::new(egress)),
        reach,
        jitter,
        http_port: config.http_public_port,
        tls_port: config.https_public_port,
    };
    let rules = Rules {
        agreement,
        traffic: settings.addresses_prove,
    };
    Surveyor::new(prober, rules)
}

fn attempt(look: Duration) -> Duration {
    (look / SHARES).max(Duration::from_millis(200))
}

/// The machine's resolvers; without any, nothing can be seen, and looks say so.
fn own_resolvers() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string(RESOLV_CONF).unwrap_or_else(|error| {
        tracing::warn!(%error, "{RESOLV_CONF} cannot be read; verification.resolvers is to name resolvers");
        String::new()
    });
    nameservers(&text)
}

fn nameservers(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let (Some("nameserver"), Some(address)) = (words.next(), words.next()) else {
            return None;
        };
        // A scope (`fe80::1%eth0`) is no part of an address that could be asked from here.
        let address: IpAddr = address.parse().ok()?;
        Some(SocketAddr::new(address, 53))
    };
    let found = text.lines().filter_map(address);
    found.take(RESOLV_CONF_MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_resolvers_are_those_that_its_own_programs_ask() {
        let text = "# made by a program\nsearch lan\nnameserver 192.0.2.53\nnameserver\t2001:db8::53 \n\
                    nameserver fe80::1%eth0\n;nameserver 192.0.2.9\nnameserver 192.0.2.54\nnameserver 192.0.2.55\n";
        let found: Vec<String> = nameservers(text).iter().map(ToString::to_string).collect();
        let expected = ["192.0.2.53:53", "[2001:db8::53]:53", "192.0.2.54:53"];
        assert_eq!(found, expected);
        assert!(nameservers("").is_empty());
    }
}
