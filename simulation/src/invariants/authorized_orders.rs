//! Nothing unasked is ordered (I7): each order at the CA has its own intent, committed
//! before, for a hostname that was authorized at that moment, and proven where that is
//! asked. What is committed is known from the leader that was told so: an intent that the
//! next entry takes back may never be seen in a state.

use std::collections::BTreeMap;

use state::{Hostname, Stage, State};

use super::Invariant;
use crate::deed::Deed;
use crate::dns::STRAY;
use crate::events::{Event, What};
use crate::oracle::Oracle;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct AuthorizedOrders {
    proof: bool,
    intended: BTreeMap<Hostname, usize>,
    ordered: BTreeMap<Hostname, usize>,
}

impl Invariant for AuthorizedOrders {
    fn name(&self) -> &'static str {
        "only what is authorized is ordered"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        match &event.what {
            What::Applied { state, .. } => Self::fits(state),
            What::Did {
                orders: Some(hostname),
                ..
            } => {
                *self.intended.entry(hostname.clone()).or_default() += 1;
                Ok(())
            }
            What::Ca(Deed::Ordered { order, names }) => self.ordered(order, names),
            _ => Ok(()),
        }
    }
}

impl AuthorizedOrders {
    /// Whether hostnames must be proven.
    pub(super) fn new(proof: bool) -> Self {
        Self {
            proof,
            ..Self::default()
        }
    }

    fn fits(state: &State) -> Result<(), String> {
        for order in state
            .orders()
            .filter(|order| order.stage == Stage::Admitted)
        {
            let record = state.hostname(order.hostname.as_str());
            let Some(record) = record.filter(|record| record.claim == order.claim) else {
                return Err(format!(
                    "order {} is intended for {}, which is not claimed at {}",
                    order.id, order.hostname, order.claim
                ));
            };
            if !record.ownership.standing.holds() {
                let hostname = &order.hostname;
                return Err(format!("order {} is for {hostname}, unproven", order.id));
            }
        }
        Ok(())
    }

    fn ordered(&mut self, order: &str, names: &[String]) -> Result<(), String> {
        let [name] = names else {
            return Err(format!("the CA's order {order} is for {names:?}"));
        };
        let hostname = Hostname::parse(name).map_err(|error| error.to_string())?;
        if self.proof && name.starts_with(STRAY) {
            return Err(format!("the CA has an order for {name}, which is nobody's"));
        }
        let intents = self.intended.get(&hostname).copied().unwrap_or_default();
        let ordered = self.ordered.entry(hostname).or_default();
        *ordered += 1;
        if *ordered > intents {
            return Err(format!(
                "the CA has {ordered} orders for {name}, of {intents} that were intended"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use state::{Index, NodeId, Term, testing::host};

    use super::AuthorizedOrders;
    use crate::deed::Deed;
    use crate::events::What;
    use crate::invariants::sample::{admitted, applied, check, violates};

    fn intended(name: &str) -> What {
        What::Did {
            node: NodeId(1),
            term: Term(1),
            index: Index(7),
            orders: Some(host(name)),
        }
    }

    fn ordered(name: &str) -> What {
        What::Ca(Deed::Ordered {
            order: "o".into(),
            names: vec![name.into()],
        })
    }

    #[test]
    fn an_order_needs_an_intent_of_its_own() {
        let state = applied(1, &admitted("a.example"));
        let intended = || intended("a.example");
        check(
            AuthorizedOrders::default(),
            vec![state.clone(), intended(), ordered("a.example")],
        )
        .unwrap();
        violates(
            AuthorizedOrders::default(),
            vec![state.clone(), ordered("a.example")],
            "1 orders for a.example, of 0",
        );
        violates(
            AuthorizedOrders::default(),
            vec![intended(), ordered("a.example"), ordered("a.example")],
            "the CA has 2 orders for a.example, of 1",
        );
        violates(
            AuthorizedOrders::default(),
            vec![state, intended(), ordered("b.example")],
            "1 orders for b.example, of 0",
        );
    }

    #[test]
    fn a_name_that_is_nobodys_is_not_ordered() {
        let proof = AuthorizedOrders::new(true);
        let state = applied(1, &admitted("stray-1.example"));
        violates(proof, vec![state, ordered("stray-1.example")], "nobody's");
    }
}
