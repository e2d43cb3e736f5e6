//! What a node sees of hostnames, as these tests have it: each points elsewhere, but for
//! one that is as it should be.

use admin::{CheckError, Checks};
use async_trait::async_trait;
use proto::admin::v1::{
    CheckMark, CheckParty, CheckRow, DnsRecord, HostnameCheck, HttpToken, ListRecordsResponse,
};
use state::{Hostname, State, outcome::Kind};

/// The hostname that is as it should be.
pub(crate) const GOOD: &str = "good.example";

pub(crate) struct Eyes;

fn record(kind: &str, name: &str, value: &str, required: bool) -> DnsRecord {
    let quote = if kind == "TXT" { "\"" } else { "" };
    DnsRecord {
        r#type: kind.to_owned(),
        name: name.to_owned(),
        value: value.to_owned(),
        purpose: "for a test".to_owned(),
        required,
        zone_line: format!("{name}. IN {kind} {quote}{value}{quote}"),
    }
}

#[async_trait]
impl Checks for Eyes {
    async fn check(
        &self,
        state: &State,
        hostname: &Hostname,
        _: bool,
    ) -> Result<HostnameCheck, CheckError> {
        let known = state.hostname(hostname.as_str());
        known.ok_or(CheckError::NotFound(Kind::Hostname))?;
        let good = hostname.as_str() == GOOD;
        let row = CheckRow {
            record: format!("{hostname} A"),
            have: if good { "192.0.2.1" } else { "192.0.2.9" }.to_owned(),
            want: "192.0.2.1".to_owned(),
            ..CheckRow::default()
        };
        let row = if good {
            CheckRow {
                mark: CheckMark::Good.into(),
                ..row
            }
        } else {
            CheckRow {
                mark: CheckMark::Bad.into(),
                what: "the name points elsewhere".to_owned(),
                who: CheckParty::Owner.into(),
                ..row
            }
        };
        Ok(HostnameCheck {
            name: format!("hostnames/{hostname}"),
            good,
            proven: good,
            challenges: vec!["http-01".to_owned()],
            rows: vec![row],
        })
    }

    fn hostname_records(
        &self,
        _: &State,
        hostname: &Hostname,
        _: bool,
        _: bool,
    ) -> Result<ListRecordsResponse, CheckError> {
        let name = hostname.as_str();
        Ok(ListRecordsResponse {
            records: vec![
                record("CNAME", name, "t.edge.example", true),
                record("TXT", &format!("_hostquorum.{name}"), "token", false),
            ],
            http_token: Some(HttpToken {
                url: format!("http://{name}/.well-known/hostquorum/token"),
                body: "body".to_owned(),
            }),
        })
    }

    fn zone_records(&self, _: &State) -> Result<ListRecordsResponse, CheckError> {
        Ok(ListRecordsResponse {
            records: vec![record("NS", "edge.example", "ns1.edge.example", true)],
            http_token: None,
        })
    }
}
