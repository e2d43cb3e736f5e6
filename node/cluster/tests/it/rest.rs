//! What lies on a node's disk.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use cluster::{IdentityStore, KeySource, SystemEntropy, identity::IdentityError};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use state::{Change, KeyPurpose, Role, Secret, ports::Seal, sealed::SealContext};

use crate::support::{Cluster, Machine};

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The forms in which a secret might have leaked.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    // Base64 of a whole depends on where it begins: the middle is looked for in each
    // of the three alignments, as PEM and JSON would have it.
    let mut forms = vec![
        secret.to_vec(),
        HEXLOWER.encode(secret).into_bytes(),
        HEXUPPER.encode(secret).into_bytes(),
    ];
    for skip in 0..3 {
        let aligned = &secret[skip..];
        let aligned = &aligned[..aligned.len() / 3 * 3];
        forms.push(BASE64.encode(aligned).into_bytes());
        forms.push(BASE64URL_NOPAD.encode(aligned).into_bytes());
    }
    forms
}

/// The 32 bytes of the private scalar within a PKCS #8 key on P-256.
fn scalar(pkcs8: &[u8]) -> Vec<u8> {
    let marker = [0x02, 0x01, 0x01, 0x04, 0x20];
    let at = pkcs8
        .windows(5)
        .position(|window| window == marker)
        .unwrap()
        + 5;
    pkcs8[at..at + 32].to_vec()
}

#[tokio::test]
async fn no_secret_lies_in_the_data_directory_in_the_clear() {
    let cluster = Cluster::form().await;
    let machine = Machine::new("second").await;
    let token = cluster.invite(Role::Node);
    let identity = cluster.join_with(&machine, &token).await.unwrap();
    let candidate = cluster::identity::Candidate {
        for_token: (&token).into(),
        keys: identity.keys.clone(),
    };
    machine.store.save_candidate(&candidate).unwrap();

    let state = cluster.replica.state();
    let authority = state.authority().unwrap();
    let open = |sealed, context| cluster.keyring.open(sealed, &context).unwrap();
    let root = open(&authority.root_key, SealContext::RootKey);
    let issuing = open(&authority.issuing_key, SealContext::IssuingKey);
    let founder = &cluster.founder_identity;
    let mut secrets = vec![
        ("the root's key", scalar(root.expose())),
        ("the online CA's key", scalar(issuing.expose())),
        (
            "the administrator's key",
            scalar(&cluster.admin_key.to_pkcs8()),
        ),
        ("the founder's key", scalar(&founder.keys.tls.to_pkcs8())),
        ("the member's key", scalar(&identity.keys.tls.to_pkcs8())),
    ];
    // The founding draws ids, nonces and salts too; only data keys have 32 bytes.
    let drawn = cluster.founding_entropy.drawn();
    let data_keys: Vec<_> = drawn
        .into_iter()
        .filter(|bytes| bytes.len() == 32)
        .collect();
    assert_eq!(data_keys.len(), KeyPurpose::ALL.len());
    secrets.extend(data_keys.into_iter().map(|key| ("a data key", key)));

    let directories = [cluster.founder.store.path(), machine.store.path()];
    let files: Vec<_> = directories.into_iter().flat_map(files).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let content = fs::read(&file).unwrap();
        for (what, secret) in &secrets {
            for form in forms(secret) {
                let leaked = content.windows(form.len()).any(|window| window == form);
                assert!(!leaked, "{what} is in {}", file.display());
            }
        }
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains("PRIVATE KEY"), "{}", file.display());
    }
}

#[tokio::test]
async fn a_restart_needs_nobody() {
    let cluster = Cluster::form().await;
    let machine = Machine::new("second").await;
    let identity = cluster
        .join_with(&machine, &cluster.invite(Role::Node))
        .await
        .unwrap();
    let restarted = machine.reopened().load().unwrap().unwrap();
    assert_eq!(restarted.public, identity.public);
    assert_eq!(restarted.data_keys, identity.data_keys);
    assert_eq!(restarted.keys.public_key(), identity.keys.public_key());
    let context = SealContext::CertificateKey(state::testing::host("shop.example"));
    let sealed = cluster
        .keyring
        .seal(KeyPurpose::Serving, &context, b"key")
        .unwrap();
    let keyring = cluster::Keyring::new(&restarted, Arc::new(SystemEntropy));
    assert_eq!(keyring.open(&sealed, &context).unwrap().expose(), b"key");
}

#[tokio::test]
async fn a_founding_that_was_cut_off_can_be_finished() {
    let cluster = Cluster::form().await;
    let store = cluster.founder.reopened();
    let found = store.founding().unwrap().unwrap();
    let Change::Found(found) = &found else {
        panic!("{found:?}");
    };
    assert_eq!(
        found.cluster_id,
        store.load().unwrap().unwrap().public.cluster
    );
    store.forget_founding().unwrap();
    assert!(store.founding().unwrap().is_none());
}

#[tokio::test]
async fn an_identity_opens_with_its_own_key_only_and_unchanged() {
    let cluster = Cluster::form().await;
    let data = cluster.founder.store.path().to_owned();
    let open = |source: KeySource| IdentityStore::open(&data, &source, Arc::new(SystemEntropy));
    let value = |byte: u8| KeySource::Value(Secret::new(HEXLOWER.encode(&[byte; 32]).into_bytes()));
    let error = open(value(1)).unwrap().load().unwrap_err();
    assert!(
        matches!(&error, IdentityError::WrongKey { was, .. } if was == "file"),
        "{error}"
    );
    let gone = KeySource::File(cluster.founder.root.path().join("other.key"));
    open(gone).unwrap_err();

    let path = data.join("identity.json");
    let whole = fs::read_to_string(&path).unwrap();
    let renamed = whole.replace("\"name\": \"founder\"", "\"name\": \"usurper\"");
    assert_ne!(renamed, whole);
    fs::write(&path, renamed).unwrap();
    let error = cluster.founder.reopened().load().unwrap_err();
    assert!(
        matches!(error, IdentityError::WrongKey { .. }),
        "what is shown is bound: {error}"
    );
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = cluster.founder.reopened().load().unwrap_err();
    assert!(matches!(error, IdentityError::Damaged(_)), "{error}");
    fs::write(&path, whole).unwrap();
    cluster.founder.reopened().load().unwrap().unwrap();
}

#[tokio::test]
async fn an_identity_rests_under_each_kind_of_key() {
    let cluster = Cluster::form().await;
    let root = tempfile::tempdir().unwrap();
    let sources = [
        KeySource::File(root.path().join("node.key")),
        KeySource::Value(Secret::new(HEXLOWER.encode(&[7; 32]).into_bytes())),
        KeySource::Passphrase(Secret::new(b"correct horse battery".to_vec())),
    ];
    for source in sources {
        let data = root.path().join(source.kind());
        let open = || IdentityStore::open(&data, &source, Arc::new(SystemEntropy)).unwrap();
        open().save(&cluster.founder_identity).unwrap();
        let kept = open().load().unwrap().unwrap();
        assert_eq!(kept.data_keys, cluster.founder_identity.data_keys);
    }
}
