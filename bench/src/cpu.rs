//! CPU time of a process, by the scheduler's own count: nanoseconds, not ticks of 10 ms.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};

/// What a process and its children have used since they began.
pub(crate) fn used(pid: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    let mut processes = vec![pid];
    while let Some(pid) = processes.pop() {
        let tasks = format!("/proc/{pid}/task");
        for task in fs::read_dir(&tasks).with_context(|| format!("process {pid} is gone"))? {
            // A thread may end while it is looked at.
            let Ok(task) = task else { continue };
            nanoseconds += spent(&task.path()).unwrap_or(0);
            processes.extend(children(&task.path()));
        }
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Resident memory of one process, in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).context(path)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes: u64 = kilobytes
        .and_then(|text| text.trim().parse().ok())
        .context("the system does not tell VmRSS")?;
    Ok(kilobytes * 1024)
}

fn spent(task: &Path) -> Option<u64> {
    let text = fs::read_to_string(task.join("schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn children(task: &Path) -> Vec<u32> {
    let text = fs::read_to_string(task.join("children")).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
