//! The buckets in use, and the rules by which orders touch them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::bucket::{Decision, FullAt};
use super::{Limit, LimitName, Limits, registered_domain};
use crate::moment::Moment;

/// Buckets remembered; beyond it those that are full again are forgotten, which changes
/// nothing. Bounds memory where a test touches a million names.
const MAX_BUCKETS: usize = 1_000_000;

/// Why an order does not count as others do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exemption {
    /// It counts in full.
    #[default]
    None,
    /// There was a certificate for exactly this set in the last 120 days: only the limits
    /// of the set and of failures count.
    SameSet,
    /// It replaces a certificate, and came within its suggested window (RFC 9773): no
    /// limit holds it up.
    RenewalWindow,
}

impl Exemption {
    /// Written to disk only when it is one.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// An order that wants in.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// The account's id.
    pub account: &'a str,
    /// Its names, sorted, each once.
    pub names: &'a [String],
    /// Why it may count less.
    pub exemption: Exemption,
}

/// That a limit is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Which.
    pub limit: LimitName,
    /// Whose bucket: account, domain, names joined by commas, or address.
    pub key: String,
    /// Its size.
    pub size: Limit,
    /// How long until the bucket has a token, in milliseconds, rounded up.
    pub wait_millis: u64,
}

impl Denial {
    /// The value of `Retry-After`: whole seconds, rounded up, at least one.
    pub fn retry_after(&self) -> u64 {
        self.wait_millis.div_ceil(1_000).max(1)
    }
}

/// Every bucket that was spent from, and the names that are paused.
///
/// It lives in memory: a restarted CA has forgotten what was spent.
#[derive(Debug, Default)]
pub struct Meter {
    buckets: HashMap<(LimitName, String), FullAt>,
    paused: HashSet<(String, String)>,
}

impl Meter {
    /// Lets an order in, and spends one new order; with several limits reached, the one
    /// that lasts longest is told, and nothing is spent.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn admit(
        &mut self,
        limits: &Limits,
        order: Admission<'_>,
        now: Moment,
    ) -> Result<(), Denial> {
        if order.exemption == Exemption::RenewalWindow {
            return Ok(());
        }
        let mut denials: Vec<Denial> = Vec::new();
        let mut check = |name, key: &str| {
            let decision = self.look(limits, name, key, now);
            decision.map_err(|denial| denials.push(denial)).ok()
        };
        let spent = if order.exemption == Exemption::None {
            for domain in domains(order.names) {
                check(LimitName::CertificatesPerDomain, domain);
            }
            check(LimitName::NewOrdersPerAccount, order.account).flatten()
        } else {
            None
        };
        check(LimitName::CertificatesPerSet, &order.names.join(","));
        for name in order.names {
            check(LimitName::FailedValidations, &pair(order.account, name));
        }
        if let Some(longest) = denials.into_iter().max_by_key(|denial| denial.wait_millis) {
            return Err(longest);
        }
        if let Some(full) = spent {
            self.put(LimitName::NewOrdersPerAccount, order.account, full, now);
        }
        Ok(())
    }

    /// Spends what a certificate costs: one of its set, and, unless there was one for the
    /// same set in the last 120 days (`is_renewal`), one of each of its domains.
    ///
    /// So it is at Boulder whatever the order was freed from when it was made: one that
    /// came within its renewal window is let in at an empty bucket, and still takes from
    /// one that is not. A bucket that is empty stays as it is.
    pub fn issued(&mut self, limits: &Limits, names: &[String], is_renewal: bool, now: Moment) {
        if !is_renewal {
            for domain in domains(names) {
                let _ = self.spend(limits, LimitName::CertificatesPerDomain, domain, now);
            }
        }
        let set = names.join(",");
        let _ = self.spend(limits, LimitName::CertificatesPerSet, &set, now);
    }

    /// Counts a validation that failed; true when the name is paused by it.
    pub fn failed(&mut self, limits: &Limits, account: &str, name: &str, now: Moment) -> bool {
        let key = pair(account, name);
        let _ = self.spend(limits, LimitName::FailedValidations, &key, now);
        let endless = self.spend(limits, LimitName::ConsecutiveFailures, &key, now);
        if endless.is_err() {
            self.paused.insert((account.into(), name.into()));
        }
        endless.is_err()
    }

    /// Counts a validation that succeeded: failures are no longer consecutive.
    pub fn succeeded(&mut self, account: &str, name: &str) {
        let key = (LimitName::ConsecutiveFailures, pair(account, name));
        self.buckets.remove(&key);
    }

    /// Those of `names` that are paused for `account`.
    pub fn paused<'a>(&self, account: &str, names: &'a [String]) -> Vec<&'a str> {
        let names = names.iter().map(String::as_str);
        let mut key = (account.to_owned(), String::new());
        names
            .filter(|name| {
                key.1.clear();
                key.1.push_str(name);
                self.paused.contains(&key)
            })
            .collect()
    }

    /// Lets all names of `account` go on, as its owner does at the self-service page; how
    /// many there were.
    pub fn unpause(&mut self, account: &str) -> usize {
        let before = self.paused.len();
        self.paused.retain(|(owner, _)| owner != account);
        let prefix = pair(account, "");
        self.buckets.retain(|(name, key), _| {
            *name != LimitName::ConsecutiveFailures || !key.starts_with(&prefix)
        });
        before - self.paused.len()
    }

    /// Spends one new account from `address`.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn new_account(
        &mut self,
        limits: &Limits,
        address: IpAddr,
        now: Moment,
    ) -> Result<(), Denial> {
        let ip = address.to_string();
        let mut buckets = vec![(LimitName::NewAccountsPerIp, ip)];
        buckets.extend(range(address).map(|range| (LimitName::NewAccountsPerRange, range)));
        let mut taken = Vec::new();
        let mut longest: Option<Denial> = None;
        for (name, key) in buckets {
            match self.look(limits, name, &key, now) {
                Ok(full) => taken.extend(full.map(|full| (name, key, full))),
                Err(denial)
                    if longest
                        .as_ref()
                        .is_some_and(|it| it.wait_millis >= denial.wait_millis) => {}
                Err(denial) => longest = Some(denial),
            }
        }
        if let Some(denial) = longest {
            return Err(denial);
        }
        for (name, key, full) in taken {
            self.put(name, &key, full, now);
        }
        Ok(())
    }

    /// Spends one request of `address` under `limit`; `kind` keeps the kinds of requests
    /// apart.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn request(
        &mut self,
        limit: Limit,
        kind: &str,
        address: IpAddr,
        now: Moment,
    ) -> Result<(), Denial> {
        let key = format!("{kind} {address}");
        let full = self.take(limit, LimitName::Requests, &key, now)?;
        self.put(LimitName::Requests, &key, full, now);
        Ok(())
    }

    /// How many tokens a bucket has; none when it is not limited.
    pub fn left(&self, limits: &Limits, name: LimitName, key: &str, now: Moment) -> Option<u64> {
        let limit = limits.of(name, key)?;
        let full = self.buckets.get(&(name, key.to_owned())).copied();
        Some(limit.left(full, now))
    }

    /// What a bucket would be after one more; nothing when it is not limited.
    fn look(
        &self,
        limits: &Limits,
        name: LimitName,
        key: &str,
        now: Moment,
    ) -> Result<Option<FullAt>, Denial> {
        let Some(limit) = limits.of(name, key) else {
            return Ok(None);
        };
        self.take(limit, name, key, now).map(Some)
    }

    fn take(
        &self,
        limit: Limit,
        name: LimitName,
        key: &str,
        now: Moment,
    ) -> Result<FullAt, Denial> {
        let full = self.buckets.get(&(name, key.to_owned())).copied();
        match limit.take(full, now) {
            Decision::Allowed(full) => Ok(full),
            Decision::Denied(wait) => Err(Denial {
                limit: name,
                key: key.into(),
                size: limit,
                wait_millis: u64::try_from(wait.div_ceil(1_000_000)).unwrap_or(u64::MAX),
            }),
        }
    }

    fn spend(
        &mut self,
        limits: &Limits,
        name: LimitName,
        key: &str,
        now: Moment,
    ) -> Result<(), Denial> {
        if let Some(full) = self.look(limits, name, key, now)? {
            self.put(name, key, full, now);
        }
        Ok(())
    }

    fn put(&mut self, name: LimitName, key: &str, full: FullAt, now: Moment) {
        if self.buckets.len() >= MAX_BUCKETS {
            let now = u128::from(now.as_unix_millis()) * 1_000_000;
            self.buckets.retain(|_, full| *full > now);
        }
        self.buckets.insert((name, key.into()), full);
    }
}

fn domains(names: &[String]) -> BTreeSet<&str> {
    names.iter().map(|name| registered_domain(name)).collect()
}

/// The key of a name at an account.
fn pair(account: &str, name: &str) -> String {
    format!("{account}:{name}")
}

/// The /48 of an IPv6 address.
fn range(address: IpAddr) -> Option<String> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let [a, b, c, ..] = address.segments();
    Some(format!("{a:x}:{b:x}:{c:x}::/48"))
}

#[cfg(test)]
mod tests;
