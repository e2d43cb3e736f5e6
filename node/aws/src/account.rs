//! Whose requests they are, where they go, and how long each may take.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, ConfigLoader, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig,
};

use crate::http::Http;

/// Longest wait for a connection: three retransmissions fit.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// Longest time of one attempt; KMS and the parameter store answer within 100 ms.
pub(crate) const ATTEMPT_MAX: Duration = Duration::from_secs(5);

/// Attempts at one request, and longest time of all of them.
pub(crate) const ATTEMPTS: u32 = 3;
const REQUEST_MAX: Duration = Duration::from_secs(20);

/// The account in which a node runs: its credentials, a Region, bounds of time.
#[derive(Clone, Debug)]
pub struct Account {
    config: SdkConfig,
    http: Http,
}

/// Nobody said where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no Region of AWS is known: set aws.region in the configuration. AWS_REGION, the profile and \
     the machine's metadata say none either"
)]
pub struct NoRegion;

impl Account {
    /// With what `kit` finds, and our bounds; `region` goes before what it finds.
    pub async fn load(kit: ConfigLoader, region: Option<&str>) -> Result<Self, NoRegion> {
        let times = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_MAX)
            .operation_timeout(REQUEST_MAX);
        let http = Http::new(CONNECT_MAX);
        let loader = kit
            .http_client(http.clone())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(times.build());
        let loader = match region {
            Some(region) => loader.region(Region::new(region.to_owned())),
            None => loader,
        };
        let config = loader.load().await;
        match config.region() {
            Some(_) => Ok(Self { config, http }),
            None => Err(NoRegion),
        }
    }

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// For clients of services: all of it, with our bounds.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }
}

/// What the environment tells AWS's kit: credentials from variables, a profile, a container or the
/// machine; a Region likewise. Its own variables count, such as `AWS_ENDPOINT_URL_KMS` for an
/// endpoint that DNS does not know of.
pub fn environment() -> ConfigLoader {
    // How the kit behaves is a version of its own; a newer one is taken when we have tried it.
    aws_config::defaults(BehaviorVersion::v2026_01_12())
}
