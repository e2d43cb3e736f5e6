//! Context files.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::program::{Home, stand};

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_others_can_read_is_refused() {
    let (_node, home) = stand().await;
    let file = home.context("default");
    for mode in [0o644, 0o640, 0o660, 0o604] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let ran = home.run("cluster status").await.ends(1);
        ran.complains("open to others");
        ran.complains("chmod 600");
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        home.run("cluster status").await.ends(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn contexts_are_listed_chosen_and_shown_without_their_keys() {
    let (node, home) = stand().await;
    let viewer = node.viewer();
    home.write_context("vera", vec![node.address.clone()], viewer);
    home.run("cluster status")
        .await
        .ends(1)
        .complains("several contexts");
    let used = home.run("context use vera").await.ends(0);
    home.run("hostname add a.example")
        .await
        .ends(1)
        .complains("PERMISSION_DENIED");
    home.run("hostname add a.example --context default")
        .await
        .ends(0);
    let list = home.run("context list -o json").await.ends(0);
    let json = list.json();
    assert_eq!(json["contexts"][0]["name"], "default");
    assert_eq!(json["contexts"][1]["current"], true);
    let shown = home.run("context show -o yaml").await.ends(0);
    for ran in [&used, &list, &shown] {
        assert!(!ran.out.contains("PRIVATE"), "{ran:?}");
    }
    home.run("context use nobody")
        .await
        .ends(1)
        .complains("does not exist");
    home.run("context use a*b")
        .await
        .ends(1)
        .complains("no name of a context");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_may_be_a_file_anywhere() {
    let (_node, home) = stand().await;
    let elsewhere = Home::new();
    let file = home.context("default");
    let line = format!("cluster status --context {}", file.display());
    elsewhere.run(&line).await.ends(0);
    let line = format!("context use {}", file.display());
    elsewhere.run(&line).await.ends(0);
    elsewhere.run("cluster status").await.ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_context_is_told_without_its_content() {
    let (_node, home) = stand().await;
    let file = home.context("default");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("BEGIN PRIVATE", "BEGIN BROKEN")).unwrap();
    let ran = home.run("cluster status").await.ends(1);
    ran.complains("is no context");
    assert!(!ran.err.contains("BROKEN"), "{ran:?}");
    let list = home.run("context list").await.ends(0);
    assert!(list.out.contains("its key is damaged"), "{list:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_has_ended_is_told() {
    let (node, home) = stand().await;
    let ended = node.pki.ended_credential();
    home.write_context("default", vec![node.address.clone()], ended);
    let ran = home.run("cluster status").await.ends(1);
    ran.complains("its certificate has ended");
    ran.complains("hostquorum login");
    let list = home.run("context list -o json").await.ends(0).json();
    assert_eq!(list["contexts"][0]["not_after"], "2020-01-01T00:00:00Z");
}
