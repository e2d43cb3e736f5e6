//! What the larger commands carry.

use bytes::Bytes;

use crate::{
    BackupOf, Index, OrderId, Restored, Restoring, Sealed, Timestamp,
    codec::{
        DecodeError,
        convert::{array, bytes_of, certificate_id, cluster_id, field, hostname},
        issuance::{algorithm, budget, ca_name, tenant, token},
        load, record, wire,
    },
    command::{Admit, Authorize, Found, Install, Reseal, ResealCertificate, Restore, Upload},
};

impl From<&Found> for wire::Found {
    fn from(found: &Found) -> Self {
        Self {
            cluster_id: bytes_of(&found.cluster_id.0),
            authority: Some((&found.authority).into()),
            founder: Some((&found.founder).into()),
            founder_certificate: Some((&found.founder_certificate).into()),
            data_keys: found.data_keys.iter().map(Into::into).collect(),
            admin_name: found.admin_name.clone(),
            admin_public_key: found.admin_public_key.clone(),
            admin_certificate: Some((&found.admin_certificate).into()),
            ca: found.ca.as_ref().map(Into::into),
            zone: Some((&found.zone).into()),
            origin: found.origin.as_ref().map(Into::into),
            backup: found.backup.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<wire::Found> for Found {
    type Error = DecodeError;

    fn try_from(found: wire::Found) -> Result<Self, DecodeError> {
        Ok(Self {
            cluster_id: cluster_id(&found.cluster_id)?,
            authority: field(found.authority, "authority")?.try_into()?,
            founder: field(found.founder, "founder")?.into(),
            founder_certificate: field(found.founder_certificate, "founder_certificate")?.into(),
            data_keys: found
                .data_keys
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            admin_name: found.admin_name,
            admin_public_key: found.admin_public_key,
            admin_certificate: field(found.admin_certificate, "admin_certificate")?.into(),
            ca: found.ca.map(TryInto::try_into).transpose()?,
            zone: field(found.zone, "zone")?.try_into()?,
            origin: found.origin.map(TryInto::try_into).transpose()?,
            backup: found.backup.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<&BackupOf> for wire::BackupOf {
    fn from(of: &BackupOf) -> Self {
        Self {
            cluster: bytes_of(&of.cluster.0),
            names: bytes_of(&of.names.0),
            index: of.index.0,
            taken_at: of.taken_at.0,
        }
    }
}

impl TryFrom<wire::BackupOf> for BackupOf {
    type Error = DecodeError;

    fn try_from(of: wire::BackupOf) -> Result<Self, DecodeError> {
        Ok(Self {
            cluster: cluster_id(&of.cluster)?,
            names: cluster_id(&of.names)?,
            index: Index(of.index),
            taken_at: Timestamp(of.taken_at),
        })
    }
}

impl From<&Restored> for wire::Restored {
    fn from(restored: &Restored) -> Self {
        Self {
            of: Some((&restored.of).into()),
            claim: restored.claim.0,
            progress: restored.progress.as_str().to_owned(),
        }
    }
}

impl TryFrom<wire::Restored> for Restored {
    type Error = DecodeError;

    fn try_from(restored: wire::Restored) -> Result<Self, DecodeError> {
        let progress = Restoring::parse(&restored.progress);
        Ok(Self {
            of: field(restored.of, "of")?.try_into()?,
            claim: Index(restored.claim),
            progress: progress.ok_or(DecodeError::Unknown("progress of a restore"))?,
        })
    }
}

impl From<&Restore> for wire::Restore {
    fn from(part: &Restore) -> Self {
        let pairs = |pairs: &[(Bytes, Bytes)]| {
            let pair = |(key, value): &(Bytes, Bytes)| wire::Pair {
                key: key.clone(),
                value: value.clone(),
            };
            pairs.iter().map(pair).collect()
        };
        Self {
            records: pairs(&part.records),
            bodies: pairs(&part.bodies),
        }
    }
}

impl From<wire::Restore> for Restore {
    fn from(part: wire::Restore) -> Self {
        let pairs = |pairs: Vec<wire::Pair>| {
            let pair = |pair: wire::Pair| (pair.key, pair.value);
            pairs.into_iter().map(pair).collect()
        };
        Self {
            records: pairs(part.records),
            bodies: pairs(part.bodies),
        }
    }
}

impl From<&Reseal> for wire::Reseal {
    fn from(reseal: &Reseal) -> Self {
        let secret = |(of, sealed): &([u8; 32], Sealed)| wire::Resealed {
            of: bytes_of(of),
            sealed: Some(sealed.into()),
        };
        Self {
            holder: record::holder_key(&reseal.holder).into(),
            secrets: reseal.secrets.iter().map(secret).collect(),
        }
    }
}

impl TryFrom<wire::Reseal> for Reseal {
    type Error = DecodeError;

    fn try_from(reseal: wire::Reseal) -> Result<Self, DecodeError> {
        let secret = |it: wire::Resealed| {
            let sealed = field(it.sealed, "sealed")?.try_into()?;
            Ok((array(&it.of, "of")?, sealed))
        };
        Ok(Self {
            holder: load::holder(&reseal.holder)?,
            secrets: reseal
                .secrets
                .into_iter()
                .map(secret)
                .collect::<Result<_, DecodeError>>()?,
        })
    }
}

impl From<&ResealCertificate> for wire::ResealCertificate {
    fn from(reseal: &ResealCertificate) -> Self {
        Self {
            id: bytes_of(&reseal.id.0),
            leaf: reseal.leaf.clone(),
            key: Some((&reseal.key).into()),
        }
    }
}

impl TryFrom<wire::ResealCertificate> for ResealCertificate {
    type Error = DecodeError;

    fn try_from(reseal: wire::ResealCertificate) -> Result<Self, DecodeError> {
        Ok(Self {
            id: certificate_id(&reseal.id)?,
            leaf: reseal.leaf,
            key: field(reseal.key, "key")?.try_into()?,
        })
    }
}

impl From<&Authorize> for wire::Authorize {
    fn from(authorize: &Authorize) -> Self {
        Self {
            hostname: authorize.hostname.as_str().to_owned(),
            tenant: authorize.tenant.as_str().to_owned(),
            token: bytes_of(&authorize.token.0),
            wants: Some((&authorize.wants).into()),
            on_demand: authorize.on_demand,
        }
    }
}

impl TryFrom<wire::Authorize> for Authorize {
    type Error = DecodeError;

    fn try_from(authorize: wire::Authorize) -> Result<Self, DecodeError> {
        Ok(Self {
            hostname: hostname(&authorize.hostname)?,
            tenant: tenant(&authorize.tenant)?,
            token: token(&authorize.token)?,
            wants: field(authorize.wants, "wants")?.try_into()?,
            on_demand: authorize.on_demand,
        })
    }
}

impl From<&Admit> for wire::AdmitOrder {
    fn from(admit: &Admit) -> Self {
        Self {
            hostname: admit.hostname.as_str().to_owned(),
            claim: admit.claim.0,
            key: Some((&admit.key).into()),
            csr: admit.csr.clone(),
            ca: admit.ca.as_str().to_owned(),
            algorithm: admit.algorithm.as_str().to_owned(),
            profile: admit.profile.clone(),
            replaces: admit.replaces.clone(),
            budget: admit.budget.as_str().to_owned(),
            domain: admit.domain.clone(),
        }
    }
}

impl TryFrom<wire::AdmitOrder> for Admit {
    type Error = DecodeError;

    fn try_from(admit: wire::AdmitOrder) -> Result<Self, DecodeError> {
        Ok(Self {
            hostname: hostname(&admit.hostname)?,
            claim: Index(admit.claim),
            ca: ca_name(&admit.ca)?,
            algorithm: algorithm(&admit.algorithm)?,
            profile: admit.profile,
            replaces: admit.replaces,
            budget: budget(&admit.budget)?,
            domain: admit.domain,
            key: field(admit.key, "key")?.try_into()?,
            csr: admit.csr,
        })
    }
}

impl From<&Upload> for wire::Upload {
    fn from(upload: &Upload) -> Self {
        Self {
            hostname: upload.hostname.as_str().to_owned(),
            wildcard: upload.wildcard,
            algorithm: upload.algorithm.as_str().to_owned(),
            key: upload.key.as_ref().map(Into::into),
            parts: Some((&upload.parts).into()),
            move_at: upload.move_at.map(|at| at.0),
            revision: upload.revision.map(|index| index.0),
        }
    }
}

impl TryFrom<wire::Upload> for Upload {
    type Error = DecodeError;

    fn try_from(upload: wire::Upload) -> Result<Self, DecodeError> {
        Ok(Self {
            hostname: hostname(&upload.hostname)?,
            wildcard: upload.wildcard,
            algorithm: algorithm(&upload.algorithm)?,
            key: upload.key.map(TryInto::try_into).transpose()?,
            parts: field(upload.parts, "parts")?.try_into()?,
            move_at: upload.move_at.map(Timestamp),
            revision: upload.revision.map(Index),
        })
    }
}

impl From<&Install> for wire::Install {
    fn from(install: &Install) -> Self {
        Self {
            order: install.order.0,
            parts: Some((&install.parts).into()),
            renew_at: install.renew_at.0,
        }
    }
}

impl TryFrom<wire::Install> for Install {
    type Error = DecodeError;

    fn try_from(install: wire::Install) -> Result<Self, DecodeError> {
        Ok(Self {
            order: OrderId(install.order),
            parts: field(install.parts, "parts")?.try_into()?,
            renew_at: Timestamp(install.renew_at),
        })
    }
}
