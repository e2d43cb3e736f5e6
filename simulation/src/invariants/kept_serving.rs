//! What a node serves it goes on serving: while a claim stands, its hostname does not lose
//! its certificate, whatever clocks say (I13, I23).

use std::collections::{BTreeMap, BTreeSet};

use state::{Hostname, Index, NodeId};

use super::Invariant;
use crate::events::{Event, What};
use crate::oracle::Oracle;

/// Which claims each node served.
#[derive(Debug, Default)]
pub(super) struct KeptServing(BTreeMap<NodeId, BTreeSet<(Hostname, Index)>>);

impl Invariant for KeptServing {
    fn name(&self) -> &'static str {
        "what is served once is served on"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        let What::Applied { node, state, .. } = &event.what else {
            return Ok(());
        };
        let before = self.0.entry(*node).or_default();
        for (hostname, claim) in before.iter() {
            let record = state.hostname(hostname.as_str());
            let bare = |record: &&state::HostnameRecord| {
                record.claim == *claim
                    && record
                        .certificate
                        .is_none_or(|id| state.certificate(&id).is_none())
            };
            if record.as_ref().is_some_and(bare) {
                return Err(format!(
                    "node {node} has no certificate for {hostname} any more, claimed at {claim}"
                ));
            }
        }
        let served = state.hostnames();
        let served = served.filter(|(_, record)| record.certificate.is_some());
        *before = served
            .map(|(name, record)| (name.clone(), record.claim))
            .collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::KeptServing;
    use crate::invariants::sample::{admitted, applied, check, served, violates};

    #[test]
    fn a_certificate_that_is_lost_is_seen() {
        let (before, (_, after)) = (admitted("a.example"), served("a.example"));
        let events = vec![applied(1, &before), applied(1, &after)];
        check(KeptServing::default(), events).unwrap();
        violates(
            KeptServing::default(),
            vec![applied(1, &after), applied(1, &before)],
            "has no certificate for a.example any more",
        );
    }
}
