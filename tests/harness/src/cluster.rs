//! A cluster of real processes.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use devca::{ExternalAccount, ExternalAccounts};
use node::dev::{
    origin::DemoOrigin,
    process::{NodeFiles, NodeProcess},
    request::{self, HttpsClient},
};
use tempfile::TempDir;

use crate::{
    Ca, Cli, Disk, Ext4, Options, Road, binaries,
    pebble::{Manners, Pebble},
    seat::{Front, IN_NAMESPACE, Seat, edge, probing, resolver, road},
    unbound::Unbound,
    wait,
};

/// Starting a process of an unoptimised build on two busy cores.
pub const START: Duration = Duration::from_secs(60);
/// Anything that the cluster agrees on in a second or two, on two busy cores.
pub const SOON: Duration = Duration::from_secs(30);

/// A term is openraft's times this, and the leader's id (ARCHITECTURE.md).
const TERMS_OF_ONE: u64 = 1_000_000;

/// A cluster, its CA, its origin and a command line logged in to it.
pub struct Cluster {
    /// Node 1 first. A killed node stays here until it is started again.
    pub nodes: Vec<NodeProcess>,
    /// Where certificates come from.
    pub ca: Ca,
    /// The administrator's.
    pub cli: Cli,
    /// Trusts what the CA issues.
    pub https: HttpsClient,
    /// The CA's name server, if the nodes answer for a zone.
    pub resolver: Option<Unbound>,
    options: Options,
    /// Files and DNS servers, node 1's first; nodes are started from them in turn.
    seats: Vec<Seat>,
    front: Option<Front>,
    road: Option<Road>,
    http_port: u16,
    _origin: DemoOrigin,
    // Last, so that it outlives the processes in it.
    dir: TempDir,
}

impl Cluster {
    /// Forms a cluster of one and lets the others join.
    pub async fn start(options: Options) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let lan = options.lan.is_some();
        assert!(
            !lan || !options.pebble && !options.road && options.dns.is_none(),
            "on a network of its own a cluster has the development CA"
        );
        let http_port = options.port(1, IN_NAMESPACE + 1);
        let seats: Vec<Seat> = (1..=options.nodes)
            .map(|number| Seat::take(dir.path(), &options, http_port, number))
            .collect();
        let resolver = match options.dns {
            Some(transport) => Some(resolver(dir.path(), &options, &seats, transport).await),
            None => None,
        };
        for (seat, resolver) in seats.iter().zip(resolver.iter().cycle()) {
            seat.looks_by(resolver);
        }
        let (road, end) = match options.road {
            true => Some(road().await).unzip(),
            false => (None, None),
        };
        let (front, ca);
        if options.pebble {
            let before = Front::start().await;
            let mut manners = Manners::new(before.http.address(), before.tls.address());
            manners.validity = options.validity;
            manners.resolver = resolver.as_ref().map(Unbound::address);
            manners.listen = end;
            manners.directory = road.as_ref().map(Road::address);
            manners.external_accounts = options.external_account.clone().into_iter().collect();
            front = Some(before);
            ca = Ca::Pebble(Box::new(Pebble::start(dir.path(), &manners).await));
        } else {
            front = None;
            let probing = probing(&seats, &options, resolver.as_ref());
            let (validity, mut behaviour) = (options.validity, options.behaviour.clone());
            behaviour.external_accounts = options.external_account.as_ref().map(known);
            ca = Ca::development(
                dir.path(),
                probing,
                validity,
                behaviour,
                options.world(),
                end,
            )
            .await;
        }
        let origin = DemoOrigin::start((options.world(), 0).into())
            .await
            .unwrap();
        let https = HttpsClient::trusting(ca.issuing_root_pem().await.as_bytes()).unwrap();
        let cli = Cli::new(dir.path());
        let mut cluster = Self {
            nodes: Vec::new(),
            ca,
            cli,
            https,
            resolver,
            options,
            seats,
            front,
            road,
            http_port,
            _origin: origin,
            dir,
        };
        cluster.looked_at_everywhere();
        cluster.init().await;
        for number in 2..=cluster.options.nodes {
            cluster.join(number).await;
        }
        cluster.settled().await;
        cluster
    }

    /// The administrator's context.
    pub fn context(&self) -> PathBuf {
        self.cli.context()
    }

    /// Its temporary folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The files of node `number`, which is the next of all.
    fn seat(&mut self, number: u8) -> NodeFiles {
        let place = usize::from(number) - 1;
        if self.seats.get(place).is_none() {
            let seat = Seat::take(self.dir.path(), &self.options, self.http_port, number);
            if let Some(resolver) = &self.resolver {
                seat.looks_by(resolver);
            }
            self.seats.push(seat);
            self.looked_at_everywhere();
        }
        self.seats[place].files.clone()
    }

    /// The CA looks for challenges at all nodes.
    fn looked_at_everywhere(&self) {
        match (&self.front, &self.ca) {
            (Some(front), _) => front.spread_over(self.seats.iter().map(|seat| &seat.files)),
            (None, Ca::Development(ca, _)) => {
                ca.set_probing(probing(&self.seats, &self.options, self.resolver.as_ref()));
            }
            (None, Ca::Pebble(_)) => {}
        }
    }

    async fn init(&mut self) {
        let files = self.seat(1);
        let mut node = self.spawn(&files, &[], &[]);
        node.live(START).await.unwrap();
        let root = self.dir().join("acme-root.pem");
        fs::write(&root, self.ca.api_root_pem()).unwrap();
        let (root, origin) = (root.display().to_string(), self._origin.url());
        let (socket, directory) = (files.socket().display().to_string(), self.ca.directory());
        let mut arguments = vec![
            "cluster",
            "init",
            "--socket",
            &socket,
            "--acme",
            &directory,
            "--acme-root",
            &root,
            "--contact",
            "mailto:ops@saas.example",
            "--agree-to-terms",
            "--admin-name",
            "founder",
            "--origin",
            &origin,
        ];
        let file = self.dir().join("eab.hmac").display().to_string();
        if let Some((kid, key)) = &self.options.external_account {
            fs::write(&file, key).unwrap();
            arguments.extend(["--eab-key-id", kid, "--eab-hmac-file", &file]);
        }
        self.cli.run(&arguments).await.ok();
        node.ready(START).await.unwrap();
        self.nodes.push(node);
    }

    /// All machines are lost, with all that was on them: new ones form a cluster out of the
    /// backup at `file`, which the key at `identity` opens, by an administrator who has nothing
    /// but these.
    pub async fn rebuild(&mut self, file: &Path, identity: &Path) {
        let count = self.nodes.len();
        // Whoever is killed has its ports until it is gone.
        for mut node in self.nodes.drain(..) {
            node.kill().await.unwrap();
        }
        for seat in &self.seats {
            fs::remove_dir_all(seat.files.data()).unwrap();
            fs::remove_file(seat.files.key()).unwrap();
        }
        self.cli = Cli::new(&self.dir().join("rebuilt"));
        let files = self.seat(1);
        let mut node = self.spawn(&files, &[], &[]);
        node.live(START).await.unwrap();
        let socket = files.socket().display().to_string();
        let restore = [
            "backup",
            "restore",
            file.to_str().unwrap(),
            "--identity",
            identity.to_str().unwrap(),
            "--socket",
            &socket,
            "--admin-name",
            "rebuilder",
        ];
        self.cli.run(&restore).await.ok();
        node.ready(START).await.unwrap();
        self.nodes.push(node);
        for number in 2..=u8::try_from(count).unwrap() {
            self.join(number).await;
        }
        self.settled().await;
    }

    /// Lets node `number` join by a fresh token, sponsored by node 1.
    pub async fn join(&mut self, number: u8) {
        self.join_by(number, 0).await;
    }

    /// Lets node `number` join by a fresh token, sponsored by the node at `place`.
    pub async fn join_by(&mut self, number: u8, place: usize) {
        let token = self.token("node").await;
        let files = self.seat(number);
        let sponsor = self.nodes[place].files.admin().to_string();
        let arguments = ["--join", &sponsor, "--token-file", token.to_str().unwrap()];
        let mut node = self.spawn(&files, &arguments, &[]);
        node.ready(START).await.unwrap();
        self.nodes.push(node);
    }

    /// A file with a fresh token.
    pub async fn token(&self, role: &str) -> PathBuf {
        let token = self.cli.json(&["token", "create", "--role", role]).await;
        let id = token["invitation"]["id"].as_str().unwrap();
        let path = self.dir().join(format!("{role}-{id}.token"));
        fs::write(&path, token["token"].as_str().unwrap()).unwrap();
        path
    }

    /// Waits until the cluster has as many voters as it should.
    pub async fn settled(&self) {
        let wanted = match self.nodes.len() {
            0..=2 => 1,
            3..=4 => 3,
            _ => 5,
        };
        wait::until(&format!("{wanted} voters"), SOON, || async {
            let members = self.members().await?;
            let voting = members
                .iter()
                .filter(|member| member["standing"] == "voting")
                .count();
            (voting == wanted).then_some(())
        })
        .await;
    }

    /// Lets Pebble look for challenges at this node: the balancer before the nodes does
    /// not know that another one is stopped. The development CA looks at all that answer.
    pub fn look_at(&self, place: usize) {
        if let Some(front) = &self.front {
            front.spread_over(std::iter::once(&self.nodes[place].files));
        }
    }

    /// Lets Pebble look at all of them in turn again.
    pub fn look_at_all(&self) {
        self.looked_at_everywhere();
    }

    /// The road to the CA, which the options asked for.
    pub fn road(&self) -> &Road {
        self.road.as_ref().expect("the options ask for a road")
    }

    /// Customers' names lead to the nodes, and there are these records beside (of a zone
    /// file, relative to [`crate::unbound::CUSTOMERS`]).
    pub async fn customers_have(&self, records: &str) {
        let resolver = self.resolver.as_ref().expect("the options ask for DNS");
        resolver.customers_have(edge(&self.options), records).await;
    }

    /// Where customers' names lead to.
    pub fn edge(&self) -> Ipv4Addr {
        edge(&self.options)
    }

    /// Where node `place` answers DNS.
    pub fn dns_of(&self, place: usize) -> SocketAddr {
        self.seats[place].dns
    }

    /// The members as some node tells them.
    pub async fn members(&self) -> Option<Vec<serde_json::Value>> {
        let said = self.cli.run(&["cluster", "members", "-o", "json"]).await;
        let value: serde_json::Value = serde_json::from_str(&said.out).ok()?;
        value["members"].as_array().cloned()
    }

    /// The place of the leader in `nodes`, waiting for one.
    pub async fn leader(&self) -> usize {
        wait::until("a leader", SOON, || async {
            let members = self.members().await?;
            let leader = members.iter().find(|member| member["leader"] == true)?;
            let name = leader["node"].as_str()?;
            self.nodes.iter().position(|node| node.files.name == name)
        })
        .await
    }

    /// Waits until node `place` leads, which it is asked to until it does.
    pub async fn lead(&self, place: usize) {
        let member = (place + 1).to_string();
        let last = Mutex::new(String::new());
        let leads = wait::within(SOON, || async {
            let said = self.cli.run(&["cluster", "transfer", &member]).await;
            last.lock().unwrap().clone_from(&said.err);
            (said.code == 0).then_some(())
        });
        if leads.await.is_none() {
            panic!(
                "node {member} does not lead: {}",
                last.into_inner().unwrap()
            );
        }
    }

    /// Authorizes a hostname and waits until it is live.
    pub async fn onboard(&self, hostname: &str) {
        self.cli.run(&["hostname", "add", hostname]).await.ok();
        self.cli
            .run(&["hostname", "wait", hostname, "--timeout", "60s"])
            .await
            .ok();
    }

    /// The serial that node `place` presents for `hostname`, if it serves it.
    pub async fn serial(&self, place: usize, hostname: &str) -> Option<String> {
        let answer = self
            .https
            .get(self.nodes[place].files.https(), hostname, "/")
            .await
            .ok()?;
        if answer.status != 200 {
            return None;
        }
        let (_, certificate) = x509_parser::parse_x509_certificate(&answer.leaf).ok()?;
        Some(certificate.raw_serial_as_string())
    }

    /// Waits until all of `places` present one and the same serial, and tells it.
    pub async fn served_alike(&self, places: &[usize], hostname: &str) -> String {
        wait::until(&format!("{hostname} served alike"), SOON, || async {
            let mut serials = Vec::new();
            for place in places {
                serials.push(self.serial(*place, hostname).await?);
            }
            serials.dedup();
            (serials.len() == 1).then(|| serials.remove(0))
        })
        .await
    }

    /// The place of a node that has ended by itself, if one has.
    pub fn dead(&mut self) -> Option<usize> {
        self.nodes.iter_mut().position(|node| node.has_ended())
    }

    fn spawn(
        &self,
        files: &NodeFiles,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> NodeProcess {
        let failpoint = self.failpoint().display().to_string();
        let mut all = vec![("HOSTQUORUM_FAILPOINT_FILE", failpoint.as_str())];
        all.extend_from_slice(variables);
        let mut program = binaries::path("hostquorumd");
        if let Some(lan) = &self.options.lan {
            program = lan.program(files.ip, &program, self.dir());
        }
        NodeProcess::start(&program, files, arguments, &all).unwrap()
    }

    /// Starts a killed node again, with more environment.
    pub async fn restart(&mut self, place: usize, variables: &[(&str, &str)]) {
        self.start_again(place, variables);
        self.nodes[place].ready(START).await.unwrap();
    }

    /// The same, without waiting for it: it may be struck before it is ready.
    pub fn start_again(&mut self, place: usize, variables: &[(&str, &str)]) {
        let files = self.nodes[place].files.clone();
        self.nodes[place] = self.spawn(&files, &[], variables);
    }

    /// A file system of its own for node `place`'s data, whose power can be cut; the node
    /// is restarted on it.
    pub async fn on_power_of_its_own(&mut self, place: usize) -> Ext4 {
        self.nodes[place].stop(SOON).await.unwrap();
        let ext4 = Ext4::under(&self.nodes[place].files.data());
        self.restart(place, &[]).await;
        self.settled().await;
        ext4
    }

    /// The term, as node `place` tells it: how many elections there were.
    pub async fn elections(&self, place: usize) -> Option<u64> {
        let admin = self.nodes[place].files.admin().to_string();
        let arguments = ["--address", &admin, "cluster", "status", "-o", "json"];
        let said = self.cli.run(&arguments).await;
        let status: serde_json::Value = serde_json::from_str(&said.out).ok()?;
        let term = &status["term"];
        let term = term.as_u64().or_else(|| term.as_str()?.parse().ok())?;
        Some(term / TERMS_OF_ONE)
    }

    /// The disk under `folder` of node `place`'s data; the node is restarted on it.
    pub async fn on_a_disk_that_may_fail(&mut self, place: usize, folder: &str) -> Disk {
        let folder = self.nodes[place].files.data().join(folder);
        let disk = Disk::under(self.dir(), &folder);
        self.nodes[place].stop(SOON).await.unwrap();
        self.restart(place, &disk.variables()).await;
        self.settled().await;
        disk
    }

    /// What node `place` says to `/readyz`: the status and the reason.
    pub async fn readiness(&self, place: usize) -> Option<(u16, String)> {
        let health = self.nodes[place].files.health();
        let (status, body) = request::plain(health, "/readyz").await.ok()?;
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// The figure `name` of node `place`.
    pub async fn figure(&self, place: usize, name: &str) -> Option<f64> {
        let health = self.nodes[place].files.health();
        let (_, body) = request::plain(health, "/metrics").await.ok()?;
        let text = String::from_utf8_lossy(&body).into_owned();
        let line = text
            .lines()
            .find(|line| line.split(' ').next() == Some(name))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Where node `place` serves customers.
    pub fn https_of(&self, place: usize) -> SocketAddr {
        self.nodes[place].files.https()
    }
}

/// As the development CA is told of an external account.
fn known((kid, hmac_key): &(String, String)) -> ExternalAccounts {
    let account = ExternalAccount {
        kid: kid.clone(),
        hmac_key: hmac_key.clone(),
    };
    ExternalAccounts {
        keys: vec![account],
        single_use: false,
    }
}
