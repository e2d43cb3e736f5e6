//! Which host a request is for (RFC 9110 section 7.2, RFC 9112 section 3.2,
//! RFC 9113 section 8.3.1).

use std::borrow::Cow;

use http::{HeaderValue, Uri, Version, header, request::Parts};

use super::{answer::Reason, route::Scheme};

/// The host of a request, valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority<'a> {
    /// As the client wrote it, with its port.
    pub(crate) text: &'a str,
    /// The name alone, lower case, without the dot of the root.
    pub(crate) name: Cow<'a, str>,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// `host` or `host:port`. Addresses are no hosts here: no certificate of
    /// ours names one.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(parse_port(port)?)),
            None => (text, None),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        let valid = host.len() <= 253 && host.split('.').all(is_label);
        let name = if host.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        valid.then_some(Self { text, name, port })
    }

    /// The one host that the whole head agrees on.
    ///
    /// # Errors
    ///
    /// None, several, an invalid one, or a contradiction between the target and
    /// the Host field.
    pub(crate) fn of(head: &'a Parts, scheme: Scheme) -> Result<Self, Reason> {
        let field = host_field(head)?;
        if head.version >= Version::HTTP_2 {
            return match (target(&head.uri)?, field) {
                (Some(target), Some(field)) => target.agreeing_with(&field, scheme),
                (Some(one), None) | (None, Some(one)) => Ok(one),
                (None, None) => Err(Reason::HostMissing),
            };
        }
        let field = field.ok_or(Reason::HostMissing)?;
        match target(&head.uri)? {
            None => Ok(field),
            Some(_) if head.uri.scheme_str() != Some(scheme.as_str()) => Err(Reason::TargetInvalid),
            Some(target) => target.agreeing_with(&field, scheme),
        }
    }

    fn agreeing_with(self, other: &Self, scheme: Scheme) -> Result<Self, Reason> {
        let port = |one: &Self| one.port.unwrap_or(scheme.default_port());
        if self.name == other.name && port(&self) == port(other) {
            Ok(self)
        } else {
            Err(Reason::HostContradicted)
        }
    }
}

fn host_field(head: &Parts) -> Result<Option<Authority<'_>>, Reason> {
    let mut fields = head.headers.get_all(header::HOST).iter();
    let Some(first) = fields.next() else {
        return Ok(None);
    };
    if fields.next().is_some() {
        return Err(Reason::HostRepeated);
    }
    parse(first).map(Some)
}

fn parse(field: &HeaderValue) -> Result<Authority<'_>, Reason> {
    field
        .to_str()
        .ok()
        .and_then(Authority::parse)
        .ok_or(Reason::HostInvalid)
}

fn target(uri: &Uri) -> Result<Option<Authority<'_>>, Reason> {
    match uri.authority() {
        None => Ok(None),
        Some(authority) => Authority::parse(authority.as_str())
            .map(Some)
            .ok_or(Reason::HostInvalid),
    }
}

fn parse_port(text: &str) -> Option<u16> {
    if text.is_empty() || text.len() > 5 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|port| *port != 0)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[track_caller]
    fn check(version: Version, uri: &str, hosts: &[&str], expected: Result<(&str, &str), Reason>) {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let got = Authority::of(&head, Scheme::Https);
        let got = got
            .as_ref()
            .map(|a| (a.text, a.name.as_ref()))
            .map_err(|reason| *reason);
        assert_eq!(got, expected, "{uri} {hosts:?}");
    }

    #[test]
    fn one_valid_host_is_taken() {
        check(Version::HTTP_11, "/", &["a.test"], Ok(("a.test", "a.test")));
        check(
            Version::HTTP_11,
            "/",
            &["A.Test:8443"],
            Ok(("A.Test:8443", "a.test")),
        );
        check(
            Version::HTTP_11,
            "/",
            &["a.test."],
            Ok(("a.test.", "a.test")),
        );
        check(Version::HTTP_10, "/", &["a.test"], Ok(("a.test", "a.test")));
    }

    #[test]
    fn a_host_must_be_there_once() {
        check(Version::HTTP_11, "/", &[], Err(Reason::HostMissing));
        check(Version::HTTP_10, "/", &[], Err(Reason::HostMissing));
        check(Version::HTTP_2, "/", &[], Err(Reason::HostMissing));
        check(
            Version::HTTP_11,
            "/",
            &["a.test", "a.test"],
            Err(Reason::HostRepeated),
        );
        check(
            Version::HTTP_11,
            "/",
            &["a.test", "b.test"],
            Err(Reason::HostRepeated),
        );
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in [
            "",
            " ",
            "a b/../",
            "u@evil",
            "a.test:",
            "a.test:0",
            "a.test:99999",
            "a.test:+1",
            "a.test:1:1",
            ":443",
            "[::1]",
            "a..b",
            ".",
            "a.test/",
            "a.test,b.test",
            "a.test?",
        ] {
            check(Version::HTTP_11, "/", &[host], Err(Reason::HostInvalid));
        }
    }

    #[test]
    fn target_and_field_must_agree() {
        check(
            Version::HTTP_11,
            "https://a.test/",
            &["A.test:443"],
            Ok(("a.test", "a.test")),
        );
        check(
            Version::HTTP_11,
            "https://a.test/",
            &[],
            Err(Reason::HostMissing),
        );
        check(
            Version::HTTP_11,
            "https://a.test/",
            &["b.test"],
            Err(Reason::HostContradicted),
        );
        check(
            Version::HTTP_11,
            "https://a.test:8443/",
            &["a.test"],
            Err(Reason::HostContradicted),
        );
        check(
            Version::HTTP_11,
            "http://a.test/",
            &["a.test"],
            Err(Reason::TargetInvalid),
        );
        check(
            Version::HTTP_11,
            "https://a:99999/",
            &["a"],
            Err(Reason::HostInvalid),
        );
        check(
            Version::HTTP_11,
            "https://u@a.test/",
            &["a.test"],
            Err(Reason::HostInvalid),
        );
        check(
            Version::HTTP_2,
            "https://a.test/",
            &[],
            Ok(("a.test", "a.test")),
        );
        check(
            Version::HTTP_2,
            "https://a.test/",
            &["a.test"],
            Ok(("a.test", "a.test")),
        );
        check(
            Version::HTTP_2,
            "https://a.test/",
            &["b.test"],
            Err(Reason::HostContradicted),
        );
        check(Version::HTTP_2, "/", &["a.test"], Ok(("a.test", "a.test")));
    }
}
