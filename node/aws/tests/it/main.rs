//! The AWS half against moto, which answers as AWS does as far as it knows.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on must stop where it is"
)]

mod kms;
mod machines;
mod parameters;

use aws::Account;
use aws_config::ConfigLoader;
use aws_sdk_kms::config::Credentials;

const REGION: &str = "eu-central-1";

/// An account at `endpoint`, whatever the environment has.
async fn account_at(endpoint: &str) -> Account {
    Account::load(kit(endpoint), Some(REGION)).await.unwrap()
}

fn kit(endpoint: &str) -> ConfigLoader {
    let (id, secret) = moto::ACCESS_KEY;
    aws::environment()
        .credentials_provider(Credentials::new(id, secret, None, None, "tests"))
        .endpoint_url(endpoint)
}
