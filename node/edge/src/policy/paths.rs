//! Rules by path: what a request's path means, and which rule that falls under.

use std::{borrow::Cow, sync::Arc};

use http::{Uri, uri::PathAndQuery};
use state::traffic::{self, PathRule, Weighted};

use crate::upstream::Targets;

/// What is otherwise below a path.
pub(crate) struct Path {
    path: Box<str>,
    replace: Option<Box<str>>,
    /// Absent: where all other requests go.
    pub(crate) targets: Option<Arc<Targets>>,
}

/// Requests that are sent elsewhere.
#[derive(Debug)]
pub(crate) struct Redirect {
    path: Box<str>,
    target: Box<str>,
    keep: bool,
    pub(crate) status: u16,
    /// The target's host if what is sent there would come back under the same path.
    comes_back: Option<Box<str>>,
}

/// The longest paths first: the first that fits is the right one.
pub(super) fn rules(
    rules: &[PathRule],
    targets: &impl Fn(&[Weighted]) -> Arc<Targets>,
) -> Vec<Path> {
    let one = |rule: &PathRule| Path {
        path: rule.path.clone(),
        replace: rule.replace.clone(),
        targets: rule.origins.as_deref().map(targets),
    };
    let mut paths: Vec<_> = rules.iter().map(one).collect();
    paths.sort_by_key(|path| std::cmp::Reverse(path.path.len()));
    paths
}

/// See [`rules`].
pub(super) fn redirects(rules: &[traffic::Redirect]) -> Vec<Redirect> {
    let one = |rule: &traffic::Redirect| {
        let uri: Option<Uri> = rule.target.parse().ok();
        let returns = uri.filter(|uri| below(uri.path(), &rule.path).is_some());
        let host = returns.and_then(|uri| Some(uri.host()?.to_ascii_lowercase().into()));
        Redirect {
            path: rule.path.clone(),
            target: rule.target.clone(),
            keep: rule.keep,
            status: rule.status,
            comes_back: host,
        }
    };
    let mut redirects: Vec<_> = rules.iter().map(one).collect();
    redirects.sort_by_key(|redirect| std::cmp::Reverse(redirect.path.len()));
    redirects
}

/// Where a request for `target` of `host` is sent, and with which status.
pub(crate) fn redirected(
    redirects: &[Redirect],
    host: &str,
    target: &str,
) -> Option<(String, u16)> {
    let (path, query) = split(target);
    let path = meaning(path);
    redirects.iter().find_map(|redirect| {
        let rest = below(&path, &redirect.path)?;
        // A zone may send all its hostnames to one of them, which must not go in circles.
        if redirect.comes_back.as_deref() == Some(host) {
            return None;
        }
        let mut location = String::from(&*redirect.target);
        if redirect.keep {
            location.truncate(location.trim_end_matches('/').len());
            location.push_str(rest);
            location.push_str(query);
        }
        if location.is_empty() {
            location.push('/');
        }
        Some((location, redirect.status))
    })
}

/// The rule for `target`, and what its origin is asked for in its place, if that is not
/// what the client has sent.
pub(crate) fn ruled<'a>(
    paths: &'a [Path],
    target: &str,
) -> Option<(&'a Path, Option<PathAndQuery>)> {
    let (sent, query) = split(target);
    let path = meaning(sent);
    paths.iter().find_map(|rule| {
        let rest = below(&path, &rule.path)?;
        let Some(replace) = &rule.replace else {
            return Some((rule, None));
        };
        let mut asked = String::from(replace.trim_end_matches('/'));
        asked.push_str(rest);
        if asked.is_empty() {
            asked.push('/');
        }
        asked.push_str(query);
        // Parts of a target put together anew are a target.
        Some((rule, asked.parse().ok()))
    })
}

fn split(target: &str) -> (&str, &str) {
    target.split_at(target.find('?').unwrap_or(target.len()))
}

/// What of `path` follows `above`, if it is that or lies below it.
fn below<'a>(path: &'a str, above: &str) -> Option<&'a str> {
    let stem = above.trim_end_matches('/');
    let rest = path.strip_prefix(stem)?;
    let whole = above.len() > stem.len() && stem.is_empty();
    match rest.as_bytes().first() {
        Some(b'/') => Some(rest),
        None if whole || above.len() == stem.len() => Some(rest),
        _ => None,
    }
}

/// The path as all readers of RFC 3986 must understand it: encoded characters that need
/// no encoding decoded, `.` and `..` resolved, empty parts left out. Only rules are judged
/// by it; what no rule replaces is sent as it came.
fn meaning(path: &str) -> Cow<'_, str> {
    if !path.contains('%') && !path.contains("//") && !path.contains("/.") {
        return Cow::Borrowed(path);
    }
    let decoded = decode(path);
    let mut parts: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for part in decoded.split('/').skip(1) {
        ends_open = matches!(part, "" | "." | "..");
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut path = String::with_capacity(decoded.len());
    for part in parts {
        path.push('/');
        path.push_str(part);
    }
    if ends_open || path.is_empty() {
        path.push('/');
    }
    Cow::Owned(path)
}

fn decode(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(place) = rest.find('%') {
        let (before, from) = rest.split_at(place);
        decoded.push_str(before);
        let byte = from
            .get(1..3)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if is_plain(byte) => {
                decoded.push(char::from(byte));
                rest = &from[3..];
            }
            _ => {
                decoded.push('%');
                rest = &from[1..];
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

/// Means the same in a path with and without encoding, or is read so by origins
/// (RFC 3986 sections 2.3 and 3.3).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn means(path: &str, expected: &str) {
        assert_eq!(meaning(path), expected, "{path}");
    }

    #[test]
    fn a_path_means_what_origins_read() {
        means("/a/b", "/a/b");
        means("/%61pi/x", "/api/x");
        means("/a%2fb", "/a%2fb");
        means("/a/../b", "/b");
        means("/a/%2e%2E/b", "/b");
        means("/../../b", "/b");
        means("//a///b/", "/a/b/");
        means("/a/.", "/a/");
        means("/a/..", "/");
        means("/a%", "/a%");
        means("/a%zz", "/a%zz");
        means("/a%c3%a9", "/a%c3%a9");
        means("/.well-known/x", "/.well-known/x");
    }

    #[track_caller]
    fn lies(path: &str, above: &str, rest: Option<&str>) {
        assert_eq!(below(path, above), rest, "{path} below {above}");
    }

    #[test]
    fn parts_of_a_path_are_compared_whole() {
        lies("/api", "/api", Some(""));
        lies("/api/x", "/api", Some("/x"));
        lies("/apis", "/api", None);
        lies("/api/x", "/api/", Some("/x"));
        lies("/api", "/api/", None);
        lies("/", "/", Some("/"));
        lies("/x", "/", Some("/x"));
        lies("/x", "/api", None);
    }

    fn rule(path: &str, replace: Option<&str>) -> PathRule {
        PathRule {
            path: path.into(),
            replace: replace.map(Into::into),
            origins: None,
        }
    }

    #[track_caller]
    fn asks(list: &[PathRule], target: &str, rule: Option<&str>, asked: Option<&str>) {
        let no_targets = |_: &[Weighted]| unreachable!("no rule has origins");
        let paths = rules(list, &no_targets);
        let found = ruled(&paths, target);
        assert_eq!(
            found.as_ref().map(|(path, _)| &*path.path),
            rule,
            "{target}"
        );
        let got = found.and_then(|(_, asked)| asked);
        assert_eq!(got.as_ref().map(PathAndQuery::as_str), asked, "{target}");
    }

    #[test]
    fn the_longest_path_that_fits_rules() {
        let list = [
            rule("/", Some("/v1")),
            rule("/api", Some("/")),
            rule("/api/old", Some("/legacy/")),
            rule("/same", None),
        ];
        asks(&list, "/x?q=/api", Some("/"), Some("/v1/x?q=/api"));
        asks(&list, "/api/x?q", Some("/api"), Some("/x?q"));
        asks(&list, "/api", Some("/api"), Some("/"));
        asks(&list, "/api/old/x", Some("/api/old"), Some("/legacy/x"));
        asks(&list, "/apis", Some("/"), Some("/v1/apis"));
        asks(&list, "/same/%61", Some("/same"), None);
        asks(&list, "/x/../%61pi/..%2fy", Some("/api"), Some("/..%2fy"));
        asks(&list[1..], "/x", None, None);
    }

    #[track_caller]
    fn leads(path: &str, target: &str, keep: bool, asked: &str, expected: Option<&str>) {
        let rule = traffic::Redirect {
            path: path.into(),
            target: target.into(),
            keep,
            status: 308,
        };
        let location = redirected(&redirects(&[rule]), "shop.example", asked);
        let location = location.map(|(location, _)| location);
        assert_eq!(location.as_deref(), expected, "{asked}");
    }

    #[test]
    fn redirects_keep_what_follows_if_they_shall() {
        let www = "https://www.shop.example";
        leads("/", www, true, "/a?b", Some("https://www.shop.example/a?b"));
        leads(
            "/",
            www,
            true,
            "//evil.example/",
            Some("https://www.shop.example/evil.example/"),
        );
        leads("/", www, false, "/a?b", Some(www));
        leads("/old", "/new/", true, "/old/x?y", Some("/new/x?y"));
        leads("/old", "/new", false, "/old/x?y", Some("/new"));
        leads("/old", "/new", false, "/older", None);
        leads("/old", "/", true, "/old", Some("/"));
        leads(
            "/old",
            "/",
            true,
            "/old//evil.example",
            Some("/evil.example"),
        );
    }

    #[test]
    fn nobody_is_sent_in_circles() {
        leads("/", "https://shop.example", true, "/a", None);
        leads("/", "https://SHOP.example/b", true, "/a", None);
        leads(
            "/a",
            "https://shop.example/b",
            true,
            "/a/x",
            Some("https://shop.example/b/x"),
        );
    }
}
