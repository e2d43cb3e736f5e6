//! How traffic is served, from the line to what is shown.

use crate::program::stand;

fn setting(shown: &serde_json::Value, name: &str) -> (String, String) {
    let all = shown["traffic"].as_array().unwrap();
    let one = all.iter().find(|setting| setting["name"] == name).unwrap();
    let text = |field: &str| one[field].as_str().unwrap().to_owned();
    (text("value"), text("from"))
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_decided_and_shown_with_whence_they_are() {
    let (_node, home) = stand().await;
    home.run("hostname add shop.example").await.ends(0);
    let zone = home
        .run("zone set --hsts 60 --min-tls 1.3 --caa open -o json")
        .await
        .ends(0)
        .json();
    assert_eq!(
        (setting(&zone, "hsts").0.as_str(), &zone["caa"]),
        ("60", &"open".into())
    );
    let line = "hostname set shop.example --hsts off --http2 false --keys both \
                --origins http://a:1,weight=2 --origins http://b:2";
    home.run(line).await.ends(0);
    let shown = home
        .run("hostname show shop.example -o json")
        .await
        .ends(0)
        .json();
    assert_eq!(shown["wants"]["keys"], "both");
    for (name, value, from) in [
        ("hsts", "off", "hostname"),
        ("http2", "false", "hostname"),
        ("origins", "http://a:1,weight=2\nhttp://b:2", "hostname"),
        ("min_tls", "1.3", "zone"),
        ("retry_percent", "10", "default"),
    ] {
        assert_eq!(
            setting(&shown, name),
            (value.to_owned(), from.to_owned()),
            "{name}"
        );
    }
    let table = home.run("hostname show shop.example").await.ends(0);
    assert!(table.out.contains("1.3 (zone)"), "{table:?}");
    assert!(!table.out.contains("retry_percent"), "{table:?}");
    let revision = shown["revision"].as_u64().unwrap();
    let line = format!("hostname set shop.example --manual true --hsts 7 --revision {revision}");
    home.run(&line).await.ends(0);
    home.run(&line).await.ends(1).complains("changed meanwhile");
    home.run("hostname set shop.example --request-rate 0")
        .await
        .ends(1)
        .complains("0 is not within 1 and 1000000");
    let off = home
        .run("hostname set shop.example --origin-trust off")
        .await
        .ends(0);
    off.complains("not be verified");
}
