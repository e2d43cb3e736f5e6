//! Pebble and its DNS server, from Debian's package.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::road::ROAD;

/// Pebble makes RSA keys before it listens.
const START: Duration = Duration::from_secs(60);
/// How often is looked whether it does.
const POLL: Duration = Duration::from_millis(50);
/// How often it is started with other ports: between their being free and its taking them
/// another test may.
const STARTS: usize = 5;

/// How a Pebble behaves.
#[derive(Clone, Debug)]
pub struct Manners {
    /// Where it listens, in place of a free port.
    pub listen: Option<SocketAddr>,
    /// Where clients are told to find it, in place of that.
    pub directory: Option<SocketAddr>,
    /// All names resolve to this address, and http-01 is looked for at this port.
    pub http: SocketAddr,
    /// tls-alpn-01 is looked for at this port.
    pub tls: SocketAddr,
    /// Who is asked for names, in place of a double that knows the above.
    pub resolver: Option<SocketAddr>,
    /// How long certificates are valid.
    pub validity: Duration,
    /// So many of a hundred nonces are refused.
    pub refused_nonces: u8,
    /// External accounts, of which one must vouch for each new account: the id and the
    /// HMAC key, unpadded base64url. With none, none has to.
    pub external_accounts: Vec<(String, String)>,
    /// Further chains for each certificate.
    pub alternate_chains: u8,
}

impl Manners {
    /// Looks for all names at `http` and `tls`.
    pub fn new(http: SocketAddr, tls: SocketAddr) -> Self {
        Self {
            listen: None,
            directory: None,
            http,
            tls,
            resolver: None,
            validity: Duration::from_secs(90 * 86400),
            refused_nonces: 5,
            external_accounts: Vec::new(),
            alternate_chains: 0,
        }
    }
}

/// A Pebble that runs until it is dropped.
#[derive(Debug)]
pub struct Pebble {
    dir: PathBuf,
    directory: String,
    management: SocketAddr,
    dns_management: SocketAddr,
    tls_root_pem: String,
    _pebble: Child,
    _dns: Child,
}

impl Pebble {
    /// Starts it under `dir`.
    pub async fn start(dir: &Path, manners: &Manners) -> Self {
        for _ in 0..STARTS {
            if let Some(pebble) = Self::launch(dir, manners).await {
                return pebble;
            }
        }
        panic!("Pebble did not get its ports {STARTS} times in a row");
    }

    /// None if somebody took one of its ports.
    async fn launch(dir: &Path, manners: &Manners) -> Option<Self> {
        let dir = dir.join("pebble");
        fs::create_dir_all(&dir).unwrap();
        let tls_root_pem = make_tls(&dir);
        let acme = manners.listen.unwrap_or_else(free_tcp);
        let [management, dns_management] = [free_tcp(), free_tcp()];
        let dns = free_udp();
        let keys: serde_json::Map<_, _> = manners
            .external_accounts
            .iter()
            .map(|(kid, key)| (kid.clone(), key.clone().into()))
            .collect();
        let config = serde_json::json!({"pebble": {
            "listenAddress": acme.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": dir.join("tls.pem"),
            "privateKey": dir.join("tls.key"),
            "httpPort": manners.http.port(),
            "tlsPort": manners.tls.port(),
            "externalAccountBindingRequired": !keys.is_empty(),
            "externalAccountMACKeys": keys,
            "domainBlocklist": ["blocked-domain.example"],
            "certificateValidityPeriod": manners.validity.as_secs(),
        }});
        fs::write(dir.join("pebble.json"), config.to_string()).unwrap();
        let default = manners.http.ip().to_string();
        let mut dns_child = spawn(
            &dir,
            "pebble-challtestsrv",
            &[],
            &[
                "-management",
                &dns_management.to_string(),
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
                "-dns01",
                &dns.to_string(),
                "-defaultIPv4",
                &default,
                "-defaultIPv6",
                "",
            ],
        );
        let refused_nonces = manners.refused_nonces.to_string();
        let alternate_chains = manners.alternate_chains.to_string();
        let mut pebble_child = spawn(
            &dir,
            "pebble",
            &[
                ("PEBBLE_VA_NOSLEEP", "1"),
                ("PEBBLE_WFE_NONCEREJECT", &refused_nonces),
                ("PEBBLE_AUTHZREUSE", "0"),
                ("PEBBLE_ALTERNATE_ROOTS", &alternate_chains),
            ],
            &[
                "-strict",
                "-config",
                &dir.join("pebble.json").display().to_string(),
                "-dnsserver",
                &manners.resolver.unwrap_or(dns).to_string(),
            ],
        );
        let deadline = Instant::now() + START;
        let (mut listening, mut ended) = (false, false);
        while !listening && !ended {
            assert!(
                Instant::now() < deadline,
                "Pebble does not listen within {START:?}"
            );
            sleep(POLL).await;
            listening = listen(&[acme, management, dns_management]).await;
            ended = [&mut pebble_child, &mut dns_child]
                .into_iter()
                .any(|child| child.try_wait().unwrap().is_some());
        }
        let directory = manners.directory.unwrap_or(acme);
        (!ended).then_some(Self {
            directory: format!("https://{directory}/dir"),
            dir,
            management,
            dns_management,
            tls_root_pem,
            _pebble: pebble_child,
            _dns: dns_child,
        })
    }

    /// The URL of its directory.
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// What its API's certificate chains to.
    pub fn tls_root_pem(&self) -> &str {
        &self.tls_root_pem
    }

    /// The root of what it issues.
    pub async fn issuing_root_pem(&self) -> String {
        let client =
            node::dev::request::HttpsClient::trusting(self.tls_root_pem.as_bytes()).unwrap();
        let answer = client
            .get(self.management, "localhost", "/roots/0")
            .await
            .unwrap();
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    /// From now on `name` has this text, too.
    pub async fn add_text(&self, name: &str, text: &str) {
        let body = serde_json::json!({ "host": format!("{name}."), "value": text });
        self.tell_dns("set-txt", &body).await;
    }

    async fn tell_dns(&self, command: &str, body: &serde_json::Value) {
        let body = body.to_string();
        let length = body.len();
        let request = format!("POST /{command} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}");
        let mut stream = tokio::net::TcpStream::connect(self.dns_management)
            .await
            .unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    }

    /// How many certificates it issued, by its log.
    pub fn issued(&self) -> usize {
        self.logged("Issued certificate")
    }

    /// How many orders it took, by its log.
    pub fn orders(&self) -> usize {
        self.logged("Added order")
    }

    fn logged(&self, what: &str) -> usize {
        let log = fs::read_to_string(self.dir.join("pebble.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(what)).count()
    }
}

async fn listen(addresses: &[SocketAddr]) -> bool {
    for address in addresses {
        if tokio::net::TcpStream::connect(address).await.is_err() {
            return false;
        }
    }
    true
}

fn spawn(dir: &Path, program: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Child {
    let log = File::create(dir.join(format!("{program}.log"))).unwrap();
    let child = Command::new(program)
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn();
    child.unwrap_or_else(|error| {
        panic!("{program} does not start ({error}); install it with `apt-get install pebble` or scripts/install-test-tools.sh")
    })
}

/// Pebble's package brings no TLS certificate for its own API.
fn make_tls(dir: &Path) -> String {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut names = vec!["localhost".to_owned()];
    names.extend([Ipv4Addr::LOCALHOST, ROAD].map(|address| address.to_string()));
    let leaf = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &root)
        .unwrap();
    fs::write(dir.join("tls.pem"), leaf.pem()).unwrap();
    fs::write(dir.join("tls.key"), key.serialize_pem()).unwrap();
    root.pem()
}

fn free_tcp() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
}

fn free_udp() -> SocketAddr {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
}
