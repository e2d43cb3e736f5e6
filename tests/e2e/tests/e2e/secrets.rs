//! Nothing secret lies where it could be read.

use std::{
    fs,
    path::{Path, PathBuf},
};

use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use harness::{Cluster, Options, request};

/// How every unencrypted P-256 private key begins in PKCS #8 (DER), whatever the key:
/// version, algorithm and curve, up to the private scalar.
const PKCS8_P256: [u8; 26] = [
    0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
    0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d,
];

fn shapes(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut shapes = vec![
        ("raw", secret.to_vec()),
        ("hex", HEXLOWER.encode(secret).into_bytes()),
        ("HEX", HEXUPPER.encode(secret).into_bytes()),
    ];
    // Base64 depends on where in a group of three the secret begins.
    for skip in 0..3 {
        let whole = &secret[skip..];
        let whole = &whole[..whole.len() / 3 * 3];
        shapes.push(("base64", BASE64.encode(whole).into_bytes()));
        shapes.push(("base64url", BASE64URL_NOPAD.encode(whole).into_bytes()));
    }
    shapes
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_private_key_or_token_lies_in_logs_data_or_metrics() {
    let mut options = Options::default();
    options
        .extra
        .push_str("[raft]\nsnapshot_entries = 10\nkeep_entries = 0\n");
    let mut cluster = Cluster::start(options).await;
    cluster.onboard("shop.customer.example").await;
    let invited = cluster
        .cli
        .json(&["token", "create", "--role", "admin"])
        .await;
    let token = invited["token"].as_str().unwrap().to_owned();
    let secret = BASE32_NOPAD
        .decode(token.rsplit('.').next().unwrap().to_uppercase().as_bytes())
        .unwrap();

    let mut sinks: Vec<(String, Vec<u8>)> = Vec::new();
    for node in &mut cluster.nodes {
        let (_, metrics) = request::plain(node.files.health(), "/metrics")
            .await
            .unwrap();
        sinks.push((format!("metrics of {}", node.files.name), metrics.to_vec()));
        // The key file itself must be there, and must be what wraps the rest.
        assert!(node.files.key().exists());
        let key = fs::read(node.files.key()).unwrap();
        node.stop(std::time::Duration::from_secs(30)).await.unwrap();
        let mut paths = vec![node.files.log()];
        files(&node.files.data(), &mut paths);
        for path in paths {
            let bytes = fs::read(&path).unwrap();
            assert!(
                !contains(&bytes, &key),
                "the node's key is in {}",
                path.display()
            );
            sinks.push((path.display().to_string(), bytes));
        }
    }
    let mut wanted = shapes(&PKCS8_P256);
    wanted.extend(shapes(&secret));
    wanted.push(("token", token.into_bytes()));
    wanted.push(("PEM", b"PRIVATE KEY".to_vec()));
    for (sink, bytes) in &sinks {
        for (shape, needle) in &wanted {
            assert!(!contains(bytes, needle), "{shape} of a secret in {sink}");
        }
    }
    assert!(sinks.len() > 12, "the scan saw the data directories");
    assert!(
        sinks.iter().any(|(sink, _)| sink.contains("snapshot")),
        "the scan saw a snapshot"
    );
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && hay.windows(needle.len()).any(|window| window == needle)
}
