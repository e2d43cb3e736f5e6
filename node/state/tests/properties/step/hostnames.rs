//! Hostnames and the zone.

use std::time::Duration;

use state::{
    Algorithms, ChallengeKind, Change, FailureClass, Index, KeyPurpose, Origin, OriginProtocol,
    OriginScheme, OwnershipPolicy, OwnershipToken, Proof, ProofMethod, State, Timestamp, Traffic,
    Wants, ZoneSettings,
    command::Authorize,
    traffic::{OriginIdentity, Switch},
};

use super::{Step, What, number, sealed};

impl Step {
    pub(super) fn hostname_change(self, state: &State, at: Timestamp, unique: u64) -> Change {
        let hostname = self.hostname();
        match self.what {
            What::Authorize => Change::AuthorizeHostname(Box::new(Authorize {
                hostname,
                tenant: self.tenant(),
                token: OwnershipToken([self.how; 16]),
                wants: self.wants(),
                on_demand: self.how % 4 == 3,
            })),
            What::RemoveHostname => Change::RemoveHostname {
                hostname,
                revision: self.revision(state),
            },
            What::SetOrigin => self.set_origin(state),
            What::SetZone => self.set_zone(state),
            What::SetWants => Change::SetWants {
                hostname,
                wants: Box::new(self.wants()),
                revision: self.revision(state),
            },
            What::SetTraffic => Change::SetTraffic {
                hostname: (self.which >= 32).then_some(hostname),
                traffic: Box::new(self.traffic(state, unique)),
                revision: (self.which >= 32).then(|| self.revision(state)).flatten(),
            },
            What::Contest => Change::ContestHostname {
                hostname,
                tenant: self.tenant(),
                token: OwnershipToken([self.how; 16]),
            },
            What::EndContest => Change::EndContest { hostname },
            What::Request => Change::CreateRequest {
                hostname,
                key: sealed(state, KeyPurpose::Serving, unique),
                csr: number(unique),
            },
            What::Prove | What::ProveContest | What::Defer => self.look(state, at),
            _ => {
                let mut known = state.tombstones().map(|(name, _)| name.clone());
                let hostname = known.next().unwrap_or(hostname);
                Change::ForgetTombstone { hostname }
            }
        }
    }

    /// Few sets, so that hostnames share some.
    fn traffic(self, state: &State, unique: u64) -> Traffic {
        let identity = || OriginIdentity {
            chain: vec![number(u64::from(self.how))],
            key: sealed(state, KeyPurpose::Serving, unique),
        };
        Traffic {
            origin_identity: self
                .how
                .is_multiple_of(3)
                .then(|| Switch::On(identity().into())),
            http2: [None, Some(true), Some(false)][usize::from(self.how % 3)],
            max_body: self.how.is_multiple_of(4).then_some(7),
            hsts: self.how.is_multiple_of(5).then_some(Switch::Off),
            ..Traffic::default()
        }
    }

    /// What the leader found when it looked.
    fn look(self, state: &State, at: Timestamp) -> Change {
        let hostname = self.hostname();
        match self.what {
            What::Prove => Change::RecordOwnership {
                hostname,
                claim: self.claim(state),
                standing: self.proof(),
                fault: (!self.proof().holds()).then(|| "points\nelsewhere".to_owned()),
                next_check: (!self.proof().holds()).then(|| self.later(at)),
            },
            What::ProveContest => Change::RecordContest {
                hostname,
                claim: self.contest_claim(state),
                proven: match self.proof() {
                    Proof::Proven(method) => Some(method),
                    _ => None,
                },
                fault: (!self.proof().holds()).then(|| "no TXT record".to_owned()),
                next_check: self.later(at),
            },
            _ => Change::DeferHostname {
                hostname,
                claim: self.claim(state),
                class: FailureClass::ALL[usize::from(self.how) % FailureClass::ALL.len()],
                reason: "points elsewhere".to_owned(),
                next_try: at.plus(Duration::from_secs(u64::from(self.how) * 30)),
                parked: self.how.is_multiple_of(2),
            },
        }
    }

    fn proof(self) -> Proof {
        match self.how % 8 {
            0 => Proof::Vouched,
            1 => Proof::Unproven,
            2 => Proof::Lapsed,
            3 => Proof::Proven(ProofMethod::Address),
            4 => Proof::Proven(ProofMethod::Http),
            5 => Proof::Proven(ProofMethod::Cname),
            _ => Proof::Proven(ProofMethod::Txt),
        }
    }

    /// The default for half of them.
    pub(super) fn wants(self) -> Wants {
        let usual = Wants::default();
        match self.how % 16 {
            0 => Wants {
                wildcard: true,
                challenge: Some(ChallengeKind::Dns01),
                ..usual
            },
            1 | 2 => Wants {
                algorithms: Algorithms::Both,
                ..usual
            },
            3 => Wants {
                algorithms: Algorithms::Rsa,
                wildcard: true,
                ..usual
            },
            4 => Wants {
                automatic: false,
                ..usual
            },
            5 => Wants {
                ca: Some(self.ca()),
                ..usual
            },
            6 => Wants {
                wildcard: true,
                challenge: Some(ChallengeKind::Http01),
                ..usual
            },
            7 => Wants {
                ca: "other-ca".parse().ok(),
                profile: Some("shortlived".to_owned()),
                ..usual
            },
            _ => usual,
        }
    }

    pub(super) fn revision(self, state: &State) -> Option<Index> {
        let record = state.hostname(self.hostname().as_str());
        match self.how % 8 {
            0 => record.map(|record| record.revision),
            // One that never was.
            1 => Some(Index(u64::from(self.which) * 10)),
            _ => None,
        }
    }

    /// The present one, mostly.
    pub(super) fn claim(self, state: &State) -> Index {
        let record = state.hostname(self.hostname().as_str());
        let present = record.map(|record| record.claim).unwrap_or_default();
        if self.which.is_multiple_of(8) {
            Index(1)
        } else {
            present
        }
    }

    fn contest_claim(self, state: &State) -> Index {
        let record = state.hostname(self.hostname().as_str());
        let contest = record.and_then(|record| record.contest());
        contest.map(|contest| contest.claim).unwrap_or_default()
    }

    fn set_origin(self, state: &State) -> Change {
        let host = ["app", "app.internal", "::1"][usize::from(self.which) % 3];
        Change::SetOrigin {
            origin: Origin {
                scheme: OriginScheme::Https,
                host: host.to_owned(),
                port: 8443,
                protocol: OriginProtocol::Auto,
            },
            revision: self.zone_revision(state),
        }
    }

    fn set_zone(self, state: &State) -> Change {
        let policies = [OwnershipPolicy::Operator, OwnershipPolicy::Proof];
        let settings = ZoneSettings {
            ownership: policies[usize::from(self.which) % 2],
            edge_domain: self.how.is_multiple_of(2).then(|| self.hostname()),
            caa_open: self.how.is_multiple_of(3),
            ..ZoneSettings::default()
        };
        Change::SetZone {
            settings: Box::new(settings),
            revision: self.zone_revision(state),
        }
    }

    fn zone_revision(self, state: &State) -> Option<Index> {
        match self.how % 6 {
            0 => Some(state.zone().revision),
            1 => Some(Index(u64::from(self.how) * 10)),
            _ => None,
        }
    }
}
