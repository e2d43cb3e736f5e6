//! Pages of a listing, and the opaque tokens that lead from one to the next.
//!
//! A token names the last entry that was looked at and the filter it belongs to,
//! so that a listing that goes on while entries come and go skips none that stayed
//! and shows none twice. It carries a checksum: one that was cut or mixed up is
//! refused rather than believed.

use data_encoding::BASE64URL_NOPAD;
use state::{BucketKey, CertificateId, Hostname, InvitationId};

use crate::{limits, problem::Problem};

/// Bumped when what is inside a token changes.
const VERSION: u8 = 1;

/// Longest token taken: the key of a bucket (a CA's name, and a set of two hostnames
/// of 253 bytes) and the frame, as base64url.
const TOKEN_MAX: usize = 800;

/// A filter in 32 bits, to tell one listing's tokens from another's. Parts are told
/// apart, so that `a`,`b` is not `ab`.
pub(crate) fn filter<'a>(parts: impl IntoIterator<Item = &'a str>) -> u32 {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(part.as_bytes());
        bytes.push(0);
    }
    checksum(&bytes)
}

/// How many entries a page may have, from what the caller asked.
pub(crate) fn size(asked: i32) -> Result<usize, Problem> {
    if asked == 0 {
        return Ok(limits::PAGE_SIZE);
    }
    usize::try_from(asked)
        .ok()
        .filter(|size| *size <= limits::PAGE_SIZE_MAX)
        .ok_or_else(|| {
            let message = format!(
                "{asked} is no page size; it is 1 to {}, or 0 for {}",
                limits::PAGE_SIZE_MAX,
                limits::PAGE_SIZE
            );
            Problem::field("page_size", message)
        })
}

/// The token after which `hostname` was the last entry looked at under `filter`.
pub(crate) fn hostnames_token(filter: u32, last: &Hostname) -> String {
    seal(Kind::Hostnames(filter), last.as_str().as_bytes())
}

/// The hostname after which the page begins; none for the first page.
pub(crate) fn hostnames_after(token: &str, filter: u32) -> Result<Option<Hostname>, Problem> {
    after_hostname(token, Kind::Hostnames(filter))
}

/// The token after which `last` was the last hostname looked at for a reissue.
pub(crate) fn reissue_token(filter: u32, last: &Hostname) -> String {
    seal(Kind::Reissue(filter), last.as_str().as_bytes())
}

/// The hostname after which a reissue goes on; none at its beginning.
pub(crate) fn reissue_after(token: &str, filter: u32) -> Result<Option<Hostname>, Problem> {
    after_hostname(token, Kind::Reissue(filter))
}

/// The token after which `last` was the last hostname whose numbers were told.
pub(crate) fn stats_token(last: &Hostname) -> String {
    seal(Kind::Stats, last.as_str().as_bytes())
}

/// The hostname after which numbers are told; none at the beginning.
pub(crate) fn stats_after(token: &str) -> Result<Option<Hostname>, Problem> {
    after_hostname(token, Kind::Stats)
}

fn after_hostname(token: &str, kind: Kind) -> Result<Option<Hostname>, Problem> {
    let Some(last) = open(token, kind)? else {
        return Ok(None);
    };
    let text = String::from_utf8(last).map_err(|_| strange())?;
    let hostname = Hostname::parse(&text).map_err(|_| strange())?;
    Ok(Some(hostname))
}

/// The token after which `last` was the last certificate looked at under `filter`.
pub(crate) fn certificates_token(filter: u32, last: CertificateId) -> String {
    seal(Kind::Certificates(filter), &last.0)
}

/// The certificate after which the page begins; none for the first page.
pub(crate) fn certificates_after(
    token: &str,
    filter: u32,
) -> Result<Option<CertificateId>, Problem> {
    let Some(last) = open(token, Kind::Certificates(filter))? else {
        return Ok(None);
    };
    let bytes = last.try_into().map_err(|_| strange())?;
    Ok(Some(CertificateId(bytes)))
}

/// The token after which `last` was the last bucket looked at under `filter`.
pub(crate) fn buckets_token(filter: u32, last: &BucketKey) -> String {
    let kind = last.kind.as_str();
    let text = format!("{}\n{kind}\n{}", last.ca, last.key);
    seal(Kind::Buckets(filter), text.as_bytes())
}

/// The bucket after which the page begins; none for the first page.
pub(crate) fn buckets_after(token: &str, filter: u32) -> Result<Option<BucketKey>, Problem> {
    let Some(last) = open(token, Kind::Buckets(filter))? else {
        return Ok(None);
    };
    let text = String::from_utf8(last).map_err(|_| strange())?;
    let mut parts = text.splitn(3, '\n');
    let (Some(ca), Some(kind), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(strange());
    };
    Ok(Some(BucketKey {
        ca: ca.parse().map_err(|_| strange())?,
        kind: state::LimitKind::parse(kind).ok_or_else(strange)?,
        key: key.into(),
    }))
}

/// The token after which `last` was the last entry.
pub(crate) fn invitations_token(last: InvitationId) -> String {
    seal(Kind::Invitations, &last.0.to_be_bytes())
}

/// The invitation after which the page begins; none for the first page.
pub(crate) fn invitations_after(token: &str) -> Result<Option<InvitationId>, Problem> {
    let Some(last) = open(token, Kind::Invitations)? else {
        return Ok(None);
    };
    let bytes = last.try_into().map_err(|_| strange())?;
    Ok(Some(InvitationId(u64::from_be_bytes(bytes))))
}

/// Which listing a token belongs to.
#[derive(Clone, Copy)]
enum Kind {
    /// Under a filter.
    Hostnames(u32),
    Invitations,
    /// Under a filter.
    Certificates(u32),
    /// Under a filter.
    Buckets(u32),
    /// Of the certificates that these conditions mean.
    Reissue(u32),
    Stats,
}

impl Kind {
    fn frame(self) -> [u8; 6] {
        let (kind, filter) = match self {
            Self::Hostnames(filter) => (1, filter),
            Self::Invitations => (2, 0),
            Self::Certificates(filter) => (3, filter),
            Self::Buckets(filter) => (4, filter),
            Self::Reissue(filter) => (5, filter),
            Self::Stats => (6, 0),
        };
        let [a, b, c, d] = filter.to_be_bytes();
        [VERSION, kind, a, b, c, d]
    }
}

fn seal(kind: Kind, last: &[u8]) -> String {
    let mut bytes = kind.frame().to_vec();
    bytes.extend_from_slice(last);
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    BASE64URL_NOPAD.encode(&bytes)
}

fn open(token: &str, kind: Kind) -> Result<Option<Vec<u8>>, Problem> {
    if token.is_empty() {
        return Ok(None);
    }
    if token.len() > TOKEN_MAX {
        return Err(strange());
    }
    let bytes = BASE64URL_NOPAD
        .decode(token.as_bytes())
        .map_err(|_| strange())?;
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or_else(strange)?;
    if checksum(body).to_be_bytes() != *sum {
        return Err(strange());
    }
    let last = body.strip_prefix(&kind.frame()).ok_or_else(|| {
        let message =
            "the page token belongs to another listing: give it back with the same filter";
        Problem::field("page_token", message)
    })?;
    Ok(Some(last.to_vec()))
}

fn strange() -> Problem {
    let message = "not a page token of ours: give back what the last page gave, unchanged";
    Problem::field("page_token", message)
}

/// FNV-1a: against accidents, not against malice, as a token opens nothing that
/// its bearer could not list anyway.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_page_has_no_token() {
        assert_eq!(hostnames_after("", 3).unwrap(), None);
        assert_eq!(invitations_after("").unwrap(), None);
    }

    #[test]
    fn a_token_of_another_listing_is_refused() {
        let token = hostnames_token(3, &Hostname::parse("shop.example").unwrap());
        assert!(hostnames_after(&token, 0).is_err());
        assert!(invitations_after(&token).is_err());
        assert!(hostnames_after(&invitations_token(InvitationId(1)), 0).is_err());
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(size(0).unwrap(), limits::PAGE_SIZE);
        assert_eq!(size(1).unwrap(), 1);
        assert_eq!(size(1000).unwrap(), 1000);
        assert!(size(1001).is_err());
        assert!(size(-1).is_err());
        assert!(size(i32::MIN).is_err());
    }

    proptest! {
        #[test]
        fn a_token_leads_back_to_its_entry(label in "[a-z]{1,60}", filter in any::<u32>()) {
            let name = Hostname::parse(&format!("{label}.example")).unwrap();
            let token = hostnames_token(filter, &name);
            prop_assert_eq!(hostnames_after(&token, filter).unwrap(), Some(name));
        }

        #[test]
        fn certificates_and_buckets_lead_back_too(id in any::<[u8; 32]>(), label in "[a-z]{1,60}") {
            let id = CertificateId(id);
            prop_assert_eq!(certificates_after(&certificates_token(7, id), 7).unwrap(), Some(id));
            prop_assert!(certificates_after(&certificates_token(7, id), 8).is_err());
            let key = BucketKey {
                ca: "le".parse().unwrap(),
                kind: state::LimitKind::Sets,
                key: format!("{label}.example,*.{label}.example").into(),
            };
            prop_assert_eq!(buckets_after(&buckets_token(7, &key), 7).unwrap(), Some(key));
        }

        #[test]
        fn invitations_lead_back_too(id in any::<u64>()) {
            let id = InvitationId(id);
            prop_assert_eq!(invitations_after(&invitations_token(id)).unwrap(), Some(id));
        }

        #[test]
        fn a_strange_token_is_refused_and_never_a_panic(token in ".{1,900}") {
            prop_assert!(hostnames_after(&token, 0).is_err());
            prop_assert!(invitations_after(&token).is_err());
            prop_assert!(certificates_after(&token, 0).is_err());
            prop_assert!(buckets_after(&token, 0).is_err());
        }

        #[test]
        fn one_changed_byte_is_noticed(at in 0usize..30, by in 1u8..=255) {
            let token = hostnames_token(0, &Hostname::parse("shop.client.example").unwrap());
            let mut bytes = BASE64URL_NOPAD.decode(token.as_bytes()).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= by;
            prop_assert!(hostnames_after(&BASE64URL_NOPAD.encode(&bytes), 0).is_err());
        }
    }
}
