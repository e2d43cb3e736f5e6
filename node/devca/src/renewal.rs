//! Renewal information (RFC 9773): when a certificate should be replaced, and by which
//! order it is.

use std::time::Duration;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use http::StatusCode;
use serde_json::json;

use crate::account::Account;
use crate::behaviour::{RenewalInfo, Window};
use crate::book::Book;
use crate::certificate::Certificate;
use crate::core::Core;
use crate::order::OrderStatus;
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::timestamp::Timestamp;

/// Lives shorter than this are renewed at half of it, others at two thirds.
const SHORT_LIFE: Duration = Duration::from_secs(10 * 24 * 60 * 60);
/// A window that is past began so long ago, and ended half as long ago.
const PAST: Duration = Duration::from_secs(60 * 60);

/// What an order says to replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replacing {
    /// Whether it came within the suggested window, which frees it from all limits.
    pub(crate) in_window: bool,
}

/// A certificate's identifier (RFC 9773 section 4.1): the key identifier of its issuer
/// and its serial number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateId {
    authority: Vec<u8>,
    /// Lower-case hex.
    pub(crate) serial: String,
}

impl CertificateId {
    /// Reads `base64url(AKI) "." base64url(serial)`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (authority, serial) = text.split_once('.')?;
        let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).ok();
        let (authority, serial) = (decode(authority)?, decode(serial)?);
        let empty = authority.is_empty() || serial.is_empty();
        (!empty).then(|| Self {
            authority,
            serial: HEXLOWER.encode(&serial),
        })
    }
}

/// The window of the rule: 2 % of the life wide, centred at two thirds of it, or at half
/// of a short one. At least a second, since the times on the wire count in seconds.
pub(crate) fn suggested(not_before: Timestamp, not_after: Timestamp) -> Window {
    let life = not_after.since(not_before) + Duration::from_secs(1);
    let before_end = if life < SHORT_LIFE {
        life / 2
    } else {
        life / 3
    };
    let centre = not_after.minus(before_end);
    let margin = life / 100;
    let start = centre.minus(margin);
    let end = centre.plus(margin).max(start.plus(Duration::from_secs(1)));
    Window { start, end }
}

/// The window of a certificate that should be replaced at once.
fn past(now: Timestamp) -> Window {
    let start = now.minus(PAST);
    Window {
        start,
        end: start.plus(PAST / 2),
    }
}

impl Book {
    /// The order that stands as the replacement of a certificate, if one does: pending,
    /// ready, processing or valid. One that is invalid or expired does not stand.
    pub(crate) fn replacement(&self, serial: &str, now: Timestamp) -> Option<&str> {
        let orders = self.replacing(serial).filter_map(|id| self.orders.get(id));
        let mut standing = orders.filter(|order| order.status(self, now) != OrderStatus::Invalid);
        standing.next().map(|order| order.id.as_str())
    }
}

impl Core {
    /// RFC 9773 section 4: the suggested window.
    pub(crate) fn renewal_info(&self, id: &str, now: Timestamp) -> Result<Reply, Problem> {
        let not_found = || Problem::not_found(&format!("renewal information of {id:?}"));
        let rules = self.behaviour.renewal_info.as_ref().ok_or_else(not_found)?;
        let certificate = self.by_certificate_id(id)?;
        if rules.missing.contains(&certificate.serial) {
            return Err(not_found());
        }
        let (window, explained) = window(rules, certificate, now);
        let mut body = json!({
            "suggestedWindow": { "start": window.start.to_string(), "end": window.end.to_string() },
        });
        if let Some(url) = rules.explanation_url.as_ref().filter(|_| explained) {
            body["explanationURL"] = url.clone().into();
        }
        Ok(Reply::json(StatusCode::OK, &body).retry_after(rules.retry_after_seconds))
    }

    /// RFC 9773 section 5: checks what a new order says to replace.
    pub(crate) fn replacing(
        &self,
        account: &Account,
        names: &[String],
        id: &str,
        now: Timestamp,
    ) -> Result<Option<Replacing>, Problem> {
        let Some(rules) = &self.behaviour.renewal_info else {
            return Ok(None);
        };
        let certificate = self.by_certificate_id(id)?;
        if let Some(order) = self.book.replacement(&certificate.serial, now) {
            return Err(Problem::new(
                Kind::AlreadyReplaced,
                format!(
                    "cannot indicate an order replaces certificate with serial {:?}, which \
                     already has a replacement order ({order})",
                    certificate.serial
                ),
            ));
        }
        if certificate.account != account.id {
            return Err(Problem::unauthorized(
                "requester account did not request the certificate being replaced by this order",
            ));
        }
        if !names.iter().any(|name| covers(&certificate.names, name)) {
            return Err(Problem::malformed(
                "identifiers in this order do not match any identifiers in the certificate being \
                 replaced",
            ));
        }
        let (window, _) = window(rules, certificate, now);
        Ok(Some(Replacing {
            in_window: window.contains(now),
        }))
    }

    /// The certificate of an RFC 9773 identifier.
    fn by_certificate_id(&self, text: &str) -> Result<&Certificate, Problem> {
        let id = CertificateId::parse(text).ok_or_else(|| {
            Problem::malformed(format!(
                "{text:?} is not the identifier of a certificate (RFC 9773 section 4.1)"
            ))
        })?;
        let ours = id.authority == self.authority.key_identifier();
        let certificate = self.book.certificates.get(&id.serial);
        certificate
            .filter(|_| ours)
            .ok_or_else(|| Problem::not_found(&format!("the certificate {text:?}")))
    }
}

/// Whether a certificate for `names` is good for `name`.
fn covers(names: &[String], name: &str) -> bool {
    let wildcard = name
        .split_once('.')
        .map(|(_, parent)| format!("*.{parent}"));
    names
        .iter()
        .any(|it| it == name || Some(it) == wildcard.as_ref())
}

/// The window of a certificate by these rules, and whether it is one to be explained.
fn window(rules: &RenewalInfo, certificate: &Certificate, now: Timestamp) -> (Window, bool) {
    if let Some(window) = rules.windows.get(&certificate.serial) {
        return (*window, true);
    }
    let incident = rules
        .incident_before
        .is_some_and(|before| certificate.issued.as_unix() < before);
    if incident || certificate.revoked.is_some() {
        return (past(now), incident);
    }
    let window = suggested(certificate.not_before, certificate.not_after);
    (window, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    #[track_caller]
    fn check(life_seconds: u64, centre: u64, width: u64) {
        let begin = Timestamp::from_unix(1_800_000_000);
        let last = begin.plus(Duration::from_secs(life_seconds - 1));
        let Window { start, end } = suggested(begin, last);
        let middle = (start.as_unix() + end.as_unix()) / 2 - begin.as_unix();
        assert!(
            middle.abs_diff(centre) <= 1,
            "{life_seconds}: centre {middle}"
        );
        let found = end.since(start).as_secs();
        assert!(found.abs_diff(width) <= 1, "{life_seconds}: width {found}");
    }

    #[test]
    fn windows_are_two_percent_wide_at_two_thirds_of_a_long_life_and_half_of_a_short() {
        check(90 * DAY, 60 * DAY, 90 * DAY / 50);
        check(45 * DAY, 30 * DAY, 45 * DAY / 50);
        check(160 * 3_600, 80 * 3_600, 160 * 3_600 / 50);
        check(60, 30, 1);
    }

    #[test]
    fn the_identifier_of_rfc_9773_is_read() {
        let id = CertificateId::parse("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE").unwrap();
        assert_eq!(id.serial, "0087654321");
        assert_eq!(id.authority[..3], [0x69, 0x88, 0x5b]);
        for text in ["", ".", "AAAA", "AAAA.", ".AAAA", "AA=.AA", "AA.AA.AA"] {
            assert_eq!(CertificateId::parse(text), None, "{text}");
        }
    }
}
