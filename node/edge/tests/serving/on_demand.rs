//! Hostnames that nobody authorized, and somebody who may be asked about them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use edge::{
    Limits,
    on_demand::{self, Answer, Authorizer, OnDemand, Untold},
};
use state::{
    Actor, Change, Hostname, Index, NodeId, State, Wants,
    command::Authorize,
    testing::{self, Alone},
};
use tokio::sync::{Semaphore, watch};

use crate::rig::{HOST, Options, PATIENCE, Rig, eventually};

const NEW: &str = "new.client.example";

/// Who is asked; says nothing while it is not let.
struct Authority {
    alone: OnceLock<Arc<Alone>>,
    answers: BTreeMap<&'static str, Answer>,
    asked: Mutex<Vec<String>>,
    speaks: Semaphore,
}

#[async_trait]
impl Authorizer for Authority {
    async fn ask(&self, hostname: &Hostname) -> Result<Answer, Untold> {
        self.asked.lock().unwrap().push(hostname.to_string());
        let _let = self.speaks.acquire().await.unwrap();
        let answer = self.answers.get(hostname.as_str()).copied();
        answer.ok_or_else(|| Untold("nobody is there".to_owned()))
    }

    async fn authorize(&self, hostname: &Hostname) -> Result<Index, Untold> {
        let Change::AuthorizeHostname(authorize) = testing::authorize(hostname.as_str()) else {
            unreachable!("it makes one");
        };
        let change = Change::AuthorizeHostname(Box::new(Authorize {
            on_demand: true,
            ..*authorize
        }));
        let alone = self.alone.get().unwrap();
        let applied = alone.apply(Actor::on_demand(NodeId(1)), None, change);
        let done = applied.outcome.into_result();
        done.map_err(|refusal| Untold(refusal.to_string()))?;
        Ok(applied.index)
    }
}

impl Authority {
    fn knowing(answers: &[(&'static str, Answer)]) -> Arc<Self> {
        Arc::new(Self {
            alone: OnceLock::new(),
            answers: answers.iter().copied().collect(),
            asked: Mutex::default(),
            speaks: Semaphore::new(1),
        })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn options(self: &Arc<Self>, limits: on_demand::Limits) -> Options {
        let authorizer = Arc::clone(self) as Arc<dyn Authorizer>;
        Options {
            on_demand: Some(OnDemand { authorizer, limits }),
            limits: Limits {
                wait_for_certificate: PATIENCE,
                ..Limits::default()
            },
            ..Options::default()
        }
    }

    fn rig(self: &Arc<Self>, limits: on_demand::Limits) -> Rig {
        let rig = Rig::with(self.options(limits));
        let _ = self.alone.set(Arc::clone(&rig.alone));
        rig
    }
}

/// No bound but those of a test.
fn plenty() -> on_demand::Limits {
    on_demand::Limits {
        questions_per_second: 10_000,
        questions_per_client: 10_000,
        timeout: PATIENCE,
        ..on_demand::Limits::default()
    }
}

async fn visit(rig: &Rig, name: &str) -> bool {
    rig.connect(name, rig.ca.client(&["h2"])).await.is_ok()
}

#[tokio::test]
async fn a_name_that_may_be_is_authorized_and_served_in_one_handshake() {
    let authority = Authority::knowing(&[(NEW, Answer::Yes)]);
    let rig = authority.rig(plenty());
    let speak = authority.speaks.acquire().await.unwrap();
    let answered = async {
        let joined = || rig.edge.on_demand_metrics().unwrap().joined == 1;
        eventually("both are under way", joined).await;
        assert!(visit(&rig, HOST).await, "others are not held up");
        drop(speak);
        let authorized = || rig.alone.state().hostname(NEW).is_some();
        eventually("it is authorized", authorized).await;
        rig.install(NEW);
    };
    let (first, second, ()) = tokio::join!(visit(&rig, NEW), visit(&rig, NEW), answered);
    assert!(first && second);
    assert!(visit(&rig, NEW).await);
    assert_eq!(authority.asked(), [NEW]);
    let record = rig.alone.state().hostname(NEW).cloned().unwrap();
    assert_eq!(&*record.authorized_by, "on-demand:1");
    let metrics = rig.edge.on_demand_metrics().unwrap();
    assert_eq!((metrics.questions, metrics.answered_yes), (1, 1));
    assert_eq!((metrics.authorized, metrics.not_authorized), (1, 0));
}

#[tokio::test]
async fn a_name_that_may_not_be_is_refused_and_not_asked_about_again() {
    let authority = Authority::knowing(&[("no.client.example", Answer::No)]);
    let rig = authority.rig(plenty());
    for name in ["no.client.example", "silent.client.example"] {
        for _ in 0..2 {
            let error = rig.connect(name, rig.ca.client(&["h2"])).await.unwrap_err();
            assert!(error.to_string().contains("UnrecognisedName"), "{error}");
        }
    }
    let asked = authority.asked();
    assert_eq!(asked, ["no.client.example", "silent.client.example"]);
    let metrics = rig.edge.on_demand_metrics().unwrap();
    assert_eq!((metrics.answered_no, metrics.failed), (1, 1));
    let unasked = (metrics.not_asked_answered, metrics.not_asked_failed);
    assert_eq!(unasked, (1, 1));
    assert_eq!(rig.edge.metrics().names_unknown, 4);
    assert_eq!(rig.alone.state().hostname_count(), 1);
}

#[tokio::test]
async fn what_is_known_or_was_removed_or_is_no_name_is_never_asked_about() {
    let authority = Authority::knowing(&[]);
    let rig = authority.rig(plenty());
    rig.serve("gone.client.example");
    rig.remove("gone.client.example");
    rig.alone.authorize("wild.client.example");
    rig.apply(Change::SetWants {
        hostname: testing::host("wild.client.example"),
        wants: Box::new(Wants {
            wildcard: true,
            ..Wants::default()
        }),
        revision: None,
    });
    assert!(visit(&rig, HOST).await);
    for name in [
        "gone.client.example",
        "below.wild.client.example",
        "co.uk",
        "github.io",
        "under_score.client.example",
        "a.b.c.d.e.f.g.h.i.j.client.example",
        "localhost",
    ] {
        assert!(!visit(&rig, name).await, "{name}");
    }
    assert!(authority.asked().is_empty(), "{:?}", authority.asked());
    let metrics = rig.edge.on_demand_metrics().unwrap();
    assert_eq!(metrics.not_asked_unfit, 7);
}

#[tokio::test]
async fn nothing_is_asked_while_the_state_is_still_being_read() {
    let whole = Authority::knowing(&[]).rig(plenty()).alone.state();
    let authority = Authority::knowing(&[(NEW, Answer::Yes)]);
    let (_states, unread) = watch::channel(Arc::<State>::default());
    let rig = Rig::start();
    let edge = rig.successor(Options {
        states: Some(unread),
        reading: whole,
        ..authority.options(plenty())
    });
    let stream = tokio::net::TcpStream::connect(edge.addresses().https).await;
    let name = rustls::pki_types::ServerName::try_from(NEW).unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(rig.ca.client(&["h2"])));
    assert!(connector.connect(name, stream.unwrap()).await.is_err());
    assert!(authority.asked().is_empty());
    assert_eq!(edge.on_demand_metrics().unwrap().not_asked_unfit, 1);
}

#[tokio::test]
async fn a_flood_of_names_asks_no_more_than_it_may_and_authorizes_nothing() {
    let authority = Authority::knowing(&[]);
    let limits = on_demand::Limits {
        questions_per_second: 1,
        ..on_demand::Limits::default()
    };
    let begun = tokio::time::Instant::now();
    let rig = authority.rig(limits);
    for n in 0..200 {
        assert!(!visit(&rig, &format!("n{n}.client.example")).await);
    }
    let asked = authority.asked().len();
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    assert!((1..=seconds + 2).contains(&asked), "{asked}");
    assert_eq!(rig.alone.state().hostname_count(), 1);
    assert_eq!(rig.edge.metrics().names_unknown, 200);
}

#[tokio::test]
async fn enough_is_authorized_and_who_says_nothing_is_not_waited_for() {
    let names = ["one.client.example", "two.client.example"];
    let authority = Authority::knowing(&names.map(|name| (name, Answer::Yes)));
    let limits = on_demand::Limits {
        authorized_per_domain: 1,
        timeout: Duration::from_millis(200),
        ..plenty()
    };
    let rig = authority.rig(limits);
    let installed = async {
        let authorized = || rig.alone.state().hostname(names[0]).is_some();
        eventually("it is authorized", authorized).await;
        rig.install(names[0]);
    };
    let (first, ()) = tokio::join!(visit(&rig, names[0]), installed);
    assert!(first && !visit(&rig, names[1]).await);
    assert_eq!(authority.asked(), [names[0]], "what could not be followed");
    assert_eq!(rig.edge.on_demand_metrics().unwrap().over_domain, 1);
    let _silence = authority.speaks.acquire().await.unwrap();
    assert!(!visit(&rig, "three.other.example").await);
    assert_eq!(rig.edge.on_demand_metrics().unwrap().failed, 1);
}
