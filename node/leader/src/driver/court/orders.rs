//! Orders: each in a task of its own, up to a bound.

use std::{future::Future, sync::Arc};

use state::{Budget, CaName, CertificateId, Hostname, State, Timestamp};

use super::{Court, Work};
use crate::{
    issuance::{
        self, Ticket,
        authority::{Authority, renewal_id},
    },
    leaves,
    reign::Reign,
    scheduler::{self, Pick, Prospect},
    status::Duty,
};

/// One place in so many is kept for renewals.
const KEPT_PART: usize = 10;

impl Court {
    /// Takes up what is in flight before it begins what is due. True if there was no time to
    /// read, or to look at, all that waits.
    pub(super) fn orders(&mut self, state: &State, now: Timestamp, trusted: bool) -> bool {
        let unread = self.queue.follow(state, now);
        if !self.is_free(Duty::Issuance) {
            return unread;
        }
        self.resume(state);
        let reign = self.reign.clone();
        let (calm, out) = (
            |ca: &CaName| reign.weather(ca).pause().is_none(),
            |ca: &CaName| reign.is_out(ca),
        );
        let bound = reign.config.orders_in_flight;
        let prospect = Prospect {
            now,
            trusted,
            held: reign.clock_misleads() || state.pause().is_some(),
            free: bound.saturating_sub(self.going(&calm)),
            kept: if bound > 1 {
                bound.div_ceil(KEPT_PART)
            } else {
                0
            },
            calm: &|ca| calm(ca) && self.cas.get(ca).is_some(),
            out: &out,
        };
        let (picks, again) = self.queue.pick(state, &prospect);
        for pick in picks {
            let Some(authority) = self.cas.get(&pick.ca) else {
                self.queue.ended(&pick.hostname, now);
                continue;
            };
            let (hostname, ca) = (pick.hostname.clone(), pick.ca.clone());
            self.carry(hostname, ca, begin(reign.clone(), authority, pick));
        }
        again || unread
    }

    /// Those of earlier leaders, and those whose carrier has ended.
    fn resume(&mut self, state: &State) {
        for order in state.orders() {
            if self.queue.in_hand().contains(&order.hostname) {
                continue;
            }
            // Not opened: its account's duty will see to it.
            let Some(authority) = self.cas.get(&order.ca) else {
                continue;
            };
            let resume = issuance::resume(self.reign.clone(), authority, order.id);
            self.queue.begun(order.hostname.clone());
            self.carry(order.hostname.clone(), order.ca.clone(), resume);
        }
    }

    /// Orders that go forward: those at a CA that must be left alone only wait, and hold
    /// no place of others.
    fn going(&self, calm: &dyn Fn(&CaName) -> bool) -> usize {
        let orders = self.works.values();
        orders
            .filter(|work| matches!(work, Work::Order { ca, .. } if calm(ca)))
            .count()
    }

    fn carry(
        &mut self,
        hostname: Hostname,
        ca: CaName,
        work: impl Future<Output = Result<(), String>> + Send + 'static,
    ) {
        let abort = self.tasks.spawn(work);
        let id = abort.id();
        let work = Work::Order {
            hostname,
            ca,
            abort,
        };
        self.works.insert(id, work);
    }
}

/// Finds out what there is to say of what is replaced, and begins.
async fn begin(reign: Arc<Reign>, authority: Arc<dyn Authority>, pick: Pick) -> Result<(), String> {
    let replaces = match pick.replaces {
        None => None,
        Some(replaced) => replaces(&reign, &*authority, replaced).await,
    };
    let budget = match (pick.budget, &replaces) {
        (Budget::Exempt, None) => {
            let (state, now) = (reign.state(), reign.now());
            scheduler::without_replaces(&state, &pick.hostname, &pick.ca, now)
        }
        (budget, _) => budget,
    };
    let ticket = Ticket {
        hostname: pick.hostname,
        claim: pick.claim,
        ca: pick.ca,
        algorithm: pick.algorithm,
        profile: pick.profile,
        replaces,
        budget,
        domain: pick.domain,
    };
    issuance::admit(reign, authority, ticket).await
}

/// What the CA calls a certificate that is replaced, if it wants to know (RFC 9773).
async fn replaces(
    reign: &Reign,
    authority: &dyn Authority,
    replaced: CertificateId,
) -> Option<String> {
    // A CA that cannot be asked is met again right after.
    if !authority.directory().await.ok()?.has_renewal_info {
        return None;
    }
    let certificate = reign.state().certificate(&replaced)?.clone();
    let leaf = match leaves::leaf(&reign.ports.bodies, &certificate).await {
        Ok(leaf) => leaf,
        Err(error) => {
            tracing::warn!(hostname = %certificate.hostname, %error, "renewed without a word of what it replaces");
            return None;
        }
    };
    renewal_id(&leaf).ok()
}
