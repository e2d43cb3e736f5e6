//! Where a probe may go.
//!
//! A customer decides what their name, and the name servers of their zone, resolve to. So
//! whatever connects there could be led to what only this machine can reach: the cloud's
//! metadata service, a database, a neighbour's admin port. Probes go to public addresses
//! only, but for those that an operator allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What may be reached besides public addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// Networks that are allowed although they are not public.
    pub allow: Vec<IpNet>,
}

/// Networks that are not public: IANA's special-purpose registries, multicast, and what is
/// reserved.
const CLOSED_V4: [Ipv4Net; 15] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];
/// The only part of IPv6 that is handed out to the public.
const OPEN_V6: Ipv6Net = v6([0x2000, 0, 0], 3);
/// What in it is not public.
const CLOSED_V6: [Ipv6Net; 3] = [
    v6([0x2001, 0, 0], 23),
    v6([0x2001, 0xdb8, 0], 32),
    v6([0x3fff, 0, 0], 20),
];
/// NAT64 (RFC 6052): an IPv4 address stands in the last four octets.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0], 96);
/// 6to4 (RFC 3056): an IPv4 address stands after the first two octets.
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0], 16);

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

/// By its first three groups.
const fn v6([a, b, c]: [u16; 3], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

impl Egress {
    /// True if a probe may go to `address`.
    pub fn permits(&self, address: IpAddr) -> bool {
        // ::ffff:127.0.0.1 is 127.0.0.1 to the kernel, so it is to us.
        let address = address.to_canonical();
        let allowed = self.allow.iter().any(|network| network.contains(&address));
        allowed || is_public(address)
    }
}

/// True if everybody can reach `address`, or at least nobody in particular.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => !CLOSED_V4.iter().any(|closed| closed.contains(&four)),
        IpAddr::V6(six) => {
            let [.., a, b, c, d] = six.octets();
            let [_, _, e, f, g, h, ..] = six.octets();
            if NAT64.contains(&six) {
                return is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
            }
            if SIX_TO_FOUR.contains(&six) {
                return is_public(IpAddr::V4(Ipv4Addr::new(e, f, g, h)));
            }
            OPEN_V6.contains(&six) && !CLOSED_V6.iter().any(|closed| closed.contains(&six))
        }
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
    }
}
