//! Backups.

use std::path::Path;

use proto::backup::v1::Manifest;
use serde::Serialize;

use super::moment;
use crate::output::{Shape, pairs};

/// A key that opens backups, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Key {
    pub(crate) file: String,
    pub(crate) recipient: String,
}

impl Shape for Key {
    fn table(&self) -> String {
        let Self { file, recipient } = self;
        format!(
            "{file} opens backups: keep it where no node is, and a copy of it\n\n\
             in hostquorum.toml of each node, and then restart it:\n\n\
             [backup]\nrecipients = [\"{recipient}\"]"
        )
    }
}

/// A backup that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Saved {
    pub(crate) file: String,
    pub(crate) bytes: u64,
    /// Of the file.
    pub(crate) sha256: String,
}

impl Shape for Saved {
    fn table(&self) -> String {
        pairs(vec![
            ("file", self.file.clone()),
            ("bytes", self.bytes.to_string()),
            ("sha256", self.sha256.clone()),
        ])
    }
}

/// What a backup is of. It was read to its end: it is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Inspected {
    pub(crate) file: String,
    pub(crate) cluster_id: String,
    /// The last entry of the log that it has.
    pub(crate) index: u64,
    pub(crate) taken_at: Option<String>,
    /// The version of the program that wrote it.
    pub(crate) program: String,
    pub(crate) hostnames: u64,
    pub(crate) certificates: u64,
    pub(crate) orders: u64,
    pub(crate) cas: Vec<String>,
}

impl Inspected {
    pub(crate) fn new(file: &Path, manifest: &Manifest) -> Self {
        Self {
            file: file.display().to_string(),
            cluster_id: manifest.cluster_id.clone(),
            index: manifest.index,
            taken_at: moment(manifest.taken_at.as_ref()),
            program: manifest.program.clone(),
            hostnames: manifest.hostnames,
            certificates: manifest.certificates,
            orders: manifest.orders,
            cas: manifest.cas.clone(),
        }
    }
}

impl Shape for Inspected {
    fn table(&self) -> String {
        pairs(vec![
            ("file", format!("{}: whole", self.file)),
            ("cluster", self.cluster_id.clone()),
            ("taken at", self.taken_at.clone().unwrap_or_default()),
            ("log index", self.index.to_string()),
            ("written by", self.program.clone()),
            ("hostnames", self.hostnames.to_string()),
            ("certificates", self.certificates.to_string()),
            ("orders in flight", self.orders.to_string()),
            ("CAs", self.cas.join(", ")),
        ])
    }
}

/// A cluster that came out of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Restored {
    pub(crate) cluster_id: String,
    /// The cluster that the backup is of.
    pub(crate) from: String,
    pub(crate) taken_at: Option<String>,
    pub(crate) hostnames: u64,
    pub(crate) certificates: u64,
}

impl Restored {
    pub(crate) fn new(manifest: &Manifest, cluster_id: String) -> Self {
        Self {
            cluster_id,
            from: manifest.cluster_id.clone(),
            taken_at: moment(manifest.taken_at.as_ref()),
            hostnames: manifest.hostnames,
            certificates: manifest.certificates,
        }
    }
}

impl Shape for Restored {
    fn table(&self) -> String {
        let Self {
            cluster_id,
            from,
            hostnames,
            certificates,
            ..
        } = self;
        let taken_at = self.taken_at.as_deref().unwrap_or("an unknown time");
        format!(
            "cluster {cluster_id} has {hostnames} hostnames and {certificates} certificates of \
             cluster {from}, as they were at {taken_at}, and serves them\n\n\
             What was decided since then is not in it: hostnames that were removed are authorized \
             again. Compare `hostquorum hostname list` with what your application knows.\n\n\
             Nothing is issued yet. When the other cluster is at work no more:\n\
             hostquorum issuance resume --cluster-id {cluster_id}"
        )
    }
}
