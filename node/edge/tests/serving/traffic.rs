//! Settings of hostnames and of their zone.

mod http;
mod limits;
mod origins;
mod tls;
mod trust;

use std::sync::Arc;

use state::{Origin, traffic::Weighted};

/// Origins of equal weight.
fn list(origins: &[&Origin]) -> Arc<[Weighted]> {
    let one = |origin: &&Origin| Weighted {
        origin: Arc::new((*origin).clone()),
        weight: 1,
    };
    origins.iter().map(one).collect()
}
