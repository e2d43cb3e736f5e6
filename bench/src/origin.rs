//! The origin behind all proxies: HTTP/1.1 with kept connections, as many bytes as the
//! target says, and as little work as possible.

use std::{net::SocketAddr, thread};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime,
};

/// What bodies are made of.
pub(crate) const FILLING: u8 = b'x';
/// Largest body it gives.
const BODY_MAX: usize = 1 << 20;
/// Longest head it takes.
const HEAD_MAX: usize = 16 << 10;

/// The target of a body of `length` bytes.
pub(crate) fn target(length: usize) -> String {
    format!("/bytes/{length}")
}

/// Serves on a thread and a runtime of its own until the process ends, on the core of
/// who calls.
pub(crate) fn start() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no port for the origin")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    thread::Builder::new()
        .name("origin".to_owned())
        .spawn(move || runtime.block_on(accept(listener)))?;
    Ok(address)
}

async fn accept(listener: std::net::TcpListener) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            // A proxy that goes away needs no answer.
            let _ = serve(stream).await;
        });
    }
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut read = Vec::with_capacity(HEAD_MAX);
    let (mut asked, mut answer) = (Vec::new(), Vec::new());
    loop {
        let Some(end) = head_end(&read) else {
            if read.len() > HEAD_MAX || stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let line = read.split(|byte| *byte == b'\r').next().unwrap_or_default();
        if line != asked {
            answer = response(line);
            asked = line.to_vec();
        }
        read.drain(..end);
        stream.write_all(&answer).await?;
    }
}

fn head_end(read: &[u8]) -> Option<usize> {
    let end = read.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(end + 4)
}

fn response(line: &[u8]) -> Vec<u8> {
    let length = std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.strip_prefix("GET /bytes/"))
        .and_then(|line| line.split(' ').next()?.parse::<usize>().ok())
        .filter(|length| *length <= BODY_MAX);
    let Some(length) = length else {
        return b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec();
    };
    let mut response = format!(
        "HTTP/1.1 200 OK\r\nserver: origin\r\ndate: Mon, 05 Jan 2026 08:00:00 GMT\r\n\
         content-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes();
    response.resize(response.len() + length, FILLING);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_says_how_many_bytes() {
        let answer = response(b"GET /bytes/3 HTTP/1.1");
        assert!(answer.starts_with(b"HTTP/1.1 200"));
        assert!(answer.ends_with(b"content-length: 3\r\n\r\nxxx"));
        for bad in ["GET / HTTP/1.1", "GET /bytes/9999999 HTTP/1.1", ""] {
            assert!(
                response(bad.as_bytes()).starts_with(b"HTTP/1.1 404"),
                "{bad}"
            );
        }
    }
}
