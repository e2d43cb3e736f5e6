//! What can be set, and why it stands where it does.

use std::time::Duration;

/// Timers and bounds of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How often a leader speaks to its followers; also the limit of one append.
    pub heartbeat: Duration,
    /// Bounds of the election timeout. Followers refuse to elect another leader for
    /// `election_max` after they heard one, so the failover time follows mostly from
    /// it: with 100/300-450 ms, a dead leader was replaced after 0.8 s in the median.
    pub election_min: Duration,
    /// See `election_min`.
    pub election_max: Duration,
    /// A write that takes longer to become durable stops the replica, until the disk is
    /// well again.
    pub write_limit: Duration,
    /// After this long a proposal or barrier is answered, with "unknown" if need be.
    /// Callers promise an answer within 3 s.
    pub answer_within: Duration,
    /// A snapshot is written once this many entries were applied since the last, or
    /// a quarter of the number of hostnames, whichever is more.
    pub snapshot_entries: u64,
    /// Or once this many bytes were appended, or a quarter of the last snapshot,
    /// whichever is more.
    pub snapshot_bytes: u64,
    /// Entries kept behind a snapshot, so that a follower that was away for a
    /// moment is brought up by entries and not by a snapshot.
    pub keep_entries: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(300),
            election_max: Duration::from_millis(450),
            write_limit: Duration::from_secs(2),
            answer_within: Duration::from_millis(2500),
            snapshot_entries: 50_000,
            snapshot_bytes: 64 * 1024 * 1024,
            keep_entries: 20_000,
        }
    }
}

impl Config {
    /// Fewest entries that are purged at once.
    pub(crate) fn purge_batch(&self) -> u64 {
        1024.min(self.keep_entries.max(1))
    }

    /// As openraft wants it.
    pub(crate) fn raft(&self, cluster: &str) -> Result<openraft::Config, String> {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let config = openraft::Config {
            cluster_name: cluster.to_owned(),
            heartbeat_interval: ms(self.heartbeat),
            election_timeout_min: ms(self.election_min),
            election_timeout_max: ms(self.election_max),
            max_payload_entries: 300,
            // Our own trigger knows the size of the state.
            snapshot_policy: openraft::SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: self.keep_entries,
            purge_batch_size: self.purge_batch(),
            ..openraft::Config::default()
        };
        config.validate().map_err(|error| error.to_string())
    }
}
