//! What must hold of a framing, whatever became of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Heard;
use crate::{
    edge::HOST,
    messages::{Message, latin},
    witness::{Exchange, Noted},
};

/// What a client was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// By the edge, or without a body; over HTTP/2 by whoever.
    Refused,
    /// By the origin: status and body.
    Answered(u16, Vec<u8>),
}

/// Judges one framing after the other.
#[derive(Default)]
pub(super) struct Judge {
    outcomes: BTreeMap<String, usize>,
    /// Framings that the origin refused, though the edge did not.
    stricter: Vec<String>,
    faults: Vec<String>,
    exchanges: Vec<(String, Exchange)>,
    /// Targets of requests that broke off, and what was answered all the same.
    early: Vec<(String, u16)>,
}

impl Judge {
    /// `[case, after]`: the targets of the framing and of the request behind it.
    pub(super) fn framing(&mut self, name: &str, targets: [&str; 2], heard: &Heard, noted: Noted) {
        let outcome = match judge(targets, heard, &noted) {
            Ok(outcome) => outcome,
            Err(why) => {
                self.faults.push(format!(
                    "{name}: {why}\n    heard {heard:?}\n    noted {noted:?}"
                ));
                "at fault".to_owned()
            }
        };
        if outcome.starts_with("refused by the origin") {
            self.stricter.push(format!("{name} ({outcome})"));
        }
        *self.outcomes.entry(outcome).or_default() += 1;
        let early = noted.broken_off.iter().flatten();
        self.early
            .extend(early.map(|answer| (targets[0].to_owned(), answer.status())));
        let exchanges = noted.exchanges.into_iter();
        self.exchanges
            .extend(exchanges.map(|it| (name.to_owned(), it)));
    }

    /// As many lines about origins' answers as there were answers.
    pub(super) fn all_logged(&self, lines: &[Value]) -> bool {
        let asked = lines.iter().filter(|line| is_of_a_framing(line));
        asked.count() >= self.exchanges.len() + self.early.len()
    }

    /// What was logged is what the origin has seen, one for one.
    pub(super) fn compare(&mut self, lines: &[Value]) {
        let mut logged: Vec<_> = lines.iter().filter(|line| is_of_a_framing(line)).collect();
        for (name, exchange) in &self.exchanges {
            let found = logged.iter().position(|line| is_about(line, exchange));
            match found {
                Some(place) => {
                    logged.swap_remove(place);
                }
                None => self
                    .faults
                    .push(format!("{name}: not logged: {exchange:?}")),
            }
        }
        for (target, status) in &self.early {
            logged.retain(|line| line["path"] != **target || line["upstream_status"] != *status);
        }
        let never = logged.iter().map(|line| format!("never asked: {line}"));
        self.faults.extend(never);
    }

    /// # Panics
    ///
    /// If anything did not hold.
    pub(super) fn tell(self, name: &str) {
        println!("{name}: {:?}", self.outcomes);
        for framing in &self.stricter {
            println!("{name} is stricter: {framing}");
        }
        let faults = self.faults.join("\n");
        assert!(self.faults.is_empty(), "{name}:\n{faults}");
    }
}

fn judge([case, after]: [&str; 2], heard: &Heard, noted: &Noted) -> Result<String, String> {
    let mut of_case = None;
    let mut of_after = None;
    for exchange in &noted.exchanges {
        let target = exchange.request.word(1);
        let place = if target == after {
            &mut of_after
        } else if target.contains(case) {
            &mut of_case
        } else {
            return Err(format!("{target:?} was smuggled"));
        };
        if place.replace(exchange).is_some() {
            return Err(format!("{target:?} was asked for twice"));
        }
        sound(exchange)?;
    }
    // Answers come in the order of their requests, each of them once.
    let mut left = of_case.into_iter().chain(of_after);
    let mut early = noted.broken_off.iter().flatten();
    let mut after_answered = false;
    for said in &heard.said {
        let Said::Answered(status, body) = said else {
            continue;
        };
        let fits = |answer: &Message| answer.status() == *status && answer.body == *body;
        if early.any(fits) {
            continue;
        }
        let whose = left.find(|it| fits(&it.answer));
        let whose = whose.ok_or("an answer that is nobody's")?;
        after_answered |= whose.request.word(1) == after;
    }
    let swallowed = of_case.is_some_and(|it| {
        let body = String::from_utf8_lossy(&it.request.body);
        body.contains(after)
    });
    let may_be_silent = heard.over || swallowed || !noted.broken_off.is_empty();
    if !after_answered && !may_be_silent {
        return Err("the request behind it was not answered".to_owned());
    }
    Ok(match of_case {
        Some(exchange) if exchange.answer.status() == 200 => "one request".to_owned(),
        Some(exchange) => format!("refused by the origin: {}", exchange.answer.status()),
        None if !noted.broken_off.is_empty() => "broken off".to_owned(),
        None if heard.said.contains(&Said::Refused) => "refused".to_owned(),
        None => "closed, or never whole".to_owned(),
    })
}

/// The origin has seen what was sent to it, and nothing in it is the client's that is ours
/// to say.
fn sound(exchange: &Exchange) -> Result<(), String> {
    let Exchange { request, answer } = exchange;
    let (method, target) = (request.word(0), request.word(1));
    let told = [latin(&format!("{method} {target}\n")), request.body.clone()].concat();
    if answer.status() == 200 && answer.body != told {
        let body = String::from_utf8_lossy(&answer.body);
        return Err(format!("the origin has seen {body:?}"));
    }
    let hosts = request.fields.iter().filter(|(name, _)| name == "host");
    let hosts: Vec<&str> = hosts.map(|(_, host)| host.as_str()).collect();
    if !matches!(&*hosts, [host] if host.to_ascii_lowercase().starts_with(HOST)) {
        return Err(format!("asked for the hosts {hosts:?}"));
    }
    for (name, value) in &request.fields {
        let name = name.replace('_', "-");
        let ours = [
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
        ];
        let ours = ours.contains(&&*name) || name == "x-real-ip" || name.starts_with("hostquorum");
        if ours && value.contains("forged") {
            return Err(format!("a client's own {name}: {value}"));
        }
    }
    Ok(())
}

/// A line about a framing that an origin answered.
fn is_of_a_framing(line: &Value) -> bool {
    let told = format!("{} {}", line["path"], line["query"]);
    let ours = told.contains("/case-") || told.contains("/after-");
    ours && line["upstream_status"].is_u64()
}

fn is_about(line: &Value, exchange: &Exchange) -> bool {
    let path = line["path"].as_str().unwrap_or_default();
    let target = match line["query"].as_str() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    line["method"] == exchange.request.word(0)
        && target == encoded(exchange.request.word(1))
        && line["upstream_status"] == exchange.answer.status()
        && line["bytes_in"] == exchange.request.body.len()
}

/// As the log writes what is no printable ASCII.
fn encoded(target: &str) -> String {
    let encode = |c: char| match c {
        ' '..='~' => c.to_string(),
        _ => format!("%{:02X}", u32::from(c)),
    };
    target.chars().map(encode).collect()
}
