//! The resolver against real sockets: a tree of zones from the root down, and servers that
//! misbehave as they do in the world.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use hickory_proto::op::ResponseCode;

use super::{Config, Dns, Resolver};
use crate::{
    issuance::pace::Jitter,
    verification::{
        answer::{Kind, Look, Outcome, Vantage},
        egress::Egress,
        name::DnsName,
    },
};
use net::{Ask, Net, Reply};

pub(in crate::verification) mod net;

/// Chance that a test can repeat: every draw differs, most bits change.
#[derive(Default)]
pub(in crate::verification) struct Counting(AtomicU16);

impl Jitter for Counting {
    fn draw(&self) -> u16 {
        self.0.fetch_add(1, Ordering::SeqCst).wrapping_mul(0x9e37) ^ 0x5a5a
    }
}

const ROOT: u8 = 2;
const TOP: u8 = 3;
const CLIENT: u8 = 4;
const CLIENT_TOO: u8 = 5;
const EDGE: u8 = 6;
const RECURSIVE: u8 = 7;

const CLIENT_ZONE: &str = "
@ NS ns4
@ NS ns5
@ A 198.51.100.1
@ A 198.51.100.2
@ AAAA 2001:db8::1
@ CAA 0 issue \"letsencrypt.org; accounturi=https://ca.test/acct/1\"
www CNAME client.example.
shop CNAME acme.edge.example.
gone CNAME nobody.edge.example.
one CNAME two
two CNAME three
three CNAME one
round CNAME back.edge.example.
_hostquorum.shop TXT \"hostquorum-verify=abc\" \"def\"
empty.below A 198.51.100.3";

const EDGE_ZONE: &str = "
acme A 198.51.100.7
back CNAME round.client.example.";

/// A tree: root, `example`, and below it the customer's zone with two servers and ours.
async fn tree() -> Net {
    let mut net = Net::new().await;
    net.parent(ROOT, &[("example", &[TOP])]).await;
    let children: &[(&str, &[u8])] = &[
        ("client.example", &[CLIENT, CLIENT_TOO]),
        ("edge.example", &[EDGE]),
    ];
    net.parent(TOP, children).await;
    net.zones(CLIENT, &[("client.example", CLIENT_ZONE)]).await;
    net.zones(EDGE, &[("edge.example", EDGE_ZONE)]).await;
    net
}

async fn whole_tree() -> Net {
    let mut net = tree().await;
    net.zones(CLIENT_TOO, &[("client.example", CLIENT_ZONE)])
        .await;
    net
}

fn config(net: &Net) -> Config {
    Config {
        authoritative: true,
        recursive: Vec::new(),
        roots: vec![Net::address(ROOT)],
        authoritative_port: net.port,
        attempt: Duration::from_secs(1),
        attempts: 2,
        look: Duration::from_secs(8),
        egress: Egress {
            allow: vec!["127.0.0.0/8".parse().unwrap()],
        },
    }
}

async fn look_by(config: Config, name: &str, kind: Kind) -> Look {
    let dns = Dns::new(config, Arc::new(Counting::default()));
    dns.look(&DnsName::parse(name).unwrap(), kind).await
}

/// What each vantage says, as `host: answer`, the host by its last octet.
fn told(look: &Look) -> Vec<String> {
    let told = |vantage: &Vantage| match vantage {
        Vantage::Recursive(at) | Vantage::Authoritative(_, at) => match at.ip() {
            std::net::IpAddr::V4(ip) => ip.octets()[3].to_string(),
            std::net::IpAddr::V6(ip) => ip.to_string(),
        },
        Vantage::NoAuthority => "none".to_owned(),
    };
    look.sightings
        .iter()
        .map(|sighting| format!("{}: {}", told(&sighting.vantage), sighting.answer))
        .collect()
}

#[track_caller]
fn expect(look: &Look, expected: &[&str]) {
    assert_eq!(told(look), expected, "{} {}", look.name, look.kind);
}

#[tokio::test]
async fn each_server_of_the_zone_is_found_from_the_root_and_asked() {
    let net = whole_tree().await;
    let cases = [
        ("client.example", Kind::A, "198.51.100.1, 198.51.100.2"),
        ("client.example", Kind::Aaaa, "2001:db8::1"),
        (
            "www.client.example",
            Kind::A,
            "CNAME client.example, 198.51.100.1, 198.51.100.2",
        ),
        (
            "shop.client.example",
            Kind::A,
            "CNAME acme.edge.example, 198.51.100.7",
        ),
        (
            "shop.client.example",
            Kind::Aaaa,
            "CNAME acme.edge.example, nothing",
        ),
        (
            "gone.client.example",
            Kind::A,
            "CNAME nobody.edge.example, no such name",
        ),
        (
            "_hostquorum.shop.client.example",
            Kind::Txt,
            "\"hostquorum-verify=abcdef\"",
        ),
        (
            "client.example",
            Kind::Caa,
            "0 issue \"letsencrypt.org; accounturi=https://ca.test/acct/1\"",
        ),
        (
            "client.example",
            Kind::Ns,
            "ns4.client.example, ns5.client.example",
        ),
        ("client.example", Kind::Soa, "ns.client.example 1"),
        ("below.client.example", Kind::A, "nothing"),
        ("no.client.example", Kind::A, "no such name"),
    ];
    let dns = Dns::new(config(&net), Arc::new(Counting::default()));
    for (name, kind, expected) in cases {
        let look = dns.look(&DnsName::parse(name).unwrap(), kind).await;
        expect(
            &look,
            &[&format!("4: {expected}"), &format!("5: {expected}")],
        );
    }
}

#[tokio::test]
async fn cnames_in_a_circle_end_within_a_zone_and_across_zones() {
    let net = whole_tree().await;
    for name in ["one.client.example", "round.client.example"] {
        let look = look_by(config(&net), name, Kind::A).await;
        assert_eq!(look.sightings.len(), 2, "{:?}", told(&look));
        for answer in look.answers() {
            assert_eq!(answer.outcome, Outcome::Loop, "{name}");
            assert!(answer.chain.len() >= 2, "{name}");
        }
    }
}

#[tokio::test]
async fn a_server_that_lags_behind_is_seen_beside_the_one_that_does_not() {
    let mut net = tree().await;
    let old = "@ A 192.0.2.9\n_hostquorum.shop TXT old";
    net.zones(CLIENT_TOO, &[("client.example", old)]).await;
    let look = look_by(config(&net), "client.example", Kind::A).await;
    expect(&look, &["4: 198.51.100.1, 198.51.100.2", "5: 192.0.2.9"]);
}

#[tokio::test]
async fn a_lame_server_says_nothing_of_the_zone() {
    let mut net = tree().await;
    net.zones(CLIENT_TOO, &[("other.example", "@ A 192.0.2.9")])
        .await;
    let look = look_by(config(&net), "client.example", Kind::Aaaa).await;
    expect(
        &look,
        &["4: 2001:db8::1", "5: servers that do not serve the zone"],
    );
}

#[tokio::test]
async fn a_server_that_refers_upwards_leads_nobody_astray() {
    let mut net = tree().await;
    net.script(CLIENT_TOO, |ask| {
        let mut message = ask.with(
            "",
            "example. NS ns.evil.example.",
            "ns.evil.example. A 127.0.0.99",
        );
        message.metadata.authoritative = false;
        Reply::Say(message)
    })
    .await;
    let look = look_by(config(&net), "client.example", Kind::Aaaa).await;
    expect(
        &look,
        &["4: 2001:db8::1", "5: servers that do not serve the zone"],
    );
}

#[tokio::test]
async fn what_a_zone_says_of_names_outside_is_not_believed() {
    let mut net = tree().await;
    net.script(CLIENT_TOO, |ask| {
        Reply::Say(ask.with(
            "shop.client.example. CNAME acme.edge.example.\nacme.edge.example. A 192.0.2.66",
            "",
            "",
        ))
    })
    .await;
    let look = look_by(config(&net), "shop.client.example", Kind::A).await;
    let truth = "CNAME acme.edge.example, 198.51.100.7";
    expect(&look, &[&format!("4: {truth}"), &format!("5: {truth}")]);
}

#[tokio::test]
async fn a_silent_server_costs_its_time_and_no_more() {
    let mut net = tree().await;
    let asked = net.script(CLIENT_TOO, |_| Reply::Silence).await;
    let look = look_by(config(&net), "client.example", Kind::Aaaa).await;
    expect(&look, &["4: 2001:db8::1", "5: no answer in time"]);
    assert_eq!(asked.load(Ordering::SeqCst), 2, "as often as configured");
}

#[tokio::test]
async fn a_look_ends_in_time_when_nobody_answers() {
    let mut net = Net::new().await;
    for host in [ROOT, RECURSIVE] {
        net.script(host, |_| Reply::Silence).await;
    }
    let config = Config {
        recursive: vec![net.at(RECURSIVE)],
        attempt: Duration::from_secs(60),
        look: Duration::from_millis(400),
        ..config(&net)
    };
    let look = look_by(config, "client.example", Kind::A).await;
    expect(&look, &["7: no answer in time", "none: no answer in time"]);
}

#[tokio::test]
async fn a_closed_port_is_told_from_silence() {
    let net = Net::new().await;
    let look = look_by(config(&net), "client.example", Kind::A).await;
    expect(&look, &["none: unreachable"]);
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_by_tcp() {
    let mut net = tree().await;
    let strings: Vec<String> = (0..12).map(|n| format!("@ TXT \"{n:0>200}\"")).collect();
    net.zones(CLIENT_TOO, &[("client.example", &strings.join("\n"))])
        .await;
    let look = look_by(config(&net), "client.example", Kind::Txt).await;
    let counts: Vec<usize> = look
        .answers()
        .map(|answer| answer.records().len())
        .collect();
    assert_eq!(counts, [0, 12]);
}

#[tokio::test]
async fn a_server_that_truncates_even_by_tcp_is_not_believed() {
    let mut net = tree().await;
    net.script(CLIENT_TOO, |ask| {
        let mut message = ask.with("client.example. AAAA 2001:db8::6", "", "");
        message.metadata.truncation = true;
        Reply::Say(message)
    })
    .await;
    let look = look_by(config(&net), "client.example", Kind::Aaaa).await;
    expect(&look, &["4: 2001:db8::1", "5: an unreadable answer"]);
}

/// The scripted server says this by UDP, and something else by TCP.
async fn by_udp_and_tcp(udp: impl Fn(&Ask) -> Reply + Send + Sync + 'static) -> Look {
    let mut net = tree().await;
    net.script(CLIENT_TOO, move |ask| {
        if ask.tcp {
            Reply::Say(ask.with("client.example. AAAA 2001:db8::7", "", ""))
        } else {
            udp(ask)
        }
    })
    .await;
    look_by(config(&net), "client.example", Kind::Aaaa).await
}

#[tokio::test]
async fn letters_whose_case_does_not_come_back_are_asked_for_by_tcp() {
    let look = by_udp_and_tcp(|ask| {
        let mut message = ask.with("client.example. AAAA 2001:db8::bad", "", "");
        let lower = message.queries[0].name().to_lowercase();
        message.queries[0].set_name(lower);
        Reply::Say(message)
    })
    .await;
    expect(&look, &["4: 2001:db8::1", "5: 2001:db8::7"]);
}

#[tokio::test]
async fn an_answer_to_another_question_is_asked_for_by_tcp() {
    let look = by_udp_and_tcp(|ask| {
        let mut message = ask.with("client.example. AAAA 2001:db8::bad", "", "");
        let other = hickory_proto::rr::Name::from_ascii("other.example.").unwrap();
        message.queries[0].set_name(other);
        Reply::Say(message)
    })
    .await;
    expect(&look, &["4: 2001:db8::1", "5: 2001:db8::7"]);
}

#[tokio::test]
async fn rubbish_is_asked_for_by_tcp() {
    let look = by_udp_and_tcp(|ask| {
        let mut bytes = ask.query.metadata.id.to_be_bytes().to_vec();
        bytes.extend([0xff; 30]);
        Reply::Bytes(bytes)
    })
    .await;
    expect(&look, &["4: 2001:db8::1", "5: 2001:db8::7"]);
}

#[tokio::test]
async fn a_forged_id_is_passed_over() {
    let mut net = tree().await;
    net.script(CLIENT_TOO, |ask| {
        let mut message = ask.with("client.example. AAAA 2001:db8::bad", "", "");
        message.metadata.id ^= 1;
        Reply::Say(message)
    })
    .await;
    let look = look_by(config(&net), "client.example", Kind::Aaaa).await;
    expect(&look, &["4: 2001:db8::1", "5: no answer in time"]);
}

#[tokio::test]
async fn a_server_that_knows_no_edns_is_asked_without() {
    let mut net = tree().await;
    net.script(CLIENT_TOO, |ask| {
        if ask.query.edns.is_none() {
            return Reply::Say(ask.with("client.example. AAAA 2001:db8::8", "", ""));
        }
        let mut message = ask.answer();
        message.metadata.response_code = ResponseCode::FormErr;
        message.queries.clear();
        Reply::Say(message)
    })
    .await;
    let look = look_by(config(&net), "client.example", Kind::Aaaa).await;
    expect(&look, &["4: 2001:db8::1", "5: 2001:db8::8"]);
}

#[tokio::test]
async fn a_recursive_resolver_is_believed_in_all_it_says() {
    let mut net = whole_tree().await;
    net.script(RECURSIVE, |ask| {
        assert!(ask.query.metadata.recursion_desired);
        Reply::Say(ask.with(
            "shop.client.example. CNAME acme.edge.example.\nacme.edge.example. A 198.51.100.7",
            "",
            "",
        ))
    })
    .await;
    let config = Config {
        recursive: vec![net.at(RECURSIVE)],
        ..config(&net)
    };
    let look = look_by(config, "shop.client.example", Kind::A).await;
    let truth = "CNAME acme.edge.example, 198.51.100.7";
    expect(
        &look,
        &[
            &format!("7: {truth}"),
            &format!("4: {truth}"),
            &format!("5: {truth}"),
        ],
    );
}

#[tokio::test]
async fn broken_dnssec_is_told_from_a_resolver_that_can_find_nothing() {
    let mut net = Net::new().await;
    net.script(RECURSIVE, |ask| {
        let mut message = ask.with("", "", "");
        if ask.name() != "bogus.example" || !ask.query.metadata.checking_disabled {
            message.metadata.response_code = ResponseCode::ServFail;
        }
        Reply::Say(message)
    })
    .await;
    let config = Config {
        recursive: vec![net.at(RECURSIVE)],
        ..config(&net)
    };
    for (name, expected) in [
        ("bogus.example", Outcome::Bogus),
        ("dead.example", Outcome::ServFail),
    ] {
        let look = look_by(config.clone(), name, Kind::Caa).await;
        assert_eq!(look.sightings[0].answer.outcome, expected, "{name}");
    }
}

#[tokio::test]
async fn a_name_server_at_an_internal_address_is_never_asked() {
    let mut net = tree().await;
    let asked = net.script(CLIENT_TOO, |_| Reply::Silence).await;
    let config = Config {
        egress: Egress {
            allow: vec!["127.0.0.3/32".parse().unwrap()],
        },
        ..config(&net)
    };
    let look = look_by(config, "client.example", Kind::A).await;
    expect(
        &look,
        &["none: a name server at 127.0.0.5, which is not public"],
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn servers_without_glue_are_found_by_our_resolvers() {
    let mut net = whole_tree().await;
    net.zones(8, &[("far.example", "@ A 198.51.100.8")]).await;
    net.script(9, |ask| {
        let mut message = ask.with("", "far.example. NS ns.elsewhere.test.", "");
        message.metadata.authoritative = false;
        Reply::Say(message)
    })
    .await;
    net.script(RECURSIVE, |ask| {
        Reply::Say(match ask.name().as_str() {
            "ns.elsewhere.test" => ask.with("ns.elsewhere.test. A 127.0.0.8", "", ""),
            _ => ask.answer(),
        })
    })
    .await;
    let config = Config {
        recursive: vec![net.at(RECURSIVE)],
        roots: vec![Net::address(9)],
        ..config(&net)
    };
    let look = look_by(config, "far.example", Kind::A).await;
    expect(&look, &["7: nothing", "8: 198.51.100.8"]);
}

#[tokio::test]
async fn a_zone_that_delegates_for_ever_ends_the_walk() {
    let mut net = Net::new().await;
    let asked = net
        .script(ROOT, |ask| {
            let name = ask.name();
            let mut message = ask.with(
                "",
                &format!("{name}. NS a.{name}.\n{name}. NS b.{name}."),
                "",
            );
            message.metadata.authoritative = false;
            Reply::Say(message)
        })
        .await;
    let look = look_by(config(&net), "a.b.c.example", Kind::A).await;
    assert_eq!(look.sightings.len(), 1);
    assert!(!look.sightings[0].answer.outcome.is_answer());
    assert!(asked.load(Ordering::SeqCst) < 100);
}

#[tokio::test]
async fn the_top_is_remembered_and_nothing_below_it() {
    let mut net = Net::new().await;
    let root = net
        .script(ROOT, |ask| {
            let mut message = ask.with("", "example. NS ns.example.", "ns.example. A 127.0.0.3");
            message.metadata.authoritative = false;
            Reply::Say(message)
        })
        .await;
    let top = net
        .script(TOP, |ask| {
            let name = ask.name();
            Reply::Say(ask.with(&format!("{name}. A 198.51.100.1"), "", ""))
        })
        .await;
    let dns = Dns::new(config(&net), Arc::new(Counting::default()));
    for _ in 0..3 {
        dns.look(&DnsName::parse("client.example").unwrap(), Kind::A)
            .await;
    }
    assert_eq!(
        (root.load(Ordering::SeqCst), top.load(Ordering::SeqCst)),
        (1, 3)
    );
}
