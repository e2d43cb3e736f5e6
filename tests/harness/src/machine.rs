//! What a test needs of the machine. What is lacking is told with what to do about it, and
//! the test fails: a fault that was not tried has not been survived.

use std::{path::Path, process::Command};

/// The right to make namespaces, mounts and devices.
#[track_caller]
pub fn needs_root(what: &str) {
    assert!(
        rustix::process::geteuid().is_root(),
        "{what} needs root: run it by `sudo -E make faults`, or in a container that may"
    );
}

/// A program, and the package of Debian's that has it.
#[track_caller]
pub fn needs(program: &str, package: &str) {
    let found = folders().any(|folder| Path::new(folder).join(program).exists());
    assert!(
        found,
        "`{program}` is missing: apt-get install {package}, or scripts/install-test-tools.sh"
    );
}

/// A file, and how it comes to be there.
#[track_caller]
pub fn needs_file(path: &str, how: &str) {
    assert!(Path::new(path).exists(), "{path} is missing: {how}");
}

/// Runs `program`, which must succeed.
#[track_caller]
pub fn run(program: &str, arguments: &[&str]) {
    if let Err(why) = try_run(program, arguments) {
        panic!("{why}");
    }
}

/// Runs `program`.
///
/// # Errors
/// It could not be run or failed: what it said.
pub fn try_run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let path: Vec<&str> = folders().collect();
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", path.join(":"))
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {arguments:?}: {}", said.trim()))
}

/// Where programs are, those for root among them.
fn folders() -> impl Iterator<Item = &'static str> {
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".split(':')
}
