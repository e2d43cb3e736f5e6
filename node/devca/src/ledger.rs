//! What the CA did, for those who must count it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::AccountStatus;
use crate::book::Book;
use crate::certificate::Revocation;
use crate::finalize::Finalization;
use crate::limits::Exemption;
use crate::moment::Moment;
use crate::order::OrderStatus;
use crate::timestamp::Timestamp;

/// Everything that happened at the CA since its directory was made, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// All accounts.
    pub accounts: Vec<AccountEntry>,
    /// All orders.
    pub orders: Vec<OrderEntry>,
    /// All attempts to finalize an order, refused ones too. Attempts that were refused
    /// before they were understood (a bad nonce or signature, a fault) are not among them
    /// but among the [`crate::Post`]s.
    pub finalizations: Vec<Finalization>,
    /// All certificates issued.
    pub certificates: Vec<CertificateEntry>,
}

/// One account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountEntry {
    /// Its id, the last segment of its URL.
    pub id: String,
    /// Whether it is still in use.
    pub status: AccountStatus,
    /// When it was made, in Unix seconds.
    pub created: Timestamp,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEntry {
    /// Its id, the last segment of its URL.
    pub id: String,
    /// The account that made it.
    pub account: String,
    /// Its names, sorted.
    pub names: Vec<String>,
    /// Its status at the time of the ledger.
    pub status: OrderStatus,
    /// When it was made, in Unix seconds.
    pub created: Timestamp,
    /// The profile it was granted.
    #[serde(default)]
    pub profile: Option<String>,
    /// The certificate it says to replace (an identifier of RFC 9773).
    #[serde(default)]
    pub replaces: Option<String>,
    /// What it was freed from.
    #[serde(default)]
    pub exemption: Exemption,
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateEntry {
    /// Its serial number, lower-case hex.
    pub serial: String,
    /// The order it was made for.
    pub order: String,
    /// The account that ordered it.
    pub account: String,
    /// Its names, sorted.
    pub names: Vec<String>,
    /// When it was issued, in Unix seconds.
    pub issued: Timestamp,
    /// The first second of its validity.
    pub not_before: Timestamp,
    /// The last second of its validity.
    pub not_after: Timestamp,
    /// That it was revoked, if it was.
    pub revoked: Option<Revocation>,
    /// Whether its key is RSA, and not of an elliptic curve.
    #[serde(default)]
    pub is_rsa: bool,
}

/// That more certificates were issued for one set of names than there should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicate {
    /// The set, sorted.
    pub names: Vec<String>,
    /// The serial numbers, in order of their issue.
    pub serials: Vec<String>,
}

impl Ledger {
    pub(crate) fn read(book: &Book, now: Timestamp) -> Self {
        let accounts = book.accounts.rows().iter().map(|row| AccountEntry {
            id: row.id.clone(),
            status: row.status,
            created: row.created,
        });
        let orders = book.orders.rows().iter().map(|row| OrderEntry {
            id: row.id.clone(),
            account: row.account.clone(),
            names: row.names.clone(),
            status: row.status(book, now),
            created: row.created,
            profile: row.profile.clone(),
            replaces: row.replaces.clone(),
            exemption: row.exemption,
        });
        let certificates = book.certificates.rows().iter().map(|row| CertificateEntry {
            serial: row.serial.clone(),
            order: row.order.clone(),
            account: row.account.clone(),
            names: row.names.clone(),
            issued: row.issued,
            not_before: row.not_before,
            not_after: row.not_after,
            revoked: row.revoked.clone(),
            is_rsa: row.is_rsa,
        });
        Self {
            accounts: accounts.collect(),
            orders: orders.collect(),
            finalizations: finalizations(book),
            certificates: certificates.collect(),
        }
    }

    /// The certificates issued for exactly this set of names, in any order.
    pub fn certificates_for<'a>(
        &'a self,
        names: &'a [&str],
    ) -> impl Iterator<Item = &'a CertificateEntry> {
        let entries = self.certificates.iter();
        entries.filter(move |entry| is_set(&entry.names, names))
    }

    /// The orders made for exactly this set of names, in any order.
    pub fn orders_for<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a OrderEntry> {
        let entries = self.orders.iter();
        entries.filter(move |entry| is_set(&entry.names, names))
    }

    /// The sets of names for which two certificates with keys of the same kind (RSA or
    /// not) were issued less than `period` apart.
    ///
    /// Certificates that were revoked count too; renewals are no duplicates when `period`
    /// is shorter than what lies between them.
    pub fn duplicates(&self, period: Duration) -> Vec<Duplicate> {
        let mut sets: BTreeMap<(&[String], bool), Vec<&CertificateEntry>> = BTreeMap::new();
        for entry in &self.certificates {
            let key = (entry.names.as_slice(), entry.is_rsa);
            sets.entry(key).or_default().push(entry);
        }
        let close = |pair: &[&CertificateEntry]| match pair {
            [one, two] => two.issued.since(one.issued) < period,
            _ => false,
        };
        let sets = sets.into_iter().filter(|(_, it)| it.windows(2).any(close));
        sets.map(|((names, _), entries)| Duplicate {
            names: names.to_vec(),
            serials: entries.iter().map(|entry| entry.serial.clone()).collect(),
        })
        .collect()
    }

    /// The finalizations that came while an accepted one of the same order was under way,
    /// each after that one: what a client must never do, however the CA took it.
    ///
    /// One that is still being worked on is under way for ever. Two that came within one
    /// millisecond overlap.
    pub fn overlaps(&self) -> Vec<(&Finalization, &Finalization)> {
        let mut accepted: BTreeMap<&str, &Finalization> = BTreeMap::new();
        let mut found = Vec::new();
        for attempt in &self.finalizations {
            let earlier = accepted.get(attempt.order.as_str()).copied();
            found.extend(
                earlier
                    .filter(|earlier| earlier.overlaps(attempt))
                    .map(|earlier| (earlier, attempt)),
            );
            if attempt.refused.is_none() {
                accepted.insert(&attempt.order, attempt);
            }
        }
        found
    }

    /// The attempts to finalize the order of this id.
    pub fn finalizations_of<'a>(
        &'a self,
        order: &'a str,
    ) -> impl Iterator<Item = &'a Finalization> {
        let attempts = self.finalizations.iter();
        attempts.filter(move |attempt| attempt.order == order)
    }
}

/// The attempts, with their ends: the accepted ones of an order and its certificates
/// pair up in their order.
fn finalizations(book: &Book) -> Vec<Finalization> {
    let mut made: HashMap<&str, VecDeque<Moment>> = HashMap::new();
    for certificate in book.certificates.rows() {
        let made = made.entry(&certificate.order).or_default();
        made.push_back(certificate.made.max(certificate.issued.into()));
    }
    let attempts = book.finalizations.iter().map(|attempt| Finalization {
        received: attempt.received.max(attempt.at.into()),
        completed: match attempt.refused {
            Some(_) => Some(attempt.received.max(attempt.at.into())),
            None => made
                .get_mut(attempt.order.as_str())
                .and_then(VecDeque::pop_front),
        },
        ..attempt.clone()
    });
    attempts.collect()
}

fn is_set(sorted: &[String], names: &[&str]) -> bool {
    let names: std::collections::BTreeSet<_> = names.iter().copied().collect();
    sorted.iter().eq(names)
}
