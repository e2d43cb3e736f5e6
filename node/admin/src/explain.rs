//! Why a hostname is as it is, in sentences for whoever was woken by it: what is
//! so, since when, what happens next by itself, and what to do if it should not
//! wait.

mod claim;
mod served;
#[cfg(test)]
mod tests;
pub(crate) mod words;

use state::{
    BucketKey, Budget, Ca, CaName, Certificate, Failure, FailureClass, Hostname, HostnameRecord,
    LimitKind, Order, Pause, Stage, State, Timestamp, order::set_of,
};

use crate::names::registered_domain;
use words::{ago, moment, span};

/// An order usually passes a stage within seconds; beyond this the explanation
/// says what may hold it.
const USUAL_STAGE: std::time::Duration = std::time::Duration::from_secs(120);

/// Most sentences of the leader that are passed on.
const TOLD_MAX: usize = 3;

/// What is known when the question is asked.
pub(crate) struct Situation<'a> {
    pub(crate) now: Timestamp,
    pub(crate) hostname: &'a Hostname,
    pub(crate) record: &'a HostnameRecord,
    /// What is served.
    pub(crate) certificates: &'a [&'a Certificate],
    pub(crate) order: Option<&'a Order>,
    /// At which its next order would be.
    pub(crate) ca: Option<&'a Ca>,
    /// Why the leader leaves that CA alone, if this node leads and it does.
    pub(crate) pause: Option<&'a str>,
    /// A limit of that CA that holds up what is due, and until when.
    pub(crate) limited: Option<(LimitKind, Timestamp)>,
    /// What the leader says about its work, if this node leads.
    pub(crate) progress: &'a [String],
    /// An operator's word that nothing is to be issued.
    pub(crate) paused: Option<&'a Pause>,
    /// Somebody leads, as far as this node knows.
    pub(crate) led: bool,
    /// An origin is set.
    pub(crate) origin: bool,
    /// Names of the nodes that do not serve the present state yet.
    pub(crate) behind: &'a [String],
    /// The tenant's own CNAME target, if there are such.
    pub(crate) target: Option<String>,
    /// When the next order falls due, as the state says.
    pub(crate) due: Option<Timestamp>,
}

/// The explanation, and when something will be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) summary: String,
    pub(crate) next_try: Option<Timestamp>,
}

/// Explains.
pub(crate) fn explain(situation: &Situation<'_>) -> Answer {
    let mut said = vec![situation.standing()];
    said.extend(situation.second());
    said.extend(situation.revocations());
    said.extend(situation.unproven());
    if let Some(order) = situation.order {
        said.push(situation.order(order));
    } else if !situation.record.ownership.standing.holds() {
        // Nothing is tried before that.
    } else if let Some(failure) = &situation.record.failure {
        said.push(situation.failure(failure));
        said.extend(situation.held());
    } else if situation.valid().is_none() {
        said.push(situation.waiting());
        said.extend(situation.held());
    } else {
        said.extend(situation.held());
    }
    said.extend(situation.request());
    said.extend(situation.contest());
    said.extend(situation.hindrances());
    Answer {
        summary: said.join(" "),
        next_try: situation.next_try(),
    }
}

/// The limit that holds up what is due for a hostname at a CA, and until when.
pub(crate) fn limited(
    state: &State,
    ca: &CaName,
    name: &Hostname,
    record: &HostnameRecord,
    now: Timestamp,
) -> Option<(LimitKind, Timestamp)> {
    let (due, _) = state.hostname_due(name, record)?;
    if due > now || !record.ownership.standing.holds() {
        return None;
    }
    let budget = if record.certificates().next().is_some() {
        Budget::Renewal
    } else {
        Budget::New
    };
    let kinds = budget.kinds().iter().chain(&[LimitKind::Failures]);
    let free = kinds.map(|kind| {
        let key = match kind {
            LimitKind::Orders => "".into(),
            LimitKind::Certificates => registered_domain(name).into(),
            LimitKind::Sets => set_of(name, record.is_wildcard()),
            LimitKind::Failures => name.as_str().into(),
        };
        let bucket = BucketKey {
            ca: ca.clone(),
            kind: *kind,
            key,
        };
        (*kind, state.free_at(&bucket, budget.share(), now))
    });
    free.filter(|(_, at)| *at > now).max_by_key(|(_, at)| *at)
}

impl Situation<'_> {
    fn order(&self, order: &Order) -> String {
        let since = self.now.since(order.stage_at);
        let name = self.hostname;
        let (doing, holding) = match &order.stage {
            Stage::Admitted => (
                "is being placed with the CA",
                "Can the leader reach the CA over https?".to_owned(),
            ),
            Stage::Prepared(_) => (
                "waits until every node can answer the CA's challenge",
                "A node that is up but behind holds it: see `hostquorum cluster members`."
                    .to_owned(),
            ),
            Stage::ReadyIntent(_) => (
                "waits for the CA to check the challenge",
                format!(
                    "The CA must reach http://{name}/.well-known/acme-challenge/ on port 80: \
                     does the DNS of {name} point to the nodes, and is port 80 open to the world?"
                ),
            ),
            Stage::FinalizeIntent(_) => (
                "waits for the CA to issue the certificate",
                "Can the leader reach the CA over https?".to_owned(),
            ),
        };
        let mut said = format!(
            "Order {} (attempt {}) {doing}, for {} now.",
            order.id,
            order.attempt,
            span(since)
        );
        if since > USUAL_STAGE {
            said.push_str(" That is longer than usual. ");
            said.push_str(&holding);
        }
        said
    }

    fn failure(&self, failure: &Failure) -> String {
        if failure.parked {
            return self.parked(failure);
        }
        let what = if failure.class == FailureClass::Preflight {
            "A look before its order"
        } else if self.valid().is_some() {
            "Its renewal"
        } else {
            "The last order"
        };
        // The count is of orders, of which there was none now.
        let times = match failure.count {
            _ if failure.class == FailureClass::Preflight => String::new(),
            0 | 1 => String::new(),
            count => format!(", {count} times in a row"),
        };
        let next = if failure.next_try > self.now {
            format!(
                "The next try is at {} (in {}).",
                moment(failure.next_try),
                span(failure.next_try.since(self.now))
            )
        } else {
            "The next try is due now.".to_owned()
        };
        format!(
            "{what} failed at {} ({}){times}: {}. {next} {}",
            moment(failure.at),
            ago(failure.at, self.now),
            failure.reason.trim_end_matches('.'),
            self.advice(failure.class)
        )
    }

    /// It failed too often.
    fn parked(&self, failure: &Failure) -> String {
        let row = match failure.count {
            0 => "no order could begin".to_owned(),
            count => format!("{count} orders failed in a row"),
        };
        format!(
            "It is parked: {row} since {}, the last try {}: {}. It is looked at \
             again at {} and tried as soon as that has changed; `hostquorum certificate reissue \
             --where hostname={} --yes` has it tried at once. {}",
            moment(failure.since),
            ago(failure.at, self.now),
            failure.reason.trim_end_matches('.'),
            moment(failure.next_try),
            self.hostname,
            self.advice(failure.class)
        )
    }

    fn advice(&self, class: FailureClass) -> String {
        let name = self.hostname;
        match class {
            FailureClass::Challenge => format!(
                "Check that the DNS of {name} points to the nodes and that port 80 is open to \
                 the world."
            ),
            FailureClass::Rejected => format!(
                "The CA does not want this name: check its words above, and the CAA records of \
                 {name}."
            ),
            FailureClass::RateLimited => {
                "The CA asked to wait: nothing but time helps, and trying by hand makes it longer."
                    .to_owned()
            }
            FailureClass::Unavailable => {
                "Check that the leader reaches the CA over https, and the CA's own status page."
                    .to_owned()
            }
            FailureClass::Preflight => {
                format!("Run `hostquorum hostname check {name}`: it says who must change what.")
            }
            FailureClass::Paused => {
                "The CA issues nothing for this name until its own page is visited: the address is \
                 in its words above."
                    .to_owned()
            }
            FailureClass::Unusable => {
                "The CA gave something that cannot be used; the leader's log has the details."
                    .to_owned()
            }
        }
    }

    /// No order and no failure: the first order has not begun.
    fn waiting(&self) -> String {
        if !self.record.wants().automatic {
            return format!(
                "Nothing is ordered for it: upload a certificate by `hostquorum certificate \
                 upload {} --cert FILE --key FILE`.",
                self.hostname
            );
        }
        match self.ca {
            None => "There is no CA to order from: add one by `hostquorum ca add`.".to_owned(),
            Some(ca) if !self.registered() => format!(
                "Its order begins when the account at {} is registered, which the leader does by \
                 itself.",
                ca.settings.directory
            ),
            _ => "The leader begins its order by itself, within seconds.".to_owned(),
        }
    }

    /// What holds an order up that is due.
    fn held(&self) -> Vec<String> {
        if !self.record.wants().automatic || self.due.is_none_or(|due| due > self.now) {
            return Vec::new();
        }
        let mut said = Vec::new();
        let ca = self.ca.map(|ca| ca.name.as_str()).unwrap_or_default();
        if let Some((kind, until)) = self.limited {
            said.push(format!(
                "The limit of {ca} on {kind} allows no more before {} (in {}): see `hostquorum \
                 ledger show --ca {ca}`.",
                moment(until),
                span(until.since(self.now))
            ));
        }
        if let Some(pause) = self.pause {
            let pause = pause.trim_end_matches('.');
            said.push(format!(
                "The leader leaves {ca} alone for a moment: {pause}."
            ));
        }
        if self
            .ca
            .is_some_and(|ca| ca.account_url().is_some() && !ca.takes_orders())
        {
            said.push(format!(
                "The key of the account at {ca} is being changed: orders begin again after it."
            ));
        }
        said
    }

    /// What stands in the way beyond the hostname itself.
    fn hindrances(&self) -> Vec<String> {
        let mut said = Vec::new();
        if !self.led {
            said.push(
                "This node knows of no leader, and only a leader obtains certificates: is a \
                 majority of the voters up? See `hostquorum cluster status`."
                    .to_owned(),
            );
        }
        if let Some(pause) = self.paused {
            said.push(format!(
                "Nothing is issued: {} paused issuance at {} ({}): {}. `hostquorum issuance \
                 resume` ends that.",
                pause.by,
                moment(pause.since),
                ago(pause.since, self.now),
                pause.reason.trim_end_matches('.')
            ));
        }
        let told = self.told();
        if !told.is_empty() {
            said.push(format!("The leader says: {}.", told.join("; ")));
        }
        if !self.behind.is_empty() {
            said.push(format!(
                "Not every node serves this state yet: {} {} behind or silent.",
                self.behind.join(", "),
                if self.behind.len() == 1 { "is" } else { "are" }
            ));
        }
        if !self.origin {
            said.push(
                "No origin is set, so requests have nowhere to go: run `hostquorum origin set URL`."
                    .to_owned(),
            );
        }
        said
    }

    /// What the leader says that concerns this hostname: what names it, and, while
    /// there is no account, whatever it says, as that holds up everything.
    fn told(&self) -> Vec<&str> {
        let general = self.valid().is_none() && !self.registered();
        self.progress
            .iter()
            .filter(|line| general || line.contains(self.hostname.as_str()))
            .take(TOLD_MAX)
            .map(|line| line.trim_end_matches('.'))
            .collect()
    }

    fn registered(&self) -> bool {
        self.ca.is_some_and(|ca| ca.account_url().is_some())
    }

    /// When something will be tried: what is overdue is due now.
    fn next_try(&self) -> Option<Timestamp> {
        self.due.map(|due| due.max(self.now))
    }
}
