//! Going on alone, when a majority is lost for good. While no replica runs.
//!
//! What a survivor has is read, told, and only if its operator says so made the whole: under
//! a vote of its own, one term higher than any it has seen, entries follow its last one that
//! make it the only voter and then what the caller adds. A start finds them as if they had
//! always been in its log. Entries that were not committed when the majority was lost are
//! committed by it: whoever waited for them was told that the outcome is unknown.
//!
//! What the others had acknowledged and this one had not received is lost, which nobody can
//! find out; and if they are not lost after all they go on without it. So this is for whoever
//! knows that they are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openraft::{CommittedLeaderId, EntryPayload, Membership};
use state::{Command, Index, NodeId, State, codec};

use crate::fence::chain;
use crate::identity::Identity;
use crate::log::{read_all, vote_batch};
use crate::machine::Stored;
use crate::replica::StartError;
use crate::startup::{self, Opened};
use crate::store::{Batch, Database, Store, Tree};
use crate::types::{Entry, LogId, Peer, Proposal, StoredMembership, Vote};
use crate::wire;

/// A replica that does not run, opened by itself.
pub struct Survivor {
    identity: Identity,
    log: Arc<dyn Database>,
    vote: Vote,
    last: LogId,
    address: String,
    survey: Survey,
}

/// What it has.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The last entry of its log.
    pub last: Index,
    /// The highest term that it has seen, as openraft counts them.
    pub term: u64,
    /// Up to where that is applied: certainly committed.
    pub applied: Index,
    /// Who votes, by the last configuration in its log.
    pub voters: BTreeSet<NodeId>,
    /// The state as applied.
    pub state: State,
}

impl Survivor {
    /// Reads what `store` has, which no replica may be running on. Blocks.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is another's, has lost data, or belongs to no cluster yet.
    pub fn open(store: &dyn Store, identity: Identity) -> Result<Self, StartError> {
        let Opened { log, state, .. } = startup::open(store, identity, true)?;
        let stored = Stored::begin(&*state).and_then(|stored| stored.complete(&*state));
        let stored = stored.map_err(|error| StartError::State(chain(&error)))?;
        let (vote, entries) = read_all(&*log, stored.applied)?;
        let mut membership = stored.membership.clone();
        let mut last = stored.applied;
        for entry in &entries {
            last = last.max(Some(entry.log_id));
            if let EntryPayload::Membership(changed) = &entry.payload {
                membership = StoredMembership::new(Some(entry.log_id), changed.clone());
            }
        }
        let none = || StartError::State("it belongs to no cluster yet".into());
        let (vote, last) = vote.zip(last).ok_or_else(none)?;
        let me = membership.membership().get_node(&identity.node.0);
        let address = me.ok_or_else(none)?.address.clone();
        let survey = Survey {
            last: Index(last.index),
            term: vote.leader_id().term.max(last.leader_id.term),
            applied: Index(stored.applied.map_or(0, |applied| applied.index)),
            voters: membership.membership().voter_ids().map(NodeId).collect(),
            state: stored.state().clone(),
        };
        Ok(Self {
            identity,
            log,
            vote,
            last,
            address,
            survey,
        })
    }

    /// What it has.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Makes it the only voter, and adds `commands` to its log after that; says up to where
    /// that is. Blocks. Interrupted, it can be done once more from the beginning.
    ///
    /// # Errors
    ///
    /// When the disk cannot be written.
    pub fn go_on_alone(self, commands: Vec<Command>) -> Result<Index, StartError> {
        let node = self.identity.node.0;
        let term = self.survey.term.max(self.vote.leader_id().term) + 1;
        let vote = Vote::new(term, node);
        self.log.write_atomic(Tree::Hard, &vote_batch(&vote)?)?;
        // Before any entry of that term.
        self.log.flush_durable()?;
        let peers = BTreeMap::from([(
            node,
            Peer {
                address: self.address,
            },
        )]);
        let alone = Membership::new(vec![BTreeSet::from([node])], peers);
        let (proposal, _) = Proposal::new(codec::batch_to(&state::Batch { commands }).into());
        let payloads = [
            EntryPayload::Membership(alone),
            EntryPayload::Normal(proposal),
        ];
        let mut batch = Batch::new();
        let mut index = self.last.index;
        for payload in payloads {
            index += 1;
            let log_id = LogId::new(CommittedLeaderId::new(term, node), index);
            let entry = Entry { log_id, payload };
            let bytes = wire::to_stored(&entry);
            let bytes = bytes.map_err(|error| StartError::State(error.to_string()))?;
            batch.put(index.to_be_bytes(), bytes);
        }
        self.log.write_atomic(Tree::Log, &batch)?;
        self.log.flush_durable()?;
        Ok(Index(index))
    }
}
