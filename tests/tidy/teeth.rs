//! The bugs that are planted to see whether the simulation notices them: each still fits
//! the code, and says what it is. Whether they are noticed is for `make teeth`.

use std::process::Command;

use crate::{none, tree};

const FOLDER: &str = "simulation/teeth/";

/// What a reader is told, each in a line of its own, before the difference.
const TOLD: [&str; 3] = ["Bug: ", "Breaks: ", "Expected: "];

#[test]
fn planted_bugs_say_what_they_are_and_fit() {
    let patches = tree::texts().iter();
    let patches: Vec<_> = patches
        .filter(|text| text.path.starts_with(FOLDER) && text.has_extension("patch"))
        .collect();
    assert!(patches.len() >= 20, "{} planted bugs", patches.len());
    let mut wrong = Vec::new();
    for patch in patches {
        let path = &patch.path;
        let told = patch.text.lines().zip(TOLD);
        let told = told.filter(|(line, what)| line.starts_with(what)).count();
        if told < TOLD.len() {
            wrong.push(format!("{path}: it does not begin with {TOLD:?}"));
        }
        let fits = Command::new("git")
            .args(["apply", "--check", path])
            .current_dir(tree::root())
            .output()
            .unwrap();
        if !fits.status.success() {
            let why = String::from_utf8_lossy(&fits.stderr);
            wrong.push(format!(
                "{path}: the code has changed; plant the bug in what is there now: {}",
                why.trim()
            ));
        }
    }
    none("planted bugs", wrong);
}
