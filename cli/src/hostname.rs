//! Hostnames: authorized, followed, explained and withdrawn.

mod follow;
mod wants;

use std::time::Duration;

use anyhow::Result;
use proto::admin::v1::{
    self as wire, ContestHostnameRequest, CreateHostnameRequest, DeleteHostnameRequest,
    EndContestRequest, ExplainHostnameRequest, GetHostnameRequest, ListHostnamesRequest,
};
use tokio::time::Instant;

use crate::{
    arguments::{self, AddHostname, Format, Globals, State},
    check, complaint,
    connect::Session,
    context::Contexts,
    exit::Exit,
    output::{Output, clean, note},
    shape::{
        self,
        hostname::{Explanation, Happening, Hostname, Hostnames, Removed, Serving},
    },
};
use follow::Follow;

/// How long to wait for a certificate, unless told otherwise.
const LIVE_WITHIN: Duration = Duration::from_secs(300);

/// Entries asked for at once.
const PAGE: usize = 1000;

pub(crate) async fn run(
    command: arguments::Hostname,
    globals: &Globals,
    contexts: &Contexts,
    output: &mut Output,
) -> Result<Exit> {
    let mut session = Session::open(globals, contexts).await?;
    let mut follow = Follow {
        globals,
        contexts,
        session: &mut session,
    };
    let exit = match command {
        arguments::Hostname::Add(asked) => add(&mut follow, &asked, output).await?,
        arguments::Hostname::Set(asked) => {
            output.show(&wants::set(follow.session, *asked).await?)?;
            Exit::Done
        }
        arguments::Hostname::List {
            state,
            tenant,
            limit,
        } => {
            output.show(&list(follow.session, state, tenant, limit).await?)?;
            Exit::Done
        }
        arguments::Hostname::Check(asked) => {
            follow.session.wait_longer(globals, check::LOOK_WITHIN);
            check::check(follow.session, asked, output).await?
        }
        arguments::Hostname::Records(asked) => {
            check::hostname_records(follow.session, asked, output).await?
        }
        arguments::Hostname::Contest { hostname, tenant } => {
            output.show(&contest(follow.session, &hostname, tenant).await?)?;
            Exit::Done
        }
        arguments::Hostname::EndContest { hostname } => {
            output.show(&end_contest(follow.session, &hostname).await?)?;
            Exit::Done
        }
        arguments::Hostname::Show { hostname } => {
            let shown = show(follow.session, &hostname).await?;
            output.show(&shown)?;
            verdict(&shown)
        }
        arguments::Hostname::Watch { hostname } => {
            let deadline = globals.timeout.map(|within| Instant::now() + within);
            let mut last: Option<Hostname> = None;
            let mut seen = |hostname: Hostname| {
                // After a break the next node begins with what was told already.
                if !last.as_ref().is_some_and(|last| last.is_still(&hostname)) {
                    output.show_next(&Happening(hostname.clone()))?;
                    last = Some(hostname);
                }
                Ok(None)
            };
            follow.until(&hostname, deadline, &mut seen).await?
        }
        arguments::Hostname::Wait {
            hostname,
            everywhere,
        } => {
            let deadline = Instant::now() + globals.timeout.unwrap_or(LIVE_WITHIN);
            wait(&mut follow, &hostname, everywhere, deadline, output).await?
        }
        arguments::Hostname::Explain { hostname } => {
            let explanation = explain(follow.session, &hostname).await?;
            output.show(&explanation)?;
            explanation.hostname.as_ref().map_or(Exit::Done, verdict)
        }
        arguments::Hostname::Remove { hostname, revision } => {
            output.show(&remove(follow.session, &hostname, revision).await?)?;
            Exit::Done
        }
    };
    session.refresh().await;
    Ok(exit)
}

/// Authorizes each; one that is refused does not keep the others from it.
async fn add(follow: &mut Follow<'_>, asked: &AddHostname, output: &mut Output) -> Result<Exit> {
    let until = (asked.wait || asked.everywhere).then_some(asked.everywhere);
    let deadline = Instant::now() + follow.globals.timeout.unwrap_or(LIVE_WITHIN);
    let mut added = Vec::new();
    let mut exit = Exit::Done;
    for name in &asked.hostnames {
        let doing = format!("authorize {name}");
        let mut client = follow.session.hostnames();
        let call = client.create_hostname(CreateHostnameRequest {
            hostname: name.clone(),
            tenant: asked.tenant.clone(),
            wants: Some(wants::wanted(asked)),
        });
        match follow.session.write(&doing, call).await {
            Ok(hostname) => added.push(Hostname::from(hostname)),
            Err(error) => {
                exit = exit.max(error.exit);
                note(&complaint::text(&error.into()));
            }
        }
    }
    if let Some(everywhere) = until {
        for hostname in &mut added {
            let mut last = hostname.clone();
            let ended = settle(follow, &hostname.hostname, everywhere, deadline, &mut last).await?;
            exit = exit.max(ended);
            *hostname = last;
        }
    }
    // People have read why; programs get their answer all the same.
    if !added.is_empty() || output.format() != Format::Table {
        let total = None;
        output.show(&Hostnames {
            hostnames: added,
            total,
        })?;
    }
    Ok(exit)
}

async fn wait(
    follow: &mut Follow<'_>,
    name: &str,
    everywhere: bool,
    deadline: Instant,
    output: &mut Output,
) -> Result<Exit> {
    let mut last = show(follow.session, name).await?;
    let exit = settle(follow, name, everywhere, deadline, &mut last).await?;
    output.show(&last)?;
    Ok(exit)
}

/// Follows a hostname until it is live or failed; `last` is how it was seen last.
async fn settle(
    follow: &mut Follow<'_>,
    name: &str,
    everywhere: bool,
    deadline: Instant,
    last: &mut Hostname,
) -> Result<Exit> {
    let mut seen = |hostname: Hostname| {
        let settled = settled(&hostname, everywhere);
        *last = hostname;
        Ok(settled)
    };
    let exit = follow.until(name, Some(deadline), &mut seen).await?;
    match exit {
        Exit::TimedOut => note(&format!(
            "error: the time is over and {} is {}\nwhat to do: see `hostquorum hostname explain {}`",
            last.hostname, last.state, last.hostname
        )),
        Exit::Bad => note(&format!(
            "error: {} failed: {}\nwhat to do: see `hostquorum hostname explain {}`",
            last.hostname,
            last.failure
                .as_ref()
                .map(|failure| clean(&failure.reason))
                .unwrap_or_default(),
            last.hostname
        )),
        _ => {}
    }
    Ok(exit)
}

/// How a wait ends with this; none if it goes on.
fn settled(hostname: &Hostname, everywhere: bool) -> Option<Exit> {
    if hostname.is_failed() {
        return Some(Exit::Bad);
    }
    let enough = hostname.is_live() && (!everywhere || hostname.is_everywhere());
    enough.then_some(Exit::Done)
}

async fn list(
    session: &Session,
    state: Option<State>,
    tenant: Option<String>,
    limit: Option<usize>,
) -> Result<Hostnames> {
    let most = limit.unwrap_or(usize::MAX);
    let state = state.map_or(wire::HostnameState::Unspecified, wire_state);
    let mut client = session.hostnames();
    let mut hostnames = Vec::new();
    let mut page_token = String::new();
    loop {
        let page_size = PAGE.min(most - hostnames.len()).max(1);
        let request = ListHostnamesRequest {
            page_size: i32::try_from(page_size).unwrap_or(i32::MAX),
            page_token,
            state: state.into(),
            tenant: tenant.clone().unwrap_or_default(),
        };
        let page = session
            .read("list the hostnames", client.list_hostnames(request))
            .await?;
        hostnames.extend(page.hostnames.into_iter().map(Hostname::from));
        page_token = page.next_page_token;
        if page_token.is_empty() || hostnames.len() >= most {
            hostnames.truncate(most);
            let total = Some(page.total_size);
            return Ok(Hostnames { hostnames, total });
        }
    }
}

async fn show(session: &Session, name: &str) -> Result<Hostname> {
    let mut client = session.hostnames();
    let call = client.get_hostname(GetHostnameRequest {
        name: resource(name),
    });
    let doing = format!("look at {name}");
    Ok(Hostname::from(session.read(&doing, call).await?))
}

async fn contest(session: &Session, name: &str, tenant: String) -> Result<Hostname> {
    let mut client = session.hostnames();
    let doing = format!("contest {name} for tenant {tenant}");
    let call = client.contest_hostname(ContestHostnameRequest {
        name: resource(name),
        tenant,
    });
    Ok(Hostname::from(session.write(&doing, call).await?))
}

async fn end_contest(session: &Session, name: &str) -> Result<Hostname> {
    let mut client = session.hostnames();
    let doing = format!("end the contest of {name}");
    let call = client.end_contest(EndContestRequest {
        name: resource(name),
    });
    Ok(Hostname::from(session.write(&doing, call).await?))
}

async fn explain(session: &Session, name: &str) -> Result<Explanation> {
    let mut client = session.hostnames();
    let call = client.explain_hostname(ExplainHostnameRequest {
        name: resource(name),
    });
    let doing = format!("explain {name}");
    Ok(Explanation::from(session.read(&doing, call).await?))
}

async fn remove(session: &Session, name: &str, revision: u64) -> Result<Removed> {
    let mut client = session.hostnames();
    let call = client.delete_hostname(DeleteHostnameRequest {
        name: resource(name),
        revision,
    });
    let doing = format!("remove {name}");
    let done = session.write(&doing, call).await?;
    Ok(Removed {
        hostname: shape::id(&resource(name)).to_owned(),
        index: done.index,
        serving: done.serving.into_iter().map(Serving::from).collect(),
    })
}

fn resource(name: &str) -> String {
    let name = name.strip_prefix("hostnames/").unwrap_or(name);
    format!("hostnames/{name}")
}

fn verdict(hostname: &Hostname) -> Exit {
    if hostname.is_failed() {
        Exit::Bad
    } else {
        Exit::Done
    }
}

fn wire_state(state: State) -> wire::HostnameState {
    match state {
        State::Pending => wire::HostnameState::Pending,
        State::Issuing => wire::HostnameState::Issuing,
        State::Live => wire::HostnameState::Live,
        State::Renewing => wire::HostnameState::Renewing,
        State::Failed => wire::HostnameState::Failed,
        State::Unproven => wire::HostnameState::Unproven,
        State::Parked => wire::HostnameState::Parked,
    }
}
