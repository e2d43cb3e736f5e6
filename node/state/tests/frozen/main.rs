//! The bytes of everything that is stored or sent, as each version wrote them.
//!
//! A sample is written once, by `UPDATE_FROZEN=1 cargo test -p state --test frozen`,
//! which adds what is missing and changes nothing: these bytes are in somebody's
//! log. A new variant does not compile before it has a name here, and fails before
//! it has a sample.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod changes;
mod life;
mod logs;
mod outcomes;
mod records;
mod traffic;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/frozen/v1")
}

/// The names of all variants of an enum, and the name of a value. The match has
/// no wildcard, so that both grow with the enum.
macro_rules! variants {
    ($vocabulary:ident, $of:ident, $type:ty, { $($pattern:pat => $name:literal,)+ }) => {
        const $vocabulary: &[&str] = &[$($name),+];

        fn $of(value: &$type) -> &'static str {
            match value {
                $($pattern => $name,)+
            }
        }
    };
}
pub(crate) use variants;

/// The bytes of the sample `name`, which are `written` if it is new.
#[track_caller]
fn frozen(name: &str, written: &[u8]) -> Vec<u8> {
    let path = folder().join(name);
    if !path.exists() && std::env::var_os("UPDATE_FROZEN").is_some() {
        fs::write(&path, written).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| {
        panic!("{name}: {error}; a new sample is written with UPDATE_FROZEN=1")
    })
}

/// Every name of `vocabulary` has a sample.
#[track_caller]
fn complete(vocabulary: &[&str], sampled: impl IntoIterator<Item = &'static str>) {
    let sampled: BTreeSet<&str> = sampled.into_iter().collect();
    let missing: Vec<_> = vocabulary
        .iter()
        .filter(|name| !sampled.contains(*name))
        .collect();
    assert!(missing.is_empty(), "no sample of {missing:?}");
}

/// The files that begin with `kind` are the samples and no others: a sample is
/// never given up.
#[track_caller]
fn none_lost(kind: &str, samples: impl IntoIterator<Item = String>) {
    let samples: BTreeSet<String> = samples.into_iter().collect();
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| path.file_name().map(Path::new).map(Path::to_owned))
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with(kind))
        .collect();
    assert_eq!(files, samples, "samples and files differ");
}
