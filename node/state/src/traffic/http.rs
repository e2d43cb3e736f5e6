//! HTTP with clients and origins.

use std::sync::Arc;

use bytes::Bytes;

use super::Weighted;

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hsts {
    /// In seconds; 0 makes browsers forget it.
    pub max_age: u32,
    /// For all names below, too.
    pub subdomains: bool,
    /// Browsers may know it before they have come.
    pub preload: bool,
}

/// Requests that are answered with another place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Redirect {
    /// Of which paths: this one and all below it.
    pub path: Box<str>,
    /// A URL, or a path of the same hostname.
    pub target: Box<str>,
    /// What follows `path` in the request, and its query, follow the target.
    pub keep: bool,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// A change of one header field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeaderRule {
    /// In lower case.
    pub name: Box<str>,
    /// What becomes of it.
    pub action: HeaderAction,
}

/// What becomes of a header field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeaderAction {
    /// It has this value alone.
    Set(Box<str>),
    /// It has this value, too.
    Add(Box<str>),
    /// It goes.
    Remove,
}

/// What is otherwise at a path and below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathRule {
    /// Which.
    pub path: Box<str>,
    /// What stands in its place for the origin; absent: it stays.
    pub replace: Option<Box<str>>,
    /// Where such requests go; absent: where all others do.
    pub origins: Option<Arc<[Weighted]>>,
}

/// One thing that origins are told of a hostname.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Metadatum {
    /// In lower case; the field's name without its prefix.
    pub key: Box<str>,
    /// The field's value.
    pub value: Box<str>,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    /// In the long run.
    pub per_second: u32,
    /// At once.
    pub burst: u32,
}

/// An answer of our own in the place of the origin's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Maintenance {
    /// As a rule 503.
    pub status: u16,
    /// Of the body.
    pub content_type: Box<str>,
    /// What people see.
    pub body: Bytes,
    /// When to come again, in seconds.
    pub retry_after: Option<u32>,
}
