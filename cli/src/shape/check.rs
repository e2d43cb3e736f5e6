//! A look at a hostname's records, and what they are to be.

use std::fmt::Write as _;

use proto::admin::v1 as wire;
use serde::Serialize;

use crate::output::{Shape, clean, rows};

/// A look at a hostname's records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) hostname: String,
    /// Nothing is wrong and nothing undecided.
    pub(crate) good: bool,
    /// It is its tenant's, by what was seen or by an operator's word.
    pub(crate) proven: bool,
    /// Those that can succeed at the first CA, in the order in which they are tried.
    pub(crate) challenges: Vec<String>,
    /// Those that are wrong first.
    pub(crate) rows: Vec<Row>,
}

/// One record or road.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// bad, waiting, note or good.
    pub(crate) mark: &'static str,
    pub(crate) record: String,
    pub(crate) have: String,
    pub(crate) want: String,
    /// What is wrong; empty if nothing is.
    pub(crate) what: String,
    /// owner, operator or nobody must change it; absent if nothing is wrong.
    pub(crate) who: Option<&'static str>,
}

impl From<wire::HostnameCheck> for Check {
    fn from(wire: wire::HostnameCheck) -> Self {
        Self {
            hostname: super::id(&wire.name).to_owned(),
            good: wire.good,
            proven: wire.proven,
            challenges: wire.challenges,
            rows: wire.rows.into_iter().map(Row::from).collect(),
        }
    }
}

impl From<wire::CheckRow> for Row {
    fn from(wire: wire::CheckRow) -> Self {
        Self {
            mark: match wire.mark() {
                wire::CheckMark::Unspecified => "unknown",
                wire::CheckMark::Bad => "bad",
                wire::CheckMark::Waiting => "waiting",
                wire::CheckMark::Note => "note",
                wire::CheckMark::Good => "good",
            },
            who: match wire.who() {
                wire::CheckParty::Unspecified => None,
                wire::CheckParty::Owner => Some("owner"),
                wire::CheckParty::Operator => Some("operator"),
                wire::CheckParty::Nobody => Some("nobody"),
            },
            record: wire.record,
            have: wire.have,
            want: wire.want,
            what: wire.what,
        }
    }
}

impl Shape for Check {
    fn table(&self) -> String {
        let header = ["", "record", "have", "want"];
        let seen = self.rows.iter().map(|row| {
            let cells = [row.mark, &row.record, &row.have, &row.want];
            cells.map(str::to_owned).to_vec()
        });
        let mut text = rows(&header, seen.collect());
        text.push('\n');
        // What is wrong is too long for a column.
        for row in self.rows.iter().filter(|row| !row.what.is_empty()) {
            let act = match row.who {
                Some("owner") => "; the owner of the name must change it",
                Some("operator") => "; the operator of this cluster must change it",
                _ => "",
            };
            let _ = write!(
                text,
                "\n{}: {}: {}{act}",
                row.mark,
                clean(&row.record),
                clean(&row.what)
            );
        }
        let proven = if self.proven { "proven" } else { "not proven" };
        let challenges = if self.challenges.is_empty() {
            "no challenge can succeed".to_owned()
        } else {
            format!("it can be ordered for by {}", self.challenges.join(", "))
        };
        let _ = write!(
            text,
            "\n{} is {proven} to be its tenant's; {challenges}",
            clean(&self.hostname)
        );
        text
    }
}

/// What is to be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Records {
    pub(crate) records: Vec<Record>,
    /// Another way to prove a hostname that does not point here yet.
    pub(crate) http_token: Option<HttpToken>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Record {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) purpose: String,
    /// Nothing works without it.
    pub(crate) required: bool,
    /// Its line of a zone file.
    pub(crate) zone_line: String,
}

/// What the server that a hostname points to is to answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct HttpToken {
    pub(crate) url: String,
    pub(crate) body: String,
}

impl From<wire::ListRecordsResponse> for Records {
    fn from(wire: wire::ListRecordsResponse) -> Self {
        let record = |wire: wire::DnsRecord| Record {
            kind: wire.r#type,
            name: wire.name,
            value: wire.value,
            purpose: wire.purpose,
            required: wire.required,
            zone_line: wire.zone_line,
        };
        Self {
            records: wire.records.into_iter().map(record).collect(),
            http_token: wire.http_token.map(|token| HttpToken {
                url: token.url,
                body: token.body,
            }),
        }
    }
}

impl Shape for Records {
    fn table(&self) -> String {
        if self.records.is_empty() {
            return "nothing is to be published: see `hostquorum zone set`".to_owned();
        }
        let cells = |record: &Record| {
            let need = if record.required { "yes" } else { "no" };
            let cells = [&record.kind, &record.name, &record.value, need];
            let mut cells = cells.map(str::to_owned).to_vec();
            cells.push(record.purpose.clone());
            cells
        };
        let header = ["type", "name", "value", "required", "it"];
        let mut text = rows(&header, self.records.iter().map(cells).collect());
        if let Some(token) = &self.http_token {
            let _ = write!(
                text,
                "\n\nor, while the name points elsewhere, let {} answer\n{}",
                clean(&token.url),
                clean(&token.body)
            );
        }
        text
    }

    fn zone(&self) -> Option<String> {
        let line = |record: &Record| {
            let line = clean(&record.zone_line);
            let need = if record.required { "" } else { "optional: " };
            format!("; {need}{}\n{line}\n", clean(&record.purpose))
        };
        Some(self.records.iter().map(line).collect())
    }
}
