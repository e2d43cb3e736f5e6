//! The shapes of what is stored and sent. Field numbers are never used twice;
//! fields are added, never changed.

use bytes::Bytes;
use prost::{Enumeration, Message, Oneof};

macro_rules! shapes {
    ($($(#[$meta:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, PartialEq, Message)]
            pub(in crate::codec) struct $name {
                $($(#[$attribute])* pub(in crate::codec) $field: $type,)*
            }
        )*
    };
}

mod data_keys;
mod issuance;
mod traffic;

pub(super) use data_keys::*;
pub(super) use issuance::*;
pub(super) use traffic::*;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Sealed {
    #[prost(string, tag = "1")]
    pub(super) purpose: String,
    #[prost(uint32, tag = "2")]
    pub(super) generation: u32,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) nonce: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) ciphertext: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Cluster {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) id: Bytes,
    #[prost(uint64, tag = "2")]
    pub(super) founded_at: u64,
    #[prost(uint64, tag = "3")]
    pub(super) epoch_number: u64,
    #[prost(uint64, tag = "4")]
    pub(super) epoch_term: u64,
    #[prost(uint64, tag = "5")]
    pub(super) epoch_node: u64,
    #[prost(uint64, tag = "6")]
    pub(super) epoch_since: u64,
    #[prost(uint64, tag = "7")]
    pub(super) next_node: u64,
    #[prost(uint64, tag = "8")]
    pub(super) next_order: u64,
    #[prost(uint64, tag = "9")]
    pub(super) next_invitation: u64,
    #[prost(uint64, tag = "10")]
    pub(super) next_operator: u64,
    #[prost(message, optional, tag = "11")]
    pub(super) pause: Option<Pause>,
    // Absent: the id itself.
    #[prost(bytes = "bytes", optional, tag = "12")]
    pub(super) names: Option<Bytes>,
    #[prost(message, optional, tag = "13")]
    pub(super) restored: Option<Restored>,
    // Absent: the first.
    #[prost(uint32, optional, tag = "14")]
    pub(super) level: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RaiseLevel {
    #[prost(uint32, tag = "1")]
    pub(super) level: u32,
    #[prost(uint64, repeated, tag = "2")]
    pub(super) members: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct BackupOf {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) cluster: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) names: Bytes,
    #[prost(uint64, tag = "3")]
    pub(super) index: u64,
    #[prost(uint64, tag = "4")]
    pub(super) taken_at: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Restored {
    #[prost(message, optional, tag = "1")]
    pub(super) of: Option<BackupOf>,
    #[prost(uint64, tag = "2")]
    pub(super) claim: u64,
    #[prost(string, tag = "3")]
    pub(super) progress: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Pause {
    #[prost(string, tag = "1")]
    pub(super) by: String,
    #[prost(string, tag = "2")]
    pub(super) reason: String,
    #[prost(uint64, tag = "3")]
    pub(super) since: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Authority {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) root: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(super) root_key: Option<Sealed>,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) issuing: Bytes,
    #[prost(message, optional, tag = "4")]
    pub(super) issuing_key: Option<Sealed>,
    #[prost(uint64, tag = "5")]
    pub(super) issuing_not_after: u64,
    #[prost(uint64, tag = "6")]
    pub(super) issuing_renew_at: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Origin {
    #[prost(string, tag = "1")]
    pub(super) url: String,
    #[prost(enumeration = "Protocol", tag = "2")]
    pub(super) protocol: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(super) enum Protocol {
    Auto = 0,
    Http1 = 1,
    Http2 = 2,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct IssuedCertificate {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) leaf: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) issuing: Bytes,
    #[prost(uint64, tag = "3")]
    pub(super) not_after: u64,
    #[prost(uint64, optional, tag = "4")]
    pub(super) renew_at: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Newcomer {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) peer_address: String,
    #[prost(string, tag = "3")]
    pub(super) admin_address: String,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) public_key: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) hpke_public_key: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Member {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) who: Option<Newcomer>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) invitation: Option<u64>,
    #[prost(uint64, tag = "4")]
    pub(super) joined_at: u64,
    #[prost(message, optional, tag = "5")]
    pub(super) certificate: Option<IssuedCertificate>,
    #[prost(bool, tag = "6")]
    pub(super) leaving: bool,
    #[prost(string, optional, tag = "7")]
    pub(super) machine: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Removed {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) public_key: Bytes,
    #[prost(uint64, tag = "4")]
    pub(super) removed_at: u64,
    #[prost(uint64, tag = "5")]
    pub(super) removed: u64,
    #[prost(string, optional, tag = "6")]
    pub(super) machine: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AdmitMachine {
    #[prost(string, tag = "1")]
    pub(super) machine: String,
    #[prost(message, optional, tag = "2")]
    pub(super) newcomer: Option<Newcomer>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Operator {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(string, tag = "3")]
    pub(super) role: String,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) public_key: Bytes,
    #[prost(uint64, optional, tag = "5")]
    pub(super) invitation: Option<u64>,
    #[prost(uint64, tag = "6")]
    pub(super) admitted_at: u64,
    #[prost(message, optional, tag = "7")]
    pub(super) certificate: Option<IssuedCertificate>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Invitation {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(string, tag = "2")]
    pub(super) role: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) verifier: Bytes,
    #[prost(uint64, tag = "4")]
    pub(super) created_at: u64,
    #[prost(string, tag = "5")]
    pub(super) created_by: String,
    #[prost(uint64, tag = "6")]
    pub(super) expires_at: u64,
    #[prost(bool, tag = "7")]
    pub(super) revoked: bool,
    #[prost(message, optional, tag = "8")]
    pub(super) redemption: Option<Redemption>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Redemption {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) public_key: Bytes,
    #[prost(uint64, tag = "2")]
    pub(super) at: u64,
    #[prost(oneof = "Became", tags = "3, 4")]
    pub(super) became: Option<Became>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(super) enum Became {
    #[prost(uint64, tag = "3")]
    Node(u64),
    #[prost(uint64, tag = "4")]
    Operator(u64),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CertificateOwn {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) leaf: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(super) sealed_key: Option<Sealed>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Chain {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) issuers: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Event {
    #[prost(uint64, tag = "1")]
    pub(super) at: u64,
    #[prost(string, tag = "2")]
    pub(super) kind: String,
    #[prost(string, tag = "3")]
    pub(super) detail: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Batch {
    #[prost(message, repeated, tag = "1")]
    pub(super) commands: Vec<Command>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Command {
    #[prost(uint64, tag = "1")]
    pub(super) at: u64,
    #[prost(string, tag = "2")]
    pub(super) actor: String,
    #[prost(uint64, optional, tag = "3")]
    pub(super) duty: Option<u64>,
    #[prost(
        oneof = "Change",
        tags = "10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70"
    )]
    pub(super) change: Option<Change>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Change {
    #[prost(message, tag = "10")]
    Found(Box<Found>),
    #[prost(uint64, tag = "11")]
    TakeOver(u64),
    #[prost(message, tag = "12")]
    Confirm(Nothing),
    #[prost(message, tag = "13")]
    AuthorizeHostname(Authorize),
    #[prost(message, tag = "14")]
    RemoveHostname(RemoveHostname),
    #[prost(message, tag = "15")]
    SetOrigin(SetOrigin),
    #[prost(message, tag = "16")]
    CreateInvitation(CreateInvitation),
    #[prost(uint64, tag = "17")]
    RevokeInvitation(u64),
    #[prost(uint64, tag = "18")]
    SweepInvitation(u64),
    #[prost(message, tag = "19")]
    AdmitNode(AdmitNode),
    #[prost(message, tag = "20")]
    AdmitOperator(AdmitOperator),
    #[prost(message, tag = "21")]
    CertifyNode(Certify),
    #[prost(message, tag = "22")]
    CertifyOperator(Certify),
    #[prost(message, tag = "23")]
    RenewIssuing(RenewIssuing),
    #[prost(message, tag = "24")]
    ShareDataKey(ShareDataKey),
    #[prost(message, tag = "25")]
    RotateDataKey(DataKey),
    #[prost(uint64, tag = "26")]
    RemoveNode(u64),
    #[prost(uint64, tag = "27")]
    FinishRemoval(u64),
    #[prost(message, tag = "28")]
    CommitAccountKey(CommitAccountKey),
    #[prost(message, tag = "29")]
    RegisterAccount(RegisterAccount),
    #[prost(message, tag = "30")]
    AdmitOrder(AdmitOrder),
    #[prost(uint64, tag = "31")]
    IntendOrder(u64),
    #[prost(message, tag = "32")]
    PrepareOrder(PrepareOrder),
    #[prost(uint64, tag = "33")]
    IntendReady(u64),
    #[prost(uint64, tag = "34")]
    IntendFinalize(u64),
    #[prost(message, tag = "35")]
    InstallCertificate(Install),
    #[prost(message, tag = "36")]
    FailOrder(FailOrder),
    #[prost(bytes, tag = "37")]
    ForgetCertificate(Vec<u8>),
    #[prost(message, tag = "38")]
    SetZone(SetZone),
    #[prost(message, tag = "39")]
    SetWants(SetWants),
    #[prost(message, tag = "40")]
    ContestHostname(ContestHostname),
    #[prost(string, tag = "41")]
    EndContest(String),
    #[prost(message, tag = "42")]
    ReissueCertificates(Reissue),
    #[prost(message, tag = "43")]
    RevokeCertificate(RevokeCertificate),
    #[prost(message, tag = "44")]
    UploadCertificate(Upload),
    #[prost(message, tag = "45")]
    CreateRequest(CreateRequest),
    #[prost(message, tag = "46")]
    PutCa(PutCa),
    #[prost(message, tag = "47")]
    BindExternalAccount(BindExternalAccount),
    #[prost(message, tag = "48")]
    RemoveCa(RemoveCa),
    #[prost(string, tag = "49")]
    RollAccountKey(String),
    #[prost(message, tag = "50")]
    FinishRollover(FinishRollover),
    #[prost(message, tag = "51")]
    RecordOwnership(RecordOwnership),
    #[prost(message, tag = "52")]
    RecordContest(RecordContest),
    #[prost(message, tag = "53")]
    DeferHostname(DeferHostname),
    #[prost(message, tag = "54")]
    ScheduleRenewal(ScheduleRenewal),
    #[prost(message, tag = "55")]
    FinishRevocation(FinishRevocation),
    #[prost(message, tag = "56")]
    ObserveLimit(ObserveLimit),
    #[prost(string, tag = "57")]
    ForgetTombstone(String),
    #[prost(message, tag = "58")]
    SetTraffic(Box<SetTraffic>),
    #[prost(message, tag = "59")]
    CorrectLimit(BucketKey),
    #[prost(uint64, tag = "60")]
    IntendOrderAgain(u64),
    #[prost(string, tag = "61")]
    PauseIssuance(String),
    #[prost(message, tag = "62")]
    ResumeIssuance(ResumeIssuance),
    #[prost(message, tag = "63")]
    Restore(Restore),
    #[prost(message, tag = "64")]
    FinishRestore(FinishRestore),
    #[prost(string, tag = "65")]
    AskRotation(String),
    #[prost(message, tag = "66")]
    Reseal(Reseal),
    #[prost(message, tag = "67")]
    ResealCertificate(ResealCertificate),
    #[prost(message, tag = "68")]
    DropDataKey(DataKeyName),
    #[prost(message, tag = "69")]
    RaiseLevel(RaiseLevel),
    #[prost(message, tag = "70")]
    AdmitMachine(AdmitMachine),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ResumeIssuance {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(super) cluster: Option<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Restore {
    #[prost(message, repeated, tag = "1")]
    pub(super) records: Vec<Pair>,
    #[prost(message, repeated, tag = "2")]
    pub(super) bodies: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Pair {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct FinishRestore {
    #[prost(uint64, tag = "1")]
    pub(super) hostnames: u64,
    #[prost(uint64, tag = "2")]
    pub(super) certificates: u64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Nothing {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Found {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) cluster_id: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(super) authority: Option<Authority>,
    #[prost(message, optional, tag = "3")]
    pub(super) founder: Option<Newcomer>,
    #[prost(message, optional, tag = "4")]
    pub(super) founder_certificate: Option<IssuedCertificate>,
    #[prost(message, repeated, tag = "5")]
    pub(super) data_keys: Vec<DataKey>,
    #[prost(string, tag = "6")]
    pub(super) admin_name: String,
    #[prost(bytes = "bytes", tag = "7")]
    pub(super) admin_public_key: Bytes,
    #[prost(message, optional, tag = "8")]
    pub(super) admin_certificate: Option<IssuedCertificate>,
    #[prost(message, optional, tag = "9")]
    pub(super) ca: Option<Ca>,
    #[prost(message, optional, tag = "10")]
    pub(super) origin: Option<Origin>,
    #[prost(message, optional, tag = "11")]
    pub(super) zone: Option<ZoneSettings>,
    #[prost(message, optional, tag = "12")]
    pub(super) backup: Option<BackupOf>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RemoveHostname {
    #[prost(string, tag = "1")]
    pub(super) hostname: String,
    #[prost(uint64, optional, tag = "2")]
    pub(super) revision: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SetOrigin {
    #[prost(message, optional, tag = "1")]
    pub(super) origin: Option<Origin>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) revision: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CreateInvitation {
    #[prost(string, tag = "1")]
    pub(super) role: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) verifier: Bytes,
    #[prost(uint64, tag = "3")]
    pub(super) expires_at: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AdmitNode {
    #[prost(uint64, tag = "1")]
    pub(super) invitation: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) newcomer: Option<Newcomer>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AdmitOperator {
    #[prost(uint64, tag = "1")]
    pub(super) invitation: u64,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) public_key: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Certify {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) certificate: Option<IssuedCertificate>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RenewIssuing {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) issuing: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(super) issuing_key: Option<Sealed>,
    #[prost(uint64, tag = "3")]
    pub(super) not_after: u64,
    #[prost(uint64, tag = "4")]
    pub(super) renew_at: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Outcome {
    #[prost(oneof = "Answer", tags = "1, 2, 3, 4, 5, 6, 10")]
    pub(super) answer: Option<Answer>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Answer {
    #[prost(message, tag = "1")]
    Nothing(Nothing),
    #[prost(message, tag = "2")]
    Unchanged(Nothing),
    #[prost(uint64, tag = "3")]
    Node(u64),
    #[prost(uint64, tag = "4")]
    Operator(u64),
    #[prost(uint64, tag = "5")]
    Invitation(u64),
    #[prost(uint64, tag = "6")]
    Order(u64),
    #[prost(message, tag = "10")]
    Refused(Refusal),
}

/// A refusal as its name, with what it tells in the one field it has use for.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Refusal {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(uint64, tag = "2")]
    pub(super) number: u64,
    #[prost(string, tag = "3")]
    pub(super) text: String,
}
