//! Looks for operators: the surveyor's findings in the words of the API.

use admin::{CheckError, Checks};
use async_trait::async_trait;
use leader::verification::{
    check::{Check, Mark, Row},
    claim::Who,
    records,
    report::{Question, QuestionError, zone_records},
    survey::Surveyor,
};
use proto::admin::v1;
use state::{Hostname, State};
use tokio::sync::Semaphore;

/// Looks for operators at once: the others are for orders and claims.
const LOOKS_MOST: usize = 2;

/// Looks at hostnames when an operator asks, from this node.
pub(crate) struct Looks {
    surveyor: Surveyor,
    places: Semaphore,
}

impl Looks {
    pub(crate) fn new(surveyor: Surveyor) -> Self {
        Self {
            surveyor,
            places: Semaphore::new(LOOKS_MOST),
        }
    }
}

#[async_trait]
impl Checks for Looks {
    async fn check(
        &self,
        state: &State,
        hostname: &Hostname,
        contest: bool,
    ) -> Result<v1::HostnameCheck, CheckError> {
        let _place = self.places.try_acquire().map_err(|_| CheckError::Busy)?;
        let question = Question {
            state,
            hostname,
            contest,
        };
        let check = question.check(&self.surveyor).await.map_err(error)?;
        Ok(checked(hostname, check))
    }

    fn hostname_records(
        &self,
        state: &State,
        hostname: &Hostname,
        contest: bool,
        persist: bool,
    ) -> Result<v1::ListRecordsResponse, CheckError> {
        let question = Question {
            state,
            hostname,
            contest,
        };
        let (rows, token) = question.records(&self.surveyor, persist).map_err(error)?;
        Ok(v1::ListRecordsResponse {
            records: rows.iter().map(record).collect(),
            http_token: token.map(|token| v1::HttpToken {
                url: token.url,
                body: token.body,
            }),
        })
    }

    fn zone_records(&self, state: &State) -> Result<v1::ListRecordsResponse, CheckError> {
        let rows = zone_records(state).map_err(|error| CheckError::Name(error.to_string()))?;
        Ok(v1::ListRecordsResponse {
            records: rows.iter().map(record).collect(),
            http_token: None,
        })
    }
}

fn error(error: QuestionError) -> CheckError {
    match error {
        QuestionError::NotFound(kind) => CheckError::NotFound(kind),
        QuestionError::Name(error) => CheckError::Name(error.to_string()),
    }
}

fn checked(hostname: &Hostname, check: Check) -> v1::HostnameCheck {
    let challenges = check.challenges.iter();
    v1::HostnameCheck {
        name: format!("hostnames/{hostname}"),
        good: check.good,
        proven: check.proven,
        challenges: challenges.map(|kind| kind.label().to_owned()).collect(),
        rows: check.rows.into_iter().map(row).collect(),
    }
}

fn row(row: Row) -> v1::CheckRow {
    let mark = match row.mark {
        Mark::Bad => v1::CheckMark::Bad,
        Mark::Waiting => v1::CheckMark::Waiting,
        Mark::Note => v1::CheckMark::Note,
        Mark::Good => v1::CheckMark::Good,
    };
    let who = match row.who {
        None => v1::CheckParty::Unspecified,
        Some(Who::Owner) => v1::CheckParty::Owner,
        Some(Who::Operator) => v1::CheckParty::Operator,
        Some(Who::Nobody) => v1::CheckParty::Nobody,
    };
    v1::CheckRow {
        record: row.record,
        have: row.have,
        want: row.want,
        mark: mark.into(),
        what: row.what,
        who: who.into(),
    }
}

fn record(row: &records::Row) -> v1::DnsRecord {
    v1::DnsRecord {
        r#type: row.kind.to_string(),
        name: row.name.to_string(),
        value: row.value.clone(),
        purpose: row.purpose.to_string(),
        required: row.need == records::Need::Required,
        zone_line: row.zone_line(),
    }
}
