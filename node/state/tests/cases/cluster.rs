//! One replica, a clock and a store, driven by the lines of a script.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use state::{
    Batch, Hostname, Index, NodeId, Share, State, Timestamp, Write, bodies, codec, testing,
};

use crate::{
    command::{self, Words},
    show,
};

/// A state and everything around it that a script can turn.
pub(crate) struct Cluster {
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    bodies: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            state: State::default(),
            now: testing::START,
            bodies: BTreeMap::new(),
        }
    }
}

impl Cluster {
    /// Runs a block: a question or a turn of the world alone, or the commands of
    /// one log entry.
    pub(crate) fn run(&mut self, block: &[&str]) -> Result<String, String> {
        let words = Words::new(block[0]);
        if let Some(answer) = self.ask(&words)? {
            return if block.len() == 1 {
                Ok(answer)
            } else {
                Err(format!("`{}` must stand alone", words.name()))
            };
        }
        let commands = block.iter().map(|line| command::parse(line, self));
        let batch = Batch {
            commands: commands.collect::<Result<_, _>>()?,
        };
        Ok(self.apply(&batch))
    }

    fn apply(&mut self, batch: &Batch) -> String {
        let index = Index(self.state.index().0 + 1);
        let (outcomes, changes) = self.state.apply(index, batch);
        let mut output = String::new();
        for outcome in &outcomes {
            writeln!(output, "{}", show::outcome(outcome)).unwrap();
        }
        // What a batch wrote several times is shown once, as it was left.
        let written: BTreeMap<&[u8], bool> = changes.records.iter().map(key_of).collect();
        for (key, present) in written {
            if present {
                writeln!(output, "+ {}", show::record(&self.state, key)).unwrap();
            } else {
                writeln!(output, "- {}", show::record_name(key)).unwrap();
            }
        }
        let written: BTreeMap<&[u8], bool> = changes.bodies.iter().map(key_of).collect();
        for (key, present) in written {
            let sign = if present { '+' } else { '-' };
            writeln!(output, "{sign} body {}", show::body_name(key)).unwrap();
        }
        for write in changes.bodies {
            match write {
                Write::Put { key, value } => self.bodies.insert(key, value),
                Write::Delete { key } => self.bodies.remove(&key),
            };
        }
        output
    }

    /// The answer to a question, or `None` if the line is a command.
    fn ask(&mut self, words: &Words<'_>) -> Result<Option<String>, String> {
        let lines = match words.name() {
            "wait" => {
                self.now = self.now.plus(show::parse_duration(words.at(1)?)?);
                vec![format!("now {}", show::moment(self.now))]
            }
            "rewind" => {
                self.now = self.now.minus(show::parse_duration(words.at(1)?)?);
                vec![format!("now {}", show::moment(self.now))]
            }
            "raft" => {
                let index = Index(self.state.index().0 + 1);
                let ids = |name| words.numbers(name).map(|ids| ids.into_iter().map(NodeId));
                self.state.set_membership(
                    index,
                    ids("voters")?.collect(),
                    ids("learners")?.collect(),
                );
                vec!["ok".to_owned()]
            }
            "due" => self.due(),
            "ledger" => show::ledger(&self.state, self.now),
            "free" => vec![self.free(words)?],
            "tenants" => {
                let tenants = self.state.tenants();
                tenants
                    .map(|(tenant, count)| format!("{tenant} {count}"))
                    .collect()
            }
            "cas" => {
                let cas = self.state.cas_by_rank();
                cas.iter().map(|ca| ca.name.to_string()).collect()
            }
            "answers" => self.answers(words)?,
            "challenge" => vec![match self.state.challenge(words.at(1)?) {
                Some(challenge) => format!(
                    "order {} of {} answers {}",
                    challenge.order, challenge.hostname, challenge.key_authorization
                ),
                None => "none".to_owned(),
            }],
            "rotations" => {
                let due = self.state.rotations_due();
                vec![format!(
                    "due: {}",
                    show::list(due.iter().map(|purpose| purpose.to_string()))
                )]
            }
            "standing" => vec![match self.state.standing(words.at(1)?, self.now) {
                Some(standing) => format!("{standing:?}").to_lowercase(),
                None => "none".to_owned(),
            }],
            "events" => self.events(words.at(1)?)?,
            "body" => vec![self.certificate_body(words.at(1)?)?],
            "bodies" => self.bodies.keys().map(|key| show::body_name(key)).collect(),
            "epoch" => {
                let epoch = self.state.epoch();
                vec![format!(
                    "{} in term {} by node {} since {}",
                    epoch.number,
                    epoch.term,
                    epoch.node,
                    show::moment(epoch.since)
                )]
            }
            _ => return Ok(None),
        };
        let mut output = if lines.is_empty() {
            "none".to_owned()
        } else {
            lines.join("\n")
        };
        output.push('\n');
        Ok(Some(output))
    }

    /// From when on a limit allows one more.
    fn free(&self, words: &Words<'_>) -> Result<String, String> {
        let share = match words.get("share").unwrap_or("new") {
            "new" => Share::New,
            "renewal" => Share::Renewal,
            "urgent" => Share::Urgent,
            other => return Err(format!("`{other}` is no share")),
        };
        let bucket = command::cas::bucket(words)?;
        let free = self.state.free_at(&bucket, share, self.now);
        Ok(if free <= self.now {
            "now".to_owned()
        } else {
            show::moment(free)
        })
    }

    /// What edges answer for a hostname by tls-alpn-01, and by dns-01 at its tenant's
    /// delegation.
    fn answers(&self, words: &Words<'_>) -> Result<Vec<String>, String> {
        let hostname = command::hostnames::hostname(words)?;
        let tenant = command::hostnames::tenant(words)?;
        let cluster = self.state.cluster_id().ok_or("no cluster")?;
        let label = tenant.delegation_label(cluster, &hostname);
        let alpn = self.state.alpn_challenge(hostname.as_str());
        let alpn = alpn.map(|digest| format!("alpn {}", BASE64URL_NOPAD.encode(&digest)));
        let texts = self.state.dns_challenges(&label).into_iter();
        Ok(alpn
            .into_iter()
            .chain(texts.map(|text| format!("dns {text}")))
            .collect())
    }

    /// All that will ever be due, with a line where now is.
    fn due(&self) -> Vec<String> {
        let now = format!("-- now, {}", show::moment(self.now));
        let all: Vec<_> = self.state.due(Timestamp(u64::MAX)).collect();
        let count = self.state.due(self.now).count();
        let mut lines: Vec<String> = all.iter().map(|due| show::due(due)).collect();
        lines.insert(count, now);
        let next = self.state.next_due(self.now).map(show::moment);
        lines.push(format!("next {}", next.as_deref().unwrap_or("never")));
        lines
    }

    fn events(&self, name: &str) -> Result<Vec<String>, String> {
        let name = Hostname::parse(name).map_err(|error| error.to_string())?;
        let prefix = bodies::event_key(&name, 0);
        let prefix = &prefix[..prefix.len() - 4];
        let of_name = self
            .bodies
            .iter()
            .filter(|(key, _)| key.starts_with(prefix));
        of_name
            .map(|(key, value)| {
                let event = codec::event_from(value).map_err(|error| error.to_string())?;
                let at = show::moment(event.at);
                let line = format!("{}: {at} {}", show::body_name(key), event.kind.as_str());
                Ok(format!("{line} {}", event.detail).trim_end().to_owned())
            })
            .collect()
    }

    fn certificate_body(&self, leaf: &str) -> Result<String, String> {
        let id = command::certificate_id(leaf);
        let certificate = self.state.certificate(&id).ok_or("no such certificate")?;
        let part = |key: Vec<u8>| self.bodies.get(&key).ok_or("its body is missing");
        let own = part(bodies::certificate_key(certificate))?;
        let chain = part(bodies::chain_key(&certificate.chain))?;
        let body = codec::certificate_body(own, chain).map_err(|error| error.to_string())?;
        let chain = body.chain.iter().map(|der| show::text(der));
        Ok(format!(
            "chain {} key {:?} {}",
            show::list(chain),
            body.sealed_key,
            show::text(&body.sealed_key.ciphertext)
        ))
    }
}

/// The key of a write, and whether it has a value afterwards.
fn key_of(write: &Write) -> (&[u8], bool) {
    match write {
        Write::Put { key, .. } => (key, true),
        Write::Delete { key } => (key, false),
    }
}

/// How long `days` are.
pub(crate) fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86400)
}
