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
};

use crate::wait;

/// Pebble makes RSA keys before it listens.
const START: Duration = Duration::from_secs(60);

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

/// What a Pebble does beyond what most tests need.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// External accounts, of which one must vouch for each new account: the id and the
    /// HMAC key, unpadded base64url. With none, none has to.
    pub external_accounts: Vec<(String, String)>,
    /// Further chains for each certificate.
    pub alternate_chains: u8,
}

impl Pebble {
    /// Starts it under `dir`. All names resolve to `addresses`; challenges are
    /// looked for at `http_port`. Certificates are valid for `validity`.
    pub async fn start(
        dir: &Path,
        addresses: &[Ipv4Addr],
        http_port: u16,
        validity: Duration,
    ) -> Self {
        let extras = Extras::default();
        Self::start_with(dir, addresses, http_port, validity, &extras).await
    }

    /// The same, with more.
    pub async fn start_with(
        dir: &Path,
        addresses: &[Ipv4Addr],
        http_port: u16,
        validity: Duration,
        extras: &Extras,
    ) -> Self {
        let dir = dir.join("pebble");
        fs::create_dir_all(&dir).unwrap();
        let tls_root_pem = make_tls(&dir);
        let [acme, management, dns_management] = [free_tcp(), free_tcp(), free_tcp()];
        let dns = free_udp();
        let keys: serde_json::Map<_, _> = extras
            .external_accounts
            .iter()
            .map(|(kid, key)| (kid.clone(), key.clone().into()))
            .collect();
        let config = serde_json::json!({"pebble": {
            "listenAddress": acme.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": dir.join("tls.pem"),
            "privateKey": dir.join("tls.key"),
            "httpPort": http_port,
            "tlsPort": 1,
            "externalAccountBindingRequired": !extras.external_accounts.is_empty(),
            "externalAccountMACKeys": keys,
            "domainBlocklist": ["blocked-domain.example"],
            "certificateValidityPeriod": validity.as_secs(),
        }});
        fs::write(dir.join("pebble.json"), config.to_string()).unwrap();
        let default = addresses[0].to_string();
        let dns_child = spawn(
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
        let pebble_child = spawn(
            &dir,
            "pebble",
            &[
                ("PEBBLE_VA_NOSLEEP", "1"),
                ("PEBBLE_WFE_NONCEREJECT", "5"),
                ("PEBBLE_AUTHZREUSE", "0"),
                (
                    "PEBBLE_ALTERNATE_ROOTS",
                    &extras.alternate_chains.to_string(),
                ),
            ],
            &[
                "-strict",
                "-config",
                &dir.join("pebble.json").display().to_string(),
                "-dnsserver",
                &dns.to_string(),
            ],
        );
        let pebble = Self {
            directory: format!("https://{acme}/dir"),
            dir,
            management,
            dns_management,
            tls_root_pem,
            _pebble: pebble_child,
            _dns: dns_child,
        };
        wait::until("Pebble and its DNS listen", START, || async {
            tokio::net::TcpStream::connect(acme).await.ok()?;
            tokio::net::TcpStream::connect(dns_management).await.ok()?;
            tokio::net::TcpStream::connect(management).await.ok()
        })
        .await;
        pebble
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

    /// From now on all names resolve to `address`.
    pub(crate) async fn look_at(&self, address: Ipv4Addr) {
        let body = serde_json::json!({ "ip": address.to_string() });
        self.tell_dns("set-default-ipv4", &body).await;
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
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
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
