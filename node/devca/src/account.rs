//! Accounts (RFC 8555 section 7.3).

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::authenticate::deactivated;
use crate::book::{Record, Row};
use crate::core::{Core, expect_empty, read};
use crate::entropy::draw_id;
use crate::key::PublicKey;
use crate::order::OrderStatus;
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::routes::Route;
use crate::step::Turn;
use crate::timestamp::Timestamp;

/// Bounds memory and disk; far above what development needs.
const MAX_ACCOUNTS: usize = 10_000;
/// As at Let's Encrypt.
const MAX_CONTACTS: usize = 10;
/// The longest mail address (RFC 5321 section 4.5.3.1) with room for the scheme.
const MAX_CONTACT: usize = 264;
/// How many of an account's newest orders its list shows.
const MAX_LISTED_ORDERS: usize = 1_000;

/// An account and its present key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub(crate) id: String,
    pub(crate) key: PublicKey,
    pub(crate) contact: Vec<String>,
    pub(crate) status: AccountStatus,
    pub(crate) created: Timestamp,
    /// The id of the external account that vouched for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) external: Option<String>,
}

/// Whether an account may still ask for things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountStatus {
    /// It may.
    Valid,
    /// Its owner gave it up, for good.
    Deactivated,
}

impl Row for Account {
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NewAccount {
    contact: Vec<String>,
    terms_of_service_agreed: bool,
    only_return_existing: bool,
    external_account_binding: Option<Value>,
}

#[derive(Deserialize)]
struct AccountUpdate {
    contact: Option<Vec<String>>,
    status: Option<String>,
}

impl Core {
    /// RFC 8555 sections 7.3 and 7.3.1: makes an account, or finds the one of this key.
    pub(crate) fn new_account(
        &mut self,
        key: PublicKey,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Reply, Problem> {
        let request: NewAccount = read(payload)?;
        if let Some(account) = self.book.account_of_key(&key.thumbprint()) {
            if account.status == AccountStatus::Deactivated {
                return Err(deactivated());
            }
            return Ok(self.account_reply(StatusCode::OK, account));
        }
        if request.only_return_existing {
            let detail = "no account has this key";
            return Err(Problem::new(Kind::AccountDoesNotExist, detail));
        }
        if !request.terms_of_service_agreed {
            let terms = self.terms();
            return Err(Problem::new(
                Kind::UserActionRequired,
                format!("agree to the terms of service at {terms} (termsOfServiceAgreed)"),
            ));
        }
        check_contacts(&request.contact)?;
        let external = self.external_account(request.external_account_binding.as_ref(), &key)?;
        if self.book.accounts.rows().len() >= MAX_ACCOUNTS {
            return Err(full("accounts", MAX_ACCOUNTS));
        }
        self.meter
            .new_account(&self.behaviour.limits, turn.caller.address, turn.moment)
            .map_err(|denial| self.limited(&denial, turn.moment))?;
        let account = Account {
            id: draw_id(turn.entropy),
            key,
            contact: request.contact,
            status: AccountStatus::Valid,
            created: turn.now,
            external,
        };
        let reply = self.account_reply(StatusCode::CREATED, &account);
        self.put(Record::Account(account), turn);
        Ok(reply)
    }

    /// RFC 8555 sections 7.3.2 and 7.3.6: reads, updates or deactivates an account.
    pub(crate) fn account(
        &mut self,
        mut account: Account,
        id: &str,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Reply, Problem> {
        check_owner(&account, id)?;
        if payload.is_empty() {
            return Ok(Reply::json(StatusCode::OK, &self.account_json(&account)));
        }
        let update: AccountUpdate = read(payload)?;
        match update.status.as_deref() {
            Some("deactivated") => account.status = AccountStatus::Deactivated,
            Some("valid") | None => {}
            Some(other) => {
                return Err(Problem::malformed(format!(
                    "an account's status can be set to \"deactivated\", not to {other:?}"
                )));
            }
        }
        if let Some(contact) = update.contact {
            check_contacts(&contact)?;
            account.contact = contact;
        }
        let reply = Reply::json(StatusCode::OK, &self.account_json(&account));
        self.put(Record::Account(account), turn);
        Ok(reply)
    }

    /// RFC 8555 section 7.1.2.1: the account's newest orders that are not invalid.
    pub(crate) fn account_orders(
        &self,
        account: &Account,
        id: &str,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Reply, Problem> {
        check_owner(account, id)?;
        expect_empty(payload)?;
        if !self.behaviour.orders_list {
            return Err(Problem::not_found("a list of orders"));
        }
        let newest_first = self.book.orders.rows().iter().rev();
        let orders: Vec<_> = newest_first
            .filter(|order| order.account == account.id)
            .filter(|order| order.status(&self.book, now) != OrderStatus::Invalid)
            .take(MAX_LISTED_ORDERS)
            .map(|order| self.links.to(&Route::Order(order.id.clone())))
            .collect();
        Ok(Reply::json(StatusCode::OK, &json!({ "orders": orders })))
    }

    fn account_reply(&self, status: StatusCode, account: &Account) -> Reply {
        let url = self.links.to(&Route::Account(account.id.clone()));
        Reply::json(status, &self.account_json(account)).location(&url)
    }

    pub(crate) fn account_json(&self, account: &Account) -> Value {
        let mut body = json!({
            "status": account.status,
            "contact": account.contact,
            "termsOfServiceAgreed": true,
        });
        if self.behaviour.orders_list {
            let url = self.links.to(&Route::AccountOrders(account.id.clone()));
            body["orders"] = url.into();
        }
        body
    }
}

/// The answer when a table is at its limit.
pub(crate) fn full(what: &str, limit: usize) -> Problem {
    Problem::new(
        Kind::RateLimited,
        format!("this CA keeps at most {limit} {what}; start it with an empty directory"),
    )
}

fn check_owner(account: &Account, id: &str) -> Result<(), Problem> {
    if account.id == id {
        return Ok(());
    }
    Err(Problem::unauthorized(
        "the request is signed by another account than the one it is about",
    ))
}

fn check_contacts(contacts: &[String]) -> Result<(), Problem> {
    if contacts.len() > MAX_CONTACTS {
        return Err(Problem::new(
            Kind::InvalidContact,
            format!("{} contacts, more than {MAX_CONTACTS}", contacts.len()),
        ));
    }
    contacts
        .iter()
        .try_for_each(|contact| check_contact(contact))
}

/// RFC 8555 section 7.3: one mail address, no header fields.
fn check_contact(contact: &str) -> Result<(), Problem> {
    let Some(address) = contact.strip_prefix("mailto:") else {
        return Err(Problem::new(
            Kind::UnsupportedContact,
            format!("the contact {contact:?} is not a \"mailto:\" URL"),
        ));
    };
    let plain = address.bytes().all(|byte| byte.is_ascii_graphic())
        && !address.contains(['?', ',', '%'])
        && contact.len() <= MAX_CONTACT;
    let whole = address
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'));
    if plain && whole {
        return Ok(());
    }
    Err(Problem::new(
        Kind::InvalidContact,
        format!("the contact {contact:?} is not one plain mail address"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(contact: &str, expected: Option<Kind>) {
        let found = check_contact(contact).err().map(|problem| problem.kind);
        assert_eq!(found, expected, "{contact}");
    }

    #[test]
    fn contacts_are_single_plain_mail_addresses() {
        check("mailto:ops@client.example", None);
        check("tel:+15555550100", Some(Kind::UnsupportedContact));
        check("ops@client.example", Some(Kind::UnsupportedContact));
        check("mailto:ops", Some(Kind::InvalidContact));
        check("mailto:@client.example", Some(Kind::InvalidContact));
        check("mailto:a@b.example?subject=x", Some(Kind::InvalidContact));
        check("mailto:a@b.example,c@d.example", Some(Kind::InvalidContact));
        check("mailto:a b@c.example", Some(Kind::InvalidContact));
        let many = vec!["mailto:a@b.example".to_owned(); MAX_CONTACTS + 1];
        assert!(check_contacts(&many).is_err());
    }
}
