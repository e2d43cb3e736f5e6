//! The addresses that a node listens on: free before it runs, answered while it does.

use std::{io, net::SocketAddr};

use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};

use super::{Finding, WITHIN};
use crate::config::Config;

const OF: &str = "ports";

pub(super) async fn examine(config: &Config, runs: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let tcp = [
        ("https.listen", config.https),
        ("http.listen", config.http),
        ("peer.listen", config.peer.listen),
        ("admin.listen", config.admin.listen),
        ("health.listen", config.health),
    ];
    for (key, address) in tcp {
        found.push(if runs {
            answered(key, address).await
        } else {
            free(key, address, TcpListener::bind(address).await.map(drop))
        });
    }
    // A datagram that is not answered tells nothing: only whether it could be bound is asked.
    for address in config.dns.iter().copied().filter(|_| !runs) {
        let bound = UdpSocket::bind(address).await;
        found.push(free("dns.listen", address, bound.map(drop)));
    }
    found
}

fn free(key: &str, address: SocketAddr, bound: io::Result<()>) -> Finding {
    match bound {
        Ok(()) => Finding::good(OF, format!("{key} {address} is free")),
        Err(error) => {
            let advice = match error.kind() {
                io::ErrorKind::AddrInUse => "another program has it: see `ss -lntup`",
                io::ErrorKind::PermissionDenied => {
                    "below 1024 it needs CAP_NET_BIND_SERVICE, or systemd's socket units"
                }
                io::ErrorKind::AddrNotAvailable => "no interface has that address",
                _ => "a node could not bind it either",
            };
            Finding::bad(OF, format!("{key} {address}: {error}; {advice}"))
        }
    }
}

async fn answered(key: &str, address: SocketAddr) -> Finding {
    let reached = reachable(address);
    match timeout(WITHIN, TcpStream::connect(reached)).await {
        Ok(Ok(_)) => Finding::good(OF, format!("{key} {address} answers")),
        Ok(Err(error)) => Finding::bad(OF, format!("{key} {address} does not answer: {error}")),
        Err(_) => Finding::bad(OF, format!("{key} {address} does not answer in time")),
    }
}

/// Where something that listens on `address` is reached from this machine.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let mut reached = address;
    if address.ip().is_unspecified() {
        reached.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[tokio::test]
    async fn an_address_that_is_taken_is_told_and_one_that_is_free_stays_free() {
        let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = held.local_addr().unwrap();
        let look = || async {
            let bound = TcpListener::bind(address).await.map(drop);
            free("https.listen", address, bound)
        };
        let taken = look().await;
        assert_eq!(taken.verdict, Verdict::Bad);
        assert!(taken.said.contains("another program"), "{taken:?}");
        assert_eq!(answered("x", address).await.verdict, Verdict::Good);
        drop(held);
        assert_eq!(look().await.verdict, Verdict::Good);
        assert_eq!(answered("x", address).await.verdict, Verdict::Bad);
    }

    #[test]
    fn what_listens_everywhere_is_reached_on_loopback() {
        for (address, expected) in [
            ("0.0.0.0:443", "127.0.0.1:443"),
            ("[::]:443", "[::1]:443"),
            ("10.0.0.1:443", "10.0.0.1:443"),
        ] {
            let reached = reachable(address.parse().unwrap());
            assert_eq!(reached, expected.parse().unwrap());
        }
    }
}
