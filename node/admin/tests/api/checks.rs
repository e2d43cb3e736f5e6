//! Looks at hostnames' records, and what they are to be.

use admin::{CheckError, Checks};
use async_trait::async_trait;
use proto::admin::v1::*;
use state::{Hostname, State, outcome::Kind};

use crate::stand::{Stand, told};

/// Sees each authorized hostname point elsewhere, and is too busy for one.
pub(crate) struct Eyes;

fn look(state: &State, hostname: &Hostname, contest: bool) -> Result<(), CheckError> {
    let record = state.hostname(hostname.as_str());
    let record = record.ok_or(CheckError::NotFound(Kind::Hostname))?;
    if contest && record.contest().is_none() {
        return Err(CheckError::NotFound(Kind::Contest));
    }
    Ok(())
}

fn record(name: &str) -> DnsRecord {
    DnsRecord {
        r#type: "A".to_owned(),
        name: name.to_owned(),
        value: "192.0.2.1".to_owned(),
        purpose: "brings visitors here".to_owned(),
        required: true,
        zone_line: format!("{name}. IN A 192.0.2.1"),
    }
}

#[async_trait]
impl Checks for Eyes {
    async fn check(
        &self,
        state: &State,
        hostname: &Hostname,
        contest: bool,
    ) -> Result<HostnameCheck, CheckError> {
        look(state, hostname, contest)?;
        if hostname.as_str() == "busy.example" {
            return Err(CheckError::Busy);
        }
        let row = CheckRow {
            record: format!("{hostname} A"),
            have: "192.0.2.9".to_owned(),
            want: "192.0.2.1".to_owned(),
            mark: CheckMark::Bad.into(),
            what: "the name points elsewhere".to_owned(),
            who: CheckParty::Owner.into(),
        };
        Ok(HostnameCheck {
            name: format!("hostnames/{hostname}"),
            rows: vec![row],
            ..HostnameCheck::default()
        })
    }

    fn hostname_records(
        &self,
        state: &State,
        hostname: &Hostname,
        contest: bool,
        _: bool,
    ) -> Result<ListRecordsResponse, CheckError> {
        look(state, hostname, contest)?;
        Ok(ListRecordsResponse {
            records: vec![record(hostname.as_str())],
            http_token: None,
        })
    }

    fn zone_records(&self, _: &State) -> Result<ListRecordsResponse, CheckError> {
        Ok(ListRecordsResponse {
            records: vec![record("edge.example")],
            http_token: None,
        })
    }
}

fn of(name: &str, contest: bool) -> CheckHostnameRequest {
    CheckHostnameRequest {
        name: name.to_owned(),
        contest,
    }
}

#[tokio::test]
async fn a_hostname_is_looked_at_for_whoever_may_look() {
    let stand = Stand::start().await;
    stand.alone.authorize("shop.example");
    stand.alone.authorize("busy.example");
    let mut checks = stand.admin().await.checks;
    let check = checks
        .check_hostname(of("hostnames/shop.example", false))
        .await;
    let check = check.unwrap().into_inner();
    assert!(!check.good);
    assert_eq!(check.rows[0].mark(), CheckMark::Bad);
    for (request, expected) in [
        (
            of("shop.example", false),
            "InvalidArgument INVALID_ARGUMENT field=name",
        ),
        (
            of("zones/default", false),
            "InvalidArgument INVALID_ARGUMENT field=name",
        ),
        (
            of("hostnames/none.example", false),
            "NotFound HOSTNAME_NOT_FOUND",
        ),
        (
            of("hostnames/shop.example", true),
            "NotFound CONTEST_NOT_FOUND",
        ),
        (
            of("hostnames/busy.example", false),
            "ResourceExhausted OVERLOADED retry",
        ),
    ] {
        let answer = checks.check_hostname(request.clone()).await;
        assert_eq!(told(answer), expected, "{request:?}");
    }
}

#[tokio::test]
async fn records_are_those_of_a_hostname_or_of_the_zone() {
    let stand = Stand::start().await;
    stand.alone.authorize("shop.example");
    let mut checks = stand.admin().await.checks;
    let list = |name: &str| ListRecordsRequest {
        name: name.to_owned(),
        ..ListRecordsRequest::default()
    };
    for (name, owner) in [
        ("hostnames/shop.example", "shop.example"),
        ("zones/default", "edge.example"),
    ] {
        let records = checks.list_records(list(name)).await.unwrap().into_inner();
        assert_eq!(records.records[0].name, owner);
    }
    let other = checks.list_records(list("zones/other")).await;
    assert_eq!(told(other), "InvalidArgument INVALID_ARGUMENT field=name");
}
