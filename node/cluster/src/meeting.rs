//! Where nodes of one cluster meet before they know each other: a place outside of it that all of
//! them can reach. There a cluster is founded once, by whoever claims it first, and there each
//! newcomer finds its invitation.
//!
//! It is a matter of beginnings only: a member never looks there again.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
use enroll::{Leaf, RootPin, Token};
use rustls::pki_types::CertificateDer;
use state::ClusterId;
use tokio::time::sleep;

use crate::identity::Public;

/// Between two looks for an invitation.
pub const LOOK_PAUSE: Duration = Duration::from_secs(10);

/// Pauses while the place cannot be reached: each twice the last, and never longer than the second.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// A place to meet.
#[async_trait]
pub trait Meeting: Send + Sync {
    /// Writes the claim unless there is one. `false`: there is one, which may be the same.
    async fn claim(&self, claim: &Claim) -> Result<bool, MeetingError>;

    /// The claim that stands.
    async fn claimed(&self) -> Result<Option<Claim>, MeetingError>;

    /// This node's invitation, if somebody has left one.
    async fn invitation(&self) -> Result<Option<Invitation>, MeetingError>;
}

/// Who founded a cluster, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What the founding node is called.
    pub founder: String,
    /// The cluster.
    pub cluster: ClusterId,
    /// The cluster's root, by its public key.
    pub root: RootPin,
}

impl Claim {
    /// The first bytes of the cluster's id, as its tokens have them.
    pub(crate) fn prefix(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.cluster.0;
        [a, b, c, d]
    }

    /// That of the node that has this identity.
    fn of(identity: &Public) -> Result<Self, MeetingError> {
        let root = Leaf::read(&CertificateDer::from(identity.root.to_vec()));
        let root = root.map_err(|_| {
            MeetingError::Refused("the root of this node's cluster cannot be read".to_owned())
        })?;
        Ok(Self {
            founder: identity.name.clone(),
            cluster: identity.cluster,
            root: RootPin::of_public_key(&root.public_key),
        })
    }
}

/// How a node may enter.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// host:port of a member's admin port.
    pub sponsor: String,
    /// Works once.
    pub token: Token,
}

/// Why the place told nothing.
#[derive(Debug, thiserror::Error)]
pub enum MeetingError {
    /// Trying again may help.
    #[error("{what}")]
    Unavailable {
        /// What was asked of whom.
        what: String,
        /// Why it did not come to that.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Somebody must do something about it.
    #[error("{0}")]
    Refused(String),
}

/// Claims the founding for the node with this identity, for as long as the place cannot be
/// reached: whether a claim whose answer was lost stands there can only be read there. The claim
/// of another cluster, if that one stands.
pub async fn claim(
    meeting: &dyn Meeting,
    identity: &Public,
) -> Result<Option<Claim>, MeetingError> {
    let own = Claim::of(identity)?;
    let standing = settle(meeting, &own).await?;
    Ok((standing.cluster != own.cluster).then_some(standing))
}

/// The claim that stands once this one was made.
async fn settle(meeting: &dyn Meeting, claim: &Claim) -> Result<Claim, MeetingError> {
    patiently(|| async move {
        if meeting.claim(claim).await? {
            return Ok(claim.clone());
        }
        let standing = meeting.claimed().await?;
        standing.ok_or_else(|| {
            MeetingError::Refused(
                "a cluster was claimed to be founded, and then the claim was gone: does somebody \
                 delete it? Try again when they have done"
                    .to_owned(),
            )
        })
    })
    .await
}

/// Waits for an invitation other than `spent` into the cluster that was founded.
pub async fn invitation(
    meeting: &dyn Meeting,
    spent: Option<u64>,
) -> Result<Invitation, MeetingError> {
    loop {
        let found = patiently(|| meeting.invitation()).await?;
        let found = found.filter(|found| Some(found.token.invitation) != spent);
        if let Some(found) = found {
            match patiently(|| meeting.claimed()).await? {
                Some(claim) if fits(&found.token, &claim) => return Ok(found),
                Some(claim) => tracing::warn!(
                    founder = claim.founder,
                    cluster = %claim.cluster,
                    "an invitation was left that is not into the cluster that was founded"
                ),
                None => tracing::warn!("an invitation was left, but no cluster was founded"),
            }
        }
        sleep(LOOK_PAUSE).await;
    }
}

/// Waits for the cluster to be founded.
pub async fn founded(meeting: &dyn Meeting) -> Result<Claim, MeetingError> {
    loop {
        if let Some(claim) = patiently(|| meeting.claimed()).await? {
            return Ok(claim);
        }
        sleep(LOOK_PAUSE).await;
    }
}

fn fits(token: &Token, claim: &Claim) -> bool {
    token.root == claim.root && token.cluster == claim.prefix()
}

/// Asks again, with longer and longer pauses, while the place cannot be reached.
async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, MeetingError>
where
    F: Future<Output = Result<T, MeetingError>>,
{
    let mut pause = PAUSE_FIRST;
    loop {
        match ask().await {
            Err(error @ MeetingError::Unavailable { .. }) => {
                let cause = error.source().map(ToString::to_string);
                tracing::warn!(%error, cause, "trying again");
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use enroll::Secret;

    use super::*;

    /// A place in memory. Answers of `lost` are lost after they took effect.
    #[derive(Default)]
    struct Place {
        claim: Mutex<Option<Claim>>,
        invitations: Mutex<Vec<Option<Invitation>>>,
        lost: Mutex<u32>,
    }

    impl Place {
        fn answer<T>(&self, answer: T) -> Result<T, MeetingError> {
            let mut lost = self.lost.lock().unwrap();
            if *lost == 0 {
                return Ok(answer);
            }
            *lost -= 1;
            Err(MeetingError::Unavailable {
                what: "no answer".to_owned(),
                source: "lost".into(),
            })
        }
    }

    #[async_trait]
    impl Meeting for Place {
        async fn claim(&self, claim: &Claim) -> Result<bool, MeetingError> {
            let mut standing = self.claim.lock().unwrap();
            let first = standing.is_none();
            standing.get_or_insert(claim.clone());
            self.answer(first)
        }

        async fn claimed(&self) -> Result<Option<Claim>, MeetingError> {
            self.answer(self.claim.lock().unwrap().clone())
        }

        async fn invitation(&self) -> Result<Option<Invitation>, MeetingError> {
            self.answer(self.invitations.lock().unwrap().pop().flatten())
        }
    }

    fn claim_of(founder: &str, cluster: u8) -> Claim {
        Claim {
            founder: founder.to_owned(),
            cluster: ClusterId([cluster; 16]),
            root: RootPin([cluster; 32]),
        }
    }

    fn invited(cluster: u8, invitation: u64) -> Option<Invitation> {
        Some(Invitation {
            sponsor: "10.0.0.1:7444".to_owned(),
            token: Token {
                cluster: [cluster; 4],
                root: RootPin([cluster; 32]),
                invitation,
                secret: Secret::new([9; 32]),
            },
        })
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_two_founds_and_a_lost_answer_changes_nothing() {
        let place = Place::default();
        *place.lost.lock().unwrap() = 2;
        let (a, b) = (claim_of("a", 1), claim_of("b", 2));
        assert_eq!(settle(&place, &a).await.unwrap(), a);
        assert_eq!(settle(&place, &b).await.unwrap(), a);
        assert_eq!(settle(&place, &a).await.unwrap(), a, "asked again");
    }

    #[tokio::test(start_paused = true)]
    async fn an_invitation_counts_if_it_is_new_and_into_the_cluster_that_was_founded() {
        let place = Place::default();
        *place.claim.lock().unwrap() = Some(claim_of("a", 1));
        *place.invitations.lock().unwrap() =
            vec![invited(1, 8), invited(1, 7), None, invited(2, 3), None];
        let found = invitation(&place, Some(7)).await.unwrap();
        assert_eq!(found.token.invitation, 8);
        assert!(place.invitations.lock().unwrap().is_empty());

        *place.claim.lock().unwrap() = None;
        place.invitations.lock().unwrap().push(invited(1, 9));
        let waiting = tokio::time::timeout(Duration::from_secs(3600), invitation(&place, None));
        waiting.await.unwrap_err();
    }
}
