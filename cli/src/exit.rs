//! How the program ends, as scripts see it.

use std::process::ExitCode;

/// The exit codes, told by `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// It was done.
    Done,
    /// It was not done.
    Error,
    /// It was answered, and the answer is bad.
    Bad,
    /// No quorum: nothing was done, or nobody knows.
    NoQuorum,
    /// A wait ended before what was waited for.
    TimedOut,
}

/// What is said of them, in the lines that `--help` has.
pub(crate) const CODES: [(&str, &str); 5] = [
    ("0", "done"),
    (
        "1",
        "error: bad arguments, not reachable, not allowed, refused",
    ),
    (
        "2",
        "the answer is bad: no quorum in `cluster status`, a node that must not be stopped\n\
         in `cluster upgrade-check`, a hostname that failed or is parked in `hostname show`,\n\
         `explain` or `wait`, something wrong in `hostname check`",
    ),
    (
        "5",
        "no quorum: nothing was done, or the outcome is unknown; look before trying again",
    ),
    ("124", "the time given for waiting is over"),
];

/// What `--help` says at its end.
pub(crate) fn help() -> String {
    let codes = CODES.map(|(code, text)| {
        let text = text.replace('\n', "\n       ");
        format!("  {code:<5}{text}\n")
    });
    let codes = codes.concat();
    format!(
        "Exit codes:\n{codes}\n\
         Every option can be given by the environment variable that stands behind it."
    )
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Bad => 2,
            Self::NoQuorum => 5,
            Self::TimedOut => 124,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
