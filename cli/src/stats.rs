//! What a node has served for hostnames.

use anyhow::{Result, bail};
use proto::admin::v1::{
    GetHostnameStatsRequest, ListHostnameStatsRequest, ListTopHostnameStatsRequest,
};

use crate::{
    arguments::{self, Globals},
    connect::Session,
    context::Contexts,
    exit::Exit,
    output::Output,
    shape::stats::Stats,
};

/// Entries asked for at once.
const PAGE: i32 = 1000;
const DOING: &str = "ask what was served";

pub(crate) async fn run(
    asked: arguments::Stats,
    globals: &Globals,
    contexts: &Contexts,
    output: &mut Output,
) -> Result<Exit> {
    let session = Session::open(globals, contexts).await?;
    let stats = match asked.hostname {
        Some(hostname) => of_one(&session, &hostname).await?,
        None if asked.all => all(&session).await?,
        None => top(&session, asked.top).await?,
    };
    output.show(&stats)?;
    session.refresh().await;
    Ok(Exit::Done)
}

async fn of_one(session: &Session, hostname: &str) -> Result<Stats> {
    let hostname = hostname.strip_prefix("hostnames/").unwrap_or(hostname);
    let request = GetHostnameStatsRequest {
        name: format!("hostnames/{hostname}"),
    };
    let mut client = session.stats();
    let answer = session
        .read(DOING, client.get_hostname_stats(request))
        .await?;
    Ok(Stats::new(answer.counting, answer.stats))
}

async fn top(session: &Session, size: i32) -> Result<Stats> {
    let mut client = session.stats();
    let request = ListTopHostnameStatsRequest { size };
    let answer = session
        .read(DOING, client.list_top_hostname_stats(request))
        .await?;
    Ok(Stats::new(answer.counting, answer.stats))
}

async fn all(session: &Session) -> Result<Stats> {
    let mut client = session.stats();
    let mut page_token = String::new();
    let mut told = Vec::new();
    let mut boot = None;
    loop {
        let request = ListHostnameStatsRequest {
            page_size: PAGE,
            page_token,
        };
        let page = session
            .read(DOING, client.list_hostname_stats(request))
            .await?;
        let counting = page.counting.unwrap_or_default();
        if boot.get_or_insert_with(|| counting.boot.clone()) != &counting.boot {
            bail!("the node began anew while it was asked: ask again");
        }
        told.extend(page.stats);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(Stats::new(Some(counting), told));
        }
    }
}
