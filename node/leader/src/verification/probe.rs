//! The looks that the rules need, taken at once.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use futures_util::future::join_all;
use state::{ports::Reach, reach::Nonce};

use super::{
    answer::{Kind, Look},
    claim::{Claim, Cluster},
    fetch::Fetch,
    name::{DnsName, DnsNameError},
    page::Fetched,
    resolver::Resolver,
    seen::Seen,
};
use crate::issuance::pace::Jitter;

#[cfg(test)]
mod tests;

/// Most addresses of a name that are asked for a token; honest names have one to four.
const ADDRESSES_MOST: usize = 4;

/// Looks at names.
#[derive(Clone)]
pub struct Prober {
    /// The road to DNS.
    pub resolver: Arc<dyn Resolver>,
    /// The road by HTTP.
    pub fetch: Arc<dyn Fetch>,
    /// What our nodes say to a look from outside.
    pub reach: Arc<dyn Reach>,
    /// For names that nobody can guess; must be unpredictable outside of tests.
    pub jitter: Arc<dyn Jitter>,
    /// Where clear text is served: 80.
    pub http_port: u16,
    /// Where TLS is served: 443.
    pub tls_port: u16,
}

/// What a look is for: what need not be asked is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Whether the claim is proven.
    pub ownership: bool,
    /// Whether an order can succeed.
    pub order: bool,
}

impl Prober {
    /// Looks at the name of `claim`. Takes as long as the slowest of its questions, which
    /// are bounded, and by HTTP as long again.
    ///
    /// # Errors
    /// If the name is so long that none can be below it.
    pub async fn look(
        &self,
        claim: &Claim,
        cluster: &Cluster,
        scope: Scope,
    ) -> Result<Seen, DnsNameError> {
        let host = DnsName::from(&claim.subject.host);
        let nonce = self.nonce();
        let plain = !claim.subject.wildcard;
        let climb = if scope.order {
            host.climb()
        } else {
            Vec::new()
        };
        let caa = join_all(climb.iter().map(|name| self.resolver.look(name, Kind::Caa)));
        let (txt, a, aaaa, challenge, caa) = tokio::join!(
            self.look_if(scope.ownership, claim.txt_name()?, Kind::Txt),
            self.look_if(plain, host.clone(), Kind::A),
            self.look_if(plain, host.clone(), Kind::Aaaa),
            self.look_if(true, claim.challenge_name()?, Kind::Txt),
            caa,
        );
        let mut seen = Seen {
            txt,
            a,
            aaaa,
            challenge,
            caa,
            pages: Vec::new(),
            port_80: Vec::new(),
            own_tokens: self.reach.answers(host.as_str(), &nonce),
            port_443: Vec::new(),
        };
        let addresses = seen.addresses();
        let ours: Vec<IpAddr> = addresses
            .iter()
            .copied()
            .filter(|a| cluster.has(*a))
            .collect();
        if scope.ownership && ours.is_empty() {
            seen.pages = self.get(claim, &addresses, &claim.http_path()).await;
        }
        if scope.order {
            let knock = |address: &IpAddr| {
                let address = *address;
                async move {
                    let at = SocketAddr::new(address, self.tls_port);
                    (address, self.fetch.knock(at).await)
                }
            };
            let path = nonce.path();
            let http = self.get(claim, &ours, &path);
            let tls = join_all(ours.iter().take(ADDRESSES_MOST).map(knock));
            (seen.port_80, seen.port_443) = tokio::join!(http, tls);
        }
        Ok(seen)
    }

    fn nonce(&self) -> Nonce {
        let mut bytes = [0; 16];
        for pair in bytes.chunks_exact_mut(2) {
            pair.copy_from_slice(&self.jitter.draw().to_be_bytes());
        }
        Nonce::new(bytes)
    }

    async fn look_if(&self, wanted: bool, name: DnsName, kind: Kind) -> Look {
        if wanted {
            self.resolver.look(&name, kind).await
        } else {
            Look::unasked(name, kind)
        }
    }

    async fn get(&self, claim: &Claim, addresses: &[IpAddr], path: &str) -> Vec<Fetched> {
        let get = |address: &IpAddr| {
            let address = *address;
            async move {
                let at = SocketAddr::new(address, self.http_port);
                let page = self.fetch.get(at, &claim.subject.host, path).await;
                Fetched { address, page }
            }
        };
        join_all(addresses.iter().take(ADDRESSES_MOST).map(get)).await
    }
}
