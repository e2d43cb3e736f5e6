use std::sync::Arc;

use bytes::Bytes;
use state::{
    KeyPurpose, Sealed, Term,
    testing::{Alone, ManualClock, host},
};

use super::*;

/// Knows `a.test.example` and `b.test.example`; a challenge is placed for the
/// first.
fn view() -> View {
    let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
    alone.authorize("a.test.example");
    alone.authorize("b.test.example");
    alone.register(Term(1), "thumb");
    let key = Sealed {
        purpose: KeyPurpose::Serving,
        generation: 1,
        nonce: [0; 12],
        ciphertext: Bytes::new(),
    };
    alone.prepare(Term(1), "a.test.example", key, "placed");
    View::new(alone.state())
}

#[track_caller]
fn secure(session: &str, host: &str, expected: Decision) {
    let asked = Asked {
        scheme: Scheme::Https,
        session,
        host,
        method: &Method::GET,
        target: "/.well-known/acme-challenge/placed",
    };
    assert_eq!(decide(&view(), &asked, 443), expected, "{session} {host}");
}

#[track_caller]
fn plain(method: Method, host: &str, target: &str, expected: Decision) {
    let asked = Asked {
        scheme: Scheme::Http,
        session: "",
        host,
        method: &method,
        target,
    };
    assert_eq!(
        decide(&view(), &asked, 443),
        expected,
        "{method} {host} {target}"
    );
}

#[test]
fn a_known_host_is_served() {
    let a = "a.test.example";
    secure(a, a, Decision::Forward(Known::default()));
}

#[test]
fn a_host_must_be_the_sessions_and_known() {
    secure(
        "a.test.example",
        "b.test.example",
        Decision::Refuse(Reason::Misdirected),
    );
    secure(
        "gone.example",
        "gone.example",
        Decision::Refuse(Reason::HostUnknown),
    );
}

#[test]
fn a_placed_challenge_is_answered_for_its_hostname() {
    let placed = "/.well-known/acme-challenge/placed";
    let answer = || Decision::Answer("placed.thumb".into());
    plain(Method::GET, "a.test.example", placed, answer());
    plain(Method::HEAD, "a.test.example", placed, answer());
    plain(
        Method::GET,
        "a.test.example",
        &format!("{placed}?x"),
        answer(),
    );
    plain(
        Method::GET,
        "b.test.example",
        placed,
        Decision::Refuse(Reason::ChallengeUnknown),
    );
    plain(
        Method::GET,
        "gone.example",
        placed,
        Decision::Refuse(Reason::HostUnknown),
    );
}

#[test]
fn another_challenge_is_asked_for_if_it_can_be_one() {
    let ask = Decision::Ask {
        hostname: host("b.test.example"),
        token: "other".to_owned(),
    };
    plain(
        Method::GET,
        "b.test.example",
        "/.well-known/acme-challenge/other",
        ask,
    );
    for token in ["", "a.b", "a/b", "a%20"] {
        let target = format!("/.well-known/acme-challenge/{token}");
        plain(
            Method::GET,
            "a.test.example",
            &target,
            Decision::Refuse(Reason::ChallengeUnknown),
        );
    }
}

#[test]
fn the_rest_is_sent_to_https() {
    let to = |url: &str| Decision::Redirect(url.to_owned());
    let a = "a.test.example";
    plain(Method::GET, a, "/x?y", to("https://a.test.example/x?y"));
    plain(
        Method::GET,
        a,
        "//evil.example/",
        to("https://a.test.example//evil.example/"),
    );
    plain(
        Method::POST,
        a,
        "/.well-known/acme-challenge/placed",
        to("https://a.test.example/.well-known/acme-challenge/placed"),
    );
    plain(Method::OPTIONS, a, "*", to("https://a.test.example/"));
    plain(
        Method::GET,
        "gone.example",
        "/",
        Decision::Refuse(Reason::HostUnknown),
    );
    let asked = Asked {
        scheme: Scheme::Http,
        session: "",
        host: a,
        method: &Method::GET,
        target: "/",
    };
    assert_eq!(
        decide(&view(), &asked, 8443),
        to("https://a.test.example:8443/")
    );
}
