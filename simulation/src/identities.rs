//! Doubles of the cluster's own CA and of its data keys: its certificates and copies of keys say nothing, for
//! nothing here reads them. Links are authenticated by who dials whom.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use state::ports::{Identities, IdentitiesError, Seal, SealError};
use state::sealed::SealContext;
use state::testing::MaskSeal;
use state::{
    Change, HpkeSealed, IssuedCertificate, KeyPurpose, Member, NodeId, Operator, Sealed, Secret,
    State, Timestamp,
};
use tokio::sync::watch;

/// How long each certificate of the double of the cluster's CA is valid: no run is as
/// long as half of it.
const VALIDITY: Duration = Duration::from_secs(7 * 86_400);

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PaperIdentities;

fn certificate(now: Timestamp, renewed: bool) -> IssuedCertificate {
    IssuedCertificate {
        leaf: Bytes::from_static(b"leaf"),
        issuing: Bytes::from_static(b"issuing"),
        not_after: now.plus(VALIDITY),
        renew_at: renewed.then(|| now.plus(VALIDITY / 2)),
    }
}

fn copy() -> HpkeSealed {
    HpkeSealed {
        encapsulated: Bytes::from_static(b"e"),
        ciphertext: Bytes::from_static(b"c"),
    }
}

/// A double of a node's data keys: seals and opens by those that its replica knows of.
#[derive(Debug, Clone)]
pub(crate) struct PaperSeal(pub(crate) watch::Receiver<Arc<State>>);

impl Seal for PaperSeal {
    fn seal(
        &self,
        purpose: KeyPurpose,
        context: &SealContext,
        secret: &[u8],
    ) -> Result<Sealed, SealError> {
        MaskSeal::seal_for(&self.0.borrow(), purpose, context, secret)
    }

    fn open(&self, sealed: &Sealed, context: &SealContext) -> Result<Secret, SealError> {
        MaskSeal::open_of(&self.0.borrow(), sealed, context)
    }
}

impl Identities for PaperIdentities {
    fn certify_node(
        &self,
        _: &State,
        member: &Member,
        now: Timestamp,
    ) -> Result<Change, IdentitiesError> {
        Ok(Change::CertifyNode {
            node: member.id,
            certificate: certificate(now, true),
        })
    }

    fn certify_operator(
        &self,
        _: &State,
        operator: &Operator,
        now: Timestamp,
    ) -> Result<Change, IdentitiesError> {
        Ok(Change::CertifyOperator {
            operator: operator.id,
            certificate: certificate(now, false),
        })
    }

    fn renew_issuing(&self, state: &State, now: Timestamp) -> Result<Change, IdentitiesError> {
        let context = SealContext::IssuingKey;
        let key = MaskSeal::seal_for(state, KeyPurpose::Control, &context, b"issuing key")?;
        Ok(Change::RenewIssuing {
            issuing: Bytes::from_static(b"issuing"),
            issuing_key: key,
            not_after: now.plus(VALIDITY),
            renew_at: now.plus(VALIDITY / 2),
        })
    }

    fn share_data_key(
        &self,
        member: &Member,
        purpose: KeyPurpose,
        generation: u32,
    ) -> Result<Change, IdentitiesError> {
        Ok(Change::ShareDataKey {
            node: member.id,
            purpose,
            generation,
            sealed: copy(),
        })
    }

    fn rotate_data_key(
        &self,
        state: &State,
        purpose: KeyPurpose,
        holders: &[NodeId],
    ) -> Result<Change, IdentitiesError> {
        let present = state.current_data_key(purpose).map(|key| key.generation);
        Ok(Change::RotateDataKey {
            purpose,
            generation: present.unwrap_or_default() + 1,
            sealed_for: holders.iter().map(|node| (*node, copy())).collect(),
        })
    }
}
