//! Who stands between the edge and an origin, and notes down both directions of every
//! connection. What the edge wrote is read strictly, and what the origin answered is counted:
//! an origin that sees two requests where one was sent answers twice.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::messages::{self, Message};

/// Listens until it is dropped.
pub(crate) struct Witness {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Arc<Mutex<Pair>>>>>,
    _accepting: JoinSet<()>,
}

/// A connection's bytes that were not taken yet.
#[derive(Default)]
struct Pair {
    sent: Vec<u8>,
    answered: Vec<u8>,
    /// The edge has closed it, or the origin.
    ended: bool,
}

/// A request and the answer to it.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Message,
    pub(crate) answer: Message,
}

/// What was noted since it was last asked for.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    pub(crate) exchanges: Vec<Exchange>,
    /// What was answered to requests that broke off before their end, and took their
    /// connection with them: an origin may say early that it will not have one.
    pub(crate) broken_off: Vec<Option<Message>>,
}

impl Witness {
    pub(crate) async fn start(origin: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Arc<Mutex<Pair>>>>>::default();
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, origin, Arc::clone(&seen)));
        Self {
            address,
            seen,
            _accepting: accepting,
        }
    }

    /// Every request is answered, or is gone with its connection; or why that can never be.
    pub(crate) fn settled(&self) -> Result<bool, String> {
        let seen = lock(&self.seen).clone();
        for pair in &seen {
            let pair = lock(pair);
            let (mut sent, mut answered) = (&*pair.sent, &*pair.answered);
            while take(&mut sent, &mut answered, pair.ended)?.is_some() {}
            let quiet = sent.is_empty() && answered.is_empty();
            if !pair.ended && !quiet {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A whole request waits for its answer.
    pub(crate) fn waits(&self) -> bool {
        let seen = lock(&self.seen).clone();
        seen.iter().any(|pair| {
            let pair = lock(pair);
            let (mut sent, mut answered) = (&*pair.sent, &*pair.answered);
            while matches!(take(&mut sent, &mut answered, pair.ended), Ok(Some(_))) {}
            !pair.ended && matches!(messages::request(sent), Ok(Some(_)))
        })
    }

    /// All since the last time, once it has settled.
    pub(crate) fn take(&self) -> Result<Noted, String> {
        let mut noted = Noted::default();
        let mut seen = lock(&self.seen);
        for pair in seen.iter() {
            let mut pair = lock(pair);
            let (mut sent, mut answered) = (&*pair.sent, &*pair.answered);
            while let Some(exchange) = take(&mut sent, &mut answered, pair.ended)? {
                noted.exchanges.push(exchange);
            }
            match (sent.is_empty(), answered.is_empty()) {
                (true, true) => {}
                // It may have been answered before its end, but once only.
                (false, _) => {
                    let told = messages::response(answered, true)?;
                    let took = told.as_ref().map_or(0, |(_, took)| *took);
                    if told.is_some() && took < answered.len() {
                        return Err(format!("answered twice: {}", text(answered)));
                    }
                    noted.broken_off.push(told.map(|(answer, _)| answer));
                }
                (true, false) => return Err(format!("nobody asked: {}", text(answered))),
            }
            pair.sent.clear();
            pair.answered.clear();
        }
        seen.retain(|pair| !lock(pair).ended);
        Ok(noted)
    }
}

/// The next exchange of two directions, if both are whole.
fn take(sent: &mut &[u8], answered: &mut &[u8], ended: bool) -> Result<Option<Exchange>, String> {
    let of = |error: String, bytes: &[u8]| format!("{error}, in {}", text(bytes));
    let request = messages::request(sent).map_err(|error| of(error, sent))?;
    let answer = messages::response(answered, ended).map_err(|error| of(error, answered))?;
    let (Some((request, asked)), Some((answer, told))) = (request, answer) else {
        return Ok(None);
    };
    *sent = &sent[asked..];
    *answered = &answered[told..];
    Ok(Some(Exchange { request, answer }))
}

fn text(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(
    listener: TcpListener,
    origin: SocketAddr,
    seen: Arc<Mutex<Vec<Arc<Mutex<Pair>>>>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((edge, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let pair = Arc::<Mutex<Pair>>::default();
        lock(&seen).push(Arc::clone(&pair));
        connections.spawn(async move {
            if let Ok(origin) = TcpStream::connect(origin).await {
                let (from_edge, to_edge) = edge.into_split();
                let (from_origin, to_origin) = origin.into_split();
                tokio::select! {
                    () = pass(from_edge, to_origin, |bytes| lock(&pair).sent.extend(bytes)) => {}
                    () = pass(from_origin, to_edge, |bytes| lock(&pair).answered.extend(bytes)) => {}
                }
            }
            lock(&pair).ended = true;
        });
    }
}

/// Noted before it is passed on: whoever has an answer finds it noted.
async fn pass<R, W>(mut from: R, mut to: W, note: impl Fn(&[u8]))
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        note(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
