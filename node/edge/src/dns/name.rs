//! Names as they stand in messages (RFC 1035 section 3.1), in lower case.

use std::fmt;

/// Longest name on the wire, its final zero included (RFC 1035 section 2.3.4).
const WIRE_MAX: usize = 255;
/// Longest label.
const LABEL_MAX: usize = 63;

/// A name in wire form: labels, each behind its length, then the root's zero.
/// ASCII letters are lower case, so that equal names are equal bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

/// Why a text is no name for a zone or a name server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a DNS name: letters, digits, `-` and `_` in labels of 1 to 63, 253 characters in all"
)]
pub struct NameError(String);

impl Name {
    /// From text with or without its final dot.
    ///
    /// # Errors
    ///
    /// It is empty, too long, or has other characters than host names do.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        let mut wire = Vec::with_capacity(bare.len() + 2);
        for label in bare.split('.') {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if !(1..=LABEL_MAX).contains(&label.len()) || !label.bytes().all(allowed) {
                return Err(NameError(text.chars().take(80).collect()));
            }
            wire.push(u8::try_from(label.len()).unwrap_or_default()); // at most 63
            wire.extend(label.bytes().map(|b| b.to_ascii_lowercase()));
        }
        wire.push(0);
        if wire.len() > WIRE_MAX {
            return Err(NameError(text.chars().take(80).collect()));
        }
        Ok(Self(wire.into()))
    }

    /// Reads an uncompressed name at the beginning of `bytes`. `None`: it is cut
    /// short, too long, or compressed, which a first question cannot be.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut length = 0;
        loop {
            let label = usize::from(*bytes.get(length)?);
            length += 1 + label;
            if label > LABEL_MAX || length > WIRE_MAX || length > bytes.len() {
                return None;
            }
            if label == 0 {
                break;
            }
        }
        // Lengths are below the letters, so they stay what they are.
        Some(Self(bytes[..length].to_ascii_lowercase().into()))
    }

    /// As in messages.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.0
    }

    /// What stands before `apex`; empty if they are the same. `None` if this name
    /// is not within `apex`.
    pub(crate) fn below<'a>(&'a self, apex: &Self) -> Option<&'a [u8]> {
        let cut = self.0.len().checked_sub(apex.0.len())?;
        let boundary = self.boundaries().any(|at| at == cut);
        (boundary && self.0[cut..] == apex.0[..]).then(|| &self.0[..cut])
    }

    /// The name without its first label; `None` for the root.
    pub(crate) fn parent(&self) -> Option<Self> {
        let first = usize::from(self.0[0]);
        (first > 0).then(|| Self(self.0[1 + first..].into()))
    }

    /// This name under one more label of at most 63 characters.
    #[cfg(test)]
    pub(crate) fn child(&self, label: &str) -> Self {
        let mut wire = vec![u8::try_from(label.len()).unwrap()];
        wire.extend_from_slice(label.as_bytes());
        wire.extend_from_slice(&self.0);
        Self(wire.into())
    }

    /// Where labels begin, the root's among them.
    fn boundaries(&self) -> impl Iterator<Item = usize> + '_ {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let at = next?;
            let length = usize::from(self.0[at]);
            next = (length > 0).then_some(at + 1 + length);
            Some(at)
        })
    }
}

/// The text of `prefix`, as [`Name::below`] gives it, if it is one label of
/// printable characters.
pub(crate) fn only_label(prefix: &[u8]) -> Option<&str> {
    let (length, label) = prefix.split_first()?;
    let one = usize::from(*length) == label.len();
    let text = std::str::from_utf8(label).ok()?;
    (one && text.bytes().all(|b| b.is_ascii_graphic())).then_some(text)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for at in self.boundaries() {
            let length = usize::from(self.0[at]);
            if length == 0 {
                continue;
            }
            write!(f, "{}.", self.0[at + 1..=at + length].escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn text_becomes_lower_case_labels() {
        assert_eq!(name("Ab.c").wire(), b"\x02ab\x01c\0");
        assert_eq!(name("ab.C."), name("AB.c"));
        assert_eq!(name("_a.b-c").to_string(), "_a.b-c.");
        for bad in ["", ".", "a..b", "a b", "é.x", &"a".repeat(64)] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
        assert!(Name::parse(&["abcdefghi"; 26].join(".")).is_err());
    }

    #[test]
    fn names_are_within_others_at_labels_only() {
        let apex = name("b.example");
        assert_eq!(name("a.b.example").below(&apex), Some(&b"\x01a"[..]));
        assert_eq!(name("b.example").below(&apex), Some(&b""[..]));
        assert_eq!(name("ab.example").below(&apex), None);
        assert_eq!(name("example").below(&apex), None);
        // Bytes alike, labels not: a label that holds what looks like the apex.
        let tricky = b"\x0bx\x01b\x07example\0";
        let tricky = Name::read(tricky).unwrap();
        assert_eq!(tricky.below(&name("b.example")), None);
    }

    #[test]
    fn what_is_no_name_is_not_read() {
        for bad in [&b""[..], b"\x01", b"\x01a", b"\xc0\x0c", b"\x40a"] {
            assert_eq!(Name::read(bad), None);
        }
        assert_eq!(Name::read(&[b'\x01', b'a'].repeat(130)), None);
        assert_eq!(Name::read(b"\x01A\0rest"), Some(name("a")));
        assert_eq!(Name::read(b"\0").unwrap().parent(), None);
        assert_eq!(name("a.b").parent(), Some(name("b")));
    }

    #[test]
    fn one_label_is_told_from_two() {
        assert_eq!(only_label(b"\x02ab"), Some("ab"));
        for other in [&b""[..], b"\x01a\x01b", b"\x01\xff", b"\x01 "] {
            assert_eq!(only_label(other), None);
        }
    }
}
