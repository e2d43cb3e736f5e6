//! What the CA did, for those who must count it.

use serde::{Deserialize, Serialize};

use crate::account::AccountStatus;
use crate::book::Book;
use crate::certificate::Revocation;
use crate::finalize::Finalization;
use crate::order::OrderStatus;
use crate::timestamp::Timestamp;

/// Everything that happened at the CA since its directory was made, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// All accounts.
    pub accounts: Vec<AccountEntry>,
    /// All orders.
    pub orders: Vec<OrderEntry>,
    /// All attempts to finalize an order, refused ones too.
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
        });
        Self {
            accounts: accounts.collect(),
            orders: orders.collect(),
            finalizations: book.finalizations.clone(),
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

    /// The attempts to finalize the order of this id.
    pub fn finalizations_of<'a>(
        &'a self,
        order: &'a str,
    ) -> impl Iterator<Item = &'a Finalization> {
        let attempts = self.finalizations.iter();
        attempts.filter(move |attempt| attempt.order == order)
    }
}

fn is_set(sorted: &[String], names: &[&str]) -> bool {
    let names: std::collections::BTreeSet<_> = names.iter().copied().collect();
    sorted.iter().eq(names)
}
