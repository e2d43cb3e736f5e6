//! How urgent an order is. Pure.

use std::time::Duration;

use state::{
    CaName, Certificate, HostnameRecord, KeyAlgorithm, Proof, ProofMethod, Reissue, Source, State,
    Tenant, Timestamp,
};

/// What orders wait in, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// What is served was revoked, is past its CA's window, or is about to end.
    Urgent,
    /// Renewals at their chosen moment.
    Renewal,
    /// New hostnames whose traffic already comes here.
    Arriving,
    /// Other new hostnames.
    New,
    /// What nobody waits for: second keys and calm reissues.
    Calm,
}

impl Lane {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 5] = [
        Self::Urgent,
        Self::Renewal,
        Self::Arriving,
        Self::New,
        Self::Calm,
    ];

    /// Its name in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Renewal => "renewal",
            Self::Arriving => "arriving",
            Self::New => "new",
            Self::Calm => "calm",
        }
    }

    /// True if it never waits behind new hostnames.
    pub fn is_renewal(self) -> bool {
        matches!(self, Self::Urgent | Self::Renewal)
    }

    /// True if tenants take turns in it. In the others the order is by time alone.
    pub(super) fn has_turns(self) -> bool {
        matches!(self, Self::Arriving | Self::New)
    }
}

/// Of its life so much is left when a certificate becomes urgent: one part in so many.
const URGENT_PART: u32 = 6;

/// For so long the CA knows that a set of names had a certificate (Boulder: 120 days from
/// its issuance), less a day for dating back and for clocks that disagree.
pub(super) const SET_KNOWN: Duration = Duration::from_secs(119 * 86_400);

/// An order that is due, as the queue sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) lane: Lane,
    pub(super) sort: Sort,
    pub(super) algorithm: KeyAlgorithm,
    /// Whose turn it takes, where tenants take turns.
    pub(super) tenant: Tenant,
    /// Its place in its lane: the lowest first.
    pub(super) rank: Timestamp,
    /// When it becomes urgent, if it will.
    pub(super) rises_at: Option<Timestamp>,
}

/// What jobs of a lane have in common, so that what stops one stops all of them without a
/// look at each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sort {
    /// The only CA that it may go to.
    pub(super) wish: Option<CaName>,
    /// At the CA that it goes to first it counts as a new order.
    pub(super) counted: bool,
    /// Nothing but the time makes it due.
    pub(super) timed: bool,
}

/// Where an order that is due since `at` belongs at `now`. `first` is the CA that is asked
/// first.
pub(super) fn judge(
    state: &State,
    record: &HostnameRecord,
    (at, algorithm): (Timestamp, KeyAlgorithm),
    first: Option<&CaName>,
    everybody: &Tenant,
    now: Timestamp,
) -> Job {
    let served = record.certificate_of(algorithm);
    let served = served.and_then(|id| state.certificate(&id));
    let (lane, rank, rises_at) = match served {
        Some(served) if widens(record, served) => (newcomer(record), at, None),
        Some(served) => renewal(served, at, now),
        None if record.certificates().next().is_some() => (Lane::Calm, at, None),
        None => (newcomer(record), at, None),
    };
    let wish = record.wants.as_ref().and_then(|wants| wants.ca.clone());
    let ca = wish.as_ref().or(first);
    let known = ca.is_some_and(|ca| is_known_set(state, record, ca, now));
    let asked = served.is_none_or(|served| {
        served.reissue.is_some() || served.revocation.is_some() || widens(record, served)
    });
    Job {
        lane,
        sort: Sort {
            wish,
            counted: !known,
            timed: !asked,
        },
        algorithm,
        tenant: if lane.has_turns() {
            record.tenant.clone()
        } else {
            everybody.clone()
        },
        rank,
        rises_at,
    }
}

/// What is wanted has a name more than what is served.
pub(super) fn widens(record: &HostnameRecord, served: &Certificate) -> bool {
    record.is_wildcard() && !served.wildcard
}

fn newcomer(record: &HostnameRecord) -> Lane {
    match record.ownership.standing {
        Proof::Proven(ProofMethod::Cname | ProofMethod::Address) => Lane::Arriving,
        Proof::Proven(ProofMethod::Txt | ProofMethod::Http)
        | Proof::Vouched
        | Proof::Unproven
        | Proof::Lapsed => Lane::New,
    }
}

fn renewal(
    served: &Certificate,
    at: Timestamp,
    now: Timestamp,
) -> (Lane, Timestamp, Option<Timestamp>) {
    let urgent_at = urgent_at(served);
    if served.revocation.is_some() || served.reissue == Some(Reissue::Urgent) || urgent_at <= now {
        // The one that ends first goes first.
        return (Lane::Urgent, served.not_after, None);
    }
    match served.reissue {
        Some(_) => (Lane::Calm, served.not_after, Some(urgent_at)),
        None => (Lane::Renewal, at, Some(urgent_at)),
    }
}

/// From when on a certificate that was not replaced is urgent.
fn urgent_at(served: &Certificate) -> Timestamp {
    let life = served.not_after.since(served.not_before);
    let late = served.not_after.minus(life / URGENT_PART);
    let window = served.window.map(|window| window.end);
    window.map_or(late, |end| end.min(late))
}

/// The CA has issued for exactly the names that are wanted, not long ago: a renewal.
pub(super) fn is_known_set(
    state: &State,
    record: &HostnameRecord,
    ca: &CaName,
    now: Timestamp,
) -> bool {
    let mut served = record
        .certificates()
        .filter_map(|id| state.certificate(&id));
    served.any(|certificate| {
        certificate.wildcard == record.is_wildcard()
            && certificate.source == Source::Ca(ca.clone())
            && now.since(certificate.not_before) < SET_KNOWN
    })
}
