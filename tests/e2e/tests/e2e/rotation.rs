//! The cluster's own keys are replaced while it serves and issues, and a machine's own by a
//! restart.

use std::fs;

use harness::{Cluster, Options, cluster::SOON, wait};

const SHOPS: [&str; 3] = [
    "shop.customer.example",
    "store.customer.example",
    "market.customer.example",
];
const NEXT: &str = "next.customer.example";

/// Every data key and its generation, as `cluster status` has them.
fn keys(status: &serde_json::Value) -> Vec<(String, u64)> {
    let keys = status["data_keys"].as_array().unwrap();
    let key = |key: &serde_json::Value| {
        let purpose = key["purpose"].as_str().unwrap().to_owned();
        (purpose, key["generation"].as_u64().unwrap())
    };
    keys.iter().map(key).collect()
}

async fn status(cluster: &Cluster) -> serde_json::Value {
    cluster.cli.json(&["cluster", "status"]).await
}

/// When the members' certificates end.
async fn ends(cluster: &Cluster) -> Vec<String> {
    let members = cluster.members().await.unwrap();
    let end = |member: &serde_json::Value| member["certificate_not_after"].to_string();
    members.iter().map(end).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_keys_are_replaced_and_nothing_is_ordered_again() {
    let mut cluster = Cluster::start(Options::default()).await;
    for shop in SHOPS {
        cluster.onboard(shop).await;
    }
    let issued = cluster.ca.issued();
    let mut serials = Vec::new();
    for shop in SHOPS {
        serials.push(cluster.served_alike(&[0, 1, 2], shop).await);
    }
    let first = |generation| ["serving", "control"].map(|purpose| (purpose.to_owned(), generation));
    let before = status(&cluster).await;
    assert_eq!(keys(&before), first(1));
    let members = ends(&cluster).await;

    let rotate = [
        "cluster",
        "rotate",
        "serving-key",
        "control-key",
        "issuing-ca",
        "--wait",
        "--timeout",
        "150s",
    ];
    let said = cluster.cli.run(&rotate).await.ok();
    assert!(said.contains("nothing is under the old one"), "{said}");
    let after = status(&cluster).await;
    assert_eq!(keys(&after), first(2));
    assert_ne!(
        after["issuing_ca_not_after"],
        before["issuing_ca_not_after"]
    );
    wait::until(
        "every member has a certificate of the new CA",
        SOON,
        || async {
            let now = ends(&cluster).await;
            now.iter()
                .zip(&members)
                .all(|(now, was)| now != was)
                .then_some(())
        },
    )
    .await;

    // Whoever starts anew reads everything from its store, and speaks to the others.
    for place in 0..3 {
        cluster.nodes[place].kill().await.unwrap();
        cluster.restart(place, &[]).await;
    }
    cluster.settled().await;
    for (shop, serial) in SHOPS.into_iter().zip(&serials) {
        assert_eq!(&cluster.served_alike(&[0, 1, 2], shop).await, serial);
    }
    assert_eq!(cluster.ca.issued(), issued);
    // Our account at the CA is the same, and its key opens.
    cluster.onboard(NEXT).await;
    assert_eq!(cluster.ca.issued(), issued + 1);
    // A newcomer is given the keys that there are.
    cluster.join(4).await;
    cluster.settled().await;
    cluster.served_alike(&[3], SHOPS[0]).await;
}

/// What protects a node's secrets is this from its next start on.
fn protect(cluster: &Cluster, place: usize, present: &str, previous: Option<&str>) {
    let config = cluster.nodes[place].files.config();
    let text = fs::read_to_string(&config).unwrap();
    let (before, rest) = text.split_once("[key]\n").unwrap();
    let (_, after) = rest.split_once("[https]").unwrap();
    let previous = previous.map(|previous| format!("[previous_key]\n{previous}\n"));
    let previous = previous.unwrap_or_default();
    fs::write(
        &config,
        format!("{before}[key]\n{present}\n{previous}[https]{after}"),
    )
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_has_another_key_after_a_restart() {
    let mut cluster = Cluster::start(Options::default()).await;
    cluster.onboard(NEXT).await;
    let serial = cluster.served_alike(&[0, 1, 2], NEXT).await;
    let files = cluster.nodes[1].files.clone();
    let identity = || fs::read(files.data().join("identity.json")).unwrap();
    let words = cluster.dir().join("words");
    fs::write(&words, "correct horse battery staple\n").unwrap();
    let words = format!("passphrase_file = \"{}\"", words.display());
    let (file, kept) = (format!("file = \"{}\"", files.key().display()), identity());

    // A passphrase takes the place of the file, and a start without the old key follows.
    for previous in [Some(&*file), None] {
        cluster.nodes[1].kill().await.unwrap();
        protect(&cluster, 1, &words, previous);
        if previous.is_none() {
            fs::remove_file(files.key()).unwrap();
        }
        cluster.restart(1, &[]).await;
        cluster.settled().await;
        assert_eq!(cluster.served_alike(&[0, 1, 2], NEXT).await, serial);
    }
    assert_ne!(identity(), kept);
    assert!(String::from_utf8_lossy(&identity()).contains("passphrase"));
    // A file that is new takes the place of the passphrase.
    cluster.nodes[1].kill().await.unwrap();
    protect(&cluster, 1, &file, Some(&words));
    cluster.restart(1, &[]).await;
    cluster.settled().await;
    assert_eq!(cluster.served_alike(&[0, 1, 2], NEXT).await, serial);
    assert!(files.key().exists());
}
