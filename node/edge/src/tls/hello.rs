//! ClientHello to server name, on bytes (RFC 8446 section 4.1.2, RFC 6066
//! section 3).
//!
//! A connection for a name that we do not serve ends here: after one pass over
//! the bytes that the client sent, with nothing allocated but the name. What is
//! accepted is parsed once more by rustls, which is the judge of the rest.

use std::{borrow::Cow, net::IpAddr};

use crate::limits::{HELLO, HELLO_RECORDS};

const RECORD_HEADER: usize = 5;
const RECORD_PAYLOAD: usize = 1 << 14;
const CONTENT_HANDSHAKE: u8 = 22;
const HANDSHAKE_HEADER: usize = 4;
const CLIENT_HELLO: u8 = 1;
const EXTENSION_SERVER_NAME: u16 = 0;
const EXTENSION_ALPN: u16 = 16;
/// An ALPN extension that offers `acme-tls/1` and nothing else (RFC 8737 section 4).
const ALPN_VALIDATION: &[u8] = b"\0\x0b\x0aacme-tls/1";
const NAME_TYPE_HOST: u8 = 0;
/// A DNS name in text (RFC 1035 section 2.3.4).
const NAME: usize = 253;

/// What the bytes so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// The beginning of a ClientHello.
    Partial,
    /// No TLS handshake record.
    NotTls,
    /// TLS, but no well-formed ClientHello within our limits: why.
    Malformed(&'static str),
    /// A whole ClientHello.
    Complete(Name),
    /// A whole ClientHello of a CA that validates tls-alpn-01: `acme-tls/1` is the
    /// only protocol that it offers.
    Validation(Name),
}

impl Hello {
    /// Its server name, if it is whole and has one.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Complete(Name::Host(name)) | Self::Validation(Name::Host(name)) => Some(name),
            _ => None,
        }
    }
}

/// The server name of a ClientHello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// None was given.
    Absent,
    /// An address, which RFC 6066 does not allow.
    Address,
    /// Bytes that are no host name.
    Invalid,
    /// A host name: ASCII, lower case, without the dot of the root.
    Host(String),
}

/// Reads what has arrived of a connection, from its first byte.
///
/// Pure, and monotone: while it answers [`Hello::Partial`], more bytes may
/// change the answer; any other answer stays whatever follows.
pub fn parse(bytes: &[u8]) -> Hello {
    match message(bytes) {
        Ok(body) => match server_name(&body) {
            Some(Ok((name, false))) => Hello::Complete(name),
            Some(Ok((name, true))) => Hello::Validation(name),
            Some(Err(fault)) => Hello::Malformed(fault),
            None => Hello::Malformed("a length points beyond the message"),
        },
        Err(hello) => hello,
    }
}

/// The ClientHello's body, put together from its records.
fn message(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Hello> {
    let mut rest = bytes;
    let mut gathered: Vec<u8> = Vec::new();
    for _ in 0..HELLO_RECORDS {
        let (fragment, after) = record(rest)?;
        let whole = if gathered.is_empty() {
            fragment
        } else {
            gathered.extend_from_slice(fragment);
            &gathered
        };
        match wanted(whole)? {
            Some(length) if whole.len() >= length => {
                return Ok(if gathered.is_empty() {
                    Cow::Borrowed(&fragment[HANDSHAKE_HEADER..length])
                } else {
                    Cow::Owned(gathered[HANDSHAKE_HEADER..length].to_vec())
                });
            }
            _ if gathered.is_empty() => gathered.extend_from_slice(fragment),
            _ => {}
        }
        rest = after.ok_or(Hello::Partial)?;
    }
    Err(Hello::Malformed("too many records"))
}

/// The next record's payload as far as it has arrived, and what follows it if
/// it is whole.
fn record(bytes: &[u8]) -> Result<(&[u8], Option<&[u8]>), Hello> {
    match bytes {
        [] => return Err(Hello::Partial),
        [kind, ..] if *kind != CONTENT_HANDSHAKE => return Err(Hello::NotTls),
        [_, major, ..] if *major != 3 => return Err(Hello::NotTls),
        _ => {}
    }
    let [_, _, _, high, low, rest @ ..] = bytes else {
        return Err(Hello::Partial);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length == 0 || length > RECORD_PAYLOAD {
        return Err(Hello::Malformed("a record of no or too much payload"));
    }
    debug_assert_eq!(rest.len() + RECORD_HEADER, bytes.len());
    Ok(match rest.split_at_checked(length) {
        Some((payload, after)) => (payload, Some(after)),
        None => (rest, None),
    })
}

/// How long the handshake message is with its header, once that is known.
fn wanted(message: &[u8]) -> Result<Option<usize>, Hello> {
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(Hello::Malformed("the first message is no ClientHello"));
    }
    let [_, a, b, c, ..] = message else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([0, *a, *b, *c]) as usize + HANDSHAKE_HEADER;
    if length > HELLO {
        Err(Hello::Malformed("the ClientHello is too long"))
    } else {
        Ok(Some(length))
    }
}

/// Walks to the `server_name` extension, and looks at ALPN's on the way: true if
/// it is a validation's. `None`: a length points beyond the end.
fn server_name(body: &[u8]) -> Option<Result<(Name, bool), &'static str>> {
    let mut body = Bytes(body);
    body.take(2 + 32)?; // legacy_version, random
    body.vector8()?; // legacy_session_id
    body.vector16()?; // cipher_suites
    body.vector8()?; // legacy_compression_methods
    if body.0.is_empty() {
        return Some(Ok((Name::Absent, false)));
    }
    let mut extensions = body.vector16()?;
    if !body.0.is_empty() {
        return Some(Err("bytes follow the extensions"));
    }
    let mut found = None;
    let mut validation = false;
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let content = extensions.vector16()?;
        if kind == EXTENSION_SERVER_NAME && found.replace(content).is_some() {
            return Some(Err("two server_name extensions"));
        }
        // rustls is the judge of all other offers, and of two of them.
        validation |= kind == EXTENSION_ALPN && content.0 == ALPN_VALIDATION;
    }
    let name = match found {
        None => Ok(Name::Absent),
        Some(content) => host_of(content)?,
    };
    Some(name.map(|name| (name, validation)))
}

/// The one host name of a `server_name` extension.
fn host_of(mut content: Bytes<'_>) -> Option<Result<Name, &'static str>> {
    let mut list = content.vector16()?;
    if !content.0.is_empty() {
        return Some(Err("bytes follow the server names"));
    }
    let mut host = None;
    while !list.0.is_empty() {
        let kind = list.take(1)?[0];
        let name = list.vector16()?;
        if kind == NAME_TYPE_HOST && host.replace(name.0).is_some() {
            return Some(Err("two host names"));
        }
    }
    Some(Ok(host.map_or(Name::Absent, classify)))
}

fn classify(name: &[u8]) -> Name {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let Ok(text) = std::str::from_utf8(name) else {
        return Name::Invalid;
    };
    if text.parse::<IpAddr>().is_ok() {
        return Name::Address;
    }
    let valid = text.len() <= NAME
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
    if valid {
        Name::Host(text.to_ascii_lowercase())
    } else {
        Name::Invalid
    }
}

/// Bytes not read yet; every read is checked.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let [high, low] = self.take(2)? else {
            return None;
        };
        Some(u16::from_be_bytes([*high, *low]))
    }

    fn vector8(&mut self) -> Option<Self> {
        let length = usize::from(self.take(1)?[0]);
        self.take(length).map(Bytes)
    }

    fn vector16(&mut self) -> Option<Self> {
        let length = usize::from(self.u16()?);
        self.take(length).map(Bytes)
    }
}

#[cfg(test)]
#[path = "hello_tests.rs"]
mod tests;
