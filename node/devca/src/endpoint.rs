//! The kinds of requests, as faults, limits and the log of requests tell them apart.

use serde::{Deserialize, Serialize};

use crate::limits::{Limit, RequestLimits};
use crate::routes::Route;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// The directory.
    Directory,
    /// A nonce.
    NewNonce,
    /// A new account, or the finding of one.
    NewAccount,
    /// An account: reading, changing, its list of orders.
    Account,
    /// Another key for an account.
    KeyChange,
    /// A new order.
    NewOrder,
    /// An order.
    Order,
    /// The finalizing of an order.
    Finalize,
    /// An authorization.
    Authorization,
    /// A challenge.
    Challenge,
    /// A certificate.
    Certificate,
    /// A revocation.
    Revoke,
    /// Renewal information.
    RenewalInfo,
}

impl Endpoint {
    /// The endpoint of a route; pages that are no part of ACME have none.
    pub(crate) fn of(route: &Route) -> Option<Self> {
        Some(match route {
            Route::Directory => Self::Directory,
            Route::NewNonce => Self::NewNonce,
            Route::NewAccount => Self::NewAccount,
            Route::Account(_) | Route::AccountOrders(_) => Self::Account,
            Route::KeyChange => Self::KeyChange,
            Route::NewOrder => Self::NewOrder,
            Route::Order(_) => Self::Order,
            Route::Finalize(_) => Self::Finalize,
            Route::Authorization(_) => Self::Authorization,
            Route::Challenge(..) => Self::Challenge,
            Route::Certificate(_) | Route::AlternateChain(..) => Self::Certificate,
            Route::Revoke => Self::Revoke,
            Route::RenewalInfo(_) => Self::RenewalInfo,
            Route::Terms
            | Route::Website
            | Route::Root
            | Route::AlternateRoot(_)
            | Route::Ledger => return None,
        })
    }

    /// The limit on requests of this kind, and the name of its bucket.
    pub(crate) fn limit(self, limits: &RequestLimits) -> Option<(Limit, &'static str)> {
        let (limit, kind) = match self {
            Self::Directory => (limits.directory, "directory"),
            Self::NewNonce => (limits.new_nonce, "newNonce"),
            Self::NewAccount => (limits.new_account, "newAccount"),
            Self::NewOrder => (limits.new_order, "newOrder"),
            Self::Revoke => (limits.revoke, "revokeCert"),
            Self::RenewalInfo => (limits.renewal_info, "renewalInfo"),
            _ => (limits.other, "acme"),
        };
        limit.map(|limit| (limit, kind))
    }
}
