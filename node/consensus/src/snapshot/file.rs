//! A snapshot file's bytes.
//!
//! ```text
//! "HQSNAP1\n"                                   magic and version
//! u32 length, meta                              openraft's meta, versioned
//! (u8 tree, u32 key length, u32 value length, key, value)*   tree: 1 records, 2 bodies
//! u8 0, u64 number of pairs                     the end
//! SHA-256 of all of the above                   32 bytes
//! ```
//! Integers are big-endian. All but the digest is the *content*, which is what
//! travels.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use state::codec::DecodeError;

use super::SnapshotFile;
use crate::store::{MAX_KEY_BYTES, MAX_VALUE_BYTES, Pair, StoreError, Tree};
use crate::types::SnapshotMeta;
use crate::wire;

/// SHA-256.
pub(crate) type Digest = [u8; DIGEST_BYTES];
pub(crate) const DIGEST_BYTES: usize = 32;

const MAGIC: &[u8; 8] = b"HQSNAP1\n";
const END: u8 = 0;
const RECORD: u8 = 1;
const BODY: u8 = 2;
/// Largest meta: a membership of hundreds of nodes is a few KB.
const MAX_META_BYTES: u32 = 1024 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;

/// Why a snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("cannot {action} the snapshot")]
    Io {
        action: &'static str,
        source: std::io::Error,
    },
    #[error("the snapshot is damaged: {0}")]
    Damaged(&'static str),
    #[error("the snapshot's meta or a record cannot be understood: {0}")]
    Undecodable(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DecodeError> for SnapshotError {
    fn from(error: DecodeError) -> Self {
        Self::Undecodable(error.to_string())
    }
}

impl SnapshotError {
    pub(crate) const fn io(action: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}

/// Writes a file, counting and hashing its content.
pub(super) struct FileWriter {
    output: BufWriter<File>,
    hash: Context,
    length: u64,
    pairs: u64,
}

impl FileWriter {
    /// Begins the file at `path`, replacing what is there.
    pub(super) fn create(path: &Path, meta: &SnapshotMeta) -> Result<Self, SnapshotError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path);
        let file = file.map_err(SnapshotError::io("create"))?;
        let output = BufWriter::with_capacity(BUFFER_BYTES, file);
        let mut writer = Self {
            output,
            hash: Context::new(&SHA256),
            length: 0,
            pairs: 0,
        };
        let meta =
            wire::to_stored(meta).map_err(|error| SnapshotError::Undecodable(error.to_string()))?;
        writer.bytes(MAGIC)?;
        writer.bytes(&length(meta.len())?)?;
        writer.bytes(&meta)?;
        Ok(writer)
    }

    /// Adds a pair of `tree`.
    pub(super) fn pair(
        &mut self,
        tree: Tree,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), SnapshotError> {
        let tag = if tree == Tree::Bodies { BODY } else { RECORD };
        self.bytes(&[tag])?;
        self.bytes(&length(key.len())?)?;
        self.bytes(&length(value.len())?)?;
        self.bytes(key)?;
        self.bytes(value)?;
        self.pairs += 1;
        Ok(())
    }

    /// Ends the file and makes its bytes durable.
    pub(super) fn finish(mut self, path: &Path) -> Result<SnapshotFile, SnapshotError> {
        self.bytes(&[END])?;
        let pairs = self.pairs;
        self.bytes(&pairs.to_be_bytes())?;
        let digest = digest(self.hash);
        let failed = SnapshotError::io("write");
        self.output.write_all(&digest).map_err(&failed)?;
        let file = self
            .output
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(SnapshotError::io("fsync"))?;
        Ok(SnapshotFile {
            path: path.to_owned(),
            file: Arc::new(file),
            length: self.length,
            digest,
        })
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        self.output
            .write_all(bytes)
            .map_err(SnapshotError::io("write"))
    }
}

fn length(length: usize) -> Result<[u8; 4], SnapshotError> {
    let length =
        u32::try_from(length).map_err(|_| SnapshotError::Damaged("a value is too long"))?;
    Ok(length.to_be_bytes())
}

pub(crate) fn digest(hash: Context) -> Digest {
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(hash.finish().as_ref());
    digest
}

/// Opens the finished file at `path`. Reads its head and its digest only: the
/// content is checked when it is loaded.
pub(super) fn open(path: &Path) -> Result<(SnapshotMeta, SnapshotFile), SnapshotError> {
    let mut file = File::open(path).map_err(SnapshotError::io("open"))?;
    let read = SnapshotError::io("read");
    let total = file.metadata().map_err(&read)?.len();
    let length = total
        .checked_sub(DIGEST_BYTES as u64)
        .ok_or(SnapshotError::Damaged("it is too short"))?;
    let meta = head(&mut file)?;
    file.seek(SeekFrom::Start(length)).map_err(&read)?;
    let mut digest = [0; DIGEST_BYTES];
    file.read_exact(&mut digest).map_err(&read)?;
    Ok((
        meta,
        SnapshotFile {
            path: path.to_owned(),
            file: Arc::new(file),
            length,
            digest,
        },
    ))
}

fn head(input: &mut impl Read) -> Result<SnapshotMeta, SnapshotError> {
    let read = SnapshotError::io("read");
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic).map_err(&read)?;
    if &magic != MAGIC {
        return Err(SnapshotError::Damaged(
            "it does not begin like a snapshot of this version",
        ));
    }
    let mut length = [0; 4];
    input.read_exact(&mut length).map_err(&read)?;
    let length = u32::from_be_bytes(length);
    if length > MAX_META_BYTES {
        return Err(SnapshotError::Damaged("its meta is too long"));
    }
    let mut meta = vec![0; length as usize];
    input.read_exact(&mut meta).map_err(&read)?;
    wire::from_stored(&meta).map_err(|error| SnapshotError::Undecodable(error.to_string()))
}

/// Reads a file's content from the beginning, hashing it.
pub(super) struct FileReader {
    input: Hashing<BufReader<std::io::Take<File>>>,
    expected: Digest,
    pairs: u64,
}

struct Hashing<R> {
    inner: R,
    hash: Context,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

impl FileReader {
    /// Begins to read `file`, past its meta.
    pub(super) fn open(file: &SnapshotFile) -> Result<(SnapshotMeta, Self), SnapshotError> {
        // A handle of its own, with a position of its own.
        let input = File::open(&file.path).map_err(SnapshotError::io("open"))?;
        let input = BufReader::with_capacity(BUFFER_BYTES, input.take(file.length));
        let mut input = Hashing {
            inner: input,
            hash: Context::new(&SHA256),
        };
        let meta = head(&mut input)?;
        Ok((
            meta,
            Self {
                input,
                expected: file.digest,
                pairs: 0,
            },
        ))
    }

    /// The next pair; `None` at the end, which is only there if all that came
    /// before is whole.
    pub(super) fn next(&mut self) -> Result<Option<(Tree, Pair)>, SnapshotError> {
        let [tag] = self.array()?;
        let tree = match tag {
            END => return self.end(),
            RECORD => Tree::Records,
            BODY => Tree::Bodies,
            _ => return Err(SnapshotError::Damaged("a pair of an unknown kind")),
        };
        let key = u32::from_be_bytes(self.array()?) as usize;
        let value = u32::from_be_bytes(self.array()?) as usize;
        if key > MAX_KEY_BYTES || value > MAX_VALUE_BYTES {
            return Err(SnapshotError::Damaged("a pair is too large"));
        }
        let (key, value) = (self.exactly(key)?, self.exactly(value)?);
        self.pairs += 1;
        Ok(Some((tree, (key, value))))
    }

    fn end(&mut self) -> Result<Option<(Tree, Pair)>, SnapshotError> {
        if u64::from_be_bytes(self.array()?) != self.pairs {
            return Err(SnapshotError::Damaged("pairs are missing"));
        }
        if digest(self.input.hash.clone()) != self.expected {
            return Err(SnapshotError::Damaged("its digest does not match"));
        }
        Ok(None)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let mut bytes = [0; N];
        self.input
            .read_exact(&mut bytes)
            .map_err(SnapshotError::io("read"))?;
        Ok(bytes)
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, SnapshotError> {
        let mut bytes = vec![0; length];
        self.input
            .read_exact(&mut bytes)
            .map_err(SnapshotError::io("read"))?;
        Ok(bytes)
    }
}
