//! What goes wrong in a run. Each seed draws which kinds of trouble there are at all, so
//! that runs differ in kind and not only in their moments: one trouble in all runs would
//! hide what shows only without it.

use devca::{ChainFault, Endpoint, Fault, Mishap, RetryAfter, Spoil};

use super::{Plague, Settings, Trouble, Victim, Way};
use crate::chance::Chance;
use crate::disk::Ailment;
use crate::dns::Lie;
use crate::post::Odds;

/// The most troubles of a run.
const MOST: u64 = 9;

const DAY_MS: i64 = 86_400_000;

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cut,
    Shape,
    Stall,
    Crash,
    Blackout,
    Wipe,
    Rot,
    Disk,
    Clock,
    Post,
    SlowLinks,
    Ca,
    CaGone,
    Dns,
}

const KINDS: [Kind; 14] = [
    Kind::Cut,
    Kind::Shape,
    Kind::Stall,
    Kind::Crash,
    Kind::Blackout,
    Kind::Wipe,
    Kind::Rot,
    Kind::Disk,
    Kind::Clock,
    Kind::Post,
    Kind::SlowLinks,
    Kind::Ca,
    Kind::CaGone,
    Kind::Dns,
];

/// The troubles of a run, in the order of time.
pub(super) fn draw(chance: &mut Chance, settings: &Settings) -> Vec<Trouble> {
    let mut kinds: Vec<Kind> = KINDS.into_iter().filter(|_| chance.one_in(3)).collect();
    if kinds.is_empty() {
        kinds = vec![Kind::Crash, Kind::Cut];
    }
    let count = chance.between(1, MOST);
    let steps = settings.steps;
    let mut troubles = Vec::new();
    for _ in 0..count {
        let Some(kind) = chance.pick(&kinds).copied() else {
            continue;
        };
        let longest = (steps / 3).max(1);
        troubles.push(Trouble {
            // Not in the end, so that there is work after it.
            at: chance.between(steps / 20, steps * 3 / 4),
            lasts: chance.between(1.max(longest / 20), longest),
            plague: plague(chance, kind),
        });
    }
    troubles.sort_by_key(|trouble| trouble.at);
    troubles
}

fn victim(chance: &mut Chance) -> Victim {
    if chance.one_in(2) {
        Victim::Leader
    } else {
        Victim::Node(chance.between(0, 999))
    }
}

fn plague(chance: &mut Chance, kind: Kind) -> Plague {
    match kind {
        Kind::Cut => Plague::Cut {
            who: victim(chance),
            way: *chance
                .pick(&[Way::Both, Way::In, Way::Out, Way::OneLink])
                .unwrap_or(&Way::Both),
        },
        Kind::Shape => match chance.between(0, 2) {
            0 => Plague::Halves,
            1 => Plague::Bridge(chance.between(0, 999)),
            _ => Plague::Ring,
        },
        Kind::Stall => Plague::Stall {
            who: victim(chance),
        },
        Kind::Crash => Plague::Crash {
            who: victim(chance),
            amid_write: chance.one_in(2),
            torn: chance.one_in(2),
        },
        Kind::Blackout => Plague::Blackout {
            torn: chance.one_in(2),
        },
        Kind::Wipe => Plague::Wipe {
            who: victim(chance),
        },
        Kind::Rot => Plague::Rot {
            who: victim(chance),
        },
        Kind::Disk => Plague::Disk {
            who: victim(chance),
            ailment: match chance.between(0, 2) {
                0 => Ailment::Fails,
                1 => Ailment::Full,
                _ => Ailment::Slow(chance.between(20, 3000)),
            },
        },
        Kind::Clock => Plague::Clock {
            who: victim(chance),
            off: off(chance),
        },
        Kind::Post => Plague::Post(Odds {
            lost: chance.between(0, 100),
            unanswered: chance.between(0, 100),
            doubled: chance.between(0, 300),
            late: chance.between(0, 300),
        }),
        Kind::SlowLinks => Plague::SlowLinks(chance.between(50, 400)),
        Kind::Ca => Plague::Ca(fault(chance)),
        Kind::CaGone => Plague::CaGone,
        Kind::Dns => Plague::Dns {
            view: u16::try_from(chance.between(0, 3)).unwrap_or_default(),
            lie: *chance
                .pick(&[Lie::Silent, Lie::ServFail, Lie::NxDomain, Lie::Elsewhere])
                .unwrap_or(&Lie::Silent),
        },
    }
}

/// Seconds, hours, or ten years; either way.
fn off(chance: &mut Chance) -> i64 {
    let most = *chance
        .pick(&[2_000, 20_000, DAY_MS / 6, 3650 * DAY_MS])
        .unwrap_or(&2_000);
    let drawn = chance.between(1, most.unsigned_abs());
    let off = i64::try_from(drawn).unwrap_or(most);
    if chance.one_in(2) { off } else { -off }
}

fn fault(chance: &mut Chance) -> Fault {
    let endpoint = *chance
        .pick(&[
            Endpoint::NewNonce,
            Endpoint::NewOrder,
            Endpoint::Order,
            Endpoint::Authorization,
            Endpoint::Challenge,
            Endpoint::Finalize,
            Endpoint::Finalize,
            Endpoint::Certificate,
        ])
        .unwrap_or(&Endpoint::NewOrder);
    Fault {
        endpoint: (!chance.one_in(6)).then_some(endpoint),
        after: 0,
        times: chance.one_in(2).then(|| chance.between(1, 4)),
        per_mille: *chance.pick(&[1000, 1000, 500, 200]).unwrap_or(&1000),
        mishap: mishap(chance, endpoint),
    }
}

fn mishap(chance: &mut Chance, endpoint: Endpoint) -> Mishap {
    let own = match endpoint {
        Endpoint::Order => Some(Mishap::OrderInvalid),
        Endpoint::Challenge => Some(Mishap::Unproven),
        Endpoint::Finalize => Some(Mishap::Spoil(Spoil::Names)),
        Endpoint::Certificate => Some(Mishap::Chain(ChainFault::Foreign)),
        Endpoint::NewOrder => Some(Mishap::LocationElsewhere {
            origin: "https://elsewhere.example".into(),
        }),
        _ => None,
    };
    if let Some(own) = own
        && chance.one_in(5)
    {
        return own;
    }
    match chance.between(0, 9) {
        0 => Mishap::Status {
            status: 500,
            html: chance.one_in(2),
        },
        1 => Mishap::Status {
            status: 503,
            html: false,
        },
        2 => Mishap::StatusAfter { status: 500 },
        3 => Mishap::BadNonce,
        4 => Mishap::RateLimited {
            retry_after: RetryAfter::Seconds(chance.between(1, 4)),
        },
        5 => Mishap::ResetBefore,
        6 => Mishap::ResetAfter,
        7 => Mishap::Truncate {
            bytes: usize::try_from(chance.between(0, 60)).unwrap_or_default(),
        },
        8 => Mishap::SilenceAfter,
        _ => Mishap::Late {
            millis: chance.between(100, 4000),
        },
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;

    #[test]
    fn seeds_differ_in_the_kinds_of_their_troubles() {
        let mut kinds = std::collections::BTreeMap::<String, u32>::new();
        for seed in 0..400 {
            for trouble in Scenario::draw(seed, 1000).troubles {
                assert!(trouble.at <= 750 && (1..=333).contains(&trouble.lasts));
                let text = serde_json::to_string(&trouble.plague).unwrap();
                let kind = text.split(['"']).nth(1).unwrap_or(&text);
                *kinds.entry(kind.to_owned()).or_default() += 1;
            }
        }
        assert!(kinds.len() >= 14, "{kinds:?}");
        assert!(kinds.values().all(|count| *count > 10), "{kinds:?}");
    }
}
