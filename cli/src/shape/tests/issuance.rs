//! CAs, limits, the zone, certificates, and what few hostnames have.

use proto::admin::v1 as wire;

use super::{
    super::{
        ca::{self, Ca, Cas},
        certificate::{Certificate, Certificates, Plan, Request, Uploaded},
        hostname::Hostname,
        ledger::{Bucket, Buckets, Forecast},
        moment,
        zone::Zone,
    },
    at, check, live,
};

fn unproven() -> wire::Hostname {
    wire::Hostname {
        name: "hostnames/late.client.example".to_owned(),
        state: wire::HostnameState::Unproven.into(),
        certificate: None,
        wants: Some(wire::Wants {
            wildcard: true,
            keys: wire::KeyAlgorithms::Both.into(),
            manual: false,
            ca: "cas/zerossl".to_owned(),
            profile: "shortlived".to_owned(),
            challenge: wire::ChallengeKind::Dns01.into(),
        }),
        ownership: Some(wire::Ownership {
            standing: "unproven".to_owned(),
            since: at(0),
            checked_at: at(60),
            next_check: at(360),
            fault: "there is no TXT record; the owner of the name must add it".to_owned(),
            token: "04g2081040g2081040g2081040".to_owned(),
            cname_target: "v7cd.edge.example".to_owned(),
            challenge_target: "k2ab.acme.edge.example".to_owned(),
        }),
        contest: Some(wire::Contest {
            tenant: "other".to_owned(),
            since: at(30),
            next_check: at(90),
            ends_at: at(7 * 86_400),
            fault: "there is no TXT record".to_owned(),
            token: "14g2081040g2081040g2081040".to_owned(),
            cname_target: "x9cd.edge.example".to_owned(),
        }),
        request: Some(wire::CertificateRequest {
            created_at: at(10),
            ..Default::default()
        }),
        rsa_certificate: Some(uploaded()),
        ..live()
    }
}

fn uploaded() -> wire::Certificate {
    wire::Certificate {
        id: "cd".repeat(32),
        serial: "01".to_owned(),
        issuer: "Own CA".to_owned(),
        not_before: at(-3600),
        not_after: at(20 * 86_400),
        renew_at: None,
        name: format!("certificates/{}", "cd".repeat(32)),
        hostname: "hostnames/late.client.example".to_owned(),
        wildcard: true,
        algorithm: wire::KeyAlgorithm::Rsa.into(),
        served: true,
        ..Default::default()
    }
}

fn revoked() -> wire::Certificate {
    wire::Certificate {
        ca: "cas/letsencrypt".to_owned(),
        window_start: at(86_400),
        window_end: at(2 * 86_400),
        renew_at: at(86_400),
        reissue: "urgent".to_owned(),
        revocation: Some(wire::Revocation {
            reason: wire::RevocationReason::KeyCompromise.into(),
            asked_at: at(50),
            state: "refused".to_owned(),
            refusal: "already expired".to_owned(),
            next_try: None,
        }),
        served: false,
        kept: false,
        forget_at: at(3600),
        ..uploaded()
    }
}

fn limit(kind: wire::LimitKind, burst: u32, seconds: i64) -> wire::Limit {
    let refill = Some(prost_types::Duration { seconds, nanos: 0 });
    wire::Limit {
        kind: kind.into(),
        burst,
        refill,
    }
}

fn ca() -> wire::Ca {
    wire::Ca {
        name: "cas/letsencrypt".to_owned(),
        settings: Some(wire::CaSettings {
            directory: "https://ca.example/directory".to_owned(),
            trust_roots_pem: "-----BEGIN CERTIFICATE-----".to_owned(),
            contacts: vec!["mailto:ops@saas.example".to_owned()],
            terms_agreed: true,
            rank: Some(2),
            finalize_atomic: true,
            caa_identities: vec!["letsencrypt.org".to_owned()],
            profile: "shortlived".to_owned(),
            preferred_chain: "ISRG Root X2".to_owned(),
            limits: vec![limit(wire::LimitKind::Orders, 300, 36)],
            overrides: vec![wire::LimitOverride {
                key: "client.example".to_owned(),
                limit: Some(limit(wire::LimitKind::CertificatesPerDomain, 300, 2040)),
            }],
        }),
        registration: "registered".to_owned(),
        account_url: "https://ca.example/account/1".to_owned(),
        key_thumbprint: "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s".to_owned(),
        external_account_key_id: "kid-1".to_owned(),
        revision: 9,
        orders_in_flight: 3,
    }
}

#[test]
fn what_few_hostnames_have() {
    check("hostname-unproven", &Hostname::from(unproven()));
}

#[test]
fn cas() {
    check("ca", &Ca::from(ca()));
    let bare = wire::Ca {
        name: "cas/own".to_owned(),
        settings: Some(wire::CaSettings {
            directory: "https://own.example/directory".to_owned(),
            ..Default::default()
        }),
        registration: "none".to_owned(),
        ..Default::default()
    };
    check("ca-bare", &Ca::from(bare.clone()));
    let cas = vec![Ca::from(bare), Ca::from(ca())];
    check("cas", &Cas { cas });
    let name = "own".to_owned();
    check("ca-removed", &ca::Removed { name, index: 12 });
}

#[test]
fn the_ledger() {
    let spent = wire::LimitBucket {
        ca: "cas/letsencrypt".to_owned(),
        kind: wire::LimitKind::CertificatesPerDomain.into(),
        key: "client.example".to_owned(),
        limit: Some(limit(wire::LimitKind::CertificatesPerDomain, 50, 12_096)),
        left: Some(7),
        promised: 2,
        full_at: at(86_400),
        blocked_until: at(3600),
        new_at: at(7200),
        renewal_at: at(3600),
        overridden: true,
    };
    let unknown = wire::LimitBucket {
        ca: "cas/zerossl".to_owned(),
        kind: wire::LimitKind::Orders.into(),
        blocked_until: at(600),
        new_at: at(600),
        ..Default::default()
    };
    let buckets = vec![Bucket::from(spent), Bucket::from(unknown)];
    check("ledger", &Buckets { buckets });
}

#[test]
fn forecasts() {
    let day = |number: i64, renewals, firsts, waiting| wire::ForecastDay {
        day: at(number * 86_400),
        renewals,
        firsts,
        waiting,
    };
    let busy = wire::LedgerForecast {
        at: at(0),
        waiting: 40,
        waiting_until: at(86_400 + 3600),
        days: vec![day(0, 3, 35, 5), day(1, 0, 5, 0), day(2, 0, 0, 0)],
        hits: vec![wire::ForecastHit {
            ca: "cas/letsencrypt".to_owned(),
            kind: wire::LimitKind::CertificatesPerDomain.into(),
            key: "client.example".to_owned(),
            day: at(0),
            held: 5,
            until: at(86_400 + 3600),
        }],
    };
    check("forecast", &Forecast::from(busy));
    let quiet = wire::LedgerForecast {
        at: at(0),
        days: vec![day(0, 0, 0, 0)],
        ..Default::default()
    };
    check("forecast-quiet", &Forecast::from(quiet));
}

#[test]
fn zones() {
    let zone = wire::Zone {
        traffic: None,
        name: "zones/default".to_owned(),
        origin: None,
        revision: 3,
        settings: Some(wire::ZoneSettings {
            ownership: wire::OwnershipPolicy::Proof.into(),
            edge_domain: "edge.example".to_owned(),
            addresses: vec!["192.0.2.1".to_owned(), "2001:db8::1".to_owned()],
            dns: Some(wire::DnsZone {
                name: "acme.edge.example".to_owned(),
                nameservers: vec![wire::Nameserver {
                    name: "ns1.acme.edge.example".to_owned(),
                    addresses: vec!["192.0.2.1".to_owned()],
                }],
            }),
            caa_open: false,
        }),
    };
    check("zone", &Zone::from(zone.clone()));
    let bare = wire::Zone {
        settings: Some(wire::ZoneSettings {
            ownership: wire::OwnershipPolicy::Operator.into(),
            ..Default::default()
        }),
        ..zone
    };
    check("zone-bare", &Zone::from(bare));
}

#[test]
fn certificates() {
    check("certificate-uploaded", &Certificate::from(uploaded()));
    check("certificate-revoked", &Certificate::from(revoked()));
    let certificates = [uploaded(), revoked()].map(Certificate::from).to_vec();
    check("certificates", &Certificates { certificates });
    let brought = Uploaded {
        certificate: Some(uploaded().into()),
        warnings: vec!["the root Own Root is left out: whoever trusts it has it".to_owned()],
    };
    check("uploaded", &brought);
    let plan = Plan {
        certificates: 3,
        hostnames: 2,
        uploaded: 1,
        sample: vec!["a.example".to_owned()],
        done_at: moment(at(60).as_ref()),
        notes: vec!["one".to_owned(), "another".to_owned()],
        asked: None,
    };
    check("reissue-plan", &plan);
    let asked = Plan {
        asked: Some(2),
        done_at: None,
        ..plan
    };
    check("reissue-asked", &asked);
    let request = Request::from(wire::CertificateRequest {
        hostname: "hostnames/late.client.example".to_owned(),
        csr_pem: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
            .to_owned(),
        created_at: at(10),
    });
    check("request", &request);
    let written = Request {
        file: Some("late.csr".to_owned()),
        ..request
    };
    check("request-written", &written);
}
