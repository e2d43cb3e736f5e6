//! `hostname check`: everything that was looked at, record by record, for a person.

use serde::Serialize;

use super::{
    agreement::Opinion,
    answer::{Answer, Look},
    claim::{Claim, Cluster, Who},
    method::Challenge,
    name::DnsName,
    ownership::{self, Method, Reason, Rules, Verdict},
    preflight::{Class, Fault, Order, Preflight, preflight},
    seen::Seen,
};

#[cfg(test)]
mod tests;

/// One record or road, and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The record, as `name TYPE`, or the address and port.
    pub record: String,
    /// What is there.
    pub have: String,
    /// What should be there.
    pub want: String,
    /// Whether that is good.
    pub mark: Mark,
    /// What is wrong, in a sentence; empty if nothing is.
    pub what: String,
    /// Who must change it, if anybody.
    pub who: Option<Who>,
}

/// How a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Wrong, and nothing goes on before it is changed.
    Bad,
    /// Not decided: it is looked at again by itself.
    Waiting,
    /// Not as it could be, but in nobody's way.
    Note,
    /// Right.
    Good,
}

/// All rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Those that are wrong first.
    pub rows: Vec<Row>,
    /// Whether the claim is proven, or vouched for.
    pub proven: bool,
    /// The challenges that can succeed at the preferred CA, in the order in which they are
    /// tried.
    pub challenges: Vec<Challenge>,
    /// Whether all is well: nothing is wrong or undecided.
    pub good: bool,
}

/// Judges what was `seen`, and says so record by record. `vouched`: an operator's word is
/// enough for the claim.
pub fn check(
    order: &Order<'_>,
    cluster: &Cluster,
    rules: &Rules,
    seen: &Seen,
    vouched: bool,
) -> Check {
    let verdict = ownership::judge(order.claim, cluster, rules, seen);
    let flight = preflight(order, cluster, &rules.agreement, seen);
    let mut rows = if vouched {
        vec![vouched_row(order.claim)]
    } else {
        ownership_rows(order.claim, cluster, &verdict)
    };
    rows.extend(flight.faults.iter().map(fault_row));
    rows.extend(good_rows(order, cluster, rules, seen, &flight));
    rows.sort_by_key(|row| row.mark);
    let preferred = flight.offers.first();
    Check {
        good: rows.iter().all(|row| row.mark >= Mark::Note),
        proven: vouched || matches!(verdict, Verdict::Proven { .. }),
        challenges: preferred.map_or_else(Vec::new, |offer| offer.challenges.clone()),
        rows,
    }
}

fn vouched_row(claim: &Claim) -> Row {
    let word = "an operator's word".to_owned();
    Row {
        record: claim.subject.to_string(),
        have: word.clone(),
        want: word,
        mark: Mark::Good,
        what: String::new(),
        who: None,
    }
}

/// A proven claim is one row. Of one that is not, the reason of the strongest method is
/// what is wrong; the others are other ways.
fn ownership_rows(claim: &Claim, cluster: &Cluster, verdict: &Verdict) -> Vec<Row> {
    let host = &claim.subject.host;
    if let Verdict::Proven { method, evidence } = verdict {
        let (record, want) = wanted(claim, cluster, *method);
        return vec![Row {
            record,
            have: evidence.clone(),
            want,
            mark: Mark::Good,
            what: String::new(),
            who: None,
        }];
    }
    let undecided = matches!(verdict, Verdict::Undecided(_));
    let row = |(place, reason): (usize, &Reason)| {
        let (record, want) = wanted(claim, cluster, reason.method());
        let record = match reason {
            Reason::Spreading { record, .. } | Reason::Unseen { record, .. } => record.clone(),
            _ => record,
        };
        let mark = match (reason.is_open(), place) {
            (true, _) => Mark::Waiting,
            (false, 0) if !undecided => Mark::Bad,
            (false, _) => Mark::Note,
        };
        Row {
            record,
            have: reason.have().unwrap_or_else(|| host.to_string()),
            want,
            mark,
            what: reason.to_string(),
            who: Some(reason.who()),
        }
    };
    verdict.reasons().iter().enumerate().map(row).collect()
}

/// The record by which a method proves, and what it must be.
fn wanted(claim: &Claim, cluster: &Cluster, method: Method) -> (String, String) {
    let host = &claim.subject.host;
    let below = |label: &str, kind: &str| format!("{label}.{host} {kind}");
    match method {
        Method::Txt => (
            below(super::claim::TXT_LABEL, "TXT"),
            format!("\"{}\"", claim.txt_value()),
        ),
        Method::Cname => (format!("{host} CNAME"), named(claim.target.as_ref())),
        Method::Http => (
            format!("http://{host}{}", claim.http_path()),
            claim.http_body(),
        ),
        Method::Address => (format!("{host} A, AAAA"), cluster.have()),
        Method::Delegation => (
            below(super::claim::CHALLENGE_LABEL, "CNAME"),
            named(claim.delegation.as_ref()),
        ),
    }
}

/// A name of ours, if there is one.
fn named(name: Option<&DnsName>) -> String {
    name.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

fn fault_row(fault: &Fault) -> Row {
    let mark = match (fault.bars, fault.who) {
        (false, _) => Mark::Note,
        (true, Who::Nobody) => Mark::Waiting,
        (true, _) => Mark::Bad,
    };
    Row {
        record: fault.record.clone(),
        have: fault.have.clone(),
        want: fault.want.clone(),
        mark,
        what: fault.what.to_string(),
        who: Some(fault.who),
    }
}

/// What was looked at and is as it should be.
fn good_rows(
    order: &Order<'_>,
    cluster: &Cluster,
    rules: &Rules,
    seen: &Seen,
    flight: &Preflight,
) -> Vec<Row> {
    let good = |record: String, have: String, want: String| Row {
        record,
        have,
        want,
        mark: Mark::Good,
        what: String::new(),
        who: None,
    };
    let mut rows = Vec::new();
    let faulty = |look: &Look| {
        let record = format!("{} {}", look.name, look.kind);
        flight.faults.iter().any(|fault| fault.record == record)
    };
    for look in [&seen.a, &seen.aaaa] {
        let some = look
            .answers()
            .any(|answer| answer.addresses().next().is_some());
        if some && !faulty(look) {
            let record = format!("{} {}", look.name, look.kind);
            rows.push(good(record, look.have(), cluster.have()));
        }
    }
    let target = order.claim.delegation.as_ref();
    let delegated = |answer: &Answer| target.is_some() && answer.chain.last() == target;
    if rules.agreement.weigh(&seen.challenge, delegated) == Opinion::Yes {
        let (target, record) = (named(target), format!("{} CNAME", seen.challenge.name));
        rows.push(good(record, target.clone(), target));
    }
    let denied = flight.faults.iter().any(|fault| fault.class == Class::Caa);
    if let Some(look) = seen.caa.first().filter(|_| !denied) {
        let decides = |look: &&Look| {
            look.answers()
                .any(|answer| answer.properties().next().is_some())
        };
        let deciding = seen.caa.iter().find(decides);
        let (name, have) = deciding.map_or(
            (&look.name, "none, so any CA may issue".to_owned()),
            |look| (&look.name, look.have()),
        );
        let issuers = order.issuers.iter().map(|issuer| &issuer.name);
        rows.push(good(
            format!("{name} CAA"),
            have,
            super::claim::listed(issuers),
        ));
    }
    for fetched in &seen.port_80 {
        if seen.is_ours(fetched) {
            let record = format!("{} port 80", fetched.address);
            rows.push(good(
                record,
                "one of our nodes".to_owned(),
                "one of our nodes".to_owned(),
            ));
        }
    }
    rows
}

impl Reason {
    /// The method that it is about; for what only the TXT record can mend, that one.
    fn method(&self) -> Method {
        match self {
            Self::CnameElsewhere { .. } | Self::CnameOtherTenant { .. } => Method::Cname,
            Self::HttpPointsHere | Self::HttpWrong { .. } => Method::Http,
            Self::AddressElsewhere { .. } | Self::AddressMissing => Method::Address,
            Self::DelegationMissing { .. } => Method::Delegation,
            _ => Method::Txt,
        }
    }

    /// What is there, if it says.
    fn have(&self) -> Option<String> {
        match self {
            Self::TxtMissing { have }
            | Self::TxtOther { have }
            | Self::CnameElsewhere { have }
            | Self::HttpWrong { have, .. }
            | Self::AddressElsewhere { have }
            | Self::DelegationMissing { have } => Some(have.clone()),
            Self::CnameOtherTenant { have } => Some(have.to_string()),
            Self::Spreading { yes, no, .. } => Some(format!("seen by {yes}, not by {no}")),
            Self::Unseen { unseen, .. } => Some(unseen.have()),
            Self::AddressMissing => Some("nothing".to_owned()),
            Self::HttpPointsHere
            | Self::NameTooLong
            | Self::AddressNotEnough
            | Self::WildcardNeedsTxt
            | Self::AnotherTenantNeedsTxt => None,
        }
    }
}
