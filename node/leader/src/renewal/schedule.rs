//! Choosing the moment of a renewal. Pure.

use state::{Certificate, Timestamp, Window};

use crate::issuance::inspect::Fraction;

/// Windows reach so far beyond the moment that the lifetime alone would give, one part of
/// the life in so many: those of Let's Encrypt are a fiftieth wide and centred there.
const BEYOND_PART: u32 = 50;

/// What a CA says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// Renew within that.
    Window(Window),
    /// It advises nothing.
    None,
}

/// What to commit, if the advice is another than the moment was chosen by. `draw` is
/// uniform in 48 bits.
///
/// The moment is drawn from what is left of the window; one that is past means now. A CA
/// that would have us wait for longer than the lifetime's rule is not followed beyond it:
/// what is renewed too late is not served.
pub(super) fn schedule(
    certificate: &Certificate,
    advice: Advice,
    renew: Fraction,
    now: Timestamp,
    draw: u64,
) -> Option<(Timestamp, Option<Window>)> {
    let (from, to) = (certificate.not_before, certificate.not_after);
    let rule = renew.renewal(from, to, from);
    let window = match advice {
        Advice::None if certificate.window.is_some() => return Some((rule, None)),
        Advice::None => return None,
        Advice::Window(window) => window,
    };
    if certificate.window == Some(window) {
        return None;
    }
    let latest = rule.plus(to.since(from) / BEYOND_PART);
    let (start, end) = (window.start.max(now), window.end.min(latest));
    let moment = if window.end <= now {
        now
    } else if start < end {
        drawn(start, end, draw)
    } else {
        rule.max(now)
    };
    Some((moment, Some(window)))
}

fn drawn(start: Timestamp, end: Timestamp, draw: u64) -> Timestamp {
    let width = u128::from(end.as_millis() - start.as_millis());
    let into = (width * u128::from(draw & 0xffff_ffff_ffff)) >> 48;
    Timestamp(start.as_millis() + u64::try_from(into).unwrap_or(0))
}
