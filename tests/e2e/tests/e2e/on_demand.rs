//! Hostnames that nobody authorized, and an application that is asked about them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use harness::{Cluster, Options, wait};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::Instant,
};

const NEW: &str = "new.customer.example";
const NO: &str = "no.customer.example";
const SOON: Duration = Duration::from_secs(10);
/// What one client may have asked at once, and then in a second.
const AT_ONCE: usize = 10;
/// Names of a flood.
const FLOOD: usize = 1000;
/// Of them at once.
const CLIENTS: usize = 20;

/// An application that knows [`NEW`], and what it was asked.
struct Application {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Application {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&noted)));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(mut stream: TcpStream, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap();
    let name = target.strip_prefix("/may?key=secret&domain=").unwrap();
    asked.lock().unwrap().push(name.to_owned());
    let status = if name == NEW {
        "200 OK"
    } else {
        "403 Forbidden"
    };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    // Whoever has gone does not need it.
    let _ = stream.write_all(answer.as_bytes()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_decides_which_new_hostnames_are_served() {
    let application = Application::start().await;
    // No election comes between on a machine that has much else to do: nobody would be asked.
    let ask = format!(
        "[edge]\nthreads = 1\nlame_duck = \"0s\"\ngrace = \"2s\"\nwait_for_certificate = \"30s\"\n\
         [issuance]\nretry = \"1s\"\n\
         [raft]\nheartbeat = \"500ms\"\nelection_min = \"5s\"\nelection_max = \"8s\"\nflush_limit = \"20s\"\n\
         [on_demand]\nask = \"http://{}/may?key=secret\"\ntenant = \"signups\"\n",
        application.address
    );
    let cluster = Cluster::start(Options {
        extra: ask,
        ..Options::default()
    })
    .await;
    let leader = cluster.leader().await;
    let place = (leader + 1) % 3;
    let visit = |name: &str| {
        let (https, at, name) = (
            cluster.https.clone(),
            cluster.https_of(place),
            name.to_owned(),
        );
        async move { https.get(at, &name, "/").await }
    };
    // A node that does not lead has it authorized, and waits for its certificate.
    let served = visit(NEW).await.unwrap();
    assert_eq!(served.status, 200);
    let shown = cluster.cli.json(&["hostname", "show", NEW]).await;
    assert!(shown.to_string().contains("\"signups\""), "{shown}");
    let actor = format!("on-demand:{}", place + 1);
    assert!(shown.to_string().contains(&actor), "{shown}");
    cluster.served_alike(&[0, 1, 2], NEW).await;
    assert_eq!(application.asked(), [NEW]);

    // What it does not know ends with an alert, and is not asked about at once again.
    for _ in 0..2 {
        let error = visit(NO).await.unwrap_err();
        assert!(error.to_string().contains("UnrecognisedName"), "{error}");
    }
    assert_eq!(application.asked(), [NEW, NO]);

    // What an operator removes stays removed, whatever the application says.
    cluster.cli.run(&["hostname", "remove", NEW]).await.ok();
    wait::until("it is not served any more", SOON, || async {
        visit(NEW).await.is_err().then_some(())
    })
    .await;
    assert!(visit(NEW).await.is_err());
    assert_eq!(application.asked(), [NEW, NO]);

    // A flood of names is asked about as often as one client may, and none is authorized.
    let begun = Instant::now();
    let mut flood = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let visits: Vec<_> = (client..FLOOD)
            .step_by(CLIENTS)
            .map(|n| visit(&format!("r{n}.customer.example")))
            .collect();
        flood.spawn(async move {
            for visit in visits {
                assert!(visit.await.is_err());
            }
        });
    }
    flood.join_all().await;
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    let asked = application.asked().len() - 2;
    assert!(asked <= AT_ONCE + seconds + 1, "{asked} in {seconds} s");
    assert!(asked > 0);
    assert_eq!(
        cluster.figure(place, "hostquorum_hostnames").await,
        Some(0.0)
    );
    let questions = cluster
        .figure(place, "hostquorum_ask_questions_total")
        .await;
    assert_eq!(questions, Some(asked as f64 + 2.0));
    let authorized = cluster
        .figure(place, "hostquorum_ask_authorized_total")
        .await;
    assert_eq!(authorized, Some(1.0));
    let issued = cluster.ca.issued();
    assert_eq!(issued, 1);
}
