//! dns-01 (RFC 8555 section 8.4): a TXT record at `_acme-challenge`.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;

use super::nameserver::LookUpText;
use crate::problem::{Kind, Problem};
use crate::step::Validation;

/// Values told to the client when none is right.
const TOLD: usize = 3;

/// Looks for the digest of the key authorization among the texts of the name.
pub(super) async fn probe(
    texts: Option<&dyn LookUpText>,
    validation: &Validation,
) -> Result<(), Problem> {
    let name = format!("_acme-challenge.{}", validation.hostname);
    let failed = |kind, fault: &str| Problem::new(kind, format!("dns-01 at {name}: {fault}"));
    let texts = texts.ok_or_else(|| {
        failed(
            Kind::Dns,
            "this CA is configured with no DNS server to ask (Probing::texts)",
        )
    })?;
    let found = texts
        .texts(&name)
        .await
        .map_err(|error| failed(Kind::Dns, &error.to_string()))?;
    let digest = digest(&SHA256, validation.key_authorization.as_bytes());
    let expected = BASE64URL_NOPAD.encode(digest.as_ref());
    if found.contains(&expected) {
        return Ok(());
    }
    if found.is_empty() {
        return Err(failed(Kind::Unauthorized, "no TXT record found"));
    }
    let shown: Vec<_> = found.iter().take(TOLD).collect();
    let fault = format!(
        "none of {} TXT records is the digest of the key authorization; found {shown:?}",
        found.len()
    );
    Err(failed(Kind::Unauthorized, &fault))
}
