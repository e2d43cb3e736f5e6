//! Lines of a script as commands.

pub(crate) mod cas;
pub(crate) mod hostnames;
mod orders;

use std::str::FromStr;

use bytes::Bytes;
use state::{
    Actor, CaName, CertificateId, Change, Command, FeatureLevel, Holder, HpkeSealed, Index,
    InvitationId, IssuedCertificate, KeyPurpose, NodeId, OperatorId, OrderId, Origin,
    OriginProtocol, Registration, Role, Rotation, Sealed, Term, Timestamp,
    command::{Reseal, ResealCertificate},
    testing,
};

use crate::{
    cluster::{Cluster, days},
    show,
};

/// A line cut into words: a name, places, and `name=value` in any order.
pub(crate) struct Words<'a> {
    places: Vec<&'a str>,
    named: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        let (mut places, mut named) = (Vec::new(), Vec::new());
        for word in line.split_whitespace() {
            match word.split_once('=') {
                Some(pair) => named.push(pair),
                None => places.push(word),
            }
        }
        Self { places, named }
    }

    pub(crate) fn name(&self) -> &'a str {
        self.places.first().copied().unwrap_or_default()
    }

    pub(crate) fn at(&self, place: usize) -> Result<&'a str, String> {
        let word = self.places.get(place).copied();
        word.ok_or_else(|| format!("`{}` lacks its word {place}", self.name()))
    }

    fn id<T: From<u64>>(&self, place: usize) -> Result<T, String> {
        number::<u64>(self.at(place)?).map(T::from)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.named.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    /// `name=yes`.
    fn is(&self, name: &str) -> bool {
        self.get(name) == Some("yes")
    }

    /// The moment `name=1h` from now on.
    fn moment(&self, name: &str, now: Timestamp) -> Result<Option<Timestamp>, String> {
        let later = self.get(name).map(show::parse_duration).transpose()?;
        Ok(later.map(|later| now.plus(later)))
    }

    fn revision(&self) -> Result<Option<Index>, String> {
        Ok(self.number("revision")?.map(Index))
    }

    /// The CA of that name, `test-ca` if none is named.
    pub(crate) fn ca(&self) -> Result<CaName, String> {
        self.get("ca").map_or(Ok(testing::ca_name()), ca_name)
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        self.get(name).map(number).transpose()
    }

    pub(crate) fn numbers(&self, name: &str) -> Result<Vec<u64>, String> {
        let list = self.get(name).unwrap_or_default();
        list.split(',')
            .filter(|one| !one.is_empty())
            .map(number)
            .collect()
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

/// The id that `testing::install` gives to a leaf of at most 32 bytes.
pub(crate) fn certificate_id(leaf: &str) -> CertificateId {
    let mut id = [0; 32];
    id[..leaf.len()].copy_from_slice(leaf.as_bytes());
    CertificateId(id)
}

/// A line as a command, stamped with the cluster's time. A duty is proposed for
/// the present term, at first 1, unless `term=` says otherwise; `term=none` leaves it
/// out.
pub(crate) fn parse(line: &str, cluster: &Cluster) -> Result<Command, String> {
    let words = Words::new(line);
    stamped(&words, cluster).map_err(|error| format!("`{line}`: {error}"))
}

fn stamped(words: &Words<'_>, cluster: &Cluster) -> Result<Command, String> {
    let change = change(words, cluster)?;
    let duty = match words.get("term") {
        Some("none") => None,
        Some(term) => Some(Term(number(term)?)),
        None => change
            .is_duty()
            .then(|| cluster.state.epoch().term.max(Term(1))),
    };
    let actor = match words.get("by") {
        Some(name) => Actor::operator(name),
        None if duty.is_some() => Actor::leader(),
        None => Actor::socket(),
    };
    Ok(Command {
        at: cluster.now,
        actor,
        duty,
        change,
    })
}

fn change(words: &Words<'_>, cluster: &Cluster) -> Result<Change, String> {
    if let Some(change) = cluster_change(words)? {
        return Ok(change);
    }
    if let Some(change) = member_change(words, cluster)? {
        return Ok(change);
    }
    for kind in [cas::change, hostnames::change, orders::change] {
        if let Some(change) = kind(words, cluster)? {
            return Ok(change);
        }
    }
    Err(format!("`{}` is unknown", words.name()))
}

fn cluster_change(words: &Words<'_>) -> Result<Option<Change>, String> {
    Ok(Some(match words.name() {
        "found" => {
            let mut found = testing::found();
            found.origin = words.get("origin").map(origin).transpose()?;
            found.zone = cas::zone(words)?;
            if let Some(thumbprint) = words.get("account") {
                let ca = found.ca.as_mut().ok_or("there is a CA")?;
                ca.registration = Registration::Registered {
                    key: testing::account_key(thumbprint),
                    url: "https://ca.example/acct/1".to_owned(),
                    rollover: false,
                };
            }
            Change::Found(Box::new(found))
        }
        "take-over" => Change::TakeOver { node: words.id(1)? },
        "confirm" => Change::Confirm,
        "pause" => Change::PauseIssuance {
            reason: words.at(1)?.to_owned(),
        },
        "resume" => Change::ResumeIssuance { cluster: None },
        "origin" => {
            let protocol = match words.get("protocol") {
                None => OriginProtocol::Auto,
                Some("http1") => OriginProtocol::Http1,
                Some("http2") => OriginProtocol::Http2,
                Some(other) => return Err(format!("`{other}` is no protocol")),
            };
            Change::SetOrigin {
                origin: origin(words.at(1)?)?.with_protocol(protocol),
                revision: words.revision()?,
            }
        }
        _ => return Ok(None),
    }))
}

fn member_change(words: &Words<'_>, cluster: &Cluster) -> Result<Option<Change>, String> {
    Ok(Some(match words.name() {
        "invite" => Change::CreateInvitation {
            role: Role::parse(words.at(1)?).ok_or("no such role")?,
            verifier: [9; 32],
            expires_at: cluster
                .now
                .plus(show::parse_duration(words.get("ttl").unwrap_or("15m"))?),
        },
        "revoke" => Change::RevokeInvitation { id: words.id(1)? },
        "sweep" => Change::SweepInvitation { id: words.id(1)? },
        "admit-node" => {
            let mut newcomer = testing::newcomer(number(words.get("machine").unwrap_or("2"))?);
            if let Some(name) = words.get("name") {
                newcomer.name = name.to_owned();
            }
            Change::AdmitNode {
                invitation: InvitationId(number(words.at(1)?)?),
                newcomer,
            }
        }
        "admit-machine" => Change::AdmitMachine {
            machine: words.at(1)?.to_owned(),
            newcomer: testing::newcomer(number(words.get("keys").unwrap_or("2"))?),
        },
        "raise-level" => Change::RaiseLevel {
            level: FeatureLevel(number(words.at(1)?)?),
            members: words.numbers("known-by")?.into_iter().map(NodeId).collect(),
        },
        "admit-operator" => Change::AdmitOperator {
            invitation: InvitationId(number(words.at(1)?)?),
            name: words.get("name").unwrap_or("bob").to_owned(),
            public_key: bytes(words.get("key").unwrap_or("bob's-key")),
        },
        "certify-node" => Change::CertifyNode {
            node: NodeId(number(words.at(1)?)?),
            certificate: issued(cluster),
        },
        "certify-operator" => Change::CertifyOperator {
            operator: OperatorId(number(words.at(1)?)?),
            certificate: issued(cluster),
        },
        "renew-issuing" => Change::RenewIssuing {
            issuing: bytes(words.at(1)?),
            issuing_key: sealed(KeyPurpose::Control, words.at(1)?),
            not_after: cluster.now.plus(days(365)),
            renew_at: cluster.now.plus(days(182)),
        },
        "share" => Change::ShareDataKey {
            node: NodeId(number(words.at(1)?)?),
            purpose: purpose(words.at(2)?)?,
            generation: number(words.at(3)?)?,
            sealed: hpke(),
        },
        "ask-rotation" => Change::AskRotation {
            of: Rotation::parse(words.at(1)?).ok_or("nothing that is rotated")?,
        },
        "reseal" => reseal(words, cluster)?,
        "reseal-certificate" => Change::ResealCertificate(Box::new(ResealCertificate {
            id: certificate_id(words.at(1)?),
            leaf: bytes(words.at(1)?),
            key: Sealed {
                generation: number(words.at(2)?)?,
                ..sealed(KeyPurpose::Serving, "key")
            },
        })),
        "drop-data-key" => Change::DropDataKey {
            purpose: purpose(words.at(1)?)?,
            generation: number(words.at(2)?)?,
        },
        "rotate" => Change::RotateDataKey {
            purpose: purpose(words.at(1)?)?,
            generation: number(words.at(2)?)?,
            sealed_for: words
                .numbers("for")?
                .into_iter()
                .map(|node| (NodeId(node), hpke()))
                .collect(),
        },
        "remove-node" => Change::RemoveNode { node: words.id(1)? },
        "finish-removal" => Change::FinishRemoval { node: words.id(1)? },
        _ => return Ok(None),
    }))
}

fn ca_name(text: &str) -> Result<CaName, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn origin(text: &str) -> Result<Origin, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn purpose(name: &str) -> Result<KeyPurpose, String> {
    KeyPurpose::parse(name).ok_or_else(|| format!("`{name}` is no purpose"))
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// All secrets of a record, under a generation.
fn reseal(words: &Words<'_>, cluster: &Cluster) -> Result<Change, String> {
    let id = words.at(2);
    let holder = match words.at(1)? {
        "authority" => Holder::Authority,
        "zone" => Holder::Zone,
        "ca" => Holder::Ca(ca_name(id?)?),
        "order" => Holder::Order(OrderId(number(id?)?)),
        _ => Holder::Hostname(testing::host(id?)),
    };
    let generation = number(words.get("under").ok_or("under which generation?")?)?;
    let secrets = cluster.state.secrets_of(&holder).into_iter();
    let secrets = secrets.map(|(_, old)| (old.digest(), Sealed { generation, ..old }));
    let secrets = secrets.collect();
    Ok(Change::Reseal(Box::new(Reseal { holder, secrets })))
}

fn sealed(purpose: KeyPurpose, secret: &str) -> Sealed {
    Sealed {
        purpose,
        generation: 1,
        nonce: [0; 12],
        ciphertext: bytes(secret),
    }
}

fn hpke() -> HpkeSealed {
    HpkeSealed {
        encapsulated: bytes("encapsulated"),
        ciphertext: bytes("ciphertext"),
    }
}

fn issued(cluster: &Cluster) -> IssuedCertificate {
    IssuedCertificate {
        leaf: bytes("leaf"),
        issuing: bytes("issuing"),
        not_after: cluster.now.plus(days(7)),
        renew_at: Some(cluster.now.plus(days(3))),
    }
}
