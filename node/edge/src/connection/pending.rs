//! Handshakes for hostnames whose first certificate is being ordered, and for those that are
//! about to be authorized: they wait for it, where that is wanted, instead of failing.

use std::net::IpAddr;

use rustls::AlertDescription;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until},
};

use crate::{tls::resolver::Choice, view::Served, worker::Worker};

const REFUSED: Choice = Choice::Alert(AlertDescription::UnrecognisedName);

/// Waits until `name` has a certificate, the time for it is over, or the client goes away.
pub(super) async fn wait(worker: &Worker, stream: &TcpStream, name: String) -> Choice {
    let Ok(_place) = worker.waiting.try_acquire() else {
        worker.counters.names_without_certificate.add();
        return REFUSED;
    };
    first_certificate(worker, stream, name).await
}

/// Has `name`, which is not known, authorized if it may be; then it is as any other that has
/// no certificate yet.
pub(super) async fn ask(
    worker: &Worker,
    stream: &TcpStream,
    client: IpAddr,
    name: String,
) -> Choice {
    let place = worker.waiting.try_acquire();
    let authorized = match (&worker.asking, &place) {
        (Some(asking), Ok(_)) => {
            let view = worker.view.load_full();
            tokio::select! {
                authorized = asking.authorize(&view, &name, client) => authorized,
                () = gone(stream) => return Choice::Close,
                () = worker.draining.cancelled() => false,
            }
        }
        (None, _) | (_, Err(_)) => false,
    };
    if authorized {
        return first_certificate(worker, stream, name).await;
    }
    worker.counters.names_unknown.add();
    REFUSED
}

async fn first_certificate(worker: &Worker, stream: &TcpStream, name: String) -> Choice {
    worker.counters.handshakes_waiting.add();
    let found = found(worker, stream, &name).await;
    worker.counters.handshakes_waiting.sub();
    match found {
        Some(Served::With { certificate, claim }) => {
            worker.counters.handshakes_waited.add();
            Choice::Serve {
                name,
                certificate,
                claim,
            }
        }
        Some(Served::Pending | Served::Unknown) => {
            worker.counters.names_without_certificate.add();
            REFUSED
        }
        None => Choice::Close,
    }
}

/// What there is for `name` in the end; `None`: the client has gone.
async fn found(worker: &Worker, stream: &TcpStream, name: &str) -> Option<Served> {
    let until = Instant::now() + worker.limits.wait_for_certificate;
    let mut published = worker.published.clone();
    let mut gone = std::pin::pin!(gone(stream));
    loop {
        // Marked as seen first, so that none is missed.
        published.borrow_and_update();
        let served = worker.view.load().served(name);
        if served != Served::Pending || Instant::now() >= until {
            return Some(served);
        }
        tokio::select! {
            changed = published.changed() => {
                if changed.is_err() {
                    return Some(served);
                }
            }
            () = sleep_until(until) => {}
            () = &mut gone => return None,
            () = worker.draining.cancelled() => return Some(served),
        }
    }
}

/// A client has nothing to say until it is answered: what comes before is its end.
async fn gone(stream: &TcpStream) {
    let ended = matches!(stream.peek(&mut [0]).await, Ok(0) | Err(_));
    if !ended {
        // It says something all the same, behind which its end cannot be seen.
        std::future::pending::<()>().await;
    }
}
