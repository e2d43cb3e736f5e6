//! Following a hostname over breaks: when the node that tells goes away, another
//! one is asked.

use std::{ops::ControlFlow, time::Duration};

use anyhow::Result;
use proto::admin::v1::WatchHostnameRequest;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tonic::{Code, Status, Streaming};

use super::resource;
use crate::{
    arguments::Globals, complaint::Complaint, connect::Session, context::Contexts, exit::Exit,
    shape::hostname::Hostname,
};

/// How long a break may last before it is an error: an election and a restart.
const BREAK_MAX: Duration = Duration::from_secs(30);

/// The pause before another node is asked.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What it takes to follow a hostname.
pub(super) struct Follow<'a> {
    pub(super) globals: &'a Globals,
    pub(super) contexts: &'a Contexts,
    pub(super) session: &'a mut Session,
}

/// Looks at each state that comes; `Some` ends the following.
type Seen<'s> = dyn FnMut(Hostname) -> Result<Option<Exit>> + 's;

impl Follow<'_> {
    /// Follows until `seen` has enough, or the time is over.
    pub(super) async fn until(
        &mut self,
        name: &str,
        deadline: Option<Instant>,
        seen: &mut Seen<'_>,
    ) -> Result<Exit> {
        let following = self.follow(name, seen);
        let Some(deadline) = deadline else {
            return following.await;
        };
        match timeout_at(deadline, following).await {
            Ok(exit) => exit,
            Err(_) => Ok(Exit::TimedOut),
        }
    }

    async fn follow(&mut self, name: &str, seen: &mut Seen<'_>) -> Result<Exit> {
        let doing = format!("follow {name}");
        let mut broken_since = None;
        loop {
            let status = match self.watch(name).await {
                Ok(mut stream) => match drain(&mut stream, seen, &mut broken_since).await? {
                    ControlFlow::Break(exit) => return Ok(exit),
                    ControlFlow::Continue(status) => status,
                },
                Err(status) => status,
            };
            let since = *broken_since.get_or_insert_with(Instant::now);
            if !is_break(&status) || since.elapsed() > BREAK_MAX {
                return Err(Complaint::refused(&doing, &status, false).into());
            }
            sleep(AGAIN_AFTER).await;
            if let Ok(session) = Session::open(self.globals, self.contexts).await {
                *self.session = session;
            }
        }
    }

    async fn watch(&self, name: &str) -> Result<Streaming<proto::admin::v1::Hostname>, Status> {
        let mut client = self.session.hostnames();
        let name = resource(name);
        let call = client.watch_hostname(WatchHostnameRequest { name });
        let lost = |_| Status::deadline_exceeded("no answer");
        let stream = timeout(AGAIN_AFTER * 10, call).await.map_err(lost)??;
        Ok(stream.into_inner())
    }
}

/// Looks at what comes until it is enough or the stream ends, and says why it did.
async fn drain(
    stream: &mut Streaming<proto::admin::v1::Hostname>,
    seen: &mut Seen<'_>,
    broken_since: &mut Option<Instant>,
) -> Result<ControlFlow<Exit, Status>> {
    loop {
        match stream.message().await {
            Ok(Some(hostname)) => {
                *broken_since = None;
                if let Some(exit) = seen(Hostname::from(hostname))? {
                    return Ok(ControlFlow::Break(exit));
                }
            }
            Ok(None) => return Ok(ControlFlow::Continue(Status::unavailable("it ended"))),
            Err(status) => return Ok(ControlFlow::Continue(status)),
        }
    }
}

/// True if another try may go on where this ended.
fn is_break(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
    )
}
