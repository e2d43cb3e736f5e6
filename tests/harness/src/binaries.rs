//! The programs under test, built once a run with their failpoints; or those in the folder
//! that `HOSTQUORUM_E2E_BINARIES` names, as a release build that is to be measured.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

static BUILT: OnceLock<PathBuf> = OnceLock::new();

/// The path of `hostquorumd` or `hostquorum`.
pub fn path(name: &str) -> PathBuf {
    BUILT
        .get_or_init(|| given().unwrap_or_else(build))
        .join(name)
}

fn given() -> Option<PathBuf> {
    std::env::var_os("HOSTQUORUM_E2E_BINARIES").map(PathBuf::from)
}

/// Builds both, and answers with their folder. Cargo does nothing if they are fresh.
fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap();
    let output = Command::new(cargo)
        .current_dir(root)
        .args([
            "build",
            "--package",
            "node",
            "--package",
            "cli",
            "--features",
            "node/failpoints",
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "the programs do not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let executable = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            message["executable"]
                .as_str()
                .filter(|path| path.ends_with("/hostquorumd"))
                .map(PathBuf::from)
        });
    executable
        .expect("cargo tells where hostquorumd is")
        .parent()
        .unwrap()
        .to_owned()
}
