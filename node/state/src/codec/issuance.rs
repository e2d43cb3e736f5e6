//! Between the shapes of the wire and the values of the domain: hostnames, CAs and what
//! they allow.

use std::{net::IpAddr, sync::Arc, time::Duration};

use super::{
    DecodeError,
    convert::{array, bytes_of, field, hostname},
    wire,
};
use crate::{
    AccountKey, Algorithms, Bucket, BucketKey, Budget, Ca, CaName, CaSettings, CertificateRequest,
    ChallengeKind, Contest, DnsZone, ExternalAccount, Failure, FailureClass, Hostname, Index,
    KeyAlgorithm, Limit, LimitKind, LimitOverride, Nameserver, Origin, Ownership, OwnershipPolicy,
    OwnershipToken, Proof, ProofMethod, Registration, Reissue, Revocation, RevocationState, Tenant,
    Timestamp, Tombstone, Traffic, Wants, Window, Zone, ZoneSettings,
};

type Result<T> = std::result::Result<T, DecodeError>;

pub(super) fn ca_name(text: &str) -> Result<CaName> {
    text.parse().map_err(|_| DecodeError::Field("ca"))
}

pub(super) fn tenant(text: &str) -> Result<Tenant> {
    text.parse().map_err(|_| DecodeError::Field("tenant"))
}

pub(super) fn token(bytes: &[u8]) -> Result<OwnershipToken> {
    array(bytes, "token").map(OwnershipToken)
}

pub(super) fn algorithm(text: &str) -> Result<KeyAlgorithm> {
    KeyAlgorithm::parse(text).ok_or(DecodeError::Unknown("key algorithm"))
}

pub(super) fn budget(text: &str) -> Result<Budget> {
    Budget::parse(text).ok_or(DecodeError::Unknown("budget"))
}

pub(super) fn proof(text: &str) -> Result<Proof> {
    Proof::parse(text).ok_or(DecodeError::Unknown("proof"))
}

pub(super) fn proof_method(text: &str) -> Result<ProofMethod> {
    ProofMethod::parse(text).ok_or(DecodeError::Unknown("method of proof"))
}

pub(super) fn failure_class(text: &str) -> Result<FailureClass> {
    FailureClass::parse(text).ok_or(DecodeError::Unknown("failure class"))
}

pub(super) fn reissue(text: &str) -> Result<Reissue> {
    Reissue::parse(text).ok_or(DecodeError::Unknown("urgency"))
}

pub(super) fn revocation_reason(code: u32) -> Result<u8> {
    u8::try_from(code).map_err(|_| DecodeError::Field("reason"))
}

fn addresses_to(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

fn addresses_from(addresses: &[String]) -> Result<Vec<IpAddr>> {
    let address = |text: &String| text.parse().map_err(|_| DecodeError::Field("address"));
    addresses.iter().map(address).collect()
}

impl From<&Ca> for wire::Ca {
    fn from(ca: &Ca) -> Self {
        let (url, rollover, next) = match &ca.registration {
            Registration::None | Registration::KeyCommitted(_) => (None, false, None),
            Registration::Registered { url, rollover, .. } => (Some(url), *rollover, None),
            Registration::Rolling { url, next, .. } => (Some(url), false, Some(next)),
        };
        Self {
            settings: Some((&ca.settings).into()),
            external_account: ca.external_account.as_ref().map(Into::into),
            key: ca.key().map(Into::into),
            url: url.cloned(),
            rollover,
            next: next.map(Into::into),
            revision: ca.revision.0,
            name: ca.name.as_str().to_owned(),
        }
    }
}

impl TryFrom<wire::Ca> for Ca {
    type Error = DecodeError;

    fn try_from(ca: wire::Ca) -> Result<Self> {
        let key = ca.key.map(AccountKey::try_from).transpose()?;
        let next = ca.next.map(AccountKey::try_from).transpose()?;
        let registration = match (key, ca.url, next) {
            (None, _, _) => Registration::None,
            (Some(key), None, _) => Registration::KeyCommitted(key),
            (Some(key), Some(url), None) => Registration::Registered {
                key,
                url,
                rollover: ca.rollover,
            },
            (Some(key), Some(url), Some(next)) => Registration::Rolling { key, url, next },
        };
        Ok(Self {
            name: ca_name(&ca.name)?,
            settings: field(ca.settings, "settings")?.try_into()?,
            external_account: ca.external_account.map(TryInto::try_into).transpose()?,
            registration,
            revision: Index(ca.revision),
        })
    }
}

impl From<&CaSettings> for wire::CaSettings {
    fn from(settings: &CaSettings) -> Self {
        Self {
            directory: settings.directory.clone(),
            trust_roots_pem: settings.trust_roots_pem.clone(),
            contacts: settings.contacts.clone(),
            terms_agreed: settings.terms_agreed,
            rank: settings.rank,
            finalize_atomic: settings.finalize_atomic,
            caa_identities: settings.caa_identities.clone(),
            profile: settings.profile.clone(),
            preferred_chain: settings.preferred_chain.clone(),
            limits: settings.limits.iter().map(Into::into).collect(),
            overrides: settings
                .overrides
                .iter()
                .map(|exception| wire::LimitOverride {
                    key: exception.key.to_string(),
                    limit: Some((&exception.limit).into()),
                })
                .collect(),
        }
    }
}

impl TryFrom<wire::CaSettings> for CaSettings {
    type Error = DecodeError;

    fn try_from(settings: wire::CaSettings) -> Result<Self> {
        let limits = settings.limits.into_iter().map(TryInto::try_into);
        let exception = |exception: wire::LimitOverride| {
            Ok(LimitOverride {
                key: exception.key.into(),
                limit: field(exception.limit, "limit")?.try_into()?,
            })
        };
        Ok(Self {
            directory: settings.directory,
            trust_roots_pem: settings.trust_roots_pem,
            contacts: settings.contacts,
            terms_agreed: settings.terms_agreed,
            rank: settings.rank,
            finalize_atomic: settings.finalize_atomic,
            caa_identities: settings.caa_identities,
            profile: settings.profile,
            preferred_chain: settings.preferred_chain,
            limits: limits.collect::<Result<_>>()?,
            overrides: settings
                .overrides
                .into_iter()
                .map(exception)
                .collect::<Result<_>>()?,
        })
    }
}

impl From<&Limit> for wire::Limit {
    fn from(limit: &Limit) -> Self {
        Self {
            kind: limit.kind.as_str().to_owned(),
            burst: limit.burst,
            refill_ms: u64::try_from(limit.refill.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl TryFrom<wire::Limit> for Limit {
    type Error = DecodeError;

    fn try_from(limit: wire::Limit) -> Result<Self> {
        Ok(Self {
            kind: LimitKind::parse(&limit.kind).ok_or(DecodeError::Unknown("limit"))?,
            burst: limit.burst,
            refill: Duration::from_millis(limit.refill_ms),
        })
    }
}

impl From<&ExternalAccount> for wire::ExternalAccount {
    fn from(account: &ExternalAccount) -> Self {
        Self {
            key_id: account.key_id.clone(),
            hmac: Some((&account.hmac).into()),
        }
    }
}

impl TryFrom<wire::ExternalAccount> for ExternalAccount {
    type Error = DecodeError;

    fn try_from(account: wire::ExternalAccount) -> Result<Self> {
        Ok(Self {
            key_id: account.key_id,
            hmac: field(account.hmac, "hmac")?.try_into()?,
        })
    }
}

impl From<&AccountKey> for wire::AccountKey {
    fn from(key: &AccountKey) -> Self {
        Self {
            sealed: Some((&key.sealed).into()),
            thumbprint: key.thumbprint.clone(),
        }
    }
}

impl TryFrom<wire::AccountKey> for AccountKey {
    type Error = DecodeError;

    fn try_from(key: wire::AccountKey) -> Result<Self> {
        Ok(Self {
            sealed: field(key.sealed, "sealed")?.try_into()?,
            thumbprint: key.thumbprint,
        })
    }
}

impl From<&BucketKey> for wire::BucketKey {
    fn from(key: &BucketKey) -> Self {
        Self {
            ca: key.ca.as_str().to_owned(),
            kind: key.kind.as_str().to_owned(),
            key: key.key.to_string(),
        }
    }
}

impl TryFrom<wire::BucketKey> for BucketKey {
    type Error = DecodeError;

    fn try_from(key: wire::BucketKey) -> Result<Self> {
        Ok(Self {
            ca: ca_name(&key.ca)?,
            kind: LimitKind::parse(&key.kind).ok_or(DecodeError::Unknown("limit"))?,
            key: key.key.into(),
        })
    }
}

pub(super) fn bucket_to(key: &BucketKey, bucket: &Bucket) -> wire::Bucket {
    wire::Bucket {
        key: Some(key.into()),
        spent_until: bucket.spent_until.0,
        promised: bucket.promised,
        blocked_until: bucket.blocked_until.map(|at| at.0),
    }
}

pub(super) fn bucket_from(bucket: wire::Bucket) -> Result<(BucketKey, Bucket)> {
    let value = Bucket {
        spent_until: Timestamp(bucket.spent_until),
        promised: bucket.promised,
        blocked_until: bucket.blocked_until.map(Timestamp),
    };
    Ok((field(bucket.key, "key")?.try_into()?, value))
}

impl From<&Tombstone> for wire::Tombstone {
    fn from(tombstone: &Tombstone) -> Self {
        Self {
            tenant: tombstone.tenant.as_str().to_owned(),
            removed_at: tombstone.removed_at.0,
        }
    }
}

impl TryFrom<wire::Tombstone> for Tombstone {
    type Error = DecodeError;

    fn try_from(tombstone: wire::Tombstone) -> Result<Self> {
        Ok(Self {
            tenant: tenant(&tombstone.tenant)?,
            removed_at: Timestamp(tombstone.removed_at),
        })
    }
}

impl From<&Zone> for wire::Zone {
    fn from(zone: &Zone) -> Self {
        Self {
            origin: zone.origin.as_deref().map(wire::Origin::from),
            revision: zone.revision.0,
            settings: Some((&*zone.settings).into()),
            traffic: (*zone.traffic != Traffic::default()).then(|| (&*zone.traffic).into()),
        }
    }
}

impl TryFrom<wire::Zone> for Zone {
    type Error = DecodeError;

    fn try_from(zone: wire::Zone) -> Result<Self> {
        let origin = zone.origin.map(Origin::try_from).transpose()?;
        Ok(Self {
            origin: origin.map(Arc::new),
            settings: Arc::new(field(zone.settings, "settings")?.try_into()?),
            traffic: Arc::new(zone.traffic.unwrap_or_default().try_into()?),
            revision: Index(zone.revision),
        })
    }
}

impl From<&ZoneSettings> for wire::ZoneSettings {
    fn from(settings: &ZoneSettings) -> Self {
        let text = |name: &Hostname| name.as_str().to_owned();
        let nameserver = |server: &Nameserver| wire::Nameserver {
            name: text(&server.name),
            addresses: addresses_to(&server.addresses),
        };
        Self {
            ownership: settings.ownership.as_str().to_owned(),
            edge_domain: settings.edge_domain.as_ref().map(text),
            addresses: addresses_to(&settings.addresses),
            dns: settings.dns.as_ref().map(|dns| wire::DnsZone {
                name: text(&dns.name),
                nameservers: dns.nameservers.iter().map(nameserver).collect(),
            }),
            caa_open: settings.caa_open,
        }
    }
}

impl TryFrom<wire::ZoneSettings> for ZoneSettings {
    type Error = DecodeError;

    fn try_from(settings: wire::ZoneSettings) -> Result<Self> {
        let nameserver = |server: wire::Nameserver| {
            Ok(Nameserver {
                name: hostname(&server.name)?,
                addresses: addresses_from(&server.addresses)?,
            })
        };
        let dns = |dns: wire::DnsZone| -> Result<DnsZone> {
            Ok(DnsZone {
                name: hostname(&dns.name)?,
                nameservers: dns
                    .nameservers
                    .into_iter()
                    .map(nameserver)
                    .collect::<Result<_>>()?,
            })
        };
        let edge_domain = settings.edge_domain.as_deref().map(hostname);
        Ok(Self {
            ownership: OwnershipPolicy::parse(&settings.ownership)
                .ok_or(DecodeError::Unknown("ownership policy"))?,
            edge_domain: edge_domain.transpose()?,
            addresses: addresses_from(&settings.addresses)?,
            dns: settings.dns.map(dns).transpose()?,
            caa_open: settings.caa_open,
        })
    }
}

impl From<&Failure> for wire::Failure {
    fn from(failure: &Failure) -> Self {
        Self {
            class: failure.class.as_str().to_owned(),
            reason: failure.reason.to_string(),
            count: failure.count,
            at: failure.at.0,
            next_try: failure.next_try.0,
            since: failure.since.0,
            parked: failure.parked,
        }
    }
}

impl TryFrom<wire::Failure> for Failure {
    type Error = DecodeError;

    fn try_from(failure: wire::Failure) -> Result<Self> {
        Ok(Self {
            class: failure_class(&failure.class)?,
            reason: failure.reason.into(),
            count: failure.count,
            since: Timestamp(failure.since),
            at: Timestamp(failure.at),
            next_try: Timestamp(failure.next_try),
            parked: failure.parked,
        })
    }
}

impl From<&Wants> for wire::Wants {
    fn from(wants: &Wants) -> Self {
        Self {
            wildcard: wants.wildcard,
            algorithms: wants.algorithms.as_str().to_owned(),
            automatic: wants.automatic,
            ca: wants.ca.as_ref().map(|ca| ca.as_str().to_owned()),
            profile: wants.profile.clone(),
            challenge: wants.challenge.map(|kind| kind.as_str().to_owned()),
        }
    }
}

impl TryFrom<wire::Wants> for Wants {
    type Error = DecodeError;

    fn try_from(wants: wire::Wants) -> Result<Self> {
        let challenge = wants.challenge.as_deref().map(challenge_kind);
        Ok(Self {
            wildcard: wants.wildcard,
            algorithms: Algorithms::parse(&wants.algorithms)
                .ok_or(DecodeError::Unknown("choice of keys"))?,
            automatic: wants.automatic,
            ca: wants.ca.as_deref().map(ca_name).transpose()?,
            profile: wants.profile,
            challenge: challenge.transpose()?,
        })
    }
}

pub(super) fn challenge_kind(text: &str) -> Result<ChallengeKind> {
    ChallengeKind::parse(text).ok_or(DecodeError::Unknown("challenge"))
}

impl From<&Ownership> for wire::Ownership {
    fn from(ownership: &Ownership) -> Self {
        Self {
            token: bytes_of(&ownership.token.0),
            standing: ownership.standing.as_str().to_owned(),
            since: ownership.since.0,
            checked_at: ownership.checked_at.map(|at| at.0),
            next_check: ownership.next_check.map(|at| at.0),
            fault: ownership.fault.as_deref().map(ToOwned::to_owned),
        }
    }
}

impl TryFrom<wire::Ownership> for Ownership {
    type Error = DecodeError;

    fn try_from(ownership: wire::Ownership) -> Result<Self> {
        Ok(Self {
            token: token(&ownership.token)?,
            standing: proof(&ownership.standing)?,
            since: Timestamp(ownership.since),
            checked_at: ownership.checked_at.map(Timestamp),
            next_check: ownership.next_check.map(Timestamp),
            fault: ownership.fault.map(Into::into),
        })
    }
}

impl From<&Contest> for wire::Contest {
    fn from(contest: &Contest) -> Self {
        Self {
            tenant: contest.tenant.as_str().to_owned(),
            token: bytes_of(&contest.token.0),
            since: contest.since.0,
            next_check: contest.next_check.0,
            fault: contest.fault.as_deref().map(ToOwned::to_owned),
            claim: contest.claim.0,
        }
    }
}

impl TryFrom<wire::Contest> for Contest {
    type Error = DecodeError;

    fn try_from(contest: wire::Contest) -> Result<Self> {
        Ok(Self {
            tenant: tenant(&contest.tenant)?,
            token: token(&contest.token)?,
            since: Timestamp(contest.since),
            next_check: Timestamp(contest.next_check),
            fault: contest.fault.map(Into::into),
            claim: Index(contest.claim),
        })
    }
}

impl From<&CertificateRequest> for wire::CertificateRequest {
    fn from(request: &CertificateRequest) -> Self {
        Self {
            key: Some((&request.key).into()),
            csr: request.csr.clone(),
            created_at: request.created_at.0,
        }
    }
}

impl TryFrom<wire::CertificateRequest> for CertificateRequest {
    type Error = DecodeError;

    fn try_from(request: wire::CertificateRequest) -> Result<Self> {
        Ok(Self {
            key: field(request.key, "key")?.try_into()?,
            csr: request.csr,
            created_at: Timestamp(request.created_at),
        })
    }
}

impl From<&Window> for wire::Window {
    fn from(window: &Window) -> Self {
        Self {
            start: window.start.0,
            end: window.end.0,
        }
    }
}

impl From<wire::Window> for Window {
    fn from(window: wire::Window) -> Self {
        Self {
            start: Timestamp(window.start),
            end: Timestamp(window.end),
        }
    }
}

impl From<&RevocationState> for wire::RevocationState {
    fn from(state: &RevocationState) -> Self {
        let step = match state {
            RevocationState::Wanted { next_try } => wire::RevocationStep::Wanted(next_try.0),
            RevocationState::Done => wire::RevocationStep::Done(wire::Nothing {}),
            RevocationState::Refused(why) => wire::RevocationStep::Refused(why.to_string()),
        };
        Self { step: Some(step) }
    }
}

impl TryFrom<wire::RevocationState> for RevocationState {
    type Error = DecodeError;

    fn try_from(state: wire::RevocationState) -> Result<Self> {
        Ok(
            match state.step.ok_or(DecodeError::Unknown("revocation"))? {
                wire::RevocationStep::Wanted(at) => Self::Wanted {
                    next_try: Timestamp(at),
                },
                wire::RevocationStep::Done(_) => Self::Done,
                wire::RevocationStep::Refused(why) => Self::Refused(why.into()),
            },
        )
    }
}

impl From<&Revocation> for wire::Revocation {
    fn from(revocation: &Revocation) -> Self {
        Self {
            reason: revocation.reason.into(),
            asked_at: revocation.asked_at.0,
            state: Some((&revocation.state).into()),
        }
    }
}

impl TryFrom<wire::Revocation> for Revocation {
    type Error = DecodeError;

    fn try_from(revocation: wire::Revocation) -> Result<Self> {
        Ok(Self {
            reason: revocation_reason(revocation.reason)?,
            asked_at: Timestamp(revocation.asked_at),
            state: field(revocation.state, "state")?.try_into()?,
        })
    }
}
