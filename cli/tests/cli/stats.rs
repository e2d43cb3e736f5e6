//! What was served for hostnames, as a node tells it.

use admin::testing::Sums;

use crate::program::stand;

/// Has served some thousand hostnames, more than a page holds, the later by their names the
/// less.
pub(crate) fn sums() -> Sums {
    let hostname = |number: u64| (format!("h{number:04}.example"), 2500 - number);
    Sums::new((0..2500).map(hostname), 3)
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
