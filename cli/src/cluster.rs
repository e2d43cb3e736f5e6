//! The cluster: its status, its members, and changes to them.

use std::time::Duration;

use anyhow::Result;
use proto::admin::v1::{
    GetStatusRequest, ListMembersRequest, RemoveMemberRequest, TransferLeadershipRequest,
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    arguments::{self, Globals},
    complaint::Complaint,
    connect::Session,
    context::Contexts,
    exit::Exit,
    init,
    output::{Output, clean},
    rotation,
    shape::{
        self,
        cluster::{Leaving, Member, Members, Status, Transferred},
        upgrade::UpgradeCheck,
    },
};

/// How long to wait for a removal, unless told otherwise.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// How long to wait for a rotation, unless told otherwise: ten thousand certificates.
const ROTATED_WITHIN: Duration = Duration::from_secs(300);

/// How often to look whether a member is gone, or a rotation done.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(crate) async fn run(
    command: arguments::Cluster,
    globals: &Globals,
    contexts: &Contexts,
    output: &mut Output,
) -> Result<Exit> {
    if let arguments::Cluster::Init(init) = command {
        return init::run(init, globals, contexts, output).await;
    }
    let session = Session::open(globals, contexts).await?;
    let mut exit = Exit::Done;
    match command {
        arguments::Cluster::Init(_) => {}
        arguments::Cluster::Status => {
            let status = status(&session).await?;
            if !status.is_good() {
                exit = Exit::Bad;
            }
            output.show(&status)?;
        }
        arguments::Cluster::UpgradeCheck => {
            let check = UpgradeCheck::of(&status(&session).await?);
            if !check.ready {
                exit = Exit::Bad;
            }
            output.show(&check)?;
        }
        arguments::Cluster::Members => {
            let members = members(&session).await?;
            output.show(&Members { members })?;
        }
        arguments::Cluster::Transfer { member } => {
            let leader = transfer(&session, member.as_deref()).await?;
            output.show(&Transferred { leader })?;
        }
        arguments::Cluster::Rotate { what, wait } => {
            let within = wait.then(|| globals.timeout.unwrap_or(ROTATED_WITHIN));
            let rotated = rotation::rotate(&session, &what, within).await?;
            output.show(&rotated)?;
        }
        arguments::Cluster::Remove { member, wait } => {
            let leaving = remove(&session, &member).await?;
            let within = globals.timeout.unwrap_or(GONE_WITHIN);
            let leaving = if wait {
                gone(&session, leaving, within).await?
            } else {
                leaving
            };
            output.show(&leaving)?;
        }
    }
    session.refresh().await;
    Ok(exit)
}

pub(crate) async fn status(session: &Session) -> Result<Status> {
    let mut cluster = session.cluster();
    let call = cluster.get_status(GetStatusRequest {});
    let status = session.read("look at the cluster's status", call).await?;
    Ok(Status::from(status))
}

async fn members(session: &Session) -> Result<Vec<Member>> {
    let mut cluster = session.cluster();
    let call = cluster.list_members(ListMembersRequest {});
    let list = session.read("list the members", call).await?;
    Ok(list.members.into_iter().map(Member::from).collect())
}

async fn transfer(session: &Session, to: Option<&str>) -> Result<String> {
    let target = match to {
        None => String::new(),
        Some(who) => resource(&find(&members(session).await?, who)?),
    };
    let mut cluster = session.cluster();
    let call = cluster.transfer_leadership(TransferLeadershipRequest { target });
    let done = session.write("hand leadership over", call).await?;
    Ok(shape::id(&done.leader).to_owned())
}

async fn remove(session: &Session, who: &str) -> Result<Leaving> {
    let member = find(&members(session).await?, who)?;
    let mut cluster = session.cluster();
    let name = resource(&member);
    let call = cluster.remove_member(RemoveMemberRequest { name });
    let doing = format!("remove member {member}");
    let done = session.write(&doing, call).await?;
    Ok(Leaving {
        member,
        index: done.index,
        gone: false,
    })
}

/// Waits until the leader has carried the removal out.
async fn gone(session: &Session, leaving: Leaving, within: Duration) -> Result<Leaving> {
    let deadline = Instant::now() + within;
    let wait = async {
        loop {
            // A node that cannot answer now may answer the next time.
            let here = members(session).await;
            if here.is_ok_and(|here| here.iter().all(|member| member.id != leaving.member)) {
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    };
    if timeout_at(deadline, wait).await.is_err() {
        let Leaving { member, index, .. } = leaving;
        return Err(Complaint::new(
            format!("see member {member} gone"),
            format!(
                "its removal was agreed on at index {index}, but it is still there after {}",
                humantime::format_duration(within)
            ),
            "see `hostquorum cluster status`: does somebody lead?",
        )
        .ending(Exit::TimedOut)
        .into());
    }
    Ok(Leaving {
        gone: true,
        ..leaving
    })
}

fn resource(id: &str) -> String {
    format!("members/{id}")
}

/// The id of the member that `who` means: `3`, `members/3` or its name.
fn find(members: &[Member], who: &str) -> Result<String> {
    let id = who.strip_prefix("members/").unwrap_or(who);
    let found = members
        .iter()
        .find(|member| member.id == id)
        .or_else(|| members.iter().find(|member| member.node == who));
    match found {
        Some(member) => Ok(member.id.clone()),
        None => Err(Complaint::new(
            format!("find member `{}`", clean(who)),
            "no member has that id or name",
            "see `hostquorum cluster members`",
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, node: &str) -> Member {
        Member {
            id: id.to_owned(),
            node: node.to_owned(),
            standing: "voting".to_owned(),
            leader: false,
            peer_address: String::new(),
            admin_address: String::new(),
            joined_at: None,
            certificate_not_after: None,
            report: None,
        }
    }

    #[test]
    fn a_member_is_found_by_id_and_by_name() {
        let members = [member("1", "alpha"), member("2", "1"), member("3", "gamma")];
        let found = |who: &str| find(&members, who).ok();
        assert_eq!(found("3").as_deref(), Some("3"));
        assert_eq!(found("members/2").as_deref(), Some("2"));
        assert_eq!(found("gamma").as_deref(), Some("3"));
        assert_eq!(found("1").as_deref(), Some("1"), "an id before a name");
        assert_eq!(found("delta"), None);
    }
}
