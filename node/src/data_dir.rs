//! The data directory: made with narrow modes, and held by one process.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    process::geteuid,
};

/// A data directory that this process alone uses, until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The file system refused.
    #[error("the data directory {path} cannot be used")]
    Io {
        /// Which.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Others may read it.
    #[error("the data directory {path} is open to others (mode {mode:o}): run `chmod 700 {path}`")]
    Mode {
        /// Which.
        path: PathBuf,
        /// How wide.
        mode: u32,
    },
    /// It is somebody else's.
    #[error(
        "the data directory {path} belongs to user {owner}, not to the one that runs this: run `chown` or change data_dir"
    )]
    Owner {
        /// Which.
        path: PathBuf,
        /// Whose.
        owner: u32,
    },
    /// Another process has it.
    #[error("the data directory {0} is in use by another hostquorumd: stop that one first")]
    Locked(PathBuf),
}

impl DataDir {
    /// Makes the directory if it is not there, checks that nobody else can read
    /// it and locks it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let io = |source| DataDirError::Io {
            path: path.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(io)?;
        let metadata = path.metadata().map_err(io)?;
        let mode = metadata.permissions().mode() & 0o777;
        if metadata.uid() != geteuid().as_raw() {
            return Err(DataDirError::Owner {
                path: path.to_owned(),
                owner: metadata.uid(),
            });
        }
        if mode & 0o077 != 0 {
            return Err(DataDirError::Mode {
                path: path.to_owned(),
                mode,
            });
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"));
        let lock = lock.map_err(io)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(DataDirError::Locked(path.to_owned())),
            Err(error) => Err(io(error.into())),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_narrow_and_held_by_one() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b");
        let held = DataDir::open(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(DataDir::open(&path), Err(DataDirError::Locked(_))));
        drop(held);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn a_directory_open_to_others_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o750)).unwrap();
        let error = DataDir::open(temp.path()).unwrap_err().to_string();
        assert!(error.contains("chmod 700"), "{error}");
    }
}
