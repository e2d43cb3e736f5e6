//! The zone: what makes a hostname its tenant's, and what customers point to.

use anyhow::Result;
use proto::admin::v1::{self as wire, GetZoneRequest, UpdateZoneRequest, UpdateZoneTrafficRequest};

use crate::{
    arguments::{self, Caa, Globals, Nameserver, Policy, SetZone},
    check,
    connect::Session,
    context::Contexts,
    exit::Exit,
    output::Output,
    shape::zone::Zone,
    traffic,
};

/// The only zone.
const ZONE: &str = "zones/default";

pub(crate) async fn run(
    command: arguments::Zone,
    globals: &Globals,
    contexts: &Contexts,
    output: &mut Output,
) -> Result<Exit> {
    let session = Session::open(globals, contexts).await?;
    let mut client = session.zones();
    let zone = match command {
        arguments::Zone::Records => {
            let exit = check::zone_records(&session, ZONE, output).await?;
            session.refresh().await;
            return Ok(exit);
        }
        arguments::Zone::Show => {
            let name = ZONE.to_owned();
            let call = client.get_zone(GetZoneRequest { name });
            session.read("look at the zone", call).await?
        }
        arguments::Zone::Set(set) => {
            let traffic = traffic::changed(set.traffic.clone())?;
            let mut request = changed(*set);
            let mut done = None;
            if request
                .update_mask
                .as_ref()
                .is_some_and(|mask| !mask.paths.is_empty())
            {
                let named = request.revision != 0;
                let call = client.update_zone(request.clone());
                let zone = session.write("change the zone", call).await?;
                // Whoever named one means that nobody else has changed it.
                request.revision = if named { zone.revision } else { 0 };
                done = Some(zone);
            }
            if let Some((traffic, mask)) = traffic {
                let call = client.update_zone_traffic(UpdateZoneTrafficRequest {
                    name: ZONE.to_owned(),
                    traffic: Some(traffic),
                    update_mask: Some(mask),
                    revision: request.revision,
                });
                done = Some(session.write("change the zone", call).await?);
            }
            // The arguments have at least one of both.
            done.unwrap_or_default()
        }
    };
    output.show(&Zone::from(zone))?;
    session.refresh().await;
    Ok(Exit::Done)
}

fn changed(set: SetZone) -> UpdateZoneRequest {
    let mut settings = wire::ZoneSettings::default();
    let mut paths = Vec::new();
    let mut name = |field: &str| paths.push(field.to_owned());
    if let Some(policy) = set.ownership {
        let policy = match policy {
            Policy::Operator => wire::OwnershipPolicy::Operator,
            Policy::Proof => wire::OwnershipPolicy::Proof,
        };
        settings.ownership = policy.into();
        name("ownership");
    }
    if let Some(domain) = set.edge_domain {
        settings.edge_domain = domain;
        name("edge_domain");
    }
    if let Some(addresses) = set.points_to {
        settings.addresses = addresses
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        name("addresses");
    }
    if let Some(zone) = set.dns_zone {
        settings.dns = (!zone.is_empty()).then(|| wire::DnsZone {
            name: zone,
            nameservers: set.nameserver.iter().map(nameserver).collect(),
        });
        name("dns");
    }
    if let Some(caa) = set.caa {
        settings.caa_open = caa == Caa::Open;
        name("caa_open");
    }
    UpdateZoneRequest {
        name: ZONE.to_owned(),
        settings: Some(settings),
        update_mask: Some(prost_types::FieldMask { paths }),
        revision: set.revision,
    }
}

fn nameserver(server: &Nameserver) -> wire::Nameserver {
    wire::Nameserver {
        name: server.name.clone(),
        addresses: server.addresses.iter().map(ToString::to_string).collect(),
    }
}
