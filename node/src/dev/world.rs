//! The cluster, the CA and the origin of the tour.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::HEXLOWER;
use enroll::{Context, Credential, PrivateKey};
use hyper_util::rt::TokioIo;
use proto::{
    admin::v1::{
        CreateHostnameRequest, CreateInvitationRequest, GetStatusRequest, Hostname,
        ListHostnamesRequest, Member, Role, cluster_client::ClusterClient,
        hostnames_client::HostnamesClient, invitations_client::InvitationsClient,
    },
    cluster::v1::{AcmeDirectory, InitRequest, bootstrap_client::BootstrapClient},
};
use rustls::time_provider::DefaultTimeProvider;
use state::ports::Clock as _;
use tokio::{net::UnixStream, time::Instant};
use tonic::{
    Code,
    transport::{Channel, Endpoint, Uri},
};

use super::{
    Options,
    origin::DemoOrigin,
    process::{NodeFiles, NodeProcess, Ports},
    request::HttpsClient,
};
use crate::environment::SystemClock;

/// Starting a process, even unoptimised on a busy machine.
const START: Duration = Duration::from_secs(30);
/// What the cluster agrees on must be agreed on by then.
const AGREE: Duration = Duration::from_secs(30);
/// Longer than a drain takes.
const STOP: Duration = Duration::from_secs(15);
/// How many nodes.
const NODES: u16 = 3;
/// Ports of one node, with room.
const PORTS_EACH: u16 = 10;

/// All of it. Dropping it kills the nodes.
pub(crate) struct World {
    data: PathBuf,
    files: Vec<NodeFiles>,
    processes: Vec<Option<NodeProcess>>,
    ca: devca::Running,
    https: HttpsClient,
    context: Context,
    _origin: DemoOrigin,
}

impl World {
    /// Forms the cluster, or starts it again from its data.
    pub(crate) async fn start(options: &Options) -> Result<Self> {
        fs::create_dir_all(&options.data)
            .with_context(|| format!("{} cannot be made", options.data.display()))?;
        let data = options.data.canonicalize()?;
        let files = (1..=NODES)
            .map(|number| files(&data, options.port, number))
            .collect::<Result<Vec<_>>>()?;
        let ca = start_ca(&data, options.port, &files).await?;
        fs::write(data.join("ca-root.pem"), ca.root_pem())?;
        let origin = DemoOrigin::start((Ipv4Addr::LOCALHOST, options.port + 1).into())
            .await
            .with_context(|| {
                format!(
                    "the demonstration origin cannot listen on port {}",
                    options.port + 1
                )
            })?;
        let https = HttpsClient::trusting(ca.root_pem().as_bytes())?;
        let path = data.join("context.toml");
        let formed = path.exists();
        let mut processes: Vec<Option<NodeProcess>> = files.iter().map(|_| None).collect();
        let context = if formed {
            for (process, files) in processes.iter_mut().zip(&files) {
                if files.data().join("identity.json").exists() {
                    *process = Some(spawn(files, &[])?);
                }
            }
            let context = Context::read(&path)?;
            let first = files[0].admin().to_string();
            ensure!(
                context.addresses.contains(&first),
                "the cluster in {} was formed on other ports ({}): give the same --port, or delete the folder",
                data.display(),
                context.addresses.join(", ")
            );
            context
        } else {
            ensure!(
                !files[0].data().join("identity.json").exists(),
                "{} holds a cluster that was never formed to its end: delete the folder and run this again",
                data.display()
            );
            let mut first = spawn(&files[0], &[])?;
            first.live(START).await?;
            let context = init(&files[0], &ca, &origin, &path).await?;
            processes[0] = Some(first);
            context
        };
        let mut world = Self {
            data,
            files,
            processes,
            ca,
            https,
            context,
            _origin: origin,
        };
        world.complete().await?;
        Ok(world)
    }

    /// Lets in whoever is not in yet, and waits until all vote and serve.
    async fn complete(&mut self) -> Result<()> {
        for place in 0..self.files.len() {
            if self.processes[place].is_none() {
                let token = self.token(place).await?;
                let sponsor = self.files[0].admin().to_string();
                let arguments = [
                    "--join",
                    &sponsor,
                    "--token-file",
                    &token.display().to_string(),
                ];
                let mut process = spawn(&self.files[place], &arguments)?;
                process.ready(START).await?;
                fs::remove_file(&token)?;
                self.processes[place] = Some(process);
            }
        }
        for process in self.processes.iter_mut().flatten() {
            process.ready(START).await?;
        }
        self.until("three voters", async |world: &Self| {
            let members = world.members().await?;
            let voting = members
                .iter()
                .filter(|member| member.standing == "voting")
                .count();
            Ok((voting == world.files.len()).then_some(()))
        })
        .await?;
        self.context.addresses = self.nodes().map(|node| node.admin().to_string()).collect();
        Ok(self.context.write(&self.context_file())?)
    }

    async fn token(&self, place: usize) -> Result<PathBuf> {
        let request = CreateInvitationRequest {
            role: Role::Node.into(),
            ttl_seconds: 300,
        };
        let path = self.data.join(format!("{}.token", self.files[place].name));
        let created = self
            .until("a token", async |world: &Self| {
                let created = InvitationsClient::new(world.channel().await?)
                    .create_invitation(request)
                    .await;
                Ok(created.ok())
            })
            .await?;
        fs::write(&path, &created.get_ref().token)?;
        Ok(path)
    }

    /// Looks until there is an answer; a failure is looked at again until the time
    /// is over.
    async fn until<T>(
        &self,
        what: &str,
        look: impl AsyncFn(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + AGREE;
        loop {
            let failed = match look(self).await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => None,
                Err(error) => Some(error),
            };
            if Instant::now() >= deadline {
                let error = failed.unwrap_or_else(|| anyhow::anyhow!("it has not come about"));
                return Err(error.context(format!("waiting for {what} took longer than {AGREE:?}")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A connection to any node that runs.
    async fn channel(&self) -> Result<Channel> {
        let mut failure = None;
        for files in self.running() {
            match self
                .context
                .credential
                .connect(&files.admin().to_string(), Arc::new(DefaultTimeProvider))
                .await
            {
                Ok(channel) => return Ok(channel),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.map_or_else(|| anyhow::anyhow!("no node runs"), Into::into))
    }

    /// Authorizes a hostname; one that is authorized already is as good.
    pub(crate) async fn authorize(&self, hostname: &str) -> Result<()> {
        let request = CreateHostnameRequest {
            hostname: hostname.to_owned(),
            ..Default::default()
        };
        match HostnamesClient::new(self.channel().await?)
            .create_hostname(request)
            .await
        {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::AlreadyExists => Ok(()),
            Err(status) => bail!("{hostname} was not authorized: {}", status.message()),
        }
    }

    /// All hostnames.
    pub(crate) async fn hostnames(&self) -> Result<Vec<Hostname>> {
        let request = ListHostnamesRequest {
            page_size: 1000,
            ..ListHostnamesRequest::default()
        };
        let listed = HostnamesClient::new(self.channel().await?)
            .list_hostnames(request)
            .await?;
        Ok(listed.into_inner().hostnames)
    }

    async fn members(&self) -> Result<Vec<Member>> {
        let status = ClusterClient::new(self.channel().await?)
            .get_status(GetStatusRequest {})
            .await?;
        Ok(status.into_inner().members)
    }

    /// Kills the leader as a power switch would; answers with its place.
    pub(crate) async fn kill_leader(&mut self) -> Result<usize> {
        let leader = self
            .until("a leader", async |world: &Self| {
                let members = world.members().await?;
                let leader = members
                    .iter()
                    .find(|member| member.leader)
                    .map(|member| member.node_name.clone());
                Ok(leader.and_then(|name| world.files.iter().position(|files| files.name == name)))
            })
            .await?;
        let mut process = self.processes[leader].take().context("the leader runs")?;
        process.kill().await?;
        Ok(leader)
    }

    /// Starts a killed node again.
    pub(crate) async fn restart(&mut self, place: usize) -> Result<()> {
        let mut process = spawn(&self.files[place], &[])?;
        process.ready(START).await?;
        self.processes[place] = Some(process);
        Ok(())
    }

    /// Drains all nodes and ends them.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let stopping = self
            .processes
            .iter_mut()
            .flatten()
            .map(|process| process.stop(STOP));
        for stopped in futures_util::future::join_all(stopping).await {
            let status = stopped?;
            ensure!(
                status.success(),
                "a node ended with {status}; see the logs in {}",
                self.data.display()
            );
        }
        self.ca.shutdown().await;
        Ok(())
    }

    /// How many certificates the CA issued, ever.
    pub(crate) fn issued(&self) -> usize {
        self.ca.ledger().certificates.len()
    }

    /// Trusts what the CA issues.
    pub(crate) fn https(&self) -> &HttpsClient {
        &self.https
    }

    /// All nodes' files.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeFiles> {
        self.files.iter()
    }

    /// The files of those that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = &NodeFiles> {
        self.processes
            .iter()
            .flatten()
            .map(|process| &process.files)
    }

    /// How many nodes there are.
    pub(crate) fn node_count(&self) -> usize {
        self.files.len()
    }

    /// As 32 hexadecimal digits.
    pub(crate) fn cluster_id(&self) -> String {
        HEXLOWER.encode(&self.context.credential.cluster)
    }

    /// The command line's context.
    pub(crate) fn context_file(&self) -> PathBuf {
        self.data.join("context.toml")
    }

    /// The root that the certificates chain to.
    pub(crate) fn ca_root(&self) -> PathBuf {
        self.data.join("ca-root.pem")
    }

    /// Where everything is.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }
}

fn files(data: &Path, port: u16, number: u16) -> Result<NodeFiles> {
    let ports = Ports::from(port + number * PORTS_EACH);
    let extra =
        "[edge]\nthreads = 1\nlame_duck = \"0s\"\ngrace = \"5s\"\n[issuance]\nretry = \"2s\"\n";
    let files = NodeFiles::write(
        data,
        &format!("node-{number}"),
        Ipv4Addr::LOCALHOST,
        ports,
        extra,
    )?;
    Ok(files)
}

async fn start_ca(data: &Path, port: u16, files: &[NodeFiles]) -> Result<devca::Running> {
    let vantages = files.iter().map(|files| devca::Vantage {
        http: files.http(),
        tls: files.https(),
    });
    let probing = devca::Probing::vantages(vantages.collect(), devca::Agreement::EveryReachable);
    let clock: devca::Clock = Arc::new(|| SystemClock.now().as_secs());
    let mut config = devca::Config::new((Ipv4Addr::LOCALHOST, port).into(), probing, clock);
    config.directory = Some(data.join("ca"));
    let started = devca::Server::start(config).await;
    started.with_context(|| {
        format!("the development CA cannot start on port {port}; is another `dev` running?")
    })
}

fn spawn(files: &NodeFiles, arguments: &[&str]) -> Result<NodeProcess> {
    let program = std::env::current_exe().context("this program cannot find itself")?;
    Ok(NodeProcess::start(&program, files, arguments, &[])?)
}

/// What `hostquorum cluster init` does.
async fn init(
    files: &NodeFiles,
    ca: &devca::Running,
    origin: &DemoOrigin,
    path: &Path,
) -> Result<Context> {
    let socket = files.socket();
    let connector = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    // The address is never used: the connector knows the socket.
    let channel = Endpoint::from_static("http://socket")
        .connect_with_connector(connector)
        .await?;
    let key = PrivateKey::generate()?;
    let request = InitRequest {
        acme: Some(AcmeDirectory {
            url: ca.directory_url().to_owned(),
            trust_roots_pem: ca.root_pem().to_owned(),
            contacts: vec!["mailto:dev@localhost.example".to_owned()],
            terms_agreed: true,
            ..Default::default()
        }),
        admin_name: "dev".to_owned(),
        csr: key.request()?.into(),
        origin: origin.url(),
        ..Default::default()
    };
    let reply = match BootstrapClient::new(channel).init(request).await {
        Ok(reply) => reply.into_inner(),
        Err(status) => bail!("the cluster was not formed: {}", status.message()),
    };
    let credential = reply.credential.context("the answer has no credential")?;
    let cluster = HEXLOWER
        .decode(reply.cluster_id.as_bytes())
        .ok()
        .and_then(|id| id.try_into().ok());
    let context = Context {
        addresses: vec![reply.admin_address],
        name: credential.name,
        role: credential.role,
        credential: Credential {
            cluster: cluster.context("the answer has no cluster id")?,
            root: enroll::session::certificates(&[credential.root]).remove(0),
            chain: enroll::session::certificates(&credential.certificate_chain),
            key: Arc::new(key),
        },
    };
    context.write(path)?;
    Ok(context)
}
