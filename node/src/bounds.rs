//! What the data plane may use of this machine: descriptors and memory.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use edge::{Limits, MemoryUsed};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use state::traffic::Rate;

use crate::config::Edge;

/// Where version 2 of control groups is mounted.
const CGROUPS: &str = "/sys/fs/cgroup";
/// A burst of one client's connections, in seconds of its rate.
const BURST: u32 = 4;

/// The edge's bounds, with all descriptors that the process may have.
pub(crate) fn limits(config: &Edge) -> Limits {
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let few = |value: u64| u32::try_from(value).ok().filter(|value| *value > 0);
    let memory = match config.memory {
        0 => machines() / 4 * 3,
        mebibytes => mebibytes << 20,
    };
    let limits = Limits {
        connections: number(config.connections),
        connections_each: few(config.connections_per_client),
        rate_each: few(config.connection_rate_per_client).map(|per_second| Rate {
            per_second,
            burst: per_second.saturating_mul(BURST),
        }),
        handshakes: config.handshakes,
        descriptors: number(descriptors()),
        memory,
        keys: number(config.cached_keys),
        wait_for_certificate: config.wait_for_certificate,
        ..Limits::default()
    };
    let shares = limits.shares();
    tracing::info!(
        descriptors = limits.descriptors,
        https = shares.https,
        http = shares.http,
        origins = shares.origins,
        memory = memory >> 20,
        "connections are bounded"
    );
    if shares.https < limits.connections {
        tracing::warn!(
            wanted = limits.connections,
            possible = shares.https,
            "fewer connections than edge.connections are possible with this many descriptors: raise LimitNOFILE"
        );
    }
    limits
}

/// Tells how much memory this process has in use.
pub(crate) fn memory_used() -> MemoryUsed {
    Arc::new(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        kibibytes(&status, "RssAnon:").unwrap_or(0) << 10
    })
}

/// Descriptors that the process may have, after as many were asked for as are to be had.
fn descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.unwrap_or(u64::MAX)
}

/// The machine's memory, or what our control group may have of it.
fn machines() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let machine = kibibytes(&meminfo, "MemTotal:").map_or(u64::MAX, |all| all << 10);
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group(&own).unwrap_or_default();
    let most = group.ancestors().filter_map(|group| {
        let file = Path::new(CGROUPS).join(group).join("memory.max");
        fs::read_to_string(file).ok()?.trim().parse().ok()
    });
    most.fold(machine, u64::min)
}

/// Our control group of version 2, relative to its mount.
fn group(own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(PathBuf::from(path))
}

/// A line of a file of `/proc` that tells kibibytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_read() {
        let status = "VmRSS:\t  123456 kB\nRssAnon:\t   98304 kB\nRssFile:\t 1 kB\n";
        assert_eq!(kibibytes(status, "RssAnon:"), Some(98_304));
        for strange in ["", "RssAnon:\n", "RssAnon: many kB", "RssAnon: 7 MB"] {
            assert_eq!(kibibytes(strange, "RssAnon:"), None, "{strange}");
        }
        for (own, expected) in [
            (
                "0::/system.slice/hostquorum.service\n",
                "system.slice/hostquorum.service",
            ),
            ("1:name=systemd:/x\n0::/\n", ""),
        ] {
            assert_eq!(group(own), Some(expected.into()), "{own}");
        }
        assert_eq!(group("3:memory:/docker/x\n"), None);
    }

    #[test]
    fn this_process_uses_memory_and_may_use_more() {
        let used = memory_used()();
        assert!(used > 0 && used < machines(), "{used}");
    }
}
