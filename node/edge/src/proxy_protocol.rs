//! The PROXY protocol, version 2: whoever accepted a connection before us says who its
//! client is, in a header before all other bytes (haproxy's `proxy-protocol.txt`).
//!
//! A listener either takes it from nobody, or wants it of every connection and from known
//! networks alone. There is no "if it is there": a client that may choose would choose its
//! own address.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use ipnet::IpNet;
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::limits::PROXY_HEADER;

/// What every header of version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family and transport, and the length of the rest.
const FIXED: usize = 16;

/// Who a connection is from, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From whoever sent the header: a health check, or a client of which it knows no
    /// address.
    Sender,
    /// From a client behind it.
    Client(SocketAddr),
}

/// A header, as far as its beginning tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    local: bool,
    family: u8,
    /// Bytes that follow: addresses, and then TLVs, which are not looked at.
    pub rest: usize,
}

/// Why a connection has no source.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Nobody from there may say who clients are.
    #[error("{0} is not in `proxy_protocol_from`")]
    Untrusted(IpAddr),
    /// The connection begins otherwise.
    #[error("it does not begin with a PROXY protocol header of version 2")]
    Absent,
    /// A command that version 2 does not have.
    #[error("command {0} is unknown")]
    Command(u8),
    /// Addresses of a kind, or a transport, that no TCP listener can have.
    #[error("family and transport {0:#04x} are not those of a TCP connection")]
    Family(u8),
    /// It ends before its addresses do, or goes on for too long.
    #[error("its length of {0} octets fits neither its addresses nor our bounds")]
    Length(usize),
    /// It did not come.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
}

impl Fixed {
    /// Reads a header's fixed part.
    ///
    /// # Errors
    ///
    /// It is not one of version 2 for a TCP connection.
    pub fn parse(header: &[u8; FIXED]) -> Result<Self, ProxyError> {
        let [signature @ .., version_command, family, high, low] = header;
        if *signature != SIGNATURE || version_command >> 4 != 2 {
            return Err(ProxyError::Absent);
        }
        let local = match version_command & 0x0f {
            0 => true,
            1 => false,
            command => return Err(ProxyError::Command(command)),
        };
        let rest = usize::from(u16::from_be_bytes([*high, *low]));
        if rest > PROXY_HEADER {
            return Err(ProxyError::Length(rest));
        }
        Ok(Self {
            local,
            family: *family,
            rest,
        })
    }

    /// Reads the addresses at the beginning of the rest.
    ///
    /// # Errors
    ///
    /// They are not a TCP connection's, or not whole.
    pub fn source(self, rest: &[u8]) -> Result<Source, ProxyError> {
        let short = || ProxyError::Length(rest.len());
        // A receiver ignores the addresses of LOCAL (section 2.2).
        if self.local {
            return Ok(Source::Sender);
        }
        match self.family {
            0x00 => Ok(Source::Sender),
            0x11 => {
                let (address, port) = client::<4>(rest).ok_or_else(short)?;
                Ok(Source::Client((Ipv4Addr::from(address), port).into()))
            }
            0x21 => {
                let (address, port) = client::<16>(rest).ok_or_else(short)?;
                Ok(Source::Client((Ipv6Addr::from(address), port).into()))
            }
            family => Err(ProxyError::Family(family)),
        }
    }
}

/// Address and port of the client: both addresses stand before both ports, ours last.
fn client<const OCTETS: usize>(rest: &[u8]) -> Option<([u8; OCTETS], u16)> {
    let (client, rest) = rest.split_first_chunk()?;
    let (_, rest) = rest.split_first_chunk::<OCTETS>()?;
    let (port, rest) = rest.split_first_chunk()?;
    rest.first_chunk::<2>()?;
    Some((*client, u16::from_be_bytes(*port)))
}

/// Reads the header of a connection that `sender` has opened, and not one byte beyond.
/// The address of its client.
///
/// # Errors
///
/// See [`ProxyError`].
pub(crate) async fn read(
    stream: &mut TcpStream,
    sender: SocketAddr,
    from: &[IpNet],
) -> Result<SocketAddr, ProxyError> {
    // A listener for both families shows IPv4 as ::ffff:a.b.c.d.
    let address = sender.ip().to_canonical();
    if !from.iter().any(|network| network.contains(&address)) {
        return Err(ProxyError::Untrusted(address));
    }
    let mut fixed = [0; FIXED];
    stream.read_exact(&mut fixed).await?;
    let fixed = Fixed::parse(&fixed)?;
    let mut rest = vec![0; fixed.rest];
    stream.read_exact(&mut rest).await?;
    Ok(match fixed.source(&rest)? {
        Source::Sender => sender,
        Source::Client(client) => client,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0x01, 0xbb];

    fn header(version_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [
            &SIGNATURE,
            [version_command, family].as_slice(),
            &length,
            rest,
        ]
        .concat()
    }

    fn read(header: &[u8]) -> Result<Source, ProxyError> {
        let (fixed, rest) = header.split_first_chunk().unwrap();
        let fixed = Fixed::parse(fixed)?;
        assert_eq!(fixed.rest, rest.len());
        fixed.source(rest)
    }

    #[test]
    fn a_client_is_read() {
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        v6[15] = 9;
        v6[32..34].copy_from_slice(&443_u16.to_be_bytes());
        let with_tlv = [V4.as_slice(), &[0xea, 0, 3, 1, 2, 3]].concat();
        for (what, header, expected) in [
            ("IPv4", header(0x21, 0x11, &V4), "192.0.2.7:12345"),
            (
                "IPv4 and a TLV",
                header(0x21, 0x11, &with_tlv),
                "192.0.2.7:12345",
            ),
            ("IPv6", header(0x21, 0x21, &v6), "[2001:db8::9]:443"),
        ] {
            let source = read(&header).unwrap();
            assert_eq!(source, Source::Client(expected.parse().unwrap()), "{what}");
        }
    }

    #[test]
    fn who_has_no_client_to_name_counts_itself() {
        for (what, header) in [
            ("a health check", header(0x20, 0x00, &[])),
            (
                "a health check that fills addresses in",
                header(0x20, 0x11, &V4),
            ),
            ("a client without an address", header(0x21, 0x00, &[])),
        ] {
            assert_eq!(read(&header).unwrap(), Source::Sender, "{what}");
        }
    }

    #[test]
    fn nothing_else_is_believed() {
        let mut bad_signature = header(0x21, 0x11, &V4);
        bad_signature[11] = b'\r';
        for (header, expected) in [
            (bad_signature, "it does not begin with"),
            (
                b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(),
                "it does not begin with",
            ),
            (header(0x11, 0x11, &V4), "it does not begin with"),
            (header(0x31, 0x11, &V4), "it does not begin with"),
            (header(0x22, 0x11, &V4), "command 2 is unknown"),
            (header(0x21, 0x12, &V4), "family and transport 0x12"),
            (header(0x21, 0x31, &[0; 216]), "family and transport 0x31"),
            (header(0x21, 0x11, &V4[..11]), "its length of 11 octets"),
            (header(0x21, 0x21, &[0; 35]), "its length of 35 octets"),
            (
                header(0x21, 0x11, &[0; PROXY_HEADER + 1]),
                "its length of 2049 octets",
            ),
        ] {
            let error = match header.split_first_chunk() {
                Some((fixed, rest)) => Fixed::parse(fixed).and_then(|fixed| fixed.source(rest)),
                None => unreachable!("all are longer"),
            };
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
