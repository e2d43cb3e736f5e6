//! Looks and records.

use proto::admin::v1 as wire;

use super::{check, shown};
use crate::{
    arguments::Format,
    shape::check::{Check, Records},
};

fn row(mark: wire::CheckMark, record: &str, have: &str, what: &str) -> wire::CheckRow {
    let who = match what {
        "" => wire::CheckParty::Unspecified,
        _ => wire::CheckParty::Owner,
    };
    wire::CheckRow {
        record: record.to_owned(),
        have: have.to_owned(),
        want: "192.0.2.1".to_owned(),
        mark: mark.into(),
        what: what.to_owned(),
        who: who.into(),
    }
}

#[test]
fn a_look_tells_who_must_change_what() {
    let name = "hostnames/shop.example".to_owned();
    let bad = wire::HostnameCheck {
        name: name.clone(),
        rows: vec![
            row(
                wire::CheckMark::Bad,
                "shop.example AAAA",
                "2001:db8::9",
                "the name has an IPv6 address that is not ours",
            ),
            row(wire::CheckMark::Good, "shop.example A", "192.0.2.1", ""),
        ],
        ..wire::HostnameCheck::default()
    };
    check("check-bad", &Check::from(bad));
    let good = wire::HostnameCheck {
        name,
        good: true,
        proven: true,
        challenges: vec!["http-01".to_owned(), "tls-alpn-01".to_owned()],
        rows: vec![row(
            wire::CheckMark::Good,
            "shop.example A",
            "192.0.2.1",
            "",
        )],
    };
    check("check-good", &Check::from(good));
}

fn records() -> wire::ListRecordsResponse {
    let record = |kind: &str, name: &str, value: &str, required, line: &str| wire::DnsRecord {
        r#type: kind.to_owned(),
        name: name.to_owned(),
        value: value.to_owned(),
        purpose: "brings visitors here".to_owned(),
        required,
        zone_line: line.to_owned(),
    };
    let (host, txt) = ("shop.example", "_hostquorum.shop.example");
    wire::ListRecordsResponse {
        records: vec![
            record(
                "CNAME",
                host,
                "t.edge.example",
                true,
                "shop.example. IN CNAME t.edge.example.",
            ),
            record(
                "TXT",
                txt,
                "token",
                false,
                "_hostquorum.shop.example. IN TXT \"token\"",
            ),
        ],
        http_token: Some(wire::HttpToken {
            url: "http://shop.example/.well-known/hostquorum/t".to_owned(),
            body: "body".to_owned(),
        }),
    }
}

#[test]
fn records_are_shown_as_a_table_and_as_a_zone_file() {
    let records = Records::from(records());
    check("records", &records);
    assert_eq!(
        shown(&records, Format::Zone),
        "; brings visitors here\nshop.example. IN CNAME t.edge.example.\n\
         ; optional: brings visitors here\n_hostquorum.shop.example. IN TXT \"token\"\n"
    );
    let none = Records::from(wire::ListRecordsResponse::default());
    check("records-none", &none);
}
