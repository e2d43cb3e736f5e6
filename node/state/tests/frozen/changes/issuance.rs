//! CAs, hostnames, orders and certificates.

use std::time::Duration;

use state::{
    Algorithms, BucketKey, Budget, CaSettings, CertificateId, ChainId, ChallengeKind, Change,
    DnsZone, Evidence, ExternalAccount, FailureClass, Index, KeyAlgorithm, KeyPurpose, Limit,
    LimitKind, LimitOverride, Nameserver, OrderId, OwnershipPolicy, OwnershipToken, Placed, Proof,
    ProofMethod, Registration, Reissue, RevocationState, Tenant, Timestamp, Wants, Window,
    ZoneSettings,
    command::{Admit, Authorize, CertificateParts, Install, Upload},
    order::{PlacedAuthorization, PlacedChallenge},
    testing::{account_key, ca_name},
};

use super::{bytes, host, sealed};
use crate::{complete, variants};

variants!(EVIDENCE, evidence_name, Evidence, {
    Evidence::NeverPlaced => "never-placed",
    Evidence::Invalid => "invalid",
    Evidence::Gone => "gone",
    Evidence::Withdrawn => "withdrawn",
    Evidence::Unusable => "unusable",
    Evidence::Superseded => "superseded",
});

variants!(CLASSES, class_name, FailureClass, {
    FailureClass::Challenge => "challenge",
    FailureClass::Rejected => "rejected",
    FailureClass::RateLimited => "rate-limited",
    FailureClass::Unavailable => "unavailable",
    FailureClass::Unusable => "unusable",
    FailureClass::Preflight => "preflight",
    FailureClass::Paused => "paused",
});

variants!(REGISTRATIONS, registration_name, Registration, {
    Registration::None => "none",
    Registration::KeyCommitted(_) => "key-committed",
    Registration::Registered { rollover: false, .. } => "registered",
    Registration::Registered { rollover: true, .. } => "rollover-wanted",
    Registration::Rolling { .. } => "rolling",
});

variants!(POLICIES, policy_name, OwnershipPolicy, {
    OwnershipPolicy::Operator => "operator",
    OwnershipPolicy::Proof => "proof",
});

variants!(PROOFS, proof_name, Proof, {
    Proof::Vouched => "vouched",
    Proof::Unproven => "unproven",
    Proof::Proven(ProofMethod::Txt) => "txt",
    Proof::Proven(ProofMethod::Cname) => "cname",
    Proof::Proven(ProofMethod::Address) => "address",
    Proof::Proven(ProofMethod::Http) => "http",
    Proof::Lapsed => "lapsed",
});

variants!(CHOICES, choice_name, Algorithms, {
    Algorithms::Ecdsa => "ecdsa",
    Algorithms::Rsa => "rsa",
    Algorithms::Both => "both",
});

variants!(ALGORITHMS, algorithm_name, KeyAlgorithm, {
    KeyAlgorithm::Ecdsa => "ecdsa",
    KeyAlgorithm::Rsa => "rsa",
});

variants!(CHALLENGES, challenge_name, ChallengeKind, {
    ChallengeKind::Http01 => "http-01",
    ChallengeKind::TlsAlpn01 => "tls-alpn-01",
    ChallengeKind::Dns01 => "dns-01",
});

variants!(LIMITS, limit_name, LimitKind, {
    LimitKind::Orders => "orders",
    LimitKind::Certificates => "certificates-per-domain",
    LimitKind::Sets => "certificates-per-set",
    LimitKind::Failures => "failed-validations",
});

variants!(BUDGETS, budget_name, Budget, {
    Budget::New => "new",
    Budget::Renewal => "renewal",
    Budget::Urgent => "urgent",
    Budget::Exempt => "exempt",
});

variants!(URGENCIES, urgency_name, Reissue, {
    Reissue::Calm => "calm",
    Reissue::Urgent => "urgent",
});

variants!(REVOCATIONS, revocation_name, RevocationState, {
    RevocationState::Wanted { .. } => "wanted",
    RevocationState::Done => "done",
    RevocationState::Refused(_) => "refused",
});

const ID: CertificateId = CertificateId([1; 32]);

pub(super) fn add(add: &mut impl FnMut(&str, Change)) {
    cas(add);
    hostnames(add);
    looks(add);
    certificates(add);
    orders(add);
    failures(add);
}

/// One of each.
pub(crate) fn registrations() -> Vec<Registration> {
    let key = || account_key("thumbprint");
    let url = || "https://ca.example/acct/1".to_owned();
    let registered = |rollover| Registration::Registered {
        key: key(),
        url: url(),
        rollover,
    };
    let registrations = vec![
        Registration::None,
        Registration::KeyCommitted(key()),
        registered(false),
        registered(true),
        Registration::Rolling {
            key: key(),
            url: url(),
            next: account_key("the next thumbprint"),
        },
    ];
    complete(REGISTRATIONS, registrations.iter().map(registration_name));
    registrations
}

pub(super) fn settings() -> CaSettings {
    let limit = |kind| Limit {
        kind,
        burst: 300,
        refill: Duration::from_millis(36_001),
    };
    complete(LIMITS, LimitKind::ALL.iter().map(limit_name));
    CaSettings {
        directory: "https://ca.example/directory".to_owned(),
        trust_roots_pem: "-----BEGIN CERTIFICATE-----".to_owned(),
        contacts: vec![
            "mailto:one@saas.example".into(),
            "mailto:two@saas.example".into(),
        ],
        terms_agreed: true,
        rank: 2,
        finalize_atomic: true,
        caa_identities: vec!["ca.example".into(), "other.example".into()],
        profile: Some("tlsserver".to_owned()),
        preferred_chain: Some("Root X2".to_owned()),
        limits: LimitKind::ALL.map(limit).to_vec(),
        overrides: vec![LimitOverride {
            key: "shop.example".into(),
            limit: limit(LimitKind::Certificates),
        }],
    }
}

pub(super) fn external() -> ExternalAccount {
    ExternalAccount {
        key_id: "key-1".to_owned(),
        hmac: sealed(KeyPurpose::Control),
    }
}

pub(crate) fn zone() -> ZoneSettings {
    let addresses = || vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    ZoneSettings {
        ownership: OwnershipPolicy::Proof,
        edge_domain: Some(host("edge.example")),
        addresses: addresses(),
        dns: Some(DnsZone {
            name: host("acme.edge.example"),
            nameservers: vec![Nameserver {
                name: host("ns1.edge.example"),
                addresses: addresses(),
            }],
        }),
        caa_open: false,
    }
}

fn tenant() -> Tenant {
    "org_1:cust.2".parse().unwrap()
}

fn wants(algorithms: Algorithms) -> Wants {
    Wants {
        wildcard: true,
        algorithms,
        automatic: true,
        ca: Some(ca_name()),
        profile: Some("shortlived".to_owned()),
        challenge: Some(ChallengeKind::Dns01),
    }
}

pub(super) fn authorize(on_demand: bool) -> Change {
    Change::AuthorizeHostname(Box::new(Authorize {
        hostname: host("bücher.example"),
        tenant: tenant(),
        token: OwnershipToken([8; 16]),
        wants: wants(Algorithms::Both),
        on_demand,
    }))
}

fn cas(add: &mut impl FnMut(&str, Change)) {
    let ca = ca_name;
    add(
        "put-ca",
        Change::PutCa {
            name: ca(),
            settings: Box::new(settings()),
            revision: Some(Index(9)),
        },
    );
    add(
        "put-ca.plain",
        Change::PutCa {
            name: ca(),
            settings: Box::default(),
            revision: None,
        },
    );
    for (name, account) in [("", Some(external())), (".none", None)] {
        let change = Change::BindExternalAccount { ca: ca(), account };
        add(&format!("bind-external-account{name}"), change);
    }
    let revision = Some(Index(9));
    add("remove-ca", Change::RemoveCa { ca: ca(), revision });
    add("roll-account-key", Change::RollAccountKey { ca: ca() });
    let key = account_key("thumbprint");
    let commit = Change::CommitAccountKey { ca: ca(), key };
    add("commit-account-key", commit);
    let url = "https://ca.example/acct/1".to_owned();
    let register = Change::RegisterAccount { ca: ca(), url };
    add("register-account", register);
    for (name, rolled) in [("yes", true), ("no", false)] {
        let change = Change::FinishRollover { ca: ca(), rolled };
        add(&format!("finish-rollover.{name}"), change);
    }
    for kind in LimitKind::ALL {
        let bucket = BucketKey {
            ca: ca(),
            kind,
            key: "shop.example".into(),
        };
        let until = Timestamp(70);
        let correct = Change::CorrectLimit {
            bucket: bucket.clone(),
        };
        add(&format!("correct-limit.{}", limit_name(&kind)), correct);
        let change = Change::ObserveLimit { bucket, until };
        add(&format!("observe-limit.{}", limit_name(&kind)), change);
    }
    let policies = [OwnershipPolicy::Operator, OwnershipPolicy::Proof];
    for ownership in policies {
        let settings = ZoneSettings {
            ownership,
            ..zone()
        };
        let change = Change::SetZone {
            settings: Box::new(settings),
            revision: Some(Index(9)),
        };
        add(&format!("set-zone.{}", policy_name(&ownership)), change);
    }
    let settings = ZoneSettings {
        caa_open: true,
        ..zone()
    };
    let change = Change::SetZone {
        settings: Box::new(settings),
        revision: None,
    };
    add("set-zone.caa-open", change);
    complete(POLICIES, policies.iter().map(policy_name));
}

fn hostnames(add: &mut impl FnMut(&str, Change)) {
    let mut want = |name: &str, wants| {
        let change = Change::SetWants {
            hostname: host("shop.example"),
            wants: Box::new(wants),
            revision: Some(Index(9)),
        };
        add(&format!("set-wants.{name}"), change);
    };
    for algorithms in Algorithms::ALL {
        want(choice_name(&algorithms), wants(algorithms));
    }
    complete(CHOICES, Algorithms::ALL.iter().map(choice_name));
    for kind in ChallengeKind::ALL {
        let challenge = Some(kind);
        let wants = Wants {
            challenge,
            ..Wants::default()
        };
        want(challenge_name(&kind), wants);
    }
    complete(CHALLENGES, ChallengeKind::ALL.iter().map(challenge_name));
    let automatic = false;
    let by_hand = Wants {
        automatic,
        ..Wants::default()
    };
    want("by-hand", by_hand);
    let hostname = host("shop.example");
    let change = Change::ContestHostname {
        hostname: hostname.clone(),
        tenant: tenant(),
        token: OwnershipToken([8; 16]),
    };
    add("contest-hostname", change);
    let end = Change::EndContest {
        hostname: hostname.clone(),
    };
    add("end-contest", end);
    let request = Change::CreateRequest {
        hostname: hostname.clone(),
        key: sealed(KeyPurpose::Serving),
        csr: bytes("csr"),
    };
    add("create-request", request);
    add("forget-tombstone", Change::ForgetTombstone { hostname });
}

fn looks(add: &mut impl FnMut(&str, Change)) {
    let hostname = || host("shop.example");
    let fault = || Some("no TXT record".to_owned());
    let mut proofs = vec![Proof::Vouched, Proof::Unproven, Proof::Lapsed];
    proofs.extend(ProofMethod::ALL.map(Proof::Proven));
    complete(PROOFS, proofs.iter().map(proof_name));
    for standing in proofs {
        let change = Change::RecordOwnership {
            hostname: hostname(),
            claim: Index(8),
            standing,
            fault: fault().filter(|_| !standing.holds()),
            next_check: Some(Timestamp(80)).filter(|_| !standing.holds()),
        };
        add(
            &format!("record-ownership.{}", proof_name(&standing)),
            change,
        );
    }
    let methods = ProofMethod::ALL.map(Some).into_iter().chain([None]);
    for proven in methods {
        let change = Change::RecordContest {
            hostname: hostname(),
            claim: Index(8),
            proven,
            fault: fault().filter(|_| proven.is_none()),
            next_check: Timestamp(80),
        };
        let name = proven.map_or("none", |method| proof_name(&Proof::Proven(method)));
        add(&format!("record-contest.{name}"), change);
    }
    let defer = Change::DeferHostname {
        hostname: hostname(),
        claim: Index(8),
        class: FailureClass::Preflight,
        reason: "points elsewhere".to_owned(),
        next_try: Timestamp(80),
        parked: true,
    };
    add("defer-hostname", defer);
}

fn certificates(add: &mut impl FnMut(&str, Change)) {
    let urgencies = [Reissue::Calm, Reissue::Urgent];
    for urgency in urgencies {
        let hostnames = vec![host("shop.example"), host("b.example")];
        let change = Change::ReissueCertificates { hostnames, urgency };
        add(
            &format!("reissue-certificates.{}", urgency_name(&urgency)),
            change,
        );
    }
    complete(URGENCIES, urgencies.iter().map(urgency_name));
    let reason = 4;
    add(
        "revoke-certificate",
        Change::RevokeCertificate { id: ID, reason },
    );
    let states = [
        RevocationState::Wanted {
            next_try: Timestamp(90),
        },
        RevocationState::Done,
        RevocationState::Refused("already revoked".into()),
    ];
    complete(REVOCATIONS, states.iter().map(revocation_name));
    for state in states {
        let name = format!("finish-revocation.{}", revocation_name(&state));
        add(&name, Change::FinishRevocation { id: ID, state });
    }
    let window = Window {
        start: Timestamp(91),
        end: Timestamp(93),
    };
    for (name, window) in [("", Some(window)), (".no-window", None)] {
        let change = Change::ScheduleRenewal {
            id: ID,
            renew_at: Timestamp(92),
            window,
        };
        add(&format!("schedule-renewal{name}"), change);
    }
    for algorithm in KeyAlgorithm::ALL {
        let brought = algorithm == KeyAlgorithm::Ecdsa;
        let upload = Upload {
            hostname: host("shop.example"),
            wildcard: brought,
            algorithm,
            key: brought.then(|| sealed(KeyPurpose::Serving)),
            parts: parts(),
            move_at: brought.then_some(Timestamp(94)),
            revision: brought.then_some(Index(9)),
        };
        let name = format!("upload-certificate.{}", algorithm_name(&algorithm));
        add(&name, Change::UploadCertificate(Box::new(upload)));
    }
    complete(ALGORITHMS, KeyAlgorithm::ALL.iter().map(algorithm_name));
    add("forget-certificate", Change::ForgetCertificate { id: ID });
}

fn parts() -> CertificateParts {
    CertificateParts {
        id: ID,
        leaf: bytes("leaf"),
        chain_id: ChainId([2; 32]),
        chain: vec![bytes("issuer"), bytes("root")],
        issuer: "Test CA".to_owned(),
        serial: bytes("serial"),
        not_before: Timestamp(60),
        not_after: Timestamp(61),
    }
}

fn admit(budget: Budget) -> Admit {
    let renewal = budget != Budget::New;
    Admit {
        hostname: host("shop.example"),
        claim: Index(8),
        ca: ca_name(),
        algorithm: KeyAlgorithm::Rsa,
        profile: renewal.then(|| "tlsserver".to_owned()),
        replaces: renewal.then(|| "aki.serial".to_owned()),
        budget,
        domain: "shop.example".to_owned(),
        key: sealed(KeyPurpose::Serving),
        csr: bytes("csr"),
    }
}

/// One authorization for each, and one that was valid already.
fn placed(kinds: &[ChallengeKind], expires: Option<Timestamp>) -> Placed {
    let authorization = |kind: Option<ChallengeKind>| PlacedAuthorization {
        url: "https://ca.example/authz/1".to_owned(),
        challenge: kind.map(|kind| PlacedChallenge {
            kind,
            url: "https://ca.example/chall/1".to_owned(),
            token: "token".to_owned(),
        }),
    };
    let kinds = kinds.iter().copied().map(Some).chain([None]);
    Placed {
        url: "https://ca.example/order/1".to_owned(),
        finalize_url: "https://ca.example/finalize/1".to_owned(),
        authorizations: kinds.map(authorization).collect(),
        expires,
    }
}

fn orders(add: &mut impl FnMut(&str, Change)) {
    let order = OrderId(6);
    for budget in Budget::ALL {
        let name = format!("admit-order.{}", budget_name(&budget));
        add(&name, Change::AdmitOrder(Box::new(admit(budget))));
    }
    complete(BUDGETS, Budget::ALL.iter().map(budget_name));
    for (name, again) in [("", false), (".again", true)] {
        let change = Change::IntendOrder { order, again };
        add(&format!("intend-order{name}"), change);
    }
    let all = placed(&ChallengeKind::ALL, Some(Timestamp(50)));
    for (name, placed) in [("", all), (".valid-already", placed(&[], None))] {
        let change = Change::PrepareOrder { order, placed };
        add(&format!("prepare-order{name}"), change);
    }
    add("intend-ready", Change::IntendReady { order });
    add("intend-finalize", Change::IntendFinalize { order });
    let install = Install {
        order,
        parts: parts(),
        renew_at: Timestamp(62),
    };
    add(
        "install-certificate",
        Change::InstallCertificate(Box::new(install)),
    );
}

fn failures(add: &mut impl FnMut(&str, Change)) {
    let evidence = [
        Evidence::NeverPlaced,
        Evidence::Invalid,
        Evidence::Gone,
        Evidence::Withdrawn,
        Evidence::Unusable,
        Evidence::Superseded,
    ];
    complete(EVIDENCE, evidence.iter().map(evidence_name));
    complete(CLASSES, FailureClass::ALL.iter().map(class_name));
    let mut fail = |name: &str, evidence, class| {
        let change = Change::FailOrder {
            order: OrderId(6),
            evidence,
            class,
            reason: "no answer from 192.0.2.1".to_owned(),
            next_try: Timestamp(63),
        };
        add(&format!("fail-order.{name}"), change);
    };
    for one in evidence {
        fail(evidence_name(&one), one, FailureClass::Rejected);
    }
    for class in FailureClass::ALL {
        let name = format!("class-{}", class_name(&class));
        fail(&name, Evidence::Invalid, class);
    }
}
