//! Where the node's key-encryption key comes from, and what of AWS that may need.

use std::path::{Path, PathBuf};

use super::file::File;

/// Where the node's key-encryption key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyProvider {
    /// A file outside `data_dir`, made at first start with mode 0400.
    File(PathBuf),
    /// An environment variable holding 32 bytes as hexadecimal digits.
    Environment(String),
    /// A file holding a passphrase.
    PassphraseFile(PathBuf),
    /// A key that AWS KMS wraps and opens.
    Kms(KmsKey),
}

/// A key of AWS KMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKey {
    /// The ARN of a key or an alias, or its id or name in the Region of [`Aws`].
    pub key: String,
    /// Where and as whom.
    pub aws: Aws,
}

/// What the node is to AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aws {
    /// What the cluster is called in policies.
    pub cluster: String,
    /// Where; `None`: as the environment says.
    pub region: Option<String>,
    /// The cluster is founded once, and nodes are invited, by the parameter store.
    pub parameters: bool,
    /// Machines enter, and are let in, by what AWS says of them.
    pub join: bool,
}

/// Longest ARN or name of a key, and longest name of a cluster (a value of an encryption context,
/// and part of names of roles and parameters).
const KEY_MAX: usize = 2048;
const CLUSTER_MAX: usize = 63;

const SECTION: &str = "aws";
const KEY: &str = "key";
const PREVIOUS: &str = "previous_key";

impl Aws {
    /// The section; `None` if it is not there.
    pub(super) fn read(file: &mut File<'_>) -> Option<Self> {
        let region: Option<String> = file.read(SECTION, "region");
        let cluster: Option<String> = file.read(SECTION, "cluster");
        let parameters: Option<bool> = file.read(SECTION, "parameters");
        let join: Option<bool> = file.read(SECTION, "join");
        if region.is_none() && cluster.is_none() && parameters.is_none() && join.is_none() {
            return None;
        }
        if join == Some(true) && parameters != Some(true) {
            let message = "needs aws.parameters: by those a machine knows which cluster it enters";
            file.fault(SECTION, "join", message);
        }
        if region.as_deref().is_some_and(|region| !is_name(region, 32)) {
            let message = "a Region is written as in \"eu-central-1\"";
            file.fault(SECTION, "region", message);
        }
        match &cluster {
            None => file.fault(
                SECTION,
                "cluster",
                "is missing: what the cluster is called in the policies of AWS",
            ),
            Some(name) if !is_name(name, CLUSTER_MAX) => file.fault(
                SECTION,
                "cluster",
                "a cluster's name has 1 to 63 letters, digits and hyphens",
            ),
            Some(_) => {}
        }
        Some(Self {
            cluster: cluster.unwrap_or_default(),
            region,
            parameters: parameters.unwrap_or(false),
            join: join.unwrap_or(false),
        })
    }
}

fn is_name(text: &str, max: usize) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=max).contains(&text.len()) && text.bytes().all(fits)
}

impl KeyProvider {
    /// The present one.
    pub(super) fn read(
        file: &mut File<'_>,
        base: &Path,
        data_dir: &Path,
        aws: Option<&Aws>,
    ) -> Self {
        let read = Self::of_section(KEY, file, base, data_dir, aws);
        read.unwrap_or_else(|| {
            file.fault(KEY, "file", ONE_IS_WANTED);
            Self::File(base.join("node.key"))
        })
    }

    /// The one whose place it takes; `None` if the section is not there.
    pub(super) fn read_previous(
        file: &mut File<'_>,
        base: &Path,
        data_dir: &Path,
        aws: Option<&Aws>,
    ) -> Option<Self> {
        Self::of_section(PREVIOUS, file, base, data_dir, aws)
    }

    fn of_section(
        section: &'static str,
        file: &mut File<'_>,
        base: &Path,
        data_dir: &Path,
        aws: Option<&Aws>,
    ) -> Option<Self> {
        let path: Option<PathBuf> = file.read(section, "file");
        let variable: Option<String> = file.read(section, "environment");
        let passphrase: Option<PathBuf> = file.read(section, "passphrase_file");
        let kms: Option<String> = file.read(section, "kms");
        match (path, variable, passphrase, kms) {
            (Some(path), None, None, None) => {
                let path = base.join(path);
                if path.starts_with(data_dir) {
                    file.fault(
                        section,
                        "file",
                        "the key must not lie in data_dir: whoever copies the data would have both",
                    );
                }
                Some(Self::File(path))
            }
            (None, Some(variable), None, None) => Some(Self::Environment(variable)),
            (None, None, Some(path), None) => Some(Self::PassphraseFile(base.join(path))),
            (None, None, None, Some(key)) => Some(Self::Kms(kms_key(section, file, key, aws))),
            (None, None, None, None) => None,
            _ => {
                file.fault(section, "file", ONE_IS_WANTED);
                Some(Self::File(base.join("node.key")))
            }
        }
    }
}

const ONE_IS_WANTED: &str = "exactly one of file, environment, passphrase_file and kms is wanted";

fn kms_key(section: &'static str, file: &mut File<'_>, key: String, aws: Option<&Aws>) -> KmsKey {
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if !(1..=KEY_MAX).contains(&key.len()) || !visible {
        file.fault(
            section,
            "kms",
            "the ARN of a key or an alias of KMS is wanted, or its id or name",
        );
    }
    let aws = aws.cloned().unwrap_or_else(|| {
        file.fault(
            section,
            "kms",
            "wants aws.cluster, too: KMS is told for which cluster it wraps",
        );
        Aws {
            join: false,
            cluster: String::new(),
            region: None,
            parameters: false,
        }
    });
    KmsKey { key, aws }
}
