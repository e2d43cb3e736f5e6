//! Whether this machine reaches the CAs, as a leader must.

use std::{sync::Arc, time::Duration};

use leader::issuance::{
    acme::{AcmeAuthorities, Tcp},
    authority::{Access, Authorities as _, AuthorityError, Rates},
    request::{FreshKeys, Requests as _},
};
use proto::admin::v1::Ca;
use state::{Term, ports::Lease};
use tokio::time::{Instant, timeout};

use super::{Finding, cluster::Node};
use crate::environment::SystemClock;

const OF: &str = "cas";

/// A CA that takes longer is as good as out.
const WITHIN: Duration = Duration::from_secs(10);

/// Nothing with an effect may leave from here.
struct Never;

impl Lease for Never {
    fn holds(&self, _: Term) -> bool {
        false
    }
}

pub(super) async fn examine(node: &Node) -> Vec<Finding> {
    let Some(cas) = node.cas().await else {
        return vec![Finding::odd(OF, "the node does not tell its CAs")];
    };
    let clock = Arc::new(SystemClock);
    let authorities = AcmeAuthorities::new(Arc::new(Tcp), Arc::new(Never), clock);
    let mut found = Vec::new();
    for ca in &cas {
        let begun = Instant::now();
        let answer = timeout(WITHIN, directory(&authorities, ca)).await;
        found.push(match answer {
            Ok(Ok(())) => {
                let took = begun.elapsed();
                Finding::good(OF, format!("{}: its directory came in {took:.0?}", ca.name))
            }
            Ok(Err(error)) => Finding::bad(OF, format!("{}: {error}", ca.name)),
            Err(_) => Finding::bad(OF, format!("{}: no answer within {WITHIN:?}", ca.name)),
        });
    }
    found
}

/// Reads what the CA says of itself, which needs no account: the key is nobody's.
async fn directory(authorities: &AcmeAuthorities, ca: &Ca) -> Result<(), AuthorityError> {
    let settings = ca.settings.clone().unwrap_or_default();
    let key = FreshKeys.account_key();
    let key = key.map_err(|error| AuthorityError::Unusable(error.to_string()))?;
    let authority = authorities.open(&Access {
        directory: &settings.directory,
        trust_roots_pem: &settings.trust_roots_pem,
        rates: Rates::UNPUBLISHED,
        key: &key.key,
        thumbprint: None,
        account_url: None,
    })?;
    authority.directory().await.map(drop)
}
