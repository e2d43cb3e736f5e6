//! Replacing keys of the cluster's own.

use std::time::Duration;

use anyhow::Result;
use proto::admin::v1::{self as wire, RotateRequest};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    arguments::Rotatable,
    cluster::{LOOK_EVERY, status},
    complaint::Complaint,
    connect::Session,
    exit::Exit,
    shape::{cluster::Status, rotation::Rotated},
};

/// Asks for it, and waits for its end if `within` is given.
pub(crate) async fn rotate(
    session: &Session,
    what: &[Rotatable],
    within: Option<Duration>,
) -> Result<Rotated> {
    let before = status(session).await?;
    let asked = what
        .iter()
        .map(|what| i32::from(wire::Rotatable::from(*what)));
    let request = RotateRequest {
        what: asked.collect(),
    };
    let names: Vec<String> = what.iter().map(|what| what.name().to_owned()).collect();
    let mut cluster = session.cluster();
    let doing = format!("rotate {}", names.join(", "));
    let done = session.write(&doing, cluster.rotate(request)).await?;
    let rotated = Rotated {
        what: names,
        index: done.index,
        done: false,
    };
    match within {
        None => Ok(rotated),
        Some(within) => ended(session, rotated, what, &before, within).await,
    }
}

async fn ended(
    session: &Session,
    rotated: Rotated,
    what: &[Rotatable],
    before: &Status,
    within: Duration,
) -> Result<Rotated> {
    let deadline = Instant::now() + within;
    let wait = async {
        loop {
            // A node that cannot answer now may answer the next time.
            if let Ok(now) = status(session).await
                && what.iter().all(|what| what.is_replaced(before, &now))
            {
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    };
    if timeout_at(deadline, wait).await.is_err() {
        return Err(Complaint::new(
            format!("see {} replaced", rotated.what.join(", ")),
            format!(
                "it was agreed on at index {}, and goes on; it has not ended after {}",
                rotated.index,
                humantime::format_duration(within)
            ),
            "see `hostquorum cluster status`: how many secrets are left, and does somebody lead?",
        )
        .ending(Exit::TimedOut)
        .into());
    }
    Ok(Rotated {
        done: true,
        ..rotated
    })
}

impl From<Rotatable> for wire::Rotatable {
    fn from(what: Rotatable) -> Self {
        match what {
            Rotatable::ServingKey => Self::ServingKey,
            Rotatable::ControlKey => Self::ControlKey,
            Rotatable::IssuingCa => Self::IssuingCa,
        }
    }
}

impl Rotatable {
    fn name(self) -> &'static str {
        match self {
            Self::ServingKey => "serving-key",
            Self::ControlKey => "control-key",
            Self::IssuingCa => "issuing-ca",
        }
    }

    /// A newer one is there, and it is the only one.
    fn is_replaced(self, before: &Status, now: &Status) -> bool {
        let purpose = match self {
            Self::ServingKey => "serving",
            Self::ControlKey => "control",
            Self::IssuingCa => return now.issuing_ca_not_after > before.issuing_ca_not_after,
        };
        match now.generations(purpose)[..] {
            [only] => Some(only) > before.generations(purpose).last().copied(),
            _ => false,
        }
    }
}
