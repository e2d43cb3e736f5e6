//! A context: how an operator reaches one cluster, and as whom, in one file that
//! nobody else may read. Written by `hostquorum cluster init`, `hostquorum login`
//! and `hostquorumd dev`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use data_encoding::HEXLOWER;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Credential, PrivateKey};

/// Longest file that is read: a few certificates and addresses.
const LENGTH_MAX: u64 = 256 * 1024;

/// A cluster's addresses and a credential for it.
#[derive(Clone, Debug)]
pub struct Context {
    /// host:port of members' admin APIs; any of them will do.
    pub addresses: Vec<String>,
    /// The operator, as the audit shows it.
    pub name: String,
    /// `admin` or `viewer`.
    pub role: String,
    /// Who we are, and whom we trust.
    pub credential: Credential,
}

/// Why a context cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The file system refused.
    #[error("the context {path} could not be read or written")]
    Io {
        /// Which.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Others may read the key in it.
    #[error("the context {path} is open to others (mode {mode:o}): run `chmod 600 {path}`")]
    Mode {
        /// Which.
        path: PathBuf,
        /// How wide.
        mode: u32,
    },
    /// It is no context.
    #[error("{path} is no context: {why}")]
    Shape {
        /// Which.
        path: PathBuf,
        /// What is wrong; never the content.
        why: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    cluster: String,
    name: String,
    role: String,
    addresses: Vec<String>,
    root: String,
    certificate: String,
    key: Zeroizing<String>,
}

impl Context {
    /// Reads a context; refused if others can read it too.
    pub fn read(path: &Path) -> Result<Self, ContextError> {
        let io = |source| ContextError::Io {
            path: path.to_owned(),
            source,
        };
        let shape = |why: &str| ContextError::Shape {
            path: path.to_owned(),
            why: why.to_owned(),
        };
        let metadata = fs::metadata(path).map_err(io)?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(ContextError::Mode {
                path: path.to_owned(),
                mode,
            });
        }
        if metadata.len() > LENGTH_MAX {
            return Err(shape("it is too long"));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
        // The parser's own words could quote the key.
        let written: Written = toml::from_str(&text).map_err(|_| shape("it is damaged"))?;
        let cluster = HEXLOWER
            .decode(written.cluster.as_bytes())
            .ok()
            .and_then(|id| id.try_into().ok());
        let root = certificates(&written.root).pop();
        let key = PrivateKey::from_pem(&written.key).map_err(|_| shape("its key is damaged"))?;
        Ok(Self {
            addresses: written.addresses,
            name: written.name,
            role: written.role,
            credential: Credential {
                cluster: cluster.ok_or_else(|| shape("its cluster id is damaged"))?,
                root: root.ok_or_else(|| shape("its root is damaged"))?,
                chain: certificates(&written.certificate),
                key: Arc::new(key),
            },
        })
    }

    /// Writes a context with mode 0600, in place of what was there: whole or not
    /// at all.
    pub fn write(&self, path: &Path) -> Result<(), ContextError> {
        let io = |source| ContextError::Io {
            path: path.to_owned(),
            source,
        };
        let written = Written {
            cluster: HEXLOWER.encode(&self.credential.cluster),
            name: self.name.clone(),
            role: self.role.clone(),
            addresses: self.addresses.clone(),
            root: pem(std::slice::from_ref(&self.credential.root)),
            certificate: pem(&self.credential.chain),
            key: self.credential.key.to_pem(),
        };
        let text = toml::to_string(&written).map(Zeroizing::new);
        let text = text.map_err(|error| io(io::Error::other(error)))?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(io)?;
        let new = path.with_extension("new");
        write_narrow(&new, text.as_bytes()).map_err(io)?;
        fs::rename(&new, path).map_err(io)?;
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io)
    }
}

fn write_narrow(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .filter_map(Result::ok)
        .collect()
}

fn pem(chain: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for certificate in chain {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = data_encoding::BASE64.encode(certificate);
        for line in encoded.as_bytes().chunks(64) {
            text.extend(line.iter().map(|byte| char::from(*byte)));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        let certificate = |byte: u8| CertificateDer::from(vec![byte; 100]);
        Context {
            addresses: vec!["10.0.0.1:7444".to_owned()],
            name: "alice".to_owned(),
            role: "admin".to_owned(),
            credential: Credential {
                cluster: [7; 16],
                root: certificate(1),
                chain: vec![certificate(2), certificate(3)],
                key: Arc::new(PrivateKey::generate().unwrap()),
            },
        }
    }

    #[test]
    fn a_context_reads_back_and_is_narrow() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/context.toml");
        let written = context();
        written.write(&path).unwrap();
        written.write(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let read = Context::read(&path).unwrap();
        assert_eq!(read.addresses, written.addresses);
        assert_eq!(read.credential.cluster, written.credential.cluster);
        assert_eq!(read.credential.root, written.credential.root);
        assert_eq!(read.credential.chain, written.credential.chain);
        assert_eq!(
            read.credential.key.public_key(),
            written.credential.key.public_key()
        );
    }

    #[test]
    fn a_context_open_to_others_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("context.toml");
        context().write(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            Context::read(&path),
            Err(ContextError::Mode { mode: 0o640, .. })
        ));
    }

    #[test]
    fn damage_is_told_without_the_content() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("context.toml");
        write_narrow(&path, b"key = \"very secret\"\n").unwrap();
        let error = Context::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("is no context") && !error.contains("secret"),
            "{error}"
        );
    }
}
