//! Replacing many certificates before their time: counted first, then asked for in
//! batches that are entries of the log each.

use std::time::Duration;

use proto::admin::v1::{
    PlanReissueRequest, ReissueCertificatesRequest, ReissueCertificatesResponse, ReissuePlan,
};
use state::{
    BucketKey, Change, Hostname, HostnameRecord, LimitKind, Reissue, Share, Source, State,
    Timestamp, command::REISSUE_MAX, forecast::PACE, order::set_of,
};
use tokio::time::Instant;

use super::{Desk, aside, deadline};
use crate::{convert, gate::Caller, limits, page, problem::Problem, selection::Selection};

/// Beyond this no moment is told.
const YEAR: Duration = Duration::from_secs(366 * 86_400);

impl Desk {
    /// Counts what would be replaced, and says how long it would take.
    pub(super) async fn reissue_plan(
        &self,
        request: &PlanReissueRequest,
    ) -> Result<ReissuePlan, Problem> {
        let selection = Selection::parse(&request.r#where)?;
        let share = if request.urgent {
            Share::Urgent
        } else {
            Share::Renewal
        };
        let (state, now) = (self.state(), self.now());
        let counting = move || plan(&state, &selection, share, now);
        let within = Instant::now() + limits::PLAN_WITHIN;
        aside(&self.plans, within, counting).await
    }

    /// Asks for one batch.
    pub(super) async fn reissue(
        &self,
        who: &Caller,
        request: &ReissueCertificatesRequest,
    ) -> Result<ReissueCertificatesResponse, Problem> {
        let deadline = deadline();
        let selection = Selection::parse(&request.r#where)?;
        let after = page::reissue_after(&request.page_token, selection.fingerprint)?;
        let (hostnames, more_after) = self.batch(&selection, after.as_ref());
        let mut response = ReissueCertificatesResponse {
            hostnames: count(hostnames.len()),
            next_page_token: more_after
                .map(|last| page::reissue_token(selection.fingerprint, &last))
                .unwrap_or_default(),
            index: 0,
        };
        if !hostnames.is_empty() {
            let asked = who.asks(format!(
                "{} hostnames where {}",
                hostnames.len(),
                request.r#where.join(" and ")
            ));
            let urgency = if request.urgent {
                Reissue::Urgent
            } else {
                Reissue::Calm
            };
            let change = Change::ReissueCertificates { hostnames, urgency };
            response.index = self.change(asked, change, deadline).await?.index.0;
        }
        Ok(response)
    }

    /// The next hostnames that are meant, and after which to go on.
    fn batch(
        &self,
        selection: &Selection,
        after: Option<&Hostname>,
    ) -> (Vec<Hostname>, Option<Hostname>) {
        let (state, now) = (self.state(), self.now());
        let mut found = state
            .hostnames_after(after.map_or("", Hostname::as_str))
            .peekable();
        let (mut batch, mut looked_at) = (Vec::new(), 0);
        while let Some((name, record)) = found.next() {
            if selection.matched(&state, name, record, now).any() {
                batch.push(name.clone());
            }
            looked_at += 1;
            if batch.len() >= REISSUE_MAX || looked_at >= limits::PAGE_LOOKED_AT_MAX {
                let more = found.peek().map(|_| name.clone());
                return (batch, more);
            }
        }
        (batch, None)
    }
}

fn plan(state: &State, selection: &Selection, share: Share, now: Timestamp) -> ReissuePlan {
    let mut plan = ReissuePlan::default();
    let (mut held, mut tried, mut last) = (0, 0, now);
    for (name, record) in state.hostnames() {
        let matched = selection.matched(state, name, record, now);
        plan.uploaded += count(matched.uploaded);
        if !matched.any() {
            continue;
        }
        plan.certificates += count(matched.ours);
        tried += u64::from(matched.tried);
        plan.hostnames += 1;
        if plan.sample.len() < limits::SAMPLE {
            plan.sample.push(name.to_string());
        }
        if !record.ownership.standing.holds() || !record.wants().automatic {
            held += 1;
        } else {
            last = last.max(allowed_at(state, name, record, share, now));
        }
    }
    let orders = u32::try_from(plan.certificates).unwrap_or(u32::MAX);
    let done = last.max(now.plus(PACE.saturating_mul(orders)));
    plan.done_at = (done <= now.plus(YEAR)).then(|| convert::timestamp(done));
    plan.notes = notes(&plan, held, tried, last > now);
    plan
}

/// From when on the CAs' limits allow all that is served of a hostname to be replaced.
fn allowed_at(
    state: &State,
    name: &Hostname,
    record: &HostnameRecord,
    share: Share,
    now: Timestamp,
) -> Timestamp {
    let served = record
        .certificates()
        .filter_map(|id| state.certificate(&id));
    let free = served.filter_map(|certificate| {
        let Source::Ca(ca) = &certificate.source else {
            return None;
        };
        let key = BucketKey {
            ca: ca.clone(),
            kind: LimitKind::Sets,
            key: set_of(name, certificate.wildcard),
        };
        Some(state.free_at(&key, share, now))
    });
    free.max().unwrap_or(now)
}

fn notes(plan: &ReissuePlan, held: u64, tried: u64, limited: bool) -> Vec<String> {
    let mut notes = vec![format!(
        "reckoned with {} ms for each order; what is due already comes on top",
        PACE.as_millis()
    )];
    if tried > 0 {
        notes.push("what failed waits no longer: it is tried at once".to_owned());
    }
    if limited {
        notes.push("some sets of names wait for the CA's limit on them".to_owned());
    }
    if held > 0 {
        notes.push(format!(
            "{held} of the hostnames are not proven or not automatic: theirs are not replaced \
             before that changes"
        ));
    }
    if plan.uploaded > 0 {
        notes.push(format!(
            "{} uploaded certificates match and are left: upload others in their place",
            plan.uploaded
        ));
    }
    notes
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
