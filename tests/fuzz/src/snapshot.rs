//! A snapshot that a peer sends, with a digest that is right for it.

use std::{fs, path::PathBuf, sync::OnceLock};

use state::{State, codec::record::Pair};
use tempfile::TempDir;

/// Reads a snapshot's content. What can be installed is a state that is written and read
/// again byte for byte.
pub fn target(data: &[u8]) {
    match consensus::fuzzing::install(data, &path()) {
        Ok(state) => comes_back(&state),
        Err(error) => crate::is_fit_to_show(&error),
    }
}

/// A state's records are a state's.
pub(crate) fn comes_back(state: &State) {
    let records: Vec<Pair> = state.records().collect();
    let mut again = State::default();
    for (key, value) in &records {
        again.load(key, value).expect("what a state wrote is read");
    }
    assert_eq!(again.records().collect::<Vec<Pair>>(), records);
}

/// A file of this thread's own in a folder that the process leaves empty.
fn path() -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // A file system in memory, where there is one: there is a file for each input.
        let memory = PathBuf::from("/dev/shm");
        let made = if fs::metadata(&memory).is_ok_and(|found| found.is_dir()) {
            TempDir::with_prefix_in("hostquorum-fuzz", memory)
        } else {
            TempDir::with_prefix("hostquorum-fuzz")
        };
        made.expect("a temporary folder")
    });
    folder
        .path()
        .join(format!("{:?}", std::thread::current().id()))
}
