//! Between the shapes of the wire and the values of the domain: orders and what comes of
//! them.

use super::{
    DecodeError,
    convert::{bytes_of, certificate_id, chain_id, field},
    issuance::challenge_kind,
    wire,
};
use crate::{
    Evidence, Placed, Stage, Timestamp,
    command::CertificateParts,
    order::{PlacedAuthorization, PlacedChallenge},
};

type Result<T> = std::result::Result<T, DecodeError>;

impl From<&CertificateParts> for wire::CertificateParts {
    fn from(parts: &CertificateParts) -> Self {
        Self {
            id: bytes_of(&parts.id.0),
            leaf: parts.leaf.clone(),
            chain_id: bytes_of(&parts.chain_id.0),
            chain: parts.chain.clone(),
            issuer: parts.issuer.clone(),
            serial: parts.serial.clone(),
            not_before: parts.not_before.0,
            not_after: parts.not_after.0,
        }
    }
}

impl TryFrom<wire::CertificateParts> for CertificateParts {
    type Error = DecodeError;

    fn try_from(parts: wire::CertificateParts) -> Result<Self> {
        Ok(Self {
            id: certificate_id(&parts.id)?,
            leaf: parts.leaf,
            chain_id: chain_id(&parts.chain_id)?,
            chain: parts.chain,
            issuer: parts.issuer,
            serial: parts.serial,
            not_before: Timestamp(parts.not_before),
            not_after: Timestamp(parts.not_after),
        })
    }
}

impl From<&Placed> for wire::Placed {
    fn from(placed: &Placed) -> Self {
        let authorization = |authorization: &PlacedAuthorization| wire::PlacedAuthorization {
            url: authorization.url.clone(),
            challenge: authorization
                .challenge
                .as_ref()
                .map(|challenge| wire::PlacedChallenge {
                    kind: challenge.kind.as_str().to_owned(),
                    url: challenge.url.clone(),
                    token: challenge.token.clone(),
                }),
        };
        Self {
            url: placed.url.clone(),
            finalize_url: placed.finalize_url.clone(),
            authorizations: placed.authorizations.iter().map(authorization).collect(),
            expires: placed.expires.map(|at| at.0),
        }
    }
}

impl TryFrom<wire::Placed> for Placed {
    type Error = DecodeError;

    fn try_from(placed: wire::Placed) -> Result<Self> {
        let challenge = |challenge: wire::PlacedChallenge| -> Result<PlacedChallenge> {
            Ok(PlacedChallenge {
                kind: challenge_kind(&challenge.kind)?,
                url: challenge.url,
                token: challenge.token,
            })
        };
        let authorization = |authorization: wire::PlacedAuthorization| {
            Ok(PlacedAuthorization {
                url: authorization.url,
                challenge: authorization.challenge.map(challenge).transpose()?,
            })
        };
        let authorizations = placed.authorizations.into_iter().map(authorization);
        Ok(Self {
            url: placed.url,
            finalize_url: placed.finalize_url,
            authorizations: authorizations.collect::<Result<_>>()?,
            expires: placed.expires.map(Timestamp),
        })
    }
}

pub(super) fn stage_to(stage: &Stage) -> (wire::Stage, Option<wire::Placed>) {
    let kind = match stage {
        Stage::Admitted => wire::Stage::Admitted,
        Stage::Prepared(_) => wire::Stage::Prepared,
        Stage::ReadyIntent(_) => wire::Stage::ReadyIntent,
        Stage::FinalizeIntent(_) => wire::Stage::FinalizeIntent,
    };
    (kind, stage.placed().map(wire::Placed::from))
}

pub(super) fn stage_from(kind: i32, placed: Option<wire::Placed>) -> Result<Stage> {
    let placed = || -> Result<Placed> { field(placed, "placed")?.try_into() };
    Ok(match wire::Stage::try_from(kind) {
        Ok(wire::Stage::Admitted) => Stage::Admitted,
        Ok(wire::Stage::Prepared) => Stage::Prepared(placed()?),
        Ok(wire::Stage::ReadyIntent) => Stage::ReadyIntent(placed()?),
        Ok(wire::Stage::FinalizeIntent) => Stage::FinalizeIntent(placed()?),
        Ok(wire::Stage::Unspecified) | Err(_) => return Err(DecodeError::Unknown("stage")),
    })
}

impl From<Evidence> for wire::Evidence {
    fn from(evidence: Evidence) -> Self {
        match evidence {
            Evidence::NeverPlaced => Self::NeverPlaced,
            Evidence::Invalid => Self::Invalid,
            Evidence::Gone => Self::Gone,
            Evidence::Withdrawn => Self::Withdrawn,
            Evidence::Unusable => Self::Unusable,
            Evidence::Superseded => Self::Superseded,
        }
    }
}

pub(super) fn evidence(value: i32) -> Result<Evidence> {
    Ok(match wire::Evidence::try_from(value) {
        Ok(wire::Evidence::NeverPlaced) => Evidence::NeverPlaced,
        Ok(wire::Evidence::Invalid) => Evidence::Invalid,
        Ok(wire::Evidence::Gone) => Evidence::Gone,
        Ok(wire::Evidence::Withdrawn) => Evidence::Withdrawn,
        Ok(wire::Evidence::Unusable) => Evidence::Unusable,
        Ok(wire::Evidence::Superseded) => Evidence::Superseded,
        Ok(wire::Evidence::Unspecified) | Err(_) => return Err(DecodeError::Unknown("evidence")),
    })
}
