//! Preflights as tables: what is there, what is wrong with it, and what remains possible.

use super::{
    super::{
        answer::Kind,
        claim::Purpose,
        sketch::{
            a, aaaa, agreement, challenge, claim, cluster, fetched, lets_encrypt, look, seen,
        },
    },
    *,
};

/// A CA that is second choice.
fn other_ca() -> Issuer {
    Issuer {
        name: "other".to_owned(),
        identities: vec!["other.test".to_owned()],
        account: None,
        public: false,
    }
}

#[derive(Clone, Copy, Default)]
struct Given {
    wildcard: bool,
    forced: Option<Challenge>,
    silent: bool,
}

fn fly(given: Given, seen: &Seen) -> Preflight {
    let claim = claim(Purpose::First, given.wildcard);
    let issuers = [lets_encrypt(), other_ca()];
    let order = Order {
        claim: &claim,
        forced: given.forced,
        issuers: &issuers,
        member_silent: given.silent,
    };
    preflight(&order, &cluster(), &agreement(), seen)
}

/// Faults as `code!` if they bar, `code` if not, with whom they are for; and what the
/// preferred CA can be asked for.
fn said(flight: &Preflight) -> String {
    let faults = flight.faults.iter().map(|fault| {
        let bars = if fault.bars { "!" } else { "" };
        format!("{}{bars} {:?}; ", fault.what.code(), fault.who)
    });
    let challenges = flight.challenges("letsencrypt");
    let labels: Vec<&str> = challenges.iter().map(|kind| kind.label()).collect();
    format!("{}=> {}", faults.collect::<String>(), labels.join(" "))
}

#[track_caller]
fn check(given: Given, change: impl FnOnce(&mut Seen), expected: &str) {
    let flight = fly(given, &seen(change));
    assert_eq!(said(&flight), expected);
    assert_eq!(flight.may_order(), !expected.ends_with("=> "));
}

const PLAIN: Given = Given {
    wildcard: false,
    forced: None,
    silent: false,
};
const WILD: Given = Given {
    wildcard: true,
    ..PLAIN
};
const DELEGATED: &str = "CNAME h1.acme-dns.example | nothing";

#[test]
fn a_name_that_points_here_can_be_ordered() {
    check(PLAIN, |_| {}, "=> http-01 tls-alpn-01");
    check(
        PLAIN,
        |seen| challenge(seen, DELEGATED),
        "=> http-01 tls-alpn-01 dns-01",
    );
    check(
        PLAIN,
        |seen| a(seen, "198.51.100.7 | 198.51.100.8"),
        "=> http-01 tls-alpn-01",
    );
    check(
        PLAIN,
        |seen| aaaa(seen, "2001:db8::7"),
        "=> http-01 tls-alpn-01",
    );
}

/// CAs prefer IPv6: one forgotten AAAA record fails every challenge, while all browsers of
/// whoever looks at it have IPv4 and see nothing wrong.
#[test]
fn an_ipv6_address_of_somebody_else_bars_the_order() {
    check(
        PLAIN,
        |seen| {
            a(seen, "198.51.100.7");
            aaaa(seen, "2001:db8::bad");
        },
        "ipv6_elsewhere! Owner; => ",
    );
    check(
        PLAIN,
        |seen| {
            a(seen, "198.51.100.7");
            aaaa(seen, "2001:db8::7 | 2001:db8::bad");
        },
        "ipv6_elsewhere! Owner; => ",
    );
    check(
        PLAIN,
        |seen| {
            a(seen, "nothing");
            aaaa(seen, "2001:db8::7");
        },
        "=> http-01 tls-alpn-01",
    );
}

#[test]
fn a_name_that_does_not_point_here_is_not_ordered() {
    check(
        PLAIN,
        |seen| a(seen, "192.0.2.80"),
        "points_elsewhere! Owner; => ",
    );
    check(
        PLAIN,
        |seen| a(seen, "198.51.100.7 | 192.0.2.80"),
        "points_elsewhere! Owner; => ",
    );
    for nothing in ["nothing", "nxdomain", "loop"] {
        check(
            PLAIN,
            |seen| {
                a(seen, nothing);
                aaaa(seen, nothing);
            },
            "no_address! Owner; => ",
        );
    }
    check(
        PLAIN,
        |seen| a(seen, "CNAME rival.edge.example | 198.51.100.7"),
        "other_tenant! Owner; => ",
    );
}

#[test]
fn what_is_wrong_behind_our_own_target_is_ours_to_mend() {
    check(
        PLAIN,
        |seen| a(seen, "CNAME acme.edge.example | 192.0.2.80"),
        "points_elsewhere! Operator; => ",
    );
    check(
        PLAIN,
        |seen| a(seen, "CNAME acme.edge.example | nxdomain"),
        "no_address! Operator; => ",
    );
}

#[test]
fn a_name_that_points_elsewhere_can_be_ordered_ahead_by_dns() {
    check(
        PLAIN,
        |seen| {
            a(seen, "192.0.2.80");
            challenge(seen, DELEGATED);
        },
        "points_elsewhere Owner; => dns-01",
    );
}

#[test]
fn a_delegation_that_is_half_way_is_explained() {
    for (sketch, expected) in [
        (
            "CNAME elsewhere.test | nothing",
            "points_elsewhere! Owner; delegated_elsewhere! Owner; => ",
        ),
        (
            "CNAME h2.acme-dns.example | nothing",
            "points_elsewhere! Owner; delegated_elsewhere! Owner; => ",
        ),
        (
            "left-behind-by-another-client",
            "points_elsewhere! Owner; challenge_txt! Owner; => ",
        ),
        ("nothing", "points_elsewhere! Owner; => "),
    ] {
        check(
            PLAIN,
            |seen| {
                a(seen, "192.0.2.80");
                challenge(seen, sketch);
            },
            expected,
        );
        // In nobody's way while the name points here.
        check(
            PLAIN,
            |seen| challenge(seen, sketch),
            "=> http-01 tls-alpn-01",
        );
    }
}

#[test]
fn a_wildcard_needs_its_delegation_and_no_address() {
    check(
        WILD,
        |seen| {
            a(seen, "192.0.2.80");
            challenge(seen, DELEGATED);
        },
        "=> dns-01",
    );
    check(WILD, |_| {}, "not_delegated! Owner; => ");
    check(
        WILD,
        |seen| challenge(seen, "txt"),
        "challenge_txt! Owner; => ",
    );
    check(
        WILD,
        |seen| challenge(seen, "CNAME x.test | CNAME h1.acme-dns.example | txt"),
        "=> dns-01",
    );
    check(
        WILD,
        |seen| challenge(seen, "timeout"),
        "unseen! Operator; => ",
    );
    check(
        WILD,
        |seen| challenge(seen, "bogus // bogus // nothing"),
        "dnssec! Owner; => ",
    );
}

#[test]
fn views_that_differ_wait() {
    check(
        PLAIN,
        |seen| a(seen, "198.51.100.7 // 192.0.2.80 // 198.51.100.7"),
        "spreading! Nobody; => ",
    );
    check(
        PLAIN,
        |seen| a(seen, "198.51.100.7 // timeout // 198.51.100.7"),
        "=> http-01 tls-alpn-01",
    );
    check(
        PLAIN,
        |seen| {
            a(seen, "198.51.100.7");
            aaaa(seen, "servfail");
        },
        "unseen! Owner; => ",
    );
}

fn ports(seen: &mut Seen, eighty: Page, tls: Port) {
    seen.port_80 = vec![
        fetched("198.51.100.7", Page::Body("own".to_owned())),
        fetched("198.51.100.8", eighty),
    ];
    seen.port_443 = vec![("198.51.100.7".parse().unwrap(), tls)];
}

#[test]
fn nodes_that_are_not_reached_over_the_public_road_are_the_operators_affair() {
    let own = || Page::Body("own\n".to_owned());
    for (page, tls, expected) in [
        (own(), Port::Open, "=> http-01 tls-alpn-01"),
        (own(), Port::Closed, "port_443 Operator; => http-01"),
        (Page::Closed, Port::Open, "port_80 Operator; => tls-alpn-01"),
        (
            Page::Timeout,
            Port::Timeout,
            "port_80! Operator; port_443! Operator; => ",
        ),
        (
            Page::Body("parked domain".to_owned()),
            Port::Open,
            "port_80 Operator; => tls-alpn-01",
        ),
        // No IPv6 here says nothing of the CA's road.
        (
            Page::Unreachable,
            Port::Unreachable,
            "=> http-01 tls-alpn-01",
        ),
    ] {
        check(PLAIN, |seen| ports(seen, page, tls), expected);
    }
}

#[test]
fn a_silent_member_excludes_tls() {
    let silent = Given {
        silent: true,
        ..PLAIN
    };
    check(silent, |_| {}, "=> http-01");
    check(
        silent,
        |seen| ports(seen, Page::Closed, Port::Open),
        "port_80! Operator; => ",
    );
}

#[test]
fn settings_may_force_a_challenge() {
    let forced = |kind| Given {
        forced: Some(kind),
        ..PLAIN
    };
    check(forced(Challenge::TlsAlpn01), |_| {}, "=> tls-alpn-01");
    check(
        forced(Challenge::Dns01),
        |_| {},
        "not_delegated! Owner; => ",
    );
    check(
        forced(Challenge::Dns01),
        |seen| {
            a(seen, "192.0.2.80");
            challenge(seen, DELEGATED);
        },
        "points_elsewhere Owner; => dns-01",
    );
    check(
        forced(Challenge::Http01),
        |seen| {
            a(seen, "192.0.2.80");
            challenge(seen, DELEGATED);
        },
        "points_elsewhere! Owner; => ",
    );
}

fn caa(seen: &mut Seen, sketch: &str) {
    seen.caa[1] = look("client.example", Kind::Caa, sketch);
}

#[test]
fn caa_is_judged_for_each_ca() {
    let flight = fly(PLAIN, &seen(|seen| caa(seen, "0 issue \"other.test\"")));
    assert_eq!(said(&flight), "caa_other! Owner; => ");
    assert_eq!(
        flight.challenges("other"),
        [Challenge::Http01, Challenge::TlsAlpn01]
    );
    let flight = fly(
        PLAIN,
        &seen(|seen| caa(seen, "0 issue \"letsencrypt.org\"")),
    );
    assert_eq!(said(&flight), "caa_other Owner; => http-01 tls-alpn-01");
    assert!(flight.challenges("other").is_empty());
    assert!(flight.challenges("nobody").is_empty());
}

#[test]
fn caa_may_leave_fewer_challenges_or_none() {
    let dns_only = "0 issue \"letsencrypt.org; validationmethods=dns-01\" | 0 issue \"other.test\"";
    check(PLAIN, |seen| caa(seen, dns_only), "caa_methods! Owner; => ");
    check(
        PLAIN,
        |seen| {
            caa(seen, dns_only);
            challenge(seen, DELEGATED);
        },
        "=> dns-01",
    );
    check(
        PLAIN,
        |seen| caa(seen, "servfail"),
        "caa_unseen! Owner; caa_unseen Owner; => ",
    );
}

#[test]
fn a_fault_says_what_is_there_and_what_should_be() {
    let flight = fly(PLAIN, &seen(|seen| aaaa(seen, "2001:db8::bad")));
    assert_eq!(
        flight.faults,
        [Fault {
            class: Class::Dns,
            what: What::Ipv6Elsewhere,
            record: "shop.client.example AAAA".to_owned(),
            have: "2001:db8::bad".to_owned(),
            want: "198.51.100.7, 198.51.100.8, 2001:db8::7, or CNAME acme.edge.example".to_owned(),
            who: Who::Owner,
            bars: true,
        }]
    );
    let flight = fly(
        PLAIN,
        &seen(|seen| caa(seen, "0 issue \"letsencrypt.org; accounturi=x\"")),
    );
    let fault = &flight.faults[0];
    assert_eq!(
        (
            fault.record.as_str(),
            fault.have.as_str(),
            fault.want.as_str()
        ),
        (
            "client.example CAA",
            "0 issue \"letsencrypt.org; accounturi=x\"",
            "0 issue \"letsencrypt.org\"",
        )
    );
}

#[test]
fn a_public_ca_is_not_asked_for_what_is_no_public_name() {
    for (host, expected) in [
        ("shop.client.test", "unknown_suffix! Owner; => "),
        ("co.uk", "public_suffix! Owner; => "),
        ("shop.client.co.uk", "=> http-01 tls-alpn-01"),
    ] {
        let mut claim = claim(Purpose::First, false);
        claim.subject.host = super::super::sketch::host(host);
        let issuers = [Issuer {
            public: true,
            ..lets_encrypt()
        }];
        let order = Order {
            claim: &claim,
            forced: None,
            issuers: &issuers,
            member_silent: false,
        };
        let flight = preflight(&order, &cluster(), &agreement(), &seen(|_| {}));
        assert_eq!(said(&flight), expected, "{host}");
    }
}
