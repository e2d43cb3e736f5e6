//! Writers that go on whatever happens, and remember what was acknowledged to them.
//!
//! What they write are invitations: each has a name of its own, costs no certificate and
//! stays for a day.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use proto::admin::v1::{
    CreateInvitationRequest, ListInvitationsRequest, Role, invitations_client::InvitationsClient,
};
use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{Status, transport::Channel};

use crate::{Cluster, admin::Admin, cluster::SOON, wait};

/// How long an answer is waited for: the API answers within three seconds.
const PATIENCE: Duration = Duration::from_secs(4);
/// After a failure, before the next node is asked.
const PAUSE: Duration = Duration::from_millis(20);
/// Invitations stay for so long: longer than any test.
const DAY: u32 = 86_400;
/// A state takes ten thousand invitations: writers rest when they have made so many.
const MOST: usize = 9_500;

/// Writers at work; they end when this is dropped.
#[derive(Debug)]
pub struct Writers {
    known: Arc<Known>,
    stop: CancellationToken,
    tasks: Vec<AbortOnDropHandle<()>>,
}

#[derive(Debug, Default)]
struct Known {
    acknowledged: Mutex<BTreeSet<String>>,
    failed: AtomicU64,
}

impl Known {
    fn acknowledged(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writers {
    /// As many as there are nodes, each beginning at another one; each rests for `pace`
    /// after a write.
    pub fn start(cluster: &Cluster, pace: Duration) -> Self {
        let (known, stop) = (Arc::<Known>::default(), CancellationToken::new());
        let nodes = cluster.nodes.iter();
        let addresses: Vec<String> = nodes.map(|node| node.files.admin().to_string()).collect();
        let tasks = (0..addresses.len()).map(|first| {
            let (known, stop) = (Arc::clone(&known), stop.clone());
            let (admin, addresses) = (Admin::read(&cluster.context()), addresses.clone());
            let writing = write(admin, addresses, first, pace, known, stop);
            AbortOnDropHandle::new(tokio::spawn(writing))
        });
        let tasks = tasks.collect();
        Self { known, stop, tasks }
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.known.acknowledged().len()
    }

    /// How many writes failed or had no answer so far.
    pub fn failed(&self) -> u64 {
        self.known.failed.load(Relaxed)
    }

    /// Waits until `more` writes are acknowledged.
    pub async fn go_on(&self, more: usize) {
        let wanted = (self.acknowledged() + more).min(MOST);
        wait::until(&format!("{more} more writes"), SOON, || async {
            (self.acknowledged() >= wanted).then_some(())
        })
        .await;
    }

    /// Ends them, and tells what was acknowledged in all.
    pub async fn stop(self) -> BTreeSet<String> {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        self.known.acknowledged().clone()
    }
}

async fn write(
    admin: Admin,
    addresses: Vec<String>,
    first: usize,
    pace: Duration,
    known: Arc<Known>,
    stop: CancellationToken,
) {
    for place in first.. {
        let address = &addresses[place % addresses.len()];
        let connecting = timeout(PATIENCE, admin.connect(address));
        let connected = tokio::select! {
            connected = connecting => connected,
            () = stop.cancelled() => return,
        };
        if let Ok(Ok(channel)) = connected {
            write_through(&channel, pace, &known, &stop).await;
        }
        if stop.is_cancelled() {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// Writes until one fails.
async fn write_through(channel: &Channel, pace: Duration, known: &Known, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        if known.acknowledged().len() < MOST {
            match timeout(PATIENCE, invite(channel)).await {
                Ok(Ok(name)) => {
                    known.acknowledged().insert(name);
                }
                _ => {
                    known.failed.fetch_add(1, Relaxed);
                    return;
                }
            }
        }
        tokio::select! {
            () = sleep(pace) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn invite(channel: &Channel) -> Result<String, Status> {
    let request = CreateInvitationRequest {
        role: Role::Viewer.into(),
        ttl_seconds: DAY,
    };
    let mut client = InvitationsClient::new(channel.clone());
    let made = client.create_invitation(request).await?.into_inner();
    let made = made.invitation.map(|made| made.name);
    made.ok_or_else(|| Status::internal("no invitation in the answer"))
}

/// Which of `acknowledged` the node at `address` does not have.
///
/// # Errors
/// It did not answer.
async fn missing(
    admin: &Admin,
    address: &str,
    acknowledged: &BTreeSet<String>,
) -> Result<BTreeSet<String>, String> {
    let channel = admin.connect(address).await;
    let channel = channel.map_err(|error| error.to_string())?;
    let mut client = InvitationsClient::new(channel);
    let (mut missing, mut page_token) = (acknowledged.clone(), String::new());
    loop {
        let request = ListInvitationsRequest {
            page_size: 1000,
            page_token,
        };
        let page = client.list_invitations(request).await;
        let page = page.map_err(|error| error.to_string())?.into_inner();
        for invitation in &page.invitations {
            missing.remove(&invitation.name);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(missing);
        }
    }
}

/// Waits until every node of the cluster has all that was acknowledged.
///
/// # Panics
/// If one lacks something for too long: that was lost.
pub async fn all_there(cluster: &Cluster, acknowledged: &BTreeSet<String>) {
    let admin = Admin::read(&cluster.context());
    for node in &cluster.nodes {
        let address = node.files.admin().to_string();
        let last = Mutex::new(Ok(BTreeSet::new()));
        let looking = wait::within(SOON, || async {
            let found = missing(&admin, &address, acknowledged).await;
            let none = found.as_ref().is_ok_and(BTreeSet::is_empty);
            *last.lock().unwrap() = found;
            none.then_some(())
        });
        if looking.await.is_none() {
            let lost = last.into_inner().unwrap();
            panic!(
                "{} lacks of what was acknowledged: {lost:?}",
                node.files.name
            );
        }
    }
}
