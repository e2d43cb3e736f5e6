//! When several views of DNS are one fact.

use super::answer::{Answer, Look, Outcome, Sighting, Vantage};

/// How many must say the same.
///
/// A CA asks from several places of the world, and any of them may meet any server of the
/// zone. So whoever answers must agree; and enough must answer, or one resolver that is
/// lied to would decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// How many recursive resolvers must answer, from 1.
    pub recursive: usize,
    /// Whether a server of the zone itself must answer. Off only where the network lets no
    /// DNS out but to the resolvers: a stale cache is then taken for the truth.
    pub authoritative: bool,
}

impl Agreement {
    /// A majority of `resolvers`, and the zone itself.
    pub fn majority(resolvers: usize) -> Self {
        Self {
            recursive: resolvers / 2 + 1,
            authoritative: true,
        }
    }

    /// Weighs `look` by `holds`.
    pub fn weigh(&self, look: &Look, holds: impl Fn(&Answer) -> bool) -> Opinion {
        let (answered, silent): (Vec<&Sighting>, Vec<&Sighting>) = look
            .sightings
            .iter()
            .partition(|sighting| sighting.answer.outcome.is_answer());
        if let Some(unseen) = self.unseen(&answered, &silent) {
            return Opinion::Unseen(unseen);
        }
        let (yes, no): (Vec<&Sighting>, Vec<&Sighting>) = answered
            .into_iter()
            .partition(|sighting| holds(&sighting.answer));
        match (yes.is_empty(), no.is_empty()) {
            (false, true) => Opinion::Yes,
            (true, _) => Opinion::No,
            (false, false) => Opinion::Split(Split {
                yes: vantages(&yes),
                no: vantages(&no),
            }),
        }
    }

    fn unseen(&self, answered: &[&Sighting], silent: &[&Sighting]) -> Option<Unseen> {
        let recursive = answered
            .iter()
            .filter(|sighting| sighting.vantage.is_recursive())
            .count();
        let authoritative = answered.len() > recursive;
        let enough = recursive >= self.recursive && (authoritative || !self.authoritative);
        (!enough).then(|| Unseen {
            answered: recursive,
            needed: self.recursive,
            authoritative,
            faults: silent
                .iter()
                .map(|sighting| (sighting.vantage.clone(), sighting.answer.outcome.clone()))
                .collect(),
        })
    }
}

/// What the views come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// It holds for all that answered.
    Yes,
    /// It holds for none.
    No,
    /// It holds for some: a change is on its way, or servers differ.
    Split(Split),
    /// Too few answered.
    Unseen(Unseen),
}

/// Who says what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// For these it holds.
    pub yes: Vec<Vantage>,
    /// For these it does not.
    pub no: Vec<Vantage>,
}

/// Why nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// Recursive resolvers that answered.
    pub answered: usize,
    /// How many must.
    pub needed: usize,
    /// Whether a server of the zone answered.
    pub authoritative: bool,
    /// Who did not, and why.
    pub faults: Vec<(Vantage, Outcome)>,
}

impl Unseen {
    /// True if the name's own servers are at fault, not our resolvers or our network:
    /// DNSSEC is broken, or the resolvers are reached and can find nothing.
    pub fn by_zone(&self) -> bool {
        let of_zone = |outcome: &Outcome| {
            matches!(
                outcome,
                Outcome::ServFail | Outcome::Bogus | Outcome::Lame | Outcome::Forbidden(_)
            )
        };
        self.faults.iter().any(|(_, outcome)| of_zone(outcome))
    }

    /// True if DNSSEC is broken.
    pub fn bogus(&self) -> bool {
        self.faults
            .iter()
            .any(|(_, outcome)| *outcome == Outcome::Bogus)
    }

    /// Who failed how, in one line.
    pub fn have(&self) -> String {
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|(vantage, outcome)| format!("{vantage}: {outcome}"))
            .collect();
        if faults.is_empty() {
            "nobody was asked".to_owned()
        } else {
            faults.join("; ")
        }
    }
}

fn vantages(sightings: &[&Sighting]) -> Vec<Vantage> {
    sightings
        .iter()
        .map(|sighting| sighting.vantage.clone())
        .collect()
}
