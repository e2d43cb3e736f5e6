//! A disk that can be made to hang or fail under a running node, and mended again: a
//! small C library before libc's. Needs a C compiler.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const SHIM: &str = include_str!("../shim/disk.c");

/// How a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Writes and syncs fail with `EIO`.
    Broken,
    /// Writes and syncs fail with `EROFS`: the kernel has mounted it read-only.
    ReadOnly,
    /// Writes succeed, into the cache, and syncs fail with `EIO`.
    Unsynced,
}

/// What one node's replica writes to.
#[derive(Clone, Debug)]
pub struct Disk {
    shim: PathBuf,
    folder: PathBuf,
    hang: PathBuf,
    slow: PathBuf,
    fail: PathBuf,
}

impl Disk {
    /// The disk under `folder`, which is well. The node must be started with its
    /// [`Disk::variables`]; what the library and its switches need is put into `dir`.
    pub fn under(dir: &Path, folder: &Path) -> Self {
        let switch = |what: &str| {
            let name = folder.display().to_string().replace('/', "-");
            dir.join(format!("{what}{name}"))
        };
        Self {
            shim: build(dir),
            folder: folder.to_owned(),
            hang: switch("hang"),
            slow: switch("slow"),
            fail: switch("fail"),
        }
    }

    /// The environment of the node's process.
    pub fn variables(&self) -> [(&'static str, &str); 5] {
        [
            ("LD_PRELOAD", path(&self.shim)),
            ("DISK_FOLDER", path(&self.folder)),
            ("DISK_HANG", path(&self.hang)),
            ("DISK_SLOW", path(&self.slow)),
            ("DISK_FAIL", path(&self.fail)),
        ]
    }

    /// From now on fsync and fdatasync do not return.
    pub fn hang(&self) {
        fs::write(&self.hang, "").unwrap();
    }

    /// From now on fsync and fdatasync take so much longer.
    pub fn slow(&self, by: Duration) {
        fs::write(&self.slow, by.as_millis().to_string()).unwrap();
    }

    /// From now on it fails.
    pub fn fail(&self, failure: Failure) {
        let word = match failure {
            Failure::Broken => "EIO",
            Failure::ReadOnly => "EROFS",
            Failure::Unsynced => "SYNC",
        };
        fs::write(&self.fail, word).unwrap();
    }

    /// All is well again; what hung goes on.
    pub fn mend(&self) {
        for switch in [&self.hang, &self.slow, &self.fail] {
            // It may not have been set.
            let _ = fs::remove_file(switch);
        }
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of ours is text")
}

fn build(dir: &Path) -> PathBuf {
    let (source, shim) = (dir.join("disk.c"), dir.join("disk.so"));
    if shim.exists() {
        return shim;
    }
    fs::write(&source, SHIM).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-o"])
        .arg(&shim)
        .arg(&source)
        .args(["-ldl"])
        .status();
    assert!(built.expect("cc is there; install gcc").success());
    shim
}
