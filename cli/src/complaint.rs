//! What went wrong, for people: what was being done and to what, why it was not
//! done, and what to do about it. And for scripts: the exit code.

use std::fmt;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{exit::Exit, output::clean};

/// Something that was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// What was being done: "authorize shop.example".
    pub(crate) doing: String,
    /// Why it was not done.
    pub(crate) why: String,
    /// What to do; empty if that is plain.
    pub(crate) advice: String,
    pub(crate) exit: Exit,
}

impl Complaint {
    pub(crate) fn new(
        doing: impl Into<String>,
        why: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            doing: doing.into(),
            why: why.into(),
            advice: advice.into(),
            exit: Exit::Error,
        }
    }

    pub(crate) fn ending(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// An answer that says no, or the lack of one. `writes`: something may have
    /// been changed by it.
    pub(crate) fn refused(doing: &str, status: &Status, writes: bool) -> Self {
        let reason = status.get_details_error_info().map(|info| info.reason);
        let message = clean(status.message());
        let why = match &reason {
            Some(reason) => format!("{message} ({})", clean(reason)),
            None if message.is_empty() => format!("{:?}", status.code()),
            None => message,
        };
        let (advice, exit) = match reason.as_deref() {
            Some(reason) => advice(reason),
            None => silence(status.code(), writes),
        };
        Self::new(doing, why, advice).ending(exit)
    }

    /// No answer in the time given.
    pub(crate) fn timed_out(doing: &str, after: std::time::Duration, writes: bool) -> Self {
        let why = format!("no answer within {}", humantime::format_duration(after));
        let (advice, exit) = silence(Code::DeadlineExceeded, writes);
        Self::new(doing, why, advice).ending(exit)
    }
}

/// What to do about a reason of the API, and how to end.
fn advice(reason: &str) -> (&'static str, Exit) {
    match reason {
        "OUTCOME_UNKNOWN" | "NOT_YET_VISIBLE" => (
            "it may have been done, or may yet be: look before trying again",
            Exit::NoQuorum,
        ),
        "NO_LEADER" | "NOT_LEADER" => (
            "nothing was done; see `hostquorum cluster status`: is a majority of the voters up?",
            Exit::NoQuorum,
        ),
        "REPLICA_STOPPED" => (
            "nothing was done; that node's replica must be mended and restarted, or ask another \
             node by --address",
            Exit::NoQuorum,
        ),
        "OVERLOADED" => ("nothing was done; try again in a moment", Exit::Error),
        "UNAUTHENTICATED" | "OPERATOR_UNKNOWN" => (
            "get a token from an administrator and run `hostquorum login`",
            Exit::Error,
        ),
        "PERMISSION_DENIED" => ("ask an administrator", Exit::Error),
        "METHOD_UNKNOWN" => (
            "the node runs an older version than this program: upgrade the node",
            Exit::Error,
        ),
        "HOSTNAME_NOT_FOUND" => (
            "see `hostquorum hostname list`, or authorize it by `hostquorum hostname add`",
            Exit::Error,
        ),
        "HOSTNAME_EXISTS" => (
            "nothing needs to be done; see `hostquorum hostname show`",
            Exit::Error,
        ),
        "CA_NOT_FOUND" => ("see `hostquorum ca list`", Exit::Error),
        "CA_EXISTS" => (
            "change it by `hostquorum ca set`, or give another name by --name",
            Exit::Error,
        ),
        "CERTIFICATE_NOT_FOUND" => ("see `hostquorum certificate list`", Exit::Error),
        "OTHER_TENANT" => (
            "if it is to change hands: `hostquorum hostname contest NAME --tenant TENANT`",
            Exit::Error,
        ),
        "UNPROVEN" => (
            "see `hostquorum hostname check NAME`: it says who must change what",
            Exit::Error,
        ),
        "REQUEST_NOT_FOUND" => (
            "give the private key by --key, or make a request by `hostquorum certificate request`",
            Exit::Error,
        ),
        "CERTIFICATE_CHAIN" => (
            "put the hostname's own certificate first, then its issuers, each behind the one that \
             it issued",
            Exit::Error,
        ),
        "MEMBER_NOT_FOUND" | "NOT_A_VOTER" => ("see `hostquorum cluster members`", Exit::Error),
        "INVITATION_NOT_FOUND" | "INVITATION_SPENT" => ("see `hostquorum token list`", Exit::Error),
        "REVISION_MISMATCH" => (
            "somebody changed it meanwhile: look at it and decide again",
            Exit::Error,
        ),
        "QUORUM_AT_RISK" => ("see `hostquorum cluster members`", Exit::Error),
        _ => ("", Exit::Error),
    }
}

/// What to do when the answer has no reason of ours: the connection broke, or
/// something in between spoke.
fn silence(code: Code, writes: bool) -> (&'static str, Exit) {
    let lost = matches!(
        code,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown
    );
    match (lost, writes) {
        (true, true) => (
            "it may have been done: look before trying again",
            Exit::NoQuorum,
        ),
        (true, false) => (
            "the node may be down: try again, or ask another node by --address",
            Exit::Error,
        ),
        (false, _) => ("", Exit::Error),
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.doing, self.why)
    }
}

impl std::error::Error for Complaint {}

/// An error as it is shown.
pub(crate) fn text(error: &anyhow::Error) -> String {
    let Some(complaint) = error.downcast_ref::<Complaint>() else {
        return format!("error: {error:#}");
    };
    let mut text = format!("error: {complaint}");
    if !complaint.advice.is_empty() {
        text.push_str("\nwhat to do: ");
        text.push_str(&complaint.advice);
    }
    text
}

/// How to end after an error.
pub(crate) fn exit(error: &anyhow::Error) -> Exit {
    error
        .downcast_ref::<Complaint>()
        .map_or(Exit::Error, |complaint| complaint.exit)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn status(code: Code, reason: &str, message: &str) -> Status {
        let details = ErrorDetails::with_error_info(reason, "hostquorum", HashMap::new());
        Status::with_error_details(code, message, details)
    }

    #[track_caller]
    fn ends(status: &Status, writes: bool, exit: Exit) {
        assert_eq!(Complaint::refused("do it", status, writes).exit, exit);
    }

    #[test]
    fn reasons_decide_how_it_ends() {
        let unavailable = |reason| status(Code::Unavailable, reason, "m");
        for writes in [false, true] {
            ends(&unavailable("OUTCOME_UNKNOWN"), writes, Exit::NoQuorum);
            ends(&unavailable("NO_LEADER"), writes, Exit::NoQuorum);
            ends(&unavailable("NOT_LEADER"), writes, Exit::NoQuorum);
            ends(&unavailable("REPLICA_STOPPED"), writes, Exit::NoQuorum);
            ends(&unavailable("STOPPING"), writes, Exit::Error);
            let denied = status(Code::PermissionDenied, "PERMISSION_DENIED", "m");
            ends(&denied, writes, Exit::Error);
            let flooded = status(Code::ResourceExhausted, "OVERLOADED", "m");
            ends(&flooded, writes, Exit::Error);
        }
    }

    #[test]
    fn a_lost_answer_to_a_write_is_an_unknown_outcome() {
        for code in [
            Code::Unavailable,
            Code::DeadlineExceeded,
            Code::Cancelled,
            Code::Unknown,
        ] {
            ends(&Status::new(code, "broken pipe"), true, Exit::NoQuorum);
            ends(&Status::new(code, "broken pipe"), false, Exit::Error);
        }
        ends(&Status::internal("bug"), true, Exit::Error);
    }

    #[test]
    fn an_error_tells_what_why_and_what_to_do() {
        let status = status(
            Code::AlreadyExists,
            "HOSTNAME_EXISTS",
            "hostnames/shop.example: there is such a hostname already",
        );
        let error = Complaint::refused("authorize shop.example", &status, true).into();
        assert_eq!(
            text(&error),
            "error: could not authorize shop.example: hostnames/shop.example: there is such a \
             hostname already (HOSTNAME_EXISTS)\n\
             what to do: nothing needs to be done; see `hostquorum hostname show`"
        );
        assert_eq!(exit(&error), Exit::Error);
        let plain = anyhow::anyhow!("inner").context("outer");
        assert_eq!(text(&plain), "error: outer: inner");
        assert_eq!(exit(&plain), Exit::Error);
    }

    #[test]
    fn a_server_cannot_write_to_the_terminal() {
        let status = Status::internal("\u{1b}[2Jgone\r\nfake line");
        let complaint = Complaint::refused("do it", &status, false);
        assert_eq!(complaint.why, "[2Jgone fake line");
    }
}
