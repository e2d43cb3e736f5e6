//! The data directory: whose it is, how much room there is, and how long a flush takes,
//! which is what each acknowledged write waits for.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    time::{Duration, Instant},
};

use super::Finding;

const OF: &str = "disk";

/// How often it is flushed.
const FLUSHES: usize = 20;

/// A small entry of the log.
const BYTES: [u8; 4096] = [0x5a; 4096];

/// Slower than this, and every write to the cluster feels it.
const SLOW: Duration = Duration::from_millis(50);

/// Less room than this, in bytes, is gone within days.
const LITTLE: u64 = 1 << 30;

/// Twice what the replica keeps free for itself, below which it stops.
const NOTHING: u64 = 64 << 20;

pub(super) fn examine(directory: &Path, flush_limit: Duration) -> Vec<Finding> {
    let metadata = match fs::metadata(directory) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let said = format!(
                "{} is not there yet; a node makes it at its first start",
                directory.display()
            );
            return vec![Finding::odd(OF, said)];
        }
        Err(error) => {
            let said = format!(
                "{} cannot be looked at: {error}; run this as root or as the daemon's user",
                directory.display()
            );
            return vec![Finding::bad(OF, said)];
        }
    };
    let mut found = Vec::new();
    if metadata.mode() & 0o077 != 0 {
        let said = format!(
            "{} has mode {:o}: others can read it, and a node refuses to start; chmod 700",
            directory.display(),
            metadata.mode() & 0o777
        );
        found.push(Finding::bad(OF, said));
    }
    found.push(room(directory));
    found.push(match flushes(directory) {
        Ok(times) => flushed(&times, flush_limit),
        Err(error) => {
            let said = format!("{} cannot be written: {error}", directory.display());
            Finding::bad(OF, said)
        }
    });
    found
}

fn room(directory: &Path) -> Finding {
    let space = match rustix::fs::statvfs(directory) {
        Ok(space) => space,
        Err(error) => return Finding::odd(OF, format!("its free space is not known: {error}")),
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let said = format!("{} MiB are free", free >> 20);
    match free {
        0..NOTHING => Finding::bad(OF, format!("{said}: the replica stops before it is full")),
        NOTHING..LITTLE => Finding::odd(OF, format!("{said}: make room")),
        _ => Finding::good(OF, said),
    }
}

/// How long each flush of a small write took, the quickest first.
fn flushes(directory: &Path) -> io::Result<Vec<Duration>> {
    let path = directory.join(format!("doctor-{}", std::process::id()));
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    let times = timed(file);
    fs::remove_file(&path)?;
    let mut times = times?;
    times.sort();
    Ok(times)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the machine's disk is what is measured"
)]
fn timed(mut file: File) -> io::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(FLUSHES);
    for _ in 0..FLUSHES {
        file.seek(SeekFrom::Start(0))?;
        let begun = Instant::now();
        file.write_all(&BYTES)?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// What `times`, the quickest first, say.
fn flushed(times: &[Duration], flush_limit: Duration) -> Finding {
    let (Some(median), Some(longest)) = (times.get(times.len() / 2), times.last()) else {
        return Finding::odd(OF, "no flush was timed");
    };
    let said = format!("a write is on the disk after {median:.1?}, at most {longest:.1?}");
    if *longest >= flush_limit {
        let limit = humantime::format_duration(flush_limit);
        let said = format!("{said}: after {limit} (raft.flush_limit) the replica stops");
        Finding::bad(OF, said)
    } else if *median >= SLOW {
        Finding::odd(OF, format!("{said}: every change waits for it"))
    } else {
        Finding::good(OF, said)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::doctor::Verdict;

    const LIMIT: Duration = Duration::from_secs(2);

    fn worst(found: &[Finding]) -> Verdict {
        let verdicts = found.iter().map(|finding| finding.verdict);
        verdicts.max().unwrap()
    }

    #[test]
    fn a_directory_is_looked_at_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let found = examine(folder.path(), Duration::from_secs(3600));
        assert_ne!(worst(&found), Verdict::Bad, "{found:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let found = examine(folder.path(), LIMIT);
        assert!(found[0].said.contains("mode 750"), "{found:?}");
        let missing = examine(&folder.path().join("none"), LIMIT);
        assert_eq!(worst(&missing), Verdict::Odd, "{missing:?}");
    }

    #[test]
    fn flushes_are_judged_by_their_median_and_their_longest() {
        let ms = Duration::from_millis;
        for (times, verdict) in [
            (vec![ms(1), ms(2), ms(900)], Verdict::Good),
            (vec![ms(1), ms(50), ms(60)], Verdict::Odd),
            (vec![ms(1), ms(2), ms(2000)], Verdict::Bad),
            (vec![], Verdict::Odd),
        ] {
            assert_eq!(flushed(&times, LIMIT).verdict, verdict, "{times:?}");
        }
    }
}
