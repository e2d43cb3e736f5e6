//! What a seed brings: settings and calls.

use super::{Allowance, Call, Scenario, Settings, Task};
use crate::chance::Chance;

/// Few names, so that calls meet.
const NAMES: u64 = 8;

/// A certificate that lives so long at most is renewed within a run.
const SHORT_LIVED: (u64, u64) = (8, 30);

const LONG_LIVED: u64 = 90 * 86_400;

impl Scenario {
    /// All that `seed` brings to a run of `steps`.
    pub fn draw(seed: u64, steps: u64) -> Self {
        let mut chance = Chance::new(seed);
        let settings = settings(&mut chance, seed, steps);
        let calls = calls(&mut chance.fork(), &settings);
        let troubles = super::swarm::draw(&mut chance.fork(), &settings);
        Self {
            settings,
            calls,
            troubles,
        }
    }
}

fn settings(chance: &mut Chance, seed: u64, steps: u64) -> Settings {
    let mut settings = Settings {
        seed,
        steps,
        machines: *chance.pick(&[3, 3, 3, 3, 4, 5, 5, 6, 7]).unwrap_or(&3),
        latency: chance.between(4, 40),
        proof: chance.one_in(3),
        validity: if chance.one_in(2) {
            chance.between(SHORT_LIVED.0, SHORT_LIVED.1)
        } else {
            LONG_LIVED
        },
        boulder: chance.one_in(2),
        orders: None,
    };
    // Not where certificates end before one more is allowed.
    if settings.validity == LONG_LIVED && chance.one_in(2) {
        settings.orders = Some(Allowance {
            burst: *chance.pick(&[4, 6, 8, 12]).unwrap_or(&4),
            refill: chance.between(500, 3000),
        });
    }
    settings
}

fn calls(chance: &mut Chance, settings: &Settings) -> Vec<Call> {
    // A call or more begins in one of so many steps.
    let one_in = chance.between(12, 80);
    let comes_and_goes = chance.one_in(2);
    let mut calls = Vec::new();
    for at in 0..settings.steps {
        if !chance.one_in(one_in) {
            continue;
        }
        for _ in 0..chance.between(1, 4) {
            let task = task(chance, comes_and_goes);
            let node = chance.between(0, 999);
            calls.push(Call { at, node, task });
        }
    }
    calls
}

fn task(chance: &mut Chance, comes_and_goes: bool) -> Task {
    let name = format!("shop-{}", chance.between(1, NAMES));
    let number = chance.between(0, 999);
    match chance.between(0, 999) {
        0..350 => Task::Authorize(name),
        350..365 => Task::Authorize(format!("stray-{}", chance.between(1, 2))),
        365..520 => Task::Remove(name),
        520..730 => Task::Read(name),
        730..780 => Task::Reissue(name),
        780..860 => Task::SetOrigin,
        860..920 => Task::Invite,
        920..955 => Task::Revoke(number),
        955..965 => Task::Spend(number),
        965..980 => Task::Transfer(number),
        980..990 if comes_and_goes => Task::Join,
        990..1000 if comes_and_goes => Task::Expel(number),
        _ => Task::Read(name),
    }
}
