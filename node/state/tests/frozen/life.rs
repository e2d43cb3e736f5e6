//! A life in which a state meets all that a record can be.

use bytes::Bytes;
use state::{
    Actor, Algorithms, Batch, Budget, CertificateId, ChallengeKind, Change, Command, DataKey, Due,
    Evidence, FailureClass, FeatureLevel, InvitationId, KeyAlgorithm, KeyPurpose, LimitKind,
    NodeId, OrderId, OwnershipPolicy, OwnershipToken, Proof, ProofMethod, Registration, Reissue,
    RevocationState, Role, Rotation, Stage, State, Tenant, Term, Timestamp, Wants, Window,
    ZoneSettings,
    command::{Admit, Authorize, Found, Upload},
    testing::{self, host},
};

use crate::{
    changes,
    records::{GENERATION, sealed, stages},
};

/// Its records and its log were frozen as they were once: it may live otherwise later on.
pub(crate) fn lived() -> Life {
    let mut life = Life::founded(changes::found(Registration::None, None));
    let origin = "https://app.internal:8443".parse().unwrap();
    let revision = None;
    life.change(None, Change::SetOrigin { origin, revision });
    life.account();
    life.members();
    life.policy(OwnershipPolicy::Operator);
    life.certificates();
    life.fates();
    for (number, stage) in stages().iter().enumerate() {
        let order = life.admit(&format!("order-{number}.example"));
        life.carry(order, stage);
    }
    life.failures();
    life.ownership();
    life
}

/// The same of what came later: a cluster that goes back to a backup, whose keys are being
/// replaced.
pub(crate) fn restored() -> Life {
    let mut found = changes::found(Registration::None, None);
    found.backup = Some(changes::backup_of());
    let mut life = Life::founded(found);
    life.change(
        None,
        Change::FinishRestore {
            hostnames: 0,
            certificates: 0,
        },
    );
    life.policy(OwnershipPolicy::Operator);
    life.upload();
    let of = Rotation::DataKey(KeyPurpose::Serving);
    life.change(None, Change::AskRotation { of });
    life
}

/// The same of feature level 2.
pub(crate) fn level_two() -> Life {
    let mut life = Life::founded(changes::found(Registration::None, None));
    life.machines();
    life
}

#[derive(Default)]
pub(crate) struct Life {
    pub(crate) state: State,
    /// What led to it.
    pub(crate) log: Vec<Batch>,
    index: u64,
}

impl Life {
    fn founded(mut found: Found) -> Self {
        let mut life = Self::default();
        let later = found.data_keys.clone().into_iter().map(|key| DataKey {
            generation: GENERATION,
            ..key
        });
        found.data_keys.extend(later);
        life.change(None, Change::Found(Box::new(found)));
        life.change(Some(1), Change::TakeOver { node: NodeId(1) });
        life
    }

    pub(crate) fn change(&mut self, duty: Option<u64>, change: Change) {
        self.index += 1;
        let name = change.name();
        let command = Command {
            at: self.now(),
            actor: Actor::operator("alice"),
            duty: duty.map(Term),
            change,
        };
        let commands = vec![command];
        let batch = Batch { commands };
        let (outcomes, _) = self.state.apply(self.index.into(), &batch);
        self.log.push(batch);
        let done = outcomes[0].clone().into_result();
        done.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    }

    fn now(&self) -> Timestamp {
        Timestamp(1000 + self.index)
    }

    fn duty(&mut self, change: Change) {
        self.change(Some(1), change);
    }

    fn machines(&mut self) {
        self.duty(Change::RaiseLevel {
            level: FeatureLevel(2),
            members: vec![NodeId(1)],
        });
        for number in [2, 3] {
            self.change(
                None,
                Change::AdmitMachine {
                    machine: format!("machine-{number}"),
                    newcomer: testing::newcomer(number),
                },
            );
        }
        self.change(None, Change::RemoveNode { node: NodeId(3) });
        self.duty(Change::FinishRemoval { node: NodeId(3) });
    }

    fn account(&mut self) {
        let ca = testing::ca_name();
        let key = testing::account_key("thumbprint");
        self.duty(Change::CommitAccountKey { ca, key });
        let ca = testing::ca_name();
        let url = "https://ca.example/acct/1".to_owned();
        self.duty(Change::RegisterAccount { ca, url });
    }

    fn policy(&mut self, ownership: OwnershipPolicy) {
        let settings = ZoneSettings {
            ownership,
            ..changes::zone()
        };
        let settings = Box::new(settings);
        let revision = None;
        self.change(None, Change::SetZone { settings, revision });
    }

    fn invite(&mut self, role: Role) -> InvitationId {
        self.change(
            None,
            Change::CreateInvitation {
                role,
                verifier: [9; 32],
                expires_at: Timestamp(900_000),
            },
        );
        self.state.invitations().last().unwrap().id
    }

    fn members(&mut self) {
        for machine in [2, 3] {
            let invitation = self.invite(Role::Node);
            let newcomer = testing::newcomer(machine);
            self.change(
                None,
                Change::AdmitNode {
                    invitation,
                    newcomer,
                },
            );
            self.change(
                None,
                Change::RemoveNode {
                    node: NodeId(machine.into()),
                },
            );
        }
        self.duty(Change::FinishRemoval { node: NodeId(2) });
        let invitation = self.invite(Role::Viewer);
        let public_key = Bytes::from_static(b"bob's key");
        let name = "bob".to_owned();
        self.change(
            None,
            Change::AdmitOperator {
                invitation,
                name,
                public_key,
            },
        );
        let id = self.invite(Role::Admin);
        self.change(None, Change::RevokeInvitation { id });
        self.invite(Role::Admin);
    }

    /// One live, one replaced, one kept, and one of each kind of key with a wildcard.
    fn certificates(&mut self) {
        for name in ["live.example", "kept.example"] {
            let order = self.admit(name);
            self.issue(order, name);
        }
        self.index += 10_000_000_000;
        let order = self.order("live.example");
        self.issue(order, "renewed");
        let hostname = host("kept.example");
        let revision = None;
        self.change(None, Change::RemoveHostname { hostname, revision });
        self.authorize(
            "both.example",
            Wants {
                wildcard: true,
                algorithms: Algorithms::Both,
                automatic: true,
                ca: Some(testing::ca_name()),
                profile: Some("tlsserver".to_owned()),
                challenge: Some(ChallengeKind::Dns01),
            },
        );
        for leaf in ["both by ecdsa", "both by rsa"] {
            let order = self.order("both.example");
            self.issue(order, leaf);
        }
    }

    /// Certificates to be replaced, to be revoked, revoked, and brought.
    fn fates(&mut self) {
        for name in ["wanted.example", "done.example", "refused.example"] {
            let order = self.admit(name);
            let id = self.issue(order, name);
            self.change(None, Change::RevokeCertificate { id, reason: 4 });
            let state = match name {
                "done.example" => RevocationState::Done,
                "refused.example" => RevocationState::Refused("revoked already".into()),
                _ => continue,
            };
            self.duty(Change::FinishRevocation { id, state });
        }
        let order = self.admit("window.example");
        let id = self.issue(order, "window.example");
        self.duty(Change::ScheduleRenewal {
            id,
            renew_at: Timestamp(20_000_000_000),
            window: Some(Window {
                start: Timestamp(19_000_000_000),
                end: Timestamp(21_000_000_000),
            }),
        });
        let order = self.admit("reissue.example");
        self.issue(order, "reissue.example");
        let hostnames = vec![host("reissue.example")];
        let urgency = Reissue::Calm;
        self.change(None, Change::ReissueCertificates { hostnames, urgency });
        self.upload();
    }

    fn upload(&mut self) {
        let automatic = false;
        let wants = Wants {
            automatic,
            ..Wants::default()
        };
        self.authorize("brought.example", wants);
        let hostname = host("brought.example");
        self.change(
            None,
            Change::CreateRequest {
                hostname: hostname.clone(),
                key: sealed(KeyPurpose::Serving),
                csr: Bytes::from_static(b"csr"),
            },
        );
        let leaf = Bytes::from_static(b"brought");
        let chain = vec![Bytes::from_static(b"their issuer")];
        let serial = Bytes::from_static(b"serial");
        let upload = Upload {
            hostname,
            wildcard: false,
            algorithm: KeyAlgorithm::Ecdsa,
            key: Some(sealed(KeyPurpose::Serving)),
            parts: testing::parts(serial, leaf, chain, self.now()),
            move_at: None,
            revision: None,
        };
        self.change(None, Change::UploadCertificate(Box::new(upload)));
    }

    fn failures(&mut self) {
        let order = self.admit("failing.example");
        self.duty(Change::FailOrder {
            order,
            evidence: Evidence::Invalid,
            class: FailureClass::Challenge,
            reason: "no answer from 192.0.2.1".to_owned(),
            next_try: Timestamp(1_000_000),
        });
        self.authorize("parked.example", Wants::default());
        self.duty(Change::DeferHostname {
            hostname: host("parked.example"),
            claim: self.state.hostname("parked.example").unwrap().claim,
            class: FailureClass::Preflight,
            reason: "points elsewhere".to_owned(),
            next_try: Timestamp(1_000_000),
            parked: true,
        });
        let key = |kind| state::BucketKey {
            ca: testing::ca_name(),
            kind,
            key: "blocked.example".into(),
        };
        for kind in LimitKind::ALL {
            let until = Timestamp(30_000_000_000);
            let bucket = key(kind);
            self.duty(Change::ObserveLimit { bucket, until });
        }
    }

    fn ownership(&mut self) {
        self.policy(OwnershipPolicy::Proof);
        let standings = [
            ("unproven.example", Proof::Unproven),
            ("txt.example", Proof::Proven(ProofMethod::Txt)),
            ("lapsed.example", Proof::Lapsed),
        ];
        for (name, standing) in standings {
            self.authorize(name, Wants::default());
            if standing == Proof::Lapsed {
                self.prove(name, Proof::Proven(ProofMethod::Cname));
            }
            self.prove(name, standing);
        }
        let hostname = host("txt.example");
        let tenant: Tenant = "other".parse().unwrap();
        let token = OwnershipToken([4; 16]);
        self.change(
            None,
            Change::ContestHostname {
                hostname: hostname.clone(),
                tenant,
                token,
            },
        );
        self.duty(Change::RecordContest {
            hostname,
            claim: self.index.into(),
            proven: None,
            fault: Some("no TXT record".to_owned()),
            next_check: Timestamp(30_000_000_000),
        });
    }

    fn prove(&mut self, name: &str, standing: Proof) {
        let fails = !standing.holds();
        self.duty(Change::RecordOwnership {
            hostname: host(name),
            claim: self.state.hostname(name).unwrap().claim,
            standing,
            fault: fails.then(|| "points elsewhere".to_owned()),
            next_check: fails.then_some(Timestamp(30_000_000_000)),
        });
    }

    fn authorize(&mut self, name: &str, wants: Wants) {
        let authorize = Authorize {
            hostname: host(name),
            tenant: "org_1:cust.2".parse().unwrap(),
            token: OwnershipToken([3; 16]),
            wants,
            on_demand: false,
        };
        self.change(None, Change::AuthorizeHostname(Box::new(authorize)));
    }

    fn admit(&mut self, name: &str) -> OrderId {
        self.authorize(name, Wants::default());
        self.order(name)
    }

    fn order(&mut self, name: &str) -> OrderId {
        let hostname = host(name);
        let record = self.state.hostname(name).unwrap();
        let Some((_, Due::Order(_, algorithm))) = self.state.hostname_due(&hostname, record) else {
            panic!("{name} needs no order");
        };
        let renewal = record.certificate.is_some();
        let admit = Admit {
            claim: record.claim,
            algorithm,
            budget: if renewal {
                Budget::Renewal
            } else {
                Budget::New
            },
            replaces: renewal.then(|| "aki.serial".to_owned()),
            profile: Some("tlsserver".to_owned()),
            key: sealed(KeyPurpose::Serving),
            ..testing::admit(name)
        };
        self.duty(Change::AdmitOrder(Box::new(admit)));
        self.state.orders().last().unwrap().id
    }

    /// From admitted on to `stage`.
    fn carry(&mut self, order: OrderId, stage: &Stage) {
        let mut placed = testing::placed(order, "token");
        placed.expires = Some(Timestamp(800_000));
        let way = [
            Change::PrepareOrder { order, placed },
            Change::IntendReady { order },
            Change::IntendFinalize { order },
        ];
        let all = stages();
        let steps = all.iter().position(|one| one.as_str() == stage.as_str());
        for change in way.into_iter().take(steps.unwrap()) {
            self.duty(change);
        }
    }

    fn issue(&mut self, order: OrderId, leaf: &str) -> CertificateId {
        let last = stages().pop().unwrap();
        self.carry(order, &last);
        let leaf = Bytes::copy_from_slice(leaf.as_bytes());
        let chain = vec![Bytes::from_static(b"issuer")];
        let install = testing::install(order, leaf, chain, self.now());
        let id = install.parts.id;
        self.duty(Change::InstallCertificate(Box::new(install)));
        id
    }
}
