//! The zone, its origin and its settings.

use std::net::IpAddr;

use proto::admin::v1;
use state::{
    DnsZone, Hostname, Nameserver, Origin, OriginProtocol, OwnershipPolicy, Zone, ZoneSettings,
};

use crate::{limits, names, problem::Problem};

pub(crate) fn zone(zone: &Zone) -> v1::Zone {
    v1::Zone {
        name: names::ZONE.to_owned(),
        origin: zone.origin.as_deref().map(shown_origin),
        revision: zone.revision.0,
        settings: Some(shown_settings(&zone.settings)),
        traffic: Some(super::traffic(&zone.traffic)),
    }
}

pub(crate) fn shown_origin(origin: &Origin) -> v1::Origin {
    v1::Origin {
        url: origin.to_string(),
        protocol: protocol(origin.protocol).into(),
    }
}

fn shown_settings(settings: &ZoneSettings) -> v1::ZoneSettings {
    let ownership = match settings.ownership {
        OwnershipPolicy::Operator => v1::OwnershipPolicy::Operator,
        OwnershipPolicy::Proof => v1::OwnershipPolicy::Proof,
    };
    let nameserver = |server: &Nameserver| v1::Nameserver {
        name: server.name.to_string(),
        addresses: server.addresses.iter().map(IpAddr::to_string).collect(),
    };
    let domain = settings.edge_domain.as_ref();
    v1::ZoneSettings {
        ownership: ownership.into(),
        edge_domain: domain.map(Hostname::to_string).unwrap_or_default(),
        addresses: settings.addresses.iter().map(IpAddr::to_string).collect(),
        dns: settings.dns.as_ref().map(|zone| v1::DnsZone {
            name: zone.name.to_string(),
            nameservers: zone.nameservers.iter().map(nameserver).collect(),
        }),
        caa_open: settings.caa_open,
    }
}

/// The settings after a change of the fields in `mask`.
pub(crate) fn zone_settings(
    present: &ZoneSettings,
    wire: &v1::ZoneSettings,
    mask: &[&'static str],
) -> Result<ZoneSettings, Problem> {
    let mut settings = present.clone();
    for field in mask {
        match *field {
            "ownership" => settings.ownership = policy(wire.ownership)?,
            "edge_domain" => {
                settings.edge_domain = match wire.edge_domain.as_str() {
                    "" => None,
                    name => Some(domain("settings.edge_domain", name)?),
                }
            }
            "addresses" => settings.addresses = addresses("settings.addresses", &wire.addresses)?,
            "caa_open" => settings.caa_open = wire.caa_open,
            _ => settings.dns = wire.dns.as_ref().map(dns).transpose()?,
        }
    }
    check(&settings)?;
    Ok(settings)
}

fn policy(wire: i32) -> Result<OwnershipPolicy, Problem> {
    match v1::OwnershipPolicy::try_from(wire) {
        Ok(v1::OwnershipPolicy::Operator) => Ok(OwnershipPolicy::Operator),
        Ok(v1::OwnershipPolicy::Proof) => Ok(OwnershipPolicy::Proof),
        Ok(v1::OwnershipPolicy::Unspecified) | Err(_) => Err(Problem::field(
            "settings.ownership",
            "a policy is needed: operator or proof",
        )),
    }
}

fn domain(field: &'static str, name: &str) -> Result<Hostname, Problem> {
    Hostname::parse(name).map_err(|error| Problem::field(field, error.to_string()))
}

fn addresses(field: &'static str, wire: &[String]) -> Result<Vec<IpAddr>, Problem> {
    if wire.len() > limits::ADDRESSES_MAX {
        let message = format!("at most {} addresses are taken", limits::ADDRESSES_MAX);
        return Err(Problem::field(field, message));
    }
    let mut addresses = Vec::with_capacity(wire.len());
    for text in wire {
        let bad = |why: &str| {
            let message = format!("`{}` {why}", names::shown(text));
            Problem::field(field, message)
        };
        let address: IpAddr = text
            .parse()
            .map_err(|_| bad("is neither an IPv4 nor an IPv6 address"))?;
        if address.is_unspecified() || address.is_multicast() {
            return Err(bad("is no address that anybody can reach"));
        }
        if addresses.contains(&address) {
            return Err(bad("stands there twice"));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

fn dns(wire: &v1::DnsZone) -> Result<DnsZone, Problem> {
    const FIELD: &str = "settings.dns.nameservers";
    let name = domain("settings.dns.name", &wire.name)?;
    let most = limits::NAMESERVERS_MAX;
    if wire.nameservers.len() < 2 || wire.nameservers.len() > most {
        // RFC 2182 section 5: one that is down must not take the zone along.
        let message = format!("a zone has 2 to {most} name servers");
        return Err(Problem::field(FIELD, message));
    }
    let mut nameservers: Vec<Nameserver> = Vec::with_capacity(wire.nameservers.len());
    for server in &wire.nameservers {
        let server = Nameserver {
            name: domain(FIELD, &server.name)?,
            addresses: addresses(FIELD, &server.addresses)?,
        };
        if nameservers.iter().any(|other| other.name == server.name) {
            let message = format!("the name server {} stands there twice", server.name);
            return Err(Problem::field(FIELD, message));
        }
        if server.addresses.is_empty() && is_within(&server.name, &name) {
            // Nobody can find it otherwise (RFC 1034 section 4.2.1).
            let message = format!(
                "the name server {} stands within the zone: give its addresses, for glue",
                server.name
            );
            return Err(Problem::field(FIELD, message));
        }
        nameservers.push(server);
    }
    Ok(DnsZone { name, nameservers })
}

/// What must hold of the whole.
fn check(settings: &ZoneSettings) -> Result<(), Problem> {
    let (Some(edge), Some(dns)) = (&settings.edge_domain, &settings.dns) else {
        return Ok(());
    };
    if *edge == dns.name {
        // Labels of both have one form, and a name server answers for one apex once.
        let message = format!(
            "the edge domain and the DNS zone are both {edge}: give the zone a name of its own, \
             such as acme.{edge}"
        );
        return Err(Problem::field("settings.edge_domain", message));
    }
    Ok(())
}

/// True if `name` is `zone` or stands below it.
fn is_within(name: &Hostname, zone: &Hostname) -> bool {
    let above = name.as_str().strip_suffix(zone.as_str());
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

fn protocol(protocol: OriginProtocol) -> v1::OriginProtocol {
    match protocol {
        OriginProtocol::Auto => v1::OriginProtocol::Unspecified,
        OriginProtocol::Http1 => v1::OriginProtocol::Http1,
        OriginProtocol::Http2 => v1::OriginProtocol::Http2,
    }
}

/// An origin that can be one.
pub(crate) fn origin(wire: Option<&v1::Origin>) -> Result<Origin, Problem> {
    let wire = wire
        .ok_or_else(|| Problem::field("origin", "an origin is needed, such as http://app:8080"))?;
    if wire.url.len() > limits::ORIGIN_URL_MAX {
        let message = format!("an origin has at most {} bytes", limits::ORIGIN_URL_MAX);
        return Err(Problem::field("origin.url", message));
    }
    let origin: Origin = wire
        .url
        .parse()
        .map_err(|error: state::OriginError| Problem::field("origin.url", error.to_string()))?;
    let protocol = match v1::OriginProtocol::try_from(wire.protocol) {
        Ok(v1::OriginProtocol::Unspecified) => OriginProtocol::Auto,
        Ok(v1::OriginProtocol::Http1) => OriginProtocol::Http1,
        Ok(v1::OriginProtocol::Http2) => OriginProtocol::Http2,
        Err(_) => {
            let message = format!("{} is no protocol of an origin", wire.protocol);
            return Err(Problem::field("origin.protocol", message));
        }
    };
    Ok(origin.with_protocol(protocol))
}
