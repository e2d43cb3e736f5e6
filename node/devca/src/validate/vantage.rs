//! Where a hostname is looked for.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::TcpStream;

use super::agreement::Miss;
use crate::problem::{Kind, Problem};

/// Addresses tried for one name, at most; more would only outlast the timeout.
const MAX_ADDRESSES: usize = 8;

/// Turns a hostname into addresses.
#[async_trait]
pub trait Resolve: Send + Sync + fmt::Debug {
    /// The addresses of `hostname`, the preferred one first.
    ///
    /// # Errors
    /// When the name has none or cannot be asked for; told to the client as `dns`.
    async fn resolve(&self, hostname: &str) -> io::Result<Vec<IpAddr>>;
}

/// Finds every hostname at 127.0.0.1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Loopback;

#[async_trait]
impl Resolve for Loopback {
    async fn resolve(&self, _hostname: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

/// Asks the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, hostname: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((hostname, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// One place where all hostnames are served, with its own ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vantage {
    /// What stands for port 80.
    pub http: SocketAddr,
    /// What stands for port 443.
    pub tls: SocketAddr,
}

/// How hostnames become sockets.
#[derive(Debug, Clone)]
pub enum Reach {
    /// Each name is resolved, and the first of its addresses that takes a connection is
    /// probed.
    Resolve {
        /// Who resolves.
        resolver: Arc<dyn Resolve>,
        /// What stands for port 80.
        http_port: u16,
        /// What stands for port 443.
        tls_port: u16,
    },
    /// Each name is probed at each of these.
    Vantages(Vec<Vantage>),
}

impl Reach {
    /// The probers that look at one name, side by side.
    pub(super) fn eyes(&self) -> Vec<Eye> {
        match self {
            Self::Resolve {
                resolver,
                http_port,
                tls_port,
            } => vec![Eye::Resolving {
                resolver: Arc::clone(resolver),
                http_port: *http_port,
                tls_port: *tls_port,
            }],
            Self::Vantages(vantages) => vantages.iter().copied().map(Eye::Fixed).collect(),
        }
    }
}

/// One prober.
#[derive(Debug, Clone)]
pub(super) enum Eye {
    Fixed(Vantage),
    Resolving {
        resolver: Arc<dyn Resolve>,
        http_port: u16,
        tls_port: u16,
    },
}

/// What is spoken at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Eye {
    /// Whether an explicit port in a redirect is one that a CA would follow to: the
    /// standard one, or what stands for it here.
    pub(super) fn follows_to(&self, scheme: Scheme, port: u16) -> bool {
        let standard = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        port == standard || port == self.port(scheme)
    }

    fn port(&self, scheme: Scheme) -> u16 {
        match (self, scheme) {
            (Self::Fixed(vantage), Scheme::Http) => vantage.http.port(),
            (Self::Fixed(vantage), Scheme::Https) => vantage.tls.port(),
            (Self::Resolving { http_port, .. }, Scheme::Http) => *http_port,
            (Self::Resolving { tls_port, .. }, Scheme::Https) => *tls_port,
        }
    }

    /// Connects to where `host` is served.
    pub(super) async fn connect(&self, scheme: Scheme, host: &str) -> Result<TcpStream, Miss> {
        let targets = self.targets(scheme, host).await?;
        let mut last = None;
        for target in targets.into_iter().take(MAX_ADDRESSES) {
            match TcpStream::connect(target).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(format!("{host} at {target}: {error}")),
            }
        }
        let detail = last.unwrap_or_else(|| format!("{host} has no address"));
        Err(Miss::Unreachable(Problem::new(Kind::Connection, detail)))
    }

    async fn targets(&self, scheme: Scheme, host: &str) -> Result<Vec<SocketAddr>, Miss> {
        let resolver = match self {
            Self::Fixed(vantage) => {
                return Ok(vec![match scheme {
                    Scheme::Http => vantage.http,
                    Scheme::Https => vantage.tls,
                }]);
            }
            Self::Resolving { resolver, .. } => resolver,
        };
        let found = resolver.resolve(host).await.map_err(|error| {
            Miss::Unreachable(Problem::new(Kind::Dns, format!("{host}: {error}")))
        })?;
        let port = self.port(scheme);
        Ok(found
            .into_iter()
            .map(|address| SocketAddr::new(address, port))
            .collect())
    }
}

impl fmt::Display for Eye {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(vantage) => write!(f, "{}", vantage.http.ip()),
            Self::Resolving { .. } => f.write_str("the resolved address"),
        }
    }
}
