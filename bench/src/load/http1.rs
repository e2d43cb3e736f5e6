//! One HTTP/1.1 connection, one request at a time.

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Stream, Target};
use crate::{certificates::HOST, origin::FILLING};

/// Longest head of an answer.
const HEAD_MAX: usize = 16 << 10;

pub(crate) struct Connection {
    pub(super) stream: Stream,
    request: Vec<u8>,
    bytes: usize,
    read: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(target: &Target) -> Result<Self> {
        Self::with(target, "").await
    }

    /// Whose first request says that it is the last.
    pub(super) async fn open_for_one(target: &Target) -> Result<Self> {
        Self::with(target, "connection: close\r\n").await
    }

    async fn with(target: &Target, field: &str) -> Result<Self> {
        let request = format!(
            "GET {} HTTP/1.1\r\nhost: {HOST}\r\nuser-agent: bench\r\naccept: */*\r\n{field}\r\n",
            target.path()
        );
        Ok(Self {
            stream: target.connect().await?,
            request: request.into_bytes(),
            bytes: target.bytes,
            read: Vec::with_capacity(HEAD_MAX + target.bytes),
        })
    }

    pub(super) async fn requests(mut self, count: usize) -> Result<Self> {
        for _ in 0..count {
            self.exchange().await?;
        }
        Ok(self)
    }

    /// Sends the request, and checks all of the answer.
    pub(super) async fn exchange(&mut self) -> Result<()> {
        self.stream.write_all(&self.request).await?;
        self.stream.flush().await?;
        self.read.clear();
        let head = loop {
            if let Some(end) = self
                .read
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                break end + 4;
            }
            ensure!(
                self.read.len() <= HEAD_MAX,
                "the answer's head does not end"
            );
            self.more().await?;
        };
        check_head(&self.read[..head], self.bytes)?;
        while self.read.len() < head + self.bytes {
            self.more().await?;
        }
        check_body(&self.read[head..], self.bytes)
    }

    async fn more(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.read).await?;
        ensure!(read > 0, "the proxy has ended the connection");
        Ok(())
    }
}

/// 200, and the length of the body told once.
fn check_head(head: &[u8], bytes: usize) -> Result<()> {
    let head = std::str::from_utf8(head)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 200 "), "answered {status}");
    let mut length = None;
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').context("a field without a colon")?;
        if name.eq_ignore_ascii_case("content-length") {
            ensure!(length.is_none(), "the length is told twice");
            length = Some(value.trim().parse::<usize>()?);
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("the length is not told");
        }
    }
    ensure!(length == Some(bytes), "{length:?} bytes instead of {bytes}");
    Ok(())
}

/// The origin's bytes, and nothing after them.
pub(super) fn check_body(body: &[u8], bytes: usize) -> Result<()> {
    ensure!(
        body.len() == bytes,
        "{} bytes instead of {bytes}",
        body.len()
    );
    ensure!(
        body.iter().all(|byte| *byte == FILLING),
        "the body is not the origin's"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_answer_counts() {
        let good = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nvia: 1.1 a\r\n\r\n";
        check_head(good.as_bytes(), 4).unwrap();
        for bad in [
            "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert!(check_head(bad.as_bytes(), 4).is_err(), "{bad}");
        }
        check_body(b"xxxx", 4).unwrap();
        assert!(check_body(b"xxx", 4).is_err());
        assert!(check_body(b"xxxy", 4).is_err());
    }
}
