//! What the CA remembers: tables of records, changed only by putting a record.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::authorization::{Authorization, Proof};
use crate::certificate::Certificate;
use crate::finalize::Finalization;
use crate::order::Order;
use crate::renewal::CertificateId;
use crate::timestamp::Timestamp;

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
    /// Ids of the orders for a set of names, of all accounts, that got no certificate.
    unfinalized: HashMap<String, Vec<String>>,
    /// Ids of orders by the serial number of what they replace.
    replacements: HashMap<String, Vec<String>>,
    /// The newest authorization of an account for a name under a profile (none is the
    /// empty one) that was found valid.
    proven: HashMap<(String, String, String), String>,
    /// When the last certificate for a set of names was issued.
    issued_sets: HashMap<String, Timestamp>,
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
            Record::Order(order) => {
                self.index_order(&order);
                self.orders.put(order);
            }
            Record::Authorization(authorization) => {
                if let Proof::Valid { .. } = authorization.state {
                    let profile = authorization.profile.clone().unwrap_or_default();
                    let (account, name) = (&authorization.account, &authorization.name);
                    let key = (account.clone(), name.clone(), profile);
                    self.proven.insert(key, authorization.id.clone());
                }
                self.authorizations.put(authorization);
            }
            Record::Certificate(certificate) => {
                let last = self.issued_sets.entry(set(&certificate.names));
                let last = last.or_insert(certificate.issued);
                *last = certificate.issued.max(*last);
                self.certificates.put(certificate);
            }
            Record::Finalization(attempt) => self.finalizations.push(attempt),
        }
    }

    /// The account that this key belongs to.
    pub(crate) fn account_of_key(&self, thumbprint: &str) -> Option<&Account> {
        self.accounts.get(self.thumbprints.get(thumbprint)?)
    }

    fn index_order(&mut self, order: &Order) {
        let key = set(&order.names);
        let is_new = self.orders.get(&order.id).is_none();
        let finalized = order.has_certificate();
        if finalized && let Some(orders) = self.unfinalized.get_mut(&key) {
            orders.retain(|id| *id != order.id);
            if orders.is_empty() {
                self.unfinalized.remove(&key);
            }
        } else if is_new && !finalized {
            let orders = self.unfinalized.entry(key).or_default();
            orders.push(order.id.clone());
        }
        let replaced = order.replaces.as_deref().and_then(CertificateId::parse);
        if let Some(replaced) = replaced.filter(|_| is_new) {
            let orders = self.replacements.entry(replaced.serial).or_default();
            orders.push(order.id.clone());
        }
    }

    /// The orders for exactly these names (sorted), of all accounts, that got no
    /// certificate, in order of their making.
    pub(crate) fn unfinalized(&self, names: &[String]) -> impl Iterator<Item = &Order> {
        let ids = self.unfinalized.get(&set(names)).into_iter().flatten();
        ids.filter_map(|id| self.orders.get(id))
    }

    /// The ids of the orders made to replace a certificate.
    pub(crate) fn replacing(&self, serial: &str) -> impl Iterator<Item = &str> {
        let ids = self.replacements.get(serial).into_iter().flatten();
        ids.map(String::as_str)
    }

    /// The newest authorization of an account for a name, under a profile or none, that
    /// ever was valid.
    pub(crate) fn proven(
        &self,
        account: &str,
        name: &str,
        profile: Option<&String>,
    ) -> Option<&Authorization> {
        let profile = profile.cloned().unwrap_or_default();
        let key = (account.to_owned(), name.to_owned(), profile);
        self.authorizations.get(self.proven.get(&key)?)
    }

    /// When the last certificate for exactly these names (sorted) was issued.
    pub(crate) fn last_issued(&self, names: &[String]) -> Option<Timestamp> {
        self.issued_sets.get(&set(names)).copied()
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

/// One text for a set of names that are sorted.
fn set(names: &[String]) -> String {
    names.join(",")
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
