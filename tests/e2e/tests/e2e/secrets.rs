//! Nothing secret lies where it could be read.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use cluster::{Channels as _, IdentityStore, KeySource, Links, NodeCredential, Roster};
use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use harness::{
    Cluster, Options,
    admin::{self, Admin},
    cluster::SOON,
    proto::{KeyAlgorithms, Wants},
    request,
};
use node::{dev::process::NodeFiles, environment::SystemClock};
use proto::peer::v1::{Envelope, ShareTicketSecretRequest, serving_client::ServingClient};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// How every unencrypted P-256 private key begins in PKCS #8 (DER), whatever the key:
/// version, algorithm and curve, up to the private scalar.
const PKCS8_P256: [u8; 26] = [
    0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
    0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d,
];
/// The same of RSA: version and algorithm.
const PKCS8_RSA: [u8; 19] = [
    0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00, 0x04,
];
/// What stands before the scalar in an EC private key (RFC 5915).
const BEFORE_SCALAR: [u8; 5] = [0x02, 0x01, 0x01, 0x04, 0x20];

/// The HMAC key of an external account.
const EXTERNAL: &[u8] = b"a canary that vouches for an account";

/// By so many bytes shapes are looked for; the shortest has more.
const BEGINNING: usize = 8;

/// Something that must not be found, in all shapes that it could have.
struct Canary {
    name: &'static str,
    shapes: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
    fn new(name: &'static str, secret: &[u8]) -> Self {
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
        // As Debug writes bytes.
        let listed: Vec<String> = secret.iter().take(12).map(ToString::to_string).collect();
        shapes.push(("list", listed.join(", ").into_bytes()));
        Self { name, shapes }
    }

    fn text(name: &'static str, text: &str) -> Self {
        Self {
            name,
            shapes: vec![("text", text.as_bytes().to_vec())],
        }
    }
}

/// Certificate and key, both PEM, of a CA of its own; and the key's scalar.
fn brought(hostname: &str) -> (String, String, Vec<u8>) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![hostname.to_owned()]).unwrap();
    params.use_authority_key_identifier_extension = true;
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let chain = format!("{}{}", leaf.pem(), issuer.pem());
    let der = key.serialize_der();
    let place = der.windows(5).position(|window| window == BEFORE_SCALAR);
    let place = place.expect("a P-256 key in PKCS #8") + BEFORE_SCALAR.len();
    (chain, key.serialize_pem(), der[place..place + 32].to_vec())
}

/// Where secrets could have got to.
#[derive(Default)]
struct Sinks(Vec<(String, Vec<u8>)>);

impl Sinks {
    fn add(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((name.into(), bytes.into()));
    }

    fn add_files(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.add_files(&path);
            } else if path.is_file() {
                self.add_file(path);
            }
        }
    }

    fn add_file(&mut self, path: PathBuf) {
        let bytes = fs::read(&path).unwrap();
        self.add(path.display().to_string(), bytes);
    }

    /// What is found first, and where. One pass over each: data directories are large, and
    /// shapes are many.
    fn found(&self, canaries: &[Canary]) -> Option<String> {
        let mut by_beginning: HashMap<&[u8], Vec<_>> = HashMap::new();
        for canary in canaries {
            for (shape, needle) in &canary.shapes {
                let beginning = &needle[..BEGINNING];
                let entry = by_beginning.entry(beginning).or_default();
                entry.push((canary, shape, needle.as_slice()));
            }
        }
        for (sink, bytes) in &self.0 {
            for (place, window) in bytes.windows(BEGINNING).enumerate() {
                for (canary, shape, needle) in by_beginning.get(window).into_iter().flatten() {
                    if bytes[place..].starts_with(needle) {
                        return Some(format!("{} as {shape} in {sink}", canary.name));
                    }
                }
            }
        }
        None
    }
}

/// The secret that session tickets are sealed with. No file has it: it is asked of `from`
/// as the member whose files these are would, which must not run.
async fn ticket_secret(files: &NodeFiles, from: u64) -> Vec<u8> {
    let (entropy, source) = (
        Arc::new(cluster::SystemEntropy),
        KeySource::File(files.key()),
    );
    let store = IdentityStore::open(&files.data(), &source, entropy).unwrap();
    let identity = store.load().unwrap().expect("it is a member");
    let credential = Arc::new(NodeCredential::new(&identity).unwrap());
    let roster = Arc::new(Roster::new(&identity));
    let tcp = Box::new(cluster::wire::Tcp);
    let links = Links::new(roster, credential, tcp, Arc::new(SystemClock)).unwrap();
    let mut client = ServingClient::new(Arc::new(links).channel(state::NodeId(from)));
    let envelope = Envelope {
        cluster_id: identity.public.cluster.0.to_vec().into(),
        from: identity.public.node.0,
        to: from,
    };
    let request = ShareTicketSecretRequest {
        envelope: Some(envelope),
        generation: 1,
    };
    let given = client.share_ticket_secret(request).await.unwrap();
    given.into_inner().secret.to_vec()
}

/// All that an operator reads of what was done with secrets, errors among it.
async fn told(cluster: &Cluster, sinks: &mut Sinks) {
    for arguments in [
        &["cluster", "status"][..],
        &["cluster", "members", "-o", "json"],
        &["hostname", "list", "-o", "json"],
        &["hostname", "explain", "shop.customer.example"],
        &["hostname", "show", "brought.customer.example", "-o", "json"],
        &["token", "list", "-o", "json"],
    ] {
        let said = cluster.cli.run(arguments).await;
        sinks.add(
            format!("{arguments:?}"),
            format!("{}{}", said.out, said.err),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_lies_in_logs_data_snapshots_metrics_or_errors() {
    let mut options = Options {
        external_account: Some(("kid-1".to_owned(), BASE64URL_NOPAD.encode(EXTERNAL))),
        ..Options::default()
    };
    options.extra.push_str(
        "[raft]\nsnapshot_entries = 10\nkeep_entries = 0\n[log]\nfilter = \"debug,openraft=off\"\n",
    );
    let mut cluster = Cluster::start(options).await;
    let mut sinks = Sinks::default();
    let channel = Admin::read(&cluster.context())
        .connect(&cluster.nodes[0].files.admin().to_string())
        .await
        .unwrap();
    let both = Wants {
        keys: KeyAlgorithms::Both.into(),
        ..Wants::default()
    };
    admin::create(&channel, "shop.customer.example", both)
        .await
        .unwrap();
    cluster
        .served_alike(&[0, 1, 2], "shop.customer.example")
        .await;

    let (chain, key, scalar) = brought("brought.customer.example");
    let manual = Wants {
        manual: true,
        ..Wants::default()
    };
    admin::create(&channel, "brought.customer.example", manual)
        .await
        .unwrap();
    let (others, _, _) = brought("brought.customer.example");
    for (what, chain, key) in [
        ("a key of another", &others, key.clone()),
        ("half a key", &chain, key[..key.len() / 2].to_owned()),
    ] {
        let refused = admin::upload(&channel, "brought.customer.example", chain, &key).await;
        let refused = refused.expect_err(what);
        sinks.add(
            format!("refusal of {what}"),
            format!("{refused} {refused:?}"),
        );
    }
    // With the key among the certificates, too, as some tools write it.
    let all = format!("{chain}{key}");
    let taken = admin::upload(&channel, "brought.customer.example", &all, &key).await;
    taken.unwrap();
    admin::roll_account_keys(&channel).await.unwrap();
    cluster.onboard("after.customer.example").await;
    let invited = cluster
        .cli
        .json(&["token", "create", "--role", "admin"])
        .await;
    let token = invited["token"].as_str().unwrap().to_owned();
    let last = token.rsplit('.').next().unwrap().to_uppercase();
    let secret = BASE32_NOPAD.decode(last.as_bytes()).unwrap();
    told(&cluster, &mut sinks).await;

    let mut canaries = vec![
        Canary::new("a P-256 key", &PKCS8_P256),
        Canary::new("an RSA key", &PKCS8_RSA),
        Canary::new("the external account's key", EXTERNAL),
        Canary::new("the key that was brought", &scalar),
        Canary::new("the token's secret", &secret),
        Canary::text("the token", &token),
        Canary::text("a key in PEM", "PRIVATE KEY"),
        Canary::text("the PEM that was brought", key.lines().nth(1).unwrap()),
    ];
    let metrics = request::plain(cluster.nodes[2].files.health(), "/metrics").await;
    sinks.add("metrics of the third", metrics.unwrap().1.to_vec());
    cluster.nodes[2].stop(SOON).await.unwrap();
    let tickets = ticket_secret(&cluster.nodes[2].files, 1).await;
    canaries.push(Canary::new("the secret of session tickets", &tickets));
    for node in &mut cluster.nodes[..2] {
        let (_, metrics) = request::plain(node.files.health(), "/metrics")
            .await
            .unwrap();
        sinks.add(format!("metrics of {}", node.files.name), metrics.to_vec());
        node.stop(SOON).await.unwrap();
    }
    for node in &cluster.nodes {
        // The key file itself must be there, and must be what wraps the rest.
        let key = fs::read(node.files.key()).unwrap();
        canaries.push(Canary::new("a node's own key", &key));
        sinks.add_file(node.files.log());
        sinks.add_files(&node.files.data());
    }
    assert_eq!(sinks.found(&canaries), None);
    assert!(sinks.0.len() > 20, "the scan saw the data directories");
    let snapshots = sinks.0.iter().filter(|(sink, _)| sink.contains("snapshot"));
    assert!(snapshots.count() > 0, "the scan saw a snapshot");
    // The scan finds what is there: in PEM, in base64, and in a process's own words.
    let pkcs8 = BASE64.encode(&[&[0x30, 0x81, 0x87][..], &PKCS8_P256, &scalar].concat());
    for planted in [key.clone(), pkcs8, format!("{:?}", scalar)] {
        let mut sinks = Sinks::default();
        sinks.add("planted", planted);
        assert!(sinks.found(&canaries).is_some(), "the scan finds nothing");
    }
}
