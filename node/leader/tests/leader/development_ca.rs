//! The whole road over loopback: instant-acme behind the fence, HTTPS, and the
//! development CA, which looks for the challenge's answer at an edge of a few lines.

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use devca::{Probing, Server};
use leader::issuance::{
    acme::{AcmeAuthorities, Dial, Tcp},
    authority::{Access, Authorities, Authority, AuthorityError},
};
use state::{State, Timestamp, ports::Lease};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    doubles::Steady,
    world::{Process, World, failed, served},
};

const NAME: &str = "shop.example";

/// A CA on a socket, under the account of the double.
pub(crate) struct Elsewhere {
    pub(crate) acme: AcmeAuthorities,
    pub(crate) directory: String,
    pub(crate) root: String,
}

impl Authorities for Elsewhere {
    fn open(&self, access: &Access<'_>) -> Result<Arc<dyn Authority>, AuthorityError> {
        self.acme.open(&Access {
            directory: &self.directory,
            trust_roots_pem: &self.root,
            ..*access
        })
    }
}

pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) ca: devca::Running,
}

impl Site {
    pub(crate) async fn start(edit: impl FnOnce(&mut devca::Config)) -> Self {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let world = World::at(Timestamp::from_secs(u64::try_from(now).unwrap()));
        let edge = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = edge.local_addr().unwrap().port();
        tokio::spawn(serve(edge, world.states.subscribe()));
        let clock = world.clock.clone();
        let mut config = devca::Config::new(
            ([127, 0, 0, 1], 0).into(),
            Probing::loopback(port, port),
            Arc::new(move || clock.now().as_secs()),
        );
        config.probing.texts = Some(Arc::new(Texts(world.states.subscribe())));
        let clock = world.clock.clone();
        let precise = move || Duration::from_millis(clock.now().0);
        config.precise_clock = Some(Arc::new(precise));
        edit(&mut config);
        Self {
            world,
            ca: Server::start(config).await.unwrap(),
        }
    }

    pub(crate) fn lead(&self) -> Process {
        let lease = Arc::new(Steady(self.world.term.clone()));
        self.world
            .lead_at(Arc::new(self.road(Arc::new(Tcp), lease)))
    }

    /// To this CA.
    pub(crate) fn road(&self, dial: Arc<dyn Dial>, lease: Arc<dyn Lease>) -> Elsewhere {
        Elsewhere {
            acme: AcmeAuthorities::new(dial, lease, self.world.clock.clone()),
            directory: self.ca.directory_url().to_owned(),
            root: self.ca.root_pem().to_owned(),
        }
    }

    #[track_caller]
    fn check(&self, name: &str) {
        let ledger = self.ca.ledger();
        assert_eq!(ledger.accounts.len(), 1);
        let names = [name];
        let issued: Vec<_> = ledger.certificates_for(&names).collect();
        assert_eq!(issued.len(), 1, "{name}");
        let state = self.world.state();
        let id = state.hostname(name).unwrap().certificate.unwrap();
        let certificate = state.certificate(&id).unwrap();
        assert_eq!(
            certificate.serial_hex().trim_start_matches('0'),
            issued[0].serial.trim_start_matches('0')
        );
    }
}

/// The DNS of the world, as far as the cluster answers for it: customers' delegations are
/// followed.
#[derive(Debug)]
struct Texts(watch::Receiver<Arc<State>>);

#[async_trait]
impl devca::LookUpText for Texts {
    async fn texts(&self, name: &str) -> io::Result<Vec<String>> {
        let state = self.0.borrow().clone();
        let hostname = name.strip_prefix("_acme-challenge.").unwrap_or_default();
        let target = state.delegation(hostname).unwrap_or_default();
        Ok(state.dns_challenges(target.split('.').next().unwrap_or_default()))
    }
}

/// An edge: it answers challenges from the state.
pub(crate) async fn serve(listener: TcpListener, states: watch::Receiver<Arc<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = states.borrow().clone();
        tokio::spawn(answer(stream, state));
    }
}

async fn answer(mut stream: TcpStream, state: Arc<State>) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut buffer = [0; 1024];
        let Ok(read @ 1..) = stream.read(&mut buffer).await else {
            return;
        };
        bytes.extend_from_slice(&buffer[..read]);
    }
    let request = String::from_utf8(bytes).unwrap();
    let path = request.split_whitespace().nth(1).unwrap_or_default();
    let token = path.strip_prefix("/.well-known/acme-challenge/");
    let challenge = token.and_then(|token| state.challenge(token));
    let answer = match challenge {
        Some(challenge) => {
            let body = challenge.key_authorization;
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
        None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
    };
    let _ = stream.write_all(answer.as_bytes()).await;
}

#[tokio::test]
async fn a_hostname_gets_its_certificate() {
    let site = Site::start(|_| {}).await;
    site.world.alone.authorize(NAME);
    let begun = site.world.clock.boottime();
    let mut leader = site.lead();
    leader.until(served(NAME)).await;
    let took = site.world.clock.boottime() - begun;
    assert!(took < Duration::from_secs(5), "{took:?}");
    site.check(NAME);
    let state = site.world.state();
    assert!(state.cas().all(|ca| ca.takes_orders()));
    assert_eq!(leader.running.metrics().outages, 0);
    leader.running.shutdown().await;
    site.ca.shutdown().await;
}

#[tokio::test]
async fn many_hostnames_get_theirs_beside_each_other() {
    let site = Site::start(|_| {}).await;
    let names: Vec<String> = (0..20).map(|number| format!("n{number}.example")).collect();
    for name in &names {
        site.world.alone.authorize(name);
    }
    let mut leader = site.lead();
    let count = names.len();
    leader
        .until(|state| state.certificates().count() == count && state.order_count() == 0)
        .await;
    for name in &names {
        site.check(name);
    }
    assert_eq!(site.ca.ledger().certificates.len(), count);
    let metrics = leader.running.metrics();
    assert_eq!((metrics.outages, metrics.failed), (0, [0; 5]));
}

#[tokio::test]
async fn an_order_in_processing_is_waited_for() {
    let site = Site::start(|config| config.issue_delay = Duration::from_secs(1)).await;
    site.world.alone.authorize(NAME);
    let mut leader = site.lead();
    leader.until(served(NAME)).await;
    site.check(NAME);
}

#[tokio::test]
async fn the_next_leader_finishes_what_the_last_began() {
    let site = Site::start(|config| config.issue_delay = Duration::from_secs(1)).await;
    site.world.alone.authorize(NAME);
    for stage in ["admitted", "prepared", "ready-intent", "finalize-intent"] {
        let mut leader = site.lead();
        leader
            .until(|state| {
                let mut orders = state.orders();
                orders.any(|order| order.stage.as_str() == stage) || served(NAME)(state)
            })
            .await;
    }
    let mut heir = site.lead();
    heir.until(served(NAME)).await;
    site.check(NAME);
}

#[tokio::test]
async fn a_name_that_is_not_here_fails_with_the_words_of_the_ca() {
    // Nobody listens at this port any more.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = gone.local_addr().unwrap().port();
    drop(gone);
    let site = Site::start(|config| config.probing = Probing::loopback(port, port)).await;
    site.world.alone.authorize(NAME);
    let mut leader = site.lead();
    leader.until(failed(NAME)).await;
    let state = site.world.state();
    let failure = state.hostname(NAME).unwrap().failure.clone().unwrap();
    assert_eq!(
        failure.class,
        state::FailureClass::Challenge,
        "{}",
        failure.reason
    );
    assert!(
        failure.reason.starts_with("connection: "),
        "{}",
        failure.reason
    );
}
