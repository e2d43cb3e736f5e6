//! What a backup is as a file: encrypted by age (<https://age-encryption.org/v1>) for those
//! whom the node's configuration names, so that who takes it, carries it and keeps it cannot
//! read it. Inside are the frames of `hostquorum.backup.v1`, each led by its length:
//!
//! ```text
//! "HQBACK1\n"            magic
//! (u32 length, frame)*   the manifest, the keys, parts, the end; big-endian
//! ```
//!
//! The encryption finds every bit that is not as it was written, and a file that was cut off;
//! it does not say who wrote the file: whoever restores one must know where it comes from.
//!
//! This crate knows what a frame is, and not what is in a part.

mod key;
mod read;
mod write;

pub use key::{Identities, IdentityError, Recipient, RecipientError, generate};
pub use read::{ReadError, Reader};
pub use write::{WriteError, Writer};

/// How a backup begins, and which version of the frames follows.
const MAGIC: &[u8; 8] = b"HQBACK1\n";

/// The version of the frames, in the manifest.
pub const VERSION: u32 = 1;

/// A part is ended when it has so many bytes: what a restore proposes at once.
pub const PART_BYTES: usize = 256 * 1024;

/// Largest frame that is read: a part with one piece more, of the largest value that a store
/// takes.
pub const FRAME_BYTES_MAX: usize = 17 * 1024 * 1024;
