//! Whose the hostname is, in sentences.

use state::Proof;

use super::{
    Situation,
    words::{ago, moment, span},
};

impl Situation<'_> {
    /// What is missing before anything is ordered.
    pub(super) fn unproven(&self) -> Option<String> {
        let ownership = &self.record.ownership;
        if ownership.standing.holds() {
            return None;
        }
        let name = self.hostname;
        let tenant = &self.record.tenant;
        let so = if ownership.standing == Proof::Lapsed {
            format!(
                "It is no longer proven to be tenant {tenant}'s, since {}: what is served stays, \
                 and nothing new is ordered",
                moment(ownership.since)
            )
        } else {
            format!("It is not proven to be tenant {tenant}'s, and nothing is ordered before that")
        };
        let fault = match (&ownership.fault, ownership.checked_at) {
            (Some(fault), _) => format!(": {}.", fault.trim_end_matches('.')),
            (None, None) => "; it was not looked at yet.".to_owned(),
            (None, Some(_)) => ".".to_owned(),
        };
        let next = match ownership.next_check {
            Some(at) if at > self.now => format!(
                " It is looked at again at {} (in {}).",
                moment(at),
                span(at.since(self.now))
            ),
            Some(_) => " It is looked at now.".to_owned(),
            None => String::new(),
        };
        let target = match &self.target {
            Some(target) => format!(", or its CNAME to {target}"),
            None => String::new(),
        };
        Some(format!(
            "{so}{fault}{next} The claim's token {}{target}, proves it: run `hostquorum hostname \
             check {name}`.",
            ownership.token.to_text()
        ))
    }

    /// Another tenant's claim.
    pub(super) fn contest(&self) -> Option<String> {
        let contest = self.record.contest()?;
        let fault = match &contest.fault {
            Some(fault) => format!(" The last look found: {}.", fault.trim_end_matches('.')),
            None => String::new(),
        };
        Some(format!(
            "Tenant {} claims it since {}; it stays tenant {}'s unless the claim is proven before \
             {}.{fault}",
            contest.tenant,
            ago(contest.since, self.now),
            self.record.tenant,
            moment(contest.ends()),
        ))
    }
}
