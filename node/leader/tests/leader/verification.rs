//! No order but for a hostname that is proven to be its tenant's and points here.

use std::time::Duration;

use leader::verification::answer::Kind;
use state::{
    Actor, Change, DnsZone, FailureClass, HostnameRecord, OwnershipPolicy, OwnershipToken, Proof,
    ProofMethod, State, Tenant, Wants, ZoneSettings,
    command::Authorize,
    testing::{ca_name, host},
};

use crate::{
    looks::HERE,
    world::{Ended, Fate, Process, World, served},
};

const NAME: &str = "shop.client.com";
const TXT: &str = "_hostquorum.shop.client.com";
const DAY: Duration = Duration::from_secs(86_400);

/// A world whose zone wants proofs.
fn proving() -> World {
    let world = World::new();
    let settings = ZoneSettings {
        ownership: OwnershipPolicy::Proof,
        edge_domain: Some(host("edge.example")),
        addresses: vec![HERE.parse().unwrap()],
        dns: Some(DnsZone {
            name: host("acme.edge.example"),
            nameservers: Vec::new(),
        }),
        caa_open: false,
    };
    decide(
        &world,
        Change::SetZone {
            settings: Box::new(settings),
            revision: None,
        },
    );
    world
}

fn decide(world: &World, change: Change) {
    let applied = world.alone.apply(Actor::operator("ann"), None, change);
    applied.outcome.into_result().unwrap();
}

fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

fn authorize(world: &World, tenant_name: &str, name: &str) {
    authorize_with(world, tenant_name, name, Wants::default());
}

fn authorize_with(world: &World, tenant_name: &str, name: &str, wants: Wants) {
    let authorize = Authorize {
        hostname: host(name),
        tenant: tenant(tenant_name),
        token: token(tenant_name),
        wants,
        on_demand: false,
    };
    decide(world, Change::AuthorizeHostname(Box::new(authorize)));
}

fn token(tenant_name: &str) -> OwnershipToken {
    OwnershipToken([tenant_name.as_bytes()[0]; 16])
}

fn txt(tenant_name: &str) -> String {
    format!("hostquorum-verify={}", token(tenant_name).to_text())
}

fn target(world: &World, tenant_name: &str) -> String {
    world.state().tenant_target(&tenant(tenant_name)).unwrap()
}

/// The name is a CNAME to the tenant's target, and so comes here.
fn point(world: &World, tenant_name: &str) {
    let target = target(world, tenant_name);
    world
        .book
        .write(NAME, Kind::A, &format!("CNAME {target} | {HERE}"));
    world
        .book
        .write(NAME, Kind::Aaaa, &format!("CNAME {target} | nothing"));
}

fn record(state: &State) -> &HostnameRecord {
    state.hostname(NAME).unwrap()
}

fn fault(state: &State) -> &str {
    record(state).ownership.fault.as_deref().unwrap_or_default()
}

fn reason(state: &State) -> &str {
    let failure = record(state).failure.as_deref();
    failure.map_or("", |failure| &failure.reason)
}

fn stands(standing: Proof) -> impl Fn(&State) -> bool {
    move |state| record(state).ownership.standing == standing
}

/// A leader that looks around seldom, for months are to pass.
fn lead(world: &World) -> Process {
    world.lead_with(Fate::Lives, |config| config.tick = Duration::from_secs(600))
}

async fn serve(world: &World) -> Process {
    authorize(world, "acme", NAME);
    point(world, "acme");
    let mut leader = lead(world);
    assert_eq!(leader.until(served(NAME)).await, Ended::Reached);
    leader
}

#[tokio::test(start_paused = true)]
async fn where_an_operators_word_is_enough_nothing_is_looked_up() {
    let world = World::new();
    world.alone.authorize(NAME);
    let mut leader = lead(&world);
    leader.until(served(NAME)).await;
    assert_eq!(world.book.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hostname_is_ordered_for_once_it_is_proven() {
    let world = proving();
    authorize(&world, "acme", NAME);
    let mut leader = lead(&world);
    leader.until(|state| !fault(state).is_empty()).await;
    let state = world.state();
    let said = fault(&state);
    assert!(said.starts_with("txt_missing, cname_elsewhere, "), "{said}");
    assert!(said.contains("the owner of the name must act"), "{said}");
    assert_eq!(world.ca.books().orders.len(), 0);
    point(&world, "acme");
    leader.until(served(NAME)).await;
    let standing = record(&world.state()).ownership.standing;
    assert_eq!(standing, Proof::Proven(ProofMethod::Cname));
    world.check_one_certificate(NAME, "proven");
}

#[tokio::test(start_paused = true)]
async fn a_proof_that_is_gone_lapses_before_the_renewal_and_what_is_served_stays() {
    let world = proving();
    let mut leader = serve(&world).await;
    world.book.write(NAME, Kind::A, "192.0.2.80");
    world.book.write(NAME, Kind::Aaaa, "nothing");
    // Two thirds of 90 days: longer than one wait.
    while leader.linger(DAY).await == Ended::Reached && !stands(Proof::Lapsed)(&world.state()) {}
    let state = world.state();
    assert!(
        fault(&state).contains("cname_elsewhere"),
        "{}",
        fault(&state)
    );
    assert!(record(&state).certificate.is_some(), "it is still served");
    assert_eq!(world.ca.books().orders.len(), 1, "and not ordered for");
    let first = record(&state).certificate;
    point(&world, "acme");
    leader
        .until(|state| record(state).certificate != first)
        .await;
    assert_eq!(world.ca.books().orders.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_seen_does_not_lapse() {
    let world = proving();
    let mut leader = serve(&world).await;
    let first = record(&world.state()).certificate;
    world.book.blind(true);
    leader.linger(29 * DAY).await;
    leader.linger(29 * DAY).await;
    leader.until(|state| !reason(state).is_empty()).await;
    let state = world.state();
    assert!(reason(&state).starts_with("unseen"), "{}", reason(&state));
    let failure = record(&state).failure.as_deref().unwrap();
    assert_eq!((failure.class, failure.count), (FailureClass::Preflight, 0));
    assert!(record(&state).ownership.standing.holds());
    leader.linger(8 * DAY).await;
    assert!(!record(&world.state()).failure.as_deref().unwrap().parked);
    world.book.blind(false);
    leader
        .until(|state| record(state).certificate != first)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_another_tenant_had_needs_the_txt_record() {
    let world = proving();
    let mut leader = serve(&world).await;
    let remove = Change::RemoveHostname {
        hostname: host(NAME),
        revision: None,
    };
    decide(&world, remove);
    authorize(&world, "beta", NAME);
    // Left behind, or pointed here by whoever has only the address.
    point(&world, "beta");
    leader.until(|state| !fault(state).is_empty()).await;
    let said = fault(&world.state()).to_owned();
    assert!(said.contains("another_tenant_needs_txt"), "{said}");
    assert!(record(&world.state()).certificate.is_none());
    world.book.write(TXT, Kind::Txt, &txt("beta"));
    leader.until(served(NAME)).await;
    let standing = record(&world.state()).ownership.standing;
    assert_eq!(standing, Proof::Proven(ProofMethod::Txt));
    assert_eq!(world.state().tombstones().count(), 0);
}

fn contest(world: &World) {
    let change = Change::ContestHostname {
        hostname: host(NAME),
        tenant: tenant("beta"),
        token: token("beta"),
    };
    decide(world, change);
}

#[tokio::test(start_paused = true)]
async fn a_contest_is_won_by_the_txt_record_and_by_nothing_less() {
    let world = proving();
    let mut leader = serve(&world).await;
    contest(&world);
    point(&world, "beta");
    let told = |state: &State| {
        let contest = record(state).contest();
        contest.is_some_and(|contest| contest.fault.is_some())
    };
    leader.until(told).await;
    assert_eq!(record(&world.state()).tenant, tenant("acme"));
    world.book.write(TXT, Kind::Txt, &txt("beta"));
    leader
        .until(|state| record(state).tenant == tenant("beta"))
        .await;
    let state = world.state();
    assert!(record(&state).contest().is_none());
    assert_eq!(
        record(&state).ownership.standing,
        Proof::Proven(ProofMethod::Txt)
    );
}

#[tokio::test(start_paused = true)]
async fn a_contest_that_is_not_won_in_a_week_is_over() {
    let world = proving();
    let mut leader = serve(&world).await;
    contest(&world);
    leader.linger(6 * DAY).await;
    assert!(record(&world.state()).contest().is_some());
    leader
        .until(|state| record(state).contest().is_none())
        .await;
    assert_eq!(record(&world.state()).tenant, tenant("acme"));
    leader.linger(DAY).await;
    assert_eq!(world.ca.books().orders.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_points_elsewhere_is_parked_and_resumes_by_itself() {
    let world = proving();
    authorize(&world, "acme", NAME);
    world.book.write(TXT, Kind::Txt, &txt("acme"));
    world.book.write(NAME, Kind::A, "192.0.2.80");
    world.book.write(NAME, Kind::Aaaa, "nothing");
    let mut leader = lead(&world);
    leader.until(|state| !reason(state).is_empty()).await;
    let said = reason(&world.state()).to_owned();
    assert!(said.starts_with("points_elsewhere; "), "{said}");
    leader.linger(6 * DAY).await;
    let parked = |state: &State| {
        let failure = record(state).failure.as_deref();
        failure.is_some_and(|failure| failure.parked)
    };
    assert!(!parked(&world.state()));
    leader.until(parked).await;
    let asked = world.book.asked();
    leader.linger(10 * DAY).await;
    let looks = (world.book.asked() - asked) / 6;
    assert!((9..=11).contains(&looks), "daily: {looks}");
    assert_eq!(world.ca.books().orders.len(), 0);
    point(&world, "acme");
    leader.until(served(NAME)).await;
    assert_eq!(world.ca.books().orders.len(), 1);
}

async fn deferred(world: &World) -> String {
    authorize(world, "acme", NAME);
    let mut leader = lead(world);
    leader.until(|state| !reason(state).is_empty()).await;
    assert_eq!(world.ca.books().orders.len(), 0);
    let state = world.state();
    assert!(record(&state).ownership.standing.holds());
    reason(&state).to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_address_elsewhere_is_seen_before_the_ca_meets_it() {
    let world = proving();
    point(&world, "acme");
    world.book.write(TXT, Kind::Txt, &txt("acme"));
    world.book.write(NAME, Kind::Aaaa, "2001:db8::66");
    let said = deferred(&world).await;
    assert!(said.starts_with("ipv6_elsewhere; "), "{said}");
    assert!(said.contains("there is 2001:db8::66"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn caa_records_that_forbid_the_ca_are_seen_before_it_is_asked() {
    let world = proving();
    point(&world, "acme");
    let settings = state::CaSettings {
        caa_identities: vec!["ca.example".to_owned()],
        ..state::testing::found().ca.unwrap().settings
    };
    let change = Change::PutCa {
        name: ca_name(),
        settings: Box::new(settings),
        revision: None,
    };
    decide(&world, change);
    world
        .book
        .write("client.com", Kind::Caa, "other-ca.example");
    let said = deferred(&world).await;
    assert!(said.starts_with("caa_other; "), "{said}");
    assert!(said.contains("client.com CAA"), "{said}");
    assert!(said.contains("0 issue \"ca.example\""), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_wildcard_needs_the_txt_record_and_the_delegation() {
    let world = proving();
    let wants = Wants {
        wildcard: true,
        ..Wants::default()
    };
    authorize_with(&world, "acme", NAME, wants);
    point(&world, "acme");
    world.book.write(TXT, Kind::Txt, &txt("acme"));
    let mut leader = lead(&world);
    leader.until(|state| !reason(state).is_empty()).await;
    let said = reason(&world.state()).to_owned();
    assert!(said.starts_with("not_delegated; "), "{said}");
    let delegation = world.state().delegation(NAME).unwrap();
    assert!(said.contains(&delegation), "{said}");
}

#[tokio::test(start_paused = true)]
async fn claims_are_looked_at_some_at_once_and_whoever_left_costs_little() {
    let world = proving();
    for number in 0..40 {
        let authorize_ = Authorize {
            hostname: host(&format!("n{number}.client.com")),
            tenant: tenant("acme"),
            token: token("acme"),
            wants: Wants::default(),
            on_demand: false,
        };
        decide(&world, Change::AuthorizeHostname(Box::new(authorize_)));
    }
    let leader = lead(&world);
    leader.linger(20 * DAY).await;
    assert_eq!(world.book.most_claims(), 5);
    let asked = world.book.asked();
    leader.linger(10 * DAY).await;
    let each = (world.book.asked() - asked) / 4 / 40;
    assert!((9..=11).contains(&each), "{each} looks a name in ten days");
    assert_eq!(world.ca.books().orders.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_name_whose_orders_fail_is_parked_after_twenty() {
    let world = World::new();
    world.ca.books().manners.unconvinced = Some("unauthorized");
    world.alone.authorize(NAME);
    let mut leader = lead(&world);
    leader
        .until(|state| {
            let failure = record(state).failure.as_deref();
            failure.is_some_and(|failure| failure.parked)
        })
        .await;
    let state = world.state();
    let failure = record(&state).failure.as_deref().unwrap();
    assert_eq!(
        (failure.class, failure.count),
        (FailureClass::Challenge, 20)
    );
    assert_eq!(world.ca.books().orders.len(), 20);
    world.ca.books().manners.unconvinced = None;
    leader.until(served(NAME)).await;
}
