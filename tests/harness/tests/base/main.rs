//! What every CA does, held by one suite against two of them: the development CA and
//! Pebble. What passes here may be relied on at the CA that the other suites use.
//!
//! Where the two differ and the RFC leaves it open, the suite asks only for what they have
//! in common; the cases say so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on must stop where it stands"
)]

mod accounts;
mod chains;
mod client;
mod external;
mod orders;
mod requests;
mod revocation;
mod site;
mod wildcards;
mod world;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use futures_util::FutureExt as _;
use world::World;

/// A case, and what it holds.
type Case = (
    &'static str,
    for<'a> fn(&'a mut World) -> Pin<Box<dyn Future<Output = ()> + 'a>>,
);

/// A case by the name of its function and the section of RFC 8555.
macro_rules! case {
    ($section:literal, $function:path) => {
        (
            concat!("RFC 8555 ", $section, ": ", stringify!($function)),
            |world| Box::pin($function(world)),
        )
    };
}

const CASES: &[Case] = &[
    case!("6.2", requests::a_signature_of_another_key_is_refused),
    case!("6.3", requests::resources_are_read_by_post),
    case!("6.4", requests::a_request_for_another_url_is_refused),
    case!("6.5", requests::a_spent_nonce_is_refused_with_a_fresh_one),
    case!("7.1.1", requests::the_directory_leads_to_all_that_is_needed),
    case!("7.2", requests::nonces_come_by_head_and_get),
    case!("7.3", accounts::a_key_makes_one_account),
    case!("7.3", accounts::the_terms_must_be_agreed_to),
    case!("7.3.1", accounts::an_account_is_found_by_its_key),
    case!("7.3.2", accounts::contacts_are_changed_and_checked),
    case!("7.3.5", accounts::the_key_is_changed),
    case!("7.3.6", accounts::a_deactivated_account_is_refused),
    case!("7.1.2.1", accounts::the_orders_are_listed),
    case!(
        "7.4",
        orders::a_new_order_is_pending_with_its_authorizations
    ),
    case!("7.4", orders::identifiers_that_are_none_are_refused),
    case!("7.4", orders::a_pending_order_is_not_finalized),
    case!("7.4", orders::an_order_becomes_a_certificate_once),
    case!("7.4", orders::a_request_for_other_names_is_refused),
    case!("7.4", orders::several_names_are_on_one_certificate),
    case!("7.5", orders::an_authorization_shows_its_challenges),
    case!("7.5.1", orders::a_wrong_answer_ends_the_order),
    case!("7.5.1", orders::a_challenge_that_is_done_is_not_begun_again),
    case!("7.5.2", orders::an_authorization_can_be_given_up),
    case!("10.5", orders::strangers_are_refused),
    case!("7.6", revocation::a_certificate_is_revoked_once),
    case!("7.6", revocation::reasons_are_checked),
    case!("7.6", revocation::strangers_do_not_revoke),
    case!("8.4", wildcards::a_wildcard_and_its_base_are_proven_by_dns),
];

/// At CAs that ask for external accounts and offer alternate chains.
const MORE: &[Case] = &[
    case!("7.3.4", external::an_account_needs_the_word_of_another),
    case!("7.4.2", chains::alternate_chains_are_linked),
];

/// Runs all cases, also after one that failed: the difference to a CA is what they tell
/// together.
async fn hold(mut world: World, cases: &[Case]) {
    let mut failed = Vec::new();
    for (name, case) in cases {
        // What a case leaves behind when it fails is only names used up.
        let ended = AssertUnwindSafe(case(&mut world)).catch_unwind().await;
        if ended.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn the_development_ca_does_what_every_ca_does() {
    hold(World::development().await, CASES).await;
}

#[tokio::test]
async fn pebble_does_what_every_ca_does() {
    hold(World::pebble().await, CASES).await;
}

#[tokio::test]
async fn the_development_ca_asks_and_offers_more() {
    hold(World::demanding_development().await, MORE).await;
}

#[tokio::test]
async fn pebble_asks_and_offers_more() {
    hold(World::demanding_pebble().await, MORE).await;
}
