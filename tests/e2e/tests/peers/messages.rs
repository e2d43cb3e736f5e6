//! HTTP/1.1 messages, read as strictly as RFC 9112 can be read: the measure that a proxy's
//! own writing is held to.

/// A message with its whole body.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Its first line.
    pub(crate) line: String,
    /// Names in small letters.
    pub(crate) fields: Vec<(String, String)>,
    /// Without chunks.
    pub(crate) body: Vec<u8>,
}

/// A message and how many bytes it takes; `None`, if it is not whole yet.
pub(crate) type Read = Result<Option<(Message, usize)>, String>;

impl Message {
    /// The words of its first line.
    pub(crate) fn word(&self, place: usize) -> &str {
        self.line.split(' ').nth(place).unwrap_or_default()
    }

    /// A response's status.
    pub(crate) fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or(0)
    }

    /// The first field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The connection ends with it.
    pub(crate) fn closes(&self) -> bool {
        let told = self.field("connection").unwrap_or_default();
        told.eq_ignore_ascii_case("close")
    }
}

/// The request that `bytes` begin with.
pub(crate) fn request(bytes: &[u8]) -> Read {
    let Some((head, at)) = head(bytes)? else {
        return Ok(None);
    };
    if head.line.split(' ').count() != 3 || !head.line.ends_with(" HTTP/1.1") {
        return Err(format!("a request's line is {:?}", head.line));
    }
    let body = match framing(&head)? {
        Framing::Chunked => chunks(&bytes[at..])?,
        Framing::Length(length) => exactly(&bytes[at..], length),
        Framing::None => Some((Vec::new(), 0)),
    };
    Ok(body.map(|(body, took)| (Message { body, ..head }, at + took)))
}

/// The response that `bytes` begin with, interim ones left out. `ended`: no more will come.
pub(crate) fn response(bytes: &[u8], ended: bool) -> Read {
    let Some((head, at)) = head(bytes)? else {
        return Ok(None);
    };
    if !head.line.starts_with("HTTP/1.") {
        return Err(format!("a response's line is {:?}", head.line));
    }
    if head.status() / 100 == 1 && head.status() != 101 {
        let read = response(&bytes[at..], ended)?;
        return Ok(read.map(|(message, took)| (message, at + took)));
    }
    let rest = &bytes[at..];
    let body = match framing(&head)? {
        _ if matches!(head.status(), 101 | 204 | 304) => Some((Vec::new(), 0)),
        Framing::Chunked => chunks(rest)?,
        Framing::Length(length) => exactly(rest, length),
        Framing::None => ended.then(|| (rest.to_vec(), rest.len())),
    };
    Ok(body.map(|(body, took)| (Message { body, ..head }, at + took)))
}

enum Framing {
    Chunked,
    Length(usize),
    None,
}

fn framing(head: &Message) -> Result<Framing, String> {
    let all = |name: &str| -> Vec<&str> {
        let of_name = head.fields.iter().filter(|(own, _)| own == name);
        of_name.map(|(_, value)| value.as_str()).collect()
    };
    match (&*all("transfer-encoding"), &*all("content-length")) {
        ([], []) => Ok(Framing::None),
        (["chunked"], []) => Ok(Framing::Chunked),
        ([], [length]) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let length = length
                .parse()
                .map_err(|_| format!("a length of {length}"))?;
            Ok(Framing::Length(length))
        }
        (codings, lengths) => Err(format!("codings {codings:?} and lengths {lengths:?}")),
    }
}

/// A head without its body, and where the body begins.
fn head(bytes: &[u8]) -> Read {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let text: String = bytes[..end].iter().copied().map(char::from).collect();
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let mut fields = Vec::new();
    for field in lines.clone().chain([line.as_str()]) {
        if field.contains(['\r', '\n', '\0']) {
            return Err(format!("a line with a control character: {field:?}"));
        }
    }
    for field in lines {
        let (name, value) = field.split_once(':').unwrap_or_default();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(format!("a field is {field:?}"));
        }
        let value = value.trim_matches([' ', '\t']);
        fields.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let body = Vec::new();
    Ok(Some((Message { line, fields, body }, end + 4)))
}

fn exactly(bytes: &[u8], length: usize) -> Option<(Vec<u8>, usize)> {
    Some((bytes.get(..length)?.to_vec(), length))
}

fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = find(&bytes[at..], b"\r\n") else {
            return Ok(None);
        };
        let digits = String::from_utf8_lossy(&bytes[at..at + line]);
        let size = usize::from_str_radix(&digits, 16);
        let size = size.map_err(|_| format!("a chunk's size is {digits:?}"))?;
        at += line + 2;
        if size == 0 {
            // Trailers are lines as others are; an empty one ends them.
            loop {
                let Some(line) = find(&bytes[at..], b"\r\n") else {
                    return Ok(None);
                };
                at += line + 2;
                if line == 0 {
                    return Ok(Some((body, at)));
                }
            }
        }
        let Some(chunk) = bytes.get(at..at + size + 2) else {
            return Ok(None);
        };
        let Some(chunk) = chunk.strip_suffix(b"\r\n") else {
            return Err("a chunk does not end where its size says".to_owned());
        };
        body.extend_from_slice(chunk);
        at += size + 2;
    }
}

/// The bytes of a text that has a character for each.
pub(crate) fn latin(text: &str) -> Vec<u8> {
    let byte = |c| u8::try_from(u32::from(c)).unwrap();
    text.chars().map(byte).collect()
}

/// Where `what` begins.
pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
