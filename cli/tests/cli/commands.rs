//! Each command, as it goes when all is well.

use bytes::Bytes;
use state::{KeyPurpose, Sealed, Term};

use crate::program::stand;

fn key() -> Sealed {
    Sealed {
        purpose: KeyPurpose::Serving,
        generation: 1,
        nonce: [0; 12],
        ciphertext: Bytes::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostname_from_its_authorization_to_its_end() {
    let (node, home) = stand().await;
    let added = home
        .run("hostname add Shop.example b.example -o json")
        .await
        .ends(0)
        .json();
    assert_eq!(added["hostnames"][0]["hostname"], "shop.example");
    assert_eq!(added["hostnames"][0]["authorized_by"], "operator:founder");
    assert_eq!(added["hostnames"][1]["state"], "pending");

    let list = home.run("hostname list -o json").await.ends(0).json();
    assert_eq!(list["total"], 2);
    assert_eq!(list["hostnames"][0]["hostname"], "b.example");
    let list = home.run("hostname list --limit 1").await.ends(0);
    assert!(
        list.out.contains("b.example") && !list.out.contains("shop.example"),
        "{list:?}"
    );
    let list = home.run("hostname list --state live -o yaml").await.ends(0);
    assert_eq!(list.out, "hostnames: []\ntotal: 2\n");

    let explained = home.run("hostname explain shop.example").await.ends(0);
    assert!(
        explained.out.contains("shop.example is not live"),
        "{explained:?}"
    );
    assert!(explained.out.contains("authorized"), "{explained:?}");

    let waiting = home.run("hostname wait shop.example --everywhere --timeout 20s -o json");
    let installing = async {
        let leaf = Bytes::from_static(b"leaf");
        node.alone.register(Term(1), "thumbprint");
        node.alone.install(
            Term(1),
            "shop.example",
            key(),
            leaf,
            vec![Bytes::from_static(b"ca")],
        );
    };
    let (waited, ()) = tokio::join!(waiting, installing);
    assert_eq!(waited.ends(0).json()["state"], "live");
    let shown = home
        .run("hostname show shop.example -o json")
        .await
        .ends(0)
        .json();
    assert_eq!(shown["certificate"]["issuer"], "Test CA");

    let stale = home
        .run("hostname remove shop.example --revision 1")
        .await
        .ends(1);
    stale.complains("REVISION_MISMATCH");
    let removed = home.run("hostname remove shop.example").await.ends(0);
    assert!(
        removed.out.contains("applied on 1 of 1 nodes"),
        "{removed:?}"
    );
    home.run("hostname show shop.example")
        .await
        .ends(1)
        .complains("HOSTNAME_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_goes_on_after_one_that_is_refused() {
    let (node, home) = stand().await;
    node.alone.authorize("a.example");
    let added = home
        .run("hostname add a.example *.example b.example -o json")
        .await
        .ends(1);
    added.complains("could not authorize a.example");
    added.complains("HOSTNAME_EXISTS");
    added.complains("is a wildcard");
    let json = added.json();
    assert_eq!(json["hostnames"].as_array().unwrap().len(), 1);
    assert_eq!(json["hostnames"][0]["hostname"], "b.example");
    let none = home.run("hostname add a.example").await.ends(1);
    assert_eq!(none.out, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_shows_each_change_until_the_hostname_goes() {
    let (node, home) = stand().await;
    node.alone.authorize("shop.example");
    let watching = home.run("hostname watch shop.example -o json --timeout 20s");
    let changing = async {
        node.watched().await;
        node.alone.register(Term(1), "thumbprint");
        node.alone.prepare(Term(1), "shop.example", key(), "token");
        node.watched().await;
        node.apply(state::Change::RemoveHostname {
            hostname: state::testing::host("shop.example"),
            revision: None,
        });
    };
    let (watched, ()) = tokio::join!(watching, changing);
    let watched = watched.ends(1);
    watched.complains("HOSTNAME_NOT_FOUND");
    let states: Vec<String> = watched
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|json| json["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states.first().map(String::as_str), Some("pending"));
    assert_eq!(states.last().map(String::as_str), Some("issuing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_is_set_and_shown() {
    let (_node, home) = stand().await;
    let none = home.run("origin show").await.ends(0);
    assert!(none.out.contains("none: set one"), "{none:?}");
    let line = "origin set http://app:8080 --protocol http2 -o json";
    let set = home.run(line).await.ends(0).json();
    assert_eq!(set["url"], "http://app:8080");
    assert_eq!(set["protocol"], "http2");
    assert_eq!(home.run("origin show -o json").await.ends(0).json(), set);
    home.run("origin set ftp://app")
        .await
        .ends(1)
        .complains("begins with http://");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_is_shown_and_changed() {
    let (node, home) = stand().await;
    let status = home.run("cluster status -o json").await.ends(0).json();
    assert_eq!(status["quorum"], true);
    assert_eq!(status["node"], "node-1");
    node.second_member();
    let members = home.run("cluster members -o json").await.ends(0).json();
    assert_eq!(members["members"][1]["node"], "node-2");
    let moved = home.run("cluster transfer node-2").await.ends(0);
    assert_eq!(moved.out, "member 2 leads now\n");
    home.run("cluster transfer node-9")
        .await
        .ends(1)
        .complains("no member has that id or name");
    let removing = home.run("cluster remove 2").await.ends(0);
    assert!(
        removing
            .out
            .contains("the removal of member 2 was agreed on"),
        "{removing:?}"
    );
    let waiting = home
        .run("cluster remove node-2 --wait --timeout 1s")
        .await
        .ends(124);
    waiting.complains("still there");
    node.alone.duty(
        Term(1),
        state::Change::TakeOver {
            node: state::NodeId(1),
        },
    );
    node.alone.duty(
        Term(1),
        state::Change::FinishRemoval {
            node: state::NodeId(2),
        },
    );
    let gone = home.run("cluster members -o json").await.ends(0).json();
    assert_eq!(gone["members"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_listed_and_revoked() {
    let (_node, home) = stand().await;
    let made = home
        .run("token create --role viewer --ttl 1h")
        .await
        .ends(0);
    made.out
        .trim()
        .parse::<enroll::Token>()
        .expect("the answer is the token alone");
    made.complains("hostquorum login");
    let file = home.path("token.txt");
    let line = format!("token create --role node --out {}", file.display());
    let made = home.run(&line).await.ends(0);
    let token = std::fs::read_to_string(&file).unwrap();
    token.parse::<enroll::Token>().unwrap();
    assert!(!made.out.contains(token.trim()) && !made.err.contains(token.trim()));
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    home.run(&line).await.ends(1).complains("exists already");

    let list = home.run("token list -o json").await.ends(0).json();
    assert_eq!(list["invitations"].as_array().unwrap().len(), 2);
    assert_eq!(list["invitations"][1]["role"], "node");
    let revoked = home.run("token revoke 2").await.ends(0);
    assert!(
        revoked.out.contains("invitation 2 was revoked"),
        "{revoked:?}"
    );
    home.run("token revoke 9")
        .await
        .ends(1)
        .complains("INVITATION_NOT_FOUND");
    home.run("token create --role node --ttl 2d")
        .await
        .ends(1)
        .complains("is no life of a token");
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_needs_no_cluster() {
    let home = crate::program::Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.run(&format!("completion {shell}")).await.ends(0);
        assert!(script.out.contains("hostquorum"), "{shell}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn manual_pages_need_no_cluster() {
    let home = crate::program::Home::new();
    let folder = home.path("man");
    let line = format!("man {}", folder.display());
    home.run(&line).await.ends(0);
    for page in ["hostquorum", "hostquorum-man", "hostquorum-cluster-init"] {
        let page = std::fs::read_to_string(folder.join(format!("{page}.1"))).unwrap();
        assert!(page.contains("SEE ALSO"), "{page}");
    }
    home.run("man /proc/nowhere")
        .await
        .ends(1)
        .complains("/proc/nowhere");
}
