//! Backups of this node: what it has applied, read from its own disk, encrypted for whom its
//! configuration names.

use std::{io::Write, sync::Arc};

use admin::{BackupError, Heir};
use backup::{Recipient, Writer};
use cluster::{Keyring, LeftKeys};
use proto::backup::v1::{Key, Keys, Manifest, Piece};
use state::{
    BackupOf, ClusterId, Index, Sealed, State,
    backup::Piece as Left,
    ports::{Clock, Export, SealError},
    sealed::SealContext,
};

use crate::telemetry::chain;

/// See [`admin::Backups`].
pub(crate) struct NodeBackups {
    pub(crate) export: Arc<dyn Export>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl admin::Backups for NodeBackups {
    fn save(&self, output: Box<dyn Write + Send>) -> Result<Index, BackupError> {
        if self.recipients.is_empty() {
            return Err(BackupError::NoRecipient);
        }
        let held = self.export.hold()?;
        let state = held.state();
        let of = state.backup_of(self.clock.now());
        let of = of.ok_or(BackupError::NotFounded)?;
        let keys = self.keyring.all_of(state).map_err(BackupError::NoKey)?;
        let key = |(purpose, generation, secret): &(state::KeyPurpose, u32, state::Secret)| Key {
            purpose: purpose.as_str().to_owned(),
            generation: *generation,
            secret: secret.expose().to_vec().into(),
        };
        let keys = Keys {
            keys: keys.iter().map(key).collect(),
        };
        let failed = |error: backup::WriteError| BackupError::Output(chain(&error));
        let writer = Writer::begin(output, &self.recipients, manifest(state, &of), keys);
        let mut writer = writer.map_err(failed)?;
        for piece in state.backup() {
            let piece = match piece {
                Left::Record { key, value } => Piece {
                    body: false,
                    key: key.into(),
                    value: value.into(),
                },
                Left::Body { key, at } => Piece {
                    body: true,
                    value: held.body(&at)?,
                    key: key.into(),
                },
            };
            writer.piece(piece).map_err(failed)?;
        }
        let mut output = writer.finish().map_err(failed)?;
        let flushed = output.flush();
        flushed.map_err(|error| BackupError::Output(error.to_string()))?;
        Ok(of.index)
    }

    fn heir(&self, cluster: ClusterId, keys: &Keys) -> Result<Box<dyn Heir>, BackupError> {
        let keys = keys.keys.iter();
        let keys = keys.map(|key| (&key.purpose[..], key.generation, &key.secret[..]));
        let left = LeftKeys::new(cluster, keys);
        let left = left.map_err(|error| BackupError::Keys(error.to_string()))?;
        let ours = self.keyring.clone();
        Ok(Box::new(Inherited { left, ours }))
    }
}

fn manifest(state: &State, of: &BackupOf) -> Manifest {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let cas = state.cas_by_rank().into_iter();
    let millis = of.taken_at.as_millis();
    Manifest {
        version: backup::VERSION,
        cluster_id: of.cluster.to_string(),
        names_id: of.names.to_string(),
        index: of.index.0,
        taken_at: Some(prost_types::Timestamp {
            seconds: i64::try_from(millis / 1000).unwrap_or(i64::MAX),
            nanos: 0,
        }),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        hostnames: count(state.hostname_count()),
        certificates: count(state.certificates_by_id().len()),
        orders: count(state.order_count()),
        cas: cas.map(|ca| ca.settings.directory.clone()).collect(),
    }
}

/// What another cluster left, for this one.
struct Inherited {
    left: LeftKeys,
    ours: Arc<Keyring>,
}

impl Heir for Inherited {
    fn reseal(&self, context: &SealContext, sealed: &Sealed) -> Result<Sealed, SealError> {
        self.left.reseal(&*self.ours, context, sealed)
    }
}
