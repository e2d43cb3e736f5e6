//! The clients: the same requests for every proxy, every answer checked.

mod fresh;
mod http1;
mod http2;

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    certificates::{Ca, HOST},
    origin::target,
};

/// What is asked of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// A connection for each request: TCP, a full handshake, GET, close.
    Handshake,
    /// Kept HTTP/1.1 connections, one request at a time on each.
    Http1 {
        /// Of each body.
        bytes: usize,
    },
    /// Kept HTTP/2 connections, several requests at a time on each.
    Http2 {
        /// Of each body.
        bytes: usize,
    },
}

/// Connections that handshake at the same time.
const FRESH: usize = 8;
/// Kept HTTP/1.1 connections.
const HTTP1: usize = 32;
/// Kept HTTP/2 connections, and requests at a time on each.
const HTTP2: (usize, usize) = (4, 16);

/// Clients that are connected, and have been answered once.
pub(crate) enum Load {
    Fresh(Arc<Target>),
    Http1(Vec<http1::Connection>),
    Http2(Vec<http2::Connection>),
}

/// Where requests go, and what each is answered with.
pub(crate) struct Target {
    address: SocketAddr,
    client: Arc<ClientConfig>,
    bytes: usize,
}

type Stream = TlsStream<TcpStream>;

impl Workload {
    const fn bytes(self) -> usize {
        match self {
            Self::Handshake => 128,
            Self::Http1 { bytes } | Self::Http2 { bytes } => bytes,
        }
    }

    const fn protocol(self) -> &'static str {
        match self {
            Self::Handshake | Self::Http1 { .. } => "http/1.1",
            Self::Http2 { .. } => "h2",
        }
    }
}

impl Load {
    /// Connects, and sends one request on each connection, so that the proxy has its
    /// connections to the origin.
    pub(crate) async fn open(workload: Workload, address: SocketAddr, ca: &Ca) -> Result<Self> {
        let target = Arc::new(Target {
            address,
            client: ca.client(workload.protocol())?,
            bytes: workload.bytes(),
        });
        let mut load = match workload {
            Workload::Handshake => Self::Fresh(target),
            Workload::Http1 { .. } => {
                let mut connections = Vec::new();
                for _ in 0..HTTP1 {
                    connections.push(http1::Connection::open(&target).await?);
                }
                Self::Http1(connections)
            }
            Workload::Http2 { .. } => {
                let mut connections = Vec::new();
                for _ in 0..HTTP2.0 {
                    connections.push(http2::Connection::open(&target).await?);
                }
                Self::Http2(connections)
            }
        };
        load.run(load.width()).await?;
        Ok(load)
    }

    /// Requests at the same time.
    const fn width(&self) -> usize {
        match self {
            Self::Fresh(_) => FRESH,
            Self::Http1(_) => HTTP1,
            Self::Http2(_) => HTTP2.0 * HTTP2.1,
        }
    }

    /// Sends at least `count` requests, and says how many. Fails with the first answer
    /// that is not as it should be.
    pub(crate) async fn run(&mut self, count: usize) -> Result<usize> {
        let each = count.div_ceil(self.width());
        let sent = each * self.width();
        match self {
            Self::Fresh(target) => {
                let mut tasks = JoinSet::new();
                for _ in 0..FRESH {
                    tasks.spawn(fresh::requests(Arc::clone(target), each));
                }
                all(tasks).await?;
            }
            Self::Http1(connections) => {
                let mut tasks = JoinSet::new();
                for connection in connections.drain(..) {
                    tasks.spawn(connection.requests(each));
                }
                connections.extend(all(tasks).await?);
            }
            Self::Http2(connections) => {
                let mut tasks = JoinSet::new();
                for connection in connections.iter() {
                    for _ in 0..HTTP2.1 {
                        tasks.spawn(connection.clone().requests(each));
                    }
                }
                all(tasks).await?;
            }
        }
        Ok(sent)
    }
}

impl Target {
    async fn connect(&self) -> Result<Stream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(HOST)?;
        let connector = TlsConnector::from(Arc::clone(&self.client));
        connector
            .connect(name, stream)
            .await
            .context("no handshake")
    }

    fn path(&self) -> String {
        target(self.bytes)
    }
}

async fn all<T: 'static>(mut tasks: JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut done = Vec::with_capacity(tasks.len());
    while let Some(task) = tasks.join_next().await {
        done.push(task??);
    }
    Ok(done)
}
