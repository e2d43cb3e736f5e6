use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const URL: &str = "https://ca.example/order/1";

fn hosts() -> Hosts {
    Hosts::of(&"https://ca.example/directory".parse().unwrap())
}

fn answer(body: &str) -> Answer {
    let response = Response::builder().header("retry-after", "3");
    Answer::of(
        &response
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap(),
    )
}

fn order_of(body: &str) -> Result<OrderView, AuthorityError> {
    order(&answer(body), URL, &hosts(), NOW)
}

fn authorization_of(body: &str) -> Result<AuthorizationView, AuthorityError> {
    authorization(&answer(body), "https://ca.example/authz/1", &hosts(), NOW)
}

#[test]
fn an_order_is_read_with_all_that_it_says_and_odd_states_are_over() {
    let view = order_of(
        r#"{"status":"deactivated","authorizations":["https://ca.example/a","https://ca.example/b"],
        "identifiers":[{"type":"dns","value":"shop.example"},{"type":"dns","value":"*.shop.example"}],
        "finalize":"https://ca.example/f","certificate":"https://ca.example/c",
        "profile":"shortlived","replaces":"aki.serial",
        "expires":"2027-01-15T08:00:10.5Z","error":{"type":"t","detail":"d"}}"#,
    );
    let view = view.unwrap();
    assert_eq!(view.status, OrderStatus::Invalid);
    assert_eq!(view.identifiers, ["shop.example", "*.shop.example"]);
    assert_eq!(view.authorization_urls.len(), 2);
    assert_eq!(
        view.certificate_url.as_deref(),
        Some("https://ca.example/c")
    );
    assert_eq!(view.profile.as_deref(), Some("shortlived"));
    assert_eq!(view.replaces.as_deref(), Some("aki.serial"));
    assert_eq!(view.expires, Some(Timestamp(1_800_000_010_500)));
    assert_eq!(view.error.unwrap().to_string(), "t: d");
    assert_eq!(view.retry_after, Some(Duration::from_secs(3)));
}

#[test]
fn no_link_of_an_order_leads_elsewhere() {
    let good = r#"{"status":"valid","authorizations":["https://ca.example/a"],
        "finalize":"https://ca.example/f","certificate":"https://ca.example/c"}"#;
    order_of(good).unwrap();
    order_of(&good.replace("ca.example/c", "CA.example:443/c")).unwrap();
    for (link, other) in [
        ("https://ca.example/a", "https://evil.example/a"),
        ("https://ca.example/f", "https://ca.example:444/f"),
        ("https://ca.example/c", "http://ca.example/c"),
        ("https://ca.example/c", "/c"),
        ("https://ca.example/a", "https://ca.example@evil.example/"),
    ] {
        let error = order_of(&good.replace(link, other)).unwrap_err();
        assert!(
            matches!(error, AuthorityError::Malformed(_)),
            "{other}: {error}"
        );
    }
    let elsewhere = order(&answer(good), "https://evil.example/o", &hosts(), NOW);
    assert!(elsewhere.is_err());
}

#[test]
fn an_order_without_authorizations_or_with_too_many_is_not_ours() {
    for count in [0, ITEMS_MOST + 1] {
        let urls = vec![r#""https://ca.example/a""#; count].join(",");
        let body = format!(
            r#"{{"status":"ready","authorizations":[{urls}],"finalize":"https://ca.example/f"}}"#
        );
        let error = order_of(&body).unwrap_err();
        assert!(matches!(error, AuthorityError::Malformed(_)), "{error}");
    }
}

#[test]
fn an_authorization_shows_all_its_challenges() {
    let view = authorization_of(
        r#"{"identifier":{"type":"dns","value":"shop.example"},"wildcard":true,
        "status":"valid","expires":"2027-01-15T08:00:10Z","challenges":[
        {"type":"dns-01","url":"https://ca.example/d","token":"x_-","status":"valid"},
        {"type":"http-01","url":"https://ca.example/h","token":"t","status":"processing"},
        {"type":"tls-alpn-01","url":"https://ca.example/t","token":"t","status":"invalid",
         "error":{"type":"urn:ietf:params:acme:error:tls","detail":"no"}},
        {"type":"dns-persist-01","url":"https://ca.example/p","status":"pending",
         "accounturi":"https://ca.example/account/1","issuer-domain-names":["ca.example"]},
        {"type":"dns-account-01","url":"https://ca.example/o","token":"t"}]}"#,
    );
    let view = view.unwrap();
    assert_eq!(view.hostname.as_str(), "shop.example");
    assert!(view.wildcard);
    assert_eq!(view.retry_after, Some(Duration::from_secs(3)));
    assert_eq!(view.expires, Some(Timestamp(1_800_000_010_000)));
    let kinds: Vec<&str> = view.challenges.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "dns-01",
            "http-01",
            "tls-alpn-01",
            "dns-persist-01",
            "dns-account-01"
        ]
    );
    let http = view.challenge(&ChallengeKind::Http01).unwrap();
    assert_eq!(http.token.as_deref(), Some("t"));
    assert_eq!(http.status, ChallengeStatus::Processing);
    let alpn = view.challenge_at("https://ca.example/t").unwrap();
    assert_eq!(alpn.error.as_ref().unwrap().kind, "tls");
    let persist = view.challenge(&ChallengeKind::DnsPersist01).unwrap();
    assert_eq!(persist.token, None);
    let given = persist.persist.as_ref().unwrap();
    assert_eq!(given.issuer_domain_names, ["ca.example"]);
    assert_eq!(
        given.account_uri.as_deref(),
        Some("https://ca.example/account/1")
    );
}

#[test]
fn a_wildcard_that_stands_in_the_name_is_one_too() {
    let body = r#"{"identifier":{"type":"dns","value":"*.shop.example"},"status":"pending",
        "challenges":[]}"#;
    let view = authorization_of(body).unwrap();
    assert_eq!(
        (view.hostname.as_str(), view.wildcard),
        ("shop.example", true)
    );
}

#[test]
fn odd_tokens_links_and_names_are_refused() {
    let good = r#"{"identifier":{"type":"dns","value":"shop.example"},"status":"pending",
        "challenges":[{"type":"http-01","url":"https://ca.example/h","token":"t"}]}"#;
    authorization_of(good).unwrap();
    for (from, to) in [
        (r#""t""#, r#""../secret""#),
        (r#""t""#, r#""a b""#),
        ("ca.example/h", "evil.example/h"),
        ("shop.example", "127.0.0.1"),
    ] {
        let error = authorization_of(&good.replace(from, to)).unwrap_err();
        assert!(
            matches!(error, AuthorityError::Malformed(_)),
            "{to}: {error}"
        );
    }
}

#[test]
fn a_window_to_renew_in_is_read_and_one_that_is_none_refused() {
    let body = r#"{"suggestedWindow":{"start":"2027-01-15T08:00:00Z","end":"2027-01-15T08:00:10Z"},
        "explanationURL":"https://ca.example/why"}"#;
    let info = renewal_info(&answer(body), NOW).unwrap();
    assert_eq!(
        (info.start, info.end),
        (NOW, NOW.plus(Duration::from_secs(10)))
    );
    assert_eq!(
        info.explanation_url.as_deref(),
        Some("https://ca.example/why")
    );
    assert_eq!(info.retry_after, Some(Duration::from_secs(3)));
    for (from, to) in [
        (":10Z", ":00Z"),
        (":10Z", ""),
        ("suggestedWindow", "window"),
    ] {
        let error = renewal_info(&answer(&body.replace(from, to)), NOW).unwrap_err();
        assert!(
            matches!(error, AuthorityError::Malformed(_)),
            "{to}: {error}"
        );
    }
}
