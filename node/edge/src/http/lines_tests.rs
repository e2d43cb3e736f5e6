use proptest::prelude::*;

use super::*;

type Found = Result<Option<(u32, Fault)>, Broken>;

/// The first thing found, given the bytes in pieces of this size.
fn in_pieces(bytes: &[u8], size: usize) -> (Found, u32, Place) {
    let mut lines = Lines::default();
    for piece in bytes.chunks(size.max(1)) {
        match lines.read(piece) {
            Ok(None) => {}
            found => return (found.map_err(|_| Broken), lines.heads, lines.place),
        }
    }
    (Ok(None), lines.heads, lines.place)
}

/// `bytes` come to this, whole and in pieces of any size.
#[track_caller]
fn check(bytes: &str, expected: Found) {
    for size in 1..=bytes.len() {
        let (found, ..) = in_pieces(bytes.as_bytes(), size);
        assert_eq!(found, expected, "{bytes:?} in pieces of {size}");
    }
}

/// All heads are read, and nothing is left over.
#[track_caller]
fn check_whole(bytes: &str, heads: u32) {
    for size in 1..=bytes.len() {
        let found = in_pieces(bytes.as_bytes(), size);
        assert_eq!(
            found,
            (Ok(None), heads, Place::Head),
            "{bytes:?} in pieces of {size}"
        );
    }
}

#[test]
fn messages_are_followed_from_one_to_the_next() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let four = "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\n\nX\n";
    let none = "POST / HTTP/1.1\r\ncontent-length:0\r\n\r\n";
    let chunks = "POST / HTTP/1.1\r\nTRANSFER-ENCODING: \tChunked \r\n\r\n\
                  3\r\n\nab\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\nA: b\r\n\r\n";
    check_whole(get, 1);
    check_whole(&format!("{get}{get}"), 2);
    check_whole(&format!("{four}{chunks}{none}{get}"), 4);
    check_whole(&format!("\r\n\r\n{get}\r\n{four}"), 2);
}

#[test]
fn lines_end_with_cr_lf() {
    let fault = |head| Ok(Some((head, Fault::LineEnd)));
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    check("GET / HTTP/1.1\nHost: a\r\n\r\n", fault(1));
    check("GET / HTTP/1.1\r\nHost: a\n\r\n", fault(1));
    check("GET / HTTP/1.1\r\nHost: a\r\n\n", fault(1));
    check(&format!("\n{get}"), fault(1));
    check(&format!("{get}\n"), fault(2));
    check(&format!("{get}{get}GET / HTTP/1.1\n"), fault(3));
    check(
        &format!("GET / HTTP/1.1\r\nA: {}\n", "b".repeat(300)),
        fault(1),
    );
}

#[test]
fn a_target_has_no_fragment_and_a_field_may() {
    let fault = Ok(Some((1, Fault::Fragment)));
    check("GET /a#b HTTP/1.1\r\n\r\n", fault);
    check(
        &format!("GET /{}#b HTTP/1.1\r\n\r\n", "a".repeat(200)),
        fault,
    );
    check_whole("GET /a HTTP/1.1\r\nReferer: /a#b\r\n\r\n", 1);
}

#[test]
fn the_end_of_a_body_is_told_once_and_plainly() {
    let head = |fields: &str| format!("POST / HTTP/1.1\r\n{fields}\r\n");
    let wide = format!("Content-Length:{}4\r\n", " ".repeat(200));
    for (fields, fault) in [
        (
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            Fault::Length,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            Fault::Length,
        ),
        ("Content-Length: 4\r\nContent-Length: 4\r\n", Fault::Length),
        ("Content-Length: 4, 4\r\n", Fault::Length),
        ("Content-Length: +4\r\n", Fault::Length),
        ("Content-Length:\r\n", Fault::Length),
        ("Content-Length: 18446744073709551616\r\n", Fault::Length),
        ("Transfer-Encoding: gzip, chunked\r\n", Fault::Coding),
        (
            "Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            Fault::Coding,
        ),
        ("Transfer-Encoding:\r\n", Fault::Coding),
    ] {
        check(&head(fields), Ok(Some((1, fault))));
    }
    // Nobody sends that; cut in two it could not be read.
    let (found, ..) = in_pieces(head(&wide).as_bytes(), 60);
    assert_eq!(found, Ok(Some((1, Fault::Length))));
    check_whole(
        &format!(
            "{}abcd",
            head("Content-Lengths: 9\r\nContent-Length: 4\r\n")
        ),
        1,
    );
}

#[test]
fn chunks_are_read_in_one_way() {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunks in [
        "4 \r\nabcd\r\n0\r\n\r\n",
        " 4\r\nabcd\r\n0\r\n\r\n",
        "4\nabcd\r\n0\r\n\r\n",
        "4 ;x\r\nabcd\r\n",
        "\r\n",
        "-4\r\n",
        "0x4\r\n",
        "4,\r\n",
        "4\r\nabcde\r\n",
        "4\r\nabcd\n",
        "4\r\nabcd\r\n0\n",
        "0\r\nA: b\n",
        "0\r\n\n",
        "1000000000000000\r\n",
    ] {
        check(&format!("{head}{chunks}"), Err(Broken));
    }
}

#[test]
fn what_stands_before_a_broken_chunk_is_told() {
    let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut lines = Lines::default();
    let bytes = [&head[..], b"x\r\n"].concat();
    assert_eq!(lines.read(&bytes), Err(BrokenChunks { before: head.len() }));
}

#[test]
fn nothing_is_looked_at_in_a_tunnel() {
    let mut lines = Lines::default();
    lines
        .read(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
        .unwrap();
    lines.end();
    assert_eq!(lines.read(b"\n\n\n"), Ok(None));
}

proptest! {
    #[test]
    fn how_bytes_are_cut_is_of_no_account(
        parts in prop::collection::vec(prop::sample::select(vec![
            "GET / HTTP/1.1", "POST /a#b HTTP/1.1", "\r\n", "\r", "\n", "\r\n\r\n", "Host: a",
            "Content-Length: 4", "Content-Length: 4\r\n\r\n", "Transfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\n\r\n", "4\r\nabcd\r\n", "0\r\n\r\n", "abcd", "0", ";x", " ",
        ]), 0..24),
        size in 1_usize..40,
    ) {
        let bytes = parts.concat();
        prop_assert_eq!(in_pieces(bytes.as_bytes(), size), in_pieces(bytes.as_bytes(), bytes.len()));
    }
}
