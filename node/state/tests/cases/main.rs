//! The state machine as reviewable text.
//!
//! Each file of this folder is a script: a block of commands, `----`, and what
//! came of them. The commands of one block are one log entry. After a deliberate
//! change, `UPDATE_CASES=1 cargo test -p state --test cases` writes the files
//! anew; the difference is then read like code.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on ends there"
)]

mod cluster;
mod command;
mod show;

use std::{fmt::Write as _, fs, path::PathBuf};

use cluster::Cluster;

#[test]
fn scripts_give_what_they_say() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut scripts: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty(), "no script in {}", folder.display());
    let update = std::env::var_os("UPDATE_CASES").is_some();
    let mut wrong = String::new();
    for path in scripts {
        let expected = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let actual = run(&name, &expected);
        if update {
            fs::write(&path, actual).unwrap();
        } else if let Some(difference) = first_difference(&name, &expected, &actual) {
            wrong.push_str(&difference);
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong}\nif this is meant, run again with UPDATE_CASES=1 and read the difference"
    );
}

/// The script with what really comes of its commands.
fn run(name: &str, script: &str) -> String {
    let mut cluster = Cluster::default();
    let mut output = String::new();
    let mut lines = script.lines().enumerate();
    let mut block: Vec<&str> = Vec::new();
    while let Some((number, line)) = lines.next() {
        let place = || format!("{name}:{}", number + 1);
        writeln!(output, "{line}").unwrap();
        if line == "----" {
            assert!(!block.is_empty(), "{}: no command", place());
            let result = cluster.run(&std::mem::take(&mut block));
            let result = result.unwrap_or_else(|error| panic!("{}: {error}", place()));
            output.push_str(&result);
            output.push('\n');
            lines.find(|(_, line)| line.is_empty());
        } else if !line.is_empty() && !line.starts_with('#') {
            block.push(line);
        } else {
            assert!(block.is_empty(), "{}: a block without ----", place());
        }
    }
    assert!(block.is_empty(), "{name}: a block without ---- at the end");
    output.truncate(output.trim_end().len());
    output.push('\n');
    output
}

fn first_difference(name: &str, expected: &str, actual: &str) -> Option<String> {
    let mut expected = expected.lines();
    let mut actual = actual.lines();
    let mut number = 0;
    loop {
        number += 1;
        match (expected.next(), actual.next()) {
            (None, None) => return None,
            (expected, actual) if expected == actual => {}
            (expected, actual) => {
                return Some(format!(
                    "{name}:{number}\n  expected: {}\n  actual:   {}\n",
                    expected.unwrap_or("the end"),
                    actual.unwrap_or("the end"),
                ));
            }
        }
    }
}
