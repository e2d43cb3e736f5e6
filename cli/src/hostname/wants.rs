//! What a hostname is to have.

use anyhow::Result;
use proto::admin::v1::{self as wire, UpdateHostnameRequest};

use super::resource;
use crate::{
    arguments::{AddHostname, Challenge, Keys, SetHostname},
    ca,
    connect::Session,
    shape::hostname::Hostname,
};

/// What new hostnames are to have.
pub(super) fn wanted(asked: &AddHostname) -> wire::Wants {
    wire::Wants {
        wildcard: asked.wildcard,
        keys: keys(asked.keys).into(),
        manual: asked.manual,
        ca: asked.ca.as_deref().map(of_ca).unwrap_or_default(),
        profile: asked.profile.clone().unwrap_or_default(),
        challenge: challenge(asked.challenge).into(),
    }
}

/// Changes what was told, and leaves the rest.
pub(super) async fn set(session: &Session, asked: SetHostname) -> Result<Hostname> {
    let mut wants = wire::Wants::default();
    let mut paths = Vec::new();
    let mut name = |field: &str| paths.push(field.to_owned());
    if let Some(wildcard) = asked.wildcard {
        wants.wildcard = wildcard;
        name("wildcard");
    }
    if let Some(choice) = asked.keys {
        wants.keys = keys(choice).into();
        name("keys");
    }
    if let Some(manual) = asked.manual {
        wants.manual = manual;
        name("manual");
    }
    if let Some(ca) = &asked.ca {
        wants.ca = of_ca(ca);
        name("ca");
    }
    if let Some(profile) = asked.profile {
        wants.profile = profile;
        name("profile");
    }
    if let Some(choice) = asked.challenge {
        wants.challenge = challenge(choice).into();
        name("challenge");
    }
    let request = UpdateHostnameRequest {
        name: resource(&asked.hostname),
        wants: Some(wants),
        update_mask: Some(prost_types::FieldMask { paths }),
        revision: asked.revision,
    };
    let doing = format!("change {}", asked.hostname);
    let mut client = session.hostnames();
    let done = session
        .write(&doing, client.update_hostname(request))
        .await?;
    Ok(Hostname::from(done))
}

/// An empty name stands for none.
fn of_ca(name: &str) -> String {
    match name {
        "" => String::new(),
        name => ca::resource(name),
    }
}

fn keys(keys: Keys) -> wire::KeyAlgorithms {
    match keys {
        Keys::Ecdsa => wire::KeyAlgorithms::Ecdsa,
        Keys::Rsa => wire::KeyAlgorithms::Rsa,
        Keys::Both => wire::KeyAlgorithms::Both,
    }
}

fn challenge(challenge: Challenge) -> wire::ChallengeKind {
    match challenge {
        Challenge::Auto => wire::ChallengeKind::Unspecified,
        Challenge::Http01 => wire::ChallengeKind::Http01,
        Challenge::TlsAlpn01 => wire::ChallengeKind::TlsAlpn01,
        Challenge::Dns01 => wire::ChallengeKind::Dns01,
    }
}
