//! Points at which a test can end or stop the process: before and after each commit and each POST
//! of an order and of the account. Without the feature `failpoints` they are nothing.

/// The points that every order passes, in this order.
pub const ORDER: [&str; 16] = [
    "before-admit-order",
    "after-admit-order",
    "before-post-new-order",
    "after-post-new-order",
    "before-prepare-order",
    "after-prepare-order",
    "before-intend-ready",
    "after-intend-ready",
    "before-post-ready",
    "after-post-ready",
    "before-intend-finalize",
    "after-intend-finalize",
    "before-post-finalize",
    "after-post-finalize",
    "before-install-certificate",
    "after-install-certificate",
];

/// The points that an account passes once, in this order; without contacts, those of
/// `update-contacts` are not met.
pub const ACCOUNT: [&str; 8] = [
    "before-commit-account-key",
    "after-commit-account-key",
    "before-post-new-account",
    "after-post-new-account",
    "before-register-account",
    "after-register-account",
    "before-post-update-contacts",
    "after-post-update-contacts",
];

/// The points that an account passes when its key is changed, in this order.
pub const ROLLOVER: [&str; 6] = [
    "before-commit-account-key",
    "after-commit-account-key",
    "before-post-key-change",
    "after-post-key-change",
    "before-finish-rollover",
    "after-finish-rollover",
];

/// The points of a revocation, in this order.
pub const REVOCATION: [&str; 4] = [
    "before-post-revocation",
    "after-post-revocation",
    "before-finish-revocation",
    "after-finish-revocation",
];

/// The points of orders that are taken up again or given up.
pub const DETOUR: [&str; 4] = [
    "before-intend-order",
    "after-intend-order",
    "before-fail-order",
    "after-fail-order",
];

/// Where to end the process, if anywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Failpoint {
    #[cfg(feature = "failpoints")]
    armed_by: Option<&'static std::path::Path>,
}

impl Failpoint {
    /// Does at the point whose name is the file's first line what that line says: `point`
    /// ends the process, `stop point` stops it as SIGSTOP does. The line is gone before,
    /// and the next one is armed: of several nodes that share the file only one meets it,
    /// and only once.
    #[cfg(feature = "failpoints")]
    pub fn armed_by(file: std::path::PathBuf) -> Self {
        Self {
            armed_by: Some(Box::leak(file.into_boxed_path())),
        }
    }

    /// Before a commit or POST of that name.
    pub(crate) fn before(self, what: &str) {
        self.reach("before-", what);
    }

    /// After it.
    pub(crate) fn after(self, what: &str) {
        self.reach("after-", what);
    }

    #[cfg(feature = "failpoints")]
    fn reach(self, when: &str, what: &str) {
        let Some(file) = self.armed_by else { return };
        let Ok(text) = std::fs::read_to_string(file) else {
            return;
        };
        let (line, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let (stop, point) = match line.trim().strip_prefix("stop ") {
            Some(point) => (true, point),
            None => (false, line.trim()),
        };
        if point.strip_prefix(when) != Some(what) || take(file, rest).is_err() {
            return;
        }
        if stop {
            tracing::error!(when, what, "failpoint: the process stops");
            let own = rustix::process::getpid();
            if let Err(error) = rustix::process::kill_process(own, rustix::process::Signal::STOP) {
                tracing::error!(%error, "failpoint: the process does not stop");
            }
        } else {
            tracing::error!(when, what, "failpoint: the process aborts");
            std::process::abort();
        }
    }

    #[cfg(not(feature = "failpoints"))]
    #[expect(
        clippy::unused_self,
        reason = "without the feature there is nothing to do"
    )]
    fn reach(self, _when: &str, _what: &str) {}
}

/// Whoever moves the file away has it; what is left of it is put back.
#[cfg(feature = "failpoints")]
fn take(file: &std::path::Path, rest: &str) -> std::io::Result<()> {
    let taken = file.with_extension(std::process::id().to_string());
    std::fs::rename(file, &taken)?;
    if rest.trim().is_empty() {
        return std::fs::remove_file(taken);
    }
    std::fs::write(&taken, rest)?;
    std::fs::rename(taken, file)
}
