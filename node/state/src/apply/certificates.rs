//! Certificates: kept, replaced, brought, scheduled, revoked, forgotten.

use std::sync::Arc;

use std::time::Duration;

use super::{Apply, hostnames::shortened};
use crate::{
    Certificate, CertificateId, EventKind, Hostname, HostnameRecord, KeyAlgorithm, Refusal,
    Reissue, Revocation, RevocationState, Sealed, Source, Timestamp, Window, bodies, codec,
    command::{CertificateParts, REISSUE_MAX, Upload},
    machine::NEVER,
    outcome::{Done, Kind},
};

/// A replaced certificate stays for this long, so that a node whose edge has not
/// published the change yet can still open it.
const REPLACED_KEPT: Duration = Duration::from_secs(3600);

/// The reasons that a CA may be given (RFC 5280 section 5.3.1; 7 is unused, 8 is for
/// delta lists only).
const REASONS: [u8; 9] = [0, 1, 2, 3, 4, 5, 6, 9, 10];

/// What a certificate is for, beside its parts.
pub(super) struct Served {
    pub(super) hostname: Hostname,
    pub(super) wildcard: bool,
    pub(super) algorithm: KeyAlgorithm,
    pub(super) source: Source,
    pub(super) renew_at: Timestamp,
}

impl Apply<'_> {
    /// Writes the bodies of a certificate that is new here.
    pub(super) fn put_bodies(
        &mut self,
        certificate: &Certificate,
        parts: &CertificateParts,
        key: &Sealed,
    ) -> Result<(), Refusal> {
        if self.state.certificates.contains_key(&parts.id) {
            return Err(Refusal::AlreadyExists(Kind::Certificate));
        }
        if !self.state.chains.contains_key(&parts.chain_id) {
            self.put_body(
                bodies::chain_key(&parts.chain_id),
                codec::chain_to(&parts.chain),
            );
        }
        self.put_body(
            bodies::certificate_key(certificate),
            codec::certificate_own_to(&parts.leaf, key),
        );
        Ok(())
    }

    pub(super) fn new_certificate(
        parts: &CertificateParts,
        key: &Sealed,
        served: Served,
    ) -> Certificate {
        Certificate {
            id: parts.id,
            sealed_under: key.generation,
            hostname: served.hostname,
            wildcard: served.wildcard,
            algorithm: served.algorithm,
            source: served.source,
            chain: Arc::new(parts.chain_id),
            issuer: Arc::new(parts.issuer.clone()),
            serial: parts.serial.to_vec().into(),
            not_before: parts.not_before,
            not_after: parts.not_after,
            renew_at: served.renew_at,
            window: None,
            reissue: None,
            revocation: None,
            forget_at: None,
            kept: false,
        }
    }

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

    /// Drops what is served with a kind of key that is wanted no more, once another kind
    /// is served. What was uploaded stays: it is not ours to choose.
    pub(super) fn retire_unwanted(&mut self, record: &mut HostnameRecord) {
        let wanted = record.wants().algorithms.each();
        let served = |algorithm: &KeyAlgorithm| record.certificate_of(*algorithm).is_some();
        if !wanted.iter().any(served) {
            return;
        }
        for algorithm in KeyAlgorithm::ALL {
            let id = record.certificate_of(algorithm);
            let old = id.and_then(|id| self.state.certificates.get(&id));
            if let Some(old) = old
                && !wanted.contains(&algorithm)
                && old.source != Source::Uploaded
            {
                self.replace_certificate(old.id);
                record.set_certificate(algorithm, None);
            }
        }
    }

    /// Its hostname is gone; it waits for its return until it ends. Of two the one that
    /// is valid for longer waits. One that is revoked does not, and none that another
    /// tenant brought, marked when the hostname was transferred: they must not come back.
    pub(super) fn keep_certificate(&mut self, certificate: Certificate) {
        let kept = (certificate.hostname.clone(), certificate.algorithm);
        let other = self.state.kept.get(&kept);
        let other = other.and_then(|id| self.state.certificates.get(id));
        let other = other.map(|other| (other.id, other.not_after));
        let better = other.is_some_and(|(_, end)| end > certificate.not_after);
        let theirs = certificate.source == Source::Uploaded && certificate.reissue.is_some();
        if better || theirs || certificate.revocation.is_some() {
            let forget_at = Some(self.command.at.plus(REPLACED_KEPT));
            self.put_certificate(Certificate {
                forget_at,
                ..certificate
            });
            return;
        }
        if let Some((other, _)) = other {
            self.replace_certificate(other);
        }
        let forget_at = Some(certificate.not_after);
        self.put_certificate(Certificate {
            forget_at,
            kept: true,
            ..certificate
        });
    }

    /// Not before its time, and not before the CA was told of a revocation.
    pub(super) fn forget_certificate(&mut self, id: CertificateId) -> Result<Done, Refusal> {
        let certificate = self.certificate(id)?;
        if certificate
            .forgotten_at()
            .is_none_or(|at| at > self.command.at)
        {
            return Err(Refusal::NotDue);
        }
        self.delete_certificate(&id);
        Ok(Done::Nothing)
    }

    /// Serves what an operator brought in the place of what was served by that kind of
    /// key. An order in flight goes on: its certificate will take this one's place.
    pub(super) fn upload_certificate(&mut self, upload: &Upload) -> Result<Done, Refusal> {
        let name = &upload.hostname;
        let mut record = self.hostname(name)?;
        self.check_revision(record.revision, upload.revision)?;
        if !record.ownership.standing.holds() {
            return Err(Refusal::Unproven);
        }
        let key = match (&upload.key, record.request()) {
            (Some(key), _) => key.clone(),
            (None, Some(request)) => request.key.clone(),
            (None, None) => return Err(Refusal::NotFound(Kind::Request)),
        };
        if record.certificate_of(upload.algorithm) == Some(upload.parts.id) {
            return Ok(Done::Unchanged);
        }
        self.make_way(&upload.parts.id, name)?;
        let certificate = Self::new_certificate(
            &upload.parts,
            &key,
            Served {
                hostname: name.clone(),
                wildcard: upload.wildcard,
                algorithm: upload.algorithm,
                source: Source::Uploaded,
                renew_at: upload.move_at.unwrap_or(NEVER),
            },
        );
        self.put_bodies(&certificate, &upload.parts, &key)?;
        let detail = format!(
            "serial {}, from {}",
            certificate.serial_hex(),
            certificate.issuer
        );
        if let Some(old) = record.certificate_of(upload.algorithm) {
            self.replace_certificate(old);
        }
        record.set_certificate(upload.algorithm, Some(certificate.id));
        self.put_certificate(certificate);
        if upload.key.is_none() {
            record.edit_extra(|extra| extra.request = None);
        }
        record.failure = None;
        self.record_event(name, &mut record, EventKind::CertificateUploaded, detail);
        self.put_hostname(name, record);
        Ok(Done::Nothing)
    }

    /// What was replaced a moment ago may be brought again.
    fn make_way(&mut self, id: &CertificateId, name: &Hostname) -> Result<(), Refusal> {
        let Some(known) = self.state.certificates.get(id) else {
            return Ok(());
        };
        let served = known.forget_at.is_none();
        if served || known.hostname != *name {
            return Err(Refusal::AlreadyExists(Kind::Certificate));
        }
        if known.revocation.is_some() {
            return Err(Refusal::Unfit("it was revoked".to_owned()));
        }
        self.delete_certificate(id);
        Ok(())
    }

    pub(super) fn schedule_renewal(
        &mut self,
        id: CertificateId,
        renew_at: Timestamp,
        window: Option<Window>,
    ) -> Result<Done, Refusal> {
        let certificate = self.certificate(id)?;
        if certificate.source == Source::Uploaded {
            return Err(Refusal::Unfit(
                "it was uploaded: whoever brought it said when to replace it".to_owned(),
            ));
        }
        let same = (certificate.renew_at, certificate.window) == (renew_at, window);
        if same || certificate.reissue.is_some() {
            return Ok(Done::Unchanged);
        }
        self.put_certificate(Certificate {
            renew_at,
            window,
            ..certificate
        });
        Ok(Done::Nothing)
    }

    /// What we obtained is obtained anew, and what failed waits no longer. Hostnames that
    /// are not authorized and certificates that were uploaded are left as they are.
    pub(super) fn reissue_certificates(
        &mut self,
        hostnames: &[Hostname],
        urgency: Reissue,
    ) -> Result<Done, Refusal> {
        if hostnames.len() > REISSUE_MAX {
            return Err(Refusal::TooMany(Kind::Hostname));
        }
        for name in hostnames {
            let Ok(mut record) = self.hostname(name) else {
                continue;
            };
            let ours: Vec<Certificate> = record
                .certificates()
                .filter_map(|id| self.certificate(id).ok())
                .filter(|certificate| certificate.source != Source::Uploaded)
                .collect();
            if ours.is_empty() && record.failure.is_none() {
                continue;
            }
            for certificate in ours {
                self.renew_now(certificate, urgency);
            }
            record.failure = None;
            let by = self.command.actor.as_str().to_owned();
            self.record_event(name, &mut record, EventKind::ReissueAsked, by);
            self.put_hostname(name, record);
        }
        Ok(Done::Nothing)
    }

    /// Has a certificate replaced from now on. What was more urgent or due before stays so.
    pub(super) fn renew_now(&mut self, certificate: Certificate, urgency: Reissue) {
        self.put_certificate(Certificate {
            renew_at: certificate.renew_at.min(self.command.at),
            reissue: certificate.reissue.max(Some(urgency)),
            ..certificate
        });
    }

    pub(super) fn revoke_certificate(
        &mut self,
        id: CertificateId,
        reason: u8,
    ) -> Result<Done, Refusal> {
        let certificate = self.certificate(id)?;
        if !REASONS.contains(&reason) {
            return Err(Refusal::Unfit(
                "no CA is told such a reason (RFC 5280 section 5.3.1)".to_owned(),
            ));
        }
        match &certificate.source {
            Source::Uploaded => {
                return Err(Refusal::Unfit(
                    "it was uploaded: its own CA must revoke it".to_owned(),
                ));
            }
            // Nobody else can be told.
            Source::Ca(name) => self.ca(name)?,
        };
        if certificate.revocation.is_some() {
            return Ok(Done::Unchanged);
        }
        let name = certificate.hostname.clone();
        let revocation = Revocation {
            reason,
            asked_at: self.command.at,
            state: RevocationState::Wanted {
                next_try: self.command.at,
            },
        };
        let revoked = Certificate {
            revocation: Some(Box::new(revocation)),
            // It must not come back with its hostname.
            kept: false,
            ..certificate
        };
        self.renew_now(revoked, Reissue::Urgent);
        if let Ok(mut record) = self.hostname(&name) {
            if record.certificates().any(|served| served == id) {
                record.failure = None;
            }
            let by = self.command.actor.as_str().to_owned();
            self.record_event(&name, &mut record, EventKind::RevocationAsked, by);
            self.put_hostname(&name, record);
        }
        Ok(Done::Nothing)
    }

    pub(super) fn finish_revocation(
        &mut self,
        id: CertificateId,
        state: &RevocationState,
    ) -> Result<Done, Refusal> {
        let certificate = self.certificate(id)?;
        let Some(revocation) = certificate.revocation.clone() else {
            return Err(Refusal::NotDue);
        };
        let (state, event) = match state {
            RevocationState::Wanted { .. } => (state.clone(), None),
            RevocationState::Done => (state.clone(), Some((EventKind::Revoked, String::new()))),
            RevocationState::Refused(why) => {
                let why = shortened(why);
                let event = (EventKind::RevocationRefused, why.to_string());
                (RevocationState::Refused(why), Some(event))
            }
        };
        if revocation.state == state {
            return Ok(Done::Unchanged);
        }
        // What the CA said once is final.
        if !matches!(revocation.state, RevocationState::Wanted { .. }) {
            return Err(Refusal::NotDue);
        }
        let name = certificate.hostname.clone();
        self.put_certificate(Certificate {
            revocation: Some(Box::new(Revocation {
                state,
                ..*revocation
            })),
            ..certificate
        });
        if let Some((kind, detail)) = event
            && let Ok(mut record) = self.hostname(&name)
        {
            self.record_event(&name, &mut record, kind, detail);
            self.put_hostname(&name, record);
        }
        Ok(Done::Nothing)
    }

    fn certificate(&self, id: CertificateId) -> Result<Certificate, Refusal> {
        let certificate = self.state.certificates.get(&id);
        let certificate = certificate.ok_or(Refusal::NotFound(Kind::Certificate))?;
        Ok((**certificate).clone())
    }
}
