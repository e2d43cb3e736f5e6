//! What was asked and answered, and what may be asked next. Knows no clock and waits for
//! nobody.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use state::Hostname;
use tokio::time::Instant;

use super::budget::{Hour, Pace, Taken};
use crate::{
    admission::Network,
    limits::{ANSWERS, ASKERS, BURST_EACH},
};

/// How often may be asked, and how long answers hold. Of one node, since it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long an answer may take.
    pub timeout: Duration,
    /// Names asked about at once.
    pub questions_at_once: usize,
    /// Questions in a second.
    pub questions_per_second: u32,
    /// Questions in a second for one client (an IPv4 address, an IPv6 /64); ten times as
    /// many at once.
    pub questions_per_client: u32,
    /// Hostnames authorized within an hour.
    pub authorized_per_hour: usize,
    /// The same below one registered domain.
    pub authorized_per_domain: usize,
    /// How long a yes holds that came when there was no more room to authorize.
    pub yes_for: Duration,
    /// How long a no does.
    pub no_for: Duration,
    /// How long a name is left alone after a question without an answer.
    pub failed_for: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(3),
            questions_at_once: 16,
            questions_per_second: 20,
            questions_per_client: 1,
            authorized_per_hour: 100,
            authorized_per_domain: 10,
            yes_for: Duration::from_secs(60),
            no_for: Duration::from_secs(300),
            failed_for: Duration::from_secs(10),
        }
    }
}

/// A name that may be asked about, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) hostname: Hostname,
    /// Its registered domain.
    pub(super) domain: Box<str>,
    pub(super) client: Network,
}

/// What is to be done about a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Ask,
    /// It was answered already.
    Authorize,
    Refuse(Refused),
}

/// Why nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It was answered so a while ago.
    Answered,
    /// Nobody could tell, a moment ago.
    Failed,
    /// There were too many questions.
    Pace,
    /// There were too many of the client.
    Client,
    /// Enough was authorized.
    Hour,
    /// Enough was authorized below its domain.
    Domain,
}

/// What somebody said of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Yes,
    No,
    Nothing,
}

/// All that is remembered.
#[derive(Debug)]
pub(super) struct Book {
    limits: Limits,
    answers: HashMap<Hostname, (Told, Instant)>,
    /// The keys of `answers`, each once, the oldest first.
    order: VecDeque<Hostname>,
    asked: Taken,
    clients: HashMap<Network, Taken>,
    hour: Hour,
}

impl Book {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            answers: HashMap::new(),
            order: VecDeque::new(),
            asked: Taken::nothing(now),
            clients: HashMap::new(),
            hour: Hour::default(),
        }
    }

    /// What to do about a question; one that is to be asked is counted.
    pub(super) fn judge(&mut self, question: &Question, now: Instant) -> Judgement {
        let answered = self.answers.get(&question.hostname);
        let answered = answered.filter(|(_, until)| now < *until);
        let room = match answered.map(|(told, _)| *told) {
            Some(Told::No) => return Judgement::Refuse(Refused::Answered),
            Some(Told::Nothing) => return Judgement::Refuse(Refused::Failed),
            Some(Told::Yes) => {
                return self
                    .room(question, now)
                    .map_or_else(Judgement::Refuse, |()| Judgement::Authorize);
            }
            // Nobody is asked what could not be followed.
            None => self
                .room(question, now)
                .and_then(|()| self.take(question, now)),
        };
        room.map_or_else(Judgement::Refuse, |()| Judgement::Ask)
    }

    /// Remembers what was said.
    pub(super) fn note(&mut self, hostname: &Hostname, told: Told, now: Instant) {
        let holds = match told {
            Told::Yes => self.limits.yes_for,
            Told::No => self.limits.no_for,
            Told::Nothing => self.limits.failed_for,
        };
        if self
            .answers
            .insert(hostname.clone(), (told, now + holds))
            .is_none()
        {
            self.order.push_back(hostname.clone());
        }
        if self.answers.len() > ANSWERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
    }

    /// Counts one more authorization, if there may be one.
    pub(super) fn authorize(&mut self, question: &Question, now: Instant) -> Result<(), Refused> {
        self.room(question, now)?;
        self.hour.add(&question.domain, now);
        Ok(())
    }

    fn room(&mut self, question: &Question, now: Instant) -> Result<(), Refused> {
        if self.hour.in_all(now) >= self.limits.authorized_per_hour {
            return Err(Refused::Hour);
        }
        if self.hour.below(&question.domain) >= self.limits.authorized_per_domain {
            return Err(Refused::Domain);
        }
        Ok(())
    }

    fn take(&mut self, question: &Question, now: Instant) -> Result<(), Refused> {
        let all = Pace::new(self.limits.questions_per_second, 1);
        let each = Pace::new(self.limits.questions_per_client, BURST_EACH);
        if !self.asked.has_room(all, now) {
            return Err(Refused::Pace);
        }
        if self.clients.len() >= ASKERS {
            self.clients.retain(|_, taken| !taken.is_over(now));
        }
        let there = self.clients.get(&question.client).copied();
        if there.is_none() && self.clients.len() >= ASKERS {
            return Err(Refused::Pace);
        }
        let mut taken = there.unwrap_or(Taken::nothing(now));
        if !taken.has_room(each, now) {
            return Err(Refused::Client);
        }
        taken.take(each, now);
        self.clients.insert(question.client, taken);
        self.asked.take(all, now);
        Ok(())
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
