//! The connection to a cluster: mutual TLS with whichever node of the context
//! answers first, or the socket of this machine's node, and calls that end in time.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use enroll::{Context, Credential, EnrollError, Leaf};
use futures_util::{StreamExt, stream::FuturesUnordered};
use hyper_util::rt::TokioIo;
use proto::admin::v1::{
    ListMembersRequest, backups_client::BackupsClient, cas_client::CasClient,
    certificates_client::CertificatesClient, checks_client::ChecksClient,
    cluster_client::ClusterClient, hostnames_client::HostnamesClient,
    invitations_client::InvitationsClient, ledger_client::LedgerClient, stats_client::StatsClient,
    zones_client::ZonesClient,
};
use rustls::{pki_types::UnixTime, time_provider::DefaultTimeProvider};
use tokio::{
    net::UnixStream,
    time::{sleep, timeout},
};
use tonic::{
    Response, Status,
    transport::{Channel, Endpoint},
};

use crate::{arguments::Globals, complaint::Complaint, context::Contexts, output::clean};

/// How long to wait for an answer, unless told otherwise: a write takes up to
/// three seconds without a quorum.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long one node may take to connect: three retransmissions.
const CONNECT_WITHIN: Duration = Duration::from_secs(8);

/// A node that has not answered by then gets a rival: a machine that is off costs
/// this and not a timeout.
const RIVAL_AFTER: Duration = Duration::from_millis(250);

/// Most addresses that are kept in a context: more than members of a sound cluster.
const ADDRESSES_MAX: usize = 32;

/// How long the look for new addresses may hold up the end of a command.
const REFRESH_WITHIN: Duration = Duration::from_secs(1);

/// What an address of a socket begins with, as gRPC writes it.
const LOCAL: &str = "unix:";

/// A connection to one node of a cluster.
pub(crate) struct Session {
    channel: Channel,
    answer_within: Duration,
    /// The context to keep fresh; none if the addresses were told.
    kept: Option<(PathBuf, Context)>,
    /// The address that answered.
    address: String,
}

impl Session {
    /// Connects as the context says; by this machine's socket, without a context, if the
    /// address is one.
    pub(crate) async fn open(globals: &Globals, contexts: &Contexts) -> Result<Self> {
        if let [address] = &globals.address[..]
            && let Some(socket) = address.strip_prefix(LOCAL)
        {
            return Ok(Self {
                channel: local(Path::new(socket)).await?,
                answer_within: globals.timeout.unwrap_or(ANSWER_WITHIN),
                kept: None,
                address: address.clone(),
            });
        }
        let place = contexts.chosen(globals.context.as_deref())?;
        let context = Context::read(&place.file)?;
        check_current(&context, &place.name)?;
        let told = !globals.address.is_empty();
        let addresses = if told {
            globals.address.clone()
        } else {
            context.addresses.clone()
        };
        let within = globals.timeout.unwrap_or(CONNECT_WITHIN);
        let (address, channel) = race(&context.credential, &addresses, within)
            .await
            .map_err(|failures| unreachable_cluster(&place.name, &failures))?;
        Ok(Self {
            channel,
            answer_within: globals.timeout.unwrap_or(ANSWER_WITHIN),
            kept: (!told).then_some((place.file, context)),
            address,
        })
    }

    pub(crate) fn hostnames(&self) -> HostnamesClient<Channel> {
        HostnamesClient::new(self.channel.clone())
    }

    pub(crate) fn zones(&self) -> ZonesClient<Channel> {
        ZonesClient::new(self.channel.clone())
    }

    pub(crate) fn cas(&self) -> CasClient<Channel> {
        CasClient::new(self.channel.clone())
    }

    pub(crate) fn ledger(&self) -> LedgerClient<Channel> {
        LedgerClient::new(self.channel.clone())
    }

    pub(crate) fn certificates(&self) -> CertificatesClient<Channel> {
        CertificatesClient::new(self.channel.clone())
    }

    pub(crate) fn checks(&self) -> ChecksClient<Channel> {
        ChecksClient::new(self.channel.clone())
    }

    pub(crate) fn stats(&self) -> StatsClient<Channel> {
        StatsClient::new(self.channel.clone())
    }

    /// Waits longer for answers, unless told how long.
    pub(crate) fn wait_longer(&mut self, globals: &Globals, within: Duration) {
        if globals.timeout.is_none() {
            self.answer_within = within;
        }
    }

    pub(crate) fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel.clone())
    }

    pub(crate) fn backups(&self) -> BackupsClient<Channel> {
        BackupsClient::new(self.channel.clone())
    }

    pub(crate) fn invitations(&self) -> InvitationsClient<Channel> {
        InvitationsClient::new(self.channel.clone())
    }

    /// Asks something that changes nothing. `doing` is what for.
    pub(crate) async fn read<T>(
        &self,
        doing: &str,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Complaint> {
        self.call(doing, call, false).await
    }

    /// Asks for a change.
    pub(crate) async fn write<T>(
        &self,
        doing: &str,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Complaint> {
        self.call(doing, call, true).await
    }

    async fn call<T>(
        &self,
        doing: &str,
        call: impl Future<Output = Result<Response<T>, Status>>,
        writes: bool,
    ) -> Result<T, Complaint> {
        match timeout(self.answer_within, call).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(Complaint::refused(doing, &status, writes)),
            Err(_) => Err(Complaint::timed_out(doing, self.answer_within, writes)),
        }
    }

    /// Takes up addresses of new members into the context, so that the next command
    /// finds a node when this one is down. Best effort: the command itself is done.
    pub(crate) async fn refresh(self) {
        let mut cluster = self.cluster();
        let asked = timeout(REFRESH_WITHIN, cluster.list_members(ListMembersRequest {}));
        let (Ok(Ok(answer)), Some((file, mut context))) = (asked.await, self.kept) else {
            return;
        };
        let members = answer.into_inner().members;
        let told = members.into_iter().map(|member| member.admin_address);
        let fresh = merged(&self.address, told);
        if !same(&fresh, &context.addresses) {
            context.addresses = fresh;
            // What could not be written is looked for again by the next command.
            let _unwritten = context.write(&file);
        }
    }
}

/// The channel to the daemon of this machine, by its socket.
pub(crate) async fn local(socket: &Path) -> Result<Channel> {
    let stream = UnixStream::connect(socket).await.map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => "run this as the daemon's user, or as root",
            _ => "is hostquorumd running here? Its socket is in its data directory",
        };
        Complaint::new(
            "reach the daemon",
            format!("{}: {error}", socket.display()),
            advice,
        )
    })?;
    let mut stream = Some(stream);
    let connector = tower::service_fn(move |_| {
        let stream = stream.take();
        async move {
            let stream = stream.ok_or_else(|| io::Error::other("the daemon hung up"))?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    // The address is never dialed: the connector brings the stream.
    Endpoint::from_static("http://socket")
        .connect_with_connector(connector)
        .await
        .context("the daemon does not speak gRPC on its socket")
}

/// A node only hangs up on a certificate that has ended: say so before.
fn check_current(context: &Context, name: &str) -> Result<(), Complaint> {
    let leaf = context.credential.chain.first();
    let Some(leaf) = leaf.and_then(|leaf| Leaf::read(leaf).ok()) else {
        return Ok(());
    };
    let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
    if now <= leaf.not_after {
        return Ok(());
    }
    Err(Complaint::new(
        format!("use the context `{name}`"),
        "its certificate has ended, or this machine's clock is ahead",
        "get a token from an administrator and run `hostquorum login`",
    ))
}

/// The address that answers first, and the failures of the others before it.
async fn race(
    credential: &Credential,
    addresses: &[String],
    within: Duration,
) -> Result<(String, Channel), Vec<String>> {
    let mut waiting = addresses.iter();
    let mut running = FuturesUnordered::new();
    let mut failures = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            running.push(attempt(credential, address, within));
        }
        tokio::select! {
            ended = running.next() => match ended {
                Some((address, Ok(channel))) => return Ok((address.clone(), channel)),
                Some((_, Err(why))) => failures.push(why),
                None => return Err(failures),
            },
            () = sleep(RIVAL_AFTER), if waiting.len() > 0 => {}
        }
    }
}

async fn attempt<'a>(
    credential: &Credential,
    address: &'a String,
    within: Duration,
) -> (&'a String, Result<Channel, String>) {
    let connecting = credential.connect(address, Arc::new(DefaultTimeProvider));
    let result = match timeout(within, connecting).await {
        Ok(result) => result.map_err(|error| failure(address, &error)),
        Err(_) => Err(format!("{address}: no answer")),
    };
    (address, result)
}

/// What became of an address; some errors name it themselves.
pub(crate) fn failure(address: &str, error: &EnrollError) -> String {
    match error {
        EnrollError::Connect { .. } => chain(error),
        _ => format!("{address}: {}", chain(error)),
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &EnrollError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    clean(&text)
}

fn unreachable_cluster(context: &str, failures: &[String]) -> Complaint {
    let why = if failures.is_empty() {
        "it has no addresses".to_owned()
    } else {
        failures.join("; ")
    };
    Complaint::new(
        format!("reach a node of the context `{context}`"),
        why,
        "is a node up, and its admin port reachable from here? Another one is asked by \
         --address HOST:PORT",
    )
}

/// The address that works, then all that members told.
fn merged(works: &str, told: impl Iterator<Item = String>) -> Vec<String> {
    let mut addresses = vec![works.to_owned()];
    for address in told.filter(|address| !address.is_empty()) {
        if !addresses.contains(&address) && addresses.len() < ADDRESSES_MAX {
            addresses.push(address);
        }
    }
    addresses
}

/// The same addresses, in whichever order.
fn same(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|address| other.contains(address))
}

/// Where to redeem a token: addresses were told, at least one.
pub(crate) fn told_addresses(globals: &Globals) -> Result<&[String]> {
    Some(&globals.address[..])
        .filter(|addresses| !addresses.is_empty())
        .context("an address is needed: --address HOST:PORT of any node's admin port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_members_are_taken_up_behind_the_one_that_works() {
        let told = ["b:1", "a:1", "", "c:1"].map(str::to_owned);
        let fresh = merged("a:1", told.into_iter());
        assert_eq!(fresh, ["a:1", "b:1", "c:1"]);
        assert!(same(&fresh, &["c:1", "a:1", "b:1"].map(str::to_owned)));
        assert!(!same(&fresh, &["a:1", "b:1"].map(str::to_owned)));
        let many = (0..100).map(|number| format!("n{number}:1"));
        assert_eq!(merged("a:1", many).len(), ADDRESSES_MAX);
    }
}
