//! Looking at hostnames: does the one who holds the account key hold the name too?
//!
//! A probe never reads the CA's state; it takes a [`Validation`] and ends in an outcome.

mod agreement;
mod alpn01;
mod certificate;
mod dns01;
mod http01;
mod nameserver;
mod vantage;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

pub use agreement::Agreement;
use agreement::{Miss, Tally};
pub use nameserver::{LookUpText, NameServer};
use vantage::Eye;
pub use vantage::{Loopback, Reach, Resolve, SystemResolver, Vantage};

use crate::problem::{Kind, Problem};
use crate::routes::ChallengeKind;
use crate::step::Validation;

/// As at Let's Encrypt.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How hostnames are looked at.
#[derive(Debug, Clone)]
pub struct Probing {
    /// Where a hostname is looked for.
    pub reach: Reach,
    /// Which of several vantages must agree.
    pub agreement: Agreement,
    /// How long one vantage is waited for, redirects included.
    pub timeout: Duration,
    /// Who is asked for the texts of dns-01; without it such challenges fail.
    pub texts: Option<Arc<dyn LookUpText>>,
}

impl Probing {
    /// Every name is looked for at 127.0.0.1, on these ports instead of 80 and 443.
    pub fn loopback(http_port: u16, tls_port: u16) -> Self {
        Self {
            reach: Reach::Resolve {
                resolver: Arc::new(Loopback),
                http_port,
                tls_port,
            },
            agreement: Agreement::Every,
            timeout: DEFAULT_TIMEOUT,
            texts: None,
        }
    }

    /// Every name is looked for at each of these vantages, such as the nodes of a
    /// cluster, of which so many as `agreement` says must answer rightly.
    pub fn vantages(vantages: Vec<Vantage>, agreement: Agreement) -> Self {
        Self {
            reach: Reach::Vantages(vantages),
            agreement,
            timeout: DEFAULT_TIMEOUT,
            texts: None,
        }
    }

    /// The same, with the texts of dns-01 asked of this server.
    #[must_use]
    pub fn with_texts_of(mut self, server: NameServer) -> Self {
        self.texts = Some(Arc::new(server));
        self
    }
}

/// Carries out one validation.
pub(crate) async fn validate(probing: &Probing, validation: &Validation) -> Result<(), Problem> {
    if validation.kind == ChallengeKind::Dns01 {
        let look = dns01::probe(probing.texts.as_deref(), validation);
        return timeout(probing.timeout, look)
            .await
            .unwrap_or_else(|_| Err(slow(&"the DNS server", probing.timeout, Kind::Dns)));
    }
    let eyes = probing.reach.eyes();
    let mut tally = Tally::new(probing.agreement, eyes.len());
    let mut probes: FuturesUnordered<_> = eyes
        .iter()
        .map(|eye| look(eye, probing.timeout, validation))
        .collect();
    loop {
        if let Some(verdict) = tally.verdict() {
            return verdict;
        }
        match probes.next().await {
            Some(outcome) => tally.count(outcome),
            None => return Err(tally.failure()),
        }
    }
}

async fn look(eye: &Eye, limit: Duration, validation: &Validation) -> Result<(), Miss> {
    let probe = async {
        match validation.kind {
            ChallengeKind::Http01 => http01::probe(eye, validation).await,
            ChallengeKind::TlsAlpn01 => alpn01::probe(eye, validation).await,
            // Not looked at from a vantage; see `validate`.
            ChallengeKind::Dns01 => Ok(()),
        }
    };
    timeout(limit, probe)
        .await
        .unwrap_or_else(|_| Err(Miss::Unreachable(slow(eye, limit, Kind::Connection))))
}

fn slow(who: &dyn std::fmt::Display, limit: Duration, kind: Kind) -> Problem {
    Problem::new(kind, format!("{who}: no whole answer within {limit:?}"))
}
