//! CAs, orders and certificates.

use std::time::Duration;

use bytes::Bytes;
use state::{
    AccountKey, BucketKey, Budget, CaSettings, ChallengeKind, Change, Due, Evidence,
    ExternalAccount, FailureClass, Index, KeyAlgorithm, KeyPurpose, Limit, LimitKind,
    LimitOverride, OrderId, Placed, Reissue, RevocationState, State, Timestamp, Window,
    command::{Admit, Upload},
    order::{PlacedAuthorization, PlacedChallenge},
    testing,
};

use super::{Step, What, number, sealed};

/// Little, so that it is spent now and then.
pub(crate) fn limits() -> Vec<Limit> {
    let limit = |kind, burst, hours: u64| Limit {
        kind,
        burst,
        refill: Duration::from_secs(hours * 3600),
    };
    vec![
        limit(LimitKind::Orders, 9, 1),
        limit(LimitKind::Certificates, 7, 24),
        limit(LimitKind::Sets, 4, 48),
        limit(LimitKind::Failures, 3, 1),
    ]
}

/// The registered domain of all.
const DOMAIN: &str = "example";

impl Step {
    pub(super) fn ca_change(self, state: &State, at: Timestamp, unique: u64) -> Change {
        let ca = self.ca();
        let present = state.ca(ca.as_str()).map(|ca| ca.revision);
        let revision = match self.which % 4 {
            0 => present,
            1 => Some(Index(u64::from(self.which) * 10)),
            _ => None,
        };
        match self.what {
            What::AccountKey => Change::CommitAccountKey {
                ca,
                key: AccountKey {
                    sealed: sealed(state, KeyPurpose::Control, unique),
                    thumbprint: format!("thumbprint-{unique}"),
                },
            },
            What::Register => Change::RegisterAccount {
                ca,
                url: format!("https://ca.example/acct/{}", self.which % 2),
            },
            What::PutCa => Change::PutCa {
                name: ca,
                settings: Box::new(self.settings()),
                revision,
            },
            What::External => Change::BindExternalAccount {
                ca,
                account: (!self.which.is_multiple_of(3)).then(|| ExternalAccount {
                    key_id: format!("key-{}", self.which % 3),
                    hmac: sealed(state, KeyPurpose::Control, unique),
                }),
            },
            What::RemoveCa => Change::RemoveCa { ca, revision },
            What::Roll => Change::RollAccountKey { ca },
            What::Rolled => Change::FinishRollover {
                ca,
                rolled: self.which.is_multiple_of(2),
            },
            What::CorrectLimit => Change::CorrectLimit {
                bucket: self.bucket(),
            },
            _ => Change::ObserveLimit {
                bucket: self.bucket(),
                until: self.later(at),
            },
        }
    }

    fn settings(self) -> CaSettings {
        let mut settings = CaSettings {
            directory: "https://ca.example/directory".to_owned(),
            rank: u32::from(self.which % 3),
            limits: limits(),
            ..CaSettings::default()
        };
        match self.which % 8 {
            // Two of a kind, and one that allows nothing.
            0 => settings.limits.extend(limits()),
            1 => settings.limits[0].burst = 0,
            2 => settings.overrides = vec![self.exception()],
            3 => settings.limits.clear(),
            _ => {}
        }
        settings
    }

    fn exception(self) -> LimitOverride {
        LimitOverride {
            key: DOMAIN.into(),
            limit: Limit {
                kind: LimitKind::Certificates,
                burst: 2,
                refill: Duration::from_secs(60),
            },
        }
    }

    fn bucket(self) -> BucketKey {
        let kind = LimitKind::ALL[usize::from(self.which) % LimitKind::ALL.len()];
        let key = match kind {
            LimitKind::Orders => "".into(),
            LimitKind::Certificates => DOMAIN.into(),
            LimitKind::Sets | LimitKind::Failures => self.hostname().as_str().into(),
        };
        BucketKey {
            ca: self.ca(),
            kind,
            key,
        }
    }

    pub(super) fn order_change(self, state: &State, at: Timestamp, unique: u64) -> Change {
        let order = self.order(state);
        match self.what {
            What::Admit => self.admit(state, unique),
            What::IntendOrder => Change::IntendOrder {
                order,
                again: unique % 2 == 1,
            },
            What::Prepare => Change::PrepareOrder {
                order,
                placed: self.placed(order, unique),
            },
            What::Ready => Change::IntendReady { order },
            What::Finalize => Change::IntendFinalize { order },
            What::Install => {
                let chain = vec![number(u64::from(self.how % 2))];
                let mut install = testing::install(order, number(unique), chain, at);
                install.parts.issuer = format!("CA {}", self.how % 3);
                Change::InstallCertificate(Box::new(install))
            }
            What::Fail => self.fail(order, at),
            What::Upload => self.upload(state, at, unique),
            _ => self.certificate_change(state, at),
        }
    }

    fn admit(self, state: &State, unique: u64) -> Change {
        let hostname = self.hostname();
        let record = state.hostname(hostname.as_str());
        let due = record.and_then(|record| state.hostname_due(&hostname, record));
        let algorithm = match due {
            Some((_, Due::Order(_, algorithm))) if self.how % 16 != 1 => algorithm,
            _ => KeyAlgorithm::ALL[usize::from(self.how) % 2],
        };
        let only = record.and_then(|record| record.wants().ca);
        let budget = match self.how % 16 {
            0 => Budget::Exempt,
            1 | 2 => Budget::Renewal,
            3 => Budget::Urgent,
            _ => Budget::New,
        };
        Change::AdmitOrder(Box::new(Admit {
            claim: self.claim(state),
            ca: only
                .filter(|_| self.how % 16 != 2)
                .unwrap_or_else(|| self.ca()),
            algorithm,
            profile: self.how.is_multiple_of(3).then(|| "tlsserver".to_owned()),
            replaces: (budget == Budget::Exempt).then(|| "aki.serial".to_owned()),
            budget,
            domain: DOMAIN.to_owned(),
            key: sealed(state, KeyPurpose::Serving, unique),
            csr: number(unique),
            ..testing::admit(hostname.as_str())
        }))
    }

    fn placed(self, order: OrderId, unique: u64) -> Placed {
        // A CA that breaks the RFC gives one token twice.
        let token = if self.how.is_multiple_of(8) {
            0
        } else {
            unique
        };
        let kind = ChallengeKind::ALL[usize::from(self.how / 8) % ChallengeKind::ALL.len()];
        let authorization = |number: u8| PlacedAuthorization {
            url: format!("https://ca.example/authz/{order}/{number}"),
            challenge: (self.how % 8 != 1).then(|| PlacedChallenge {
                kind,
                url: format!("https://ca.example/chall/{order}/{number}"),
                token: format!("token-{token}-{}", number % (1 + self.which % 2)),
            }),
        };
        let mut placed = testing::placed(order, "token");
        placed.url = format!("https://ca.example/order/{unique}");
        placed.authorizations = (0..1 + self.how % 2).map(authorization).collect();
        placed
    }

    fn fail(self, order: OrderId, at: Timestamp) -> Change {
        let evidence = [
            Evidence::NeverPlaced,
            Evidence::Invalid,
            Evidence::Gone,
            Evidence::Withdrawn,
            Evidence::Unusable,
            Evidence::Superseded,
        ];
        Change::FailOrder {
            order,
            evidence: evidence[usize::from(self.how) % evidence.len()],
            class: FailureClass::ALL[usize::from(self.which) % 3],
            reason: "no\nanswer".repeat(usize::from(self.how)),
            next_try: at.plus(Duration::from_secs(u64::from(self.how) * 30)),
        }
    }

    /// New, or one that is known already.
    fn upload(self, state: &State, at: Timestamp, unique: u64) -> Change {
        let leaf = if self.how.is_multiple_of(4) {
            // `testing::parts` makes the id of a leaf of eight bytes from them.
            Bytes::copy_from_slice(&self.certificate(state).0[..8])
        } else {
            number(unique)
        };
        let chain = vec![number(u64::from(self.how % 2))];
        Change::UploadCertificate(Box::new(Upload {
            hostname: self.hostname(),
            wildcard: self.how % 8 == 7,
            algorithm: KeyAlgorithm::ALL[usize::from(self.how.is_multiple_of(3))],
            key: (self.how % 8 != 3).then(|| sealed(state, KeyPurpose::Serving, unique)),
            parts: testing::parts(number(unique), leaf, chain, at),
            move_at: (self.how % 4 == 1).then(|| self.later(at)),
            revision: self.revision(state),
        }))
    }

    fn certificate_change(self, state: &State, at: Timestamp) -> Change {
        let id = self.certificate(state);
        match self.what {
            What::Reissue => Change::ReissueCertificates {
                hostnames: vec![self.hostname(), testing::host("nobody.example")],
                urgency: [Reissue::Calm, Reissue::Urgent][usize::from(self.how) % 2],
            },
            What::RevokeCertificate => Change::RevokeCertificate {
                id,
                reason: self.how % 12,
            },
            What::Revoked => {
                let mut revoked = state.certificates().filter(|one| one.revocation.is_some());
                let state = match self.how % 4 {
                    0 => RevocationState::Wanted {
                        next_try: self.later(at),
                    },
                    1 => RevocationState::Refused("never\nheard of it".into()),
                    _ => RevocationState::Done,
                };
                let id = revoked.next().map_or(id, |one| one.id);
                Change::FinishRevocation { id, state }
            }
            What::Schedule => Change::ScheduleRenewal {
                id,
                renew_at: self.later(at),
                window: self.how.is_multiple_of(2).then(|| Window {
                    start: at,
                    end: self.later(at),
                }),
            },
            _ => Change::ForgetCertificate { id },
        }
    }
}
