//! One certificate for one intent (I8), and its key before it (I9): what the CA is asked to
//! finalize was intended, with its key committed; each order of ours has one certificate;
//! and while that is young, nobody obtains another unless somebody asked.

use std::collections::{BTreeMap, BTreeSet};

use state::{Hostname, OrderId, Stage, State};

use super::Invariant;
use crate::deed::Deed;
use crate::events::{Event, What};
use crate::operation::Operation;
use crate::oracle::Oracle;
use crate::scenario::Plague;

/// Clocks within this of each other are taken for right, so that a renewal may come so much
/// too early, in milliseconds.
const TOLERANCE: u64 = 6000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OneCertificate {
    /// How long certificates are valid, in seconds.
    validity: u64,
    /// By the CA's order: ours, once its finalization was intended.
    intended: BTreeMap<String, OrderId>,
    issued: BTreeMap<OrderId, String>,
    /// The last certificate of each name, and when it came.
    last: BTreeMap<String, u64>,
    /// How many more of each name may be wanted, because somebody asked for one or claimed
    /// the name again.
    asked: BTreeMap<String, u64>,
    spoiling: BTreeSet<usize>,
}

impl Invariant for OneCertificate {
    fn name(&self) -> &'static str {
        "one certificate is issued for one intent"
    }

    fn check(&mut self, event: &Event, oracle: &Oracle) -> Result<(), String> {
        match &event.what {
            What::Applied { state, .. } => {
                self.intents(state);
                Ok(())
            }
            What::Asked { operation, .. } => {
                if let Some(name) = wants(operation) {
                    *self.asked.entry(name.as_str().to_owned()).or_default() += 1;
                }
                Ok(())
            }
            What::Answered { op, .. } => {
                // What was refused makes nobody want one.
                let promise = oracle.promise(*op).filter(|it| !it.may_have_happened());
                let name = promise.and_then(|it| wants(&it.operation));
                if let Some(asked) = name.and_then(|name| self.asked.get_mut(name.as_str())) {
                    *asked = asked.saturating_sub(1);
                }
                Ok(())
            }
            What::Troubled { number, plague, .. } => {
                if matches!(plague, Plague::Ca(_)) {
                    self.spoiling.insert(*number);
                }
                Ok(())
            }
            What::Ca(Deed::Finalized { order, accepted }) => match self.intended.get(order) {
                None if *accepted => Err(format!("{order} is finalized, which nobody intended")),
                _ => Ok(()),
            },
            What::Ca(Deed::Issued { order, names, .. }) => self.issued(event.tick, order, names),
            _ => Ok(()),
        }
    }
}

impl OneCertificate {
    /// How long certificates are valid, in seconds.
    pub(super) fn new(validity: u64) -> Self {
        Self {
            validity,
            ..Self::default()
        }
    }

    fn intents(&mut self, state: &State) {
        for order in state.orders() {
            if let Stage::FinalizeIntent(placed) = &order.stage
                && let Some((_, id)) = placed.url.rsplit_once('/')
            {
                self.intended.insert(id.to_owned(), order.id);
            }
        }
    }

    fn issued(&mut self, now: u64, order: &str, names: &[String]) -> Result<(), String> {
        let Some(ours) = self.intended.get(order).copied() else {
            return Err(format!(
                "a certificate came of {order}, which nobody intended"
            ));
        };
        if let Some(other) = self.issued.insert(ours, order.to_owned()) {
            return Err(format!(
                "order {ours} has two certificates, of {other} and {order}"
            ));
        }
        let name = names.join(",");
        let last = self.last.insert(name.clone(), now);
        let until = |last| last + (self.validity * 500).saturating_sub(TOLERANCE);
        if !self.spoiling.is_empty() || last.is_none_or(|last| now >= until(last)) {
            return Ok(());
        }
        let asked = self.asked.entry(name.clone()).or_default();
        if *asked > 0 {
            *asked -= 1;
            return Ok(());
        }
        let age = now - last.unwrap_or_default();
        Err(format!(
            "{name} has another certificate after {age} ms, and nobody asked for it"
        ))
    }
}

/// Whose certificate may be wanted anew because of it.
const fn wants(operation: &Operation) -> Option<&Hostname> {
    match operation {
        Operation::Authorize(name) | Operation::Remove(name) | Operation::Reissue(name) => {
            Some(name)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::OneCertificate;
    use crate::deed::Deed;
    use crate::events::What;
    use crate::invariants::sample::{
        applied, asked, authorize, check, finalizing, refused, violates,
    };

    fn checker() -> OneCertificate {
        OneCertificate::new(90 * 86_400)
    }

    fn issued(order: &str) -> What {
        What::Ca(Deed::Issued {
            serial: "1".into(),
            order: order.into(),
            names: vec!["a.example".into()],
            not_after: 0,
        })
    }

    #[test]
    fn an_intent_brings_one_certificate() {
        let (id, state) = finalizing("a.example");
        let state = applied(1, &state);
        check(checker(), vec![state.clone(), issued(&id)]).unwrap();
        violates(checker(), vec![issued(&id)], "which nobody intended");
        violates(
            checker(),
            vec![state, issued(&id), issued(&id)],
            "has two certificates",
        );
    }

    #[test]
    fn finalizing_without_intent_is_seen() {
        let finalized = What::Ca(Deed::Finalized {
            order: "7".into(),
            accepted: true,
        });
        violates(checker(), vec![finalized], "which nobody intended");
    }

    #[test]
    fn another_certificate_must_be_asked_for() {
        let checker = || {
            let mut checker = checker();
            for ours in 1..=3 {
                let id = state::OrderId(ours);
                checker.intended.insert(ours.to_string(), id);
            }
            checker
        };
        let again = vec![issued("1"), issued("2")];
        violates(checker(), again, "nobody asked for it");
        let asked = asked(1, authorize("a.example"));
        let wanted = vec![issued("1"), asked.clone(), issued("2")];
        check(checker(), wanted).unwrap();
        let in_vain = vec![issued("1"), asked, refused(1, 5), issued("2")];
        violates(checker(), in_vain, "nobody asked for it");
    }
}
