//! Pausing issuance, and resuming it.

use anyhow::Result;
use proto::admin::v1::{PauseIssuanceRequest, ResumeIssuanceRequest};

use crate::{
    arguments::{self, Globals},
    connect::Session,
    context::Contexts,
    exit::Exit,
    output::Output,
    shape::cluster::Issuance,
};

pub(crate) async fn run(
    command: arguments::Issuance,
    globals: &Globals,
    contexts: &Contexts,
    output: &mut Output,
) -> Result<Exit> {
    let session = Session::open(globals, contexts).await?;
    let mut cluster = session.cluster();
    let issuance = match command {
        arguments::Issuance::Pause { reason } => {
            let call = cluster.pause_issuance(PauseIssuanceRequest { reason });
            let done = session.write("pause issuance", call).await?;
            Issuance {
                paused: true,
                index: done.index,
            }
        }
        arguments::Issuance::Resume { cluster_id } => {
            let cluster_id = cluster_id.unwrap_or_default();
            let call = cluster.resume_issuance(ResumeIssuanceRequest { cluster_id });
            let done = session.write("resume issuance", call).await?;
            Issuance {
                paused: false,
                index: done.index,
            }
        }
    };
    output.show(&issuance)?;
    session.refresh().await;
    Ok(Exit::Done)
}
