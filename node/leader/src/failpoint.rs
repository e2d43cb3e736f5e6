//! Points at which a test can end the process: before and after each commit and each POST
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

/// The points that the account passes once, in this order; without contacts, those of
/// `update-contacts` are not met.
pub const ACCOUNT: [&str; 8] = [
    "before-commit-account-key",
    "after-commit-account-key",
    "before-post-new-account",
    "after-post-new-account",
    "before-post-update-contacts",
    "after-post-update-contacts",
    "before-register-account",
    "after-register-account",
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
    /// Ends the process at the point whose name the file holds, and removes the file
    /// first: of several nodes that share it only one ends, and only once.
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
        let Ok(name) = std::fs::read_to_string(file) else {
            return;
        };
        if name.trim().strip_prefix(when) == Some(what) && std::fs::remove_file(file).is_ok() {
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
