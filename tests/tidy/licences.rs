//! The licences of all that we build with.

use crate::{none, tree};

/// Licences that let us ship binaries under ours. MPL-2.0 binds its own files
/// only; NCSA is libFuzzer's, in no binary that we ship, and as free as BSD's.
const ALLOWED: [&str; 16] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "NCSA",
    "OpenSSL",
    "Unicode-3.0",
    "Zlib",
];

#[test]
fn licences_allow_what_we_do() {
    let mut wrong = Vec::new();
    for package in &tree::metadata().packages {
        match &package.license {
            None => wrong.push(format!("{} names no licence", package.id)),
            Some(licence) if !allows(licence) => {
                wrong.push(format!("{}: {licence}", package.id));
            }
            Some(_) => {}
        }
    }
    none("licences", wrong);
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-2.0) AND Unicode-3.0",
        "ISC AND (Apache-2.0 OR ISC) AND OpenSSL",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        "MPL-2.0+",
    ] {
        assert!(allows(good), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "GPL-2.0 OR (MIT AND AGPL-3.0)",
        "MIT OR",
        "(MIT",
        "Apache-2.0 WITH Strange-exception",
    ] {
        assert!(!allows(bad), "{bad}");
    }
}

/// True if an SPDX expression can be met with what is allowed. `AND` binds
/// closer than `OR`; the old `/` is an `OR`.
fn allows(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    any_of(&mut words) == Some(true) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>) -> Option<bool> {
    let mut allowed = all_of(words)?;
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all_of(words)?;
    }
    Some(allowed)
}

fn all_of(words: &mut Words<'_>) -> Option<bool> {
    let mut allowed = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(words)?;
    }
    Some(allowed)
}

fn one(words: &mut Words<'_>) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let inner = any_of(words)?;
        return (words.next() == Some(")")).then_some(inner);
    }
    let mut licence = word.trim_end_matches('+').to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        licence = format!("{licence} WITH {}", words.next()?);
    }
    Some(ALLOWED.contains(&&*licence))
}
