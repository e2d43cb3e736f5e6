//! Backups and what comes of them.

use std::path::Path;

use proto::backup::v1::Manifest;

use super::{at, check};
use crate::shape::backup::{Inspected, Key, Restored, Saved};

fn manifest() -> Manifest {
    Manifest {
        version: 1,
        cluster_id: "07".repeat(16),
        names_id: "07".repeat(16),
        index: 1234,
        taken_at: at(3600),
        program: "0.1.0".to_owned(),
        hostnames: 3,
        certificates: 2,
        orders: 1,
        cas: vec![
            "https://ca.example/directory".to_owned(),
            "https://other.example/directory".to_owned(),
        ],
    }
}

#[test]
fn backups() {
    let key = Key {
        file: "backup.key".to_owned(),
        recipient: "age1xyz".to_owned(),
    };
    check("backup-key", &key);
    let saved = Saved {
        file: "a.backup".to_owned(),
        bytes: 123_456,
        sha256: "ab".repeat(32),
    };
    check("backup-saved", &saved);
    let inspected = Inspected::new(Path::new("a.backup"), &manifest());
    check("backup-inspected", &inspected);
    let restored = Restored::new(&manifest(), "05".repeat(16));
    check("backup-restored", &restored);
}
