//! What our files are called, how long they are and what never stands in them.
//!
//! The patterns are written in halves, for this file is read too.

use std::{collections::BTreeMap, path::Path};

use cargo_metadata::Target;

use crate::{
    none,
    tree::{self, Text},
};

/// Names that say nothing of what is inside.
const NAMELESS: [&str; 9] = [
    "common", "handler", "handlers", "helper", "helpers", "manager", "managers", "util", "utils",
];

/// Longest source file, in lines: beyond it, one file is two.
const LINES_MAX: usize = 600;

/// Longer files, and why they are one.
const LONG: [(&str, &str); 1] = [(
    "node/state/src/codec/wire/issuance.rs",
    "all shapes of what issuance stores, one declaration after the other",
)];

/// Marks of work that is not done, and what ends a program without a reason.
const UNFINISHED: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("unimple", "mented!"),
    concat!("to", "do!("),
    concat!("db", "g!("),
];

/// Where people's homes and workplaces are: a path below is right on one machine
/// only.
const MACHINES: [&str; 4] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
];

/// Whose homes our examples show.
const NOBODIES: [&str; 3] = ["a", "alice", "bob"];

#[test]
fn names_say_what_is_inside() {
    let mut wrong = Vec::new();
    for source in tree::sources() {
        let path = Path::new(&source.path);
        if path.file_name().is_some_and(|name| name == "mod.rs") {
            wrong.push(format!(
                "{}: a folder goes with the file of its name",
                source.path
            ));
        }
        let mut parts = path.iter().map(|part| part.to_string_lossy());
        if let Some(part) = parts.find(|part| NAMELESS.contains(&part.trim_end_matches(".rs"))) {
            wrong.push(format!(
                "{}: `{part}` says nothing; name the domain",
                source.path
            ));
        }
    }
    none("names", wrong);
}

#[test]
fn files_have_one_subject() {
    let long = BTreeMap::from(LONG);
    let mut wrong = Vec::new();
    for source in tree::sources() {
        let lines = source.text.lines().count();
        match long.get(&*source.path) {
            None if lines > LINES_MAX => {
                wrong.push(format!(
                    "{} has {lines} lines: which two is it?",
                    source.path
                ));
            }
            Some(_) if lines <= LINES_MAX => {
                wrong.push(format!("{} is short enough now: no exception", source.path));
            }
            _ => {}
        }
    }
    for path in long.keys() {
        if !tree::root().join(path).exists() {
            wrong.push(format!("{path} is an exception but no file"));
        }
    }
    none("long files", wrong);
}

#[test]
fn nothing_is_left_undone() {
    let wrong = matches(by_people(), |line| {
        let mark = UNFINISHED.into_iter().find(|mark| holds_word(line, mark));
        mark.map(|mark| format!("`{mark}`"))
    });
    none("marks of unfinished work", wrong);
}

#[test]
fn no_test_is_ignored_and_nothing_is_unsafe() {
    let ignored = concat!("#[ig", "nore");
    let danger = concat!("un", "safe");
    let wrong = matches(tree::sources(), |line| {
        let code = line.split("//").next().unwrap_or_default();
        let risky = code.split(danger).skip(1).any(|after| {
            let after = after.trim_start();
            ["{", "fn ", "impl ", "extern ", "trait "]
                .iter()
                .any(|start| after.starts_with(start))
        });
        let skipped = code.contains(ignored);
        (risky || skipped).then(|| line.trim().to_owned())
    });
    none("ignored tests and unsafe code", wrong);
}

#[test]
fn no_path_of_one_machine_is_in_the_tree() {
    let wrong = matches(tree::texts().iter(), |line| {
        let found = MACHINES.into_iter().find(|path| holds_path(line, path));
        found.map(|path| format!("`{path}`"))
    });
    none("paths of one machine", wrong);
}

#[test]
fn lines_and_files_end_cleanly() {
    let mut wrong = matches(by_people(), |line| {
        let trailing = line.ends_with([' ', '\t', '\r']);
        trailing.then(|| "white space at the end of the line".to_owned())
    });
    for text in by_people().filter(|text| !text.text.is_empty()) {
        if !text.text.ends_with('\n') || text.text.ends_with("\n\n") {
            wrong.push(format!("{} does not end with one newline", text.path));
        }
    }
    none("ends", wrong);
}

#[test]
fn each_crate_says_what_it_is_for() {
    let mut wrong = Vec::new();
    for member in tree::members() {
        let of_crate = |target: &&Target| !target.is_custom_build() && !target.is_example();
        for target in member.targets.iter().filter(of_crate) {
            let path = target.src_path.strip_prefix(tree::root()).unwrap();
            let text = tree::texts().iter().find(|text| text.path == *path);
            if !text.is_some_and(|text| text.text.starts_with("//! ")) {
                wrong.push(format!("{path} does not begin with its documentation"));
            }
        }
    }
    none("crate documentation", wrong);
}

fn by_people() -> impl Iterator<Item = &'static Text> {
    tree::texts().iter().filter(|text| !text.is_generated())
}

/// The lines of `texts` at which `find` finds something.
fn matches(
    texts: impl Iterator<Item = &'static Text>,
    find: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut found = Vec::new();
    for text in texts {
        for (place, line) in text.lines() {
            found.extend(find(line).map(|what| format!("{place}: {what}")));
        }
    }
    found
}

/// True if a path of `line` begins with `home` and names somebody there.
fn holds_path(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let inner = before.is_some_and(|c| c.is_alphanumeric() || "/}._-".contains(c));
        let below = &line[at + home.len()..];
        let end = below.find(|c: char| !c.is_alphanumeric());
        let somebody = &below[..end.unwrap_or(below.len())];
        !inner && !somebody.is_empty() && !NOBODIES.contains(&somebody)
    })
}

/// True if `word` stands in `line` and not as the end of a longer word.
fn holds_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let inner = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !inner(before) && (word.ends_with(['!', '(']) || !inner(after))
    })
}
