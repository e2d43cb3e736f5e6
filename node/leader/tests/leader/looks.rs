//! DNS and web as a book: what names have is written in it, and every vantage reads the
//! same. Our nodes answer wherever a name points.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use leader::{
    issuance::pace::Jitter,
    verification::{
        agreement::Agreement,
        answer::{Answer, Data, Kind, Look, Outcome, Property, Sighting, Vantage},
        fetch::Fetch,
        name::DnsName,
        ownership::Rules,
        page::{Page, Port},
        probe::Prober,
        resolver::Resolver,
        survey::Surveyor,
    },
};
use state::{
    Hostname,
    ports::Reach as _,
    reach::{Nonce, PATH},
    testing::Known,
};
use tokio::time::sleep;

/// Where the cluster is reached.
pub(crate) const HERE: &str = "198.51.100.7";

/// What the world knows of names.
#[derive(Default)]
pub(crate) struct Book {
    records: Mutex<BTreeMap<(String, Kind), Answer>>,
    blind: AtomicBool,
    asked: AtomicUsize,
    claims: Mutex<Claims>,
}

/// How many claims are looked at.
#[derive(Default)]
struct Claims {
    now: usize,
    most: usize,
}

impl Book {
    /// Writes `CNAME a | CNAME b | record | record`, or `nothing`, at a name.
    pub(crate) fn write(&self, name: &str, kind: Kind, sketch: &str) {
        let mut answer = Answer::plain(Outcome::NoData);
        let mut records = Vec::new();
        for part in sketch.split(" | ") {
            match part.strip_prefix("CNAME ") {
                Some(target) => answer.chain.push(DnsName::parse(target).unwrap()),
                None if part == "nothing" => {}
                None => records.push(data(kind, part)),
            }
        }
        if !records.is_empty() {
            answer.outcome = Outcome::Records(records);
        }
        self.records().insert((name.to_owned(), kind), answer);
    }

    /// Whether nobody answers any question.
    pub(crate) fn blind(&self, blind: bool) {
        self.blind.store(blind, SeqCst);
    }

    /// Questions that were asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    /// Most claims that were looked at at once.
    pub(crate) fn most_claims(&self) -> usize {
        self.claims.lock().unwrap().most
    }

    pub(crate) fn surveyor(self: &Arc<Self>) -> Surveyor {
        let prober = Prober {
            resolver: self.clone(),
            fetch: self.clone(),
            reach: Arc::new(Known),
            jitter: Arc::new(SameEachTime),
            http_port: 80,
            tls_port: 443,
        };
        let agreement = Agreement {
            recursive: 1,
            authoritative: true,
        };
        Surveyor::new(
            prober,
            Rules {
                agreement,
                traffic: true,
            },
        )
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<(String, Kind), Answer>> {
        self.records.lock().unwrap()
    }

    fn answer(&self, name: &DnsName, kind: Kind) -> Answer {
        if self.blind.load(SeqCst) {
            return Answer::plain(Outcome::Timeout);
        }
        let written = self.records().get(&(name.to_string(), kind)).cloned();
        written.unwrap_or_else(|| Answer::plain(Outcome::NxDomain))
    }
}

fn data(kind: Kind, text: &str) -> Data {
    match kind {
        Kind::A => Data::A(text.parse().unwrap()),
        Kind::Aaaa => Data::Aaaa(text.parse().unwrap()),
        Kind::Caa => Data::Caa(Property {
            critical: false,
            tag: "issue".to_owned(),
            value: text.to_owned(),
        }),
        _ => Data::Txt(text.to_owned()),
    }
}

#[async_trait]
impl Resolver for Book {
    async fn look(&self, name: &DnsName, kind: Kind) -> Look {
        self.asked.fetch_add(1, SeqCst);
        let of_claim = name.as_str().starts_with("_hostquorum.");
        if of_claim {
            let mut claims = self.claims.lock().unwrap();
            claims.now += 1;
            claims.most = claims.most.max(claims.now);
        }
        sleep(Duration::from_millis(100)).await;
        if of_claim {
            self.claims.lock().unwrap().now -= 1;
        }
        let at = SocketAddr::from(([192, 0, 2, 53], 53));
        let server = DnsName::parse("ns.client.example").unwrap();
        let vantages = [
            Vantage::Recursive(at),
            Vantage::Authoritative(server, SocketAddr::from(([192, 0, 2, 54], 53))),
        ];
        let sightings = vantages.map(|vantage| Sighting {
            vantage,
            answer: self.answer(name, kind),
        });
        Look {
            name: name.clone(),
            kind,
            sightings: sightings.to_vec(),
        }
    }
}

#[async_trait]
impl Fetch for Book {
    async fn get(&self, address: SocketAddr, host: &Hostname, path: &str) -> Page {
        let here: IpAddr = HERE.parse().unwrap();
        let nonce = path.starts_with(PATH).then(|| Nonce::in_path(path));
        match nonce.flatten() {
            Some(nonce) if address.ip() == here => {
                Page::Body(Known.answers(host.as_str(), &nonce).remove(0))
            }
            _ => Page::Status(404),
        }
    }

    async fn knock(&self, _: SocketAddr) -> Port {
        Port::Open
    }
}

struct SameEachTime;

impl Jitter for SameEachTime {
    fn draw(&self) -> u16 {
        7
    }
}
