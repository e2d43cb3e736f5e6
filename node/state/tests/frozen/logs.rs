//! Logs, and what every program makes of them. A member that made something else of an entry than
//! the others would disagree with them for good, and during an upgrade they run different
//! versions: what applies otherwise is of a higher feature level, and these stay as they are.

use std::fmt::Write as _;

use state::{State, codec};

use crate::{
    frozen,
    life::{Life, level_two, lived, restored},
    none_lost,
    records::{join, joined, parts},
};

#[test]
fn what_a_log_came_to_it_comes_to_in_every_version() {
    let lives = [
        ("lived", lived()),
        ("restored", restored()),
        ("level-two", level_two()),
    ];
    let mut names = Vec::new();
    for (name, life) in lives {
        replayed(name, &life);
        names.extend(["entries.bin", "records.bin", "txt"].map(|it| format!("log.{name}.{it}")));
    }
    none_lost("log.", names);
}

fn replayed(name: &str, life: &Life) {
    let written = join(life.log.iter().map(codec::batch_to));
    let entries = frozen(&format!("log.{name}.entries.bin"), &written);
    let mut state = State::default();
    let mut told = String::new();
    for (index, entry) in (1_u64..).zip(parts(&entries)) {
        let batch = codec::batch_from(&entry).unwrap();
        let (outcomes, changes) = state.apply(index.into(), &batch);
        let changes = (changes.records.len(), changes.bodies.len());
        let what: Vec<_> = batch.commands.iter().map(|it| it.change.name()).collect();
        writeln!(told, "{index} {what:?} {outcomes:?} {changes:?}").unwrap();
    }
    let expected = frozen(&format!("log.{name}.txt"), told.as_bytes());
    assert_eq!(told, String::from_utf8(expected).unwrap(), "{name}");
    let expected = frozen(&format!("log.{name}.records.bin"), &joined(&state));
    assert_eq!(
        joined(&state),
        expected,
        "{name} comes to other records now"
    );
}
