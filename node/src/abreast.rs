//! Whether this node has heard of all that the others serve. Only then may it deny
//! what it does not know: a resolver that was told that a challenge is absent tells
//! its CA so, and one that was told nothing asks another node.

use std::sync::Arc;

use cluster::serving::{HEARD_WITHIN, Serving};
use state::{
    NodeId,
    ports::{Leadership, Lease as _, NodeReport, ServingSet as _},
};

use crate::wiring::Rooms;

/// Looks each time that it is asked; never waits.
pub(crate) fn watch(rooms: &Rooms, serving: Arc<Serving>) -> edge::dns::Behind {
    let (me, replica) = (rooms.identity.public.node, rooms.replica.clone());
    Arc::new(move || {
        let leadership = *replica.leadership().borrow();
        let leads = matches!(leadership, Leadership::Leading(term) if replica.holds(term));
        is_behind(me, leadership, leads, &serving.reports())
    })
}

/// True without a leader that is in touch, or once any member says that its edge
/// serves a later state than ours. `leads`: this node does, and a quorum has
/// acknowledged it a moment ago.
fn is_behind(me: NodeId, leadership: Leadership, leads: bool, reports: &[NodeReport]) -> bool {
    let report = |node| reports.iter().find(|report| report.node == node);
    let in_touch = match leadership {
        Leadership::Leading(_) => leads,
        Leadership::Following {
            leader: Some(leader),
            ..
        } => report(leader).is_some_and(|report| report.silent < HEARD_WITHIN),
        Leadership::Following { leader: None, .. } | Leadership::Stopped => false,
    };
    let own = report(me).and_then(|report| report.published);
    !in_touch || reports.iter().any(|report| report.published > own)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use state::{FeatureLevel, Index, Term};

    use super::*;

    fn report(node: u64, published: Option<u64>, silent_ms: u64) -> NodeReport {
        NodeReport {
            node: NodeId(node),
            published: published.map(Index),
            clock_offset_ms: 0,
            version: String::new(),
            level: Some(FeatureLevel::NEWEST),
            faults: Vec::new(),
            draining: false,
            silent: Duration::from_millis(silent_ms),
        }
    }

    #[test]
    fn only_who_is_in_touch_and_up_to_date_may_deny() {
        let term = Term(3);
        let following = |leader| Leadership::Following {
            term,
            leader: Some(NodeId(leader)),
        };
        let alone = Leadership::Following { term, leader: None };
        let level = vec![
            report(1, Some(9), 0),
            report(2, Some(9), 100),
            report(3, None, 60_000),
        ];
        let ahead = vec![report(1, Some(9), 0), report(2, Some(10), 100)];
        let silent = vec![report(1, Some(9), 0), report(2, Some(9), 2000)];
        let cases = [
            (following(2), false, &level, false),
            (following(3), false, &level, true),
            (following(2), false, &ahead, true),
            (following(2), false, &silent, true),
            (alone, false, &level, true),
            (Leadership::Stopped, false, &level, true),
            (Leadership::Leading(term), true, &level, false),
            (Leadership::Leading(term), false, &level, true),
            (Leadership::Leading(term), true, &silent, false),
        ];
        for (leadership, leads, reports, expected) in cases {
            let behind = is_behind(NodeId(1), leadership, leads, reports);
            assert_eq!(behind, expected, "{leadership:?} {leads} {reports:?}");
        }
    }
}
