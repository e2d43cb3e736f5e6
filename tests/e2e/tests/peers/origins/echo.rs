//! Says what it was asked, for programs that can only pass it on.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::messages::{self, latin};

/// Listens until it is dropped.
pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    _accepting: JoinSet<()>,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                connections.spawn(answer(stream));
            }
        });
        Self {
            address,
            _accepting: accepting,
        }
    }
}

async fn answer(mut stream: TcpStream) {
    let mut read = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut read).await {
        match messages::request(&read) {
            Ok(None) => {}
            Ok(Some((request, took))) => {
                read.drain(..took);
                let (method, target) = (request.word(0), request.word(1));
                let told = latin(&format!("{method} {target}\n"));
                let length = told.len() + request.body.len();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                let told = [head.as_bytes(), &told, &request.body].concat();
                if stream.write_all(&told).await.is_err() {
                    return;
                }
            }
            Err(why) => {
                let head = "HTTP/1.1 500 Not as it must be\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all((head.to_owned() + &why).as_bytes()).await;
                return;
            }
        }
    }
}
