//! What the CA did, one thing at a time: the truth outside of the cluster.

use std::collections::BTreeSet;
use std::fmt;

use devca::Ledger;
use state::NodeId;

/// Something that happened at the CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It has an account more.
    Account(String),
    /// It has an order more, for these names.
    Ordered { order: String, names: Vec<String> },
    /// It was asked to finalize an order, and whether it will.
    Finalized { order: String, accepted: bool },
    /// It issued a certificate, valid until then (Unix seconds).
    Issued {
        serial: String,
        order: String,
        names: Vec<String>,
        not_after: u64,
    },
    /// It revoked one.
    Revoked { serial: String },
    /// It answered a POST.
    Posted(Posted),
}

/// A POST to the CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Posted {
    /// By whichever node.
    pub(crate) node: Option<NodeId>,
    /// When it had begun to leave there, in milliseconds, if that was seen.
    pub(crate) left: Option<u64>,
    pub(crate) path: String,
    pub(crate) status: u16,
}

impl Deed {
    /// What a POST to `path` does at the CA, if it does more than read.
    pub(crate) fn effect(path: &str) -> Option<Effect> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match parts[..] {
            ["order"] => Some(Effect::NewOrder),
            ["order", _, "finalize"] => Some(Effect::Finalize),
            ["authorization", _, _] => Some(Effect::Challenge),
            _ => None,
        }
    }
}

/// What a POST that changes something at the CA is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    NewOrder,
    Challenge,
    Finalize,
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(f, "has the account {id}"),
            Self::Ordered { order, names } => write!(f, "has the order {order} for {names:?}"),
            Self::Finalized { order, accepted } => {
                let word = if *accepted { "will" } else { "will not" };
                write!(f, "{word} finalize {order}")
            }
            Self::Issued {
                serial,
                order,
                names,
                not_after,
            } => write!(
                f,
                "issued {serial} on {order} for {names:?} until {not_after}"
            ),
            Self::Revoked { serial } => write!(f, "revoked {serial}"),
            Self::Posted(posted) => {
                let Posted { path, status, .. } = posted;
                let node = posted.node;
                let node =
                    node.map_or_else(|| "somebody".to_owned(), |node| format!("node {node}"));
                write!(f, "answered {node} with {status} at {path}")
            }
        }
    }
}

/// Tells from a growing ledger what is new.
#[derive(Debug, Default)]
pub(crate) struct Books {
    accounts: usize,
    orders: usize,
    finalizations: usize,
    certificates: usize,
    revoked: BTreeSet<String>,
    new: Vec<Deed>,
}

impl Books {
    /// Takes in what the ledger has now.
    pub(crate) fn follow(&mut self, ledger: Ledger) {
        let Ledger {
            accounts,
            orders,
            finalizations,
            certificates,
        } = ledger;
        for account in accounts.into_iter().skip(self.accounts) {
            self.accounts += 1;
            self.new.push(Deed::Account(account.id));
        }
        for order in orders.into_iter().skip(self.orders) {
            self.orders += 1;
            self.new.push(Deed::Ordered {
                order: order.id,
                names: order.names,
            });
        }
        for finalization in finalizations.into_iter().skip(self.finalizations) {
            self.finalizations += 1;
            self.new.push(Deed::Finalized {
                order: finalization.order,
                accepted: finalization.refused.is_none(),
            });
        }
        for (place, certificate) in certificates.into_iter().enumerate() {
            if certificate.revoked.is_some() && self.revoked.insert(certificate.serial.clone()) {
                let serial = certificate.serial.clone();
                self.new.push(Deed::Revoked { serial });
            }
            if place < self.certificates {
                continue;
            }
            self.certificates += 1;
            self.new.push(Deed::Issued {
                serial: certificate.serial,
                order: certificate.order,
                names: certificate.names,
                not_after: certificate.not_after.as_unix(),
            });
        }
    }

    /// A POST was answered.
    pub(crate) fn posted(&mut self, posted: Posted) {
        self.new.push(Deed::Posted(posted));
    }

    /// What is new since the last time.
    pub(crate) fn take(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.new)
    }
}
