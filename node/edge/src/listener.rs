//! Listening sockets: one pair a core on the same two addresses
//! (SO_REUSEPORT), or shared by the cores if they were inherited.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use futures_util::FutureExt;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{net::TcpStream, time::sleep};

use crate::{
    admission::{Network, Place, Refused},
    connection::{Activity, Entry},
    limits::{ACCEPT_PAUSE, BACKLOG},
    metrics::Counters,
    policy::allowance::Connected,
    worker::Worker,
};

/// One core's listeners.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) https: Listener,
    pub(crate) http: Listener,
}

/// One core's listener on one port.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    /// Somebody else holds it too, and who waits in its queue may wait for our successor.
    outlives_us: bool,
}

impl Listener {
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if address.is_ipv6() {
            // `[::]` is both families, whatever the system's default is.
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self {
            socket: socket.into(),
            outlives_us: false,
        })
    }
}

/// Binds `cores` listeners to one address. With port 0 the first draws a port
/// and the others take the same.
///
/// # Errors
///
/// The address is in use, not ours, or needs a privilege.
pub(crate) fn bind(address: SocketAddr, cores: usize) -> io::Result<Vec<Listener>> {
    let first = Listener::bind(address)?;
    let address = first.address()?;
    let mut listeners = vec![first];
    for _ in 1..cores {
        listeners.push(Listener::bind(address)?);
    }
    Ok(listeners)
}

/// Shares inherited sockets out to `cores`. The kernel gives each connection to one socket,
/// and to whichever core asks first if several share it; so a socket without a core would
/// swallow its part of the connections.
///
/// # Errors
///
/// There are more sockets than cores, or one is no listening socket.
pub(crate) fn share(sockets: &[TcpListener], cores: usize) -> io::Result<Vec<Listener>> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    if sockets.len() > cores {
        let count = sockets.len();
        return Err(invalid(format!(
            "{count} sockets were inherited for {cores} threads: raise edge.threads, or let there be fewer"
        )));
    }
    for socket in sockets {
        if !SockRef::from(socket).is_listener()? {
            return Err(invalid("an inherited socket does not listen".to_owned()));
        }
        socket.set_nonblocking(true)?;
    }
    let shared = sockets.iter().cycle().take(cores).map(|socket| {
        Ok(Listener {
            socket: socket.try_clone()?,
            outlives_us: true,
        })
    });
    shared.collect()
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Https,
    Http,
}

/// Accepts until the core closes its listeners, then takes what the kernel has queued already
/// and closes the listener: those clients were told that they are connected. A socket that
/// outlives us is let go of when the core begins to drain, and its queue left.
pub(crate) async fn accept<F, Fut>(worker: Arc<Worker>, listener: Listener, port: Port, serve: F)
where
    F: Fn(Arc<Worker>, TcpStream, Admitted) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (outlives_us, end) = match listener.outlives_us {
        true => (true, &worker.draining),
        false => (false, &worker.closing),
    };
    let listener = match tokio::net::TcpListener::from_std(listener.socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a listener cannot be used");
            return;
        }
    };
    loop {
        let accepted = tokio::select! {
            biased;
            () = end.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => take(&worker, stream, address, port, &serve),
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                worker.counters.accept_failures.add();
                tracing::debug!(%error, "cannot accept");
                worker.shed_resting();
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    if outlives_us {
        return;
    }
    while let Some(Ok((stream, address))) = listener.accept().now_or_never() {
        take(&worker, stream, address, port, &serve);
    }
}

fn take<F, Fut>(worker: &Arc<Worker>, stream: TcpStream, address: SocketAddr, port: Port, serve: &F)
where
    F: Fn(Arc<Worker>, TcpStream, Admitted) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    worker.counters.connections.add();
    match Admitted::of(worker, address, port) {
        Ok(admitted) => {
            if stream.set_nodelay(true).is_err() {
                return; // it has gone already
            }
            let served = serve(Arc::clone(worker), stream, admitted);
            worker.tasks.spawn(served);
        }
        Err(refused) => worker.refuse(stream, refused),
    }
}

impl Worker {
    /// Ends a connection at once, and leaves nothing of it behind in the kernel.
    pub(crate) fn refuse(&self, stream: TcpStream, refused: Refused) {
        let counters = &self.counters;
        match refused {
            Refused::Full => counters.refused_full.add(),
            Refused::Memory => counters.refused_memory.add(),
            Refused::Client => counters.refused_client.add(),
            Refused::Handshakes => counters.refused_handshakes.add(),
        }
        // If it does not work, the end is only less sudden.
        let _ = stream.set_zero_linger();
    }
}

/// A connection's place among those that the node may hold, until it and its
/// tunnel have ended.
pub(crate) struct Admitted {
    /// The client: the other end of the socket, or who that says it is.
    pub(crate) address: SocketAddr,
    pub(crate) activity: Arc<Activity>,
    counters: Arc<Counters>,
    handshake: Option<Handshake>,
    _client: Option<Connected<Network>>,
    _place: Place,
    _entry: Entry,
}

impl Admitted {
    fn of(worker: &Worker, address: SocketAddr, port: Port) -> Result<Self, Refused> {
        let admission = &worker.admission;
        let (room, fronts) = match port {
            Port::Https => (&admission.https, &worker.fronts.https),
            Port::Http => (&admission.http, &worker.fronts.http),
        };
        if admission.is_crowded(room) {
            worker.shed_resting();
        }
        let place = admission.enter(room)?;
        // A listener for both families shows IPv4 as ::ffff:a.b.c.d.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        // Where somebody stands in front, its client is not known yet.
        let client = match fronts.is_empty() {
            true => admission.know(address, &worker.limits)?,
            false => None,
        };
        let handshake = match port {
            Port::Https => Some(Handshake::begin(worker)?),
            Port::Http => None,
        };
        let activity = Activity::new();
        worker.counters.connections_open.add();
        Ok(Self {
            address,
            counters: Arc::clone(&worker.counters),
            handshake,
            _client: client,
            _place: place,
            _entry: worker.roll.enter(&activity),
            activity,
        })
    }

    /// Somebody in front has said who the client is.
    pub(crate) fn introduce(&mut self, worker: &Worker, client: SocketAddr) -> Result<(), Refused> {
        self.address = client;
        self._client = worker.admission.know(client, &worker.limits)?;
        Ok(())
    }

    /// It is ready for requests.
    pub(crate) fn serves(&mut self, times_heads: bool) {
        self.handshake = None;
        self.activity.serves(times_heads);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.counters.connections_open.sub();
    }
}

/// A handshake under way, until it is dropped.
struct Handshake(Arc<Counters>);

impl Handshake {
    fn begin(worker: &Worker) -> Result<Self, Refused> {
        let open = &worker.counters.handshakes_open;
        if open.get() >= worker.limits.handshakes {
            worker.shed_silent();
            // They leave a moment from now; until then there is room for as many again.
            if open.get() >= worker.limits.handshakes.saturating_mul(2) {
                return Err(Refused::Handshakes);
            }
        }
        open.add();
        Ok(Self(Arc::clone(&worker.counters)))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.handshakes_open.sub();
    }
}

/// The connection went away between its arrival and `accept`.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ports of an edge may be 0: SO_REUSEPORT must not let them be the same.
    #[test]
    fn ports_that_are_drawn_are_all_different() {
        let mut held = Vec::new();
        for _ in 0..500 {
            for text in ["127.0.0.1:0", "[::]:0"] {
                held.extend(bind(text.parse().unwrap(), 1).unwrap());
            }
        }
        let mut ports: Vec<u16> = held
            .iter()
            .map(|listener| listener.address().unwrap().port())
            .collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), held.len());
    }

    #[test]
    fn cores_share_what_they_inherit() {
        let one = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (first, second) = (one(), one());
        let ports: Vec<u16> = [&first, &second, &first]
            .map(|socket| socket.local_addr().unwrap().port())
            .to_vec();
        let shared = share(&[first, second], 3).unwrap();
        let got: Vec<u16> = shared
            .iter()
            .map(|listener| listener.address().unwrap().port())
            .collect();
        assert_eq!(got, ports);
        let error = share(&[one(), one()], 1).unwrap_err().to_string();
        assert!(error.starts_with("2 sockets were inherited"), "{error}");
        let idle = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        assert!(share(&[idle.into()], 1).is_err());
    }
}
