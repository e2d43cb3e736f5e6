//! Reading one.

use std::io::{BufRead, ErrorKind, Read};

use age::{DecryptError, Decryptor, stream::StreamReader};
use prost::Message;
use proto::backup::v1::{Frame, Manifest, frame::Content};
use zeroize::Zeroizing;

use crate::{FRAME_BYTES_MAX, Identities, MAGIC, VERSION};

/// Why a backup could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Something else.
    #[error("it is no backup: {0}")]
    Foreign(&'static str),
    /// Another identity opens it.
    #[error("it was not encrypted for this identity")]
    Identity,
    /// Not as it was written.
    #[error("it is damaged or cut off: {0}")]
    Damaged(String),
    /// Written by a newer program.
    #[error("it is of version {0}, which this program does not know: use a newer one")]
    Version(u32),
    /// The disk.
    #[error("it could not be read")]
    Io(#[source] std::io::Error),
}

/// Reads a backup, frame by frame.
pub struct Reader<R: BufRead> {
    input: StreamReader<R>,
    manifest: Manifest,
    pieces: u64,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Opens one and reads its manifest.
    ///
    /// # Errors
    ///
    /// When it is none, is for somebody else, or of a newer program.
    pub fn open(input: R, identities: &Identities) -> Result<Self, ReadError> {
        let foreign = ReadError::Foreign("it does not begin as a file of age");
        let decryptor = Decryptor::new_buffered(input).map_err(|error| match error {
            DecryptError::Io(error) if error.kind() != ErrorKind::UnexpectedEof => {
                ReadError::Io(error)
            }
            _ => foreign,
        })?;
        let with = identities.0.iter().map(|identity| identity as _);
        let input = decryptor.decrypt(with).map_err(|error| match error {
            DecryptError::NoMatchingKeys => ReadError::Identity,
            other => ReadError::Damaged(other.to_string()),
        })?;
        let mut reader = Self {
            input,
            manifest: Manifest::default(),
            pieces: 0,
            ended: false,
        };
        let mut magic = [0; MAGIC.len()];
        reader.exactly(&mut magic)?;
        if &magic != MAGIC {
            return Err(ReadError::Foreign(
                "what is encrypted in it is something else",
            ));
        }
        match reader.frame()?.content {
            Some(Content::Manifest(manifest)) if manifest.version == VERSION => {
                reader.manifest = manifest;
                Ok(reader)
            }
            Some(Content::Manifest(manifest)) => Err(ReadError::Version(manifest.version)),
            _ => Err(damaged("there is no manifest")),
        }
    }

    /// What it is of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The next frame: the keys, parts, and the end, after which there is none. The end comes
    /// only if all was there.
    ///
    /// # Errors
    ///
    /// When the rest is not as it was written.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, ReadError> {
        if self.ended {
            return Ok(None);
        }
        let frame = self.frame()?;
        match &frame.content {
            Some(Content::Keys(_)) => {}
            Some(Content::Part(part)) => {
                self.pieces += u64::try_from(part.pieces.len()).unwrap_or(u64::MAX);
            }
            Some(Content::End(end)) if end.pieces == self.pieces => {
                self.ended = true;
                let mut more = [0];
                if self.input.read(&mut more).map_err(failed)? != 0 {
                    return Err(damaged("it goes on after its end"));
                }
            }
            Some(Content::End(_)) => return Err(damaged("pieces are missing")),
            Some(Content::Manifest(_)) | None => {
                return Err(damaged("a frame of an unknown kind"));
            }
        }
        Ok(Some(frame))
    }

    fn frame(&mut self) -> Result<Frame, ReadError> {
        let mut length = [0; 4];
        self.exactly(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > FRAME_BYTES_MAX {
            return Err(damaged("a frame is too long"));
        }
        let mut bytes = Zeroizing::new(vec![0; length]);
        self.exactly(&mut bytes)?;
        Frame::decode(&bytes[..]).map_err(|error| damaged(&error.to_string()))
    }

    fn exactly(&mut self, bytes: &mut [u8]) -> Result<(), ReadError> {
        self.input.read_exact(bytes).map_err(failed)
    }
}

fn damaged(why: &str) -> ReadError {
    ReadError::Damaged(why.to_owned())
}

/// What the decryption finds comes as an error of reading.
fn failed(error: std::io::Error) -> ReadError {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData => damaged(&error.to_string()),
        _ => ReadError::Io(error),
    }
}
