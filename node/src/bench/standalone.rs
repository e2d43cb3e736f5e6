//! A cluster of one in memory, that agrees with itself.

use std::{collections::HashMap, sync::Arc};

use anyhow::{Result, bail};
use bytes::Bytes;
use cluster::{Entropy as _, Formation, Keyring, NodeFacts, SystemEntropy};
use enroll::PrivateKey;
use proto::cluster::v1::{AcmeDirectory, InitRequest};
use state::{
    Actor, Batch, Change, Command, Hostname, Index, Origin, Outcome, OwnershipToken, State, Tenant,
    Wants, Write,
    command::Authorize,
    ports::{Bodies, BodiesError, Clock},
};

use crate::environment::SystemClock;

/// The state, what its disk would hold, and the keys that its secrets are sealed under.
pub(super) struct Standalone {
    state: State,
    bodies: Memory,
    keyring: Arc<Keyring>,
}

impl Standalone {
    /// Formed as every cluster is, with `origin`. Its CA is never asked for anything.
    pub(super) fn found(origin: &Origin) -> Result<Self> {
        let request = InitRequest {
            acme: Some(AcmeDirectory {
                url: "https://ca.invalid/directory".to_owned(),
                contacts: vec!["mailto:nobody@bench.invalid".to_owned()],
                terms_agreed: true,
                ..Default::default()
            }),
            admin_name: "bench".to_owned(),
            csr: PrivateKey::generate()?.request()?.into(),
            origin: origin.to_string(),
            ..Default::default()
        };
        let facts = NodeFacts {
            name: "bench".to_owned(),
            peer_address: "localhost:7443".to_owned(),
            admin_address: "localhost:7444".to_owned(),
        };
        let formation = Formation::new(&request, &facts, SystemClock.now(), &SystemEntropy)?;
        let keyring = Keyring::new(&formation.identity, Arc::new(SystemEntropy));
        let mut alone = Self {
            state: State::default(),
            bodies: Memory::default(),
            keyring: Arc::new(keyring),
        };
        alone.apply(Actor::socket(), formation.change())?;
        alone.keyring.take_up(&alone.state);
        Ok(alone)
    }

    /// Authorizes a hostname, and serves it with the certificate and the key in `pem`.
    pub(super) fn bring(&mut self, hostname: &Hostname, pem: &str) -> Result<()> {
        let upload = admin::brought(hostname, pem, &*self.keyring, SystemClock.now())?;
        let mut token = [0; 16];
        SystemEntropy.fill(&mut token);
        let authorize = Authorize {
            hostname: hostname.clone(),
            tenant: Tenant::default(),
            token: OwnershipToken(token),
            wants: Wants::default(),
            on_demand: false,
        };
        let operator = Actor::operator("bench");
        self.apply(
            operator.clone(),
            Change::AuthorizeHostname(Box::new(authorize)),
        )?;
        self.apply(operator, Change::UploadCertificate(Box::new(upload)))
    }

    fn apply(&mut self, actor: Actor, change: Change) -> Result<()> {
        let command = Command {
            at: SystemClock.now(),
            actor,
            duty: None,
            change,
        };
        let batch = Batch {
            commands: vec![command],
        };
        let next = Index(self.state.index().0 + 1);
        let (outcomes, changes) = self.state.apply(next, &batch);
        for write in changes.bodies {
            match write {
                Write::Put { key, value } => self.bodies.0.insert(key, value.into()),
                Write::Delete { key } => self.bodies.0.remove(&key),
            };
        }
        match outcomes.into_iter().next() {
            Some(Outcome::Refused(refusal)) => bail!("{refusal}"),
            _ => Ok(()),
        }
    }

    pub(super) fn state(&self) -> Arc<State> {
        Arc::new(self.state.clone())
    }

    pub(super) fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring)
    }

    pub(super) fn into_bodies(self) -> Memory {
        self.bodies
    }
}

/// Bodies in memory.
#[derive(Default)]
pub(super) struct Memory(HashMap<Vec<u8>, Bytes>);

impl Bodies for Memory {
    fn read(&self, key: &[u8]) -> Result<Option<Bytes>, BodiesError> {
        Ok(self.0.get(key).cloned())
    }
}
