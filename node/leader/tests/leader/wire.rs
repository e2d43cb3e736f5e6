//! A road to the CA that can be cut: what is sent then stays in the sender's kernel, is
//! sent again and again, and arrives once the road is whole, if there is a sender still.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use leader::issuance::acme::{Dial, Stream, Tcp};
use socket2::{SockFilter, SockRef};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// Drops every segment (a classic BPF program of one instruction: return 0).
const DROP_ALL: [SockFilter; 1] = [SockFilter::new(0x06, 0, 0, 0)];

/// A relay on loopback between one client and the CA.
#[derive(Clone)]
pub(crate) struct Wire {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_cut: AtomicBool,
    ends: Mutex<Vec<std::net::TcpStream>>,
    /// Bytes for the CA that came through after the first cut.
    late: AtomicU64,
    was_cut: AtomicBool,
}

impl Wire {
    pub(crate) async fn to(ca: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        tokio::spawn(relay(listener, ca, shared.clone()));
        Self { port, shared }
    }

    pub(crate) fn cut(&self) {
        self.shared.is_cut.store(true, SeqCst);
        self.shared.was_cut.store(true, SeqCst);
        for end in self.shared.ends.lock().unwrap().iter() {
            SockRef::from(end).attach_filter(&DROP_ALL).unwrap();
        }
    }

    pub(crate) fn mend(&self) {
        self.shared.is_cut.store(false, SeqCst);
        for end in self.shared.ends.lock().unwrap().iter() {
            // One that is closed by now has none.
            let _ = SockRef::from(end).detach_filter();
        }
    }

    /// How many bytes came through to the CA after the first cut.
    pub(crate) fn late(&self) -> u64 {
        self.shared.late.load(SeqCst)
    }
}

async fn relay(listener: TcpListener, ca: std::net::SocketAddr, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let client = client.into_std().unwrap();
        let end = client.try_clone().unwrap();
        if shared.is_cut.load(SeqCst) {
            SockRef::from(&end).attach_filter(&DROP_ALL).unwrap();
        }
        shared.ends.lock().unwrap().push(end);
        let client = TcpStream::from_std(client).unwrap();
        let server = TcpStream::connect(ca).await.unwrap();
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::spawn(pump(from_client, to_server, Some(shared.clone())));
        tokio::spawn(pump(from_server, to_client, None));
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, counted: Option<Arc<Shared>>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if let Some(shared) = &counted
            && shared.was_cut.load(SeqCst)
        {
            shared.late.fetch_add(u64::try_from(read).unwrap(), SeqCst);
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[async_trait]
impl Dial for Wire {
    async fn dial(&self, _: &str, _: u16) -> io::Result<Box<dyn Stream>> {
        Tcp.dial("127.0.0.1", self.port).await
    }
}
