//! Every failpoint that is promised is met, and ends the process.

use std::{
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
};

use leader::failpoint::{ACCOUNT, Failpoint, ORDER};

use crate::world::{Fate, World, served};

const NAME: &str = "shop.example";
const SIGABRT: i32 = 6;
const ARMED_BY: &str = "HOSTQUORUM_TEST_ARMED_BY";

/// One leader with one order, in a process of its own; run by the test below, by name.
#[tokio::test(start_paused = true)]
async fn child() {
    #[expect(
        clippy::disallowed_methods,
        reason = "how a parent test tells its child what to do"
    )]
    let file = std::env::var(ARMED_BY);
    let Ok(file) = file else { return };
    let world = World::new();
    world.alone.authorize(NAME);
    let mut leader = world.lead_with(Fate::Lives, |config| {
        config.failpoint = Failpoint::armed_by(file.into());
    });
    leader.until(served(NAME)).await;
}

#[test]
fn each_of_them_is_met_on_the_way_to_a_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("failpoint");
    for name in ORDER.iter().chain(&ACCOUNT) {
        std::fs::write(&file, name).unwrap();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["failpoints::child", "--exact"])
            .env(ARMED_BY, &file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(SIGABRT), "{name}: {status}");
        assert!(!file.exists(), "{name}: it ends one process only");
    }
}
