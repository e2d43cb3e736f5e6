//! Looks at hostnames, and what is to be published.

use crate::{eyes::GOOD, program::stand};

#[tokio::test(flavor = "multi_thread")]
async fn a_look_ends_by_what_it_found() {
    let (_node, home) = stand().await;
    let names = format!("hostname add shop.example {GOOD}");
    home.run(&names).await.ends(0);
    let bad = home.run("hostname check shop.example").await.ends(2);
    assert!(bad.out.contains("192.0.2.9"), "{bad:?}");
    assert!(
        bad.out.contains("the owner of the name must change it"),
        "{bad:?}"
    );
    let good = home.run(&format!("hostname check {GOOD} -o json")).await;
    let good = good.ends(0).json();
    assert_eq!(good["rows"][0]["mark"], "good");
    assert_eq!(good["challenges"][0], "http-01");
    let none = home.run("hostname check none.example").await.ends(1);
    assert!(none.err.contains("none.example"), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_told_as_lines_of_a_zone_file_too() {
    let (_node, home) = stand().await;
    home.run("hostname add shop.example").await.ends(0);
    let lines = home.run("hostname records shop.example -o zone").await;
    assert_eq!(
        lines.ends(0).out,
        "; for a test\nshop.example. IN CNAME t.edge.example\n\
         ; optional: for a test\n_hostquorum.shop.example. IN TXT \"token\"\n"
    );
    let table = home.run("hostname records shop.example").await.ends(0);
    assert!(table.out.contains("/.well-known/hostquorum/"), "{table:?}");
    let zone = home.run("zone records -o json").await.ends(0).json();
    assert_eq!(zone["records"][0]["type"], "NS");
}
