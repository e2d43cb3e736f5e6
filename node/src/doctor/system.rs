//! The machine: its clock and what it lets a process use.

use std::fs;

use tokio::{process::Command, time::timeout};

use super::{Finding, WITHIN};

/// Descriptors beside those of the edge's connections: the store, peers, operators, DNS.
const BESIDE: u64 = 1_000;

/// `process` is the node's, if it runs: what a shell may have tells nothing of a daemon.
pub(super) async fn examine(connections: u64, process: Option<i32>) -> Vec<Finding> {
    let limits = process.and_then(|id| fs::read_to_string(format!("/proc/{id}/limits")).ok());
    let mut found = vec![clock().await];
    found.extend(limits.map(|limits| descriptors(connections, &limits)));
    found
}

/// Whether something keeps the clock right, as systemd tells.
async fn clock() -> Finding {
    let mut ask = Command::new("timedatectl");
    ask.args(["show", "--property=NTPSynchronized", "--value"]);
    ask.kill_on_drop(true);
    let answer = timeout(WITHIN, ask.output()).await;
    let answer = answer.ok().and_then(Result::ok);
    judged(answer.map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned()))
}

fn judged(answer: Option<String>) -> Finding {
    const OF: &str = "clock";
    match answer.as_deref().map(str::trim) {
        Some("yes") => Finding::good(OF, "it is kept by NTP"),
        Some("no") => Finding::bad(
            OF,
            "it is not kept by NTP: certificates, tokens and renewals depend on it; run chrony or \
             systemd-timesyncd",
        ),
        _ => Finding::odd(
            OF,
            "whether it is kept by NTP is not known: `timedatectl` does not tell",
        ),
    }
}

/// Whether `limits`, as `/proc` has them, allow as many descriptors as the configured
/// connections need: two for each, the client's and the origin's.
fn descriptors(connections: u64, limits: &str) -> Finding {
    const OF: &str = "limits";
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    // The soft limit and the hard one, which a node raises the soft one to.
    let hard = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    let Some(there) = hard else {
        return Finding::odd(OF, "how many descriptors the node may open is not known");
    };
    let wanted = connections.saturating_mul(2).saturating_add(BESIDE);
    let said = format!("{there} descriptors may be open, {wanted} are wanted");
    if there < wanted {
        let said = format!("{said} for edge.connections = {connections}: raise LimitNOFILE");
        Finding::odd(OF, said)
    } else {
        Finding::good(OF, said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn what_keeps_the_clock_is_told() {
        for (answer, verdict) in [
            (Some("yes\n"), Verdict::Good),
            (Some("no\n"), Verdict::Bad),
            (Some(""), Verdict::Odd),
            (None, Verdict::Odd),
        ] {
            let finding = judged(answer.map(str::to_owned));
            assert_eq!(finding.verdict, verdict, "{answer:?}");
        }
    }

    #[test]
    fn descriptors_are_compared_with_what_is_configured() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\n\
                      Max open files            1024                 65536                files\n";
        for (connections, limits, verdict) in [
            (32_268, limits, Verdict::Good),
            (32_269, limits, Verdict::Odd),
            (1, "", Verdict::Odd),
        ] {
            let finding = descriptors(connections, limits);
            assert_eq!(finding.verdict, verdict, "{connections}: {finding:?}");
        }
    }
}
