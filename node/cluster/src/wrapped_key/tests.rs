use std::{fs, sync::Arc, sync::Mutex};

use super::*;
use crate::{
    entropy::SystemEntropy,
    identity::{Candidate, IdentityStore, Invited, NodeKeys},
};

/// Wraps by turning bits around; counts what it was asked, and fails as often as it is told.
#[derive(Default)]
struct Service {
    kind: Option<&'static str>,
    /// Which of its keys wraps.
    key: u8,
    asked: Mutex<u32>,
    fails: Mutex<Vec<WrapKeyError>>,
}

impl Service {
    fn failing(fails: Vec<WrapKeyError>) -> Self {
        Self {
            fails: Mutex::new(fails),
            ..Self::default()
        }
    }

    fn answer<T>(&self, answer: T) -> Result<T, WrapKeyError> {
        *self.asked.lock().unwrap() += 1;
        self.fails.lock().unwrap().pop().map_or(Ok(answer), Err)
    }

    fn asked(&self) -> u32 {
        *self.asked.lock().unwrap()
    }
}

fn turned(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| !byte).collect()
}

#[async_trait]
impl WrapKey for Service {
    fn kind(&self) -> &'static str {
        self.kind.unwrap_or("service")
    }

    async fn wrap(&self, key: &[u8; 32]) -> Result<Wrapped, WrapKeyError> {
        self.answer(Wrapped {
            ciphertext: [&[self.key], &turned(key)[..]].concat().into(),
            by: "key 7".to_owned(),
        })
    }

    async fn open(&self, ciphertext: &[u8]) -> Result<Zeroizing<[u8; 32]>, WrapKeyError> {
        let refused = || WrapKeyError::Refused("not mine".to_owned());
        let wrapped = ciphertext.strip_prefix(&[self.key]).ok_or_else(refused)?;
        let key = <[u8; 32]>::try_from(&turned(wrapped)[..]).map(Zeroizing::new);
        self.answer(key.map_err(|_| refused())?)
    }
}

fn unavailable() -> WrapKeyError {
    WrapKeyError::Unavailable {
        what: "the service could not be asked".to_owned(),
        source: "connection refused".into(),
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

async fn open_with(directory: &Path, service: &Service) -> Result<KeySource, WrappedKeyError> {
    open(directory, service, &SystemEntropy, PATIENCE).await
}

/// Something is wrapped by the key: from now on it is needed.
fn take_root(directory: &Path, source: &KeySource) {
    let store = IdentityStore::open(directory, source, Arc::new(SystemEntropy)).unwrap();
    let for_token = Invited {
        cluster: [1; 4],
        invitation: Some(1),
    };
    let keys = NodeKeys::generate().unwrap();
    store
        .save_candidate(&Candidate { for_token, keys })
        .unwrap();
}

#[tokio::test]
async fn the_key_is_made_once_and_rests_wrapped() {
    let root = tempfile::tempdir().unwrap();
    let (data, service) = (root.path().join("data"), Service::default());
    let KeySource::Service(first) = open_with(&data, &service).await.unwrap() else {
        panic!("another source")
    };
    let written = fs::read_to_string(data.join(WRAPPED_KEY)).unwrap();
    let clear = data_encoding::BASE64.encode(&first.key[..]);
    assert!(written.contains("key 7") && !written.contains(&clear));
    let KeySource::Service(again) = open_with(&data, &service).await.unwrap() else {
        panic!("another source")
    };
    assert_eq!(first, again);
    assert_eq!(service.asked(), 2);
    assert_eq!(format!("{first:?}"), "OpenedKey(service)");
}

#[tokio::test]
async fn an_identity_opens_by_it_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let source = open_with(&data, &Service::default()).await.unwrap();
    take_root(&data, &source);
    let source = open_with(&data, &Service::default()).await.unwrap();
    let store = IdentityStore::open(&data, &source, Arc::new(SystemEntropy)).unwrap();
    assert!(store.candidate().unwrap().is_some());
}

#[tokio::test]
async fn a_lost_or_damaged_key_is_not_made_anew() {
    let root = tempfile::tempdir().unwrap();
    let (data, service) = (root.path().join("data"), Service::default());
    take_root(&data, &open_with(&data, &service).await.unwrap());
    let file = data.join(WRAPPED_KEY);
    let whole = fs::read_to_string(&file).unwrap();

    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let error = open_with(&data, &service).await.unwrap_err();
    assert!(matches!(error, WrappedKeyError::Damaged(_)), "{error}");

    fs::remove_file(&file).unwrap();
    let error = open_with(&data, &service).await.unwrap_err();
    assert!(matches!(error, WrappedKeyError::Gone(_)), "{error}");
    assert!(!file.exists());
}

#[tokio::test]
async fn a_node_keeps_the_source_that_it_began_with() {
    let root = tempfile::tempdir().unwrap();
    let check = |error: WrappedKeyError, expected: &str| {
        let WrappedKeyError::OtherSource { was, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(was, expected);
    };
    let data = root.path().join("began-with-a-file");
    take_root(&data, &KeySource::File(root.path().join("node.key")));
    check(
        open_with(&data, &Service::default()).await.unwrap_err(),
        "file",
    );

    let data = root.path().join("began-with-a-service");
    take_root(&data, &open_with(&data, &Service::default()).await.unwrap());
    let other = Service {
        kind: Some("other"),
        ..Service::default()
    };
    check(open_with(&data, &other).await.unwrap_err(), "service");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_out_is_waited_for_and_a_refusal_is_told_at_once() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let service = Service::failing(vec![unavailable(), unavailable()]);
    open_with(&data, &service).await.unwrap();
    assert_eq!(service.asked(), 3);

    let out = Service::failing((0..1000).map(|_| unavailable()).collect());
    let begun = Instant::now();
    let error = open_with(&data, &out).await.unwrap_err();
    assert!(
        matches!(&error, WrappedKeyError::Open { by, .. } if by == "key 7"),
        "{error}"
    );
    let waited = begun.elapsed();
    assert!(waited <= PATIENCE && waited > PATIENCE / 2, "{waited:?}");

    let refusing = Service::failing(vec![WrapKeyError::Refused("no".to_owned())]);
    open_with(&data, &refusing).await.unwrap_err();
    assert_eq!(refusing.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_key_of_the_service_takes_over_and_the_secret_stays() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let service = |key| Service {
        key,
        ..Service::default()
    };
    let (old, new) = (service(1), service(2));
    let source = open_with(&data, &old).await.unwrap();
    for _ in 0..2 {
        let before: Option<&dyn WrapKey> = Some(&old);
        let replaced = open_replacing(&data, &new, before, &SystemEntropy, PATIENCE).await;
        assert_eq!(
            replaced.unwrap(),
            source,
            "the same key, so that files still open"
        );
    }
    assert_eq!(open_with(&data, &new).await.unwrap(), source);
    let error = open_with(&data, &old).await.unwrap_err();
    assert!(matches!(error, WrappedKeyError::Open { .. }), "{error}");
    // Neither of two others can.
    let (other, another) = (service(3), service(4));
    let before: Option<&dyn WrapKey> = Some(&another);
    let error = open_replacing(&data, &other, before, &SystemEntropy, PATIENCE).await;
    assert!(matches!(error, Err(WrappedKeyError::Open { .. })));
    assert_eq!(open_with(&data, &new).await.unwrap(), source);
}

#[tokio::test(start_paused = true)]
async fn a_service_takes_over_from_a_file_and_gives_way_to_it() {
    let root = tempfile::tempdir().unwrap();
    let (data, file) = (root.path().join("data"), root.path().join("node.key"));
    let file = KeySource::File(file);
    let entropy = || Arc::new(SystemEntropy);
    let store = IdentityStore::open(&data, &file, entropy()).unwrap();
    let candidate = Candidate {
        for_token: Invited {
            cluster: [1; 4],
            invitation: Some(2),
        },
        keys: NodeKeys::generate().unwrap(),
    };
    store.save_candidate(&candidate).unwrap();
    let service = Service::default();
    let error = open_with(&data, &service).await.unwrap_err();
    assert!(
        matches!(error, WrappedKeyError::OtherSource { .. }),
        "not unasked: {error}"
    );
    let opened = open_replacing(&data, &service, None, &SystemEntropy, PATIENCE).await;
    let opened = opened.unwrap();
    let store = IdentityStore::open_replacing(&data, &opened, entropy()).unwrap();
    store.rewrap(&file).unwrap();
    assert!(store.candidate().unwrap().is_some());
    // And back.
    let store = IdentityStore::open_replacing(&data, &file, entropy()).unwrap();
    assert!(!store.opens().unwrap());
    store.rewrap(&opened).unwrap();
    forget(&data).unwrap();
    let store = IdentityStore::open(&data, &file, entropy()).unwrap();
    assert!(store.candidate().unwrap().is_some());
    assert!(!data.join(WRAPPED_KEY).exists());
}
