//! Forming a cluster and logging in to one.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::{
    node::Node,
    program::{Home, Ran},
};

#[track_caller]
fn is_narrow(file: &Path) {
    let mode = fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "{}", file.display());
}

#[track_caller]
fn shows_no_key(ran: &Ran) {
    assert!(
        !ran.out.contains("PRIVATE") && !ran.err.contains("PRIVATE"),
        "{ran:?}"
    );
}

/// Nothing that was needed on the way is left behind.
#[track_caller]
fn is_tidy(home: &Home) {
    let names: Vec<_> = fs::read_dir(home.path("contexts"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["default.toml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn init_forms_a_cluster_and_writes_the_context() {
    let mut node = Node::start().await;
    let home = Home::new();
    let socket = home.path("hostquorumd.sock");
    node.open_socket(&socket);
    let line = format!(
        "cluster init --acme letsencrypt-staging --contact ops@saas.example --agree-to-terms \
         --admin-name founder --socket {}",
        socket.display()
    );
    let formed = home.run(&line).await.ends(0);
    assert!(
        formed.out.contains("was formed; you are founder (admin)"),
        "{formed:?}"
    );
    shows_no_key(&formed);
    is_narrow(&home.context("default"));
    is_tidy(&home);
    home.run("cluster status").await.ends(0);

    home.run(&line).await.ends(1).complains("exists already");
    let again = home.run(&format!("{line} --context other")).await.ends(1);
    again.complains("this node has an identity already");
}

#[tokio::test(flavor = "multi_thread")]
async fn init_sends_nothing_without_consent_or_a_ca() {
    let home = Home::new();
    let line = "cluster init --acme letsencrypt --socket /nowhere/sock";
    home.run(line).await.ends(1).complains("--agree-to-terms");
    let line = "cluster init --acme http://ca --agree-to-terms --socket /nowhere/sock";
    home.run(line).await.ends(1).complains("is no CA");
    let line = "cluster init --acme letsencrypt --agree-to-terms --socket /nowhere/sock";
    home.run(line)
        .await
        .ends(1)
        .complains("is hostquorumd running here?");
    assert!(!home.path("contexts").exists(), "no key was left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_a_file_becomes_a_context() {
    let node = Node::start().await;
    let home = Home::new();
    let file = home.path("token");
    fs::write(&file, format!("{}\n", node.pki.token(1))).unwrap();
    let line = format!(
        "login --token-file {} --address {} --name founder",
        file.display(),
        node.address
    );
    let entered = home.run(&line).await.ends(0);
    assert!(
        entered.out.contains("logged in to cluster 0707"),
        "{entered:?}"
    );
    shows_no_key(&entered);
    is_narrow(&home.context("default"));
    is_tidy(&home);
    home.run("hostname add shop.example").await.ends(0);
    home.run(&line).await.ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_standard_input_becomes_a_context() {
    let node = Node::start().await;
    let home = Home::new();
    let line = format!(
        "login --token-file - --address {} --name founder",
        node.address
    );
    let token = node.pki.token(1).to_string();
    let entered = home.run_with(&line, &token).await.ends(0);
    assert!(!entered.out.contains(&token) && !entered.err.contains(&token));
    home.run("cluster status").await.ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_goes_on_with_its_key_after_a_failure() {
    let node = Node::start().await;
    let home = Home::new();
    let token = node.pki.token(1).to_string();
    let nobody = "login --token-file - --address 127.0.0.1:1 --name founder";
    let failed = home.run_with(nobody, &token).await.ends(1);
    failed.complains("run the same command again");
    let pending = home.context("default").with_extension("pending-key");
    is_narrow(&pending);
    let key = fs::read_to_string(&pending).unwrap();
    let line = format!(
        "login --token-file - --address 127.0.0.1:1,{} --name founder",
        node.address
    );
    home.run_with(&line, &token).await.ends(0);
    let context = fs::read_to_string(home.context("default")).unwrap();
    let line_of_key = key.lines().nth(1).unwrap();
    assert!(
        context.contains(line_of_key),
        "the key that was made first is used"
    );
    is_tidy(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_none_is_refused_before_anything_is_sent() {
    let home = Home::new();
    let line = "login --token-file - --address 127.0.0.1:1 --name founder";
    let ran = home.run_with(line, "hq1.secret-part").await.ends(1);
    ran.complains("holds no token");
    assert!(!ran.err.contains("secret-part"), "{ran:?}");
    home.run_with(line, "")
        .await
        .ends(1)
        .complains("the token is empty");
    home.run("login --token-file /nowhere --address a:1 --name a")
        .await
        .ends(1);
    home.run("login --token-file - --name a")
        .await
        .ends(1)
        .complains("an address is needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_root_gets_nothing() {
    let (node, other) = (Node::start().await, Node::start().await);
    let home = Home::new();
    let line = format!(
        "login --token-file - --address {} --name founder",
        other.address
    );
    let token = node.pki.token(1).to_string();
    let ran = home.run_with(&line, &token).await.ends(1);
    ran.complains("the root that is pinned");
    ran.complains("nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_over_is_told() {
    let node = Node::start().await;
    let home = Home::new();
    let line = format!(
        "login --token-file - --address {} --name founder",
        node.address
    );
    let token = node.pki.token(2).to_string();
    let ran = home.run_with(&line, &token).await.ends(1);
    ran.complains("the token has expired");
    ran.complains("another token");
}
