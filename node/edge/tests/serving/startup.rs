//! Serving while the first state is still being read.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use edge::Running;
use rustls::pki_types::CertificateDer;
use state::{
    State,
    codec::{DecodeError, record::kind},
    ports::{Bodies as _, BodiesError, Reading},
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::watch, time::timeout};

use crate::rig::{HOST, Options, PATIENCE, Rig, read_for};

/// Not one that is read.
const DAMAGED: &str = "damaged.client.example";

/// A store from which records are read one by one.
struct Shelf {
    whole: Arc<State>,
    so_far: Mutex<State>,
    asked: AtomicUsize,
}

impl Shelf {
    fn new(whole: Arc<State>) -> Self {
        let mut so_far = State::default();
        for (key, value) in whole.records() {
            let few = |(from, to): &(u8, u8)| (*from..*to).contains(&key[0]);
            if kind::FEW.iter().any(few) {
                so_far.load(&key, &value).unwrap();
            }
        }
        so_far.advance(whole.index());
        Self {
            whole,
            so_far: Mutex::new(so_far),
            asked: AtomicUsize::new(0),
        }
    }
}

impl Reading for Shelf {
    fn so_far(&self) -> Arc<State> {
        Arc::new(self.so_far.lock().unwrap().clone())
    }

    fn look_up(&self, name: &str) -> Result<(), BodiesError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if name == DAMAGED {
            return Err(BodiesError::Store("the disk failed".to_owned()));
        }
        let read = |wanted: &[u8]| {
            let found = self.whole.records().find(|(key, _)| key == wanted);
            Ok::<_, DecodeError>(found.map(|(_, value)| value))
        };
        let mut so_far = self.so_far.lock().unwrap();
        so_far.load_served(name, read).unwrap();
        Ok(())
    }
}

/// An edge that knows the state of `rig` from a shelf only, until it is sent.
fn starting(rig: &Rig) -> (Running, Arc<Shelf>, watch::Sender<Arc<State>>) {
    let shelf = Arc::new(Shelf::new(rig.alone.state()));
    let (send, states) = watch::channel(Arc::default());
    let edge = rig.successor(Options {
        cores: 1,
        reading: shelf.clone(),
        states: Some(states),
        ..Options::default()
    });
    (edge, shelf, send)
}

/// The certificate that a client for `name` is shown.
async fn shown(rig: &Rig, edge: &Running, name: &str) -> Option<CertificateDer<'static>> {
    let client = rig.ca.client(&["h2"]);
    let stream = rig.connect_to(edge, name, client).await.ok()?;
    let certificates = stream.get_ref().1.peer_certificates();
    Some(certificates?[0].clone())
}

/// The certificate that a hostname has.
fn own(rig: &Rig, name: &str) -> CertificateDer<'static> {
    let state = rig.alone.state();
    let id = state.hostname(name).unwrap().certificate.unwrap();
    let body = rig.store.certificate(state.certificate(&id).unwrap());
    body.unwrap().unwrap().chain[0].to_vec().into()
}

#[tokio::test]
async fn hostnames_are_served_before_all_are_read() {
    let rig = Rig::start();
    rig.serve("other.client.example");
    let (edge, shelf, _states) = starting(&rig);
    for name in [HOST, "other.client.example", HOST] {
        assert_eq!(shown(&rig, &edge, name).await, Some(own(&rig, name)));
    }
    assert_eq!(shown(&rig, &edge, "unknown.example").await, None);
    assert_eq!(shelf.so_far().hostname_count(), 2);
}

#[tokio::test]
async fn the_http_port_knows_hostnames_before_all_are_read() {
    let rig = Rig::start();
    let (edge, ..) = starting(&rig);
    for (name, expected) in [(HOST, "HTTP/1.1 308"), ("unknown.example", "HTTP/1.1 421")] {
        let mut stream = TcpStream::connect(edge.addresses().http).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nhost: {name}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_for(&mut stream, Duration::from_millis(300)).await;
        assert!(answer.starts_with(expected), "{name}: {answer}");
    }
}

#[tokio::test]
async fn an_exact_hostname_counts_before_the_one_above_though_that_was_read_first() {
    let rig = Rig::start();
    rig.serve_wildcard("wild.client.example");
    rig.serve("own.wild.client.example");
    let (edge, ..) = starting(&rig);
    for (name, of) in [
        ("any.wild.client.example", "wild.client.example"),
        ("own.wild.client.example", "own.wild.client.example"),
    ] {
        let certificate = shown(&rig, &edge, name).await;
        assert_eq!(certificate, Some(own(&rig, of)), "{name}");
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_read_fails_alone() {
    let rig = Rig::start();
    rig.serve(DAMAGED);
    let (edge, ..) = starting(&rig);
    assert_eq!(shown(&rig, &edge, DAMAGED).await, None);
    assert!(shown(&rig, &edge, HOST).await.is_some());
}

#[tokio::test]
async fn nothing_is_looked_up_once_the_state_is_whole() {
    let rig = Rig::start();
    let (edge, shelf, states) = starting(&rig);
    states.send_replace(rig.alone.state());
    let whole = async {
        let mut asked = usize::MAX;
        while asked != shelf.asked.load(Ordering::Relaxed) {
            asked = shelf.asked.load(Ordering::Relaxed);
            assert!(shown(&rig, &edge, HOST).await.is_some());
        }
    };
    timeout(PATIENCE, whole).await.unwrap();
    assert_eq!(shown(&rig, &edge, "unknown.example").await, None);
}
