//! Whom a backup is for, and what opens it.

use std::{fmt, str::FromStr};

use age::{secrecy::ExposeSecret, x25519};
use zeroize::Zeroizing;

/// Whom a backup is encrypted for: an X25519 recipient of age, `age1…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient(pub(crate) x25519::Recipient);

/// It is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no recipient: one begins with `age1` and is 62 characters long; `hostquorum backup \
     keygen` makes one"
)]
pub struct RecipientError(String);

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        let shown = || RecipientError(text.chars().take(80).collect());
        text.parse().map(Self).map_err(|_| shown())
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A new identity, as its file is to be, and the recipient that belongs to it.
pub fn generate() -> (Zeroizing<String>, Recipient) {
    let identity = x25519::Identity::generate();
    let recipient = Recipient(identity.to_public());
    let secret = identity.to_string();
    let file = format!("# public key: {recipient}\n{}\n", secret.expose_secret());
    (Zeroizing::new(file), recipient)
}

/// What opens backups.
pub struct Identities(pub(crate) Vec<x25519::Identity>);

/// A file holds no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A line is none.
    #[error("line {0} is no identity: one begins with AGE-SECRET-KEY-1, comments with #")]
    Line(usize),
    /// There is none.
    #[error("there is no line that begins with AGE-SECRET-KEY-1")]
    Empty,
}

impl FromStr for Identities {
    type Err = IdentityError;

    /// From the text of an identity file, as `age-keygen` writes it, too: one on each line,
    /// comments and empty lines between them.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let lines = text.lines().map(str::trim).enumerate();
        let said = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let identities = said.map(|(number, line)| {
            let identity = line.parse::<x25519::Identity>();
            identity.map_err(|_| IdentityError::Line(number + 1))
        });
        let identities = identities.collect::<Result<Vec<_>, _>>()?;
        if identities.is_empty() {
            return Err(IdentityError::Empty);
        }
        Ok(Self(identities))
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.0.len())
    }
}
