//! A cloud of one process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use cluster::join::{Asking, MachineError, ThisMachine, Vouch};
use data_encoding::HEXLOWER;
use proto::cluster::v1::{self as wire, machine_proof};

/// A cloud that knows the machines that it was told of, by the names of their nodes. What it is
/// shown is the digest itself.
#[derive(Clone, Default)]
pub(crate) struct Cloud(Arc<Mutex<BTreeMap<String, String>>>);

impl Cloud {
    pub(crate) fn has(&self, node: &str, machine: &str) {
        let mut machines = self.0.lock().unwrap();
        machines.insert(node.to_owned(), machine.to_owned());
    }
}

#[async_trait]
impl Vouch for Cloud {
    async fn vouch(&self, asking: Asking<'_>) -> Result<String, MachineError> {
        let Some(machine_proof::Of::Aws(sent)) = &asking.proof.of else {
            return Err(MachineError::Refused("no proof".to_owned()));
        };
        if sent.authorization != HEXLOWER.encode(asking.digest) {
            return Err(MachineError::Refused("made for another".to_owned()));
        }
        let machines = self.0.lock().unwrap();
        let machine = machines.get(asking.node).cloned();
        machine.ok_or_else(|| MachineError::Refused("no such machine".to_owned()))
    }
}

#[async_trait]
impl ThisMachine for Cloud {
    async fn sponsors(&self) -> Result<Vec<String>, MachineError> {
        Ok(Vec::new())
    }

    async fn prove(&self, digest: &[u8; 32]) -> Result<wire::MachineProof, MachineError> {
        let aws = wire::AwsProof {
            authorization: HEXLOWER.encode(digest),
            ..wire::AwsProof::default()
        };
        let of = Some(machine_proof::Of::Aws(aws));
        Ok(wire::MachineProof { of })
    }
}
