//! What is served, in sentences.

use state::{Certificate, KeyAlgorithm, RevocationState, Source};

use super::{
    Situation,
    words::{ago, moment, span},
};

impl Situation<'_> {
    /// The certificate that is valid for the longest, if one is valid now.
    pub(super) fn valid(&self) -> Option<&Certificate> {
        let valid = self.certificates.iter().copied();
        valid
            .filter(|certificate| certificate.is_valid_at(self.now))
            .max_by_key(|certificate| certificate.not_after)
    }

    pub(super) fn standing(&self) -> String {
        let name = self.hostname;
        let any = self
            .certificates
            .iter()
            .max_by_key(|certificate| certificate.not_after);
        match (self.valid(), any) {
            (Some(certificate), _) => format!(
                "{name} is live: its {}certificate {} from {} is valid until {} ({} left){}.",
                kind(certificate),
                certificate.serial_hex(),
                certificate.issuer,
                moment(certificate.not_after),
                span(certificate.not_after.since(self.now)),
                self.renewal(certificate)
            ),
            (None, Some(certificate)) if certificate.not_after <= self.now => format!(
                "{name} is not live: its {}certificate ended at {} ({}).",
                kind(certificate),
                moment(certificate.not_after),
                ago(certificate.not_after, self.now),
            ),
            (None, Some(certificate)) => format!(
                "{name} is not live: its {}certificate is valid only from {}; does this node's \
                 clock go right?",
                kind(certificate),
                moment(certificate.not_before),
            ),
            (None, None) => format!(
                "{name} is not live: it was authorized {} and has no certificate yet.",
                ago(self.record.authorized_at, self.now),
            ),
        }
    }

    /// When the next one is begun, unless that is told otherwise.
    fn renewal(&self, certificate: &Certificate) -> String {
        if self.order.is_some() || self.record.failure.is_some() {
            return String::new();
        }
        let uploaded = certificate.source == Source::Uploaded;
        if !self.record.wants().automatic
            || (uploaded && certificate.renew_at >= certificate.not_after)
        {
            return "; nothing is ordered in its place: upload the next one in time".to_owned();
        }
        let at = moment(certificate.renew_at);
        match (uploaded, certificate.window) {
            (true, _) => format!(", and is replaced by one that is ordered from {at} on"),
            (false, None) => format!(", and its renewal begins at {at}"),
            (false, Some(window)) => format!(
                ", and its renewal begins at {at}, within the CA's window from {} to {}",
                moment(window.start),
                moment(window.end)
            ),
        }
    }

    /// The other certificate, where there are or should be two.
    pub(super) fn second(&self) -> Option<String> {
        let wanted = self.record.wants().algorithms.each();
        let first = self.valid()?;
        if let Some(other) = self.certificates.iter().find(|other| other.id != first.id) {
            return Some(format!(
                "Its certificate with an {} key is valid until {}.",
                key(other.algorithm),
                moment(other.not_after)
            ));
        }
        let missing = wanted.iter().find(|wanted| **wanted != first.algorithm)?;
        let automatic = self.record.wants().automatic;
        (automatic && self.order.is_none()).then(|| {
            let key = key(*missing);
            format!("One with an {key} key is wanted too and not there yet.")
        })
    }

    /// What became of revocations that were asked for.
    pub(super) fn revocations(&self) -> Vec<String> {
        let told = self.certificates.iter().filter_map(|certificate| {
            let revocation = certificate.revocation.as_ref()?;
            let serial = certificate.serial_hex();
            let asked = ago(revocation.asked_at, self.now);
            Some(match &revocation.state {
                RevocationState::Wanted { next_try } => format!(
                    "The revocation of {serial} was asked for {asked}; the CA is told at {}.",
                    moment(*next_try)
                ),
                RevocationState::Done => format!(
                    "{serial} is revoked, as was asked for {asked}: it is served until its \
                     replacement is there."
                ),
                RevocationState::Refused(why) => format!(
                    "The CA refused to revoke {serial}: {}.",
                    why.trim_end_matches('.')
                ),
            })
        });
        told.collect()
    }

    /// A request that waits to be signed.
    pub(super) fn request(&self) -> Option<String> {
        let request = self.record.request()?;
        Some(format!(
            "A request that was made {} waits to be signed by a CA of yours; upload what it signs \
             without a key.",
            ago(request.created_at, self.now)
        ))
    }
}

/// `uploaded `, or nothing.
fn kind(certificate: &Certificate) -> &'static str {
    match certificate.source {
        Source::Uploaded => "uploaded ",
        Source::Ca(_) => "",
    }
}

fn key(algorithm: KeyAlgorithm) -> &'static str {
    match algorithm {
        KeyAlgorithm::Ecdsa => "ECDSA",
        KeyAlgorithm::Rsa => "RSA",
    }
}
