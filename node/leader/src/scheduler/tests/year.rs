//! Weeks of orders under Let's Encrypt's limits, on a clock of their own: what the queue
//! begins is asked of the limits of the rehearsal CA, which count by themselves.
//!
//! `HOSTQUORUM_ORDERS` says how many orders; `make schedule-year` takes a hundred thousand.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use devca::{
    Limits, Moment,
    limits::{Admission, Exemption, Meter},
};
use state::{
    CaSettings, Change, Evidence, FailureClass, OrderId, Preset, Timestamp, Wants, Window,
    testing::{START, ca_name, placed},
};

use tokio::time::Instant;

use super::desk::{DAY, Desk, TERM};
use crate::scheduler::{Pick, Scheduler};

const PLACES: usize = 32;
/// Boulder's: for so long a set of names counts as known.
const SET_KNOWN: Duration = Duration::from_secs(120 * 86_400);
/// How often the queue is looked at.
const LOOK: Duration = Duration::from_secs(18);
/// How late an order may begin after its moment.
const LATE_MOST: Duration = Duration::from_secs(300);

/// The CA: its limits, and what it knows of sets of names.
struct Boulder {
    limits: Limits,
    meter: Meter,
    issued: HashMap<String, Timestamp>,
    windows: HashMap<String, Window>,
    refused: Vec<String>,
    orders: usize,
}

impl Boulder {
    fn knows(&self, name: &str, now: Timestamp) -> bool {
        let issued = self.issued.get(name);
        issued.is_some_and(|at| now.since(*at) < SET_KNOWN)
    }

    fn new_order(&mut self, pick: &Pick, now: Timestamp) {
        self.orders += 1;
        let names = [pick.hostname.to_string()];
        let window = pick.replaces.and(self.windows.get(&names[0]));
        let exemption = if window.is_some_and(|window| window.contains(now)) {
            Exemption::RenewalWindow
        } else if self.knows(&names[0], now) {
            Exemption::SameSet
        } else {
            Exemption::None
        };
        let admission = Admission {
            account: "ours",
            names: &names,
            exemption,
        };
        if let Err(denial) = self.meter.admit(&self.limits, admission, moment(now)) {
            self.refused.push(format!("{}: {denial:?}", names[0]));
        }
    }

    fn issue(&mut self, name: &str, now: Timestamp) {
        let known = self.knows(name, now);
        let names = [name.to_owned()];
        self.meter.issued(&self.limits, &names, known, moment(now));
        self.issued.insert(name.to_owned(), now);
        self.windows.remove(name);
    }
}

fn moment(at: Timestamp) -> Moment {
    Moment::from_unix_millis(at.as_millis())
}

/// Chance, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The CA has the order.
    Placed(OrderId),
    /// It issues, or finds the challenge wanting.
    Judged(OrderId),
}

struct Weeks {
    desk: Desk,
    ca: Boulder,
    dice: Dice,
    events: BinaryHeap<Reverse<(Timestamp, Event)>>,
    in_flight: HashMap<OrderId, Pick>,
    latest: Duration,
    renewals: usize,
    failures: usize,
}

/// `old` names with certificates that are to be renewed within `spread`, as many new ones.
fn begin(size: u64, spread: Duration) -> Weeks {
    let mut desk = Desk::new(CaSettings::default());
    let mut ca = Boulder {
        limits: Limits::production(),
        meter: Meter::default(),
        issued: HashMap::new(),
        windows: HashMap::new(),
        refused: Vec::new(),
        orders: 0,
    };
    let seconds = spread.as_secs();
    for number in 0..size {
        let renew_at = START.plus(Duration::from_secs(seconds * number / size + 3_600));
        desk.now = renew_at.minus(DAY * 60);
        let name = format!("old{number}.customer{}.com", number % 4_001);
        let id = desk.served(&name);
        if number % 3 == 0 {
            let window = Window {
                start: renew_at.minus(DAY / 2),
                end: renew_at.plus(DAY),
            };
            desk.apply([Change::ScheduleRenewal {
                id,
                renew_at,
                window: Some(window),
            }]);
            ca.windows.insert(name.clone(), window);
        }
        ca.issued.insert(name, desk.now);
    }
    desk.now = START;
    let settings = CaSettings {
        directory: desk.state.ca("test-ca").unwrap().settings.directory.clone(),
        terms_agreed: true,
        limits: Preset::LetsEncrypt.settings().limits,
        ..CaSettings::default()
    };
    let settings = Box::new(settings);
    desk.apply([Change::PutCa {
        name: ca_name(),
        settings,
        revision: None,
    }]);
    for number in 0..size {
        // One tenant has most of them, and some share a domain.
        let tenant = if number % 5 == 0 {
            format!("t{}", number % 97)
        } else {
            "big".to_owned()
        };
        let name = match number % 200 {
            0 => format!("new{number}.platform.com"),
            _ => format!("shop.new{number}.com"),
        };
        desk.authorize(&tenant, &name, Wants::default());
    }
    desk.queue = Scheduler::default();
    Weeks {
        desk,
        ca,
        dice: Dice(0x5eed),
        events: BinaryHeap::new(),
        in_flight: HashMap::new(),
        latest: Duration::ZERO,
        renewals: 0,
        failures: 0,
    }
}

impl Weeks {
    fn run(&mut self, until: Timestamp) {
        let mut takeover = START.plus(DAY);
        while self.desk.now < until {
            if takeover <= self.desk.now {
                takeover = takeover.plus(DAY);
                self.take_over();
            }
            self.order();
            let look = self.desk.now.plus(LOOK);
            // What happens until somebody looks again: with room for more, at once.
            while let Some(Reverse((at, _))) = self.events.peek()
                && *at <= look
                && let Some(Reverse((at, event))) = self.events.pop()
            {
                self.desk.now = at.max(self.desk.now);
                self.happen(event);
            }
            self.desk.now = self.desk.now.max(look);
        }
    }

    /// Another leader reads the state anew.
    fn take_over(&mut self) {
        self.desk.queue = Scheduler::default();
        for pick in self.in_flight.values() {
            self.desk.queue.begun(pick.hostname.clone());
        }
    }

    fn order(&mut self) {
        self.desk.free = PLACES - self.in_flight.len();
        self.desk.kept = 4;
        for pick in self.desk.pick() {
            if let Some(replaced) = pick.replaces {
                let due = self.desk.state.certificate(&replaced).unwrap().renew_at;
                self.latest = self.latest.max(self.desk.now.since(due));
                self.renewals += 1;
            }
            let order = self.desk.admit(&pick).expect("what is picked is admitted");
            let after = Duration::from_millis(200 + self.dice.below(1_000));
            self.at(after, Event::Placed(order));
            self.in_flight.insert(order, pick);
        }
    }

    fn at(&mut self, after: Duration, event: Event) {
        self.events
            .push(Reverse((self.desk.now.plus(after), event)));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Placed(order) => {
                // The CA counts when it answers, a moment before we have committed it.
                self.ca.new_order(&self.in_flight[&order], self.desk.now);
                self.desk.now = self
                    .desk
                    .now
                    .plus(Duration::from_millis(self.dice.below(300)));
                let placed = placed(order, "token");
                self.desk.apply([Change::PrepareOrder { order, placed }]);
                let after = Duration::from_secs(2 + self.dice.below(20));
                self.at(after, Event::Judged(order));
            }
            Event::Judged(order) => {
                let pick = self.in_flight.remove(&order).unwrap();
                let name = pick.hostname.as_str();
                if self.dice.below(100) < 3 {
                    self.failures += 1;
                    let now = moment(self.desk.now);
                    self.ca.meter.failed(&self.ca.limits, "ours", name, now);
                    self.desk.apply([Change::FailOrder {
                        order,
                        evidence: Evidence::Invalid,
                        class: FailureClass::Challenge,
                        reason: "no answer".to_owned(),
                        next_try: self.desk.now.plus(Duration::from_secs(60)),
                    }]);
                } else {
                    self.ca.issue(name, self.desk.now);
                    self.desk.install(order);
                }
                self.desk.queue.ended(&pick.hostname, self.desk.now);
            }
        }
    }
}

#[test]
fn weeks_of_orders_meet_no_limit_and_renewals_are_in_time() {
    let said = std::env::vars().find(|(name, _)| name == "HOSTQUORUM_ORDERS");
    let orders: u64 = said.map_or(10_000, |(_, orders)| orders.parse().unwrap());
    let size = orders / 2;
    // What the account allows is 2,400 new names a day.
    let spread = (DAY * 60 * u32::try_from(orders).unwrap() / 100_000).max(DAY * 2);
    let begun = Instant::now();
    let mut weeks = begin(size, spread);
    let prepared = begun.elapsed();
    assert_eq!(weeks.desk.state.epoch().term, TERM);
    let begun = Instant::now();
    weeks.run(START.plus(spread + Duration::from_secs(7_200)));
    let state = &weeks.desk.state;
    let waiting: Vec<_> = state
        .hostnames()
        .filter(|(_, record)| record.certificate.is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    println!(
        "{} orders in {} days ({} renewals, {} failed validations): {} refused, renewals at \
         most {:?} late, {} new names left; {prepared:?} to prepare, {:?} to run",
        weeks.ca.orders,
        spread.as_secs() / DAY.as_secs(),
        weeks.renewals,
        weeks.failures,
        weeks.ca.refused.len(),
        weeks.latest,
        waiting.len(),
        begun.elapsed(),
    );
    assert_eq!(weeks.ca.refused, Vec::<String>::new());
    assert!(weeks.latest < LATE_MOST, "{:?}", weeks.latest);
    assert!(u64::try_from(weeks.renewals).unwrap() >= size);
    let crowded = |name: &&str| name.ends_with(".platform.com");
    let others = waiting.iter().filter(|name| !crowded(name)).count();
    // Those whose last try failed a minute ago may still wait.
    assert!(others < 5, "{others} of {}", waiting.len());
}
