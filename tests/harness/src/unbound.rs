//! A resolver of others on the CA's road to our DNS servers: unbound, which writes names
//! in random case and minds that they come back so (0x20), asks for no more of a name
//! than it must (RFC 9156, strictly), and tries to validate.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

/// A process of C that reads one file.
const START: Duration = Duration::from_secs(20);
/// How often is looked whether it answers.
const POLL: Duration = Duration::from_millis(50);
/// How often it is started with another port: between one's being free and its taking it
/// another test may.
const STARTS: usize = 5;

/// The zone of all customers, which unbound itself knows.
pub const CUSTOMERS: &str = "customer.example";

/// How it asks our servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// By UDP, and by TCP where an answer is truncated.
    Udp,
    /// By TCP only.
    Tcp,
}

/// An unbound that runs until it is dropped.
#[derive(Debug)]
pub struct Unbound {
    address: SocketAddr,
    dir: PathBuf,
    _child: Child,
}

impl Unbound {
    /// Resolves `zones` at `servers`, and all customers' names to `edge`.
    pub async fn start(
        dir: &Path,
        edge: Ipv4Addr,
        zones: &[&str],
        servers: &[SocketAddr],
        transport: Transport,
    ) -> Self {
        let dir = dir.join("unbound");
        fs::create_dir_all(&dir).unwrap();
        write_customers(&dir, edge, "");
        for _ in 0..STARTS {
            let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let text = configured(&dir, address, zones, servers, transport);
            fs::write(dir.join("unbound.conf"), text).unwrap();
            let mut child = program("unbound", &dir, &["-d"]);
            if answers(&mut child, &dir).await {
                return Self {
                    address,
                    dir,
                    _child: child,
                };
            }
        }
        panic!("unbound does not start:\n{}", log(&dir));
    }

    /// Where it is asked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All names of customers are at `edge`, and there are these records (of a zone file,
    /// relative to [`CUSTOMERS`]) beside.
    pub async fn customers_have(&self, edge: Ipv4Addr, records: &str) {
        write_customers(&self.dir, edge, records);
        for command in [
            &["auth_zone_reload", CUSTOMERS][..],
            &["flush_zone", CUSTOMERS],
        ] {
            let mut child = program("unbound-control", &self.dir, command);
            let status = child.wait().await.unwrap();
            assert!(status.success(), "{command:?}: {}", log(&self.dir));
        }
    }
}

fn write_customers(dir: &Path, edge: Ipv4Addr, records: &str) {
    let zone = format!(
        "$ORIGIN {CUSTOMERS}.\n\
         @ 60 IN SOA ns hostmaster 1 3600 600 604800 60\n\
         @ 60 IN NS ns\n\
         ns 60 IN A {edge}\n\
         * 60 IN A {edge}\n\
         {records}"
    );
    fs::write(dir.join("customers.zone"), zone).unwrap();
}

fn program(name: &str, dir: &Path, arguments: &[&str]) -> Child {
    // Debian keeps it where only root's PATH leads.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut paths: Vec<PathBuf> = std::env::split_paths(&path).collect();
    paths.push("/usr/sbin".into());
    let child = Command::new(name)
        .env("PATH", std::env::join_paths(paths).unwrap())
        .arg("-c")
        .arg(dir.join("unbound.conf"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    child.unwrap_or_else(|error| {
        panic!("{name} does not start ({error}); install it with `apt-get install unbound` or scripts/install-test-tools.sh")
    })
}

/// True once it takes commands, which it does when it answers questions; false if it ended.
async fn answers(child: &mut Child, dir: &Path) -> bool {
    let deadline = Instant::now() + START;
    while child.try_wait().unwrap().is_none() {
        let mut asked = program("unbound-control", dir, &["status"]);
        if asked.wait().await.unwrap().success() {
            return true;
        }
        assert!(
            Instant::now() < deadline,
            "unbound is silent:\n{}",
            log(dir)
        );
        sleep(POLL).await;
    }
    false
}

fn log(dir: &Path) -> String {
    fs::read_to_string(dir.join("log")).unwrap_or_default()
}

fn configured(
    dir: &Path,
    address: SocketAddr,
    zones: &[&str],
    servers: &[SocketAddr],
    transport: Transport,
) -> String {
    let tcp = if transport == Transport::Tcp {
        "yes"
    } else {
        "no"
    };
    let mut text = format!(
        r#"server:
  directory: "{dir}"
  logfile: "{dir}/log"
  verbosity: 1
  use-syslog: no
  username: ""
  chroot: ""
  pidfile: ""
  do-daemonize: no
  num-threads: 1
  interface: {ip}
  port: {port}
  do-ip6: no
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "validator iterator"
  # A chain of trust that our unsigned zones cannot continue: it asks us for DNSKEY
  # and DS, and must get an answer that it can use.
  trust-anchor: "{first}. DS 12345 13 2 {digest}"
  val-permissive-mode: yes
  use-caps-for-id: yes
  qname-minimisation: yes
  qname-minimisation-strict: yes
  harden-below-nxdomain: yes
  harden-referral-path: no
  cache-min-ttl: 0
  cache-max-negative-ttl: 1
  tcp-upstream: {tcp}
  edns-buffer-size: 1232
  # The parent of all, which has nothing: nobody is to be asked who is not here.
  local-zone: "example." transparent
  local-data: "example. 60 IN TXT nothing"
remote-control:
  control-enable: yes
  control-use-cert: no
  control-interface: "{dir}/control"
auth-zone:
  name: "{CUSTOMERS}"
  zonefile: "{dir}/customers.zone"
  for-downstream: no
  for-upstream: yes
  fallback-enabled: no
"#,
        dir = dir.display(),
        ip = address.ip(),
        port = address.port(),
        first = zones.first().copied().unwrap_or("invalid"),
        digest = "0".repeat(64),
    );
    // All of them, or it would go on at port 53 of the name servers that it learns of.
    for zone in zones {
        let _ = write!(text, "stub-zone:\n  name: \"{zone}\"\n  stub-prime: no\n");
        for server in servers {
            let (ip, port) = (server.ip(), server.port());
            let _ = writeln!(text, "  stub-addr: {ip}@{port}");
        }
    }
    text
}
