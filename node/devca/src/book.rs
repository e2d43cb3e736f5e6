//! What the CA remembers: tables of records, changed only by putting a record.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::authorization::Authorization;
use crate::certificate::Certificate;
use crate::finalize::Finalization;
use crate::order::Order;

/// One row, as it is kept on disk: the newest record of an id is the truth about it.
///
/// Records are made by the core and read back by it; others only carry them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// An account, with its present key.
    Account(Account),
    /// An order.
    Order(Order),
    /// An authorization with its challenges.
    Authorization(Authorization),
    /// An issued certificate.
    Certificate(Certificate),
    /// One attempt to finalize an order; these only accumulate.
    Finalization(Finalization),
}

/// All records, in order of their making.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) accounts: Table<Account>,
    pub(crate) orders: Table<Order>,
    pub(crate) authorizations: Table<Authorization>,
    pub(crate) certificates: Table<Certificate>,
    pub(crate) finalizations: Vec<Finalization>,
    /// Account ids by the thumbprint of their present key.
    thumbprints: HashMap<String, String>,
}

impl Book {
    /// Puts a record in the place of an earlier one of the same id.
    pub(crate) fn put(&mut self, record: Record) {
        match record {
            Record::Account(account) => {
                if let Some(earlier) = self.accounts.get(&account.id) {
                    self.thumbprints.remove(&earlier.key.thumbprint());
                }
                self.thumbprints
                    .insert(account.key.thumbprint(), account.id.clone());
                self.accounts.put(account);
            }
            Record::Order(order) => self.orders.put(order),
            Record::Authorization(authorization) => self.authorizations.put(authorization),
            Record::Certificate(certificate) => self.certificates.put(certificate),
            Record::Finalization(attempt) => self.finalizations.push(attempt),
        }
    }

    /// The account that this key belongs to.
    pub(crate) fn account_of_key(&self, thumbprint: &str) -> Option<&Account> {
        self.accounts.get(self.thumbprints.get(thumbprint)?)
    }

    /// Every record, once; putting them in this order makes an equal book.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        let accounts = self.accounts.rows().iter().cloned().map(Record::Account);
        let orders = self.orders.rows().iter().cloned().map(Record::Order);
        let authorizations = self.authorizations.rows().iter().cloned();
        let certificates = self.certificates.rows().iter().cloned();
        accounts
            .chain(orders)
            .chain(authorizations.map(Record::Authorization))
            .chain(certificates.map(Record::Certificate))
            .chain(self.finalizations.iter().cloned().map(Record::Finalization))
    }
}

/// A row of a [`Table`].
pub(crate) trait Row {
    /// What tells it from other rows, for ever.
    fn id(&self) -> &str;
}

/// Rows by id, in order of their first putting.
#[derive(Debug)]
pub(crate) struct Table<R> {
    rows: Vec<R>,
    places: HashMap<String, usize>,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<R: Row> Table<R> {
    pub(crate) fn get(&self, id: &str) -> Option<&R> {
        self.rows.get(*self.places.get(id)?)
    }

    pub(crate) fn rows(&self) -> &[R] {
        &self.rows
    }

    fn put(&mut self, row: R) {
        if let Some(place) = self.places.get(row.id()) {
            self.rows[*place] = row;
        } else {
            self.places.insert(row.id().into(), self.rows.len());
            self.rows.push(row);
        }
    }
}
