//! CAA as tables: records from the name upwards, and what they allow.

use super::{
    super::{
        answer::Kind,
        sketch::{agreement, cluster, lets_encrypt, look},
    },
    *,
};

use Challenge::{Dns01, Http01, TlsAlpn01};

fn said(permission: &Permission) -> String {
    match permission {
        Permission::Granted(methods) if methods.len() == 3 => "all".to_owned(),
        Permission::Granted(methods) => {
            let labels: Vec<&str> = methods.iter().map(|method| method.label()).collect();
            labels.join(" ")
        }
        Permission::Denied(denial) => {
            format!("{:?} at {} for {:?}", denial.why, denial.at, denial.who)
        }
    }
}

fn levels(sketches: &[&str]) -> Vec<Look> {
    let names = ["shop.client.example", "client.example", "example"];
    let all = sketches.iter().copied().chain(std::iter::repeat("nothing"));
    let looks = names.into_iter().zip(all);
    looks
        .map(|(name, sketch)| look(name, Kind::Caa, sketch))
        .collect()
}

fn decide(sketches: &[&str], names: Names) -> String {
    let levels = levels(sketches);
    said(&permission(
        &levels,
        &lets_encrypt(),
        names,
        &agreement(),
        &cluster(),
    ))
}

#[track_caller]
fn plain(sketches: &[&str], expected: &str) {
    assert_eq!(decide(sketches, Names::Base), expected, "{sketches:?}");
}

#[track_caller]
fn wild(sketches: &[&str], expected: &str) {
    assert_eq!(decide(sketches, Names::Wildcard), expected, "{sketches:?}");
}

const HERE: &str = "at shop.client.example for Owner";

#[test]
fn the_first_name_with_records_decides_alone() {
    plain(&[], "all");
    plain(&["0 issue \"letsencrypt.org\""], "all");
    plain(&["nothing", "0 issue \"letsencrypt.org\""], "all");
    plain(
        &["nxdomain", "nxdomain", "0 issue \"other.test\""],
        "Other at example for Owner",
    );
    plain(&["0 issue \"letsencrypt.org\"", "0 issue \";\""], "all");
    plain(
        &["0 iodef \"mailto:x@client.example\"", "0 issue \";\""],
        "all",
    );
}

#[test]
fn values_are_read_as_the_rfc_says() {
    for value in [
        "letsencrypt.org",
        "LetsEncrypt.ORG",
        "  letsencrypt.org  ",
        "letsencrypt.org;",
        "letsencrypt.org; a=b; c-d=",
    ] {
        plain(&[&format!("0 issue \"{value}\"")], "all");
    }
    for value in [
        "",
        ";",
        "other.test",
        "letsencrypt.org.evil.test",
        "letsencrypt.org evil",
        "letsencrypt.org; novalue",
        "letsencrypt.org; a=b c",
        "letsencrypt.org; =b",
        "letsencrypt.org;; a=b",
        "%%%%",
    ] {
        plain(&[&format!("0 issue \"{value}\"")], &format!("Other {HERE}"));
    }
    plain(
        &["0 issue \"other.test\" | 0 issue \"letsencrypt.org\""],
        "all",
    );
}

#[test]
fn wildcards_have_a_property_of_their_own() {
    wild(&["0 issue \"letsencrypt.org\""], "all");
    wild(
        &["0 issue \"letsencrypt.org\" | 0 issuewild \";\""],
        &format!("Other {HERE}"),
    );
    wild(&["0 issue \";\" | 0 issuewild \"letsencrypt.org\""], "all");
    plain(&["0 issue \"letsencrypt.org\" | 0 issuewild \";\""], "all");
    plain(&["0 issuewild \"other.test\""], "all");
}

/// The order of a wildcard names its base too, and the CA checks each by its own property.
#[test]
fn a_wildcard_with_its_base_needs_both_properties() {
    for (sketch, expected) in [
        ("0 issue \"letsencrypt.org\"", "all".to_owned()),
        (
            "0 issue \";\" | 0 issuewild \"letsencrypt.org\"",
            format!("Other {HERE}"),
        ),
        (
            "0 issue \"letsencrypt.org\" | 0 issuewild \"letsencrypt.org; validationmethods=dns-01\"",
            "dns-01".to_owned(),
        ),
    ] {
        assert_eq!(decide(&[sketch], Names::Both), expected, "{sketch}");
    }
}

#[test]
fn a_critical_property_that_is_unknown_stops_every_ca() {
    let mine = "0 issue \"letsencrypt.org\"";
    plain(
        &[&format!("{mine} | 128 future \"x\"")],
        &format!("Critical {HERE}"),
    );
    plain(&[&format!("{mine} | 0 future \"x\"")], "all");
    plain(&["128 issue \"letsencrypt.org\""], "all");
    plain(&[&format!("{mine} | 128 iodef \"mailto:x@y.test\"")], "all");
}

#[test]
fn an_account_must_be_ours_to_the_letter() {
    let with = |parameters: &str| format!("0 issue \"letsencrypt.org; {parameters}\"");
    plain(&[&with("accounturi=https://ca.test/acct/1")], "all");
    for parameters in [
        "accounturi=https://ca.test/acct/2",
        "accounturi=https://ca.test/acct/1/",
        "accounturi=HTTPS://ca.test/acct/1",
        "accounturi=",
        "accounturi=https://ca.test/acct/1; accounturi=https://ca.test/acct/1",
    ] {
        plain(&[&with(parameters)], &format!("Account {HERE}"));
    }
    let either = format!(
        "{} | {}",
        with("accounturi=https://ca.test/acct/2"),
        with("accounturi=https://ca.test/acct/1")
    );
    plain(&[&either], "all");
    let unregistered = Issuer {
        account: None,
        ..lets_encrypt()
    };
    let levels = levels(&[&with("accounturi=https://ca.test/acct/1")]);
    let permission = permission(
        &levels,
        &unregistered,
        Names::Base,
        &agreement(),
        &cluster(),
    );
    assert_eq!(said(&permission), format!("Account {HERE}"));
}

#[test]
fn methods_are_those_that_any_matching_record_names() {
    let with = |methods: &str| format!("0 issue \"letsencrypt.org; validationmethods={methods}\"");
    plain(&[&with("dns-01")], "dns-01");
    plain(&[&with("http-01,dns-01")], "http-01 dns-01");
    plain(&[&with("x-mine,HTTP-01")], "http-01");
    plain(&[&with("x-mine")], &format!("Methods {HERE}"));
    plain(&[&with("")], &format!("Methods {HERE}"));
    plain(
        &[&with("dns-01; validationmethods=http-01")],
        &format!("Methods {HERE}"),
    );
    plain(
        &[&format!("{} | {}", with("dns-01"), with("tls-alpn-01"))],
        "tls-alpn-01 dns-01",
    );
    plain(
        &[&format!("{} | 0 issue \"letsencrypt.org\"", with("dns-01"))],
        "all",
    );
    assert_eq!(Challenge::ALL, [Http01, TlsAlpn01, Dns01]);
}

#[test]
fn every_view_must_allow() {
    let mine = "0 issue \"letsencrypt.org; validationmethods=http-01,dns-01\"";
    let narrow = "0 issue \"letsencrypt.org; validationmethods=dns-01\"";
    plain(&[&format!("{mine} // {mine} // {narrow}")], "dns-01");
    plain(
        &[&format!("{mine} // {mine} // 0 issue \";\"")],
        &format!("Other {HERE}"),
    );
    plain(
        &[&format!("{mine} // nothing // {mine}")],
        "Differs at shop.client.example for Nobody",
    );
}

#[test]
fn what_cannot_be_seen_is_not_ordered() {
    plain(&["servfail"], &format!("Unseen {HERE}"));
    plain(&["bogus // bogus // nothing"], &format!("Unseen {HERE}"));
    plain(
        &["nothing", "servfail"],
        "Unseen at client.example for Owner",
    );
    plain(&["timeout"], "Unseen at shop.client.example for Operator");
    // One of our resolvers is silent, and the rest are enough; one that says SERVFAIL asked
    // the zone's servers and failed, as the CA may.
    plain(&["timeout // nothing // nothing"], "all");
    plain(
        &["servfail // nothing // nothing"],
        &format!("Unseen {HERE}"),
    );
    // A parent that fails does not matter where the name itself decides.
    plain(&["0 issue \"letsencrypt.org\"", "servfail"], "all");
}

#[test]
fn records_behind_a_cname_to_us_are_ours_to_mend() {
    plain(
        &["CNAME acme.edge.example | 0 issue \"other.test\""],
        "Other at shop.client.example for Operator",
    );
    plain(
        &[
            "CNAME acme.edge.example | 0 issue \"letsencrypt.org; accounturi=https://ca.test/acct/1\"",
            "0 issue \";\"",
        ],
        "all",
    );
    // An alias without records: the climb goes over the name's own parents.
    plain(
        &["CNAME acme.edge.example | nothing", "0 issue \";\""],
        "Other at client.example for Owner",
    );
}

#[test]
fn without_looks_nothing_is_granted() {
    let permission = permission(&[], &lets_encrypt(), Names::Base, &agreement(), &cluster());
    assert_eq!(said(&permission), "Unseen at . for Operator");
}
