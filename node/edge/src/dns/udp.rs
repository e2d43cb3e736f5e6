//! Datagrams: taken one after the other and answered at once, so that there is
//! nothing to queue but in the kernel.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    net::UdpSocket,
    time::{Instant, sleep},
};

use super::{
    Server,
    limits::{PAUSE, QUERY},
    query::{self, Heard},
    rate::Verdict,
    reply,
    respond::{Transport, respond},
};

/// Answers until its task is ended.
pub(crate) async fn serve(server: Arc<Server>, socket: UdpSocket) {
    let mut buffer = vec![0; QUERY];
    loop {
        server.pace.take(&server.counters).await;
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                server.counters.socket_failures.add();
                tracing::warn!(%error, "cannot receive queries");
                sleep(PAUSE).await;
                continue;
            }
        };
        server.counters.datagrams.add();
        let Some(answer) = answer(&server, &buffer[..length], from) else {
            continue;
        };
        // Who cannot be sent to at once loses the answer, as on any network.
        if socket.try_send_to(&answer, from).is_err() {
            server.counters.unsent.add();
        }
    }
}

fn answer(server: &Server, bytes: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let heard = query::read(bytes);
    if from.port() == 0 || heard == Heard::Noise {
        server.counters.noise.add();
        return None;
    }
    match server.judge(from.ip().into(), Instant::now()) {
        Verdict::Answer => respond(&heard, Transport::Udp, &*server.answers, &server.counters),
        Verdict::Slip if let Heard::Query(query) = &heard => {
            server.counters.slipped.add();
            Some(reply::ask_again(query))
        }
        Verdict::Slip | Verdict::Drop => {
            server.counters.limited.add();
            None
        }
    }
}
