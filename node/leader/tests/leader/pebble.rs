//! The same road to Let's Encrypt's own test CA, which refuses nonces at will. Skipped,
//! loudly, where it is not installed.

pub(crate) mod server;

use std::sync::Arc;

use leader::issuance::acme::{AcmeAuthorities, Tcp};
use state::Timestamp;
use time::OffsetDateTime;
use tokio::net::TcpListener;

use self::server::{Manners, Server};
use crate::{
    development_ca::{Elsewhere, serve},
    doubles::Steady,
    world::{Process, World},
};

/// Pebble, and a world whose edge it looks at.
struct Pebble {
    world: World,
    server: Server,
}

impl Pebble {
    async fn start(refused_nonces: u32) -> Option<Self> {
        let edge = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::start(Manners {
            refused_nonces,
            http_port: edge.local_addr().unwrap().port(),
            ..Manners::default()
        });
        let server = server.await?;
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let world = World::at(Timestamp::from_secs(u64::try_from(now).unwrap()));
        tokio::spawn(serve(edge, world.states.subscribe()));
        Some(Self { world, server })
    }

    fn lead(&self) -> Process {
        let lease = Arc::new(Steady(self.world.term.clone()));
        self.world.lead_at(Arc::new(Elsewhere {
            acme: AcmeAuthorities::new(Arc::new(Tcp), lease, self.world.clock.clone()),
            directory: self.server.directory.clone(),
            root: self.server.root_pem.clone(),
        }))
    }

    fn issued(&self) -> usize {
        self.server.issued()
    }
}

async fn orders(refused_nonces: u32, hostnames: usize) {
    let Some(pebble) = Pebble::start(refused_nonces).await else {
        return;
    };
    let names: Vec<String> = (0..hostnames).map(|at| format!("n{at}.example")).collect();
    for name in &names {
        pebble.world.alone.authorize(name);
    }
    let mut leader = pebble.lead();
    let all = |state: &state::State| {
        state.certificates().count() == hostnames && state.order_count() == 0
    };
    leader.until(all).await;
    assert_eq!(pebble.issued(), hostnames);
    assert_eq!(leader.running.metrics().failed, [0; 5]);
}

#[tokio::test]
async fn every_hostname_gets_one_certificate_of_pebble() {
    orders(0, 10).await;
}

#[tokio::test]
async fn also_when_it_refuses_most_nonces() {
    orders(60, 5).await;
}

#[tokio::test]
async fn successive_leaders_get_one_certificate_of_pebble() {
    let Some(pebble) = Pebble::start(5).await else {
        return;
    };
    pebble.world.alone.authorize("shop.example");
    let served = crate::world::served("shop.example");
    for stage in ["admitted", "prepared", "ready-intent", "finalize-intent"] {
        let mut leader = pebble.lead();
        leader
            .until(|state| {
                let mut orders = state.orders();
                orders.any(|order| order.stage.as_str() == stage) || served(state)
            })
            .await;
    }
    let mut heir = pebble.lead();
    heir.until(&served).await;
    assert_eq!(pebble.issued(), 1);
}
