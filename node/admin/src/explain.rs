//! Why a hostname is as it is, in sentences for whoever was woken by it: what is
//! so, since when, what happens next by itself, and what to do if it should not
//! wait.

#[cfg(test)]
mod tests;
mod words;

use state::{
    Ca, Certificate, Failure, FailureClass, Hostname, HostnameRecord, Order, Stage, Timestamp,
};

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
    pub(crate) certificate: Option<&'a Certificate>,
    pub(crate) order: Option<&'a Order>,
    pub(crate) ca: Option<&'a Ca>,
    /// What the leader says about its work, if this node leads.
    pub(crate) progress: &'a [String],
    /// Somebody leads, as far as this node knows.
    pub(crate) led: bool,
    /// An origin is set.
    pub(crate) origin: bool,
    /// Names of the nodes that do not serve the present state yet.
    pub(crate) behind: &'a [String],
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
    if let Some(order) = situation.order {
        said.push(situation.order(order));
    } else if let Some(failure) = &situation.record.failure {
        said.push(situation.failure(failure));
    } else if situation.valid().is_none() {
        said.push(situation.waiting());
    }
    said.extend(situation.hindrances());
    Answer {
        summary: said.join(" "),
        next_try: situation.next_try(),
    }
}

impl Situation<'_> {
    /// The certificate, if it is valid now.
    fn valid(&self) -> Option<&Certificate> {
        self.certificate
            .filter(|certificate| certificate.is_valid_at(self.now))
    }

    fn standing(&self) -> String {
        let name = self.hostname;
        match (self.valid(), self.certificate) {
            (Some(certificate), _) => {
                let renewal = if self.order.is_some() || self.record.failure.is_some() {
                    String::new()
                } else {
                    format!(
                        ", and its renewal begins at {}",
                        moment(certificate.renew_at)
                    )
                };
                format!(
                    "{name} is live: its certificate {} from {} is valid until {} ({} left){renewal}.",
                    certificate.serial_hex(),
                    certificate.issuer,
                    moment(certificate.not_after),
                    span(certificate.not_after.since(self.now)),
                )
            }
            (None, Some(certificate)) if certificate.not_after <= self.now => format!(
                "{name} is not live: its certificate ended at {} ({}).",
                moment(certificate.not_after),
                ago(certificate.not_after, self.now),
            ),
            (None, Some(certificate)) => format!(
                "{name} is not live: its certificate is valid only from {}; \
                 does this node's clock go right?",
                moment(certificate.not_before),
            ),
            (None, None) => format!(
                "{name} is not live: it was authorized {} and has no certificate yet.",
                ago(self.record.authorized_at, self.now),
            ),
        }
    }

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
        let what = if self.valid().is_some() {
            "Its renewal"
        } else {
            "The last order"
        };
        let times = match failure.count {
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
        match self.ca {
            Some(ca) if !self.registered() => format!(
                "Its order begins when the account at {} is registered, which the leader does by \
                 itself.",
                ca.settings.directory
            ),
            _ => "The leader begins its order by itself, within seconds.".to_owned(),
        }
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
