//! Writing one.

use std::io::Write;

use age::{Encryptor, stream::StreamWriter};
use prost::Message;
use proto::backup::v1::{End, Frame, Keys, Manifest, Part, Piece, frame::Content};
use zeroize::Zeroizing;

use crate::{MAGIC, PART_BYTES, Recipient};

/// Why a backup could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Nobody could open it.
    #[error("there is nobody to encrypt it for")]
    NoRecipient,
    /// Where it goes.
    #[error("it could not be written")]
    Io(#[from] std::io::Error),
    /// A piece that is longer than a frame.
    #[error("a piece of {0} bytes is too long")]
    Long(usize),
}

/// Writes a backup, piece by piece.
pub struct Writer<W: Write> {
    output: StreamWriter<W>,
    part: Part,
    bytes: usize,
    pieces: u64,
}

impl<W: Write> Writer<W> {
    /// Begins one.
    ///
    /// # Errors
    ///
    /// When there is no recipient, or `output` fails.
    pub fn begin(
        output: W,
        recipients: &[Recipient],
        manifest: Manifest,
        keys: Keys,
    ) -> Result<Self, WriteError> {
        let to = recipients.iter().map(|recipient| &recipient.0 as _);
        let encryptor = Encryptor::with_recipients(to).map_err(|_| WriteError::NoRecipient)?;
        let mut writer = Self {
            output: encryptor.wrap_output(output)?,
            part: Part::default(),
            bytes: 0,
            pieces: 0,
        };
        writer.output.write_all(MAGIC)?;
        writer.frame(Content::Manifest(manifest))?;
        writer.frame(Content::Keys(keys))?;
        Ok(writer)
    }

    /// Adds a piece.
    ///
    /// # Errors
    ///
    /// When the output fails.
    pub fn piece(&mut self, piece: Piece) -> Result<(), WriteError> {
        self.bytes += piece.key.len() + piece.value.len();
        self.pieces += 1;
        self.part.pieces.push(piece);
        if self.bytes >= PART_BYTES {
            self.end_part()?;
        }
        Ok(())
    }

    /// Ends it; without this it cannot be read.
    ///
    /// # Errors
    ///
    /// When the output fails.
    pub fn finish(mut self) -> Result<W, WriteError> {
        if self.bytes > 0 {
            self.end_part()?;
        }
        let pieces = self.pieces;
        self.frame(Content::End(End { pieces }))?;
        Ok(self.output.finish()?)
    }

    fn end_part(&mut self) -> Result<(), WriteError> {
        self.bytes = 0;
        let part = std::mem::take(&mut self.part);
        self.frame(Content::Part(part))
    }

    fn frame(&mut self, content: Content) -> Result<(), WriteError> {
        let frame = Frame {
            content: Some(content),
        };
        // The keys are secret.
        let bytes = Zeroizing::new(frame.encode_to_vec());
        let length = u32::try_from(bytes.len()).map_err(|_| WriteError::Long(bytes.len()))?;
        self.output.write_all(&length.to_be_bytes())?;
        self.output.write_all(&bytes)?;
        Ok(())
    }
}
