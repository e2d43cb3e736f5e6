//! The origin of the zone.

use anyhow::Result;
use proto::admin::v1::{GetZoneRequest, Origin, OriginProtocol, SetOriginRequest};

use crate::{
    arguments::{self, Globals, Protocol},
    connect::Session,
    context::Contexts,
    exit::Exit,
    output::Output,
    shape,
};

/// The only zone.
const ZONE: &str = "zones/default";

pub(crate) async fn run(
    command: arguments::Origin,
    globals: &Globals,
    contexts: &Contexts,
    output: &mut Output,
) -> Result<Exit> {
    let session = Session::open(globals, contexts).await?;
    let mut zones = session.zones();
    let name = ZONE.to_owned();
    let zone = match command {
        arguments::Origin::Set {
            url,
            protocol,
            revision,
        } => {
            let doing = format!("set the origin to {url}");
            let protocol = wire_protocol(protocol).into();
            let origin = Some(Origin { url, protocol });
            let request = SetOriginRequest {
                name,
                origin,
                revision,
            };
            session.write(&doing, zones.set_origin(request)).await?
        }
        arguments::Origin::Show => {
            let request = GetZoneRequest { name };
            session
                .read("look at the origin", zones.get_zone(request))
                .await?
        }
    };
    output.show(&shape::origin::Origin::from(zone))?;
    session.refresh().await;
    Ok(Exit::Done)
}

fn wire_protocol(protocol: Protocol) -> OriginProtocol {
    match protocol {
        Protocol::Auto => OriginProtocol::Unspecified,
        Protocol::Http1 => OriginProtocol::Http1,
        Protocol::Http2 => OriginProtocol::Http2,
    }
}
