//! The record of a run: what was asked and answered, what each replica had applied,
//! who led, what the CA did, and what was done to the cluster. Of messages their kinds
//! and numbers only: their bytes differ where nothing that matters does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use state::ports::Leadership;
use state::{Hostname, Index, NodeId, State, Term};

use crate::deed::Deed;
use crate::digest::{Digest, feed};
use crate::operation::{Answer, Op, Operation};
use crate::scenario::Plague;

/// Something that happened, in milliseconds of virtual time since the beginning.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) tick: u64,
    pub(crate) what: What,
}

/// See [`Event`].
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// The cluster was founded and all nodes vote.
    Founded,
    /// A client called a node.
    Asked {
        op: Op,
        node: NodeId,
        operation: Operation,
    },
    /// It was answered; `Unknown` too if the node went down first.
    Answered {
        op: Op,
        node: NodeId,
        answer: Answer,
    },
    /// A node's published state has changed, by these entries of its log, as far as they
    /// are still on its disk.
    Applied {
        node: NodeId,
        state: Arc<State>,
        digest: Digest,
        entries: Vec<(Index, Vec<u8>)>,
    },
    /// A node believes something else about who leads.
    Led {
        node: NodeId,
        leadership: Leadership,
    },
    /// A node was told that a duty of its lead in `term` is done, at `index`: for which
    /// hostname `newOrder` may be sent now, if it may.
    Did {
        node: NodeId,
        term: Term,
        index: Index,
        orders: Option<Hostname>,
    },
    /// The CA did something.
    Ca(Deed),
    /// Calls that were carried between nodes since the last time, by kind.
    Carried(BTreeMap<String, u64>),
    /// A node answered a call of another that it knows to be removed; when that began.
    Heeded {
        node: NodeId,
        caller: NodeId,
        began: u64,
    },
    /// What the disks of nodes hold.
    Kept(BTreeMap<NodeId, Kept>),
    /// A machine was switched on for the first time.
    Entered { node: NodeId },
    /// A machine was removed from the cluster, and has ended.
    Expelled { node: NodeId },
    /// The trouble of that number has begun.
    Troubled {
        number: usize,
        plague: Plague,
        victims: Vec<NodeId>,
    },
    /// It is over.
    Over { number: usize },
    /// A machine lost power, and `lost` changes that were not durable.
    Crashed { node: NodeId, lost: usize },
    /// It is back.
    Restarted { node: NodeId },
    /// A machine that is off has lost its disk, and got an empty one.
    Wiped { node: NodeId },
    /// Something on a machine's disk cannot be read any more.
    Rotted { node: NodeId },
    /// A machine does not start on what its disk holds, and is switched off for good.
    Refused { node: NodeId, why: String },
    /// A replica has ended by itself.
    Halted { node: NodeId, why: String },
    /// It runs again by itself.
    Resumed { node: NodeId },
    /// No more trouble and no more work: these are up, and must serve.
    Calm { core: Vec<NodeId> },
    /// All replicas are alike, to the last body.
    Converged { index: Index, digest: Digest },
}

/// What a disk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Entries of the log.
    pub(crate) entries: usize,
    /// The index of the first, if there is one.
    pub(crate) first: Option<Index>,
    /// Snapshots, finished or not.
    pub(crate) snapshots: usize,
    /// The most entries that its node means to keep of what it has applied.
    pub(crate) wanted: u64,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7} ", self.tick)?;
        match &self.what {
            What::Founded => f.write_str("founded"),
            What::Asked {
                op,
                node,
                operation,
            } => write!(f, "node {node} asked {op} {operation}"),
            What::Answered { op, node, answer } => write!(f, "node {node} answered {op} {answer}"),
            What::Applied {
                node,
                state,
                digest,
                ..
            } => write!(f, "node {node} applied {} {digest}", state.index()),
            What::Led { node, leadership } => match leadership {
                Leadership::Leading(term) => write!(f, "node {node} leads in {term}"),
                Leadership::Following {
                    term,
                    leader: Some(leader),
                } => {
                    write!(f, "node {node} follows {leader} in {term}")
                }
                Leadership::Following { term, leader: None } => {
                    write!(f, "node {node} follows nobody in {term}")
                }
                Leadership::Stopped => write!(f, "node {node} has stopped"),
            },
            What::Did {
                node, term, index, ..
            } => {
                write!(f, "node {node} did a duty of {term} at {index}")
            }
            What::Ca(deed) => write!(f, "the CA {deed}"),
            What::Carried(kinds) => {
                f.write_str("carried")?;
                kinds
                    .iter()
                    .try_for_each(|(kind, count)| write!(f, " {kind} {count}"))
            }
            What::Heeded {
                node,
                caller,
                began,
            } => write!(f, "node {node} heeded node {caller}, removed, at {began}"),
            What::Kept(disks) => {
                f.write_str("kept")?;
                disks.iter().try_for_each(|(node, kept)| {
                    write!(f, " {node}: {}+{}", kept.entries, kept.snapshots)
                })
            }
            What::Entered { node } => write!(f, "node {node} entered"),
            What::Expelled { node } => write!(f, "node {node} was expelled"),
            What::Troubled {
                number,
                plague,
                victims,
            } => {
                write!(f, "trouble {number}: {plague:?}")?;
                victims
                    .iter()
                    .try_for_each(|node| write!(f, ", node {node}"))
            }
            What::Over { number } => write!(f, "trouble {number} is over"),
            What::Crashed { node, lost } => write!(f, "node {node} lost power and {lost} changes"),
            What::Restarted { node } => write!(f, "node {node} restarted"),
            What::Wiped { node } => write!(f, "node {node} lost its disk"),
            What::Rotted { node } => write!(f, "a bit flipped on node {node}'s disk"),
            What::Refused { node, why } => write!(f, "node {node} refuses to start: {why}"),
            What::Halted { node, why } => write!(f, "node {node} halted: {why}"),
            What::Resumed { node } => write!(f, "node {node} runs again"),
            What::Calm { core } => {
                f.write_str("calm")?;
                core.iter().try_for_each(|node| write!(f, ", node {node}"))
            }
            What::Converged { index, digest } => write!(f, "converged at {index} {digest}"),
        }
    }
}

/// All events of a run, as text, with their hash.
pub(crate) struct Journal {
    lines: Vec<String>,
    hash: Context,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            lines: Vec::new(),
            hash: Context::new(&SHA256),
        }
    }

    pub(crate) fn push(&mut self, event: &Event) {
        let line = event.to_string();
        feed(&mut self.hash, line.as_bytes());
        self.lines.push(line);
    }

    /// The lines and their hash.
    pub(crate) fn close(self) -> (Vec<String>, Digest) {
        (self.lines, Digest::of(self.hash))
    }
}
