//! A cluster's beginning: everything that its first command holds, and the identity
//! of its first node.
//!
//! Order on disk: the command (its secrets are sealed), then the identity, then the
//! log. A crash before the identity leaves nothing that counts; one after it is
//! finished by the next start, which proposes the same command again.

mod ca;

use bytes::Bytes;
use enroll::OperatorRole;
use proto::{backup::v1::Manifest, cluster::v1 as wire};
use state::{
    Authority, BackupOf, Ca, Change, ClusterId, ExternalAccount, Index, IssuedCertificate,
    KeyPurpose, NodeId, OperatorId, Origin, Sealed, State, Timestamp, ZoneSettings,
    command::{Found, Newcomer},
    sealed::SealContext,
};

use crate::{
    authority::{AuthorityError, MadeAuthority, OperatorNames, SigningAuthority},
    data_key::KeyBytes,
    entropy::{Entropy, random},
    facts::{FactError, NodeFacts, check_operator_name},
    hpke::{HpkeError, Label},
    identities::first_data_key,
    identity::{DataKeys, Identity, KeysError, NodeKeys, Public},
    request::{RequestError, proven_key},
};

/// The founder's id and its administrator's: the first that the counters give.
const FOUNDER: NodeId = NodeId(1);
const FIRST_OPERATOR: OperatorId = OperatorId(1);

/// A cluster that is to be: to be kept, proposed and told, in this order.
#[derive(Clone, Debug)]
pub struct Formation {
    /// Node 1.
    pub identity: Identity,
    /// The first command.
    pub found: Found,
}

/// Why no cluster is formed.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// There is no default.
    #[error("an ACME directory must be named: there is no default")]
    NoAcme,
    /// Something in the request.
    #[error("{0}")]
    Invalid(&'static str),
    /// A name or an address.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// The origin.
    #[error("the origin is not usable")]
    Origin(#[from] state::OriginError),
    /// The administrator's key.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A certificate.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The node's keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A data key.
    #[error(transparent)]
    Hpke(#[from] HpkeError),
    /// A secret.
    #[error(transparent)]
    Seal(#[from] state::ports::SealError),
}

impl FormError {
    /// True if another request could succeed.
    pub fn is_callers(&self) -> bool {
        matches!(
            self,
            Self::NoAcme | Self::Invalid(_) | Self::Fact(_) | Self::Origin(_) | Self::Request(_)
        )
    }
}

impl Formation {
    /// Makes a cluster out of what its operator says and what the node is.
    pub fn new(
        request: &wire::InitRequest,
        facts: &NodeFacts,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, FormError> {
        facts.check()?;
        check_operator_name(&request.admin_name)?;
        let backup = request.backup.as_ref().map(of).transpose()?;
        let ca = match (&request.acme, backup) {
            (Some(acme), None) => Some((ca::named(acme)?, ca::external_account(acme)?)),
            (None, Some(_)) => None,
            (None, None) => return Err(FormError::NoAcme),
            (Some(_), Some(_)) => {
                return Err(FormError::Invalid("the CAs of a backup come with it"));
            }
        };
        let origin = match request.origin.as_str() {
            "" => None,
            url => Some(url.parse::<Origin>()?),
        };
        let admin_public_key = proven_key(&request.csr)?;
        let draft = Draft::new(now, entropy)?;
        let founder_certificate = draft.certify_founder(entropy)?;
        let names = OperatorNames {
            id: FIRST_OPERATOR,
            name: &request.admin_name,
            role: OperatorRole::Admin,
        };
        let admin_certificate =
            draft
                .signing
                .sign_operator(draft.cluster, &names, &admin_public_key, now, entropy)?;
        let bound = |(mut ca, account): (Ca, Option<ca::Known>)| {
            if let Some(known) = account {
                let context = SealContext::ExternalAccountKey(ca.name.clone());
                let hmac = draft.seal_control(&context, known.hmac.expose(), entropy)?;
                let key_id = known.key_id;
                ca.external_account = Some(ExternalAccount { key_id, hmac });
            }
            Ok::<_, FormError>(ca)
        };
        let ca = ca.map(bound).transpose()?;
        let found = Found {
            cluster_id: draft.cluster,
            authority: draft.authority(entropy)?,
            founder: draft.founder(facts),
            founder_certificate: founder_certificate.clone(),
            data_keys: draft.data_keys()?,
            admin_name: request.admin_name.clone(),
            admin_public_key,
            admin_certificate,
            ca,
            zone: ZoneSettings::default(),
            origin,
            backup,
        };
        Ok(Self {
            identity: draft.into_identity(facts, founder_certificate),
            found,
        })
    }

    /// The first command.
    pub fn change(&self) -> Change {
        Change::Found(Box::new(self.found.clone()))
    }
}

/// What a cluster is to begin with, as the manifest of a backup says.
fn of(manifest: &Manifest) -> Result<BackupOf, FormError> {
    let id = |text: &str| text.parse::<ClusterId>();
    let unusable = |_| FormError::Invalid("the backup's manifest names no cluster");
    let taken_at = manifest.taken_at.unwrap_or_default();
    let seconds = u64::try_from(taken_at.seconds).unwrap_or_default();
    Ok(BackupOf {
        cluster: id(&manifest.cluster_id).map_err(unusable)?,
        names: id(&manifest.names_id).map_err(unusable)?,
        index: Index(manifest.index),
        taken_at: Timestamp(seconds.saturating_mul(1000)),
    })
}

/// The answer to whoever asked for the cluster, once its first command is applied.
/// `None` if the request's key is not the first administrator's: somebody else
/// formed it.
///
/// Asking again with the same key is answered again, so that a lost answer costs
/// nothing.
pub fn answer(state: &State, csr: &[u8], admin_address: &str) -> Option<wire::InitReply> {
    let operator = state.operator(FIRST_OPERATOR)?;
    if proven_key(csr).ok()? != operator.public_key {
        return None;
    }
    let certificate = operator.certificate.as_ref()?;
    Some(wire::InitReply {
        cluster_id: state.cluster_id()?.to_string(),
        node_id: FOUNDER.0,
        credential: Some(wire::Credential {
            certificate_chain: vec![certificate.leaf.clone(), certificate.issuing.clone()],
            root: state.authority()?.root.clone(),
            name: operator.name.clone(),
            role: operator.role.as_str().to_owned(),
            not_after_ms: i64::try_from(certificate.not_after.as_millis()).unwrap_or(i64::MAX),
        }),
        admin_address: admin_address.to_owned(),
    })
}

/// All that is drawn, before it is put in its places.
struct Draft {
    cluster: ClusterId,
    now: Timestamp,
    root: MadeAuthority,
    issuing: MadeAuthority,
    signing: SigningAuthority,
    keys: NodeKeys,
    serving: KeyBytes,
    control: KeyBytes,
}

impl Draft {
    fn new(now: Timestamp, entropy: &dyn Entropy) -> Result<Self, FormError> {
        let cluster = ClusterId(random(entropy));
        let root = MadeAuthority::root(cluster, now, entropy)?;
        let issuing = MadeAuthority::issuing(&root.signing()?, cluster, now, entropy)?;
        Ok(Self {
            cluster,
            now,
            signing: issuing.signing()?,
            root,
            issuing,
            keys: NodeKeys::generate()?,
            serving: KeyBytes::generate(entropy),
            control: KeyBytes::generate(entropy),
        })
    }

    fn certify_founder(&self, entropy: &dyn Entropy) -> Result<IssuedCertificate, AuthorityError> {
        let key = self.keys.public_key();
        self.signing
            .sign_node(self.cluster, FOUNDER, &key, self.now, entropy)
    }

    fn authority(&self, entropy: &dyn Entropy) -> Result<Authority, FormError> {
        let seal = |context: SealContext, made: &MadeAuthority| -> Result<Sealed, FormError> {
            self.seal_control(&context, &made.key.to_pkcs8(), entropy)
        };
        Ok(Authority {
            root: self.root.certificate.clone(),
            root_key: seal(SealContext::RootKey, &self.root)?,
            issuing: self.issuing.certificate.clone(),
            issuing_key: seal(SealContext::IssuingKey, &self.issuing)?,
            issuing_not_after: self.issuing.not_after,
            issuing_renew_at: self.issuing.renew_at,
        })
    }

    fn seal_control(
        &self,
        context: &SealContext,
        secret: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Sealed, FormError> {
        let which = (KeyPurpose::Control, 1);
        Ok(self
            .control
            .seal(which, self.cluster, context, secret, entropy)?)
    }

    fn founder(&self, facts: &NodeFacts) -> Newcomer {
        Newcomer {
            name: facts.name.clone(),
            peer_address: facts.peer_address.clone(),
            admin_address: facts.admin_address.clone(),
            public_key: self.keys.public_key().into(),
            hpke_public_key: Bytes::copy_from_slice(self.keys.hpke.public()),
        }
    }

    fn data_keys(&self) -> Result<Vec<state::DataKey>, HpkeError> {
        let keys = [
            (KeyPurpose::Serving, &self.serving),
            (KeyPurpose::Control, &self.control),
        ];
        let first = |(purpose, key)| {
            let label = Label {
                cluster: self.cluster,
                purpose,
                generation: 1,
                node: FOUNDER,
            };
            first_data_key(label, self.keys.hpke.public(), key, self.now)
        };
        keys.into_iter().map(first).collect()
    }

    fn into_identity(self, facts: &NodeFacts, certificate: IssuedCertificate) -> Identity {
        Identity {
            public: Public {
                cluster: self.cluster,
                node: FOUNDER,
                name: facts.name.clone(),
                root: self.root.certificate,
                chain: vec![certificate.leaf, certificate.issuing],
                seeds: Vec::new(),
                took_part: false,
            },
            keys: self.keys,
            data_keys: DataKeys::from([
                ((KeyPurpose::Serving, 1), self.serving),
                ((KeyPurpose::Control, 1), self.control),
            ]),
        }
    }
}

#[cfg(test)]
mod tests;
