//! Framings of HTTP/1.1, by families: what is odd in each is a table.

use super::{Framing, PATH, Protocol};
use crate::{edge::HOST, messages::latin};

mod tables;

use self::tables::*;

/// A whole request that must never be seen as one.
fn smuggled() -> String {
    format!("GET /smuggled HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

/// All of HTTP/1.1.
pub(super) fn all() -> Vec<Framing> {
    let mut all = Vec::new();
    lengths(&mut all);
    codings(&mut all);
    chunks(&mut all);
    hosts(&mut all);
    for (family, fields) in [
        ("name", NAMES),
        ("value", VALUES),
        ("connection", CONNECTIONS),
    ] {
        for field in fields {
            let (get, post) = (
                format!("GET {PATH} HTTP/1.1"),
                format!("POST {PATH} HTTP/1.1"),
            );
            for (line, more) in [(get, "\r\n"), (post, "Content-Length: 5\r\n\r\nhello")] {
                let text = format!("{line}\r\nHost: {HOST}\r\n{field}\r\n{more}");
                add(&mut all, family, &[field, more], &text);
            }
        }
    }
    for line in LINES {
        let text = format!("{line}\r\nHost: {HOST}\r\n\r\n");
        add(&mut all, "line", &[line], &text);
    }
    for text in WHOLE {
        let filled = text.replace("HOST", HOST);
        add(&mut all, "whole", &[text], &filled);
    }
    for trailer in TRAILERS {
        let head =
            format!("POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n");
        for fields in [
            "",
            "Trailer: x\r\nTE: trailers\r\n",
            "Content-Type: application/grpc\r\nTE: trailers\r\n",
        ] {
            let text = format!("{head}{fields}\r\n5\r\nhello\r\n0\r\n{trailer}\r\n");
            add(&mut all, "trailer", &[trailer, fields], &text);
        }
    }
    all
}

fn add(all: &mut Vec<Framing>, family: &str, what: &[&str], text: &str) {
    all.push(Framing {
        name: format!("HTTP/1.1 {family} {what:?}"),
        protocol: Protocol::Http1,
        bytes: latin(&text.replace("PATH", PATH)),
    });
}

fn post(fields: &str, body: &str) -> String {
    format!("POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n{body}")
}

/// A length that is odd alone, before and behind a good one.
fn lengths(all: &mut Vec<Framing>) {
    for odd in LENGTHS {
        for fields in [
            format!("{odd}\r\n"),
            format!("Content-Length: 5\r\n{odd}\r\n"),
            format!("{odd}\r\nContent-Length: 5\r\n"),
        ] {
            add(all, "length", &[&fields], &post(&fields, "hello"));
        }
    }
}

/// A coding, alone and with a length that says otherwise: whoever takes the other of the
/// two finds a request of its own behind it.
fn codings(all: &mut Vec<Framing>) {
    let smuggled = smuggled();
    let behind = format!("0\r\n\r\n{smuggled}");
    let within = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    let first = within.find('\n').map_or(0, |end| end + 1);
    for odd in CODINGS {
        let alone = post(&format!("{odd}\r\n"), "5\r\nhello\r\n0\r\n\r\n");
        add(all, "coding", &[odd], &alone);
        let fields = format!("Content-Length: {}\r\n{odd}\r\n", behind.len());
        add(
            all,
            "coding behind a length",
            &[odd],
            &post(&fields, &behind),
        );
        let fields = format!("{odd}\r\nContent-Length: {first}\r\n");
        add(
            all,
            "coding before a length",
            &[odd],
            &post(&fields, &within),
        );
    }
}

fn chunks(all: &mut Vec<Framing>) {
    for body in CHUNKS {
        let text = post("Transfer-Encoding: chunked\r\n", body);
        add(all, "chunks", &[body], &text);
    }
}

fn hosts(all: &mut Vec<Framing>) {
    for host in HOSTS {
        let host = host.replace("HOST", HOST);
        let text = format!("GET {PATH} HTTP/1.1\r\n{host}\r\n");
        add(all, "host", &[&host], &text);
    }
}
