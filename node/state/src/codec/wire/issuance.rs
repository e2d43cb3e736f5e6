//! The shapes of hostnames, certificates, orders, CAs and what they allow.

use bytes::Bytes;
use prost::{Enumeration, Message, Oneof};

use super::{Nothing, Origin, Sealed, Traffic};

shapes! {
    Ca {
        #[prost(message, optional, tag = "1")]
        settings: Option<CaSettings>,
        #[prost(message, optional, tag = "2")]
        external_account: Option<ExternalAccount>,
        #[prost(message, optional, tag = "3")]
        key: Option<AccountKey>,
        #[prost(string, optional, tag = "4")]
        url: Option<String>,
        #[prost(bool, tag = "5")]
        rollover: bool,
        #[prost(message, optional, tag = "6")]
        next: Option<AccountKey>,
        #[prost(uint64, tag = "7")]
        revision: u64,
        #[prost(string, tag = "8")]
        name: String,
    }

    CaSettings {
        #[prost(string, tag = "1")]
        directory: String,
        #[prost(string, tag = "2")]
        trust_roots_pem: String,
        #[prost(string, repeated, tag = "3")]
        contacts: Vec<String>,
        #[prost(bool, tag = "4")]
        terms_agreed: bool,
        #[prost(uint32, tag = "5")]
        rank: u32,
        #[prost(bool, tag = "6")]
        finalize_atomic: bool,
        #[prost(string, repeated, tag = "7")]
        caa_identities: Vec<String>,
        #[prost(string, optional, tag = "8")]
        profile: Option<String>,
        #[prost(string, optional, tag = "9")]
        preferred_chain: Option<String>,
        #[prost(message, repeated, tag = "10")]
        limits: Vec<Limit>,
        #[prost(message, repeated, tag = "11")]
        overrides: Vec<LimitOverride>,
    }

    Limit {
        #[prost(string, tag = "1")]
        kind: String,
        #[prost(uint32, tag = "2")]
        burst: u32,
        #[prost(uint64, tag = "3")]
        refill_ms: u64,
    }

    LimitOverride {
        #[prost(string, tag = "1")]
        key: String,
        #[prost(message, optional, tag = "2")]
        limit: Option<Limit>,
    }

    ExternalAccount {
        #[prost(string, tag = "1")]
        key_id: String,
        #[prost(message, optional, tag = "2")]
        hmac: Option<Sealed>,
    }

    AccountKey {
        #[prost(message, optional, tag = "1")]
        sealed: Option<Sealed>,
        #[prost(string, tag = "2")]
        thumbprint: String,
    }

    BucketKey {
        #[prost(string, tag = "1")]
        ca: String,
        #[prost(string, tag = "2")]
        kind: String,
        #[prost(string, tag = "3")]
        key: String,
    }

    Bucket {
        #[prost(message, optional, tag = "1")]
        key: Option<BucketKey>,
        #[prost(uint64, tag = "2")]
        spent_until: u64,
        #[prost(uint32, tag = "3")]
        promised: u32,
        #[prost(uint64, optional, tag = "4")]
        blocked_until: Option<u64>,
    }

    Tombstone {
        #[prost(string, tag = "1")]
        tenant: String,
        #[prost(uint64, tag = "2")]
        removed_at: u64,
    }

    Zone {
        #[prost(message, optional, tag = "1")]
        origin: Option<Origin>,
        #[prost(uint64, tag = "2")]
        revision: u64,
        #[prost(message, optional, tag = "3")]
        settings: Option<ZoneSettings>,
        #[prost(message, optional, tag = "4")]
        traffic: Option<Traffic>,
    }

    ZoneSettings {
        #[prost(string, tag = "1")]
        ownership: String,
        #[prost(string, optional, tag = "2")]
        edge_domain: Option<String>,
        #[prost(string, repeated, tag = "3")]
        addresses: Vec<String>,
        #[prost(message, optional, tag = "4")]
        dns: Option<DnsZone>,
        #[prost(bool, tag = "5")]
        caa_open: bool,
    }

    DnsZone {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(message, repeated, tag = "2")]
        nameservers: Vec<Nameserver>,
    }

    Nameserver {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, repeated, tag = "2")]
        addresses: Vec<String>,
    }

    Failure {
        #[prost(string, tag = "1")]
        class: String,
        #[prost(string, tag = "2")]
        reason: String,
        #[prost(uint32, tag = "3")]
        count: u32,
        #[prost(uint64, tag = "4")]
        at: u64,
        #[prost(uint64, tag = "5")]
        next_try: u64,
        #[prost(uint64, tag = "6")]
        since: u64,
        #[prost(bool, tag = "7")]
        parked: bool,
    }

    Wants {
        #[prost(bool, tag = "1")]
        wildcard: bool,
        #[prost(string, tag = "2")]
        algorithms: String,
        #[prost(bool, tag = "3")]
        automatic: bool,
        #[prost(string, optional, tag = "4")]
        ca: Option<String>,
        #[prost(string, optional, tag = "5")]
        profile: Option<String>,
        #[prost(string, optional, tag = "6")]
        challenge: Option<String>,
    }

    Ownership {
        #[prost(bytes = "bytes", tag = "1")]
        token: Bytes,
        #[prost(string, tag = "2")]
        standing: String,
        #[prost(uint64, tag = "3")]
        since: u64,
        #[prost(uint64, optional, tag = "4")]
        checked_at: Option<u64>,
        #[prost(uint64, optional, tag = "5")]
        next_check: Option<u64>,
        #[prost(string, optional, tag = "6")]
        fault: Option<String>,
    }

    Contest {
        #[prost(string, tag = "1")]
        tenant: String,
        #[prost(bytes = "bytes", tag = "2")]
        token: Bytes,
        #[prost(uint64, tag = "3")]
        since: u64,
        #[prost(uint64, tag = "4")]
        next_check: u64,
        #[prost(string, optional, tag = "5")]
        fault: Option<String>,
        #[prost(uint64, tag = "6")]
        claim: u64,
    }

    CertificateRequest {
        #[prost(message, optional, tag = "1")]
        key: Option<Sealed>,
        #[prost(bytes = "bytes", tag = "2")]
        csr: Bytes,
        #[prost(uint64, tag = "3")]
        created_at: u64,
    }

    Hostname {
        #[prost(uint64, tag = "1")]
        authorized_at: u64,
        #[prost(string, tag = "2")]
        authorized_by: String,
        #[prost(uint64, tag = "3")]
        claim: u64,
        #[prost(bytes = "bytes", optional, tag = "4")]
        certificate: Option<Bytes>,
        #[prost(uint64, optional, tag = "5")]
        order: Option<u64>,
        #[prost(message, optional, tag = "6")]
        failure: Option<Failure>,
        #[prost(uint32, tag = "7")]
        events: u32,
        #[prost(uint64, tag = "8")]
        revision: u64,
        #[prost(string, tag = "9")]
        tenant: String,
        #[prost(message, optional, tag = "10")]
        ownership: Option<Ownership>,
        #[prost(message, optional, tag = "11")]
        wants: Option<Wants>,
        #[prost(bytes = "bytes", optional, tag = "12")]
        rsa: Option<Bytes>,
        #[prost(message, optional, tag = "13")]
        request: Option<CertificateRequest>,
        #[prost(message, optional, tag = "14")]
        contest: Option<Contest>,
        #[prost(message, optional, tag = "15")]
        traffic: Option<Traffic>,
    }

    Window {
        #[prost(uint64, tag = "1")]
        start: u64,
        #[prost(uint64, tag = "2")]
        end: u64,
    }

    Revocation {
        #[prost(uint32, tag = "1")]
        reason: u32,
        #[prost(uint64, tag = "2")]
        asked_at: u64,
        #[prost(message, optional, tag = "3")]
        state: Option<RevocationState>,
    }

    RevocationState {
        #[prost(oneof = "RevocationStep", tags = "1, 2, 3")]
        step: Option<RevocationStep>,
    }

    Certificate {
        #[prost(string, tag = "1")]
        hostname: String,
        #[prost(bytes = "bytes", tag = "2")]
        chain: Bytes,
        #[prost(string, tag = "3")]
        issuer: String,
        #[prost(bytes = "bytes", tag = "4")]
        serial: Bytes,
        #[prost(uint64, tag = "5")]
        not_before: u64,
        #[prost(uint64, tag = "6")]
        not_after: u64,
        #[prost(uint64, tag = "7")]
        renew_at: u64,
        #[prost(uint64, optional, tag = "8")]
        forget_at: Option<u64>,
        #[prost(bool, tag = "9")]
        kept: bool,
        #[prost(bool, tag = "10")]
        wildcard: bool,
        #[prost(string, tag = "11")]
        algorithm: String,
        /// Absent: uploaded.
        #[prost(string, optional, tag = "12")]
        ca: Option<String>,
        #[prost(message, optional, tag = "13")]
        window: Option<Window>,
        #[prost(string, optional, tag = "14")]
        reissue: Option<String>,
        #[prost(message, optional, tag = "15")]
        revocation: Option<Revocation>,
        #[prost(uint32, tag = "16")]
        sealed_under: u32,
    }

    Placed {
        #[prost(string, tag = "1")]
        url: String,
        #[prost(string, tag = "2")]
        finalize_url: String,
        #[prost(message, repeated, tag = "3")]
        authorizations: Vec<PlacedAuthorization>,
        #[prost(uint64, optional, tag = "6")]
        expires: Option<u64>,
    }

    PlacedAuthorization {
        #[prost(string, tag = "1")]
        url: String,
        #[prost(message, optional, tag = "2")]
        challenge: Option<PlacedChallenge>,
    }

    PlacedChallenge {
        #[prost(string, tag = "1")]
        kind: String,
        #[prost(string, tag = "2")]
        url: String,
        #[prost(string, tag = "3")]
        token: String,
    }

    Order {
        #[prost(string, tag = "1")]
        hostname: String,
        #[prost(uint64, tag = "2")]
        claim: u64,
        #[prost(uint32, tag = "3")]
        attempt: u32,
        #[prost(uint64, tag = "4")]
        admitted_at: u64,
        #[prost(message, optional, tag = "5")]
        key: Option<Sealed>,
        #[prost(bytes = "bytes", tag = "6")]
        csr: Bytes,
        #[prost(enumeration = "Stage", tag = "7")]
        stage: i32,
        #[prost(message, optional, tag = "8")]
        placed: Option<Placed>,
        #[prost(uint64, tag = "9")]
        stage_at: u64,
        #[prost(uint64, tag = "10")]
        epoch: u64,
        #[prost(string, tag = "11")]
        tenant: String,
        #[prost(bool, tag = "12")]
        wildcard: bool,
        #[prost(string, tag = "13")]
        ca: String,
        #[prost(string, tag = "14")]
        algorithm: String,
        #[prost(string, optional, tag = "15")]
        profile: Option<String>,
        #[prost(string, optional, tag = "16")]
        replaces: Option<String>,
        #[prost(string, tag = "17")]
        budget: String,
        #[prost(string, tag = "18")]
        domain: String,
    }

    Authorize {
        #[prost(string, tag = "1")]
        hostname: String,
        #[prost(string, tag = "2")]
        tenant: String,
        #[prost(bytes = "bytes", tag = "3")]
        token: Bytes,
        #[prost(message, optional, tag = "4")]
        wants: Option<Wants>,
        #[prost(bool, tag = "5")]
        on_demand: bool,
    }

    SetZone {
        #[prost(message, optional, tag = "1")]
        settings: Option<ZoneSettings>,
        #[prost(uint64, optional, tag = "2")]
        revision: Option<u64>,
    }

    SetWants {
        #[prost(string, tag = "1")]
        hostname: String,
        #[prost(message, optional, tag = "2")]
        wants: Option<Wants>,
        #[prost(uint64, optional, tag = "3")]
        revision: Option<u64>,
    }

    ContestHostname {
        #[prost(string, tag = "1")]
        hostname: String,
        #[prost(string, tag = "2")]
        tenant: String,
        #[prost(bytes = "bytes", tag = "3")]
        token: Bytes,
    }

    Reissue {
        #[prost(string, repeated, tag = "1")]
        hostnames: Vec<String>,
        #[prost(string, tag = "2")]
        urgency: String,
    }

    RevokeCertificate {
        #[prost(bytes = "bytes", tag = "1")]
        id: Bytes,
        #[prost(uint32, tag = "2")]
        reason: u32,
    }

    Upload {
        #[prost(string, tag = "1")]
        hostname: String,
        #[prost(bool, tag = "2")]
        wildcard: bool,
        #[prost(string, tag = "3")]
        algorithm: String,
        #[prost(message, optional, tag = "4")]
        key: Option<Sealed>,
        #[prost(message, optional, tag = "5")]
        parts: Option<CertificateParts>,
        #[prost(uint64, optional, tag = "6")]
        move_at: Option<u64>,
        #[prost(uint64, optional, tag = "7")]
        revision: Option<u64>,
    }

    CreateRequest {
        #[prost(string, tag = "1")]
        hostname: String,
        #[prost(message, optional, tag = "2")]
        key: Option<Sealed>,
        #[prost(bytes = "bytes", tag = "3")]
        csr: Bytes,
    }

    PutCa {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(message, optional, tag = "2")]
        settings: Option<CaSettings>,
        #[prost(uint64, optional, tag = "3")]
        revision: Option<u64>,
    }

    BindExternalAccount {
        #[prost(string, tag = "1")]
        ca: String,
        #[prost(message, optional, tag = "2")]
        account: Option<ExternalAccount>,
    }

    RemoveCa {
        #[prost(string, tag = "1")]
        ca: String,
        #[prost(uint64, optional, tag = "2")]
        revision: Option<u64>,
    }

    CommitAccountKey {
        #[prost(string, tag = "1")]
        ca: String,
        #[prost(message, optional, tag = "2")]
        key: Option<AccountKey>,
    }

    RegisterAccount {
        #[prost(string, tag = "1")]
        ca: String,
        #[prost(string, tag = "2")]
        url: String,
    }

    FinishRollover {
        #[prost(string, tag = "1")]
        ca: String,
        #[prost(bool, tag = "2")]
        rolled: bool,
    }

    RecordOwnership {
        #[prost(string, tag = "1")]
        hostname: String,
        #[prost(uint64, tag = "2")]
        claim: u64,
        #[prost(string, tag = "3")]
        standing: String,
        #[prost(string, optional, tag = "4")]
        fault: Option<String>,
        #[prost(uint64, optional, tag = "5")]
        next_check: Option<u64>,
    }

    RecordContest {
        #[prost(string, tag = "1")]
        hostname: String,
        #[prost(uint64, tag = "2")]
        claim: u64,
        #[prost(string, optional, tag = "3")]
        proven: Option<String>,
        #[prost(string, optional, tag = "4")]
        fault: Option<String>,
        #[prost(uint64, tag = "5")]
        next_check: u64,
    }

    DeferHostname {
        #[prost(string, tag = "1")]
        hostname: String,
        #[prost(uint64, tag = "2")]
        claim: u64,
        #[prost(string, tag = "3")]
        class: String,
        #[prost(string, tag = "4")]
        reason: String,
        #[prost(uint64, tag = "5")]
        next_try: u64,
        #[prost(bool, tag = "6")]
        parked: bool,
    }

    ScheduleRenewal {
        #[prost(bytes = "bytes", tag = "1")]
        id: Bytes,
        #[prost(uint64, tag = "2")]
        renew_at: u64,
        #[prost(message, optional, tag = "3")]
        window: Option<Window>,
    }

    FinishRevocation {
        #[prost(bytes = "bytes", tag = "1")]
        id: Bytes,
        #[prost(message, optional, tag = "2")]
        state: Option<RevocationState>,
    }

    ObserveLimit {
        #[prost(message, optional, tag = "1")]
        bucket: Option<BucketKey>,
        #[prost(uint64, tag = "2")]
        until: u64,
    }

    AdmitOrder {
        #[prost(string, tag = "1")]
        hostname: String,
        #[prost(uint64, tag = "2")]
        claim: u64,
        #[prost(message, optional, tag = "3")]
        key: Option<Sealed>,
        #[prost(bytes = "bytes", tag = "4")]
        csr: Bytes,
        #[prost(string, tag = "5")]
        ca: String,
        #[prost(string, tag = "6")]
        algorithm: String,
        #[prost(string, optional, tag = "7")]
        profile: Option<String>,
        #[prost(string, optional, tag = "8")]
        replaces: Option<String>,
        #[prost(string, tag = "9")]
        budget: String,
        #[prost(string, tag = "10")]
        domain: String,
    }

    PrepareOrder {
        #[prost(uint64, tag = "1")]
        order: u64,
        #[prost(message, optional, tag = "2")]
        placed: Option<Placed>,
    }

    Install {
        #[prost(uint64, tag = "1")]
        order: u64,
        #[prost(message, optional, tag = "2")]
        parts: Option<CertificateParts>,
        #[prost(uint64, tag = "3")]
        renew_at: u64,
    }

    CertificateParts {
        #[prost(bytes = "bytes", tag = "1")]
        id: Bytes,
        #[prost(bytes = "bytes", tag = "2")]
        leaf: Bytes,
        #[prost(bytes = "bytes", tag = "3")]
        chain_id: Bytes,
        #[prost(bytes = "bytes", repeated, tag = "4")]
        chain: Vec<Bytes>,
        #[prost(string, tag = "5")]
        issuer: String,
        #[prost(bytes = "bytes", tag = "6")]
        serial: Bytes,
        #[prost(uint64, tag = "7")]
        not_before: u64,
        #[prost(uint64, tag = "8")]
        not_after: u64,
    }

    FailOrder {
        #[prost(uint64, tag = "1")]
        order: u64,
        #[prost(enumeration = "Evidence", tag = "2")]
        evidence: i32,
        #[prost(string, tag = "3")]
        class: String,
        #[prost(string, tag = "4")]
        reason: String,
        #[prost(uint64, tag = "5")]
        next_try: u64,
    }
}

#[derive(Clone, PartialEq, Oneof)]
pub(in crate::codec) enum RevocationStep {
    #[prost(uint64, tag = "1")]
    Wanted(u64),
    #[prost(message, tag = "2")]
    Done(Nothing),
    #[prost(string, tag = "3")]
    Refused(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(in crate::codec) enum Stage {
    Unspecified = 0,
    Admitted = 1,
    Prepared = 2,
    ReadyIntent = 3,
    FinalizeIntent = 4,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(in crate::codec) enum Evidence {
    Unspecified = 0,
    NeverPlaced = 1,
    Invalid = 2,
    Gone = 3,
    Withdrawn = 4,
    Unusable = 5,
    Superseded = 6,
}
