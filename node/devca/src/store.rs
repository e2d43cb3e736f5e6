//! The CA's directory: its keys, and a journal of records.
//!
//! ```text
//! lock                   held while a CA uses the directory
//! authority/             root.pem, intermediate.pem and their .key.pem; made once, whole
//! journal.jsonl          a heading, then one record a line, flushed before it counts
//! ```
//!
//! Everything is readable by its owner alone. At each start the journal is rewritten with
//! only the newest record of each id.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::authority::{AuthorityError, Keyring};
use crate::book::{Book, Record};

const JOURNAL: &str = "journal.jsonl";
const AUTHORITY: &str = "authority";
/// The form of the journal's lines; another number is another form.
const VERSION: u32 = 1;

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Two CAs on one directory would overwrite each other's records.
    #[error("{0:?} is in use by another development CA; stop it or take another directory")]
    InUse(PathBuf),
    /// A line is not a record.
    #[error("line {line} of {path:?} is not a record; restore the file or remove the directory")]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Counted from one.
        line: usize,
        /// What is wrong with the line.
        #[source]
        source: serde_json::Error,
    },
    /// The journal was written by another version.
    #[error("{path:?} is not a journal of version {VERSION}; remove the directory to begin anew")]
    Version {
        /// The journal.
        path: PathBuf,
    },
    /// The thread that wrote the journal panicked.
    #[error("the journal was lost while writing")]
    Lost,
    /// The CA's first keys could not be made.
    #[error("cannot make the CA's keys")]
    Authority(#[from] AuthorityError),
}

/// An open directory, locked against other CAs as long as this lives.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    lock: File,
}

impl Store {
    /// Opens the directory, making it if need be, and locks it.
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        make_directory(directory)?;
        let path = directory.join("lock");
        let lock = private_file(&path, OpenOptions::new().create(true).append(true))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                directory: directory.into(),
                lock,
            }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(directory.into())),
            Err(TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
        }
    }

    /// The CA's keys; `generate` makes them when there are none.
    ///
    /// They are written beside their place and moved into it whole, so that a crash leaves
    /// all of them or none.
    pub(crate) fn keyring(
        &self,
        generate: impl FnOnce() -> Result<Keyring, AuthorityError>,
    ) -> Result<Keyring, StoreError> {
        let place = self.directory.join(AUTHORITY);
        if !place.exists() {
            let draft = self.directory.join("authority.new");
            if draft.exists() {
                fs::remove_dir_all(&draft).map_err(failed("remove", &draft))?;
            }
            make_directory(&draft)?;
            for (name, content) in named_parts(&mut generate()?) {
                write_whole(&draft.join(name), content)?;
            }
            sync_directory(&draft)?;
            fs::rename(&draft, &place).map_err(failed("put in place", &place))?;
            sync_directory(&self.directory)?;
        }
        let mut keyring = Keyring {
            root_pem: String::new(),
            root_key_pem: String::new(),
            intermediate_pem: String::new(),
            intermediate_key_pem: String::new(),
        };
        for (name, content) in named_parts(&mut keyring) {
            let path = place.join(name);
            *content = fs::read_to_string(&path).map_err(failed("read", &path))?;
        }
        Ok(keyring)
    }

    /// The records, and the journal to which further ones are appended.
    pub(crate) fn journal(self) -> Result<(Vec<Record>, Journal), StoreError> {
        let path = self.directory.join(JOURNAL);
        let mut book = Book::default();
        if path.exists() {
            let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
            for record in parse(&text, &path)? {
                book.put(record);
            }
        }
        let records: Vec<_> = book.records().collect();
        self.compact(&records, &path)?;
        let file = private_file(&path, OpenOptions::new().append(true))?;
        let journal = Journal {
            file,
            path,
            _lock: self.lock,
        };
        Ok((records, journal))
    }

    fn compact(&self, records: &[Record], path: &Path) -> Result<(), StoreError> {
        let draft = self.directory.join("journal.new");
        let file = private_file(
            &draft,
            OpenOptions::new().create(true).write(true).truncate(true),
        )?;
        let mut writer = BufWriter::new(&file);
        write_line(&mut writer, &Heading::OURS)
            .and_then(|()| write_records(&mut writer, records))
            .and_then(|()| writer.flush())
            .and_then(|()| file.sync_all())
            .map_err(failed("write", &draft))?;
        fs::rename(&draft, path).map_err(failed("put in place", path))?;
        sync_directory(&self.directory)
    }
}

/// The open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    _lock: File,
}

impl Journal {
    /// Appends records and flushes them to the disk; when this returns they are kept.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let mut lines = Vec::new();
        write_records(&mut lines, records)
            .and_then(|()| self.file.write_all(&lines))
            .and_then(|()| self.file.sync_data())
            .map_err(failed("append to", &self.path))
    }
}

/// The first line of a journal.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Heading {
    journal: String,
    version: u32,
}

impl Heading {
    const OURS: HeadingRef = HeadingRef {
        journal: "hostquorum-devca",
        version: VERSION,
    };
}

#[derive(Serialize)]
struct HeadingRef {
    journal: &'static str,
    version: u32,
}

fn parse(text: &str, path: &Path) -> Result<Vec<Record>, StoreError> {
    // A last line without its end was cut off by a crash: it was never acknowledged.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut lines = whole.lines();
    let heading = lines
        .next()
        .and_then(|line| serde_json::from_str::<Heading>(line).ok());
    let ours = heading.is_some_and(|heading| {
        heading.journal == Heading::OURS.journal && heading.version == VERSION
    });
    if !ours {
        return Err(StoreError::Version { path: path.into() });
    }
    lines
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|source| StoreError::Damaged {
                path: path.into(),
                line: index + 2,
                source,
            })
        })
        .collect()
}

fn write_records(writer: &mut impl Write, records: &[Record]) -> io::Result<()> {
    records
        .iter()
        .try_for_each(|record| write_line(writer, record))
}

fn write_line(writer: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *writer, value)?;
    writer.write_all(b"\n")
}

fn named_parts(keyring: &mut Keyring) -> [(&'static str, &mut String); 4] {
    [
        ("root.pem", &mut keyring.root_pem),
        ("root.key.pem", &mut keyring.root_key_pem),
        ("intermediate.pem", &mut keyring.intermediate_pem),
        ("intermediate.key.pem", &mut keyring.intermediate_key_pem),
    ]
}

fn make_directory(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("make the directory", path))
}

fn write_whole(path: &Path, content: &str) -> Result<(), StoreError> {
    let mut file = private_file(path, OpenOptions::new().create_new(true).write(true))?;
    file.write_all(content.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed("write", path))
}

fn private_file(path: &Path, options: &mut OpenOptions) -> Result<File, StoreError> {
    options.mode(0o600).open(path).map_err(failed("open", path))
}

fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("flush", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.into();
    move |source| StoreError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
impl Journal {
    /// A journal on a disk that is full.
    pub(crate) fn on_full_disk() -> Self {
        let path = PathBuf::from("/dev/full");
        let open = || OpenOptions::new().write(true).open(&path).unwrap();
        Self {
            file: open(),
            _lock: open(),
            path: path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::entropy::SystemEntropy;
    use crate::timestamp::Timestamp;

    /// The first journal ever written: it must stay readable.
    const FROZEN: &str = include_str!("../tests/frozen/journal-v1.jsonl");
    /// The same form with all that a CA writes which behaves otherwise than plainly.
    const REHEARSAL: &str = include_str!("../tests/frozen/journal-v1-rehearsal.jsonl");

    fn generate() -> Result<Keyring, AuthorityError> {
        Keyring::generate(Timestamp::from_unix(1_800_000_000), &mut SystemEntropy)
    }

    fn open_with(journal: &str) -> (tempfile::TempDir, Result<Vec<Record>, StoreError>) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(JOURNAL), journal).unwrap();
        let records = Store::open(directory.path())
            .and_then(Store::journal)
            .map(|(records, _)| records);
        (directory, records)
    }

    #[test]
    fn the_frozen_journals_are_read_and_written_alike() {
        for frozen in [FROZEN, REHEARSAL] {
            let (directory, records) = open_with(frozen);
            assert_eq!(records.unwrap().len(), 5);
            let rewritten = fs::read_to_string(directory.path().join(JOURNAL)).unwrap();
            assert_eq!(rewritten, frozen);
        }
    }

    #[test]
    fn appended_records_are_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let records = parse(FROZEN, Path::new("frozen")).unwrap();
        let (_, mut journal) = Store::open(directory.path()).unwrap().journal().unwrap();
        journal.append(&records[..2]).unwrap();
        journal.append(&records).unwrap();
        drop(journal);
        let (found, _journal) = Store::open(directory.path()).unwrap().journal().unwrap();
        assert_eq!(found, records);
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_any_other_damage_is_told() {
        let torn = &FROZEN[..FROZEN.len() - 10];
        let (_directory, records) = open_with(torn);
        assert_eq!(records.unwrap().len(), 4);
        let damaged = FROZEN.replacen("\"account\"", "\"acount\"", 1);
        let (_directory, records) = open_with(&damaged);
        assert!(matches!(records, Err(StoreError::Damaged { line: 2, .. })));
        for heading in [
            "",
            "{}\n",
            "{\"journal\":\"hostquorum-devca\",\"version\":2}\n",
        ] {
            let (_directory, records) = open_with(heading);
            assert!(
                matches!(records, Err(StoreError::Version { .. })),
                "{heading}"
            );
        }
    }

    #[test]
    fn keys_are_made_once_and_readable_by_their_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let first = store.keyring(generate).unwrap();
        let again = store.keyring(|| panic!("made twice")).unwrap();
        assert!(first == again);
        for name in ["root.key.pem", "intermediate.key.pem"] {
            let path = directory.path().join(AUTHORITY).join(name);
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_directory_in_use_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let second = Store::open(directory.path());
        assert!(matches!(second, Err(StoreError::InUse(_))));
        drop(store);
        assert!(Store::open(directory.path()).is_ok());
    }
}
