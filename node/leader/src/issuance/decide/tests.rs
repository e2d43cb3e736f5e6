//! The table of 2.3 of the issuance design: what follows from each situation.

use state::{Term, testing::placed};

use super::*;

fn order(stage: &str) -> Order {
    let placed = placed(state::OrderId(1), "token");
    let unchallenged = state::Placed {
        authorizations: Vec::new(),
        ..placed.clone()
    };
    let stage = match stage {
        "admitted" => Stage::Admitted,
        "prepared" => Stage::Prepared(placed),
        "unchallenged" => Stage::Prepared(unchallenged),
        "ready" => Stage::ReadyIntent(placed),
        "finalize" => Stage::FinalizeIntent(placed),
        other => panic!("no stage {other}"),
    };
    Order {
        epoch: Term(7),
        ..state::testing::order(state::OrderId(1), "shop.example", stage)
    }
}

fn view(status: OrderStatus) -> OrderView {
    OrderView {
        url: String::new(),
        status,
        identifiers: Vec::new(),
        authorization_urls: Vec::new(),
        finalize_url: String::new(),
        certificate_url: None,
        profile: None,
        replaces: None,
        expires: None,
        error: None,
        retry_after: None,
    }
}

/// A line is a stage, what is known, and `=> move`.
#[track_caller]
fn check(line: &str) {
    let (facts, expected) = line.split_once("=>").unwrap();
    let mut facts = facts.split_whitespace();
    let order = order(facts.next().unwrap());
    let problem = Problem::default();
    let mut seen = None;
    let mut situation = Situation {
        order: &order,
        claim: Claim::Holds,
        seen: None,
        telling: Telling::Quiet,
        permitted: false,
        unprepared: false,
        confirmed: false,
        settled: true,
        refused: None,
        expired: false,
        stuck: false,
    };
    for fact in facts {
        match fact {
            "permitted" => situation.permitted = true,
            "unprepared" => situation.unprepared = true,
            "confirmed" => situation.confirmed = true,
            "unseen" => situation.telling = Telling::Unseen,
            "untold" => situation.telling = Telling::Pending,
            "unsettled" => situation.settled = false,
            "expired" => situation.expired = true,
            "stuck" => situation.stuck = true,
            "unclaimed" => situation.claim = Claim::Changed,
            "lapsed" => situation.claim = Claim::Lapsed,
            "refused" => situation.refused = Some(&problem),
            "Pending" => seen = Some(view(OrderStatus::Pending)),
            "Ready" => seen = Some(view(OrderStatus::Ready)),
            "Processing" => seen = Some(view(OrderStatus::Processing)),
            "Valid" => seen = Some(view(OrderStatus::Valid)),
            "Invalid" => seen = Some(view(OrderStatus::Invalid)),
            other => panic!("no fact {other}"),
        }
    }
    situation.seen = seen.as_ref();
    let got = match decide(&situation) {
        Move::Fail(evidence, ..) => format!("Fail {evidence:?}"),
        other => format!("{other:?}"),
    };
    assert_eq!(got, expected.trim(), "{line}");
}

#[test]
fn an_admitted_order_is_placed_under_a_fresh_intent_only() {
    check("admitted => IntendOrder");
    check("admitted permitted => Place");
    check("admitted unprepared => Prepare");
    check("admitted unclaimed => Fail NeverPlaced");
}

#[test]
fn a_prepared_order_waits_for_the_edges_and_then_tells() {
    check("prepared => Look");
    check("prepared Pending => Confirm");
    check("prepared Pending confirmed => IntendReady");
    check("prepared Pending expired => Fail Gone");
    check("prepared Invalid => Bury");
}

#[test]
fn an_order_that_is_born_ready_needs_no_challenge() {
    check("unchallenged => Look");
    check("unchallenged Pending => Poll");
    check("unchallenged Ready => IntendFinalize");
    check("prepared Ready => IntendFinalize");
}

#[test]
fn a_challenge_is_told_under_a_permission_and_told_again_only_if_pending() {
    check("ready permitted => Tell");
    check("ready permitted Pending => Tell");
    check("ready => Look");
    check("ready Pending => Poll");
    check("ready Pending unseen => LookAtChallenges");
    check("ready Pending untold => IntendReady");
    check("ready Pending expired => Fail Gone");
    check("ready Ready => IntendFinalize");
    check("ready Invalid => Bury");
}

#[test]
fn finalize_is_sent_to_a_ready_order_and_again_only_when_all_is_settled() {
    check("finalize => Look");
    check("finalize permitted => Look");
    check("finalize Ready permitted => Finalize");
    check("finalize Ready unsettled => Settle");
    check("finalize Ready => IntendFinalize");
    check("finalize Ready refused => Bury");
    check("finalize Ready refused unsettled => Settle");
    check("finalize Ready expired => Fail Gone");
}

#[test]
fn an_order_that_nobody_wants_any_more_is_dropped_before_finalize() {
    for stage in ["admitted", "prepared", "ready"] {
        for known in ["", "permitted", "Pending", "Ready", "Invalid"] {
            check(&format!("{stage} {known} unclaimed => Fail NeverPlaced"));
            check(&format!("{stage} {known} lapsed => Fail NeverPlaced"));
        }
    }
    check("finalize Ready lapsed => IntendFinalize");
}

#[test]
fn an_order_that_may_be_issued_is_carried_on_whatever_the_claim() {
    check("finalize Processing => Poll");
    check("finalize Processing unclaimed => Poll");
    check("finalize Valid => Download");
    check("finalize Valid unclaimed => Download");
    check("finalize Ready unclaimed unsettled => Settle");
    check("finalize Ready unclaimed => Fail Withdrawn");
    check("finalize Invalid => Bury");
}

#[test]
fn an_order_stuck_at_the_ca_is_given_up_in_the_end() {
    check("finalize Processing stuck => Fail Gone");
    check("finalize Processing expired => Fail Gone");
    check("finalize Processing expired unsettled => Poll");
}

#[test]
fn an_order_that_the_ca_has_further_than_we_know_needs_the_intent_first() {
    check("prepared Processing => IntendFinalize");
    check("ready Valid => IntendFinalize");
    check("finalize Valid permitted => Download");
}
