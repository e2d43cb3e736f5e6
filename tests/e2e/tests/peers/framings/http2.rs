//! Framings of HTTP/2, by families, all on stream 1.

mod conversation;

pub(super) use self::conversation::Conversation;

use super::{Framing, PATH, Protocol};
use crate::{
    edge::HOST,
    frames::{self, DATA, END_HEADERS, END_STREAM, Field, HEADERS, PADDED, PRIORITY, block, frame},
    messages::latin,
};

/// The fields that a request begins with.
pub(super) fn head<'a>(method: &'a str, path: &'a str) -> [Field<'a>; 4] {
    [
        (b":method", method.as_bytes()),
        (b":scheme", b"https"),
        (b":authority", HOST.as_bytes()),
        (b":path", path.as_bytes()),
    ]
}

/// All of HTTP/2.
pub(super) fn all() -> Vec<Framing> {
    let mut all = Vec::new();
    pseudo_fields(&mut all);
    for (name, value) in FIELDS {
        let fields = [latin(name), latin(value)];
        let odd: Field<'_> = (&fields[0], &fields[1]);
        let head = [&head("GET", PATH)[..], &[odd]].concat();
        add(&mut all, "field", &[name, value], whole(&head));
    }
    lengths(&mut all);
    trailers(&mut all);
    sequences(&mut all);
    all
}

fn add(all: &mut Vec<Framing>, family: &str, what: &[&str], bytes: Vec<u8>) {
    all.push(Framing {
        name: format!("HTTP/2 {family} {what:?}"),
        protocol: Protocol::Http2,
        bytes,
    });
}

/// A request without a body.
fn whole(head: &[Field<'_>]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(head))
}

/// The head of a request with a body.
fn begun(more: &[Field<'_>]) -> Vec<u8> {
    let head = [&head("POST", PATH)[..], more].concat();
    frame(HEADERS, END_HEADERS, 1, &block(&head))
}

/// Other fields than a request's four, in words: `NAME=VALUE`.
fn pseudo_fields(all: &mut Vec<Framing>) {
    for words in PSEUDO_FIELDS {
        let fields: Vec<(Vec<u8>, Vec<u8>)> = words
            .iter()
            .map(|word| {
                let (name, value) = word.split_once('=').unwrap_or((word, ""));
                (
                    latin(name),
                    latin(&value.replace("HOST", HOST).replace("PATH", PATH)),
                )
            })
            .collect();
        let fields: Vec<Field<'_>> = fields
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        add(all, "head", words, whole(&fields));
    }
}

/// Lengths beside what comes.
fn lengths(all: &mut Vec<Framing>) {
    for lengths in LENGTHS {
        let fields: Vec<Field<'_>> = lengths
            .iter()
            .map(|length| (&b"content-length"[..], length.as_bytes()))
            .collect();
        for pieces in [
            &["hello"][..],
            &["he", "llo"],
            &["", "hello", ""],
            &[""],
            &["hello", "hello"],
        ] {
            let mut bytes = begun(&fields);
            for (place, piece) in pieces.iter().enumerate() {
                let flags = if place + 1 == pieces.len() {
                    END_STREAM
                } else {
                    0
                };
                bytes.extend(frame(DATA, flags, 1, piece.as_bytes()));
            }
            add(
                all,
                "length",
                &[&format!("{lengths:?}"), &format!("{pieces:?}")],
                bytes,
            );
        }
    }
}

fn trailers(all: &mut Vec<Framing>) {
    for (name, value) in TRAILERS {
        for kind in ["text/plain", "application/grpc"] {
            let mut bytes = begun(&[(b"te", b"trailers"), (b"content-type", kind.as_bytes())]);
            bytes.extend(frame(DATA, 0, 1, b"hello"));
            let trailers = block(&[(name.as_bytes(), value.as_bytes())]);
            bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers));
            add(all, "trailer", &[name, value, kind], bytes);
        }
    }
}

/// Frames in an order, or of a shape, that is odd.
fn sequences(all: &mut Vec<Framing>) {
    let get = block(&head("GET", PATH));
    let half = get.len() / 2;
    let (first, second) = get.split_at(half);
    let posted = begun(&[]);
    let body = frame(DATA, END_STREAM, 1, b"hello");
    let got = whole(&head("GET", PATH));
    let parts = |parts: &[&[u8]]| parts.concat();
    let padded = [&[3][..], b"hello", &[0; 3]].concat();
    let too_padded = [&[200][..], b"hello"].concat();
    let with_priority = [&[0, 0, 0, 0, 15][..], &get].concat();
    let on_itself = [&[0, 0, 0, 1, 15][..], &get].concat();
    let whole_again = frame(HEADERS, END_HEADERS | END_STREAM, 1, &get);
    for (what, bytes) in [
        (
            "in two pieces",
            parts(&[
                &frame(HEADERS, END_STREAM, 1, first),
                &frame(frames::CONTINUATION, END_HEADERS, 1, second),
            ]),
        ),
        (
            "in pieces, one of them empty",
            parts(&[
                &frame(HEADERS, END_STREAM, 1, first),
                &frame(frames::CONTINUATION, 0, 1, b""),
                &frame(frames::CONTINUATION, END_HEADERS, 1, second),
            ]),
        ),
        (
            "in pieces, a ping between",
            parts(&[
                &frame(HEADERS, END_STREAM, 1, first),
                &frame(frames::PING, 0, 0, &[0; 8]),
                &frame(frames::CONTINUATION, END_HEADERS, 1, second),
            ]),
        ),
        (
            "in pieces of two streams",
            parts(&[
                &frame(HEADERS, END_STREAM, 1, first),
                &frame(frames::CONTINUATION, END_HEADERS, 5, second),
            ]),
        ),
        (
            "a piece without a beginning",
            frame(frames::CONTINUATION, END_HEADERS, 1, &get),
        ),
        (
            "a head that never ends",
            frame(HEADERS, END_STREAM, 1, first),
        ),
        (
            "with a priority",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM | PRIORITY,
                1,
                &with_priority,
            ),
        ),
        (
            "dependent on itself",
            frame(HEADERS, END_HEADERS | END_STREAM | PRIORITY, 1, &on_itself),
        ),
        (
            "padded data",
            parts(&[&posted, &frame(DATA, END_STREAM | PADDED, 1, &padded)]),
        ),
        (
            "more padding than data",
            parts(&[&posted, &frame(DATA, END_STREAM | PADDED, 1, &too_padded)]),
        ),
        ("data before the head", parts(&[&body, &got])),
        (
            "data on stream 0",
            parts(&[&posted, &frame(DATA, END_STREAM, 0, b"hello")]),
        ),
        ("data behind the end", parts(&[&posted, &body, &body])),
        ("a head behind the end", parts(&[&got, &whole_again])),
        (
            "a head amid the body",
            parts(&[&posted, &frame(HEADERS, END_HEADERS, 1, &get), &body]),
        ),
        (
            "reset before the body's end",
            parts(&[&posted, &frame(frames::RST_STREAM, 0, 1, &[0, 0, 0, 8])]),
        ),
        (
            "reset behind the end",
            parts(&[&got, &frame(frames::RST_STREAM, 0, 1, &[0, 0, 0, 8])]),
        ),
        (
            "empty data",
            parts(&[
                &posted,
                &frame(DATA, 0, 1, b""),
                &frame(DATA, 0, 1, b""),
                &body,
            ]),
        ),
        (
            "a body that never ends",
            parts(&[&posted, &frame(DATA, 0, 1, b"hello")]),
        ),
        (
            "an even stream",
            frame(HEADERS, END_HEADERS | END_STREAM, 2, &get),
        ),
        (
            "stream 0",
            frame(HEADERS, END_HEADERS | END_STREAM, 0, &get),
        ),
        (
            "a push of a client's",
            frame(
                frames::PUSH_PROMISE,
                END_HEADERS,
                1,
                &[&[0, 0, 0, 2][..], &get].concat(),
            ),
        ),
        (
            "a window that overflows",
            parts(&[
                &posted,
                &frame(frames::WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff]),
                &body,
            ]),
        ),
        (
            "a window of nothing",
            parts(&[&posted, &frame(frames::WINDOW_UPDATE, 0, 1, &[0; 4]), &body]),
        ),
        (
            "an unknown frame",
            parts(&[&posted, &frame(0xee, 0xff, 1, b"hello"), &body]),
        ),
        (
            "settings in the middle",
            parts(&[
                &posted,
                &frame(frames::SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]),
                &body,
            ]),
        ),
        (
            "settings on a stream",
            parts(&[&posted, &frame(frames::SETTINGS, 0, 1, b""), &body]),
        ),
        (
            "an index that is not there",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &[&get[..], &[0xff, 0x7f]].concat(),
            ),
        ),
        (
            "index 0",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &[&get[..], &[0x80]].concat(),
            ),
        ),
        (
            "a string longer than the block",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &[&get[..], &[0x10, 0x7e, b'x']].concat(),
            ),
        ),
        (
            "HTTP/1.1 in a frame's place",
            parts(&[b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", &got]),
        ),
        (
            "a request in the body",
            parts(&[
                &posted,
                &frame(
                    DATA,
                    END_STREAM,
                    1,
                    b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
                ),
            ]),
        ),
    ] {
        add(all, "sequence", &[what], bytes);
    }
}

const METHOD: &str = ":method=GET";
const SCHEME: &str = ":scheme=https";
const AUTHORITY: &str = ":authority=HOST";
const TARGET: &str = ":path=PATH";

/// Heads. The order counts.
const PSEUDO_FIELDS: &[&[&str]] = &[
    &[METHOD, SCHEME, AUTHORITY, TARGET],
    &[TARGET, AUTHORITY, SCHEME, METHOD],
    &[SCHEME, AUTHORITY, TARGET],
    &[METHOD, AUTHORITY, TARGET],
    &[METHOD, SCHEME, TARGET],
    &[METHOD, SCHEME, AUTHORITY],
    &[METHOD, METHOD, SCHEME, AUTHORITY, TARGET],
    &[METHOD, SCHEME, SCHEME, AUTHORITY, TARGET],
    &[METHOD, SCHEME, AUTHORITY, AUTHORITY, TARGET],
    &[METHOD, SCHEME, AUTHORITY, TARGET, TARGET],
    &[METHOD, SCHEME, AUTHORITY, TARGET, ":path=/smuggled"],
    &[METHOD, SCHEME, AUTHORITY, TARGET, ":status=200"],
    &[METHOD, SCHEME, AUTHORITY, TARGET, ":protocol=websocket"],
    &[METHOD, SCHEME, AUTHORITY, TARGET, ":other=x"],
    &[METHOD, SCHEME, AUTHORITY, TARGET, ":=x"],
    &[METHOD, SCHEME, AUTHORITY, "x=y", TARGET],
    &["x=y", METHOD, SCHEME, AUTHORITY, TARGET],
    &[METHOD, SCHEME, AUTHORITY, TARGET, "host=HOST"],
    &[METHOD, SCHEME, AUTHORITY, TARGET, "host=other.example"],
    &[METHOD, SCHEME, AUTHORITY, TARGET, "host=HOST", "host=HOST"],
    &[
        METHOD,
        SCHEME,
        AUTHORITY,
        TARGET,
        "host=HOST",
        "host=other.example",
    ],
    &[METHOD, SCHEME, AUTHORITY, TARGET, "host="],
    &[METHOD, SCHEME, TARGET, "host=HOST"],
    &[METHOD, SCHEME, TARGET, "host=HOST", "host=other.example"],
    &[METHOD, SCHEME, ":authority=", TARGET],
    &[METHOD, SCHEME, ":authority=", TARGET, "host=HOST"],
    &[METHOD, SCHEME, ":authority=HOST:443", TARGET],
    &[METHOD, SCHEME, ":authority=HOST:0", TARGET],
    &[METHOD, SCHEME, ":authority=other.example", TARGET],
    &[METHOD, SCHEME, ":authority=user@HOST", TARGET],
    &[METHOD, SCHEME, ":authority=HOST@other.example", TARGET],
    &[METHOD, SCHEME, ":authority=HOST/x", TARGET],
    &[METHOD, SCHEME, ":authority=HOST, HOST", TARGET],
    &[METHOD, SCHEME, ":authority=HOST\r\nX: y", TARGET],
    &[METHOD, SCHEME, ":authority=HOST\u{0}", TARGET],
    &[METHOD, SCHEME, ":authority=HOST x", TARGET],
    &[METHOD, SCHEME, AUTHORITY, ":path="],
    &[METHOD, SCHEME, AUTHORITY, ":path=*"],
    &[METHOD, SCHEME, AUTHORITY, ":path=xPATH"],
    &[METHOD, SCHEME, AUTHORITY, ":path=PATH#a"],
    &[METHOD, SCHEME, AUTHORITY, ":path=PATH a"],
    &[
        METHOD,
        SCHEME,
        AUTHORITY,
        ":path=PATH HTTP/1.1\r\nHost: x\r\n\r\nGET /smuggled",
    ],
    &[METHOD, SCHEME, AUTHORITY, ":path=PATH\r\nX: y"],
    &[METHOD, SCHEME, AUTHORITY, ":path=PATH\u{0}"],
    &[METHOD, SCHEME, AUTHORITY, ":path=PATH\t"],
    &[METHOD, SCHEME, AUTHORITY, ":path=PATH\u{7f}"],
    &[METHOD, SCHEME, AUTHORITY, ":path=PATH\u{80}"],
    &[METHOD, SCHEME, AUTHORITY, ":path=/PATH"],
    &[METHOD, SCHEME, AUTHORITY, ":path=https://HOSTPATH"],
    &[METHOD, SCHEME, AUTHORITY, ":path=https://other.examplePATH"],
    &[METHOD, SCHEME, AUTHORITY, ":path=//other.examplePATH"],
    &[METHOD, SCHEME, AUTHORITY, ":path=PATH?a=b?c"],
    &[METHOD, ":scheme=http", AUTHORITY, TARGET],
    &[METHOD, ":scheme=", AUTHORITY, TARGET],
    &[METHOD, ":scheme=ftp", AUTHORITY, TARGET],
    &[METHOD, ":scheme=https://other.example/?", AUTHORITY, TARGET],
    &[":method=", SCHEME, AUTHORITY, TARGET],
    &[":method=get", SCHEME, AUTHORITY, TARGET],
    &[":method=GET ", SCHEME, AUTHORITY, TARGET],
    &[
        ":method=GET /smuggled HTTP/1.1\r\nX:",
        SCHEME,
        AUTHORITY,
        TARGET,
    ],
    &[":method=GET\r\n", SCHEME, AUTHORITY, TARGET],
    &[":method=G:T", SCHEME, AUTHORITY, TARGET],
    &[":method=TRACE", SCHEME, AUTHORITY, TARGET],
    &[":method=PRI", SCHEME, AUTHORITY, TARGET],
    &[":method=CONNECT", AUTHORITY],
    &[":method=CONNECT", SCHEME, AUTHORITY, TARGET],
    &[
        ":method=CONNECT",
        ":protocol=websocket",
        SCHEME,
        AUTHORITY,
        TARGET,
    ],
    &[":method=OPTIONS", SCHEME, AUTHORITY, ":path=*"],
];

/// Fields beside them.
const FIELDS: &[(&str, &str)] = &[
    ("connection", "close"),
    ("connection", "x-forwarded-for"),
    ("proxy-connection", "keep-alive"),
    ("keep-alive", "timeout=1"),
    ("transfer-encoding", "chunked"),
    ("transfer-encoding", "identity"),
    ("upgrade", "websocket"),
    ("upgrade", "h2c"),
    ("http2-settings", "AAMAAABkAAQAAP__"),
    ("te", "trailers"),
    ("te", "gzip"),
    ("te", "trailers, chunked"),
    ("expect", "100-continue"),
    ("expect", "x"),
    ("content-length", "0"),
    ("content-length", "5"),
    ("content-length", "+0"),
    ("content-length", ""),
    ("Connection", "close"),
    ("X", "y"),
    ("x y", "z"),
    ("x:", "y"),
    ("x:y", "z"),
    ("", "y"),
    ("x\r\ny", "z"),
    ("x\u{0}", "y"),
    ("x\n", "y"),
    ("x\u{ff}", "y"),
    ("transfer-encoding\r\nx", "chunked"),
    ("transfer-encoding ", "chunked"),
    ("transfer_encoding", "chunked"),
    ("content_length", "5"),
    ("x", "y\r\nz: a"),
    ("x", "y\r\n\r\nGET /smuggled HTTP/1.1"),
    ("x", "y\rz"),
    ("x", "y\nz"),
    ("x", "y\u{0}z"),
    ("x", " y"),
    ("x", "y "),
    ("x", "\ty"),
    ("x", ""),
    ("x", "\u{1}"),
    ("x", "\u{7f}"),
    ("x", "\u{ff}"),
    ("cookie", "a=b"),
    ("x-forwarded-for", "forged"),
    ("x_forwarded_for", "forged"),
    ("forwarded", "for=forged"),
    ("hostquorum-client-subject", "forged"),
    ("proxy", "http://other.example"),
];

/// What is said of a body's length.
const LENGTHS: &[&[&str]] = &[
    &[],
    &["5"],
    &["0"],
    &["4"],
    &["6"],
    &["5", "5"],
    &["5, 5"],
    &["+5"],
    &["05"],
    &["0x5"],
];

const TRAILERS: &[(&str, &str)] = &[
    ("x", "y"),
    ("content-length", "5"),
    ("transfer-encoding", "chunked"),
    ("host", "other.example"),
    ("connection", "close"),
    (":path", "/smuggled"),
    (":status", "200"),
    ("X", "y"),
    ("x", "y\r\nz: a"),
    ("x\r\ny", "z"),
    ("x-forwarded-for", "forged"),
];
