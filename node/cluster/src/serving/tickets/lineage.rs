//! A secret of session tickets and all that follow from it, one an epoch. Pure: the time
//! is an argument.
//!
//! Each secret gives the next by HKDF and is wiped then: whoever takes a node learns
//! nothing of what was sealed two epochs ago.

use std::{fmt, time::Duration};

use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use proto::peer::v1 as wire;
use state::{Secret, TicketSecrets, Timestamp};
use zeroize::Zeroizing;

use crate::{
    data_key::KeyBytes,
    entropy::{Entropy, random},
};

/// How long one secret seals. What is sealed is opened for as long again, so that a visitor
/// who comes back within a working day resumes, and a secret that leaks opens no more than
/// twelve hours of TLS 1.2.
pub(super) const EPOCH: Duration = Duration::from_secs(6 * 3600);

/// Most steps at once, some 27 years: a message that names a more ancient epoch must not
/// keep a core busy. As many take some ten milliseconds.
const STEPS_MAX: u64 = 40_000;

/// Which secret a node has. Those of one generation are ordered, and the first of them is
/// the one that all nodes end with: what has lasted longer is in more tickets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::serving) struct Name {
    pub(super) generation: u32,
    begun_ms: u64,
    id: [u8; 16],
}

/// Epochs that a clock lies outside of: it cannot use this lineage, others may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfTime;

/// The oldest secret that still opens; all later ones follow from it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Lineage {
    pub(super) name: Name,
    epoch: u64,
    secret: KeyBytes,
}

impl Name {
    pub(in crate::serving) fn read(message: &wire::TicketLineage) -> Option<Self> {
        Some(Self {
            generation: message.generation,
            begun_ms: message.begun_ms,
            id: message.id[..].try_into().ok()?,
        })
    }

    pub(in crate::serving) fn message(self) -> wire::TicketLineage {
        wire::TicketLineage {
            generation: self.generation,
            begun_ms: self.begun_ms,
            id: self.id.to_vec().into(),
        }
    }
}

impl Lineage {
    /// A new one.
    pub(super) fn begin(generation: u32, now: Timestamp, entropy: &dyn Entropy) -> Self {
        Self {
            name: Name {
                generation,
                begun_ms: now.as_millis(),
                id: random(entropy),
            },
            epoch: epoch_at(now).saturating_sub(1),
            secret: KeyBytes::generate(entropy),
        }
    }

    /// As another node has it; `None` if it gave none.
    pub(super) fn read(message: &wire::ShareTicketSecretReply) -> Option<Self> {
        Some(Self {
            name: Name::read(message.lineage.as_ref()?)?,
            epoch: message.epoch,
            secret: KeyBytes::from_slice(&message.secret)?,
        })
    }

    /// For another node.
    pub(super) fn message(&self) -> wire::ShareTicketSecretReply {
        wire::ShareTicketSecretReply {
            lineage: Some(self.name.message()),
            epoch: self.epoch,
            secret: self.secret.expose().to_vec().into(),
        }
    }

    /// Steps on to the epoch before the present one, and wipes all before that.
    ///
    /// # Errors
    /// The clock was set back since, or is very far ahead. There is no way back: a node
    /// whose clock was ahead for a while must ask the others again.
    pub(super) fn advance(&mut self, now: Timestamp) -> Result<(), OutOfTime> {
        let present = epoch_at(now);
        if present < self.epoch || present - self.epoch > STEPS_MAX {
            return Err(OutOfTime);
        }
        while self.epoch + 1 < present {
            self.secret = next(&self.secret);
            self.epoch += 1;
        }
        Ok(())
    }

    /// What seals and opens at `now`, to which it has advanced. The next epoch's secret is
    /// among it: the clocks of others may be a little ahead.
    pub(super) fn secrets(&self, now: Timestamp) -> TicketSecrets {
        let sealing = epoch_at(now);
        let mut secrets = Vec::with_capacity(3);
        let mut secret = self.secret.clone();
        for epoch in self.epoch..=sealing + 1 {
            let following = next(&secret);
            secrets.push((epoch, Secret::new(secret.expose().to_vec())));
            secret = following;
        }
        let opens_until = Duration::from_millis((sealing + 2).saturating_mul(millis(EPOCH)));
        TicketSecrets {
            sealing,
            opens_until: Timestamp(0).plus(opens_until),
            secrets,
        }
    }
}

fn epoch_at(now: Timestamp) -> u64 {
    now.as_millis() / millis(EPOCH)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::expect_used,
    reason = "HKDF refuses only outputs of more than 255 hashes; this is one"
)]
fn next(secret: &KeyBytes) -> KeyBytes {
    let mut following = Zeroizing::new([0; 32]);
    Prk::new_less_safe(HKDF_SHA256, secret.expose())
        .expand(&[b"hostquorum ticket epoch 1"], HKDF_SHA256)
        .and_then(|expanded| expanded.fill(&mut following[..]))
        .expect("one hash is not too much");
    KeyBytes::from(following)
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.id;
        let id = u32::from_be_bytes([a, b, c, d]);
        write!(f, "{}.{}.{id:08x}", self.generation, self.begun_ms)
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lineage({:?} at {})", self.name, self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    /// The moment in the middle of an epoch.
    fn at(epoch: u64) -> Timestamp {
        Timestamp(epoch * millis(EPOCH) + millis(EPOCH) / 2)
    }

    fn begun(epoch: u64) -> Lineage {
        Lineage::begin(1, at(epoch), &SystemEntropy)
    }

    fn epochs(lineage: &Lineage, now: u64) -> Vec<u64> {
        let secrets = lineage.secrets(at(now)).secrets;
        secrets.iter().map(|(epoch, _)| *epoch).collect()
    }

    #[test]
    fn nodes_that_step_at_other_times_have_the_same_secrets() {
        let mut one = begun(100);
        let mut other = Lineage::read(&one.message()).unwrap();
        for epoch in 101..110 {
            one.advance(at(epoch)).unwrap();
        }
        other.advance(at(109)).unwrap();
        assert_eq!(one, other);
        assert_eq!(one.secrets(at(109)), other.secrets(at(109)));
    }

    #[test]
    fn what_is_before_the_previous_epoch_is_gone_and_no_two_are_equal() {
        let mut lineage = begun(100);
        let first = lineage.secrets(at(100));
        assert_eq!(epochs(&lineage, 100), [99, 100, 101]);
        lineage.advance(at(101)).unwrap();
        assert_eq!(epochs(&lineage, 101), [100, 101, 102]);
        let second = lineage.secrets(at(101));
        for epoch in [100, 101] {
            assert_eq!(first.of(epoch), second.of(epoch));
        }
        assert_ne!(second.of(100), second.of(101));
        assert_eq!((second.of(99), second.of(103)), (None, None));
        assert_ne!(
            Some(lineage.secret.expose().as_slice()),
            first.of(99).map(Secret::expose)
        );
    }

    #[test]
    fn a_ticket_opens_for_one_to_two_epochs_on_every_node() {
        let lineage = begun(100);
        let secrets = lineage.secrets(at(100));
        assert_eq!(secrets.sealing, 100);
        assert_eq!(
            secrets.opens_until,
            Timestamp(102 * millis(EPOCH)),
            "the end of the next epoch"
        );
    }

    #[test]
    fn clocks_that_are_up_to_an_epoch_apart_open_each_others_tickets() {
        let mut behind = begun(100);
        let mut ahead = behind.clone();
        behind.advance(at(100)).unwrap();
        ahead.advance(at(101)).unwrap();
        let (behind, ahead) = (behind.secrets(at(100)), ahead.secrets(at(101)));
        let theirs = ahead.of(ahead.sealing);
        assert_eq!(behind.of(ahead.sealing), theirs);
        assert_eq!(
            ahead.of(behind.sealing),
            behind.of(behind.sealing),
            "and the other way"
        );
    }

    #[test]
    fn a_clock_that_was_set_back_a_little_goes_on_and_one_set_back_far_does_not() {
        let mut lineage = begun(100);
        lineage.advance(at(103)).unwrap();
        assert_eq!(lineage.advance(at(102)), Ok(()));
        assert_eq!(epochs(&lineage, 102), [102, 103]);
        assert_eq!(lineage.advance(at(101)), Err(OutOfTime));
    }

    #[test]
    fn steps_are_bounded_in_both_directions() {
        let mut lineage = begun(100);
        let before = lineage.clone();
        assert_eq!(lineage.advance(at(99 + STEPS_MAX + 1)), Err(OutOfTime));
        assert_eq!(lineage, before, "nothing was lost");
        assert_eq!(lineage.advance(at(99 + STEPS_MAX)), Ok(()));
        lineage.epoch = u64::MAX;
        assert_eq!(lineage.advance(at(100)), Err(OutOfTime));
    }

    #[test]
    fn what_another_node_says_is_read_with_care() {
        let good = begun(100).message();
        let broken = |harm: fn(&mut wire::ShareTicketSecretReply)| {
            let mut message = good.clone();
            harm(&mut message);
            Lineage::read(&message)
        };
        assert_eq!(broken(|_| {}).unwrap().message(), good);
        assert_eq!(broken(|message| message.lineage = None), None);
        assert_eq!(
            broken(|message| message.secret = message.secret.slice(1..)),
            None
        );
        assert_eq!(
            broken(|message| message.lineage.as_mut().unwrap().id = vec![0; 17].into()),
            None
        );
    }

    #[test]
    fn no_secret_is_shown() {
        let lineage = begun(100);
        let secret = format!("{:?}", &lineage.secret.expose()[..8]);
        let secret = secret.trim_matches(['[', ']']);
        for shown in [
            format!("{lineage:?}"),
            format!("{:?}", lineage.message()),
            format!("{:?}", lineage.secrets(at(100))),
        ] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
