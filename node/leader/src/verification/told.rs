//! What is wrong in one line, as the hostname's record keeps it: the words for machines,
//! who must act, and then sentences, of which the last may be cut off.

use super::{
    claim::Who,
    ownership::Reason,
    preflight::{Fault, Preflight},
};

/// Most faults that are told: the record keeps some hundred characters, and who mends the
/// first will see the others.
const FAULTS_MOST: usize = 2;

/// Why a claim is not proven: each reason is another way to prove it, so all are told; what
/// passes by itself goes first.
pub(crate) fn reasons(reasons: &[Reason]) -> String {
    let mut reasons: Vec<&Reason> = reasons.iter().collect();
    reasons.sort_by_key(|reason| !reason.is_open());
    let who = reasons.first().map_or(Who::Owner, |reason| reason.who());
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code()).collect();
    let sentences: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    line(&codes, &sentences, who)
}

/// Why an order cannot succeed.
pub(crate) fn faults(flight: &Preflight) -> String {
    let barring = || flight.faults.iter().filter(|fault| fault.bars);
    let shown: Vec<&Fault> = barring().take(FAULTS_MOST).collect();
    let who = shown.first().map_or(Who::Operator, |fault| fault.who);
    let codes: Vec<&str> = shown.iter().map(|fault| fault.what.code()).collect();
    let sentence = |fault: &&Fault| {
        let Fault {
            what,
            record,
            have,
            want,
            ..
        } = fault;
        format!("{what} ({record}: there is {have}; wanted: {want})")
    };
    line(&codes, &shown.iter().map(sentence).collect::<Vec<_>>(), who)
}

fn line(codes: &[&str], sentences: &[String], who: Who) -> String {
    let act = match who {
        Who::Nobody => "it is looked at again".to_owned(),
        Who::Owner | Who::Operator => format!("{who} must act"),
    };
    format!("{}; {act}: {}", codes.join(", "), sentences.join("; "))
}
