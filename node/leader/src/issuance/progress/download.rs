//! From a valid order to an installed certificate.

use state::{
    Change, Order, Refusal, command::Install, outcome::Kind, ports::SealError, sealed::SealContext,
};

use super::{Carrier, Trouble};
use crate::{
    issuance::{
        authority::{AuthorityError, ChainView},
        inspect::{Expected, Unusable, inspect, same_leaf, topmost_issuer},
        react::Request,
        request::Wanted,
    },
    reign::CommitError,
};

/// How often in a row an outage may keep us from an alternate chain before the CA's first
/// one is taken: a certificate matters more than its chain.
const ALTERNATE_TRIES: u32 = 5;

impl Carrier {
    pub(super) async fn download(&mut self, order: &Order) -> Result<(), Trouble> {
        let seen = self.memory.seen.as_ref();
        let url = seen.and_then(|view| view.certificate_url.clone());
        let answer = match url {
            Some(url) => self.authority.certificate(&url).await,
            None => Err(AuthorityError::Malformed(
                "a valid order without a certificate".to_owned(),
            )),
        };
        // Not counted as good before the chains are through: see ALTERNATE_TRIES.
        let first = answer.map_err(|error| Trouble::Authority(Request::Read, error))?;
        let pem = self.preferred(order, first).await?;
        let install = match self.inspect(order, &pem) {
            Ok(Ok(install)) => install,
            // By a clock that is wrong every certificate is, and a new order cures nothing.
            Ok(Err(error @ Unusable::Validity(..))) if self.reign.clock_doubt().is_some() => {
                return Err(Trouble::Own(error.to_string()));
            }
            Ok(Err(error)) => return self.unusable(order, &error.to_string()).await,
            Err(error) => return Err(Trouble::Own(error.to_string())),
        };
        self.memory.tries = 0;
        self.weather.clear();
        self.install(order, install).await
    }

    fn inspect(&self, order: &Order, pem: &str) -> Result<Result<Install, Unusable>, SealError> {
        let context = SealContext::CertificateKey(order.hostname.clone());
        let key = self.reign.ports.seal.open(&order.key, &context)?;
        let expected = Expected {
            order: order.id,
            wanted: Wanted {
                hostname: &order.hostname,
                wildcard: order.wildcard,
                algorithm: order.algorithm,
            },
            key: &key,
        };
        let renew = self.reign.config.renew;
        Ok(inspect(pem, &expected, self.reign.now(), renew))
    }

    async fn install(&mut self, order: &Order, install: Install) -> Result<(), Trouble> {
        let change = Change::InstallCertificate(Box::new(install));
        match self.commit(order, change).await {
            Ok(_) => {
                self.reign.counters.installed();
                tracing::info!(hostname = %order.hostname, order = %order.id, "certificate installed");
                Ok(())
            }
            Err(CommitError::Refused(Refusal::AlreadyExists(Kind::Certificate))) => {
                let reason = "the CA gave a certificate that was installed before";
                self.unusable(order, reason).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The chain that an operator prefers, if the CA has it, and else the CA's first.
    async fn preferred(&mut self, order: &Order, first: ChainView) -> Result<String, Trouble> {
        let state = self.reign.state();
        let ca = state.ca(order.ca.as_str());
        let Some(wanted) = ca.and_then(|ca| ca.settings.preferred_chain.as_deref()) else {
            return Ok(first.pem);
        };
        // What cannot be read is for the inspection to refuse.
        let is_wanted = |pem: &str| topmost_issuer(pem).is_ok_and(|name| name == wanted);
        if is_wanted(&first.pem) {
            return Ok(first.pem);
        }
        for url in &first.alternates {
            match self.alternate(order, &first.pem, url).await? {
                Some(pem) if is_wanted(&pem) => return Ok(pem),
                _ => {}
            }
        }
        tracing::warn!(hostname = %order.hostname, wanted, "the CA has no such chain; its first is used");
        Ok(first.pem)
    }

    /// Another chain, if it is one that would be installed.
    async fn alternate(
        &mut self,
        order: &Order,
        first: &str,
        url: &str,
    ) -> Result<Option<String>, Trouble> {
        let pem = match self.authority.alternate(url).await {
            Ok(pem) => pem,
            Err(error) if error.is_outage() && self.memory.tries < ALTERNATE_TRIES => {
                return Err(Trouble::Authority(Request::Read, error));
            }
            Err(error) => {
                tracing::warn!(hostname = %order.hostname, %error, "an alternate chain cannot be read");
                return Ok(None);
            }
        };
        let same = same_leaf(first, &pem).unwrap_or(false);
        let good = same && matches!(self.inspect(order, &pem), Ok(Ok(_)));
        if !good {
            tracing::warn!(hostname = %order.hostname, url, same, "an alternate chain is refused");
        }
        Ok(good.then_some(pem))
    }
}
