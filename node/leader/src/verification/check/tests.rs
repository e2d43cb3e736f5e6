//! The whole check, as a person reads it.

use super::{
    super::{
        answer::Kind,
        claim::Purpose,
        page::Page,
        sketch::{
            a, aaaa, agreement, challenge, claim, cluster, fetched, lets_encrypt, look, seen, txt,
        },
    },
    *,
};

#[track_caller]
fn check_case(wildcard: bool, seen: &Seen, good: bool, expected: &[&str]) {
    let claim = claim(Purpose::First, wildcard);
    let issuers = [lets_encrypt()];
    let order = Order {
        claim: &claim,
        forced: None,
        issuers: &issuers,
        member_silent: false,
    };
    let rules = Rules {
        agreement: agreement(),
        traffic: true,
    };
    let check = check(&order, &cluster(), &rules, seen, false);
    let rows: Vec<String> = check
        .rows
        .iter()
        .map(|row| {
            let who = row
                .who
                .map_or_else(String::new, |who| format!(" ({who:?})"));
            format!("{:?} {}: {}{who}", row.mark, row.record, row.have)
        })
        .collect();
    assert_eq!(rows, expected);
    assert_eq!(check.good, good);
}

#[test]
fn all_is_well() {
    let seen =
        seen(|seen| seen.port_80 = vec![fetched("198.51.100.7", Page::Body("own".to_owned()))]);
    check_case(
        false,
        &seen,
        true,
        &[
            "Good shop.client.example CNAME: shop.client.example CNAME acme.edge.example",
            "Good shop.client.example A: CNAME acme.edge.example, 198.51.100.7",
            "Good shop.client.example CAA: none, so any CA may issue",
            "Good 198.51.100.7 port 80: one of our nodes",
        ],
    );
}

#[test]
fn a_name_that_is_nowhere_yet() {
    let seen = seen(|seen| {
        a(seen, "nxdomain");
        aaaa(seen, "nxdomain");
        txt(seen, "nxdomain");
    });
    check_case(
        false,
        &seen,
        false,
        &[
            "Bad _hostquorum.shop.client.example TXT: no such name (Owner)",
            "Bad shop.client.example A: no such name (Owner)",
            "Note shop.client.example CNAME: no such name (Owner)",
            "Note shop.client.example A, AAAA: nothing (Owner)",
            "Good shop.client.example CAA: none, so any CA may issue",
        ],
    );
}

#[test]
fn a_name_that_moves_over_without_a_gap() {
    let seen = seen(|seen| {
        a(seen, "192.0.2.80");
        aaaa(seen, "nothing");
        txt(seen, &claim(Purpose::First, false).txt_value());
        challenge(seen, "CNAME h1.acme-dns.example | nothing");
    });
    check_case(
        false,
        &seen,
        true,
        &[
            "Note shop.client.example A: 192.0.2.80 (Owner)",
            "Good _hostquorum.shop.client.example TXT: _hostquorum.shop.client.example TXT \"hostquorum-verify=abcdefghijklmnopqrstuv\"",
            "Good _acme-challenge.shop.client.example CNAME: h1.acme-dns.example",
            "Good shop.client.example CAA: none, so any CA may issue",
        ],
    );
}

#[test]
fn what_is_undecided_is_not_good_and_nobodys_fault() {
    let seen = seen(|seen| {
        let token = claim(Purpose::First, true).txt_value();
        txt(seen, &format!("nothing // {token} // nothing"));
        for look in [&mut seen.a, &mut seen.aaaa] {
            look.sightings.clear();
        }
    });
    check_case(
        true,
        &seen,
        false,
        &[
            "Bad _acme-challenge.shop.client.example TXT: no such name (Owner)",
            "Waiting _hostquorum.shop.client.example TXT: seen by resolver 192.0.2.54, not by resolver 192.0.2.53, ns.client.example (192.0.2.55) (Nobody)",
            "Note _hostquorum.shop.client.example TXT: shop.client.example (Owner)",
            "Good shop.client.example CAA: none, so any CA may issue",
        ],
    );
}

#[test]
fn caa_that_stops_the_ca_is_wrong_although_all_else_is_right() {
    let seen = seen(|seen| seen.caa[2] = look("example", Kind::Caa, "0 issue \";\""));
    check_case(
        false,
        &seen,
        false,
        &[
            "Bad example CAA: 0 issue \";\" (Owner)",
            "Good shop.client.example CNAME: shop.client.example CNAME acme.edge.example",
            "Good shop.client.example A: CNAME acme.edge.example, 198.51.100.7",
        ],
    );
}
