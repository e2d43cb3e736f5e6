//! Versioned bytes of everything that is stored or sent.
//!
//! The first byte is the version, [`VERSION`]; protobuf follows. Unknown
//! versions, kinds, variants and fields are errors and never skipped: a replica that does
//! not know a command must halt rather than diverge. The shapes are in `wire.rs` and
//! below it; `tests/frozen` keeps the bytes of every released version readable.

mod command;
mod convert;
mod issuance;
mod load;
mod loader;
mod order;
mod outcome;
pub mod record;
mod traffic;
mod wire;

pub use loader::Loader;

use bytes::Bytes;
use prost::Message;

use crate::{Batch, CertificateBody, Change, Event, Outcome, Sealed};

/// The version that is written.
pub const VERSION: u8 = 1;

/// Why bytes could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nothing there.
    #[error("the bytes are empty")]
    Empty,
    /// Written by a newer program.
    #[error("the bytes are of version {0}, which this program does not know: was it downgraded?")]
    Version(u8),
    /// Not protobuf.
    #[error("the bytes are damaged: {0}")]
    Protobuf(String),
    /// A field has no value or one outside of its bounds.
    #[error("the field {0} is missing or out of bounds")]
    Field(&'static str),
    /// Written by a newer program.
    #[error("a {0} of a kind that this program does not know: was it downgraded?")]
    Unknown(&'static str),
}

fn versioned(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + message.encoded_len());
    bytes.push(VERSION);
    message.encode_raw(&mut bytes);
    bytes
}

fn unversioned<M: Message + Default>(bytes: &[u8]) -> Result<M, DecodeError> {
    let (version, rest) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if *version != VERSION {
        return Err(DecodeError::Version(*version));
    }
    let message = M::decode(rest).map_err(|error| DecodeError::Protobuf(error.to_string()))?;
    // Protobuf skips fields that it does not know; a replica must not.
    if message.encoded_len() == rest.len() {
        Ok(message)
    } else {
        Err(DecodeError::Unknown("field"))
    }
}

/// A log entry's bytes.
pub fn batch_to(batch: &Batch) -> Vec<u8> {
    versioned(&wire::Batch {
        commands: batch.commands.iter().map(wire::Command::from).collect(),
    })
}

/// A log entry from its bytes.
pub fn batch_from(bytes: &[u8]) -> Result<Batch, DecodeError> {
    let batch: wire::Batch = unversioned(bytes)?;
    let commands = batch
        .commands
        .into_iter()
        .map(TryFrom::try_from)
        .collect::<Result<_, _>>()?;
    Ok(Batch { commands })
}

/// An unstamped change's bytes, as a follower sends it to the leader, and who
/// asked for it.
pub fn proposal_to(actor: &crate::Actor, change: &Change) -> Vec<u8> {
    versioned(&wire::Command {
        at: 0,
        actor: actor.as_str().to_owned(),
        duty: None,
        change: Some(wire::Change::from(change)),
    })
}

/// An unstamped change and who asked for it.
pub fn proposal_from(bytes: &[u8]) -> Result<(crate::Actor, Change), DecodeError> {
    let command: wire::Command = unversioned(bytes)?;
    let command = crate::Command::try_from(command)?;
    Ok((command.actor, command.change))
}

/// An outcome's bytes.
pub fn outcome_to(outcome: &Outcome) -> Vec<u8> {
    versioned(&wire::Outcome::from(outcome))
}

/// An outcome from its bytes.
pub fn outcome_from(bytes: &[u8]) -> Result<Outcome, DecodeError> {
    unversioned::<wire::Outcome>(bytes)?.try_into()
}

/// A certificate's own part: leaf and sealed key.
pub fn certificate_own_to(leaf: &Bytes, sealed_key: &Sealed) -> Vec<u8> {
    versioned(&wire::CertificateOwn {
        leaf: leaf.clone(),
        sealed_key: Some(sealed_key.into()),
    })
}

/// A certificate's own part from its bytes.
pub fn certificate_own_from(own: &[u8]) -> Result<(Bytes, Sealed), DecodeError> {
    let own: wire::CertificateOwn = unversioned(own)?;
    let sealed_key = own.sealed_key.ok_or(DecodeError::Field("sealed_key"))?;
    Ok((own.leaf, sealed_key.try_into()?))
}

/// An issuers' chain.
pub fn chain_to(chain: &[Bytes]) -> Vec<u8> {
    versioned(&wire::Chain {
        issuers: chain.to_vec(),
    })
}

/// A certificate's body from its two parts.
pub fn certificate_body(own: &[u8], issuers: &[u8]) -> Result<CertificateBody, DecodeError> {
    let (leaf, sealed_key) = certificate_own_from(own)?;
    let issuers: wire::Chain = unversioned(issuers)?;
    let mut chain = vec![leaf];
    chain.extend(issuers.issuers);
    Ok(CertificateBody { chain, sealed_key })
}

/// An event's bytes.
pub fn event_to(event: &Event) -> Vec<u8> {
    versioned(&wire::Event {
        at: event.at.0,
        kind: event.kind.as_str().to_owned(),
        detail: event.detail.clone(),
    })
}

/// An event from its bytes.
pub fn event_from(bytes: &[u8]) -> Result<Event, DecodeError> {
    let event: wire::Event = unversioned(bytes)?;
    let kind = crate::EventKind::ALL
        .iter()
        .find(|kind| kind.as_str() == event.kind);
    Ok(Event {
        at: crate::Timestamp(event.at),
        kind: *kind.ok_or(DecodeError::Unknown("event"))?,
        detail: event.detail,
    })
}
