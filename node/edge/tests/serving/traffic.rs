//! Settings of hostnames and of their zone.

mod http;
mod limits;
mod origins;
mod tls;
mod trust;

use std::sync::Arc;

use state::{Origin, traffic::Weighted};

use crate::{
    origin::{App, Speaks},
    rig::Rig,
};

/// Origins of equal weight.
fn list(origins: &[&Origin]) -> Arc<[Weighted]> {
    let one = |origin: &&Origin| Weighted {
        origin: Arc::new((*origin).clone()),
        weight: 1,
    };
    origins.iter().map(one).collect()
}

/// An edge that serves one hostname from one origin.
async fn served() -> (Rig, App) {
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    (rig, app)
}
