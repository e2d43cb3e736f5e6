//! A leader dies at every point of an account's and an order's way, and its successor at
//! every point of its own: there is always one certificate of each kind that is wanted.

use std::time::Duration;

use leader::{Config, issuance::authority::ChallengeKind};
use state::{Algorithms, KeyAlgorithm, State, Wants};

use crate::world::{Ended, Fate, World};

const NAME: &str = "shop.example";

/// Permission's life and the kernel's patience, less a moment: what was sent may arrive so
/// late.
const LATEST: Duration = Duration::from_millis(5_900);

/// What is ordered, and how it is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// By http-01.
    Plain,
    /// By tls-alpn-01.
    ByTls,
    /// The name and its wildcard on one order, by two dns-01 challenges.
    Wildcard,
    /// The same, and the CA gives an order that it has for another newOrder.
    WildcardReused,
    /// All was proven before.
    Proven,
    /// With a key for RSA.
    Rsa,
    /// One with each kind of key, one after the other.
    Both,
}

impl Shape {
    fn world(self) -> World {
        let world = World::new().with_zone();
        let mut wants = Wants::default();
        match self {
            Self::Plain => {}
            Self::ByTls => world.ca.books().manners.offers = vec![ChallengeKind::TlsAlpn01],
            Self::Wildcard => wants.wildcard = true,
            Self::WildcardReused => {
                wants.wildcard = true;
                world.ca.books().manners.order_reuse = true;
            }
            Self::Proven => world.ca.books().manners.reuse = true,
            Self::Rsa => wants.algorithms = Algorithms::Rsa,
            Self::Both => wants.algorithms = Algorithms::Both,
        }
        world.authorize(NAME, wants);
        world
    }

    fn kinds(self) -> &'static [KeyAlgorithm] {
        match self {
            Self::Rsa => Algorithms::Rsa.each(),
            Self::Both => Algorithms::Both.each(),
            _ => Algorithms::Ecdsa.each(),
        }
    }

    fn served(self, state: &State) -> bool {
        let record = state.hostname(NAME).unwrap();
        let each = |kind: &KeyAlgorithm| record.certificate_of(*kind).is_some();
        record.order.is_none() && self.kinds().iter().all(each)
    }

    /// What must hold when all is over.
    #[track_caller]
    fn check(self, world: &World, deaths: usize, what: &str) {
        let (wanted, what) = (self.kinds().len(), format!("{self:?} {what}"));
        assert_eq!(world.ca.certificates(), wanted, "{what}: certificates");
        let state = world.state();
        assert!(self.served(&state), "{what}: they are served");
        assert_eq!(state.order_count(), 0, "{what}: orders in flight");
        let record = state.hostname(NAME).unwrap();
        assert!(record.failure.is_none(), "{what}: {:?}", record.failure);
        let books = world.ca.books();
        let most = match self {
            Self::WildcardReused => wanted,
            _ => wanted + deaths,
        };
        let orders = books.orders.len();
        assert!(
            orders <= most,
            "{what}: {orders} orders after {deaths} deaths"
        );
        let taken = books.finalizations.iter().filter(|(.., taken)| *taken);
        assert_eq!(taken.count(), wanted, "{what}: finalizes that were taken");
        for id in record.certificates() {
            let served = state.certificate(&id).unwrap();
            assert_eq!(served.wildcard, record.is_wildcard(), "{what}");
        }
    }
}

/// Leaders with these fates, one after the other, and then one that lives. Tells which
/// of them died.
async fn rule(shape: Shape, fates: &[Fate], what: &str) -> usize {
    let (world, deaths) = reign_after_reign(shape, fates, |_| {}).await;
    shape.check(&world, deaths, what);
    deaths
}

async fn reign_after_reign(shape: Shape, fates: &[Fate], edit: fn(&mut Config)) -> (World, usize) {
    let world = shape.world();
    let served = move |state: &State| shape.served(state);
    let mut deaths = 0;
    for fate in fates {
        let mut process = world.lead_with(*fate, edit);
        let mut ended = process.until(served).await;
        if ended == Ended::Reached {
            // The last points come after the certificate is there.
            ended = process.linger(Duration::from_millis(10)).await;
        }
        if ended == Ended::Reached {
            break;
        }
        deaths += 1;
    }
    let mut heir = world.lead_with(Fate::Lives, edit);
    heir.until(served).await;
    // Whatever is still to arrive, arrives.
    heir.linger(Duration::from_secs(60)).await;
    drop(heir);
    (world, deaths)
}

/// How many points a leader passes that begins with nothing.
const POINTS_AT_LEAST: usize = 28;

/// Each death alone.
async fn one_death(shape: Shape, fate: impl Fn(usize) -> Fate) {
    let mut point = 0;
    while rule(shape, &[fate(point)], &format!("{:?}", fate(point))).await == 1 {
        point += 1;
    }
    let least = match shape {
        // Nothing is told, so nothing is intended to be.
        Shape::Proven => POINTS_AT_LEAST - 4,
        _ => POINTS_AT_LEAST,
    };
    assert!(point >= least, "only {point} points were passed");
    println!("{shape:?}: {point} deaths");
}

/// Each death, and each death of the successor after it.
async fn two_deaths(shape: Shape, fate: impl Fn(usize) -> Fate) {
    let (mut first, mut pairs) = (0, 0);
    loop {
        let mut second = 0;
        loop {
            let fates = [fate(first), fate(second)];
            if rule(shape, &fates, &format!("{fates:?}")).await < 2 {
                break;
            }
            second += 1;
        }
        pairs += second;
        if second == 0 {
            break;
        }
        first += 1;
    }
    assert!(
        first >= POINTS_AT_LEAST - 4,
        "only {first} points were passed"
    );
    println!("{shape:?}: {pairs} pairs of deaths");
}

#[tokio::test(start_paused = true)]
async fn one_death_anywhere_leaves_one_certificate() {
    one_death(Shape::Plain, Fate::Dies).await;
}

#[tokio::test(start_paused = true)]
async fn two_deaths_anywhere_leave_one_certificate() {
    two_deaths(Shape::Plain, Fate::Dies).await;
}

#[tokio::test(start_paused = true)]
async fn one_death_anywhere_leaves_one_certificate_by_tls() {
    one_death(Shape::ByTls, Fate::Dies).await;
}

#[tokio::test(start_paused = true)]
async fn two_deaths_anywhere_leave_one_certificate_by_tls() {
    two_deaths(Shape::ByTls, Fate::Dies).await;
}

#[tokio::test(start_paused = true)]
async fn one_death_anywhere_leaves_one_certificate_for_a_name_and_its_wildcard() {
    one_death(Shape::Wildcard, Fate::Dies).await;
    one_death(Shape::WildcardReused, Fate::Dies).await;
}

#[tokio::test(start_paused = true)]
async fn two_deaths_anywhere_leave_one_certificate_for_a_name_and_its_wildcard() {
    two_deaths(Shape::Wildcard, Fate::Dies).await;
}

#[tokio::test(start_paused = true)]
async fn two_deaths_leave_one_order_where_the_ca_gives_the_same_again() {
    two_deaths(Shape::WildcardReused, Fate::Dies).await;
}

#[tokio::test(start_paused = true)]
async fn two_deaths_anywhere_leave_one_certificate_of_what_was_proven_before() {
    two_deaths(Shape::Proven, Fate::Dies).await;
}

#[tokio::test(start_paused = true)]
async fn one_death_anywhere_leaves_one_certificate_of_each_kind_of_key() {
    one_death(Shape::Rsa, Fate::Dies).await;
    one_death(Shape::Both, Fate::Dies).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_leader_had_sent_may_arrive_late() {
    for late in [0, 1_000, 3_000, 5_900].map(Duration::from_millis) {
        for shape in [Shape::Plain, Shape::Wildcard] {
            one_death(shape, |point| Fate::DiesSending(point, late)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_two_dead_leaders_had_sent_may_arrive_late() {
    two_deaths(Shape::Plain, |point| Fate::DiesSending(point, LATEST)).await;
}

#[tokio::test(start_paused = true)]
async fn what_two_dead_leaders_had_sent_for_a_wildcard_may_arrive_late() {
    two_deaths(Shape::Wildcard, |point| Fate::DiesSending(point, LATEST)).await;
}

#[tokio::test(start_paused = true)]
async fn without_the_wait_there_would_be_two() {
    // The matrix above has teeth: this CA does make a second certificate if it is asked.
    let late = Duration::from_millis(500);
    let mut most = 0;
    for point in 0.. {
        let fates = [Fate::DiesSending(point, late)];
        let hasty = |config: &mut Config| config.finalize_wait = Duration::ZERO;
        let (world, deaths) = reign_after_reign(Shape::Plain, &fates, hasty).await;
        if deaths == 0 {
            break;
        }
        most = most.max(world.ca.certificates());
    }
    assert!(most > 1, "{most}");
}
