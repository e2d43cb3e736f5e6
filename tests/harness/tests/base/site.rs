//! A web site that answers http-01 for every name, as it is told.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Longer request heads come from nobody here.
const HEAD: usize = 8_192;

/// A running site; dropping it takes it off the net.
pub(crate) struct Site {
    pub(crate) port: u16,
    answers: Answers,
    task: AbortHandle,
}

/// Answers by token.
type Answers = Arc<Mutex<HashMap<String, String>>>;

impl Site {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = Answers::default();
        let served = serve(listener, Arc::clone(&answers));
        Self {
            port,
            answers,
            task: tokio::spawn(served).abort_handle(),
        }
    }

    pub(crate) fn answer(&self, token: &str, answer: &str) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(token.to_owned(), answer.to_owned());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, answers: Answers) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, Arc::clone(&answers)));
    }
}

async fn answer(mut stream: TcpStream, answers: Answers) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let token = head
        .split(' ')
        .nth(1)
        .and_then(|path| path.strip_prefix("/.well-known/acme-challenge/"));
    let found = token.and_then(|token| answers.lock().unwrap().get(token).cloned());
    let (status, body) = match found {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", String::new()),
    };
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let _ = stream.write_all(answer.as_bytes()).await;
}
