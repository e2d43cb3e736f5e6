//! The first bytes of a connection to the https port: anybody's.

use edge::hello::{Hello, Name, parse};
use rustls::server::Acceptor;

/// More than is ever looked at.
const LONGEST: usize = 24 << 10;
/// Beginnings of a message that are looked at, beyond the first bytes.
const CUTS: usize = 32;

/// Reads a connection's beginning, as it comes in pieces.
pub fn target(data: &[u8]) {
    let data = &data[..data.len().min(LONGEST)];
    let whole = parse(data);
    comes_in_pieces(data, &whole);
    if let Some(Name::Host(host)) = name(&whole) {
        is_a_host(host);
    }
    agrees_with_rustls(data, &whole);
}

fn name(hello: &Hello) -> Option<&Name> {
    match hello {
        Hello::Complete(name) | Hello::Validation(name) => Some(name),
        _ => None,
    }
}

/// Any answer but "partial" stays, whatever follows.
fn comes_in_pieces(data: &[u8], whole: &Hello) {
    let first = 0..data.len().min(CUTS);
    let step = (data.len() / CUTS).max(1);
    for cut in first.chain((0..data.len()).step_by(step)) {
        let early = parse(&data[..cut]);
        assert!(
            early == Hello::Partial || early == *whole,
            "{early:?} of {cut} bytes became {whole:?}"
        );
    }
    if *whole != Hello::Partial {
        let more = [data, b"\x16\x03\x01\0\x01\x01".as_slice()].concat();
        assert_eq!(parse(&more), *whole);
    }
}

fn is_a_host(host: &str) {
    assert!((1..=253).contains(&host.len()), "{host}");
    for label in host.split('.') {
        assert!((1..=63).contains(&label.len()), "{host}");
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        assert!(label.bytes().all(fine), "{host}");
    }
}

/// rustls reads what we let through once more. A name that it sees and we do not, or see
/// as another, would be served with a certificate that was chosen for somebody else.
fn agrees_with_rustls(data: &[u8], whole: &Hello) {
    let mut acceptor = Acceptor::default();
    let mut rest = data;
    while !rest.is_empty() {
        match acceptor.read_tls(&mut rest) {
            Ok(1..) => {}
            _ => return,
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let theirs = accepted.client_hello().server_name().map(|name| {
                    let name = name.strip_suffix('.').unwrap_or(name);
                    name.to_ascii_lowercase()
                });
                return agree(whole, theirs.as_deref());
            }
            Err(_) => return,
        }
    }
}

fn agree(whole: &Hello, theirs: Option<&str>) {
    match (whole, theirs) {
        (Hello::Partial | Hello::NotTls, _) => panic!("rustls reads it, we say {whole:?}"),
        // We hold it to limits that rustls does not have.
        (Hello::Malformed(_), _) => {}
        (Hello::Complete(name) | Hello::Validation(name), Some(theirs)) => match name {
            Name::Host(ours) => assert_eq!(ours, theirs),
            Name::Absent => panic!("rustls sees {theirs}, we nothing"),
            Name::Address | Name::Invalid => {}
        },
        (Hello::Complete(_) | Hello::Validation(_), None) => {}
    }
}
