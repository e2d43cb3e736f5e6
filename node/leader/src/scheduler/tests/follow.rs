//! A queue that followed every change is the one that is read anew.

use std::{collections::BTreeMap, time::Duration};

use state::{
    Change, Evidence, FailureClass, Hostname, Reissue, Timestamp, Wants, Window, testing::host,
};

use super::desk::{DAY, Desk};
use crate::scheduler::{Lane, Pick, Scheduler};

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

fn shown(queue: &Scheduler) -> BTreeMap<Hostname, (Lane, Timestamp)> {
    let jobs = queue.jobs.iter();
    jobs.map(|(name, held)| (name.clone(), (held.job.lane, held.due_at)))
        .collect()
}

fn step(desk: &mut Desk, dice: &mut Dice, in_hand: &mut Vec<Pick>) {
    let name = host(&format!("n{}.example", dice.below(12)));
    let id = desk
        .state
        .hostname(name.as_str())
        .and_then(|record| record.certificate);
    match dice.below(10) {
        0 | 1 => {
            let change = super::desk::authorization("a", name.as_str(), Wants::default());
            desk.apply([change]);
        }
        2 => drop(desk.apply([Change::RemoveHostname {
            hostname: name,
            revision: None,
        }])),
        3 => {
            desk.free = 3;
            in_hand.extend(desk.pick());
        }
        4 | 5 => {
            let Some(pick) = in_hand.pop() else { return };
            if let Ok(order) = desk.admit(&pick) {
                if dice.below(3) == 0 {
                    let next_try = desk.now.plus(Duration::from_secs(600));
                    let (evidence, class) = (Evidence::NeverPlaced, FailureClass::Rejected);
                    let reason = "no".to_owned();
                    desk.apply([Change::FailOrder {
                        order,
                        evidence,
                        class,
                        reason,
                        next_try,
                    }]);
                } else {
                    desk.finish(order);
                }
            }
            desk.queue.ended(&pick.hostname, desk.now);
        }
        6 => {
            let urgency = if dice.below(2) == 0 {
                Reissue::Calm
            } else {
                Reissue::Urgent
            };
            desk.apply([Change::ReissueCertificates {
                hostnames: vec![name],
                urgency,
            }]);
        }
        7 => {
            if let Some(id) = id {
                desk.apply([Change::RevokeCertificate { id, reason: 1 }]);
            }
        }
        8 => {
            if let Some(id) = id {
                let start = desk.now.plus(DAY * u32::try_from(dice.below(9)).unwrap());
                let window = Some(Window {
                    start,
                    end: start.plus(DAY),
                });
                desk.apply([Change::ScheduleRenewal {
                    id,
                    renew_at: start,
                    window,
                }]);
            }
        }
        _ => {
            let days = u32::try_from(dice.below(20)).unwrap();
            desk.now = desk.now.plus(DAY * days / 3);
        }
    }
}

#[test]
fn what_was_followed_is_what_would_be_read() {
    for seed in 1..=20_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut desk = Desk::new(state::CaSettings::default());
        let mut in_hand = Vec::new();
        for number in 0..150 {
            step(&mut desk, &mut dice, &mut in_hand);
            while desk.queue.follow(&desk.state, desk.now) {}
            let mut fresh = Scheduler::default();
            while fresh.follow(&desk.state, desk.now) {}
            let (followed, read) = (shown(&desk.queue), shown(&fresh));
            assert_eq!(followed, read, "seed {seed}, step {number}");
            let places = desk.queue.queue();
            let waiting: usize = places.lanes.iter().sum();
            let held = desk.queue.jobs.keys();
            let held = held.filter(|name| desk.queue.in_hand().contains(*name));
            assert_eq!(waiting + places.resting + held.count(), followed.len());
        }
    }
}
