//! Where a request goes: a function of the view and of what was asked.

use std::{fmt, sync::Arc};

use http::Method;
use state::{Hostname, challenge::is_token};

use super::answer::Reason;
use crate::view::{Known, View};

/// With or without TLS towards the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// The http port.
    Http,
    /// The https port.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL leaves out.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was asked, of which connection.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Of which port.
    pub scheme: Scheme,
    /// The name that the TLS session is for, lower case; empty without TLS.
    pub session: &'a str,
    /// The name that the request is for, lower case, without port.
    pub host: &'a str,
    /// How.
    pub method: &'a Method,
    /// Path and query, as sent.
    pub target: &'a str,
}

/// What is done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Send it on, or answer it as the hostname's settings want.
    Forward(Known),
    /// The answer to a challenge.
    Answer(Arc<str>),
    /// A challenge that this node does not know: ask the leader.
    Ask {
        /// Authorized here.
        hostname: Hostname,
        /// Of the right shape.
        token: String,
    },
    /// The same over https: the URL.
    Redirect(String),
    /// Neither; why.
    Refuse(Reason),
}

/// RFC 8555 section 8.3.
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// Decides. `https_port` is the one that clients reach the https port at.
pub fn decide(view: &View, asked: &Asked<'_>, https_port: u16) -> Decision {
    match asked.scheme {
        Scheme::Https => secure(view, asked),
        Scheme::Http => plain(view, asked, https_port),
    }
}

fn secure(view: &View, asked: &Asked<'_>) -> Decision {
    // The certificate that the client has checked is for the session's name.
    if asked.host != asked.session {
        return Decision::Refuse(Reason::Misdirected);
    }
    // A connection may outlive its hostname's authorization.
    match view.known(asked.host) {
        Some(known) => Decision::Forward(known),
        None => Decision::Refuse(Reason::HostUnknown),
    }
}

fn plain(view: &View, asked: &Asked<'_>, https_port: u16) -> Decision {
    let Some(hostname) = view.hostname(asked.host) else {
        return Decision::Refuse(Reason::HostUnknown);
    };
    let path = asked.target.split('?').next().unwrap_or_default();
    if let Some(token) = path.strip_prefix(CHALLENGES)
        && matches!(*asked.method, Method::GET | Method::HEAD)
    {
        return challenge(view, hostname, token);
    }
    let target = if asked.target.starts_with('/') {
        asked.target
    } else {
        "/"
    };
    Decision::Redirect(if https_port == Scheme::Https.default_port() {
        format!("https://{hostname}{target}")
    } else {
        format!("https://{hostname}:{https_port}{target}")
    })
}

fn challenge(view: &View, hostname: Hostname, token: &str) -> Decision {
    // Below a wildcard there is no end of names, and the leader is not asked for each.
    if !is_token(token) || !view.is_authorized(hostname.as_str()) {
        return Decision::Refuse(Reason::ChallengeUnknown);
    }
    match view.challenge(token) {
        Some(challenge) if challenge.hostname == hostname => {
            Decision::Answer(challenge.key_authorization)
        }
        Some(_) => Decision::Refuse(Reason::ChallengeUnknown),
        None => Decision::Ask {
            hostname,
            token: token.to_owned(),
        },
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
