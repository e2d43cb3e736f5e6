//! Files and directories that must survive a power cut.
//!
//! A file's bytes and its name are made durable apart: the file by fsync, the
//! name by fsync of the directory that holds it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise};

use super::StoreError;

/// Longest of our small files (the pointer, the marker): anything longer is not ours.
const MAX_SMALL_FILE_BYTES: u64 = 4096;

/// Creates `path` and its parents, durably.
pub(crate) fn create(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent()
        && !parent.as_os_str().is_empty()
    {
        create(parent)?;
    }
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(StoreError::file("create the directory", path, error)),
    }
    sync_parent(path)
}

/// Makes the names within `path` durable.
pub(crate) fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| StoreError::file("fsync the directory", path, error))
}

/// Makes the name of `path` itself durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
        _ => sync(Path::new(".")),
    }
}

/// Makes the bytes of the file at `path` durable.
pub(crate) fn sync_file(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| StoreError::file("fsync", path, error))
}

/// Replaces the small file at `path`: after a crash the old bytes are there or
/// the new, never a mixture and never none.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = temporary(path);
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| StoreError::file("write", &temporary, error))?;
    publish(&temporary, path)
}

/// Gives the finished, fsynced file `temporary` its final name, durably.
pub(crate) fn publish(temporary: &Path, path: &Path) -> Result<(), StoreError> {
    fs::rename(temporary, path).map_err(|error| StoreError::file("rename to", path, error))?;
    sync_parent(path)
}

/// The bytes of the small file at `path`; `None` if there is none.
pub(crate) fn read_small(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::file("open", path, error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_SMALL_FILE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| StoreError::file("read", path, error))?;
    Ok(Some(bytes))
}

/// Removes the directory or file at `path`, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::file("remove", path, error)),
    }
}

/// The names within `path`.
pub(crate) fn list(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(path).map_err(|error| StoreError::file("list", path, error))?;
    entries
        .map(|entry| {
            entry
                .map(|entry| entry.path())
                .map_err(|error| StoreError::file("list", path, error))
        })
        .collect()
}

/// Drops from the kernel's cache what is under `path`, so that it is read from the
/// device again. After a write-back failed, Linux keeps the page with its new bytes,
/// calls it clean, and lets the next fsync succeed: what is read then may be on no disk
/// at all. Only clean pages are dropped; so all are written first, and a file whose
/// pages cannot be is an error. Then all of it is read: an engine may take what it cannot
/// read for what was never written (sled does), and write over it.
pub(crate) fn forget_cached(path: &Path) -> Result<(), StoreError> {
    for path in list(path)? {
        if path.is_dir() {
            forget_cached(&path)?;
            continue;
        }
        let forget = || -> std::io::Result<()> {
            let mut file = File::open(&path)?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
            std::io::copy(&mut file, &mut std::io::sink()).map(drop)
        };
        forget().map_err(|error| StoreError::file("write back and read", &path, error))?;
    }
    Ok(())
}

/// The name under which `path` is written before it is published.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}
