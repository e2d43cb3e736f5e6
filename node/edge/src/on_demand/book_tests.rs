use Judgement::{Ask, Authorize, Refuse};

use super::*;

/// A script of visits and answers, and what comes of each: `SECONDS CLIENT NAME` is a visit,
/// `SECONDS NAME = yes|no|nothing` an answer, `SECONDS + NAME` an authorization.
#[track_caller]
fn check(limits: Limits, script: &[(&str, &str)]) {
    let begun = Instant::now();
    let mut book = Book::new(limits, begun);
    for (line, expected) in script {
        let words: Vec<&str> = line.split(' ').collect();
        let now = begun + Duration::from_secs_f64(words[0].parse().unwrap());
        let about = |client: &str, name: &str| Question {
            hostname: Hostname::parse(name).unwrap(),
            domain: psl::domain_str(name).unwrap().into(),
            client: Network::of(client.parse().unwrap()),
        };
        let found = match words[1..] {
            [name, "=", told] => {
                let told = match told {
                    "yes" => Told::Yes,
                    "no" => Told::No,
                    _ => Told::Nothing,
                };
                book.note(&Hostname::parse(name).unwrap(), told, now);
                String::new()
            }
            ["+", name] => format!("{:?}", book.authorize(&about("192.0.2.1", name), now)),
            [client, name] => match book.judge(&about(client, name), now) {
                Ask => "ask".to_owned(),
                Authorize => "authorize".to_owned(),
                Refuse(why) => format!("{why:?}"),
            },
            _ => panic!("{line}"),
        };
        assert_eq!(found, *expected, "{line}");
    }
}

#[test]
fn answers_hold_for_their_time() {
    let limits = Limits {
        questions_per_client: 100,
        ..Limits::default()
    };
    check(
        limits,
        &[
            ("0 192.0.2.1 a.example.com", "ask"),
            ("0 a.example.com = no", ""),
            ("299 192.0.2.2 a.example.com", "Answered"),
            ("300 192.0.2.2 a.example.com", "ask"),
            ("300 a.example.com = nothing", ""),
            ("309 192.0.2.2 a.example.com", "Failed"),
            ("310 192.0.2.2 a.example.com", "ask"),
            ("310 a.example.com = yes", ""),
            ("369 192.0.2.2 a.example.com", "authorize"),
            ("370 192.0.2.2 a.example.com", "ask"),
        ],
    );
}

#[test]
fn questions_have_a_pace_in_all_and_for_each_network() {
    let limits = Limits {
        questions_per_second: 15,
        questions_per_client: 1,
        ..Limits::default()
    };
    let mut script: Vec<(String, &str)> = (0..10)
        .map(|n| (format!("0 192.0.2.1 n{n}.example.com"), "ask"))
        .collect();
    script.extend([
        ("0 192.0.2.1 n.example.com".to_owned(), "Client"),
        ("0 ::ffff:192.0.2.1 n.example.com".to_owned(), "Client"),
    ]);
    for n in 1..6 {
        let address = format!("2001:db8::{n}");
        script.push((format!("0 {address} m{n}.example.com"), "ask"));
    }
    script.extend([
        ("0 192.0.2.2 n.example.com".to_owned(), "Pace"),
        ("0.5 192.0.2.1 n.example.com".to_owned(), "Client"),
        ("1 192.0.2.1 n.example.com".to_owned(), "ask"),
        ("1 192.0.2.1 m.example.com".to_owned(), "Client"),
        ("1 192.0.2.2 m.example.com".to_owned(), "ask"),
    ]);
    let script: Vec<(&str, &str)> = script.iter().map(|(line, said)| (&**line, *said)).collect();
    check(limits, &script);
}

#[test]
fn no_more_is_authorized_in_an_hour_than_allowed_and_nothing_is_asked_in_vain() {
    let limits = Limits {
        authorized_per_hour: 3,
        authorized_per_domain: 2,
        questions_per_client: 100,
        ..Limits::default()
    };
    check(
        limits,
        &[
            ("0 + a.client.co.uk", "Ok(())"),
            ("10 + b.client.co.uk", "Ok(())"),
            ("10 192.0.2.1 c.client.co.uk", "Domain"),
            ("10 + c.client.co.uk", "Err(Domain)"),
            ("10 192.0.2.1 c.other.co.uk", "ask"),
            ("20 + c.other.co.uk", "Ok(())"),
            ("20 192.0.2.1 d.third.co.uk", "Hour"),
            ("20 d.third.co.uk = yes", ""),
            ("30 192.0.2.1 d.third.co.uk", "Hour"),
            ("3599 + d.third.co.uk", "Err(Hour)"),
            ("3600 + d.client.co.uk", "Ok(())"),
            ("3600 + e.client.co.uk", "Err(Hour)"),
            ("3610 + e.client.co.uk", "Ok(())"),
            ("3610 192.0.2.1 f.client.co.uk", "Hour"),
        ],
    );
}

#[test]
fn what_is_remembered_has_a_bound() {
    let limits = Limits {
        questions_per_second: u32::MAX,
        no_for: Duration::from_secs(86_400),
        ..Limits::default()
    };
    let now = Instant::now();
    let mut book = Book::new(limits, now);
    for n in 0..ANSWERS + 10 {
        let hostname = Hostname::parse(&format!("n{n}.example.com")).unwrap();
        book.note(&hostname, Told::No, now);
        book.note(&hostname, Told::No, now);
    }
    assert_eq!((book.answers.len(), book.order.len()), (ANSWERS, ANSWERS));
    let forgotten = Hostname::parse("n9.example.com").unwrap();
    let kept = Hostname::parse("n10.example.com").unwrap();
    assert!(!book.answers.contains_key(&forgotten) && book.answers.contains_key(&kept));
    for n in 0..u32::try_from(ASKERS).unwrap() + 1 {
        let question = Question {
            hostname: Hostname::parse(&format!("m{n}.example.com")).unwrap(),
            domain: "example.com".into(),
            client: Network::of(std::net::IpAddr::from(n.to_be_bytes())),
        };
        let refused = Refuse(Refused::Pace);
        let expected = if n as usize == ASKERS { refused } else { Ask };
        assert_eq!(book.judge(&question, now), expected, "{n}");
    }
    assert_eq!(book.clients.len(), ASKERS);
}
