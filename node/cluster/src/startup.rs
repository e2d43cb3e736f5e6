//! What a node does when it starts, from what lies on its disk and what it was
//! told. Pure: whoever looks at the disk hands over what it saw.

use std::path::PathBuf;

use state::{ClusterId, NodeId};

use crate::identity::Invited;

/// What the data directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskFacts {
    /// Where it is, for messages.
    pub directory: PathBuf,
    /// Who this node is, if it is anybody.
    pub identity: Option<(ClusterId, NodeId)>,
    /// It began to join and has had no answer.
    pub candidate: Option<Invited>,
    /// It began to form a cluster whose first command may not be in the log.
    pub founding: bool,
    /// There is a replica's log or state.
    pub replica: bool,
}

/// What a node does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Startup {
    /// Wait for `init` on the local socket.
    Form,
    /// Enter the cluster of the token. Keys of an earlier attempt with the same
    /// token are used again.
    Join {
        /// There are such keys.
        resumed: bool,
    },
    /// Take part as who it is.
    Resume {
        /// First propose the command that formed the cluster once more.
        finish_founding: bool,
    },
    /// Do nothing: its operator must decide.
    Refuse(Refusal),
}

/// Why a node does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It would be somebody else with this one's log.
    #[error(
        "{} holds a replica's data but no identity: put identity.json back from a copy, or, if \
         this node was removed from its cluster, empty the directory", .0.display()
    )]
    Orphaned(PathBuf),
    /// It belongs elsewhere.
    #[error(
        "{} belongs to node {node} of cluster {cluster}, but the token is for cluster {token}...: \
         use another data directory, or empty this one once the node was removed there",
        directory.display()
    )]
    OtherCluster {
        /// Where.
        directory: PathBuf,
        /// Its cluster.
        cluster: ClusterId,
        /// Its id there.
        node: NodeId,
        /// The first digits of the token's cluster.
        token: String,
    },
    /// It was about to join, and now nobody says where.
    #[error(
        "{} holds the keys of a join that had no answer: start with --join and the same token, or \
         delete joining.json there to give it up", .0.display()
    )]
    HalfJoined(PathBuf),
}

/// Decides. `join` is the token that the node was started with.
pub fn decide(disk: &DiskFacts, join: Option<Invited>) -> Startup {
    match (disk.identity, join) {
        (Some((cluster, node)), Some(token)) if !cluster.0.starts_with(&token.cluster) => {
            Startup::Refuse(Refusal::OtherCluster {
                directory: disk.directory.clone(),
                cluster,
                node,
                token: data_encoding::HEXLOWER.encode(&token.cluster),
            })
        }
        // A unit file that still says `--join` after the first start is as it should be.
        (Some(_), _) => Startup::Resume {
            finish_founding: disk.founding,
        },
        (None, _) if disk.replica => Startup::Refuse(Refusal::Orphaned(disk.directory.clone())),
        (None, Some(token)) => Startup::Join {
            resumed: disk.candidate == Some(token),
        },
        (None, None) if disk.candidate.is_some() => {
            Startup::Refuse(Refusal::HalfJoined(disk.directory.clone()))
        }
        // A first command without an identity was cut off before anything counted.
        (None, None) => Startup::Form,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: ClusterId = ClusterId([0xab; 16]);

    #[test]
    fn every_disk_has_its_start() {
        let token = |cluster, invitation| Invited {
            cluster: [cluster; 4],
            invitation: Some(invitation),
        };
        let (ours, other) = (token(0xab, 1), token(0xcd, 1));
        let empty = DiskFacts {
            directory: "/data".into(),
            ..DiskFacts::default()
        };
        let member = DiskFacts {
            identity: Some((CLUSTER, NodeId(3))),
            replica: true,
            ..empty.clone()
        };
        let founding = DiskFacts {
            founding: true,
            replica: false,
            ..member.clone()
        };
        let asking = DiskFacts {
            candidate: Some(ours),
            ..empty.clone()
        };
        let cut = DiskFacts {
            founding: true,
            ..empty.clone()
        };
        let orphan = DiskFacts {
            replica: true,
            ..empty.clone()
        };
        let resume = |finish_founding| Startup::Resume { finish_founding };
        let directory = PathBuf::from("/data");
        let elsewhere = Startup::Refuse(Refusal::OtherCluster {
            directory: directory.clone(),
            cluster: CLUSTER,
            node: NodeId(3),
            token: "cdcdcdcd".to_owned(),
        });
        let half = Startup::Refuse(Refusal::HalfJoined(directory.clone()));
        let orphaned = Startup::Refuse(Refusal::Orphaned(directory));
        let cases = [
            ("empty", &empty, None, Startup::Form),
            (
                "empty, told to join",
                &empty,
                Some(ours),
                Startup::Join { resumed: false },
            ),
            ("member", &member, None, resume(false)),
            (
                "member, still told to join",
                &member,
                Some(ours),
                resume(false),
            ),
            (
                "member, told to join another",
                &member,
                Some(other),
                elsewhere,
            ),
            ("founder, cut off", &founding, None, resume(true)),
            ("cut off before it was anybody", &cut, None, Startup::Form),
            (
                "asked before",
                &asking,
                Some(ours),
                Startup::Join { resumed: true },
            ),
            (
                "asked with another token",
                &asking,
                Some(token(0xab, 2)),
                Startup::Join { resumed: false },
            ),
            ("asked, and told nothing", &asking, None, half),
            ("no identity", &orphan, None, orphaned.clone()),
            ("no identity, told to join", &orphan, Some(ours), orphaned),
        ];
        for (what, disk, join, expected) in cases {
            assert_eq!(decide(disk, join), expected, "{what}");
        }
    }
}
