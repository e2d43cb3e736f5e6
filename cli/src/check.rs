//! Looks at hostnames' records, and what is to be published.

use std::time::Duration;

use anyhow::Result;
use proto::admin::v1::{CheckHostnameRequest, ListRecordsRequest};

use crate::{
    arguments::{CheckHostname, HostnameRecords},
    connect::Session,
    exit::Exit,
    output::Output,
    shape::check::{Check, Records},
};

/// How long to wait for a look, unless told otherwise: a node gives silent servers 30 s.
pub(crate) const LOOK_WITHIN: Duration = Duration::from_secs(40);

/// Looks at a hostname; the exit code tells whether all is well.
pub(crate) async fn check(
    session: &Session,
    asked: CheckHostname,
    output: &mut Output,
) -> Result<Exit> {
    let doing = format!("look at the records of {}", asked.hostname);
    let request = CheckHostnameRequest {
        name: resource(&asked.hostname),
        contest: asked.contest,
    };
    let mut client = session.checks();
    let check = session.read(&doing, client.check_hostname(request)).await?;
    let check = Check::from(check);
    output.show(&check)?;
    Ok(if check.good { Exit::Done } else { Exit::Bad })
}

/// What the owner of a hostname is to publish.
pub(crate) async fn hostname_records(
    session: &Session,
    asked: HostnameRecords,
    output: &mut Output,
) -> Result<Exit> {
    let doing = format!("list the records of {}", asked.hostname);
    let request = ListRecordsRequest {
        name: resource(&asked.hostname),
        contest: asked.contest,
        persist: asked.persist,
    };
    records(session, &doing, request, output).await
}

/// What the operator is to publish.
pub(crate) async fn zone_records(
    session: &Session,
    zone: &str,
    output: &mut Output,
) -> Result<Exit> {
    let request = ListRecordsRequest {
        name: zone.to_owned(),
        ..ListRecordsRequest::default()
    };
    records(session, "list the records of the zone", request, output).await
}

async fn records(
    session: &Session,
    doing: &str,
    request: ListRecordsRequest,
    output: &mut Output,
) -> Result<Exit> {
    let mut client = session.checks();
    let records = session.read(doing, client.list_records(request)).await?;
    output.show(&Records::from(records))?;
    Ok(Exit::Done)
}

fn resource(name: &str) -> String {
    let name = name.strip_prefix("hostnames/").unwrap_or(name);
    format!("hostnames/{name}")
}
