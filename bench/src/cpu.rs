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
