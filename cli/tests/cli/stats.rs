//! What was served for hostnames, as a node tells it.

use admin::Stats;
use proto::admin::v1::{Counting, HostnameStats};

use crate::program::stand;

/// Has served some thousand hostnames, the later by their names the less.
pub(crate) struct Sums;

/// More than a page holds.
const HOSTNAMES: u64 = 2500;

fn served(name: &str, requests: u64) -> HostnameStats {
    HostnameStats {
        name: format!("hostnames/{name}"),
        requests,
        requests_2xx: requests,
        ..HostnameStats::default()
    }
}

fn all() -> impl Iterator<Item = HostnameStats> {
    (0..HOSTNAMES).map(|number| served(&format!("h{number:04}.example"), HOSTNAMES - number))
}

impl Stats for Sums {
    fn counting(&self) -> Counting {
        Counting {
            node: 1,
            boot: "boot".to_owned(),
            ..Counting::default()
        }
    }

    fn hostname(&self, hostname: &str) -> HostnameStats {
        let name = format!("hostnames/{hostname}");
        let found = all().find(|stats| stats.name == name);
        found.unwrap_or_else(|| served(hostname, 0))
    }

    fn others(&self) -> HostnameStats {
        served("-", 3)
    }

    fn after(&self, last: &str, most: usize) -> Vec<HostnameStats> {
        let last = format!("hostnames/{last}");
        all().filter(|it| it.name > last).take(most).collect()
    }

    fn top(&self, most: usize) -> Vec<HostnameStats> {
        all().take(most).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_served_is_told_of_one_of_the_top_and_of_all() {
    let (_node, home) = stand().await;
    for (asked, count, first, requests) in [
        ("stats h0007.example", 1, "h0007.example", 2493),
        ("stats hostnames/none.example", 1, "none.example", 0),
        ("stats -", 1, "-", 3),
        ("stats", 20, "h0000.example", 2500),
        ("stats --top 2", 2, "h0000.example", 2500),
        ("stats --all", 2501, "h0000.example", 2500),
    ] {
        let told = home.run(&format!("{asked} -o json")).await.ends(0).json();
        assert_eq!(told["boot"], "boot", "{asked}");
        let hostnames = told["hostnames"].as_array().unwrap();
        assert_eq!(hostnames.len(), count, "{asked}");
        assert_eq!(hostnames[0]["hostname"], first, "{asked}");
        assert_eq!(hostnames[0]["requests"], requests, "{asked}");
    }
    let table = home.run("stats --top 1").await.ends(0);
    assert!(table.out.contains("served by node 1"), "{table:?}");
    home.run("stats --top 0").await.ends(1);
}
