//! A load balancer before the nodes, as one stands before a real cluster: each
//! connection goes to the next node that takes it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

/// Connections at once: a CA that validates a hundred challenges three times each. More
/// wait in the listener's queue.
const CONNECTIONS: usize = 300;

/// A balancer that runs until it is dropped.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    targets: Arc<Mutex<Vec<SocketAddr>>>,
    _accepting: AbortOnDropHandle<()>,
}

impl Balancer {
    /// On a free port of `ip`, without any target: all connections are closed.
    pub async fn start(ip: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let targets = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let accepting = tokio::spawn(accept(listener, targets.clone()));
        Self {
            address,
            targets,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From the next connection on, these in turn. One that takes no connection is passed
    /// over, one that takes it and says nothing is not.
    pub fn spread_over(&self, targets: Vec<SocketAddr>) {
        *self.targets.lock().unwrap_or_else(PoisonError::into_inner) = targets;
    }
}

async fn accept(listener: TcpListener, targets: Arc<Mutex<Vec<SocketAddr>>>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let turn = Arc::<AtomicUsize>::default();
    let mut connections = JoinSet::new();
    loop {
        let permit = permits.clone().acquire_owned().await.unwrap();
        while connections.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let targets = targets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let first = turn.fetch_add(1, Relaxed);
        connections.spawn(async move {
            pass(client, &targets, first).await;
            drop(permit);
        });
    }
}

/// To the first that takes it, beginning with the one whose turn it is.
async fn pass(mut client: TcpStream, targets: &[SocketAddr], first: usize) {
    let count = targets.len();
    for place in first..first.saturating_add(count) {
        let target = targets[place % count];
        if let Ok(mut node) = TcpStream::connect(target).await {
            // Either end may break off; the other sees that.
            let _ = copy_bidirectional(&mut client, &mut node).await;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Says `word` to whoever comes.
    async fn speaker(word: &'static str) -> (SocketAddr, AbortOnDropHandle<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let speaking = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.write_all(word.as_bytes()).await.unwrap();
            }
        });
        (address, AbortOnDropHandle::new(speaking))
    }

    async fn heard(balancer: &Balancer) -> String {
        let mut stream = TcpStream::connect(balancer.address()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn connections_go_round_and_pass_over_who_is_down() {
        let balancer = Balancer::start(Ipv4Addr::LOCALHOST).await;
        let ((one, _one), (two, _two)) = (speaker("1").await, speaker("2").await);
        let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let nobody = gone.local_addr().unwrap();
        drop(gone);
        balancer.spread_over(vec![one, nobody, two]);
        let mut words = String::new();
        for _ in 0..6 {
            words.push_str(&heard(&balancer).await);
        }
        assert_eq!(words, "122122");
        balancer.spread_over(vec![two]);
        assert_eq!(heard(&balancer).await, "2");
    }
}
