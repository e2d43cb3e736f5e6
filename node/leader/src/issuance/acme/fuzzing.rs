//! An entry to what reads a CA's replies behind private doors, for `tests/fuzz`. The
//! feature of this name adds it and changes nothing.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, Uri};
use state::Timestamp;

use super::{
    answer::Answer,
    directory::{Directory, Hosts},
    document,
};
use crate::issuance::authority::{AuthorityError, AuthorizationView, OrderView, RenewalInfo};

/// One reply, read as each document that it could be.
#[derive(Debug)]
pub struct Read {
    /// As a directory: whether it can be used.
    pub directory: Result<(), AuthorityError>,
    /// As an order.
    pub order: Result<OrderView, AuthorityError>,
    /// As an authorization.
    pub authorization: Result<AuthorizationView, AuthorityError>,
    /// As renewal information.
    pub renewal: Result<RenewalInfo, AuthorityError>,
    /// As an account: its status.
    pub account: Option<String>,
    /// As a certificate: its text.
    pub pem: Result<String, AuthorityError>,
    /// As an answer that should be good: why it is none.
    pub refusal: Option<AuthorityError>,
    /// Where it leads to.
    pub location: Option<String>,
    /// Where other chains are.
    pub alternates: Vec<String>,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
}

/// Reads a reply of the CA whose directory is at `directory`.
pub fn read(reply: &Response<Bytes>, directory: &Uri, now: Timestamp) -> Read {
    let answer = Answer::of(reply);
    let hosts = Hosts::of(directory);
    let url = directory.to_string();
    Read {
        directory: Directory::read(&answer, directory).map(|_| ()),
        order: document::order(&answer, &url, &hosts, now),
        authorization: document::authorization(&answer, &url, &hosts, now),
        renewal: document::renewal_info(&answer, now),
        account: document::account_status(&answer),
        pem: answer.pem(),
        location: answer.location("it").ok().map(ToOwned::to_owned),
        alternates: answer.alternates(),
        retry_after: answer.retry_after(now),
        refusal: answer.good(now).err(),
    }
}

/// Whether a link leads to the CA whose directory is at `directory`.
pub fn is_the_cas(link: &str, directory: &Uri) -> bool {
    Hosts::of(directory).check(link).is_ok()
}
