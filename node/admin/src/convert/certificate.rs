//! Certificates, requests for them, and their revocation.

use data_encoding::BASE64;
use proto::admin::v1;
use state::{
    Certificate, CertificateRequest, Hostname, KeyAlgorithm, Revocation, RevocationState, Source,
};

use super::{moment, timestamp};
use crate::{names, problem::Problem};

/// A certificate, without its chain.
pub(crate) fn certificate(certificate: &Certificate) -> v1::Certificate {
    let ca = match &certificate.source {
        Source::Ca(name) => names::ca_name(name),
        Source::Uploaded => String::new(),
    };
    let reissue = certificate.reissue.map(state::Reissue::as_str);
    v1::Certificate {
        id: certificate.id.to_string(),
        serial: certificate.serial_hex(),
        issuer: certificate.issuer.to_string(),
        not_before: Some(timestamp(certificate.not_before)),
        not_after: moment(certificate.not_after),
        renew_at: moment(certificate.renew_at),
        name: names::certificate_name(certificate.id),
        hostname: names::hostname_name(&certificate.hostname),
        wildcard: certificate.wildcard,
        algorithm: served_algorithm(certificate.algorithm).into(),
        ca,
        window_start: certificate.window.map(|window| timestamp(window.start)),
        window_end: certificate.window.map(|window| timestamp(window.end)),
        reissue: reissue.unwrap_or_default().to_owned(),
        revocation: certificate.revocation.as_deref().map(revocation),
        served: certificate.forget_at.is_none(),
        kept: certificate.kept,
        forget_at: certificate.forgotten_at().and_then(moment),
        chain_pem: String::new(),
        chain_fault: String::new(),
    }
}

pub(crate) fn served_algorithm(algorithm: KeyAlgorithm) -> v1::KeyAlgorithm {
    match algorithm {
        KeyAlgorithm::Ecdsa => v1::KeyAlgorithm::Ecdsa,
        KeyAlgorithm::Rsa => v1::KeyAlgorithm::Rsa,
    }
}

/// A kind of key, as somebody sent it.
pub(crate) fn algorithm(wire: i32) -> Result<KeyAlgorithm, Problem> {
    match v1::KeyAlgorithm::try_from(wire) {
        Ok(v1::KeyAlgorithm::Unspecified | v1::KeyAlgorithm::Ecdsa) => Ok(KeyAlgorithm::Ecdsa),
        Ok(v1::KeyAlgorithm::Rsa) => Ok(KeyAlgorithm::Rsa),
        Err(_) => Err(Problem::field(
            "algorithm",
            format!("{wire} is no kind of key: ecdsa or rsa"),
        )),
    }
}

fn revocation(revocation: &Revocation) -> v1::Revocation {
    let (state, refusal, next_try) = match &revocation.state {
        RevocationState::Wanted { next_try } => ("wanted", "", moment(*next_try)),
        RevocationState::Done => ("done", "", None),
        RevocationState::Refused(why) => ("refused", &**why, None),
    };
    v1::Revocation {
        reason: revocation.reason.into(),
        asked_at: Some(timestamp(revocation.asked_at)),
        state: state.to_owned(),
        refusal: refusal.to_owned(),
        next_try,
    }
}

/// The code of a reason (RFC 5280 section 5.3.1); its codes are those of the wire.
pub(crate) fn reason(wire: i32) -> Result<u8, Problem> {
    let known = v1::RevocationReason::try_from(wire).is_ok();
    u8::try_from(wire).ok().filter(|_| known).ok_or_else(|| {
        let message = format!("{wire} is no reason to revoke (RFC 5280 section 5.3.1)");
        Problem::field("reason", message)
    })
}

/// A request that waits to be signed.
pub(crate) fn request(hostname: &Hostname, request: &CertificateRequest) -> v1::CertificateRequest {
    v1::CertificateRequest {
        hostname: names::hostname_name(hostname),
        csr_pem: pem("CERTIFICATE REQUEST", &request.csr),
        created_at: Some(timestamp(request.created_at)),
    }
}

/// RFC 7468.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    const LINE: usize = 64;
    let text = BASE64.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_has_lines_of_64() {
        let text = pem("X", &[0xff; 49]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.first(), Some(&"-----BEGIN X-----"));
        assert_eq!(lines.get(1).map(|line| line.len()), Some(64));
        assert_eq!(lines.get(2).map(|line| line.len()), Some(4));
        assert_eq!(lines.last(), Some(&"-----END X-----"));
        assert_eq!(pem("X", &[0; 48]).lines().count(), 3);
    }

    #[test]
    fn the_wires_reasons_are_the_codes_that_may_be_told() {
        let told: Vec<u8> = (-2..20).filter_map(|code| reason(code).ok()).collect();
        assert_eq!(told, [0, 1, 2, 3, 4, 5, 6, 9, 10]);
    }
}
