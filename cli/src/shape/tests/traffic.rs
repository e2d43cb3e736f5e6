//! Settings as they are told, and as they are written again.

use clap::Parser;
use proto::admin::v1 as wire;

use crate::{
    arguments::SetTraffic,
    shape::traffic::{lines, settings},
    traffic::changed,
};

#[derive(Parser)]
#[command(group = clap::ArgGroup::new("changes").required(true).multiple(true))]
struct Line {
    #[command(flatten)]
    set: SetTraffic,
}

#[track_caller]
fn sent(words: &[&str]) -> (wire::Traffic, Vec<String>) {
    let line = Line::try_parse_from(["set"].iter().chain(words)).unwrap();
    let (traffic, mask) = changed(line.set).unwrap().unwrap();
    (traffic, mask.paths)
}

/// What is written as `option` with these values is told as `expected`.
#[track_caller]
fn check(option: &str, values: &[&str], expected: &str) {
    let words: Vec<&str> = values.iter().flat_map(|value| [option, value]).collect();
    let (traffic, paths) = sent(&words);
    let name = option.trim_start_matches('-').replace('-', "_");
    assert_eq!(paths, [name.as_str()]);
    let all = settings(Some(&traffic), &wire::Traffic::default());
    let decided: Vec<_> = all.iter().filter(|one| one.from == "hostname").collect();
    let told: Vec<_> = decided
        .iter()
        .map(|one| (one.name, one.value.as_str()))
        .collect();
    assert_eq!(told, [(name.as_str(), expected)]);
}

#[test]
fn what_is_written_is_told_as_it_was_written() {
    for (option, value) in [
        (
            "--origins",
            "https://a.internal:8443,weight=3,protocol=http2",
        ),
        (
            "--health-check",
            "/healthz,interval=5s,timeout=1s,rise=2,fall=3,status=200-299",
        ),
        ("--health-check", "off"),
        ("--ejection", "3,period=1m"),
        ("--ejection", "off"),
        ("--retry-percent", "20"),
        ("--origin-host", "origin"),
        ("--origin-sni", "app.internal"),
        ("--origin-trust", "system"),
        ("--origin-trust", "off"),
        ("--min-tls", "1.3"),
        ("--ciphers", "strong"),
        ("--http2", "false"),
        ("--client-roots", "off"),
        ("--hsts", "31536000,subdomains,preload"),
        ("--hsts", "off"),
        ("--redirects", "/old https://shop.example/new 301 keep"),
        ("--redirects", "off"),
        ("--request-headers", "set x-tenant acme and sons"),
        ("--request-headers", "add vary origin"),
        ("--response-headers", "remove server"),
        (
            "--paths",
            "/api replace=/ origin=https://api,weight=2 origin=http://b",
        ),
        ("--metadata", "plan=gold=more"),
        ("--max-body", "10M"),
        ("--max-body", "1025"),
        ("--request-rate", "100,burst=200"),
        ("--request-rate", "off"),
        ("--max-connections", "7"),
        ("--max-connections", "off"),
        ("--maintenance", "off"),
    ] {
        check(option, &[value], value);
    }
    let pins = format!("sha256:{0},sha256:{0}", "ab".repeat(32));
    check("--origin-trust", &[&pins], &pins);
    check(
        "--origins",
        &["http://a", "http://b,weight=2"],
        "http://a\nhttp://b,weight=2",
    );
    check("--metadata", &["b=2", "a=1"], "a=1\nb=2");
    check(
        "--maintenance",
        &["503,retry-after=60,type=text/plain"],
        "503,retry-after=60,type=text/plain",
    );
}

#[test]
fn an_empty_value_decides_nothing() {
    for option in [
        "--origins",
        "--hsts",
        "--http2",
        "--origin-host",
        "--metadata",
        "--min-tls",
    ] {
        let (traffic, paths) = sent(&[option, ""]);
        assert_eq!(traffic, wire::Traffic::default(), "{option}");
        assert_eq!(paths.len(), 1, "{option}");
    }
}

#[test]
fn what_is_no_setting_is_refused_with_its_reason() {
    for (option, value, words) in [
        ("--origins", "http://a,wieght=3", "none of weight, protocol"),
        ("--origins", "http://a,weight=x", "no number"),
        ("--health-check", "/,interval=soon", "no span of time"),
        ("--hsts", "1y", "no number"),
        ("--redirects", "/old", "PATH TARGET"),
        ("--request-headers", "x-a: 1", "none of set, add and remove"),
        (
            "--paths",
            "/api strip",
            "neither replace=PATH nor origin=ORIGIN",
        ),
        ("--metadata", "plan", "KEY=VALUE"),
        ("--max-body", "10T", "number of bytes"),
        ("--max-body", "99999999999G", "number of bytes"),
        ("--min-tls", "1.1", "neither 1.2 nor 1.3"),
        ("--http2", "off", "neither true nor false"),
        ("--origin-trust", "sha256:xyz", "sha256: and hex"),
    ] {
        let error = Line::try_parse_from(["set", option, value])
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(words), "{option} {value}: {error}");
    }
}

#[test]
fn files_are_read_and_secrets_are_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let pem = "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n";
    let (certificate, key) = (file("c.pem", pem), file("k.pem", "top secret"));
    let page = format!("503,page={}", file("page.html", "<h1>soon</h1>"));
    let (traffic, _) = sent(&[
        "--origin-certificate",
        &certificate,
        "--origin-key",
        &key,
        "--client-roots",
        &certificate,
        "--origin-trust",
        &certificate,
        "--maintenance",
        &page,
    ]);
    assert_eq!(
        traffic.origin_identity.as_ref().unwrap().private_key_pem,
        "top secret"
    );
    assert_eq!(traffic.maintenance.as_ref().unwrap().body, "<h1>soon</h1>");
    let told = lines(&settings(Some(&traffic), &wire::Traffic::default()));
    let told: Vec<_> = told
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    assert_eq!(
        told,
        [
            "origin_trust 1 certificate",
            "origin_identity 1 certificate",
            "client_roots 1 certificate",
            "maintenance 503,type= (13 bytes)",
        ]
    );
}

#[test]
fn each_setting_tells_whence_it_is() {
    let (own, _) = sent(&["--hsts", "off", "--origin-trust", "off"]);
    let (zone, _) = sent(&["--hsts", "60", "--min-tls", "1.3"]);
    let all = settings(Some(&own), &zone);
    assert_eq!(all.len(), 22);
    let one = |name: &str| {
        let found = all.iter().find(|setting| setting.name == name).unwrap();
        (found.value.as_str(), found.from)
    };
    assert_eq!(one("hsts"), ("off", "hostname"));
    assert_eq!(one("min_tls"), ("1.3", "zone"));
    assert_eq!(one("http2"), ("true", "default"));
    let lines = lines(&all);
    assert_eq!(
        lines,
        [
            (
                "origin_trust",
                "off: whoever answers in an origin's place is believed".to_owned()
            ),
            ("min_tls", "1.3 (zone)".to_owned()),
            ("hsts", "off".to_owned()),
        ]
    );
}
