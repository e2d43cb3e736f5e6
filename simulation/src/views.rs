//! The nodes as seen from outside: where each stands, and whom it follows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use state::ports::Leadership;
use state::{Index, NodeId, State};

use crate::digest::Digest;

/// What is known of each node.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) leadership: Option<Leadership>,
    pub(crate) applied: Option<(Index, Digest)>,
    pub(crate) state: Option<Arc<State>>,
    /// The generation on disk that it was applied to.
    pub(crate) generation: Option<u64>,
}

impl View {
    /// Whom `node` believes to lead.
    pub(crate) fn leader(&self, node: NodeId) -> Option<NodeId> {
        self.leadership
            .and_then(|leadership| leadership.leader(node))
    }

    /// The term that `node` leads in, if it does.
    fn leads(&self) -> Option<state::Term> {
        match self.leadership {
            Some(Leadership::Leading(term)) => Some(term),
            _ => None,
        }
    }
}

/// Whether `node` serves customers by `state`: not if it was taken out, or asked to leave, or
/// does not take part yet.
pub(crate) fn takes_part(state: &State, node: NodeId) -> bool {
    let stays = state.member(node).is_some_and(|member| !member.leaving);
    stays && (state.voters().contains(&node) || state.learners().contains(&node))
}

/// All nodes, as seen from outside.
#[derive(Debug, Default)]
pub(crate) struct Views(pub(crate) BTreeMap<NodeId, View>);

impl Views {
    pub(crate) fn of(&mut self, node: NodeId) -> &mut View {
        self.0.entry(node).or_default()
    }

    /// Who leads in the latest term that anybody leads in.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        let leaders = self
            .0
            .iter()
            .filter_map(|(node, view)| Some((view.leads()?, *node)));
        leaders.max().map(|(_, node)| node)
    }

    /// The state of whoever has applied the most.
    pub(crate) fn latest(&self) -> Arc<State> {
        let states = self.0.values().filter_map(|view| view.state.as_ref());
        let latest = states.max_by_key(|state| state.index());
        latest.cloned().unwrap_or_default()
    }

    /// Where all stand, if all stand at one place at or after `least` under one leader.
    pub(crate) fn converged(&self, least: Index) -> Option<(Index, Digest)> {
        let views = self.0.iter();
        let leaders: BTreeSet<_> = views.map(|(node, view)| view.leader(*node)).collect();
        let (mut places, agreed) = (self.0.values().map(|view| view.applied), leaders.len() == 1);
        let place = places.next()??;
        let alike = places.all(|other| other == Some(place));
        (agreed && !leaders.contains(&None) && alike && place.0 >= least).then_some(place)
    }

    /// In words, for whoever must find out why not.
    pub(crate) fn describe(&self) -> String {
        let node = |(node, view): (&NodeId, &View)| {
            let applied = view.applied.map_or_else(
                || "nothing".to_owned(),
                |(index, digest)| format!("{index} {digest}"),
            );
            format!("node {node} applied {applied}, {:?}", view.leadership)
        };
        self.0.iter().map(node).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use state::Term;

    use super::*;

    fn view(index: u64, leader: Option<u64>) -> View {
        let leadership = Leadership::Following {
            term: Term(1),
            leader: leader.map(NodeId),
        };
        let digest = Digest::of_state(&State::default());
        View {
            leadership: Some(leadership),
            applied: Some((Index(index), digest)),
            state: None,
            generation: None,
        }
    }

    #[test]
    fn alike_means_one_index_and_one_leader() {
        let converged = |views: [&View; 3]| {
            let views = views.map(View::clone);
            Views((1..).map(NodeId).zip(views).collect())
                .converged(Index(7))
                .map(|(index, _)| index.0)
        };
        let leader = View {
            leadership: Some(Leadership::Leading(Term(1))),
            ..view(7, None)
        };
        let (alike, further) = (view(7, Some(1)), view(8, Some(1)));
        assert_eq!(converged([&leader, &alike, &alike]), Some(7));
        assert_eq!(converged([&leader, &alike, &further]), None);
        let (alone, other) = (view(7, None), view(7, Some(2)));
        assert_eq!(converged([&leader, &alike, &alone]), None);
        assert_eq!(converged([&leader, &alike, &other]), None);
        let unknown = View::default();
        assert_eq!(converged([&unknown, &alike, &alike]), None);
        let (behind, lacking) = (view(6, Some(1)), view(6, Some(1)));
        let leading = View {
            leadership: leader.leadership,
            ..view(6, None)
        };
        let lacks = "lacks what was promised";
        assert_eq!(converged([&leading, &behind, &lacking]), None, "{lacks}");
    }
}
