//! A run written down: what operators ask, what goes wrong, and when. Everything else
//! follows from its seed.
//!
//! As a file it is lines of JSON, in the order of time behind one line of settings, so
//! that it can be read, and shortened, by hand.

mod draw;
mod swarm;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::disk::Ailment;
use crate::dns::Lie;
use crate::post::Odds;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// What stays as it is.
    pub settings: Settings,
    /// What operators ask, in the order of time.
    pub calls: Vec<Call>,
    /// What goes wrong, in the order of time.
    pub troubles: Vec<Trouble>,
}

/// What of a run stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Of all chance beyond what is written down.
    pub seed: u64,
    /// Milliseconds of virtual time with work and trouble.
    pub steps: u64,
    /// How many machines found the cluster.
    pub machines: u64,
    /// The longest that a message takes, in milliseconds.
    pub latency: u64,
    /// Whether hostnames are proven by DNS, and not by an operator's word.
    pub proof: bool,
    /// How long certificates are valid, in seconds.
    pub validity: u64,
    /// Whether the CA behaves as Boulder does, or plainly.
    pub boulder: bool,
    /// How many orders the CA is said to allow, if it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<Allowance>,
}

/// A limit of the CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Most at once.
    pub burst: u32,
    /// How long one more takes to be allowed, in milliseconds.
    pub refill: u64,
}

/// What an operator asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// When, in milliseconds after the founding.
    pub at: u64,
    /// At which node, counted among those that are up then, round and round.
    pub node: u64,
    /// What.
    pub task: Task,
}

/// What can be asked. Numbers count round and round among what there is at the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// To authorize a hostname.
    Authorize(String),
    /// To withdraw it.
    Remove(String),
    /// To read it behind a barrier.
    Read(String),
    /// To have its certificate replaced.
    Reissue(String),
    /// To set the zone's origin.
    SetOrigin,
    /// To make a right to enter for an operator.
    Invite,
    /// To withdraw one.
    Revoke(u64),
    /// To let a new machine in.
    Join,
    /// To let a stranger in by an invitation that may be spent.
    Spend(u64),
    /// To take a member out, unless few are left.
    Expel(u64),
    /// To hand leadership over to a member.
    Transfer(u64),
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// From when on, in milliseconds after the founding.
    pub at: u64,
    /// For how long, in milliseconds.
    pub lasts: u64,
    /// What.
    pub plague: Plague,
}

/// Whom it hits; found out when it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Victim {
    /// Whoever leads then, else the first node.
    Leader,
    /// The node of that place, counted round and round.
    Node(u64),
}

/// Which directions of a node's links are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Both.
    Both,
    /// It hears nobody.
    In,
    /// Nobody hears it.
    Out,
    /// Both, to one other node only.
    OneLink,
}

/// What can go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plague {
    /// A node's links are cut.
    Cut {
        /// Whose.
        who: Victim,
        /// Which way.
        way: Way,
    },
    /// The nodes hear each other in two halves only.
    Halves,
    /// In two halves, and all hear the node of that place.
    Bridge(u64),
    /// Each node hears its two neighbours only.
    Ring,
    /// What a node says and hears is held back, and delivered in the end.
    Stall {
        /// Whose.
        who: Victim,
    },
    /// A machine loses power.
    Crash {
        /// Whose.
        who: Victim,
        /// In the middle of a write, so that something is lost.
        amid_write: bool,
        /// Some of what was not flushed is there all the same.
        torn: bool,
    },
    /// All machines do, at once.
    Blackout {
        /// Some of what was not flushed is there all the same.
        torn: bool,
    },
    /// A machine loses power and its disk, and comes back as the node that it was, with
    /// an empty one; once in a run, for two such would be a majority of three.
    Wipe {
        /// Whose.
        who: Victim,
    },
    /// A bit flips on a disk, and the engine's checksum tells whoever reads it; not beside
    /// a disk that is lost.
    Rot {
        /// Whose.
        who: Victim,
    },
    /// A disk ails.
    Disk {
        /// Whose.
        who: Victim,
        /// How.
        ailment: Ailment,
    },
    /// A wall clock is off by so many milliseconds.
    Clock {
        /// Whose.
        who: Victim,
        /// By how much.
        off: i64,
    },
    /// Calls between nodes meet with misadventures.
    Post(Odds),
    /// Messages take up to so many milliseconds.
    SlowLinks(u64),
    /// The CA misbehaves.
    Ca(devca::Fault),
    /// The CA cannot be reached, nor reach anybody.
    CaGone,
    /// One view of DNS lies.
    Dns {
        /// Which: 0 is the zone itself.
        view: u16,
        /// How.
        lie: Lie,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Settings(Settings),
    Call(Call),
    Trouble(Trouble),
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self
            .calls
            .iter()
            .map(|call| (call.at, Line::Call(call.clone())));
        let troubles = self.troubles.iter();
        let troubles = troubles.map(|trouble| (trouble.at, Line::Trouble(trouble.clone())));
        let mut lines: Vec<(u64, Line)> = troubles.chain(calls).collect();
        lines.sort_by_key(|(at, _)| *at);
        lines.insert(0, (0, Line::Settings(self.settings)));
        for (_, line) in lines {
            let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

/// Why a text is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// A line cannot be read.
    #[error("line {0} is none of a scenario: {1}")]
    Line(usize, serde_json::Error),
    /// There are no settings.
    #[error("there is no line with settings")]
    Settings,
}

impl FromStr for Scenario {
    type Err = ScenarioError;

    /// Empty lines and those that begin with `#` say nothing.
    fn from_str(text: &str) -> Result<Self, ScenarioError> {
        let (mut settings, mut calls, mut troubles) = (None, Vec::new(), Vec::new());
        let lines = (1..).zip(text.lines());
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let line = serde_json::from_str(line);
            match line.map_err(|error| ScenarioError::Line(number, error))? {
                Line::Settings(found) => settings = Some(found),
                Line::Call(call) => calls.push(call),
                Line::Trouble(trouble) => troubles.push(trouble),
            }
        }
        Ok(Self {
            settings: settings.ok_or(ScenarioError::Settings)?,
            calls,
            troubles,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_what_was_written_down() {
        for seed in 0..50 {
            let scenario = Scenario::draw(seed, 5000);
            let text = scenario.to_string();
            let read: Scenario = text
                .parse()
                .unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(read, scenario);
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line() {
        let error = "# a word\n\n{\"call\":3}".parse::<Scenario>().unwrap_err();
        assert!(error.to_string().starts_with("line 3 "), "{error}");
        let none = "".parse::<Scenario>().unwrap_err();
        assert_eq!(none.to_string(), "there is no line with settings");
    }
}
