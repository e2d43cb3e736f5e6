//! Listening sockets that whoever starts us holds, as systemd's socket units do: a client
//! that comes while this node is restarted waits in the socket's queue.

use std::net::TcpListener;

use anyhow::{Context as _, Result, ensure};
use listenfd::ListenFd;

/// The sockets, by the port that they are for; none where that is bound by ourselves.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Customers' TLS.
    pub https: Vec<TcpListener>,
    /// Customers' clear-text HTTP.
    pub http: Vec<TcpListener>,
}

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Https,
    Http,
}

impl Inherited {
    /// Takes them from the environment, which is cleared of them: to be called once, before
    /// there are threads.
    ///
    /// # Errors
    ///
    /// A socket has a name that we do not know, or is no TCP socket.
    pub fn take() -> Result<Self> {
        let told = std::env::vars_os().find(|(name, _)| name == "LISTEN_FDNAMES");
        let told = told.map(|(_, value)| value.to_string_lossy().into_owned());
        let mut descriptors = ListenFd::from_env();
        let names = names(told.as_deref(), descriptors.len())?;
        let mut inherited = Self::default();
        for (place, name) in names.into_iter().enumerate() {
            let taken = descriptors.take_tcp_listener(place);
            let taken =
                taken.with_context(|| format!("inherited socket {place} is no TCP socket"))?;
            match name {
                Name::Https => inherited.https.extend(taken),
                Name::Http => inherited.http.extend(taken),
            }
        }
        Ok(inherited)
    }
}

/// What `count` sockets are for, by their names with colons between them.
fn names(told: Option<&str>, count: usize) -> Result<Vec<Name>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = told.unwrap_or_default().split(':').collect();
    ensure!(
        names.len() == count,
        "{count} sockets are inherited, but LISTEN_FDNAMES names {}",
        names.len()
    );
    let named = names.into_iter().map(|name| match name {
        "https" => Ok(Name::Https),
        "http" => Ok(Name::Http),
        _ => anyhow::bail!(
            "a socket named `{name}` is inherited: set FileDescriptorName= of its unit to `https` or `http`"
        ),
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_told_apart_by_name() {
        for (told, count, expected) in [
            (None, 0, Ok(vec![])),
            (Some("https"), 0, Ok(vec![])),
            (Some("https"), 1, Ok(vec![Name::Https])),
            (
                Some("https:http:https"),
                3,
                Ok(vec![Name::Https, Name::Http, Name::Https]),
            ),
            (
                Some("https"),
                2,
                Err("2 sockets are inherited, but LISTEN_FDNAMES names 1"),
            ),
            (None, 1, Err("a socket named `` is inherited")),
            (
                Some("hostquorum.socket"),
                1,
                Err("a socket named `hostquorum.socket` is inherited"),
            ),
        ] {
            match (names(told, count), expected) {
                (Ok(names), Ok(expected)) => assert_eq!(names, expected, "{told:?}"),
                (Err(error), Err(expected)) => {
                    let error = error.to_string();
                    assert!(error.starts_with(expected), "{error}");
                }
                (got, expected) => panic!("{told:?}: {got:?}, not {expected:?}"),
            }
        }
    }
}
