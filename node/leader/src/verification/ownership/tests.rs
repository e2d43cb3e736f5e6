//! Claims as tables: what is there, and what it proves.

use super::{
    super::{
        claim::{Purpose, Token, Who},
        page::{Fetched, Page},
        sketch::{self, TOKEN, a, aaaa, agreement, challenge, claim, cluster, fetched, seen, txt},
    },
    *,
};

/// TXT, A, AAAA.
type Dns<'a> = (&'a str, &'a str, &'a str);

const NONE: &str = "nothing";
const OURS: &str = "198.51.100.7 | 198.51.100.8";
const TO_US: &str = "CNAME acme.edge.example | 198.51.100.7";
const TO_US_6: &str = "CNAME acme.edge.example | nothing";
const ELSEWHERE: &str = "192.0.2.80";

fn token() -> String {
    format!("hostquorum-verify={TOKEN}")
}

fn rules() -> Rules {
    Rules {
        agreement: agreement(),
        traffic: true,
    }
}

fn said(verdict: &Verdict) -> String {
    let codes = |reasons: &[Reason]| {
        let codes: Vec<&str> = reasons.iter().map(Reason::code).collect();
        codes.join(", ")
    };
    match verdict {
        Verdict::Proven { method, .. } => format!("{method:?}"),
        Verdict::Unproven(reasons) => format!("unproven: {}", codes(reasons)),
        Verdict::Undecided(reasons) => format!("undecided: {}", codes(reasons)),
    }
}

#[track_caller]
fn check_with(rules: Rules, purpose: Purpose, wildcard: bool, dns: Dns<'_>, expected: &str) {
    let (txt_, a_, aaaa_) = dns;
    let seen = seen(|seen| {
        txt(seen, txt_);
        a(seen, a_);
        aaaa(seen, aaaa_);
    });
    let verdict = judge(&claim(purpose, wildcard), &cluster(), &rules, &seen);
    assert_eq!(said(&verdict), expected, "{purpose:?} {dns:?}");
}

#[track_caller]
fn check(purpose: Purpose, dns: Dns<'_>, expected: &str) {
    check_with(rules(), purpose, false, dns, expected);
}

#[test]
fn a_first_claim_is_proven_by_txt_cname_or_addresses() {
    let token = &token();
    let others = "v=spf1 -all | hostquorum-verify=zzzzzzzzzzzzzzzzzzzzzz";
    for (dns, expected) in [
        ((&**token, ELSEWHERE, NONE), "Txt"),
        ((&format!("v=spf1 -all | {token} "), ELSEWHERE, NONE), "Txt"),
        ((NONE, TO_US, TO_US_6), "Cname"),
        (
            (
                NONE,
                "CNAME www.client.example | CNAME acme.edge.example | nxdomain",
                NONE,
            ),
            "Cname",
        ),
        ((NONE, OURS, NONE), "Address"),
        ((NONE, NONE, "2001:db8::7"), "Address"),
        ((NONE, OURS, "2001:db8::7"), "Address"),
        (
            (NONE, ELSEWHERE, NONE),
            "unproven: txt_missing, cname_elsewhere, address_elsewhere",
        ),
        (
            (others, NONE, NONE),
            "unproven: txt_other, cname_elsewhere, address_missing",
        ),
        (
            ("nxdomain", "nxdomain", "nxdomain"),
            "unproven: txt_missing, cname_elsewhere, address_missing",
        ),
        (
            (NONE, "loop", "loop"),
            "unproven: txt_missing, cname_elsewhere, address_missing",
        ),
    ] {
        check(Purpose::First, dns, expected);
    }
}

#[test]
fn an_address_of_somebody_else_beside_ours_proves_nothing() {
    let expected = "unproven: txt_missing, cname_elsewhere, address_elsewhere";
    check(
        Purpose::First,
        (NONE, "198.51.100.7 | 192.0.2.80", NONE),
        expected,
    );
    check(Purpose::First, (NONE, OURS, "2001:db8::bad"), expected);
    check(Purpose::Recheck, (NONE, OURS, "2001:db8::bad"), expected);
}

/// A customer of one tenant left, and the CNAME was left behind. It leads to our addresses,
/// so another tenant might claim the name as its own.
#[test]
fn a_dangling_cname_to_another_tenant_proves_nothing() {
    let dangling = "CNAME rival.edge.example | 198.51.100.7";
    let expected = "unproven: txt_missing, cname_other_tenant, cname_other_tenant";
    for purpose in [Purpose::First, Purpose::Recheck] {
        check(
            purpose,
            (NONE, dangling, "CNAME rival.edge.example | nothing"),
            expected,
        );
    }
    let shared = "CNAME edge.example | 198.51.100.7";
    check(Purpose::First, (NONE, shared, NONE), expected);
    let detour = "CNAME rival.edge.example | CNAME acme.edge.example | 198.51.100.7";
    check(Purpose::First, (NONE, detour, NONE), expected);
}

#[test]
fn addresses_prove_a_first_claim_only_where_the_operator_says_so() {
    let strict = Rules {
        traffic: false,
        ..rules()
    };
    let expected = "unproven: txt_missing, cname_elsewhere, address_not_enough";
    check_with(strict, Purpose::First, false, (NONE, OURS, NONE), expected);
    check_with(
        strict,
        Purpose::First,
        false,
        (NONE, TO_US, TO_US_6),
        "Cname",
    );
    // What was proven stays so as long as it points here.
    check_with(
        strict,
        Purpose::Recheck,
        false,
        (NONE, OURS, NONE),
        "Address",
    );
}

#[test]
fn to_take_a_name_from_another_tenant_only_the_token_will_do() {
    for purpose in [Purpose::Transfer, Purpose::Contest] {
        for (dns, expected) in [
            ((&*token(), ELSEWHERE, NONE), "Txt"),
            (
                (NONE, TO_US, TO_US_6),
                "unproven: txt_missing, another_tenant_needs_txt",
            ),
            (
                (NONE, OURS, NONE),
                "unproven: txt_missing, another_tenant_needs_txt",
            ),
        ] {
            check(purpose, dns, expected);
            check_with(rules(), purpose, true, dns, expected);
        }
    }
}

#[test]
fn a_wildcard_needs_the_token_and_later_its_delegation() {
    let dns = (NONE, TO_US, TO_US_6);
    let expected = "unproven: txt_missing, wildcard_needs_txt";
    check_with(rules(), Purpose::First, true, dns, expected);
    check_with(rules(), Purpose::First, true, (&token(), NONE, NONE), "Txt");
    for (sketch, purpose, expected) in [
        (
            "CNAME h1.acme-dns.example | nothing",
            Purpose::Recheck,
            "Delegation",
        ),
        (
            "CNAME h2.acme-dns.example | nothing",
            Purpose::Recheck,
            "unproven: txt_missing, delegation_missing",
        ),
        (
            "CNAME h1.acme-dns.example | nothing",
            Purpose::First,
            "unproven: txt_missing, wildcard_needs_txt",
        ),
    ] {
        let seen = seen(|seen| challenge(seen, sketch));
        let verdict = judge(&claim(purpose, true), &cluster(), &rules(), &seen);
        assert_eq!(said(&verdict), expected, "{sketch}");
    }
}

#[test]
fn views_that_differ_decide_nothing() {
    let spreading = format!("{} // nothing // {0}", token());
    let expected = "undecided: spreading, cname_elsewhere, address_elsewhere";
    check(Purpose::First, (&spreading, ELSEWHERE, NONE), expected);
    let moving = format!("{TO_US} // {TO_US} // {ELSEWHERE}");
    let expected = "undecided: txt_missing, spreading, spreading";
    check(Purpose::Recheck, (NONE, &moving, NONE), expected);
}

#[test]
fn enough_must_answer_and_the_zone_itself() {
    let token = token();
    for (sketch, expected) in [
        (format!("timeout // {token} // {token}"), "Txt"),
        (
            format!("timeout // servfail // {token}"),
            "undecided: unseen, cname_elsewhere, address_elsewhere",
        ),
        (
            format!("{token} // {token} // timeout"),
            "undecided: unseen, cname_elsewhere, address_elsewhere",
        ),
        (
            "bogus // bogus // nothing".to_owned(),
            "undecided: unseen, cname_elsewhere, address_elsewhere",
        ),
    ] {
        check(Purpose::First, (&sketch, ELSEWHERE, NONE), expected);
    }
    let relaxed = Rules {
        agreement: Agreement {
            recursive: 2,
            authoritative: false,
        },
        traffic: true,
    };
    let sketch = format!("{token} // {token} // timeout");
    check_with(
        relaxed,
        Purpose::First,
        false,
        (&sketch, ELSEWHERE, NONE),
        "Txt",
    );
}

#[test]
fn who_must_act_depends_on_who_failed() {
    let who = |sketch: &str| {
        let seen = seen(|seen| {
            txt(seen, sketch);
            a(seen, ELSEWHERE);
            aaaa(seen, NONE);
        });
        let verdict = judge(&claim(Purpose::First, false), &cluster(), &rules(), &seen);
        let reason = &verdict.reasons()[0];
        (reason.who(), reason.to_string())
    };
    let (operator, _) = who("timeout");
    assert_eq!(operator, Who::Operator);
    let (owner, sentence) = who("bogus");
    assert_eq!(owner, Who::Owner);
    assert!(sentence.contains("DNSSEC"), "{sentence}");
    let (nobody, sentence) = who(&format!("{} // nothing // nothing", token()));
    assert_eq!(nobody, Who::Nobody);
    assert!(
        sentence.contains("192.0.2.54") && sentence.contains("ns.client.example"),
        "{sentence}"
    );
}

#[track_caller]
fn check_http(a_: &str, pages: Vec<Fetched>, expected: &str) {
    let seen = seen(|seen| {
        a(seen, a_);
        aaaa(seen, NONE);
        seen.pages = pages;
    });
    let verdict = judge(&claim(Purpose::First, false), &cluster(), &rules(), &seen);
    assert_eq!(said(&verdict), expected);
}

#[test]
fn a_token_by_http_counts_while_the_name_points_elsewhere() {
    let body = claim(Purpose::First, false).http_body();
    let good = |address: &str| fetched(address, Page::Body(format!("{body}\n")));
    check_http(ELSEWHERE, vec![good("192.0.2.80")], "Http");
    let wrong = "unproven: txt_missing, cname_elsewhere, http_wrong, address_elsewhere";
    for page in [
        // A server that says back what it is asked.
        Page::Body(claim(Purpose::First, false).token.as_str().to_owned()),
        Page::Body(format!("<html>{body}</html>")),
        Page::Redirect("http://192.0.2.81/".to_owned()),
        Page::Status(404),
        Page::Forbidden,
    ] {
        check_http(
            ELSEWHERE,
            vec![good("192.0.2.80"), fetched("192.0.2.81", page)],
            wrong,
        );
    }
    let ours = "unproven: txt_missing, cname_elsewhere, http_points_here, address_elsewhere";
    check_http("198.51.100.7 | 192.0.2.80", vec![good("192.0.2.80")], ours);
    let unseen = "undecided: txt_missing, unseen, unseen, unseen";
    check_http(
        "192.0.2.80 // 192.0.2.80 // timeout",
        vec![good("192.0.2.80")],
        unseen,
    );
}

#[test]
fn the_page_of_one_host_is_not_that_of_another() {
    let one = claim(Purpose::First, false);
    let mut other = one.clone();
    other.subject.host = sketch::host("other.client.example");
    assert_ne!(one.http_body(), other.http_body());
    assert!(!one.http_body().contains(TOKEN));
}

#[test]
fn tokens_are_long_and_fit_into_a_label_of_text() {
    for text in [
        "",
        "short",
        &"a".repeat(21),
        &"a".repeat(65),
        "abcdefghijklmnopqrstu/",
    ] {
        assert!(Token::parse(text).is_err(), "{text}");
    }
}

#[test]
fn every_reason_is_a_sentence_of_its_own() {
    let seen = seen(|seen| {
        a(seen, ELSEWHERE);
        aaaa(seen, NONE);
    });
    let verdict = judge(&claim(Purpose::First, false), &cluster(), &rules(), &seen);
    let sentences: Vec<String> = verdict.reasons().iter().map(ToString::to_string).collect();
    assert_eq!(
        sentences,
        [
            "the TXT record with the token is missing (there is nothing)",
            "no CNAME leads to the tenant's target (there is 192.0.2.80)",
            "the name points elsewhere, or elsewhere as well: 192.0.2.80",
        ]
    );
}
