//! The first bytes of a connection that a load balancer should have opened (PROXY protocol,
//! version 2): the balancer's, or anybody's who reaches the port from its network.

use std::net::SocketAddr;

use edge::proxy_protocol::{Fixed, ProxyError, Source};

/// More than a header is let have.
const LONGEST: usize = 4 << 10;

/// Reads a connection's beginning as a header.
pub fn target(data: &[u8]) {
    let data = &data[..data.len().min(LONGEST)];
    match read(data) {
        Some(Ok(Source::Client(client))) => {
            let again = read(&written(client)).expect("it is whole");
            assert_eq!(again.expect("it is one"), Source::Client(client));
        }
        Some(Err(error)) => crate::is_fit_to_show(&error.to_string()),
        Some(Ok(Source::Sender)) | None => {}
    }
}

/// `None`: it is not whole.
fn read(data: &[u8]) -> Option<Result<Source, ProxyError>> {
    let (fixed, rest) = data.split_first_chunk()?;
    match Fixed::parse(fixed) {
        Ok(fixed) => {
            assert!(fixed.rest < LONGEST, "{} bytes are waited for", fixed.rest);
            Some(fixed.source(rest.get(..fixed.rest)?))
        }
        Err(error) => Some(Err(error)),
    }
}

/// A balancer's header for `client`.
pub fn written(client: SocketAddr) -> Vec<u8> {
    let (family, length, address) = match client {
        SocketAddr::V4(client) => (0x11, 12, client.ip().octets().to_vec()),
        SocketAddr::V6(client) => (0x21, 36, client.ip().octets().to_vec()),
    };
    let port = client.port().to_be_bytes();
    let fixed = [
        b"\r\n\r\n\0\r\nQUIT\n".as_slice(),
        &[0x21, family, 0, length],
    ]
    .concat();
    // Its own address and port are of no matter here.
    [fixed.as_slice(), &address, &address, &port, &port].concat()
}
