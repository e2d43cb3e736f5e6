//! How long a certificate is kept once it is served no more.

use std::time::Duration;

use super::Apply;
use crate::{
    Certificate, CertificateId, Refusal,
    outcome::{Done, Kind},
};

/// A replaced certificate stays for this long, so that a node whose edge has not
/// published the change yet can still open it.
const REPLACED_KEPT: Duration = Duration::from_secs(3600);

impl Apply<'_> {
    /// Another certificate took its place.
    pub(super) fn replace_certificate(&mut self, id: CertificateId) {
        if let Some(old) = self.state.certificates.get(&id).cloned() {
            let forget_at = Some(self.command.at.plus(REPLACED_KEPT));
            self.put_certificate(Certificate {
                forget_at,
                kept: false,
                ..(*old).clone()
            });
        }
    }

    /// Its hostname is gone; it waits for its return until it ends.
    pub(super) fn keep_certificate(&mut self, certificate: Certificate) {
        if let Some(older) = self.state.kept.get(&certificate.hostname).copied() {
            self.replace_certificate(older);
        }
        let forget_at = Some(certificate.not_after);
        self.put_certificate(Certificate {
            forget_at,
            kept: true,
            ..certificate
        });
    }

    pub(super) fn forget_certificate(&mut self, id: CertificateId) -> Result<Done, Refusal> {
        let certificate = self
            .state
            .certificates
            .get(&id)
            .ok_or(Refusal::NotFound(Kind::Certificate))?;
        if certificate.forget_at.is_none_or(|at| at > self.command.at) {
            return Err(Refusal::NotDue);
        }
        self.delete_certificate(&id);
        Ok(Done::Nothing)
    }
}
