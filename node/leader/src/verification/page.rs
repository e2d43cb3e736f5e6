//! What came back by HTTP, as values.

use std::{fmt, net::IpAddr};

/// How a request to one address ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// 200, and this text; what is beyond the bound is cut off.
    Body(String),
    /// Another status.
    Status(u16),
    /// Sent on to somewhere. Never followed: where to is for the other side to say, and
    /// could be inside our network.
    Redirect(String),
    /// The port is closed.
    Closed,
    /// No connection, or no answer, in time.
    Timeout,
    /// There is no road from here, as to an IPv6 address from a machine without IPv6.
    Unreachable,
    /// A connection, and then no HTTP.
    Broken,
    /// The address is not one that may be asked.
    Forbidden,
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(text) => write!(f, "200 with `{}`", excerpt(text)),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Redirect(to) => write!(f, "a redirect to {}", excerpt(to)),
            Self::Closed => f.write_str("a closed port"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Unreachable => f.write_str("no road from here"),
            Self::Broken => f.write_str("no HTTP"),
            Self::Forbidden => f.write_str("an address that is not public"),
        }
    }
}

/// How much of what a stranger said is shown.
const EXCERPT_MOST: usize = 60;

fn excerpt(text: &str) -> String {
    let printable = text.trim().chars().filter(|c| !c.is_control());
    printable.take(EXCERPT_MOST).collect()
}

/// A request to one address, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Whom.
    pub address: IpAddr,
    /// How.
    pub page: Page,
}

impl Fetched {
    /// True if the text is `want`, but for white space around it.
    pub fn shows(&self, want: &str) -> bool {
        matches!(&self.page, Page::Body(text) if text.trim() == want)
    }
}

/// Whether a port answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// It accepts connections.
    Open,
    /// It refuses them.
    Closed,
    /// Nothing comes back.
    Timeout,
    /// There is no road from here.
    Unreachable,
    /// The address is not one that may be asked.
    Forbidden,
}
