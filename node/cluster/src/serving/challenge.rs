//! A challenge's answer that this node has not applied yet, asked of the leader. The
//! CA may arrive here before the log does.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use proto::peer::v1::{self as wire, serving_client::ServingClient};
use state::{
    NodeId,
    ports::{Leadership, Propose},
};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};
use tonic::transport::Channel;

use super::Serving;
use crate::peer::Channels;

/// Longest question: the CA waits for seconds, and an attacker's token for nothing.
pub const ASK_MAX: Duration = Duration::from_secs(1);

/// Questions at a time. Anybody may ask for any token; more than these get no
/// answer, and no CA asks for so many at once.
const AT_ONCE_MAX: usize = 64;

/// Finds answers to challenges, here or at the leader.
pub struct Challenges {
    serving: Arc<Serving>,
    links: Arc<dyn Channels>,
    propose: Arc<dyn Propose>,
    leadership: watch::Receiver<Leadership>,
    places: Semaphore,
    /// The channel to whoever led last.
    channel: Mutex<Option<(NodeId, Channel)>>,
}

/// There is no leader, or it did not answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no leader could tell whether there is such a challenge")]
pub struct NobodyTells;

/// What this node can say by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LocalAnswer {
    /// It does not lead, or is asked too much, and cannot tell.
    NotLeader,
    /// What there is, if anything.
    Known(Option<String>),
}

impl Challenges {
    /// Asks over `links`; answers after a barrier of `propose`.
    pub fn new(
        serving: Arc<Serving>,
        links: Arc<dyn Channels>,
        propose: Arc<dyn Propose>,
        leadership: watch::Receiver<Leadership>,
    ) -> Self {
        Self {
            serving,
            links,
            propose,
            leadership,
            places: Semaphore::new(AT_ONCE_MAX),
            channel: Mutex::default(),
        }
    }

    /// The key authorization of a token of http-01, or of the hostname's tls-alpn-01
    /// challenge if `token` is absent, as the leader has it; `None` if there is none.
    ///
    /// # Errors
    /// Nobody could tell within [`ASK_MAX`].
    pub async fn find(
        &self,
        hostname: &str,
        token: Option<&str>,
    ) -> Result<Option<String>, NobodyTells> {
        let me = self.serving.roster.me();
        let leader = self.leadership.borrow().leader(me).ok_or(NobodyTells)?;
        if leader == me {
            return match self.answer_here(hostname, token).await {
                LocalAnswer::Known(answer) => Ok(answer),
                LocalAnswer::NotLeader => Err(NobodyTells),
            };
        }
        let _place = self.places.try_acquire().map_err(|_| NobodyTells)?;
        let request = wire::FindChallengeRequest {
            envelope: Some(self.serving.envelope(leader)),
            hostname: hostname.to_owned(),
            token: token.map(str::to_owned),
        };
        let mut client = ServingClient::new(self.channel_to(leader));
        let Ok(Ok(reply)) = timeout(ASK_MAX, client.find_challenge(request)).await else {
            self.forget_channel();
            return Err(NobodyTells);
        };
        let reply = reply.into_inner();
        if reply.not_leader {
            return Err(NobodyTells);
        }
        Ok(reply.key_authorization)
    }

    /// Answers if this node leads: after a barrier, what is not in the state is not
    /// anywhere.
    pub(super) async fn answer_here(&self, hostname: &str, token: Option<&str>) -> LocalAnswer {
        let leads = matches!(*self.leadership.borrow(), Leadership::Leading(_));
        let Ok(_place) = self.places.try_acquire() else {
            return LocalAnswer::NotLeader;
        };
        if !leads || !matches!(timeout(ASK_MAX, self.propose.barrier()).await, Ok(Ok(_))) {
            return LocalAnswer::NotLeader;
        }
        let state = self.serving.roster.state();
        LocalAnswer::Known(match token {
            Some(token) => state
                .challenge(token)
                .filter(|challenge| challenge.hostname.as_str() == hostname)
                .map(|challenge| challenge.key_authorization.to_string()),
            None => state.alpn_authorization(hostname),
        })
    }

    fn channel_to(&self, leader: NodeId) -> Channel {
        let mut kept = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((node, channel)) if *node == leader => channel.clone(),
            _ => {
                let channel = self.links.clone().channel(leader);
                *kept = Some((leader, channel.clone()));
                channel
            }
        }
    }

    fn forget_channel(&self) {
        *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl std::fmt::Debug for Challenges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Challenges")
    }
}
