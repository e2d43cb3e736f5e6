//! When to write a snapshot, so that the log stays short and a large state is not
//! copied all day. openraft purges the log behind it by itself, except where a crash, a full
//! disk, or the end of a lead came between the two: that is done here.

use std::sync::Arc;
use std::time::Duration;

use openraft::LogIdOptionExt;

use crate::config::Config;
use crate::replica::Figures;
use crate::run::Shared;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// What has gathered since the last snapshot, and how large all is.
#[derive(Debug, Clone, Copy)]
struct Gathered {
    entries: u64,
    bytes: u64,
    hostnames: u64,
    snapshot_bytes: u64,
}

const fn is_due(config: &Config, gathered: Gathered) -> bool {
    let entries = if gathered.hostnames / 4 > config.snapshot_entries {
        gathered.hostnames / 4
    } else {
        config.snapshot_entries
    };
    let bytes = if gathered.snapshot_bytes / 4 > config.snapshot_bytes {
        gathered.snapshot_bytes / 4
    } else {
        config.snapshot_bytes
    };
    gathered.entries > 0 && (gathered.entries >= entries || gathered.bytes >= bytes)
}

/// Up to where the log is to be purged because that did not follow its snapshot. Who follows
/// says one more: openraft takes for done what it has scheduled, and schedules without doing
/// it for a leader while somebody is being sent those entries.
fn missed(config: &Config, figures: Figures, leads: bool) -> Option<u64> {
    let behind = figures.snapshot.saturating_sub(config.keep_entries);
    let missed = figures.purged + config.purge_batch() <= behind;
    missed.then_some(behind + u64::from(!leads))
}

/// Asks for snapshots until the replica ends.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut counted = shared.log.appended_bytes();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = shared.fence.tripped() => return,
        }
        let leads = shared.metrics(|metrics| metrics.state.is_leader());
        if let Some(index) = missed(&shared.config, shared.figures(), leads) {
            tracing::debug!(
                index,
                "the log is purged, which its snapshot did not bring about"
            );
            if shared.raft.trigger().purge_log(index).await.is_err() {
                return;
            }
        }
        let appended = shared.log.appended_bytes();
        let entries = shared.metrics(|metrics| {
            metrics
                .last_applied
                .next_index()
                .saturating_sub(metrics.snapshot.next_index())
        });
        let gathered = Gathered {
            entries,
            bytes: appended - counted,
            hostnames: shared.outward.published.state().hostname_count() as u64,
            snapshot_bytes: shared.snapshots.length(),
        };
        if shared.snapshots.is_doubted() || is_due(&shared.config, gathered) {
            // openraft ignores it while one is being written.
            if shared.raft.trigger().snapshot().await.is_err() {
                return;
            }
            counted = appended;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_that_something_came_before_is_made_up_for() {
        let config = Config {
            keep_entries: 20,
            ..Config::default()
        };
        for (snapshot, purged, expected) in [
            (0, 0, None),
            (20, 0, None),
            (100, 80, None),
            (100, 61, None),
            (100, 60, Some(81)),
            (100, 0, Some(81)),
            // Installed: nothing is kept before it.
            (100, 100, None),
        ] {
            let figures = Figures {
                snapshot,
                purged,
                ..Figures::default()
            };
            let following = missed(&config, figures, false);
            assert_eq!(following, expected, "{snapshot} {purged}");
            let leading = missed(&config, figures, true);
            assert_eq!(
                leading,
                expected.map(|index| index - 1),
                "{snapshot} {purged}"
            );
        }
    }

    #[test]
    fn snapshots_keep_pace_with_the_size_of_the_state() {
        let config = Config::default();
        const MB: u64 = 1024 * 1024;
        for (name, entries, bytes, hostnames, snapshot_bytes, due) in [
            ("nothing new", 0, 0, 0, 0, false),
            ("few", 49_999, MB, 10, 0, false),
            ("many entries", 50_000, MB, 10, 0, true),
            (
                "many entries of a large state",
                50_000,
                MB,
                1_000_000,
                0,
                false,
            ),
            ("a quarter of it", 250_000, MB, 1_000_000, 0, true),
            ("many bytes", 100, 64 * MB, 10, 0, true),
            (
                "many bytes of a large state",
                100,
                64 * MB,
                10,
                1024 * MB,
                false,
            ),
        ] {
            let gathered = Gathered {
                entries,
                bytes,
                hostnames,
                snapshot_bytes,
            };
            assert_eq!(is_due(&config, gathered), due, "{name}");
        }
    }
}
