//! What is asked, and what is not; and once all of it, on real sockets.

use std::sync::Mutex;

use async_trait::async_trait;
use hickory_proto::rr::RecordType;
use state::{Hostname, testing::Known};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::{
    super::{
        check::{Check, check},
        claim::Purpose,
        egress::Egress,
        fetch::Web,
        method::Challenge,
        ownership::Rules,
        page::{Page, Port},
        preflight::Order,
        resolver::{
            Config, Dns,
            tests::{
                Counting,
                net::{Net, Reply},
            },
        },
        sketch::{agreement, claim, cluster, lets_encrypt, look, name},
    },
    *,
};

/// DNS and web as tables; remembers what it was asked.
struct World {
    a: &'static str,
    asked: Mutex<Vec<String>>,
}

impl World {
    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }
}

#[async_trait]
impl Resolver for World {
    async fn look(&self, name: &DnsName, kind: Kind) -> Look {
        self.note(format!("{kind} {name}"));
        let sketch = if kind == Kind::A { self.a } else { "nothing" };
        look(name.as_str(), kind, sketch)
    }
}

#[async_trait]
impl Fetch for World {
    async fn get(&self, address: SocketAddr, host: &Hostname, path: &str) -> Page {
        let path = path.rsplit_once('/').unwrap().0;
        self.note(format!("GET {address} {host} {path}/"));
        Page::Status(404)
    }

    async fn knock(&self, address: SocketAddr) -> Port {
        self.note(format!("TCP {address}"));
        Port::Open
    }
}

async fn asked(a: &'static str, wildcard: bool, scope: Scope) -> Vec<String> {
    let world = Arc::new(World {
        a,
        asked: Mutex::default(),
    });
    let prober = Prober {
        resolver: world.clone(),
        fetch: world.clone(),
        reach: Arc::new(Known),
        jitter: Arc::new(Counting::default()),
        http_port: 80,
        tls_port: 443,
    };
    let claim = claim(Purpose::First, wildcard);
    prober.look(&claim, &cluster(), scope).await.unwrap();
    let mut asked = world.asked.lock().unwrap().clone();
    asked.sort();
    asked
}

const OWNERSHIP: Scope = Scope {
    ownership: true,
    order: false,
};
const ORDER: Scope = Scope {
    ownership: false,
    order: true,
};

#[tokio::test]
async fn a_name_elsewhere_is_asked_for_its_token_and_not_for_ours() {
    assert_eq!(
        asked("192.0.2.80", false, OWNERSHIP).await,
        [
            "A shop.client.example",
            "AAAA shop.client.example",
            "GET 192.0.2.80:80 shop.client.example /.well-known/hostquorum/",
            "TXT _acme-challenge.shop.client.example",
            "TXT _hostquorum.shop.client.example",
        ]
    );
}

#[tokio::test]
async fn before_an_order_our_nodes_are_asked_at_the_names_own_addresses() {
    assert_eq!(
        asked("198.51.100.7 | 192.0.2.80", false, ORDER).await,
        [
            "A shop.client.example",
            "AAAA shop.client.example",
            "CAA client.example",
            "CAA example",
            "CAA shop.client.example",
            "GET 198.51.100.7:80 shop.client.example /.well-known/hostquorum/reach/",
            "TCP 198.51.100.7:443",
            "TXT _acme-challenge.shop.client.example",
        ]
    );
}

#[tokio::test]
async fn a_wildcard_has_no_addresses_to_ask() {
    let both = Scope {
        ownership: true,
        order: true,
    };
    assert_eq!(
        asked("192.0.2.80", true, both).await,
        [
            "CAA client.example",
            "CAA example",
            "CAA shop.client.example",
            "TXT _acme-challenge.shop.client.example",
            "TXT _hostquorum.shop.client.example",
        ]
    );
}

#[tokio::test]
async fn a_name_with_a_hundred_addresses_costs_four_requests() {
    let many: Vec<String> = (1..=100).map(|n| format!("192.0.2.{n}")).collect();
    let sketch: &'static str = Box::leak(many.join(" | ").into_boxed_str());
    let gets = asked(sketch, false, OWNERSHIP).await;
    assert_eq!(
        gets.iter().filter(|what| what.starts_with("GET")).count(),
        4
    );
}

/// What nodes of this cluster say.
fn ours(host: &str, nonce: &Nonce) -> String {
    Known.answers(host, nonce).remove(0)
}

/// A node's port 80 (and, having one address, 443), which answers as nodes do.
async fn node(says: fn(&str, &Nonce) -> String) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else {
                    break;
                };
                head.push(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap_or_default();
            let Some(nonce) = Nonce::in_path(path) else {
                continue;
            };
            let host = claim(Purpose::First, false).subject.host;
            let body = says(host.as_str(), &nonce);
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (port, task)
}

/// The customer's zone delegates to ours, on one server; a resolver sees the same.
async fn world() -> (Net, Config) {
    let mut net = Net::new().await;
    net.parent(2, &[("client.example", &[3]), ("edge.example", &[3])])
        .await;
    let client = "shop CNAME acme.edge.example.\n@ CAA 0 issue \"letsencrypt.org\"";
    let edge = "acme A 127.0.0.1";
    net.zones(3, &[("client.example", client), ("edge.example", edge)])
        .await;
    net.script(4, |ask| {
        let shop = "shop.client.example. CNAME acme.edge.example.";
        let kind = ask.query.queries[0].query_type();
        Reply::Say(match (ask.name().as_str(), kind) {
            ("shop.client.example", RecordType::A) => {
                ask.with(&format!("{shop}\nacme.edge.example. A 127.0.0.1"), "", "")
            }
            ("shop.client.example", _) => ask.with(shop, "", ""),
            ("client.example", RecordType::CAA) => {
                ask.with("client.example. CAA 0 issue \"letsencrypt.org\"", "", "")
            }
            _ => ask.answer(),
        })
    })
    .await;
    let config = Config {
        roots: vec![Net::address(2)],
        authoritative_port: net.port,
        egress: loopback(),
        ..Config::new(vec![net.at(4)])
    };
    (net, config)
}

fn loopback() -> Egress {
    Egress {
        allow: vec!["127.0.0.0/8".parse().unwrap()],
    }
}

async fn checked(config: &Config, port: u16) -> Check {
    let prober = Prober {
        resolver: Arc::new(Dns::new(config.clone(), Arc::new(Counting::default()))),
        fetch: Arc::new(Web::new(loopback())),
        reach: Arc::new(Known),
        jitter: Arc::new(Counting::default()),
        http_port: port,
        tls_port: port,
    };
    let claim = claim(Purpose::First, false);
    let cluster = Cluster {
        edge: Some(name("edge.example")),
        addresses: vec!["127.0.0.1".parse().unwrap()],
    };
    let both = Scope {
        ownership: true,
        order: true,
    };
    let seen = prober.look(&claim, &cluster, both).await.unwrap();
    let issuers = [lets_encrypt()];
    let order = Order {
        claim: &claim,
        forced: None,
        issuers: &issuers,
        member_silent: false,
    };
    let rules = Rules {
        agreement: agreement(),
        traffic: true,
    };
    check(&order, &cluster, &rules, &seen, false)
}

#[tokio::test]
async fn a_name_is_checked_from_the_root_servers_to_port_80() {
    let (_net, config) = world().await;
    let (port, task) = node(ours).await;
    let all_well = checked(&config, port).await;
    assert!(all_well.good && all_well.proven, "{:#?}", all_well.rows);
    assert_eq!(
        all_well.challenges,
        [Challenge::Http01, Challenge::TlsAlpn01]
    );
    task.abort();
    let _ = task.await;
    let nobody_there = checked(&config, port).await;
    assert!(nobody_there.proven && !nobody_there.good);
    assert_eq!(nobody_there.rows[0].have, "a closed port");
}

#[tokio::test]
async fn a_node_of_another_cluster_is_not_taken_for_ours() {
    let (_net, config) = world().await;
    let (port, _task) = node(|_, _| "hostquorum-reach=stranger".to_owned()).await;
    let check = checked(&config, port).await;
    assert_eq!(check.challenges, [Challenge::TlsAlpn01]);
}
