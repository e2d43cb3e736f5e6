//! RFC 9773: renewal information, and orders that replace.

use data_encoding::BASE64URL_NOPAD;
use devca::{Behaviour, Limits, Window, limits::Exemption};
use http::Method;
use serde_json::{Value, json};

use crate::bench::{Account, Answer, Bench, Order};

const DAY: u64 = 86_400;

/// The identifier of a certificate (RFC 9773 section 4.1), and its serial in hex.
fn identifier(der: &[u8]) -> (String, String) {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).unwrap();
    let authority = certificate
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(it) => {
                it.key_identifier.clone()
            }
            _ => None,
        })
        .unwrap();
    let serial = certificate.raw_serial();
    let id = format!(
        "{}.{}",
        BASE64URL_NOPAD.encode(authority.0),
        BASE64URL_NOPAD.encode(serial)
    );
    (id, data_encoding::HEXLOWER.encode(serial))
}

/// A CA like Boulder with tiny limits, an account, and a certificate of 90 days.
struct Issued {
    bench: Bench,
    account: Account,
    id: String,
    serial: String,
}

const NAMES: [&str; 1] = ["a.example"];

fn issued() -> Issued {
    let mut bench = Bench::behaving(Behaviour::boulder());
    let account = bench.account();
    let (_, der) = bench.issued(&account, &NAMES);
    let (id, serial) = identifier(&der);
    Issued {
        bench,
        account,
        id,
        serial,
    }
}

impl Issued {
    fn info(&mut self) -> Answer {
        let path = format!("/renewal-info/{}", self.id);
        self.bench.get(Method::GET, &path)
    }

    fn replace(&mut self) -> Answer {
        let more = json!({ "replaces": self.id });
        self.bench.try_order(&self.account, &NAMES, &more)
    }

    /// Adjusts the rules of renewal information.
    fn adjust(&mut self, change: impl FnOnce(&mut devca::RenewalInfo)) {
        self.bench
            .adjust(|it| change(it.renewal_info.as_mut().unwrap()));
    }
}

#[test]
fn the_directory_leads_to_it_only_when_it_is_offered() {
    let mut plain = Bench::new();
    let directory = plain.get(Method::GET, "/directory").json();
    assert!(directory["renewalInfo"].is_null());
    plain
        .get(Method::GET, "/renewal-info/AA.AA")
        .problem(404, "malformed");
    let mut bench = Bench::behaving(Behaviour::boulder());
    let directory = bench.get(Method::GET, "/directory").json();
    let url = directory["renewalInfo"].as_str().unwrap();
    assert!(url.ends_with("/renewal-info"), "{url}");
}

#[test]
fn the_window_is_at_two_thirds_of_the_life_and_comes_with_retry_after() {
    let mut ca = issued();
    let answer = ca.info().expect(200);
    assert_eq!(answer.header("retry-after"), "21600");
    let window = answer.json()["suggestedWindow"].clone();
    // 90 days from 2027-01-15T08:00:00Z, with an hour before.
    assert_eq!(window["start"], "2027-03-15T10:03:24Z");
    assert_eq!(window["end"], "2027-03-17T05:16:36Z");
    assert!(answer.json()["explanationURL"].is_null());
}

#[test]
fn identifiers_that_are_none_or_not_ours_are_told_apart() {
    let mut ca = issued();
    let (authority, serial) = ca.id.split_once('.').unwrap();
    for (id, status) in [
        ("AAAA".to_owned(), 400),
        (format!("{authority}.!"), 400),
        (format!("{authority}."), 400),
        (format!("AAAA.{serial}"), 404),
        (format!("{authority}.AAAA"), 404),
    ] {
        let path = format!("/renewal-info/{id}");
        let answer = ca.bench.get(Method::GET, &path);
        answer.problem(status, "malformed");
        let more = json!({ "replaces": id });
        let order = ca.bench.try_order(&ca.account, &NAMES, &more);
        order.problem(status, "malformed");
    }
}

#[test]
fn windows_move_on_command_and_of_revoked_ones_are_past() {
    let mut ca = issued();
    let (serial, now) = (ca.serial.clone(), ca.bench.time());
    let moved = Window {
        start: now,
        end: devca::Timestamp::from_unix(ca.bench.now - 5),
    };
    ca.adjust(|it| {
        it.windows.insert(serial.clone(), moved);
        it.explanation_url = Some("https://ca.example/why".into());
    });
    let told = ca.info().expect(200).json();
    // It ends before it begins, as a broken CA's may.
    assert_eq!(told["suggestedWindow"]["start"], "2027-01-15T08:00:00Z");
    assert_eq!(told["suggestedWindow"]["end"], "2027-01-15T07:59:55Z");
    assert_eq!(told["explanationURL"], "https://ca.example/why");
    let now = ca.bench.now;
    ca.adjust(|it| {
        it.windows.clear();
        it.incident_before = Some(now + 1);
    });
    let told = ca.info().expect(200).json();
    assert_eq!(told["suggestedWindow"]["start"], "2027-01-15T07:00:00Z");
    assert_eq!(told["suggestedWindow"]["end"], "2027-01-15T07:30:00Z");
    ca.adjust(|it| it.missing.push(serial.clone()));
    ca.info().problem(404, "malformed");
    ca.adjust(|it| *it = devca::RenewalInfo::default());
    let now = ca.bench.time();
    let revoke = devca::Command::Revoke { serial, reason: 4 };
    let step = ca
        .bench
        .core
        .command(&revoke, now, &mut devca::SystemEntropy);
    assert_eq!(step.unwrap().records.len(), 1);
    let told = ca.info().expect(200).json();
    assert_eq!(told["suggestedWindow"]["end"], "2027-01-15T07:30:00Z");
}

#[test]
fn an_order_that_replaces_echoes_it_and_a_second_one_is_a_conflict() {
    let mut ca = issued();
    let first = ca.replace().expect(201);
    assert_eq!(first.json()["replaces"], ca.id);
    // Pending, and ready (the proof is reused), and valid: all stand.
    ca.replace().problem(409, "alreadyReplaced");
    let order = Order::read(&first);
    assert_eq!(ca.bench.status(&ca.account, &order.url), "ready");
    let key = rcgen::KeyPair::generate().unwrap();
    ca.bench.finalized(&ca.account, &order, &key, &NAMES);
    ca.replace().problem(409, "alreadyReplaced");
    ca.bench.restart();
    ca.replace().problem(409, "alreadyReplaced");
}

#[test]
fn without_replaces_the_pending_replacement_is_handed_out_with_its_echo() {
    let mut ca = issued();
    let first = Order::read(&ca.replace().expect(201));
    let plain = ca.bench.try_order(&ca.account, &NAMES, &json!({}));
    let plain = plain.expect(201);
    assert_eq!(Order::read(&plain).url, first.url);
    assert_eq!(plain.json()["replaces"], ca.id);
}

#[test]
fn a_pending_order_without_replaces_comes_back_without_an_echo() {
    let mut ca = issued();
    let plain = ca.bench.order(&ca.account, &NAMES);
    let replacing = ca.replace().expect(201);
    assert_eq!(Order::read(&replacing).url, plain.url);
    assert!(replacing.json()["replaces"].is_null());
    // Nothing was made that replaces, so that this is no conflict.
    assert_eq!(Order::read(&ca.replace().expect(201)).url, plain.url);
}

#[test]
fn an_invalid_replacement_does_not_stand() {
    let mut ca = issued();
    let first = Order::read(&ca.replace().expect(201));
    let id = first.url.rsplit('/').next().unwrap().to_owned();
    let (invalidate, now) = (devca::Command::Invalidate { order: id }, ca.bench.time());
    let done = ca
        .bench
        .core
        .command(&invalidate, now, &mut devca::SystemEntropy);
    assert!(done.is_ok());
    let second = ca.replace().expect(201);
    assert_ne!(Order::read(&second).url, first.url);
    assert_eq!(second.json()["replaces"], ca.id);
}

#[test]
fn only_its_own_account_replaces_and_only_a_name_in_common() {
    let mut ca = issued();
    let more = json!({ "replaces": ca.id });
    let other = ca.bench.try_order(&ca.account, &["b.example"], &more);
    other.problem(400, "malformed");
    let stranger = ca.bench.account();
    let theirs = ca.bench.try_order(&stranger, &NAMES, &more);
    theirs.problem(403, "unauthorized");
    let with_more = ca
        .bench
        .try_order(&ca.account, &["a.example", "b.example"], &more);
    with_more.expect(201);
}

#[test]
fn a_wildcard_is_replaced_by_a_name_that_it_covers() {
    let mut bench = Bench::behaving(Behaviour::boulder());
    let account = bench.account();
    let order = bench.order(&account, &["*.a.example"]);
    let url = format!("{}/dns-01", order.authorizations[0]);
    bench.post(&account, &url, &json!({})).expect(200);
    let validation = bench.due_validation().unwrap();
    bench.conclude(&validation, Ok(()));
    let key = rcgen::KeyPair::generate().unwrap();
    let der = bench.finalized(&account, &order, &key, &["*.a.example"]);
    let more = json!({ "replaces": identifier(&der).0 });
    let deeper = bench.try_order(&account, &["www.shop.a.example"], &more);
    deeper.problem(400, "malformed");
    let covered = bench.try_order(&account, &["shop.a.example"], &more);
    assert_eq!(covered.expect(201).json()["replaces"], more["replaces"]);
}

#[test]
fn within_its_window_a_replacement_is_free_and_outside_it_is_a_renewal() {
    let mut ca = issued();
    ca.bench.adjust(|it| {
        it.order_reuse = false;
        it.limits = Limits::tiny();
    });
    let exemptions = |bench: &Bench| -> Vec<_> {
        let ledger = bench.core.ledger(bench.time());
        ledger.orders.iter().map(|order| order.exemption).collect()
    };
    ca.replace().expect(201);
    let told = ca.info().json()["suggestedWindow"]["end"].clone();
    assert_eq!(told, Value::from("2027-03-17T05:16:36Z"));
    // The first replacement expires with its hour; the window begins 59 days later.
    ca.bench.now += 60 * DAY;
    ca.replace().expect(201);
    ca.bench.now += 2 * DAY;
    ca.replace().expect(201);
    assert_eq!(
        exemptions(&ca.bench),
        [
            Exemption::None,
            Exemption::SameSet,
            Exemption::RenewalWindow,
            Exemption::SameSet
        ]
    );
}

#[test]
fn replaces_is_ignored_where_renewal_information_is_not_offered() {
    let mut bench = Bench::new();
    let account = bench.account();
    let more = json!({ "replaces": "not even an identifier" });
    let order = bench.try_order(&account, &NAMES, &more).expect(201);
    assert!(order.json()["replaces"].is_null());
}
