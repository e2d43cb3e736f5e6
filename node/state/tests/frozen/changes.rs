//! Commands and batches, as they stand in the log and travel to the leader.

mod issuance;
mod traffic;

use bytes::Bytes;
use state::{
    Actor, Authority, BackupOf, Batch, Ca, CertificateId, Change, ClusterId, Command, DataKey,
    FeatureLevel, Holder, Hostname, HpkeSealed, Index, InvitationId, IssuedCertificate, KeyPurpose,
    NodeId, OperatorId, OrderId, Origin, OriginProtocol, OriginScheme, Registration, Role,
    Rotation, Sealed, Term, Timestamp, codec,
    codec::DecodeError,
    command::{Found, Newcomer, Reseal, ResealCertificate, Restore},
    testing,
};

pub(crate) use issuance::{registrations, zone};
pub(crate) use traffic::whole as whole_traffic;

use crate::{complete, frozen, none_lost, variants};

variants!(CHANGES, change_name, Change, {
    Change::Found(_) => "found",
    Change::TakeOver { .. } => "take-over",
    Change::Confirm => "confirm",
    Change::AuthorizeHostname(_) => "authorize-hostname",
    Change::RemoveHostname { .. } => "remove-hostname",
    Change::SetOrigin { .. } => "set-origin",
    Change::PauseIssuance { .. } => "pause-issuance",
    Change::ResumeIssuance { .. } => "resume-issuance",
    Change::Restore(_) => "restore",
    Change::FinishRestore { .. } => "finish-restore",
    Change::SetZone { .. } => "set-zone",
    Change::SetWants { .. } => "set-wants",
    Change::SetTraffic { .. } => "set-traffic",
    Change::ContestHostname { .. } => "contest-hostname",
    Change::EndContest { .. } => "end-contest",
    Change::ReissueCertificates { .. } => "reissue-certificates",
    Change::RevokeCertificate { .. } => "revoke-certificate",
    Change::UploadCertificate(_) => "upload-certificate",
    Change::CreateRequest { .. } => "create-request",
    Change::PutCa { .. } => "put-ca",
    Change::BindExternalAccount { .. } => "bind-external-account",
    Change::RemoveCa { .. } => "remove-ca",
    Change::RollAccountKey { .. } => "roll-account-key",
    Change::CreateInvitation { .. } => "create-invitation",
    Change::RevokeInvitation { .. } => "revoke-invitation",
    Change::SweepInvitation { .. } => "sweep-invitation",
    Change::AdmitNode { .. } => "admit-node",
    Change::AdmitMachine { .. } => "admit-machine",
    Change::AdmitOperator { .. } => "admit-operator",
    Change::CertifyNode { .. } => "certify-node",
    Change::CertifyOperator { .. } => "certify-operator",
    Change::RenewIssuing { .. } => "renew-issuing",
    Change::ShareDataKey { .. } => "share-data-key",
    Change::RotateDataKey { .. } => "rotate-data-key",
    Change::AskRotation { .. } => "ask-rotation",
    Change::Reseal(_) => "reseal",
    Change::ResealCertificate(_) => "reseal-certificate",
    Change::DropDataKey { .. } => "drop-data-key",
    Change::RaiseLevel { .. } => "raise-level",
    Change::RemoveNode { .. } => "remove-node",
    Change::FinishRemoval { .. } => "finish-removal",
    Change::CommitAccountKey { .. } => "commit-account-key",
    Change::RegisterAccount { .. } => "register-account",
    Change::FinishRollover { .. } => "finish-rollover",
    Change::RecordOwnership { .. } => "record-ownership",
    Change::RecordContest { .. } => "record-contest",
    Change::DeferHostname { .. } => "defer-hostname",
    Change::ScheduleRenewal { .. } => "schedule-renewal",
    Change::FinishRevocation { .. } => "finish-revocation",
    Change::ObserveLimit { .. } => "observe-limit",
    Change::CorrectLimit { .. } => "correct-limit",
    Change::ForgetTombstone { .. } => "forget-tombstone",
    Change::AdmitOrder(_) => "admit-order",
    Change::IntendOrder { .. } => "intend-order",
    Change::PrepareOrder { .. } => "prepare-order",
    Change::IntendReady { .. } => "intend-ready",
    Change::IntendFinalize { .. } => "intend-finalize",
    Change::InstallCertificate(_) => "install-certificate",
    Change::FailOrder { .. } => "fail-order",
    Change::ForgetCertificate { .. } => "forget-certificate",
});

variants!(ROLES, role_name, Role, {
    Role::Node => "node",
    Role::Admin => "admin",
    Role::Viewer => "viewer",
});

variants!(PURPOSES, purpose_name, KeyPurpose, {
    KeyPurpose::Serving => "serving",
    KeyPurpose::Control => "control",
});

variants!(PROTOCOLS, protocol_name, OriginProtocol, {
    OriginProtocol::Auto => "auto",
    OriginProtocol::Http1 => "http1",
    OriginProtocol::Http2 => "http2",
});

#[test]
fn commands_are_read_as_they_were_written() {
    let samples = samples();
    for (name, change) in &samples {
        let batch = Batch {
            commands: vec![command(change.clone())],
        };
        let written = codec::batch_to(&batch);
        let bytes = frozen(&format!("command.{name}.bin"), &written);
        assert_eq!(written, bytes, "{name} is written otherwise now");
        assert_eq!(codec::batch_from(&bytes), Ok(batch), "{name}");
    }
    complete(
        CHANGES,
        samples.iter().map(|(_, change)| change_name(change)),
    );
    let names = samples
        .iter()
        .map(|(name, _)| format!("command.{name}.bin"));
    none_lost("command.", names);
}

#[test]
fn a_change_has_one_name_everywhere() {
    for (_, change) in samples() {
        assert_eq!(change.name(), change_name(&change));
    }
}

#[test]
fn batches_and_proposals_are_read_as_they_were_written() {
    let batch = Batch {
        commands: vec![
            command(Change::Confirm),
            Command {
                at: Timestamp(0),
                actor: Actor::operator("alice"),
                duty: None,
                change: issuance::authorize(false),
            },
        ],
    };
    for (name, batch) in [("two", batch), ("none", Batch::default())] {
        let written = codec::batch_to(&batch);
        let bytes = frozen(&format!("batch.{name}.bin"), &written);
        assert_eq!(written, bytes, "{name} is written otherwise now");
        assert_eq!(codec::batch_from(&bytes), Ok(batch));
    }
    none_lost("batch.", ["batch.two.bin".into(), "batch.none.bin".into()]);

    let (actor, change) = (Actor::operator("alice"), Change::Confirm);
    let written = codec::proposal_to(&actor, &change);
    let bytes = frozen("proposal.confirm.bin", &written);
    assert_eq!(written, bytes, "a proposal is written otherwise now");
    assert_eq!(codec::proposal_from(&bytes), Ok((actor, change)));
    none_lost("proposal.", ["proposal.confirm.bin".into()]);
}

#[test]
fn what_a_newer_program_wrote_is_refused_and_never_skipped() {
    let bytes = codec::batch_to(&Batch {
        commands: vec![command(Change::Confirm)],
    });
    let mut newer = bytes.clone();
    newer[0] = codec::VERSION + 1;
    assert_eq!(
        codec::batch_from(&newer),
        Err(DecodeError::Version(codec::VERSION + 1))
    );
    // Field 15 of the batch, a varint.
    let mut more = bytes.clone();
    more.extend_from_slice(&[15 << 3, 1]);
    assert_eq!(codec::batch_from(&more), Err(DecodeError::Unknown("field")));
    // A command whose change has tag 120.
    let strange = [codec::VERSION, 0x0a, 0x03, 0xc0, 0x07, 0x01];
    assert!(matches!(
        codec::batch_from(&strange),
        Err(DecodeError::Unknown(_))
    ));
    assert_eq!(codec::batch_from(&[]), Err(DecodeError::Empty));
}

fn command(change: Change) -> Command {
    Command {
        at: Timestamp(1_767_225_600_123),
        actor: Actor::node(NodeId(2)),
        duty: Some(Term(3)),
        change,
    }
}

fn host(name: &str) -> Hostname {
    Hostname::parse(name).unwrap()
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn sealed(purpose: KeyPurpose) -> Sealed {
    Sealed {
        purpose,
        generation: 7,
        nonce: *b"twelve bytes",
        ciphertext: bytes("ciphertext and tag"),
    }
}

fn hpke(text: &'static str) -> HpkeSealed {
    HpkeSealed {
        encapsulated: bytes("encapsulated"),
        ciphertext: bytes(text),
    }
}

fn newcomer() -> Newcomer {
    Newcomer {
        name: "frankfurt-1".to_owned(),
        peer_address: "10.0.0.1:7443".to_owned(),
        admin_address: "10.0.0.1:7444".to_owned(),
        public_key: bytes("public key"),
        hpke_public_key: bytes("hpke public key"),
    }
}

fn issued(renew_at: Option<Timestamp>) -> IssuedCertificate {
    IssuedCertificate {
        leaf: bytes("leaf"),
        issuing: bytes("issuing"),
        not_after: Timestamp(20),
        renew_at,
    }
}

fn origin(protocol: OriginProtocol) -> Origin {
    Origin {
        scheme: OriginScheme::Https,
        host: "app.internal".to_owned(),
        port: 8443,
        protocol,
    }
}

pub(crate) fn backup_of() -> BackupOf {
    BackupOf {
        cluster: ClusterId([8; 16]),
        names: ClusterId([9; 16]),
        index: Index(77),
        taken_at: Timestamp(78),
    }
}

pub(crate) fn found(registration: Registration, origin: Option<Origin>) -> Found {
    let data_key = |purpose| DataKey {
        purpose,
        generation: 1,
        created_at: Timestamp(4),
        created: Index(5),
        replace: false,
        sealed_for: [(NodeId(1), hpke("one")), (NodeId(2), hpke("two"))]
            .into_iter()
            .collect(),
    };
    Found {
        cluster_id: ClusterId(*b"sixteen bytes id"),
        authority: Authority {
            root: bytes("root"),
            root_key: sealed(KeyPurpose::Control),
            issuing: bytes("issuing"),
            issuing_key: sealed(KeyPurpose::Control),
            issuing_not_after: Timestamp(10),
            issuing_renew_at: Timestamp(11),
        },
        founder: newcomer(),
        founder_certificate: issued(Some(Timestamp(21))),
        data_keys: KeyPurpose::ALL.map(data_key).to_vec(),
        admin_name: "alice".to_owned(),
        admin_public_key: bytes("alice's key"),
        admin_certificate: issued(None),
        ca: Some(Ca {
            name: testing::ca_name(),
            settings: issuance::settings(),
            external_account: Some(issuance::external()),
            registration,
            revision: Index(0),
        }),
        zone: zone(),
        origin,
        backup: None,
    }
}

fn samples() -> Vec<(String, Change)> {
    let mut samples: Vec<(String, Change)> = Vec::new();
    let mut add = |name: &str, change| samples.push((name.to_owned(), change));
    let mut restored = found(Registration::None, None);
    restored.ca = None;
    restored.backup = Some(backup_of());
    add("found.with-backup", Change::Found(Box::new(restored)));
    let found = |registration, origin| Change::Found(Box::new(found(registration, origin)));
    for registration in registrations() {
        let name = registration.as_str();
        add(&format!("found.{name}"), found(registration, None));
    }
    let at = origin(OriginProtocol::Auto);
    add("found.with-origin", found(Registration::None, Some(at)));
    add("take-over", Change::TakeOver { node: NodeId(3) });
    add("confirm", Change::Confirm);
    add("authorize-hostname", issuance::authorize(false));
    add("authorize-hostname.on-demand", issuance::authorize(true));
    for (name, revision) in [("", None), (".at-revision", Some(Index(9)))] {
        add(
            &format!("remove-hostname{name}"),
            Change::RemoveHostname {
                hostname: host("shop.example"),
                revision,
            },
        );
    }
    members(&mut add);
    origins(&mut add);
    issuance::add(&mut add);
    traffic::add(&mut add);
    let reason = "the CA asked for it".to_owned();
    add("pause-issuance", Change::PauseIssuance { reason });
    add("resume-issuance", Change::ResumeIssuance { cluster: None });
    let cluster = Some(ClusterId([9; 16]));
    add("resume-issuance-of", Change::ResumeIssuance { cluster });
    let pair = |key: &'static [u8], value: &'static [u8]| {
        (Bytes::from_static(key), Bytes::from_static(value))
    };
    let part = Restore {
        records: vec![pair(b"key", b"value"), pair(b"other", b"")],
        bodies: vec![pair(b"body", b"its bytes")],
    };
    add("restore", Change::Restore(Box::new(part)));
    add(
        "finish-restore",
        Change::FinishRestore {
            hostnames: 3,
            certificates: 2,
        },
    );
    samples
}

fn origins(add: &mut impl FnMut(&str, Change)) {
    let protocols = [
        OriginProtocol::Auto,
        OriginProtocol::Http1,
        OriginProtocol::Http2,
    ];
    for protocol in protocols {
        add(
            &format!("set-origin.{}", protocol_name(&protocol)),
            Change::SetOrigin {
                origin: origin(protocol),
                revision: Some(Index(9)),
            },
        );
    }
    complete(PROTOCOLS, protocols.iter().map(protocol_name));
    let address = Origin {
        scheme: OriginScheme::Http,
        host: "::1".to_owned(),
        port: 80,
        protocol: OriginProtocol::Auto,
    };
    add(
        "set-origin.address",
        Change::SetOrigin {
            origin: address,
            revision: None,
        },
    );
}

fn members(add: &mut impl FnMut(&str, Change)) {
    for role in Role::ALL {
        add(
            &format!("create-invitation.{}", role_name(&role)),
            Change::CreateInvitation {
                role,
                verifier: [9; 32],
                expires_at: Timestamp(30),
            },
        );
    }
    complete(ROLES, Role::ALL.iter().map(role_name));
    let id = InvitationId(4);
    add("revoke-invitation", Change::RevokeInvitation { id });
    add("sweep-invitation", Change::SweepInvitation { id });
    add(
        "admit-node",
        Change::AdmitNode {
            invitation: id,
            newcomer: newcomer(),
        },
    );
    add(
        "admit-machine",
        Change::AdmitMachine {
            machine: "arn:aws:ec2:eu-central-1:123456789012:instance/i-0123".to_owned(),
            newcomer: newcomer(),
        },
    );
    add(
        "admit-operator",
        Change::AdmitOperator {
            invitation: id,
            name: "bob".to_owned(),
            public_key: bytes("bob's key"),
        },
    );
    add(
        "certify-node",
        Change::CertifyNode {
            node: NodeId(2),
            certificate: issued(Some(Timestamp(21))),
        },
    );
    add(
        "certify-operator",
        Change::CertifyOperator {
            operator: OperatorId(5),
            certificate: issued(None),
        },
    );
    add(
        "renew-issuing",
        Change::RenewIssuing {
            issuing: bytes("issuing"),
            issuing_key: sealed(KeyPurpose::Control),
            not_after: Timestamp(40),
            renew_at: Timestamp(41),
        },
    );
    for purpose in KeyPurpose::ALL {
        add(
            &format!("share-data-key.{}", purpose_name(&purpose)),
            Change::ShareDataKey {
                node: NodeId(2),
                purpose,
                generation: 1,
                sealed: hpke("two"),
            },
        );
    }
    complete(PURPOSES, KeyPurpose::ALL.iter().map(purpose_name));
    add(
        "rotate-data-key",
        Change::RotateDataKey {
            purpose: KeyPurpose::Serving,
            generation: 2,
            sealed_for: vec![(NodeId(2), hpke("two")), (NodeId(1), hpke("one"))],
        },
    );
    for of in Rotation::ALL {
        let name = format!("ask-rotation-of-{}", of.as_str());
        add(&name, Change::AskRotation { of });
    }
    let (purpose, generation) = (KeyPurpose::Control, 1);
    add(
        "drop-data-key",
        Change::DropDataKey {
            purpose,
            generation,
        },
    );
    add(
        "raise-level",
        Change::RaiseLevel {
            level: FeatureLevel(2),
            members: vec![NodeId(1), NodeId(2)],
        },
    );
    let holders = [
        ("authority", Holder::Authority),
        ("ca", Holder::Ca(testing::ca_name())),
        ("zone", Holder::Zone),
        ("order", Holder::Order(OrderId(7))),
        ("hostname", Holder::Hostname(testing::host("shop.example"))),
    ];
    for (name, holder) in holders {
        let secrets = vec![([4; 32], sealed(KeyPurpose::Control))];
        let reseal = Reseal { holder, secrets };
        add(&format!("reseal-{name}"), Change::Reseal(Box::new(reseal)));
    }
    let reseal = ResealCertificate {
        id: CertificateId([1; 32]),
        leaf: bytes("leaf"),
        key: sealed(KeyPurpose::Serving),
    };
    add(
        "reseal-certificate",
        Change::ResealCertificate(Box::new(reseal)),
    );
    add("remove-node", Change::RemoveNode { node: NodeId(2) });
    add("finish-removal", Change::FinishRemoval { node: NodeId(2) });
}
