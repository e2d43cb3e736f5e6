//! What hyper hides of an HTTP/1.1 connection's bytes, in one pass over heads and chunk lines.
//!
//! hyper takes lines that end with LF alone, a length beside chunks, blanks around a chunk's
//! size, and drops a fragment: all that an origin, or a proxy before us, may read in another
//! way. None of it can be seen in the request that hyper hands out. What can is checked in
//! [`super::framing`].
//!
//! [`Lines`] follows the connection as hyper does, message by message. Where it cannot be sure
//! of following, that is a fault itself.

use memchr::memchr;

use super::answer::Reason;

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A line ends with LF alone (RFC 9112 section 2.2 lets a recipient take it).
    LineEnd,
    /// The target has a fragment (RFC 9112 section 3.2).
    Fragment,
    /// A length beside chunks (RFC 9112 section 6.3), a second one, or none that is a number.
    Length,
    /// Another coding than `chunked`, or more than one field.
    Coding,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::LineEnd, Self::Fragment, Self::Length, Self::Coding];

    /// What it is answered with. Each ends the connection.
    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::LineEnd => Reason::LineEndInvalid,
            Self::Fragment => Reason::TargetInvalid,
            Self::Length => Reason::ContentLengthInvalid,
            Self::Coding => Reason::TransferEncodingInvalid,
        }
    }
}

/// Chunks that may be read in two ways: the body is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request's chunks are not as RFC 9112 section 7.1 has them")]
pub(crate) struct BrokenChunks {
    /// Bytes before the line, of those that were read with it: they may be a head that there
    /// is an answer to.
    pub(crate) before: usize,
}

/// A line of chunks that is not as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Broken;

/// Follows the bytes of one connection.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    place: Place,
    head: Head,
    /// Of a line that began in an earlier read.
    begun: Begun,
    /// Heads that are whole.
    heads: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Between two messages, or in a head.
    #[default]
    Head,
    /// So many bytes of a body are to come, at least one.
    Body(u64),
    /// Before or in a chunk's size.
    Size,
    /// So many bytes of a chunk are to come, at least one.
    Chunk(u64),
    /// Behind a chunk.
    ChunkEnd,
    Trailers,
    /// The connection is no more HTTP/1.1, or ends with the answer to a fault.
    Beyond,
}

/// The present head.
#[derive(Debug, Default)]
struct Head {
    /// Its first line was read.
    begun: bool,
    length: Option<u64>,
    chunked: bool,
}

/// A line without its end.
struct Line<'a> {
    /// As much of it as is of interest.
    start: &'a [u8],
    /// There is no more than `start`.
    whole: bool,
    /// It ends with CR LF.
    sound: bool,
    fragment: bool,
}

/// The beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
struct Begun {
    start: Vec<u8>,
    /// Bytes in all; more than are kept.
    length: usize,
    last: u8,
    fragment: bool,
}

impl Begun {
    /// Of interest in a line: the longest is a length or a coding, with blanks that nobody
    /// sends in such number.
    const KEPT: usize = 128;

    fn add(&mut self, bytes: &[u8], in_target: bool) {
        let Some(last) = bytes.last() else {
            return;
        };
        let room = Self::KEPT.saturating_sub(self.start.len());
        self.start.extend(bytes.iter().take(room));
        self.length = self.length.saturating_add(bytes.len());
        self.last = *last;
        self.fragment |= in_target && memchr(b'#', bytes).is_some();
    }

    fn clear(&mut self) {
        self.start.clear();
        self.length = 0;
        self.fragment = false;
    }
}

impl Lines {
    /// Reads on. A fault, and the number of its head, from 1: hyper may be at an earlier one.
    ///
    /// # Errors
    ///
    /// In a body, which is not to be taken any further.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Result<Option<(u32, Fault)>, BrokenChunks> {
        let all = bytes.len();
        while !bytes.is_empty() {
            match self.place {
                Place::Beyond => return Ok(None),
                Place::Body(left) => {
                    let left = skip(&mut bytes, left);
                    self.place = if left == 0 {
                        Place::Head
                    } else {
                        Place::Body(left)
                    };
                }
                Place::Chunk(left) => {
                    let left = skip(&mut bytes, left);
                    self.place = if left == 0 {
                        Place::ChunkEnd
                    } else {
                        Place::Chunk(left)
                    };
                }
                Place::Head | Place::Size | Place::ChunkEnd | Place::Trailers => {
                    let in_target = self.place == Place::Head && !self.head.begun;
                    let Some(end) = memchr(b'\n', bytes) else {
                        self.begun.add(bytes, in_target);
                        return Ok(None);
                    };
                    let before = all - bytes.len();
                    let (part, rest) = (&bytes[..end], &bytes[end + 1..]);
                    bytes = rest;
                    let fault = self.line(part, in_target);
                    let fault = fault.map_err(|Broken| BrokenChunks { before })?;
                    if let Some(fault) = fault {
                        self.place = Place::Beyond;
                        return Ok(Some((self.heads + 1, fault)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The connection became a tunnel.
    pub(crate) fn end(&mut self) {
        self.place = Place::Beyond;
    }

    /// `part` ends a line.
    fn line(&mut self, part: &[u8], in_target: bool) -> Result<Option<Fault>, Broken> {
        if self.begun.length == 0 {
            let start = part.strip_suffix(b"\r");
            return self.follow(&Line {
                start: start.unwrap_or(part),
                whole: true,
                sound: start.is_some(),
                fragment: in_target && memchr(b'#', part).is_some(),
            });
        }
        let mut begun = std::mem::take(&mut self.begun);
        begun.add(part, in_target);
        let sound = begun.last == b'\r';
        let whole = begun.length == begun.start.len();
        let end = begun.start.len() - usize::from(whole && sound);
        let followed = self.follow(&Line {
            start: &begun.start[..end],
            whole,
            sound,
            fragment: begun.fragment,
        });
        // Its room is used again.
        begun.clear();
        self.begun = begun;
        followed
    }

    fn follow(&mut self, line: &Line<'_>) -> Result<Option<Fault>, Broken> {
        let empty = line.whole && line.start.is_empty();
        match self.place {
            Place::Head => return Ok(self.head(line, empty).err()),
            _ if !line.sound => return Err(Broken),
            Place::Size => {
                self.place = match size(line)? {
                    0 => Place::Trailers,
                    size => Place::Chunk(size),
                };
            }
            Place::ChunkEnd if empty => self.place = Place::Size,
            Place::ChunkEnd => return Err(Broken),
            Place::Trailers if empty => self.place = Place::Head,
            Place::Trailers | Place::Body(_) | Place::Chunk(_) | Place::Beyond => {}
        }
        Ok(None)
    }

    fn head(&mut self, line: &Line<'_>, empty: bool) -> Result<(), Fault> {
        if !line.sound {
            return Err(Fault::LineEnd);
        }
        if !self.head.begun {
            // Empty lines before a request are let pass, as RFC 9112 section 2.2 wants it.
            self.head.begun = !empty;
            return if line.fragment {
                Err(Fault::Fragment)
            } else {
                Ok(())
            };
        }
        if !empty {
            return self.head.field(line);
        }
        let head = std::mem::take(&mut self.head);
        self.heads = self.heads.wrapping_add(1);
        self.place = match (head.chunked, head.length) {
            (true, _) => Place::Size,
            (false, None | Some(0)) => Place::Head,
            (false, Some(length)) => Place::Body(length),
        };
        Ok(())
    }
}

impl Head {
    /// Takes up what says where the body ends.
    fn field(&mut self, line: &Line<'_>) -> Result<(), Fault> {
        if !matches!(line.start.first(), Some(b'c' | b'C' | b't' | b'T')) {
            return Ok(());
        }
        let Some(colon) = memchr(b':', line.start) else {
            return Ok(()); // hyper refuses it
        };
        let (name, value) = (&line.start[..colon], line.start[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits = line.whole && !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let number = || std::str::from_utf8(value).ok()?.parse().ok();
            let length = digits.then(number).flatten().ok_or(Fault::Length)?;
            if self.chunked || self.length.replace(length).is_some() {
                return Err(Fault::Length);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let chunked = line.whole && value.eq_ignore_ascii_case(b"chunked");
            if self.chunked || !chunked {
                return Err(Fault::Coding);
            }
            if self.length.is_some() {
                return Err(Fault::Length);
            }
            self.chunked = true;
        }
        Ok(())
    }
}

/// Hexadecimal digits, and extensions behind them, which are of no account; no blanks between.
fn size(line: &Line<'_>) -> Result<u64, Broken> {
    let digits = line
        .start
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit());
    let count = digits.count();
    let (digits, rest) = line.start.split_at(count);
    // With seven bits left over, whatever is added to it.
    let valid = (1..=15).contains(&count) && (rest.is_empty() || rest[0] == b';');
    let digits = std::str::from_utf8(digits).map_err(|_| Broken)?;
    if !valid {
        return Err(Broken);
    }
    u64::from_str_radix(digits, 16).map_err(|_| Broken)
}

/// Leaves out up to `left` bytes; how many are left of them.
fn skip(bytes: &mut &[u8], left: u64) -> u64 {
    let here = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *bytes = &bytes[here..];
    left - here as u64
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
