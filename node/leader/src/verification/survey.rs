//! Looks at hostnames, some at once, and what they came to.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{
    claim::{Claim, Cluster},
    name::DnsNameError,
    ownership::{self, Rules, Verdict},
    preflight::{Order, Preflight, preflight},
    probe::{Prober, Scope},
    seen::Seen,
};

/// Looks under way at once. One asks some 28 questions at a time (seven names, at two
/// resolvers and two servers of the zone), of which the resolver carries 256.
const LOOKS_MOST: usize = 9;

/// What the duty of verification can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Shortest wait between two looks at what is not as it should be.
    pub first: Duration,
    /// How long a look at a proof counts: an order that begins later looks again.
    pub fresh: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(30),
            fresh: Duration::from_secs(3600),
        }
    }
}

/// Looks at hostnames by the rules of this cluster.
#[derive(Clone)]
pub struct Surveyor {
    prober: Prober,
    rules: Rules,
    places: Arc<Semaphore>,
}

/// One look and what it was for.
#[derive(Clone, Debug)]
pub struct Survey {
    /// What the name must show.
    pub claim: Claim,
    /// What was true of the cluster.
    pub cluster: Cluster,
    /// What was seen.
    pub seen: Seen,
    rules: Rules,
}

impl Surveyor {
    /// By `prober`, judged by `rules`.
    pub fn new(prober: Prober, rules: Rules) -> Self {
        Self {
            prober,
            rules,
            places: Arc::new(Semaphore::new(LOOKS_MOST)),
        }
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Looks at the name of `claim`, after those that asked before.
    ///
    /// # Errors
    /// If the name is so long that none can be below it.
    pub async fn look(
        &self,
        claim: Claim,
        cluster: Cluster,
        scope: Scope,
    ) -> Result<Survey, DnsNameError> {
        // Never closed, so it always comes to a place.
        let _place = self.places.acquire().await;
        let seen = self.prober.look(&claim, &cluster, scope).await?;
        Ok(Survey {
            claim,
            cluster,
            seen,
            rules: self.rules,
        })
    }
}

impl Survey {
    /// Whether the claim is proven.
    pub fn verdict(&self) -> Verdict {
        ownership::judge(&self.claim, &self.cluster, &self.rules, &self.seen)
    }

    /// Whether `order`, which must be of the same claim, can succeed.
    pub fn preflight(&self, order: &Order<'_>) -> Preflight {
        preflight(order, &self.cluster, &self.rules.agreement, &self.seen)
    }
}

impl fmt::Debug for Surveyor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surveyor")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
