//! What an operator should look at: uploaded certificates near their end, which nobody
//! renews by itself, and CAs that wait for something that only an operator can give.

use std::time::Duration;

use state::{
    Ca, Certificate, Preset, Registration, Source, State, Timestamp, traffic::OriginTrust,
};

use crate::{explain::words, limits};

const DAY: Duration = Duration::from_secs(86_400);

/// From how long before its end on one that was uploaded is told of. More urgent words
/// follow at each step.
const STEPS: [(Duration, &str); 4] = [
    (DAY, "NOW"),
    (Duration::from_secs(7 * 86_400), "within a day or two"),
    (Duration::from_secs(14 * 86_400), "this week"),
    (Duration::from_secs(30 * 86_400), "soon"),
];

/// All of them, the most urgent first.
pub(crate) fn all(state: &State, now: Timestamp) -> Vec<String> {
    let mut ending: Vec<&Certificate> = state
        .certificates()
        .map(AsRef::as_ref)
        .filter(|certificate| is_ending(state, certificate, now))
        .collect();
    ending.sort_by_key(|certificate| certificate.not_after);
    let mut told: Vec<String> = state.cas().filter_map(|ca| of_ca(ca)).collect();
    if state.zone().traffic.origin_trust == Some(OriginTrust::Off) {
        told.push(
            "origins' certificates are not verified unless a hostname decides otherwise: whoever \
             can answer in an origin's place reads and writes the traffic (`hostquorum zone set \
             --origin-trust FILE` names the roots)"
                .to_owned(),
        );
    }
    let more = (told.len() + ending.len()).saturating_sub(limits::WARNINGS_MAX);
    let most = limits::WARNINGS_MAX.saturating_sub(told.len());
    told.extend(ending.into_iter().take(most).map(|one| ends(one, now)));
    if more > 0
        && let Some(last) = told.last_mut()
    {
        last.push_str(&format!(
            " ({more} more: `hostquorum certificate list --expiring 30`)"
        ));
    }
    told
}

/// It was uploaded, is served, and nothing of ours will take its place in time.
fn is_ending(state: &State, certificate: &Certificate, now: Timestamp) -> bool {
    let [.., (first, _)] = STEPS;
    let manual = || {
        let record = state.hostname(certificate.hostname.as_str());
        record.is_some_and(|record| !record.wants().automatic)
    };
    certificate.source == Source::Uploaded
        && certificate.forget_at.is_none()
        && certificate.not_after <= now.plus(first)
        && (certificate.renew_at >= certificate.not_after || manual())
}

fn ends(certificate: &Certificate, now: Timestamp) -> String {
    let name = &certificate.hostname;
    let until = words::moment(certificate.not_after);
    if certificate.not_after <= now {
        return format!("the uploaded certificate of {name} ended at {until}: upload the next one");
    }
    let left = certificate.not_after.since(now);
    let step = STEPS.iter().find(|(before, _)| left <= *before);
    let when = step.map_or("", |(_, when)| when);
    format!(
        "the uploaded certificate of {name} ends at {until} ({} left): upload the next one {when}",
        words::span(left)
    )
}

fn of_ca(ca: &Ca) -> Option<String> {
    let name = &ca.name;
    let known = Preset::ALL
        .into_iter()
        .find(|preset| preset.directory() == ca.settings.directory);
    let bound = ca.external_account.is_some() || ca.registration != Registration::None;
    if known.is_some_and(Preset::needs_external_account) && !bound {
        return Some(format!(
            "{name} gives accounts only to whom it knows otherwise: run `hostquorum ca bind {name}`"
        ));
    }
    None
}
