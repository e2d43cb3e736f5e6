//! Where a node's key-encryption key comes from. It never lies in the data
//! directory: whoever copies that alone has ciphertext.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::hkdf;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use state::Secret;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    directory::{self, DirectoryError},
    entropy::{Entropy, random},
    wrapped_key::OpenedKey,
};

/// Bounds the work that an attacker with the disk must do for each guess of a
/// passphrase: the second choice of RFC 9106 section 4, 64 MiB and 3 passes, with
/// one lane, since it runs once at a start on a machine that may have one core.
const ARGON2_MEMORY_KIB: u32 = 64 * 1024;
const ARGON2_PASSES: u32 = 3;

/// Shortest passphrase taken.
const PASSPHRASE_MIN: usize = 12;

/// Longest key file that is read.
const KEY_FILE_MAX: u64 = 256;

/// Where the key-encryption key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file outside the data directory, mode 0400. Made at the first start.
    File(PathBuf),
    /// 32 bytes in hexadecimal or base64, from the environment or a credential
    /// store.
    Value(Secret),
    /// Words that an operator gives.
    Passphrase(Secret),
    /// Opened by a service outside of this machine, see [`wrapped_key`](crate::wrapped_key).
    Service(OpenedKey),
}

/// What the source held: 32 random bytes or a passphrase.
pub(crate) enum Ikm {
    Key(Zeroizing<[u8; 32]>),
    Passphrase(Secret),
}

/// Encrypts what a node keeps for itself.
pub(crate) type Kek = Zeroizing<[u8; 32]>;

/// Why there is no key-encryption key.
#[derive(Debug, thiserror::Error)]
pub enum KeySourceError {
    /// It would be stolen together with what it protects.
    #[error(
        "the key file {} lies inside the data directory: keep it elsewhere, so that a copy of \
         the data is worth nothing without it", .0.display()
    )]
    Inside(PathBuf),
    /// An identity exists that was wrapped by it.
    #[error(
        "the key file {} is gone, and this node's identity cannot be opened without it: put it \
         back, or remove this node from the cluster and join anew with an empty data directory",
        .0.display()
    )]
    Gone(PathBuf),
    /// Its mode or owner is wrong, or the disk failed.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// It holds something else.
    #[error("{0} must be 32 bytes in hexadecimal or base64")]
    Malformed(String),
    /// Too easy to guess.
    #[error("the passphrase must have at least {PASSPHRASE_MIN} bytes")]
    Short,
    /// The library refused.
    #[error("a key could not be derived from the passphrase: {0}")]
    Derive(String),
}

impl KeySource {
    /// Its name in the identity's file, so that a later start with another source
    /// can be told what is missing.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Value(_) => "value",
            Self::Passphrase(_) => "passphrase",
            Self::Service(opened) => opened.kind(),
        }
    }

    /// Reads the source; a missing file is made if `may_create`.
    pub(crate) fn read(
        &self,
        data_directory: &Path,
        may_create: bool,
        entropy: &dyn Entropy,
    ) -> Result<Ikm, KeySourceError> {
        match self {
            Self::File(path) => {
                refuse_inside(path, data_directory)?;
                read_file(path, may_create, entropy).map(Ikm::Key)
            }
            Self::Value(text) => parse(text.expose())
                .map(Ikm::Key)
                .ok_or_else(|| KeySourceError::Malformed("the key-encryption key".to_owned())),
            Self::Passphrase(words) if words.expose().len() < PASSPHRASE_MIN => {
                Err(KeySourceError::Short)
            }
            Self::Passphrase(words) => Ok(Ikm::Passphrase(words.clone())),
            Self::Service(opened) => Ok(Ikm::Key(opened.key())),
        }
    }
}

impl Ikm {
    /// The key-encryption key for data with this salt.
    pub(crate) fn derive(&self, salt: &[u8; 16]) -> Result<Kek, KeySourceError> {
        match self {
            Self::Key(key) => Ok(expand(&key[..], salt)),
            Self::Passphrase(words) => stretch(words.expose(), salt),
        }
    }
}

fn expand(key: &[u8], salt: &[u8]) -> Kek {
    let mut kek = Zeroizing::new([0; 32]);
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key);
    let filled = prk
        .expand(&[b"hostquorum key-encryption key"], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut kek[..]));
    #[expect(
        clippy::expect_used,
        reason = "HKDF-SHA256 gives up to 255 blocks of 32 bytes; this asks for one"
    )]
    filled.expect("one block of HKDF");
    kek
}

fn stretch(words: &[u8], salt: &[u8]) -> Result<Kek, KeySourceError> {
    let derive = |error: argon2::Error| KeySourceError::Derive(error.to_string());
    let params = argon2::Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, 1, Some(32));
    let argon2 = argon2::Argon2::new(
        argon2::Algorithm::Argon2id,
        argon2::Version::V0x13,
        params.map_err(derive)?,
    );
    let mut kek = Zeroizing::new([0; 32]);
    argon2
        .hash_password_into(words, salt, &mut kek[..])
        .map_err(derive)?;
    Ok(kek)
}

fn refuse_inside(file: &Path, data_directory: &Path) -> Result<(), KeySourceError> {
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let canonical = |path: &Path| {
        path.canonicalize()
            .map_err(|source| DirectoryError::io("find", path, source))
    };
    if canonical(parent)?.starts_with(canonical(data_directory)?) {
        return Err(KeySourceError::Inside(file.to_owned()));
    }
    Ok(())
}

fn read_file(
    path: &Path,
    may_create: bool,
    entropy: &dyn Entropy,
) -> Result<Zeroizing<[u8; 32]>, KeySourceError> {
    match fs::metadata(path) {
        Ok(metadata) => {
            check_key_file(path, &metadata)?;
            if metadata.size() > KEY_FILE_MAX {
                return Err(malformed(path));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && may_create => {
            return create(path, entropy);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(KeySourceError::Gone(path.to_owned()));
        }
        Err(error) => return Err(DirectoryError::io("look at", path, error).into()),
    }
    let bytes = fs::read(path).map_err(|error| DirectoryError::io("read", path, error))?;
    parse(&Zeroizing::new(bytes)).ok_or_else(|| malformed(path))
}

/// Ours, or root's: systemd hands a credential to a service as root's file with a
/// right to read in its ACL, which shows as the group's.
fn check_key_file(path: &Path, metadata: &fs::Metadata) -> Result<(), DirectoryError> {
    let me = rustix::process::geteuid().as_raw();
    match forbidden_bits(metadata.uid(), me) {
        Some(forbidden) => directory::check_mode(path, metadata, forbidden),
        None => Err(DirectoryError::Owner {
            path: path.to_owned(),
            owner: metadata.uid(),
            me,
        }),
    }
}

/// What a key file's mode must not grant; `None` if it is somebody else's.
fn forbidden_bits(owner: u32, me: u32) -> Option<u32> {
    match owner {
        _ if owner == me => Some(0o077),
        0 => Some(0o037),
        _ => None,
    }
}

fn malformed(path: &Path) -> KeySourceError {
    KeySourceError::Malformed(format!("the key file {}", path.display()))
}

fn create(path: &Path, entropy: &dyn Entropy) -> Result<Zeroizing<[u8; 32]>, KeySourceError> {
    let key = Zeroizing::new(random::<32>(entropy));
    let text = Zeroizing::new(format!("{}\n", HEXLOWER.encode(&key[..])));
    directory::write_atomically(path, text.as_bytes(), 0o400)?;
    Ok(key)
}

fn parse(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let text = text.trim_ascii();
    let decoded = HEXLOWER_PERMISSIVE
        .decode(text)
        .or_else(|_| BASE64.decode(text))
        .or_else(|_| BASE64URL_NOPAD.decode(text));
    let mut bytes = decoded.ok()?;
    let key = <[u8; 32]>::try_from(&bytes[..]).ok().map(Zeroizing::new);
    bytes.zeroize();
    key
}

#[cfg(test)]
mod tests;
