//! The port [`Identities`]: certificates and data keys, made by a holder of the
//! control key. Each answer is a change to propose; nothing is kept here.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use state::{
    Authority, Change, ClusterId, DataKey, KeyPurpose, Member, NodeId, Operator, Role, State,
    Timestamp,
    ports::{Identities, IdentitiesError, Seal},
    sealed::SealContext,
};

use crate::{
    authority::{AuthorityError, MadeAuthority, OperatorNames, SigningAuthority, operator_role},
    data_key::KeyBytes,
    entropy::Entropy,
    hpke::{self, Label},
    keyring::Keyring,
};

/// Makes identities under the keys of this node's ring.
#[derive(Clone, Debug)]
pub struct Certifier {
    keyring: Arc<Keyring>,
    entropy: Arc<dyn Entropy>,
}

impl Certifier {
    /// With the keys of `keyring`.
    pub fn new(keyring: Arc<Keyring>, entropy: Arc<dyn Entropy>) -> Self {
        Self { keyring, entropy }
    }

    fn cluster(&self) -> ClusterId {
        self.keyring.cluster()
    }

    fn issuing(&self, state: &State) -> Result<SigningAuthority, IdentitiesError> {
        let authority = authority(state)?;
        let key = self
            .keyring
            .open(&authority.issuing_key, &SealContext::IssuingKey)?;
        let (certificate, end) = (authority.issuing.clone(), authority.issuing_not_after);
        SigningAuthority::new(certificate, key.expose(), end).map_err(unusable)
    }

    fn root(&self, authority: &Authority) -> Result<SigningAuthority, IdentitiesError> {
        let key = self
            .keyring
            .open(&authority.root_key, &SealContext::RootKey)?;
        let der = CertificateDer::from(authority.root.to_vec());
        let leaf = enroll::Leaf::read(&der)
            .map_err(|_| IdentitiesError::Unusable("the root cannot be read".to_owned()))?;
        let end = Timestamp::from_secs(u64::try_from(leaf.not_after).unwrap_or(0));
        SigningAuthority::new(authority.root.clone(), key.expose(), end).map_err(unusable)
    }

    fn copy(
        &self,
        member: &Member,
        (purpose, generation): (KeyPurpose, u32),
        key: &KeyBytes,
    ) -> Result<state::HpkeSealed, IdentitiesError> {
        let label = Label {
            cluster: self.cluster(),
            purpose,
            generation,
            node: member.id,
        };
        hpke::seal(label, &member.hpke_public_key, key).map_err(|error| {
            IdentitiesError::Unusable(format!("{purpose} key for node {}: {error}", member.id))
        })
    }
}

impl Identities for Certifier {
    fn certify_node(
        &self,
        state: &State,
        member: &Member,
        now: Timestamp,
    ) -> Result<Change, IdentitiesError> {
        let certificate = self
            .issuing(state)?
            .sign_node(
                self.cluster(),
                member.id,
                &member.public_key,
                now,
                &*self.entropy,
            )
            .map_err(unusable)?;
        Ok(Change::CertifyNode {
            node: member.id,
            certificate,
        })
    }

    fn certify_operator(
        &self,
        state: &State,
        operator: &Operator,
        now: Timestamp,
    ) -> Result<Change, IdentitiesError> {
        let role = operator_role(operator.role).ok_or_else(|| {
            IdentitiesError::Unusable(format!(
                "operator {} has the role {}",
                operator.id,
                Role::Node
            ))
        })?;
        let names = OperatorNames {
            id: operator.id,
            name: &operator.name,
            role,
        };
        let certificate = self
            .issuing(state)?
            .sign_operator(
                self.cluster(),
                &names,
                &operator.public_key,
                now,
                &*self.entropy,
            )
            .map_err(unusable)?;
        Ok(Change::CertifyOperator {
            operator: operator.id,
            certificate,
        })
    }

    fn renew_issuing(&self, state: &State, now: Timestamp) -> Result<Change, IdentitiesError> {
        let root = self.root(authority(state)?)?;
        let made =
            MadeAuthority::issuing(&root, self.cluster(), now, &*self.entropy).map_err(unusable)?;
        let issuing_key = self.keyring.seal(
            KeyPurpose::Control,
            &SealContext::IssuingKey,
            &made.key.to_pkcs8(),
        )?;
        Ok(Change::RenewIssuing {
            issuing: made.certificate,
            issuing_key,
            not_after: made.not_after,
            renew_at: made.renew_at,
        })
    }

    fn share_data_key(
        &self,
        member: &Member,
        purpose: KeyPurpose,
        generation: u32,
    ) -> Result<Change, IdentitiesError> {
        let key = self.keyring.key(purpose, generation)?;
        Ok(Change::ShareDataKey {
            node: member.id,
            purpose,
            generation,
            sealed: self.copy(member, (purpose, generation), &key)?,
        })
    }

    fn rotate_data_key(
        &self,
        state: &State,
        purpose: KeyPurpose,
        holders: &[NodeId],
    ) -> Result<Change, IdentitiesError> {
        let present = state
            .current_data_key(purpose)
            .map_or(0, |key| key.generation);
        let generation = present.saturating_add(1);
        let key = KeyBytes::generate(&*self.entropy);
        let mut sealed_for = Vec::with_capacity(holders.len());
        for node in holders {
            let member = state
                .member(*node)
                .ok_or_else(|| IdentitiesError::Unusable(format!("node {node} is not a member")))?;
            sealed_for.push((*node, self.copy(member, (purpose, generation), &key)?));
        }
        Ok(Change::RotateDataKey {
            purpose,
            generation,
            sealed_for,
        })
    }
}

/// The first generation of a data key, with a copy for the founder.
pub(crate) fn first_data_key(
    label: Label,
    founder_hpke: &[u8],
    key: &KeyBytes,
    now: Timestamp,
) -> Result<DataKey, hpke::HpkeError> {
    let copy = hpke::seal(label, founder_hpke, key)?;
    Ok(DataKey {
        purpose: label.purpose,
        generation: label.generation,
        created_at: now,
        created: state::Index(0),
        replace: false,
        sealed_for: [(label.node, copy)].into_iter().collect(),
    })
}

fn authority(state: &State) -> Result<&Authority, IdentitiesError> {
    let authority = state.authority().map(|authority| &**authority);
    authority.ok_or_else(|| IdentitiesError::Unusable("the cluster was not formed yet".to_owned()))
}

fn unusable(error: AuthorityError) -> IdentitiesError {
    IdentitiesError::Unusable(error.to_string())
}
