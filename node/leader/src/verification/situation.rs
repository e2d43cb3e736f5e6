//! The state, as the rules need it.

use state::{
    Ca, ChallengeKind, Contest, Hostname, HostnameRecord, OwnershipToken, Proof, State, Tenant,
};

use super::{
    caa::Issuer,
    claim::{Claim, Cluster, Purpose, Subject},
    method::Challenge,
    name::DnsName,
};

/// What is true of the whole cluster.
pub fn cluster(state: &State) -> Cluster {
    let settings = &state.zone().settings;
    let addresses = settings.addresses.iter();
    Cluster {
        edge: settings.edge_domain.as_ref().map(DnsName::from),
        addresses: addresses.map(|address| address.to_canonical()).collect(),
    }
}

/// What `hostname` must show for the tenant that has it.
pub fn claim(state: &State, hostname: &Hostname, record: &HostnameRecord) -> Claim {
    let tombstone = state.tombstone(hostname.as_str());
    let of_another = tombstone.is_some_and(|tombstone| tombstone.tenant != record.tenant);
    let purpose = match record.ownership.standing {
        _ if of_another => Purpose::Transfer,
        Proof::Unproven => Purpose::First,
        Proof::Vouched | Proof::Proven(_) | Proof::Lapsed => Purpose::Recheck,
    };
    let token = record.ownership.token;
    claim_of(state, hostname, record, &record.tenant, token, purpose)
}

/// What it must show for another tenant that claims it.
pub fn contested(
    state: &State,
    hostname: &Hostname,
    record: &HostnameRecord,
    contest: &Contest,
) -> Claim {
    let (tenant, token) = (&contest.tenant, contest.token);
    claim_of(state, hostname, record, tenant, token, Purpose::Contest)
}

fn claim_of(
    state: &State,
    hostname: &Hostname,
    record: &HostnameRecord,
    tenant: &Tenant,
    token: OwnershipToken,
    purpose: Purpose,
) -> Claim {
    let named = |text: String| DnsName::parse(&text).ok();
    let settings = &state.zone().settings;
    let delegation = settings.dns.as_ref().and_then(|zone| {
        let label = tenant.delegation_label(state.names_id()?, hostname);
        named(format!("{label}.{}", zone.name))
    });
    Claim {
        subject: Subject {
            host: hostname.clone(),
            wildcard: record.is_wildcard(),
        },
        token: token.into(),
        target: state.tenant_target(tenant).and_then(named),
        delegation,
        purpose,
    }
}

/// A CA as CAA records name it. One that comes with trust roots of its own is private.
pub fn issuer(ca: &Ca) -> Issuer {
    Issuer {
        name: ca.name.as_str().to_owned(),
        identities: ca.settings.caa_identities.clone(),
        account: ca.account_url().map(ToOwned::to_owned),
        public: ca.settings.trust_roots_pem.is_empty(),
    }
}

/// The CAs that `hostname` may be ordered from, the first choice first.
pub fn issuers(state: &State, record: &HostnameRecord) -> Vec<Issuer> {
    let only = record.wants().ca;
    let cas = state.cas_by_rank().into_iter();
    let wanted = cas.filter(|ca| only.as_ref().is_none_or(|only| *only == ca.name));
    wanted.map(|ca| issuer(ca)).collect()
}

impl From<ChallengeKind> for Challenge {
    fn from(kind: ChallengeKind) -> Self {
        match kind {
            ChallengeKind::Http01 => Self::Http01,
            ChallengeKind::TlsAlpn01 => Self::TlsAlpn01,
            ChallengeKind::Dns01 => Self::Dns01,
        }
    }
}

impl From<Challenge> for ChallengeKind {
    fn from(challenge: Challenge) -> Self {
        match challenge {
            Challenge::Http01 => Self::Http01,
            Challenge::TlsAlpn01 => Self::TlsAlpn01,
            Challenge::Dns01 => Self::Dns01,
        }
    }
}
