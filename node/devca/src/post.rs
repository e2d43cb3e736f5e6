//! The log of requests: what was asked, when, and how it was answered.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::moment::Moment;

/// Requests remembered; the oldest are forgotten first. Five for each of a hundred
/// thousand orders, at about 150 bytes each.
const LIMIT: usize = 500_000;

/// One POST.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// What it asked for.
    pub endpoint: Endpoint,
    /// The path it was sent to.
    pub path: String,
    /// When it had been received whole, in milliseconds since the epoch.
    pub received: Moment,
    /// The account that signed it, when its signature was good.
    pub account: Option<String>,
    /// The HTTP status it was answered with, or was to be answered with.
    pub status: u16,
    /// Whether a fault struck it ([`crate::Fault`]).
    pub struck: bool,
}

/// The POSTs, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Posts {
    kept: VecDeque<Post>,
}

impl Posts {
    pub(crate) fn note(&mut self, post: Post) {
        if self.kept.len() >= LIMIT {
            self.kept.pop_front();
        }
        self.kept.push_back(post);
    }

    pub(crate) fn all(&self) -> Vec<Post> {
        self.kept.iter().cloned().collect()
    }
}
