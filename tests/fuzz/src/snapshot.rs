//! A snapshot that a peer sends, with a digest that is right for it.

use std::path::Path;

use state::{State, codec::record::Pair};
use tempfile::NamedTempFile;

/// Reads a snapshot's content. What can be installed is a state that is written and read
/// again byte for byte.
pub fn target(data: &[u8]) {
    let file = file();
    match consensus::fuzzing::install(data, file.path()) {
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

/// A file that is gone with the input, on a file system in memory where there is one.
fn file() -> NamedTempFile {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        NamedTempFile::new_in(memory)
    } else {
        NamedTempFile::new()
    };
    made.expect("a temporary file")
}
