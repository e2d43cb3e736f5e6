//! A cluster as text, and what the leader does next.
//!
//! `1v 2l 3-` are members: voter, learner, not in Raft. `!` leaving, `?` not heard of,
//! `*` has kept up, `+` is dead, `k` holds the control key. Node 1 leads and holds it.
//! `all-know-2` is the feature level that every member was heard to know.

use state::{
    Actor, Change, HpkeSealed, InvitationId, Role, Rotation, Term,
    testing::{Alone, ManualClock, START, newcomer},
};
use std::sync::Arc;

use super::*;

struct Cluster {
    alone: Alone,
    configuration: Configuration,
    heard: BTreeSet<NodeId>,
    ready: BTreeSet<NodeId>,
    dead: BTreeSet<NodeId>,
    common: Option<FeatureLevel>,
}

fn sealed() -> HpkeSealed {
    HpkeSealed {
        encapsulated: bytes::Bytes::new(),
        ciphertext: bytes::Bytes::new(),
    }
}

impl Cluster {
    fn parse(text: &str) -> Self {
        let mut cluster = Self {
            alone: Alone::founded(Arc::new(ManualClock::default()), |_| {}),
            configuration: Configuration::default(),
            heard: BTreeSet::new(),
            ready: BTreeSet::new(),
            dead: BTreeSet::new(),
            common: None,
        };
        let take_over = Change::TakeOver { node: NodeId(1) };
        cluster.alone.duty(Term(1), take_over);
        for word in text.split_whitespace() {
            cluster.member(word);
        }
        for word in text.split_whitespace().filter(|word| word.contains('!')) {
            let node = NodeId(word[..1].parse().unwrap());
            let change = Change::RemoveNode { node };
            cluster.alone.apply(Actor::operator("ann"), None, change);
        }
        cluster
    }

    fn member(&mut self, word: &str) {
        if let Some(level) = word.strip_prefix("all-know-") {
            self.common = Some(FeatureLevel(level.parse().unwrap()));
            return;
        }
        let number: u8 = word[..1].parse().unwrap();
        let node = NodeId(number.into());
        if number > 1 {
            self.admit(number);
            self.share(node, KeyPurpose::Serving);
        }
        if word.contains('v') {
            self.configuration.voters.push(node);
        }
        if word.contains('l') {
            self.configuration.learners.push(node);
        }
        if !word.contains('?') {
            self.heard.insert(node);
        }
        if word.contains('*') {
            self.ready.insert(node);
        }
        if word.contains('+') {
            self.dead.insert(node);
        }
        if number > 1 && word.contains('k') {
            self.share(node, KeyPurpose::Control);
        }
    }

    fn admit(&self, number: u8) {
        let invite = Change::CreateInvitation {
            role: Role::Node,
            verifier: [1; 32],
            expires_at: START.plus(Duration::from_secs(60)),
        };
        self.alone.apply(Actor::operator("ann"), None, invite);
        let admit = Change::AdmitNode {
            invitation: InvitationId(u64::from(number) - 1),
            newcomer: newcomer(number),
        };
        self.alone.apply(Actor::node(NodeId(1)), None, admit);
    }

    fn share(&self, node: NodeId, purpose: KeyPurpose) {
        let change = Change::ShareDataKey {
            node,
            purpose,
            generation: 1,
            sealed: sealed(),
        };
        self.alone.duty(Term(1), change);
    }

    fn plan(&self) -> Vec<String> {
        let state = self.alone.state();
        let steps = plan(&Picture {
            state: &state,
            configuration: &self.configuration,
            me: NodeId(1),
            heard: &self.heard,
            ready: &self.ready,
            dead: &self.dead,
            common: self.common,
            successor: None,
            voters_max: 5,
        });
        steps.iter().map(Step::describe).collect()
    }
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(Cluster::parse(text).plan(), expected, "{text}");
}

#[test]
fn one_member_alone_has_nothing_to_do() {
    check("1v", &[]);
}

#[test]
fn an_admitted_member_becomes_a_learner_and_two_members_have_one_voter() {
    check("1v 2-", &["beginning to replicate to node 2"]);
    check("1v 2l*k", &[]);
}

#[test]
fn the_feature_level_rises_when_all_members_know_more() {
    check("1v", &[]);
    check("1v all-know-1", &[]);
    check("1v all-know-2", &["raising the feature level to 2"]);
}

#[test]
fn a_member_that_is_old_or_was_not_heard_lately_keeps_the_feature_level() {
    let cluster = Cluster::parse("1v 2l 3l");
    let state = cluster.alone.state();
    let common = |told: &[(u64, Option<u32>, u64)]| {
        let report = |&(node, level, silent_s): &(u64, Option<u32>, u64)| NodeReport {
            node: NodeId(node),
            published: None,
            clock_offset_ms: 0,
            version: String::new(),
            level: level.map(FeatureLevel),
            faults: Vec::new(),
            draining: false,
            silent: Duration::from_secs(silent_s),
        };
        let reports: Vec<NodeReport> = told.iter().map(report).collect();
        common_level(&Config::default(), &state, &reports).map(|level| level.0)
    };
    let newest = FeatureLevel::NEWEST.0;
    let knows = Some(newest);
    let all = [(1, knows, 0), (2, knows, 1), (3, knows, 1)];
    assert_eq!(common(&all), knows);
    assert_eq!(common(&[all[0], all[1], (3, Some(1), 1)]), Some(1));
    assert_eq!(common(&[all[0], all[1], (3, Some(newest + 1), 1)]), knows);
    assert_eq!(common(&[all[0], all[1], (3, knows, 60)]), None);
    assert_eq!(common(&[all[0], all[1], (3, None, 1)]), None);
    assert_eq!(common(&all[..2]), None);
}

#[test]
fn three_members_become_three_voters_at_once() {
    check(
        "1v 2l* 3l*",
        &[
            "sharing the control key 1 with node 2",
            "sharing the control key 1 with node 3",
        ],
    );
    check("1v 2l*k 3lk", &[]);
    check("1v 2l*k 3l*k", &["making nodes 1, 2, 3 the voters"]);
}

#[test]
fn who_is_not_heard_of_is_not_chosen_while_others_are() {
    check(
        "1v 2l? 3l* 4l*",
        &[
            "sharing the control key 1 with node 3",
            "sharing the control key 1 with node 4",
        ],
    );
}

#[test]
fn voters_are_odd_and_five_at_most() {
    check("1v 2vk 3vk 4l*k", &[]);
    check(
        "1v 2vk 3vk 4l*k 5l*k",
        &["making nodes 1, 2, 3, 4, 5 the voters"],
    );
    check("1v 2vk 3vk 4vk 5vk 6l* 7l*", &[]);
}

#[test]
fn nobody_is_demoted_because_it_is_silent() {
    check("1v 2vk? 3vk", &[]);
    check("1v 2vk? 3vk?", &[]);
}

#[test]
fn who_leaves_loses_its_vote_then_its_place_then_its_record() {
    check("1v 2vk 3vk!", &["making nodes 1, 2 the voters"]);
    check("1v 2vk 3l!", &["taking node 3 out of Raft"]);
    check("1v 2vk 3-!", &["finishing the removal of node 3"]);
}

#[test]
fn nobody_is_forgotten_before_all_that_stay_have_their_keys() {
    check("1v 2v 3-!", &["sharing the control key 1 with node 2"]);
}

#[test]
fn a_ready_learner_takes_the_place_of_who_leaves() {
    check("1v 2vk 3vk! 4l*k", &["making nodes 1, 2, 4 the voters"]);
}

#[test]
fn a_leaving_leader_hands_over_to_a_voter_that_is_heard_of() {
    check("1v! 2vk? 3vk", &["handing leadership to node 3"]);
    check("1v! 2vk? 3vk?", &["handing leadership over"]);
}

#[test]
fn a_leaving_leader_that_votes_alone_makes_another_voter_first() {
    check("1v! 2l", &["sharing the control key 1 with node 2"]);
    check("1v! 2l*k", &["making nodes 1, 2 the voters"]);
}

#[test]
fn a_change_that_another_leader_left_half_done_is_finished_before_all_else() {
    for (members, voters) in [
        ("1v 2-", "1"),
        ("1v 2vk 3vk!", "1, 2"),
        ("1v! 2vk", "1, 2"),
        ("1v 2vk 3vk 4vk 5vk", "1, 2, 3, 4, 5"),
    ] {
        let mut cluster = Cluster::parse(members);
        cluster.configuration.joint = true;
        let expected = format!("making nodes {voters} the voters");
        assert_eq!(cluster.plan(), [expected], "{members}");
    }
}

#[test]
fn keys_that_a_removed_member_knew_are_replaced() {
    let cluster = Cluster::parse("1v 2vk 3-!");
    let change = Change::FinishRemoval { node: NodeId(3) };
    cluster.alone.duty(Term(1), change);
    assert_eq!(
        cluster.plan(),
        ["rotating the serving key", "rotating the control key"]
    );
    let change = Change::RotateDataKey {
        purpose: KeyPurpose::Serving,
        generation: 2,
        sealed_for: vec![(NodeId(1), sealed())],
    };
    cluster.alone.duty(Term(1), change);
    assert_eq!(cluster.plan(), ["sharing the serving key 2 with node 2"]);
}

#[test]
fn a_key_that_an_operator_wants_replaced_is_replaced() {
    let cluster = Cluster::parse("1v 2vk 3vk");
    let of = Rotation::DataKey(KeyPurpose::Control);
    let ask = Change::AskRotation { of };
    cluster.alone.apply(Actor::operator("ann"), None, ask);
    assert_eq!(cluster.plan(), ["rotating the control key"]);
}

#[test]
fn what_lasts_without_a_break_is_steady() {
    let mut steady = Steady::default();
    let (two, none) = (BTreeSet::from([NodeId(2)]), BTreeSet::new());
    let seconds = Duration::from_secs;
    let mut observe = |so, now| steady.observe(so, seconds(2), seconds(now));
    assert_eq!(observe(&two, 10), none);
    assert_eq!(observe(&two, 11), none);
    assert_eq!(observe(&two, 12), two);
    assert_eq!(observe(&none, 13), none);
    assert_eq!(observe(&two, 14), none);
}

#[test]
fn a_dead_member_goes_once_others_can_take_its_place() {
    let removal = "asking for the removal of node 3, which is dead";
    check("1v 2vk 3vk?+ 4l", &[removal]);
    check("1v 2vk 3vk?+ 4lk*", &[removal]);
    check(
        "1v 2vk 3vk 4l?+",
        &["asking for the removal of node 4, which is dead"],
    );
}

#[test]
fn nobody_goes_unasked_where_too_few_would_be_left() {
    check("1v 2vk 3vk?+", &[]);
    // Another is not heard of: it may be this leader that is cut off.
    check("1v 2vk 3vk?+ 4vk? 5vk", &[]);
    check("1v 2vk 3vk?+ 4vk?+ 5vk", &[]);
    // Not dead yet.
    check("1v 2vk 3vk? 4lk", &[]);
    // One at a time.
    check("1v 2vk 3vk?+ 4vk 5vk 6l!", &["taking node 6 out of Raft"]);
}
