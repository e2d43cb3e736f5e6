//! Keys of backups, and backups as files.

use std::{fs, os::unix::fs::PermissionsExt};

use proto::backup::v1::{Keys, Manifest};

use crate::{
    node::BACKUP,
    program::{Home, stand},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_once_and_its_secret_is_not_shown() {
    let home = Home::new();
    let file = home.path("backup.key").display().to_string();
    let made = home.run(&format!("backup keygen {file}")).await.ends(0);
    let text = fs::read_to_string(&file).unwrap();
    let secret = text.lines().last().unwrap();
    assert!(secret.starts_with("AGE-SECRET-KEY-1"), "{text}");
    assert!(!made.out.contains(secret) && !made.err.contains(secret));
    assert!(made.out.contains("recipients = [\"age1"), "{}", made.out);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    home.run(&format!("backup keygen {file}"))
        .await
        .ends(1)
        .complains("exists already");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_a_new_file_of_its_owner_and_its_digest_is_told() {
    let (_node, home) = stand().await;
    let file = home.path("a.backup");
    let save = format!("backup save {} -o json", file.display());
    let saved = home.run(&save).await.ends(0).json();
    assert_eq!(fs::read(&file).unwrap(), BACKUP);
    assert_eq!(saved["bytes"], BACKUP.len());
    // printf 'the bytes of a backup' | sha256sum
    assert_eq!(
        saved["sha256"],
        "ec7f658b1889edf115de05526f1f4d94d2947b9fb9b7f69056f67c51610194f7"
    );
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    home.run(&save).await.ends(1).complains("--overwrite");
    home.run(&format!("{save} --overwrite")).await.ends(0);
}

/// A backup of a cluster with a hostname, and the key that opens it.
fn written(home: &Home) -> (String, String) {
    let (text, recipient) = backup::generate();
    let (key, file) = (home.path("backup.key"), home.path("a.backup"));
    fs::write(&key, &*text).unwrap();
    let manifest = Manifest {
        version: backup::VERSION,
        cluster_id: "07".repeat(16),
        names_id: "07".repeat(16),
        index: 12,
        hostnames: 1,
        ..Manifest::default()
    };
    let output = fs::File::create(&file).unwrap();
    let writer = backup::Writer::begin(output, &[recipient], manifest, Keys::default());
    writer.unwrap().finish().unwrap();
    (file.display().to_string(), key.display().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backup_is_of_is_told_to_whoever_has_its_key() {
    let home = Home::new();
    let (file, key) = written(&home);
    let inspect = format!("backup inspect {file} --identity {key}");
    let told = home.run(&format!("{inspect} -o json")).await.ends(0).json();
    assert_eq!(
        (&told["index"], &told["hostnames"]),
        (&12.into(), &1.into())
    );
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    home.run(&inspect)
        .await
        .ends(1)
        .complains("damaged or cut off");
    fs::write(&file, "something else").unwrap();
    home.run(&inspect)
        .await
        .ends(1)
        .complains("it is no backup");
    fs::write(&key, "nonsense").unwrap();
    home.run(&inspect)
        .await
        .ends(1)
        .complains("holds no key that opens backups");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_of_a_node_with_a_file_that_is_not_whole() {
    let home = Home::new();
    let (file, key) = written(&home);
    let socket = home.path("no.sock").display().to_string();
    let restore = format!("backup restore {file} --identity {key} --socket {socket}");
    home.run(&restore).await.ends(1).complains("no.sock");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    home.run(&restore)
        .await
        .ends(1)
        .complains("damaged or cut off");
}
