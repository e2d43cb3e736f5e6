//! An invitation as text: `hq1.<cluster>.<root pin>.<invitation>.<secret>`.
//!
//! The pin lets its holder recognise the cluster before it says anything; the
//! secret proves to the cluster that the holder was invited. The cluster keeps
//! only a verifier, from which the secret cannot be had.

use std::{fmt, str::FromStr};

use aws_lc_rs::{digest, hmac, rand};
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use zeroize::Zeroizing;

/// First part of every token; a new layout gets a new one.
const PREFIX: &str = "hq1";

/// Longest text that is looked at: a token has 127 characters and a 64-bit number.
const LENGTH_MAX: usize = 200;

/// What is authenticated to make a verifier of a secret.
const VERIFIER_LABEL: &[u8] = b"hostquorum invitation";

/// An invitation, complete.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The first four bytes of the cluster's id: tells clusters apart for people
    /// and catches a token of another cluster early.
    pub cluster: [u8; 4],
    /// Who we may talk to.
    pub root: RootPin,
    /// The invitation's id.
    pub invitation: u64,
    /// Known to the holder only.
    pub secret: Secret,
}

/// SHA-256 of the SubjectPublicKeyInfo of a cluster's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootPin(pub [u8; 32]);

impl RootPin {
    /// The pin of a root by its SubjectPublicKeyInfo (DER).
    pub fn of_public_key(spki: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, spki);
        let mut pin = [0; 32];
        pin.copy_from_slice(digest.as_ref());
        Self(pin)
    }
}

/// 256 random bits; wiped when dropped, never shown by Debug.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<[u8; 32]>);

/// The system's generator of random numbers failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's random generator failed")]
pub struct NoEntropy;

impl Secret {
    /// From 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Drawn from the system's generator.
    pub fn generate() -> Result<Self, NoEntropy> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(&mut bytes[..]).map_err(|_| NoEntropy)?;
        Ok(Self(bytes))
    }

    /// What the cluster stores: HMAC-SHA256 under the secret.
    pub fn verifier(&self) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0[..]);
        let tag = hmac::sign(&key, VERIFIER_LABEL);
        let mut verifier = [0; 32];
        verifier.copy_from_slice(tag.as_ref());
        verifier
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cluster = HEXLOWER.encode(&self.cluster);
        write!(f, "Token({cluster}, invitation {})", self.invitation)
    }
}

/// The whole token, its secret too: this is for the one who is to have it.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cluster = HEXLOWER.encode(&self.cluster);
        let root = base32(&self.root.0);
        let secret = Zeroizing::new(base32(&self.secret.0[..]));
        let invitation = self.invitation;
        write!(f, "{PREFIX}.{cluster}.{root}.{invitation}.{}", *secret)
    }
}

/// Why a text is no token. Says which part, never what stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing there.
    #[error("the token is empty")]
    Empty,
    /// Something else.
    #[error("this is no hostquorum token: one begins with `hq1.`")]
    Prefix,
    /// Cut off, or with something behind it.
    #[error("a token has 5 parts between dots, this has {0}: was it copied whole?")]
    Parts(usize),
    /// Too long to be one.
    #[error("the text is too long for a token: was something else pasted?")]
    TooLong,
    /// One of its parts.
    #[error("the token's {0} is damaged: was it copied whole?")]
    Part(&'static str),
}

impl FromStr for Token {
    type Err = TokenError;

    /// White space around the token is ignored: files end in a newline.
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        if text.len() > LENGTH_MAX {
            return Err(TokenError::TooLong);
        }
        let parts: Vec<&str> = text.split('.').collect();
        if parts.first() != Some(&PREFIX) {
            return Err(TokenError::Prefix);
        }
        let &[_, cluster, root, invitation, secret] = &parts[..] else {
            return Err(TokenError::Parts(parts.len()));
        };
        Ok(Self {
            cluster: parse_cluster(cluster).ok_or(TokenError::Part("cluster"))?,
            root: RootPin(*parse_base32(root).ok_or(TokenError::Part("root pin"))?),
            invitation: parse_number(invitation).ok_or(TokenError::Part("invitation"))?,
            secret: Secret(parse_base32(secret).ok_or(TokenError::Part("secret"))?),
        })
    }
}

fn base32(bytes: &[u8]) -> String {
    let mut text = BASE32_NOPAD.encode(bytes);
    text.make_ascii_lowercase();
    text
}

fn parse_cluster(text: &str) -> Option<[u8; 4]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn parse_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn parse_base32(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let upper = Zeroizing::new(text.to_ascii_uppercase());
    let bytes = Zeroizing::new(BASE32_NOPAD.decode(upper.as_bytes()).ok()?);
    let mut array = Zeroizing::new([0; 32]);
    if bytes.len() != array.len() {
        return None;
    }
    array.copy_from_slice(&bytes);
    Some(array)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token {
            cluster: [0xab, 0xcd, 0xef, 0x01],
            root: RootPin([1; 32]),
            invitation: 42,
            secret: Secret::new([2; 32]),
        }
    }

    #[test]
    fn a_token_reads_back_whatever_surrounds_it() {
        let text = token().to_string();
        assert!(text.starts_with("hq1.abcdef01."));
        assert_eq!(text.parse(), Ok(token()));
        assert_eq!(format!("  {text}\r\n").parse(), Ok(token()));
    }

    #[test]
    fn a_damaged_token_is_told_by_its_part() {
        let whole = token().to_string();
        let parts: Vec<&str> = whole.split('.').collect();
        let with = |place: usize, part: &str| {
            let mut parts = parts.clone();
            parts[place] = part;
            parts.join(".")
        };
        let cases = [
            (String::new(), TokenError::Empty),
            (" \n".to_owned(), TokenError::Empty),
            ("swmtkn-1-x".to_owned(), TokenError::Prefix),
            (with(0, "hq2"), TokenError::Prefix),
            ("hq1".to_owned(), TokenError::Parts(1)),
            (parts[..4].join("."), TokenError::Parts(4)),
            (format!("{whole}.x"), TokenError::Parts(6)),
            (format!("{whole}{}", "a".repeat(100)), TokenError::TooLong),
            (with(1, "abcdef0"), TokenError::Part("cluster")),
            (with(1, "ABCDEF01"), TokenError::Part("cluster")),
            (with(2, "aaaa"), TokenError::Part("root pin")),
            (with(3, ""), TokenError::Part("invitation")),
            (with(3, "+1"), TokenError::Part("invitation")),
            (
                with(3, "99999999999999999999"),
                TokenError::Part("invitation"),
            ),
            (with(4, &parts[4][..51]), TokenError::Part("secret")),
            (with(4, "not base32 at all!"), TokenError::Part("secret")),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Token>(), Err(error), "{text}");
        }
    }

    #[test]
    fn no_error_and_no_debug_shows_the_secret() {
        let whole = token().to_string();
        let secret = whole.rsplit('.').next().unwrap();
        let damaged = format!("{whole}!").parse::<Token>().unwrap_err();
        for shown in [
            format!("{:?}", token()),
            damaged.to_string(),
            format!("{damaged:?}"),
        ] {
            assert!(!shown.contains(&secret[..8]), "{shown}");
        }
    }

    #[test]
    fn a_verifier_tells_nothing_but_equality() {
        let (one, other) = (Secret::new([2; 32]), Secret::new([3; 32]));
        assert_eq!(one.verifier(), Secret::new([2; 32]).verifier());
        assert_ne!(one.verifier(), other.verifier());
        assert_ne!(one.verifier(), [2; 32]);
        assert_ne!(Secret::generate().unwrap(), Secret::generate().unwrap());
    }
}
