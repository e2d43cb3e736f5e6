//! A client's HTTP/1.1 connection, said and heard in bytes.

use std::{io, net::SocketAddr};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
}

impl Connection {
    pub(super) async fn open(tls: &TlsConnector, node: SocketAddr, name: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(node).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let stream = tls.connect(name, stream).await?;
        Ok(Self { stream })
    }

    pub(super) async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// An answer with exactly this body: its status.
    pub(super) async fn hear(&mut self, body: &[u8]) -> io::Result<u16> {
        let head = self.head().await?;
        let length = format!("content-length: {}\r\n", body.len());
        if !head.contains(&length) {
            return Err(io::Error::other(head));
        }
        self.exactly(body).await?;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        status.ok_or_else(|| io::Error::other(head))
    }

    /// From here on it is a tunnel.
    pub(super) async fn switched(&mut self) -> io::Result<()> {
        let head = self.head().await?;
        match head.starts_with("http/1.1 101 ") {
            true => Ok(()),
            false => Err(io::Error::other(head)),
        }
    }

    pub(super) async fn exactly(&mut self, expected: &[u8]) -> io::Result<()> {
        let mut heard = vec![0; expected.len()];
        self.stream.read_exact(&mut heard).await?;
        match heard == expected {
            true => Ok(()),
            false => Err(io::Error::other("other bytes than were said")),
        }
    }

    async fn head(&mut self) -> io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await?);
        }
        Ok(String::from_utf8_lossy(&head).to_lowercase())
    }
}
