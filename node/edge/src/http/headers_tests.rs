use http::Request;

use super::*;

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    headers
}

fn shown(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    lines
}

fn told(address: &str) -> Told {
    Told::new(address.parse().unwrap(), "a.test:8443", Scheme::Https).unwrap()
}

/// What is written in any case.
const ALWAYS: [&str; 6] = [
    "forwarded: for=192.0.2.7;host=\"a.test:8443\";proto=https",
    "via: 1.1 hostquorum",
    "x-forwarded-for: 192.0.2.7",
    "x-forwarded-host: a.test:8443",
    "x-forwarded-proto: https",
    "x-real-ip: 192.0.2.7",
];

#[track_caller]
fn check(fields: &[(&str, &str)], websocket: bool, expected: &[&str]) {
    let mut headers = map(fields);
    to_origin(
        &mut headers,
        &told("192.0.2.7"),
        Version::HTTP_11,
        websocket,
    );
    let mut expected: Vec<_> = expected
        .iter()
        .chain(&ALWAYS)
        .map(|line| (*line).to_owned())
        .collect();
    expected.sort();
    assert_eq!(shown(&headers), expected, "{fields:?}");
}

#[test]
fn what_belongs_to_a_connection_stays_behind() {
    check(
        &[
            ("connection", "close, X-Own"),
            ("x-own", "1"),
            ("x-other", "2"),
        ],
        false,
        &["x-other: 2"],
    );
    check(
        &[
            ("keep-alive", "1"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("connection", "upgrade, http2-settings"),
            ("expect", "100-continue"),
            ("te", "gzip"),
        ],
        false,
        &[],
    );
    check(&[("te", "gzip, Trailers")], false, &["te: trailers"]);
    check(
        &[("accept", "*/*"), ("content-length", "4"), ("trailer", "x")],
        false,
        &["accept: */*", "content-length: 4", "trailer: x"],
    );
}

#[test]
fn a_client_cannot_have_its_own_fields_stripped_that_decide() {
    check(
        &[
            ("connection", "authorization, cookie, content-length, close"),
            ("authorization", "x"),
            ("cookie", "a=b"),
        ],
        false,
        &["authorization: x", "cookie: a=b"],
    );
}

#[test]
fn forwarding_fields_are_ours_alone() {
    check(
        &[
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "7.7.7.7"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-port", "1"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("X_Forwarded_For", "6.6.6.6"),
            ("x_real-ip", "6.6.6.6"),
            ("connection", "x-forwarded-for, forwarded, x-real-ip"),
            ("x_other", "1"),
        ],
        false,
        &["x_other: 1"],
    );
    let mut headers = map(&[("via", "1.0 before")]);
    to_origin(&mut headers, &told("192.0.2.7"), Version::HTTP_2, false);
    assert_eq!(
        headers.get_all("via").iter().collect::<Vec<_>>(),
        ["1.0 before", "2.0 hostquorum"]
    );
}

#[test]
fn addresses_are_written_as_they_are_read() {
    for (address, forwarded_for, node) in [
        ("2001:db8::1", "2001:db8::1", "\"[2001:db8::1]\""),
        ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7"),
    ] {
        let mut headers = HeaderMap::new();
        to_origin(&mut headers, &told(address), Version::HTTP_11, false);
        assert_eq!(headers["x-forwarded-for"], forwarded_for);
        assert_eq!(
            headers["forwarded"],
            format!("for={node};host=\"a.test:8443\";proto=https")
        );
    }
}

#[test]
fn cookies_become_one_field() {
    check(
        &[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")],
        false,
        &["cookie: a=1; b=2; c=3"],
    );
}

#[test]
fn a_websocket_is_asked_for_anew() {
    check(
        &[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-key", "k"),
        ],
        true,
        &[
            "connection: upgrade",
            "sec-websocket-key: k",
            "upgrade: websocket",
        ],
    );
}

#[test]
fn only_a_websocket_is_an_upgrade() {
    let asks = |method: &str, version, fields: &[(&str, &str)]| {
        let (mut head, ()) = Request::builder()
            .method(method)
            .version(version)
            .body(())
            .unwrap()
            .into_parts();
        head.headers = map(fields);
        asks_for_websocket(&head)
    };
    let good: [(&str, &str); 2] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
    ];
    assert!(asks("GET", Version::HTTP_11, &good));
    assert!(!asks("POST", Version::HTTP_11, &good));
    assert!(!asks("GET", Version::HTTP_10, &good));
    assert!(!asks("GET", Version::HTTP_11, &good[1..]));
    assert!(!asks(
        "GET",
        Version::HTTP_11,
        &[good[0], ("upgrade", "h2c")]
    ));
    assert!(!asks(
        "GET",
        Version::HTTP_11,
        &[good[0], good[1], ("upgrade", "h2c")]
    ));
    assert!(!asks(
        "GET",
        Version::HTTP_11,
        &[good[0], good[1], ("content-length", "4")]
    ));
}

#[test]
fn a_response_sheds_its_connection_too() {
    let mut headers = map(&[
        ("connection", "close, x-own"),
        ("x-own", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("content-type", "text/plain"),
    ]);
    assert_eq!(to_client(&mut headers, false), Ok(()));
    assert_eq!(shown(&headers), ["content-type: text/plain"]);
}

#[test]
fn a_response_of_doubtful_length_is_refused() {
    for fields in [
        &[("content-length", "4"), ("content-length", "5")][..],
        &[("transfer-encoding", "gzip, chunked")],
        &[
            ("transfer-encoding", "chunked"),
            ("transfer-encoding", "chunked"),
        ],
    ] {
        assert_eq!(
            to_client(&mut map(fields), false),
            Err(Reason::OriginInvalid),
            "{fields:?}"
        );
    }
}
