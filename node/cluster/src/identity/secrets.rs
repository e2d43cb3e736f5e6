//! The secret part of an identity as bytes, before it is wrapped. Written into one
//! buffer of the right size, so that no half-written copy is left in memory.

use std::sync::Arc;

use enroll::PrivateKey;
use state::KeyPurpose;
use zeroize::Zeroizing;

use super::{DataKeys, NodeKeys};
use crate::{data_key::KeyBytes, hpke};

/// Writes keys and data keys.
pub(super) fn write(keys: &NodeKeys, data_keys: &DataKeys) -> Zeroizing<Vec<u8>> {
    let tls = keys.tls.to_pkcs8();
    let parts = [&tls[..], keys.hpke.public(), keys.hpke.expose_private()];
    let length = parts.iter().map(|part| 4 + part.len()).sum::<usize>() + data_keys.len() * 37;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    for ((purpose, generation), key) in data_keys {
        bytes.push(code(*purpose));
        bytes.extend_from_slice(&generation.to_be_bytes());
        bytes.extend_from_slice(key.expose());
    }
    bytes
}

/// Reads what [`write`] wrote.
pub(super) fn read(mut bytes: &[u8]) -> Option<(NodeKeys, DataKeys)> {
    let tls = part(&mut bytes)?;
    let (public, private) = (part(&mut bytes)?, part(&mut bytes)?);
    let keys = NodeKeys {
        tls: Arc::new(PrivateKey::from_pkcs8(tls).ok()?),
        hpke: hpke::KeyPair::from_parts(public, private),
    };
    let mut data_keys = DataKeys::new();
    while !bytes.is_empty() {
        let purpose = purpose(take(&mut bytes, 1)?[0])?;
        let generation = u32::from_be_bytes(take(&mut bytes, 4)?.try_into().ok()?);
        let key = KeyBytes::from_slice(take(&mut bytes, 32)?)?;
        data_keys.insert((purpose, generation), key);
    }
    Some((keys, data_keys))
}

fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(take(bytes, 4)?.try_into().ok()?);
    take(bytes, usize::try_from(length).ok()?)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

fn code(purpose: KeyPurpose) -> u8 {
    match purpose {
        KeyPurpose::Serving => 1,
        KeyPurpose::Control => 2,
    }
}

fn purpose(code: u8) -> Option<KeyPurpose> {
    match code {
        1 => Some(KeyPurpose::Serving),
        2 => Some(KeyPurpose::Control),
        _ => None,
    }
}
