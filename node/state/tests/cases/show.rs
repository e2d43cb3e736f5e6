//! Values as the scripts write them.

mod issuance;

use std::time::Duration;

use state::{
    Done, Due, FeatureLevel, InvitationId, KeyAlgorithm, KeyPurpose, NodeId, OperatorId, OrderId,
    Outcome, Refusal, State, Timestamp, codec::record::kind, invitation::Became, testing,
};

pub(crate) use issuance::ledger;

/// `T` is where scripts begin.
pub(crate) fn moment(at: Timestamp) -> String {
    if at < testing::START {
        return format!("T-{}", duration(testing::START.since(at)));
    }
    if at == Timestamp(u64::MAX) {
        return "never".to_owned();
    }
    match at.since(testing::START) {
        Duration::ZERO => "T".to_owned(),
        since => format!("T+{}", duration(since)),
    }
}

fn duration(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let mut text = String::new();
    for (unit, seconds) in [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)] {
        if rest >= seconds {
            text.push_str(&format!("{}{unit}", rest / seconds));
            rest %= seconds;
        }
    }
    text
}

/// `15m`, `90d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is no duration");
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    Ok(Duration::from_secs(number * seconds))
}

/// Bytes that were text, padded with zeros.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// `a, b` or `none`.
pub(crate) fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() {
        "none".to_owned()
    } else {
        items.join(", ")
    }
}

pub(crate) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done(Done::Nothing) => "done".to_owned(),
        Outcome::Done(Done::Unchanged) => "unchanged".to_owned(),
        Outcome::Done(Done::Node(id)) => format!("node {id}"),
        Outcome::Done(Done::Operator(id)) => format!("operator {id}"),
        Outcome::Done(Done::Invitation(id)) => format!("invitation {id}"),
        Outcome::Done(Done::Order(id)) => format!("order {id}"),
        // Its own words count milliseconds.
        Outcome::Refused(Refusal::Limited { limit, until }) => {
            format!("refused: limit {limit} until {}", moment(*until))
        }
        Outcome::Refused(refusal) => format!("refused: {refusal}"),
    }
}

pub(crate) fn due((at, due): &(Timestamp, Due)) -> String {
    let what = match due {
        Due::Order(hostname, KeyAlgorithm::Ecdsa) => format!("order {hostname}"),
        Due::Order(hostname, KeyAlgorithm::Rsa) => format!("order {hostname} with rsa"),
        Due::Check(hostname) => format!("check {hostname}"),
        Due::Contest(hostname) => format!("contest {hostname}"),
        Due::Revoke(id) => format!("revoke {}", text(&id.0)),
        Due::Bury(hostname) => format!("bury {hostname}"),
        Due::Forget(id) => format!("forget {}", text(&id.0)),
        Due::Sweep(id) => format!("sweep invitation {id}"),
    };
    format!("{} {what}", moment(*at))
}

fn number(id: &[u8]) -> u64 {
    u64::from_be_bytes(id.try_into().expect("an id of eight bytes"))
}

/// A record's kind and id.
pub(crate) fn record_name(key: &[u8]) -> String {
    let (kind, id) = key.split_first().expect("a key");
    match *kind {
        kind::CLUSTER => "cluster".to_owned(),
        kind::AUTHORITY => "authority".to_owned(),
        kind::CA => format!("ca {}", text(id)),
        kind::BUCKET => {
            let words: Vec<_> = id.split(|byte| *byte == 0).map(text).collect();
            let key = words.last().filter(|key| !key.is_empty());
            format!(
                "bucket {} {} {}",
                words[0],
                words[1],
                key.map_or("-", |key| key)
            )
        }
        kind::TOMBSTONE => format!("tombstone {}", text(id)),
        kind::ZONE => "zone".to_owned(),
        kind::MEMBER => format!("member {}", number(id)),
        kind::REMOVED => format!("removed {}", number(id)),
        kind::OPERATOR => format!("operator {}", number(id)),
        kind::INVITATION => format!("invitation {}", number(id)),
        kind::DATA_KEY => {
            let (purpose, generation) = id.split_at(id.len() - 4);
            let generation = u32::from_be_bytes(generation.try_into().expect("four bytes"));
            format!("data-key {} {generation}", text(purpose))
        }
        kind::CERTIFICATE => format!("certificate {}", text(id)),
        kind::ORDER => format!("order {}", number(id)),
        kind::HOSTNAME => format!("hostname {}", text(id)),
        other => panic!("a record of kind {other:#x}"),
    }
}

/// A record as the state has it.
pub(crate) fn record(state: &State, key: &[u8]) -> String {
    let (kind, id) = key.split_first().expect("a key");
    let name = record_name(key);
    let value = match *kind {
        kind::CLUSTER => cluster(state),
        kind::AUTHORITY => authority(state),
        kind::CA => issuance::ca(state, &text(id)),
        kind::BUCKET => issuance::bucket(state, id),
        kind::TOMBSTONE => issuance::tombstone(state, &text(id)),
        kind::ZONE => issuance::zone(state),
        kind::MEMBER => member(state, NodeId(number(id))),
        kind::REMOVED => removed(state, NodeId(number(id))),
        kind::OPERATOR => operator(state, OperatorId(number(id))),
        kind::INVITATION => invitation(state, InvitationId(number(id))),
        kind::DATA_KEY => data_key(state, id),
        kind::CERTIFICATE => issuance::certificate(state, id),
        kind::ORDER => issuance::order(state, OrderId(number(id))),
        kind::HOSTNAME => issuance::hostname(state, &text(id)),
        other => panic!("a record of kind {other:#x}"),
    };
    format!("{name}: {}", value.expect("what was written is there"))
}

fn optional<T>(name: &str, value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(String::new, |value| format!(" {name} {}", show(value)))
}

fn cluster(state: &State) -> Option<String> {
    let epoch = state.epoch();
    Some(format!(
        "{} epoch {} term {} node {}{}{}",
        state.cluster_id()?,
        epoch.number,
        epoch.term,
        epoch.node,
        optional("paused by", state.pause(), |pause| format!(
            "{} since {}: {}",
            pause.by,
            moment(pause.since),
            pause.reason
        )),
        optional(
            "level",
            Some(state.level()).filter(|level| *level > FeatureLevel::FIRST),
            |level| level.to_string()
        )
    ))
}

fn authority(state: &State) -> Option<String> {
    let authority = state.authority()?;
    Some(format!(
        "issuing {} until {} renew {}",
        text(&authority.issuing),
        moment(authority.issuing_not_after),
        moment(authority.issuing_renew_at)
    ))
}

fn member(state: &State, id: NodeId) -> Option<String> {
    let member = state.member(id)?;
    let certificate = member.certificate.as_ref();
    Some(format!(
        "{} at {} joined {}{}{}{}{}",
        member.name,
        member.peer_address,
        moment(member.joined_at),
        optional("by invitation", member.invitation, |id| id.to_string()),
        optional("as machine", member.machine.as_ref(), String::clone),
        optional("certified until", certificate, |certificate| moment(
            certificate.not_after
        )),
        if member.leaving { " leaving" } else { "" }
    ))
}

fn removed(state: &State, id: NodeId) -> Option<String> {
    let removed = state.removed().find(|removed| removed.id == id)?;
    Some(format!(
        "{} removed {} at index {}{}",
        removed.name,
        moment(removed.removed_at),
        removed.removed,
        optional("as machine", removed.machine.as_ref(), String::clone)
    ))
}

fn operator(state: &State, id: OperatorId) -> Option<String> {
    let operator = state.operator(id)?;
    let certificate = operator.certificate.as_ref();
    Some(format!(
        "{} {} key {}{}{}",
        operator.role,
        operator.name,
        text(&operator.public_key),
        optional("by invitation", operator.invitation, |id| id.to_string()),
        optional("certified until", certificate, |certificate| moment(
            certificate.not_after
        )),
    ))
}

fn invitation(state: &State, id: InvitationId) -> Option<String> {
    let invitation = state.invitation(id)?;
    let redemption = invitation.redemption.as_ref();
    Some(format!(
        "{} by {} until {}{}{}",
        invitation.role,
        invitation.created_by,
        moment(invitation.expires_at),
        if invitation.revoked { " revoked" } else { "" },
        optional("spent by", redemption, |redemption| {
            match redemption.became {
                Became::Node(node) => format!("node {node}"),
                Became::Operator(operator) => format!("operator {operator}"),
            }
        })
    ))
}

fn data_key(state: &State, id: &[u8]) -> Option<String> {
    let (purpose, generation) = id.split_at(id.len() - 4);
    let purpose = KeyPurpose::parse(&text(purpose))?;
    let generation = u32::from_be_bytes(generation.try_into().ok()?);
    let mut keys = state.data_keys();
    let key = keys.find(|key| key.purpose == purpose && key.generation == generation)?;
    Some(format!(
        "for {} created at index {}",
        list(key.sealed_for.keys().map(|node| node.to_string())),
        key.created
    ))
}

/// What a body is.
pub(crate) fn body_name(key: &[u8]) -> String {
    let (kind, id) = key.split_first().expect("a key");
    match kind {
        b'c' => {
            let (id, under) = id.split_at(32);
            // The first generation goes without saying.
            let under = match under {
                [] | [0, 0, 0, 1] => String::new(),
                [.., under] => format!(" under {under}"),
            };
            format!("certificate {}{under}", text(id))
        }
        b'i' => format!("chain {}", text(id)),
        b'e' => {
            let (name, number) = id.split_at(id.len() - 5);
            let number = u32::from_be_bytes(number[1..].try_into().expect("four bytes"));
            format!("event {} {number}", text(name))
        }
        other => panic!("a body of kind {other:#x}"),
    }
}
