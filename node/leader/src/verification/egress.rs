//! Where a probe may go.
//!
//! A customer decides what their name, and the name servers of their zone, resolve to. So
//! whatever connects there could be led to what only this machine can reach: the cloud's
//! metadata service, a database, a neighbour's admin port. Probes go to public addresses
//! only, but for those that an operator allows.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// What may be reached besides public addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// Networks that are allowed although they are not public.
    pub allow: Vec<Network>,
}

/// Addresses with a common beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network; write an address and how many bits are fixed, as in 10.0.0.0/8")]
pub struct NetworkError(String);

/// Networks that are not public: IANA's special-purpose registries, multicast, and what is
/// reserved.
const CLOSED_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];
/// The only part of IPv6 that is handed out to the public.
const OPEN_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// What in it is not public.
const CLOSED_V6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
/// NAT64 (RFC 6052): an IPv4 address stands in the last four octets.
const NAT64: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);
/// 6to4 (RFC 3056): an IPv4 address stands after the first two octets.
const SIX_TO_FOUR: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);

impl Egress {
    /// True if a probe may go to `address`.
    pub fn permits(&self, address: IpAddr) -> bool {
        // ::ffff:127.0.0.1 is 127.0.0.1 to the kernel, so it is to us.
        let address = address.to_canonical();
        let allowed = self.allow.iter().any(|network| network.contains(address));
        allowed || is_public(address)
    }
}

/// True if everybody can reach `address`, or at least nobody in particular.
fn is_public(address: IpAddr) -> bool {
    let within = |(network, length): (Ipv6Addr, u8), address: Ipv6Addr| {
        Network::new(IpAddr::V6(network), length).contains(IpAddr::V6(address))
    };
    match address {
        IpAddr::V4(_) => !CLOSED_V4
            .iter()
            .any(|(network, length)| Network::new((*network).into(), *length).contains(address)),
        IpAddr::V6(six) => {
            let [.., a, b, c, d] = six.octets();
            let [_, _, e, f, g, h, ..] = six.octets();
            if within(NAT64, six) {
                return is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
            }
            if within(SIX_TO_FOUR, six) {
                return is_public(IpAddr::V4(Ipv4Addr::new(e, f, g, h)));
            }
            within(OPEN_V6, six) && !CLOSED_V6.iter().any(|closed| within(*closed, six))
        }
    }
}

impl Network {
    const fn new(address: IpAddr, length: u8) -> Self {
        Self { address, length }
    }

    /// True if `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => same_beginning(
                u128::from(network.to_bits()) << 96,
                u128::from(address.to_bits()) << 96,
                self.length,
            ),
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same_beginning(network.to_bits(), address.to_bits(), self.length)
            }
            _ => false,
        }
    }
}

fn same_beginning(one: u128, other: u128, length: u8) -> bool {
    (one ^ other).leading_zeros() >= u32::from(length)
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError(text.chars().take(60).collect());
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let length: u8 = length.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if length > most {
            return Err(wrong());
        }
        Ok(Self { address, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_addresses_are_not_reached_in_whatever_disguise() {
        let egress = Egress::default();
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "5f00::1",
            "4000::1",
        ] {
            assert!(!egress.permits(address.parse().unwrap()), "{address}");
        }
        for address in [
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2600:1f00::1",
            "2a00:1450::1",
            "2001:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(egress.permits(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_operator_may_allow_a_network_and_no_more() {
        let egress = Egress {
            allow: vec!["10.2.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()],
        };
        for (address, expected) in [
            ("10.2.3.4", true),
            ("::ffff:10.2.3.4", true),
            ("10.3.0.1", false),
            ("::1", true),
            ("::2", false),
        ] {
            assert_eq!(
                egress.permits(address.parse().unwrap()),
                expected,
                "{address}"
            );
        }
        for text in ["10.0.0.0", "10.0.0.0/33", "::/129", "x/8", ""] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
