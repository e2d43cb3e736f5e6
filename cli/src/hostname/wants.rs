//! What a hostname is to have.

use anyhow::Result;
use proto::admin::v1::{self as wire, UpdateHostnameRequest, UpdateHostnameTrafficRequest};

use super::resource;
use crate::{
    arguments::{AddHostname, Challenge, Keys, SetHostname},
    ca,
    connect::Session,
    shape::hostname::Hostname,
    traffic,
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

/// Changes what was told, and leaves the rest: first what it is to have, then how its
/// traffic is served.
pub(super) async fn set(session: &Session, asked: SetHostname) -> Result<Hostname> {
    let traffic = traffic::changed(asked.traffic.clone())?;
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
    let doing = format!("change {}", asked.hostname);
    let mut client = session.hostnames();
    let mut revision = asked.revision;
    let mut done = None;
    if !paths.is_empty() {
        let request = UpdateHostnameRequest {
            name: resource(&asked.hostname),
            wants: Some(wants),
            update_mask: Some(prost_types::FieldMask { paths }),
            revision,
        };
        let call = client.update_hostname(request);
        let changed = session.write(&doing, call).await?;
        // Whoever named one means that nobody else has changed it.
        if revision != 0 {
            revision = changed.revision;
        }
        done = Some(changed);
    }
    if let Some((traffic, mask)) = traffic {
        let request = UpdateHostnameTrafficRequest {
            name: resource(&asked.hostname),
            traffic: Some(traffic),
            update_mask: Some(mask),
            revision,
        };
        let call = client.update_hostname_traffic(request);
        done = Some(session.write(&doing, call).await?);
    }
    // The arguments have at least one of both.
    Ok(Hostname::from(done.unwrap_or_default()))
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
