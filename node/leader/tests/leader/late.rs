//! What a leader of old has sent, or is about to send, while another has taken over: at a
//! CA on sockets that makes a second certificate if it is asked for one, by its own ledger.
//! These are experiments in real time, all at once: they take a dozen seconds.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use devca::{Endpoint, FinalizeRule};
use futures_util::future::join_all;
use leader::{
    fence::{FINALIZE_WAIT, Permit},
    issuance::{
        acme::Dial,
        authority::{
            Access, Authorities, Authority, AuthorityError, AuthorizationView, ChainView,
            DirectoryView, FinalizeRequest, OrderRequest, OrderView, Registration, RenewalInfo,
            RevocationReason,
        },
    },
};
use state::{Secret, State, Term};
use tokio::{sync::Notify, time::sleep};

use crate::{
    development_ca::{Elsewhere, Site},
    doubles::Blind,
    wire::Wire,
    world::{Fate, Process, served},
};

const NAME: &str = "shop.example";

/// What happens to the old leader at its finalize.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// The network is cut before the request, and mended so much later.
    Cut(Duration),
    /// The same, and the leader dies while its request is in the socket.
    CutAndKilled(Duration),
    /// It is stopped before the fence is asked, and goes on so much later.
    Stopped(Duration),
    /// It learns of its commit so much later.
    LateCommit(Duration),
    /// It is killed with the request on its way, and the road is good.
    Killed,
}

const BLOWS: [Blow; 9] = [
    Blow::Cut(Duration::from_millis(1_000)),
    Blow::Cut(Duration::from_millis(2_500)),
    Blow::Cut(Duration::from_millis(5_000)),
    Blow::Cut(Duration::from_millis(9_500)),
    Blow::CutAndKilled(Duration::from_millis(500)),
    Blow::CutAndKilled(Duration::from_millis(9_500)),
    Blow::Stopped(Duration::from_millis(5_000)),
    Blow::LateCommit(Duration::from_millis(5_000)),
    Blow::Killed,
];

#[tokio::test]
async fn no_finalize_of_an_old_leader_arrives_after_the_wait_and_none_overlaps() {
    join_all(BLOWS.map(strike)).await;
}

async fn strike(blow: Blow) {
    let site = Site::start(|config| {
        // A second finalize within a minute makes a second certificate.
        let window_millis = 60_000;
        config.behaviour.finalize = FinalizeRule::Race { window_millis };
    });
    let site = site.await;
    site.world.alone.authorize(NAME);
    let (wire, about) = (
        Wire::to(site.ca.local_addr()).await,
        Arc::new(Notify::new()),
    );
    let mut old = Some(old_leader(&site, &wire, &about, blow));
    about.notified().await;
    if let Blow::LateCommit(_) = blow {
        old.as_mut().unwrap().until(finalizing).await;
    }
    let mut heir = site.lead();
    heir.until(|state| state.epoch().term == Term(2)).await;
    // When it was proposed: on a busy machine it is seen later, and the wait counts from here.
    let taken = site.world.state().epoch().since;
    if matches!(blow, Blow::CutAndKilled(_) | Blow::Killed) {
        sleep(Duration::from_millis(100)).await;
        old = None;
    }
    if let Blow::Cut(after) | Blow::CutAndKilled(after) = blow {
        sleep(after).await;
        wire.mend();
    }
    heir.until(served(NAME)).await;
    // Whatever is still to arrive, arrives.
    let left = taken.plus(FINALIZE_WAIT + Duration::from_secs(4));
    sleep(left.since(site.world.clock.now())).await;
    drop(old);
    check(&site, &wire, blow, taken);
}

/// By the CA's own books.
fn check(site: &Site, wire: &Wire, blow: Blow, taken: state::Timestamp) {
    let ledger = site.ca.ledger();
    let issued = ledger.certificates_for(&[NAME]).count();
    assert_eq!(issued, 1, "{blow:?}: certificates");
    assert!(ledger.overlaps().is_empty(), "{blow:?}: overlaps");
    assert_eq!(ledger.orders.len(), 1, "{blow:?}: orders");
    let posts = site.ca.control().posts();
    let finalizes = posts.iter().filter(|it| it.endpoint == Endpoint::Finalize);
    let after: Vec<u64> = finalizes
        .map(|post| post.received.as_unix_millis().saturating_sub(taken.0))
        .collect();
    let wait = u64::try_from(FINALIZE_WAIT.as_millis()).unwrap();
    let by_old = after.iter().filter(|after| **after < wait).count();
    println!("{blow:?}: finalize arrived {after:?} ms after the takeover");
    assert_eq!(after.len(), 1, "{blow:?}: one finalize, whoever sent it");
    match blow {
        // A kernel that lives sends again for as long as it may.
        Blow::Cut(mended) if mended < Duration::from_secs(2) => assert_eq!(by_old, 1, "{blow:?}"),
        Blow::Cut(mended) if mended < Duration::from_secs(4) => {}
        Blow::Killed => {}
        Blow::CutAndKilled(_) => {
            assert_eq!(by_old, 0, "{blow:?}");
            assert_eq!(wire.late(), 0, "{blow:?}: bytes that came through");
        }
        _ => assert_eq!(by_old, 0, "{blow:?}"),
    }
}

fn finalizing(state: &State) -> bool {
    let mut orders = state.orders();
    orders.any(|order| order.stage.as_str() == "finalize-intent")
}

/// A leader that notices nothing of its end.
fn old_leader(site: &Site, wire: &Wire, about: &Arc<Notify>, blow: Blow) -> Process {
    let dial: Arc<dyn Dial> = Arc::new(wire.clone());
    let road = Watched {
        inner: site.road(dial, Arc::new(Blind)),
        wire: wire.clone(),
        about: about.clone(),
        blow,
        finalizes: Arc::new(Mutex::new(0)),
    };
    let fate = match blow {
        Blow::LateCommit(by) => {
            // Nobody sees it come to its finalize: it is to be waited for in the state.
            about.notify_one();
            Fate::Slow(by)
        }
        _ => Fate::Lives,
    };
    site.world.lead_to(Arc::new(road), fate, Arc::new(Blind))
}

/// The CA, with a blow before its finalize.
struct Watched {
    inner: Elsewhere,
    wire: Wire,
    about: Arc<Notify>,
    blow: Blow,
    finalizes: Arc<Mutex<u32>>,
}

impl Authorities for Watched {
    fn open(&self, access: &Access<'_>) -> Result<Arc<dyn Authority>, AuthorityError> {
        Ok(Arc::new(Opened {
            inner: self.inner.open(access)?,
            wire: self.wire.clone(),
            about: self.about.clone(),
            blow: self.blow,
            finalizes: self.finalizes.clone(),
        }))
    }
}

struct Opened {
    inner: Arc<dyn Authority>,
    wire: Wire,
    about: Arc<Notify>,
    blow: Blow,
    finalizes: Arc<Mutex<u32>>,
}

#[async_trait]
impl Authority for Opened {
    async fn finalize(
        &self,
        request: &FinalizeRequest<'_>,
        permit: Permit,
    ) -> Result<OrderView, AuthorityError> {
        let first = {
            let mut finalizes = self.finalizes.lock().unwrap();
            *finalizes += 1;
            *finalizes == 1
        };
        if first {
            match self.blow {
                Blow::Cut(_) | Blow::CutAndKilled(_) => self.wire.cut(),
                Blow::Stopped(until) => {
                    self.about.notify_one();
                    sleep(until).await;
                }
                Blow::LateCommit(_) | Blow::Killed => {}
            }
            self.about.notify_one();
        }
        self.inner.finalize(request, permit).await
    }

    async fn warm(&self) -> Result<(), AuthorityError> {
        self.inner.warm().await
    }

    async fn directory(&self) -> Result<Arc<DirectoryView>, AuthorityError> {
        self.inner.directory().await
    }

    async fn register(
        &self,
        registration: &Registration<'_>,
        permit: Permit,
    ) -> Result<String, AuthorityError> {
        self.inner.register(registration, permit).await
    }

    async fn find(&self) -> Result<Option<String>, AuthorityError> {
        self.inner.find().await
    }

    async fn set_contacts(
        &self,
        account_url: &str,
        contacts: &[String],
        permit: Permit,
    ) -> Result<(), AuthorityError> {
        let set = self.inner.set_contacts(account_url, contacts, permit);
        set.await
    }

    async fn roll_key(
        &self,
        account_url: &str,
        next_key: &Secret,
        permit: Permit,
    ) -> Result<(), AuthorityError> {
        self.inner.roll_key(account_url, next_key, permit).await
    }

    async fn new_order(
        &self,
        request: &OrderRequest<'_>,
        permit: Permit,
    ) -> Result<OrderView, AuthorityError> {
        self.inner.new_order(request, permit).await
    }

    async fn order(&self, url: &str) -> Result<OrderView, AuthorityError> {
        self.inner.order(url).await
    }

    async fn authorization(&self, url: &str) -> Result<AuthorizationView, AuthorityError> {
        self.inner.authorization(url).await
    }

    async fn ready(&self, challenge_url: &str, permit: Permit) -> Result<(), AuthorityError> {
        self.inner.ready(challenge_url, permit).await
    }

    async fn certificate(&self, url: &str) -> Result<ChainView, AuthorityError> {
        self.inner.certificate(url).await
    }

    async fn alternate(&self, url: &str) -> Result<String, AuthorityError> {
        self.inner.alternate(url).await
    }

    async fn revoke(
        &self,
        leaf: &[u8],
        reason: RevocationReason,
        permit: Permit,
    ) -> Result<(), AuthorityError> {
        self.inner.revoke(leaf, reason, permit).await
    }

    async fn renewal_info(&self, renewal_id: &str) -> Result<RenewalInfo, AuthorityError> {
        self.inner.renewal_info(renewal_id).await
    }
}
