//! Records for customers, as lines of a zone file.

use super::{
    super::{
        claim::Subject,
        sketch::{TOKEN, claim, cluster, host, lets_encrypt, name},
    },
    row::quoted,
    *,
};

fn lines(rows: &[Row]) -> Vec<String> {
    let line = |row: &Row| {
        let need = if row.need == Need::Required {
            ""
        } else {
            " ; optional"
        };
        format!("{}{need}", row.zone_line())
    };
    rows.iter().map(line).collect()
}

fn wishes(issuers: &[Issuer], apex: bool) -> Wishes<'_> {
    Wishes {
        apex,
        by_dns: false,
        traffic: true,
        issuers,
        persistent: Vec::new(),
    }
}

#[test]
fn a_sub_domain_needs_one_cname() {
    let issuers = [lets_encrypt()];
    let rows = hostname_rows(
        &claim(Purpose::First, false),
        &cluster(),
        &wishes(&issuers, false),
    );
    assert_eq!(
        lines(&rows.unwrap()),
        [
            "shop.client.example. IN CNAME acme.edge.example.".to_owned(),
            format!(
                "_hostquorum.shop.client.example. IN TXT \"hostquorum-verify={TOKEN}\" ; optional"
            ),
            "_acme-challenge.shop.client.example. IN CNAME h1.acme-dns.example. ; optional"
                .to_owned(),
        ]
    );
}

#[test]
fn an_apex_needs_addresses_and_may_have_caa() {
    let mut apex = claim(Purpose::First, false);
    apex.subject = Subject {
        host: host("client.example"),
        wildcard: false,
    };
    let issuers = [lets_encrypt()];
    let strict = Wishes {
        traffic: false,
        ..wishes(&issuers, true)
    };
    assert_eq!(
        lines(&hostname_rows(&apex, &cluster(), &strict).unwrap()),
        [
            "client.example. IN A 198.51.100.7".to_owned(),
            "client.example. IN A 198.51.100.8".to_owned(),
            "client.example. IN AAAA 2001:db8::7".to_owned(),
            format!("_hostquorum.client.example. IN TXT \"hostquorum-verify={TOKEN}\""),
            "_acme-challenge.client.example. IN CNAME h1.acme-dns.example. ; optional".to_owned(),
            "client.example. IN CAA 0 issue \"letsencrypt.org;accounturi=https://ca.test/acct/1\" ; optional".to_owned(),
        ]
    );
}

#[test]
fn a_wildcard_needs_the_token_and_the_delegation() {
    let issuers = [lets_encrypt()];
    let until = Timestamp::from_secs(1_800_000_000);
    let wishes = Wishes {
        persistent: vec![(&issuers[0], Some(until))],
        ..wishes(&issuers, false)
    };
    assert_eq!(
        lines(&hostname_rows(&claim(Purpose::First, true), &cluster(), &wishes).unwrap()),
        [
            "*.shop.client.example. IN CNAME acme.edge.example.".to_owned(),
            format!("_hostquorum.shop.client.example. IN TXT \"hostquorum-verify={TOKEN}\""),
            "_acme-challenge.shop.client.example. IN CNAME h1.acme-dns.example.".to_owned(),
            "shop.client.example. IN CAA 0 issue \"letsencrypt.org;accounturi=https://ca.test/acct/1\" ; optional".to_owned(),
            "shop.client.example. IN CAA 0 issuewild \"letsencrypt.org;accounturi=https://ca.test/acct/1\" ; optional".to_owned(),
            "_validation-persist.shop.client.example. IN TXT \"letsencrypt.org; accounturi=https://ca.test/acct/1; policy=wildcard; persistUntil=1800000000\" ; optional".to_owned(),
        ]
    );
}

#[test]
fn the_token_is_required_wherever_nothing_else_will_do() {
    let token = |purpose, wildcard| {
        let wishes = wishes(&[], false);
        let rows = hostname_rows(&claim(purpose, wildcard), &cluster(), &wishes).unwrap();
        rows[1].need
    };
    for (purpose, wildcard, expected) in [
        (Purpose::First, false, Need::Optional),
        (Purpose::First, true, Need::Required),
        (Purpose::Transfer, false, Need::Required),
        (Purpose::Contest, false, Need::Required),
        (Purpose::Recheck, true, Need::Optional),
    ] {
        assert_eq!(token(purpose, wildcard), expected, "{purpose:?} {wildcard}");
    }
}

#[test]
fn persistent_challenges_need_an_account() {
    let unregistered = Issuer {
        account: None,
        ..lets_encrypt()
    };
    let wishes = Wishes {
        persistent: vec![(&unregistered, None)],
        ..wishes(&[], false)
    };
    let rows = hostname_rows(&claim(Purpose::First, false), &cluster(), &wishes).unwrap();
    assert!(
        rows.iter()
            .all(|row| row.purpose != RowPurpose::PersistentChallenge)
    );
}

#[test]
fn the_operators_own_zones_have_their_records() {
    let issuers = [lets_encrypt()];
    assert_eq!(
        lines(&edge_rows(&cluster(), &issuers).unwrap())[2..],
        [
            "*.edge.example. IN AAAA 2001:db8::7",
            "*.edge.example. IN CAA 0 issue \"letsencrypt.org;accounturi=https://ca.test/acct/1\" ; optional",
            "*.edge.example. IN CAA 0 issuewild \"letsencrypt.org;accounturi=https://ca.test/acct/1\" ; optional",
        ]
    );
    let servers = [
        (
            name("ns1.acme-dns.example"),
            vec!["198.51.100.7".parse().unwrap()],
        ),
        (
            name("ns2.elsewhere.test"),
            vec!["198.51.100.8".parse().unwrap()],
        ),
    ];
    assert_eq!(
        lines(&delegation_rows(&name("acme-dns.example"), &servers)),
        [
            "acme-dns.example. IN NS ns1.acme-dns.example.",
            "acme-dns.example. IN NS ns2.elsewhere.test.",
            "ns1.acme-dns.example. IN A 198.51.100.7",
        ]
    );
}

#[test]
fn texts_are_quoted_and_split() {
    assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\010\"");
    let long = "x".repeat(300);
    assert_eq!(
        quoted(&long),
        format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45))
    );
}

#[test]
fn rows_are_ready_for_machines() {
    let rows = hostname_rows(
        &claim(Purpose::First, false),
        &cluster(),
        &wishes(&[], false),
    );
    assert_eq!(
        serde_json::to_string(&rows.unwrap()[0]).unwrap(),
        r#"{"type":"CNAME","name":"shop.client.example","value":"acme.edge.example","purpose":"traffic","need":"required"}"#
    );
}
