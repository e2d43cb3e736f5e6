//! A clock that a running process can be made to believe: libfaketime, from Debian's
//! package of that name. Timers go on as they did.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::machine::needs_file;

/// Where Debian has it, on the machines that we test on.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// One process's clock.
#[derive(Clone, Debug)]
pub struct Faketime(PathBuf);

impl Faketime {
    /// A clock that is right. The process must be started with its
    /// [`Faketime::variables`]; its switch is a file in `dir`.
    pub fn right(dir: &Path, name: &str) -> Self {
        needs_file(
            LIBRARY,
            "apt-get install libfaketime, or scripts/install-test-tools.sh",
        );
        let clock = Self(dir.join(format!("{name}.clock")));
        clock.is_off_by("+0");
        clock
    }

    /// The environment of the process.
    pub fn variables(&self) -> [(&'static str, &str); 4] {
        [
            ("LD_PRELOAD", LIBRARY),
            (
                "FAKETIME_TIMESTAMP_FILE",
                self.0.to_str().expect("a path of ours is text"),
            ),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
    }

    /// From now on the clock shows so much more or less: `+10y`, `-3d`, `+0`.
    pub fn is_off_by(&self, offset: &str) {
        // Nobody is to read half of it.
        let whole = self.0.with_extension("new");
        fs::write(&whole, format!("{offset}\n")).unwrap();
        fs::rename(whole, &self.0).unwrap();
    }
}
