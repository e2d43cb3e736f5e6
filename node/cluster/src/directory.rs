//! Files that are there whole or not at all, readable by their owner only.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Largest file read: an identity has about 4 KB, a founding 10 KB; data keys grow
/// by 40 bytes a rotation.
const FILE_MAX: u64 = 1024 * 1024;

/// A directory of a node's own files: mode 0700, files 0600.
#[derive(Clone, Debug)]
pub struct Directory(PathBuf);

/// Why a file or the directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The system said no.
    #[error("could not {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others could read or change it.
    #[error(
        "{} has mode {mode:04o}, which lets others in: chmod {} it", path.display(),
        if *directory { "0700" } else { "0600" }
    )]
    Mode {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// It is a directory.
        directory: bool,
    },
    /// Somebody else's.
    #[error("{} belongs to user {owner}, but this process runs as user {me}: chown it", path.display())]
    Owner {
        /// Which.
        path: PathBuf,
        /// Whose.
        owner: u32,
        /// Who we are.
        me: u32,
    },
    /// It cannot be one of ours.
    #[error("{} is larger than any file we write", .0.display())]
    TooLarge(PathBuf),
}

impl DirectoryError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Io { what, path, source }
    }
}

impl Directory {
    /// Opens the directory; makes it if it is not there. One that others may enter
    /// is refused rather than repaired: its content may have been read.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| DirectoryError::io("make", path, error))?;
        let metadata =
            fs::metadata(path).map_err(|error| DirectoryError::io("look at", path, error))?;
        check_owner_and_mode(path, &metadata, 0o077)?;
        Ok(Self(path.to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where `name` is or would be.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The file's bytes; `None` if there is none.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DirectoryError> {
        let path = self.file(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DirectoryError::io("open", &path, error)),
        };
        let failed = |error| DirectoryError::io("read", &path, error);
        let metadata = file.metadata().map_err(failed)?;
        check_owner_and_mode(&path, &metadata, 0o077)?;
        if metadata.size() > FILE_MAX {
            return Err(DirectoryError::TooLarge(path));
        }
        let mut bytes = Vec::new();
        file.take(FILE_MAX)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        Ok(Some(bytes))
    }

    /// Writes the file so that a crash leaves the old or the new one.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DirectoryError> {
        write_atomically(&self.file(name), bytes, 0o600)
    }

    /// Removes the file, if it is there.
    pub fn remove(&self, name: &str) -> Result<(), DirectoryError> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Ok(()) => sync_directory(&path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(DirectoryError::io("remove", &path, error)),
        }
    }
}

/// Refuses what belongs to another user or grants any of `forbidden`.
pub(crate) fn check_owner_and_mode(
    path: &Path,
    metadata: &Metadata,
    forbidden: u32,
) -> Result<(), DirectoryError> {
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me {
        return Err(DirectoryError::Owner {
            path: path.to_owned(),
            owner: metadata.uid(),
            me,
        });
    }
    check_mode(path, metadata, forbidden)
}

/// Refuses what grants any of `forbidden`.
pub(crate) fn check_mode(
    path: &Path,
    metadata: &Metadata,
    forbidden: u32,
) -> Result<(), DirectoryError> {
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(DirectoryError::Mode {
            path: path.to_owned(),
            mode,
            directory: metadata.is_dir(),
        });
    }
    Ok(())
}

/// Writes `path` so that a crash at any moment leaves the old file or the new one,
/// and a return means that the new one survives a power cut.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DirectoryError> {
    let write = Replacement {
        path,
        bytes,
        mode,
        temporary: temporary(path),
    };
    Step::ALL.into_iter().try_for_each(|step| write.run(step))
}

/// One replacement of a file. Its steps stand apart so that each moment between
/// two of them can be looked at.
struct Replacement<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    mode: u32,
    temporary: PathBuf,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// What an earlier crash left goes away.
    Clear,
    /// The new content, beside the old and durable.
    Fill,
    /// The new takes the old one's place.
    Rename,
    /// And keeps it.
    SyncDirectory,
}

impl Step {
    const ALL: [Self; 4] = [Self::Clear, Self::Fill, Self::Rename, Self::SyncDirectory];
}

impl Replacement<'_> {
    fn run(&self, step: Step) -> Result<(), DirectoryError> {
        let temporary = &self.temporary;
        match step {
            Step::Clear => match fs::remove_file(temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(DirectoryError::io("remove", temporary, error))
                }
                _ => Ok(()),
            },
            Step::Fill => self
                .fill()
                .map_err(|error| DirectoryError::io("write", temporary, error)),
            Step::Rename => fs::rename(temporary, self.path)
                .map_err(|error| DirectoryError::io("replace", self.path, error)),
            Step::SyncDirectory => sync_directory(self.path),
        }
    }

    fn fill(&self) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(self.mode)
            .open(&self.temporary)?;
        file.write_all(self.bytes)?;
        file.sync_all()
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    path.with_file_name(name)
}

fn sync_directory(file: &Path) -> Result<(), DirectoryError> {
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| DirectoryError::io("sync", parent, error))
}

#[cfg(test)]
mod tests;
