//! An edge, an origin behind it, the witness between, and a client's way to say bytes.

use std::time::Duration;

use harness::wait;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::client::TlsStream;

use crate::{
    edge::{Edge, HOST},
    origins::Origin,
    witness::{Noted, Witness},
};

/// A conversation that goes on for longer hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Silence after which it is looked whether anything is to come.
const SILENCE: Duration = Duration::from_millis(100);

pub(super) struct Road {
    pub(super) edge: Edge,
    witness: Witness,
}

/// What comes next in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There is more to read.
    More,
    /// The edge waits for the client.
    Nothing,
    /// The edge has ended it.
    End,
}

impl Road {
    pub(super) async fn to(origin: &Origin) -> Self {
        let witness = Witness::start(origin.address).await;
        let url = format!("http://{}", witness.address);
        let edge = Edge::set(&["--origins", &url]).await;
        let road = Self { edge, witness };
        road.settled().await.unwrap();
        road
    }

    /// What the witness has noted, once nothing is under way any more: the edge lets go of
    /// what its client left half said.
    pub(super) async fn settled(&self) -> Result<Noted, String> {
        let settled = wait::within(PATIENCE, || async {
            match self.witness.settled() {
                Ok(false) => None,
                Ok(true) => Some(Ok(())),
                Err(why) => Some(Err(why)),
            }
        });
        settled
            .await
            .ok_or("an origin waits for a request's end")??;
        self.witness.take()
    }

    /// Begins to talk by saying all of this.
    pub(super) async fn say(&self, alpn: &str, bytes: &[u8]) -> Talk<'_> {
        let mut stream = self.edge.connect(alpn).await;
        // It may be closed before it has taken all.
        let _ = stream.write_all(bytes).await;
        Talk {
            road: self,
            stream,
            read: Vec::new(),
            began: Instant::now(),
            looked: false,
        }
    }

    /// Asks the edge for what it answers by itself. It has one thread for all clients: what
    /// they said before has been read then.
    async fn has_caught_up(&self) -> bool {
        let mut stream = self.edge.connect("http/1.1").await;
        let text = format!("OPTIONS * HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        read.starts_with(b"HTTP/1.1 204 ")
    }
}

pub(super) struct Talk<'a> {
    road: &'a Road,
    stream: TlsStream<TcpStream>,
    /// What was heard and not taken yet.
    pub(super) read: Vec<u8>,
    began: Instant,
    /// Nothing was under way when it was last looked.
    looked: bool,
}

impl Talk<'_> {
    /// Says more, if that is still heard.
    pub(super) async fn say(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    pub(super) async fn next(&mut self) -> Result<Next, String> {
        loop {
            match timeout(SILENCE, self.stream.read_buf(&mut self.read)).await {
                Ok(Ok(1..)) => {
                    self.looked = false;
                    return Ok(Next::More);
                }
                Ok(Ok(0) | Err(_)) => return Ok(Next::End),
                Err(_) if self.began.elapsed() > PATIENCE => return Err("it hangs".to_owned()),
                Err(_) if self.road.witness.waits() => self.looked = false,
                Err(_) if self.looked => return Ok(Next::Nothing),
                Err(_) => self.looked = self.road.has_caught_up().await,
            }
        }
    }
}
