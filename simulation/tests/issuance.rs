//! Seeds of the scenario of certificates that always run.

use simulation::{Issuance, issue};

#[test]
fn each_hostname_gets_one_certificate_though_the_leader_crashes() {
    let mut runs: Vec<Issuance> = Vec::new();
    for seed in 1..=24 {
        let run = issue(seed).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(run.violation.is_none(), "{run}");
        assert_eq!(run.certificates, 3, "{run}");
        runs.push(run);
    }
    let crashes: Vec<_> = runs.iter().filter_map(|run| run.crash).collect();
    assert_eq!(crashes.len(), runs.len());
    // A crash when all is done, or has not begun, proves little.
    let amid = crashes.iter().filter(|crash| crash.in_flight > 0).count();
    assert!(amid >= 12, "{crashes:?}");
    assert!(crashes.iter().any(|crash| crash.lost > 0), "{crashes:?}");
}
