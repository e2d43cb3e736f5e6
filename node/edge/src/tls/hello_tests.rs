use proptest::prelude::*;

use super::*;

fn vector8(content: &[u8]) -> Vec<u8> {
    [&[u8::try_from(content.len()).unwrap()], content].concat()
}

fn vector16(content: &[u8]) -> Vec<u8> {
    [
        &u16::try_from(content.len()).unwrap().to_be_bytes()[..],
        content,
    ]
    .concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector16(content)].concat()
}

fn names(entries: &[(u8, &[u8])]) -> Vec<u8> {
    let list: Vec<u8> = entries
        .iter()
        .flat_map(|(kind, name)| [vec![*kind], vector16(name)].concat())
        .collect();
    extension(0, &vector16(&list))
}

fn sni(name: &[u8]) -> Vec<u8> {
    names(&[(0, name)])
}

/// A handshake message with these extensions; `None`: without the field.
fn hello(extensions: Option<&[u8]>) -> Vec<u8> {
    let body = [
        &[3, 3][..],
        &[7; 32],
        &vector8(&[9; 32]),
        &vector16(&[0x13, 0x01]),
        &vector8(&[0]),
        &extensions.map(vector16).unwrap_or_default(),
    ]
    .concat();
    [
        &[1][..],
        &u32::try_from(body.len()).unwrap().to_be_bytes()[1..],
        &body,
    ]
    .concat()
}

fn records(message: &[u8], size: usize) -> Vec<u8> {
    message
        .chunks(size)
        .flat_map(|part| [&[22, 3, 1][..], &vector16(part)].concat())
        .collect()
}

fn host(name: &str) -> Hello {
    Hello::Complete(Name::Host(name.to_owned()))
}

#[track_caller]
fn check(extensions: Option<&[u8]>, expected: &Hello) {
    let message = hello(extensions);
    for size in [
        1 << 14,
        message.len().div_ceil(2),
        message.len().div_ceil(HELLO_RECORDS),
    ] {
        assert_eq!(
            &parse(&records(&message, size)),
            expected,
            "records of {size}"
        );
    }
}

#[test]
fn the_name_is_found() {
    check(
        Some(&sni(b"shop.client.example")),
        &host("shop.client.example"),
    );
    let grease = extension(0x0a0a, &[]);
    check(
        Some(
            &[
                &grease[..],
                &sni(b"a.test"),
                &extension(16, &[0, 3, 2, b'h', b'2']),
            ]
            .concat(),
        ),
        &host("a.test"),
    );
    check(
        Some(&names(&[(7, b"other kind"), (0, b"a.test")])),
        &host("a.test"),
    );
}

#[test]
fn a_validation_offers_one_protocol_only() {
    let alpn = |protocols: &[&[u8]]| {
        let list: Vec<u8> = protocols.iter().flat_map(|p| vector8(p)).collect();
        [sni(b"A.test"), extension(16, &vector16(&list))].concat()
    };
    let validation = Hello::Validation(Name::Host("a.test".to_owned()));
    check(Some(&alpn(&[b"acme-tls/1"])), &validation);
    for other in [
        &[&b"acme-tls/1"[..], b"h2"][..],
        &[b"http/1.1", b"acme-tls/1"],
        &[b"acme-tls/1", b"acme-tls/1"],
        &[b"ACME-TLS/1"],
        &[b"acme-tls/2"],
        &[],
    ] {
        check(Some(&alpn(other)), &host("a.test"));
    }
    let nameless = extension(16, &vector16(&vector8(b"acme-tls/1")));
    check(Some(&nameless), &Hello::Validation(Name::Absent));
}

#[test]
fn the_name_is_normalised() {
    check(
        Some(&sni(b"Shop.CLIENT.example")),
        &host("shop.client.example"),
    );
    check(Some(&sni(b"a.test.")), &host("a.test"));
    check(Some(&sni(b"_x.a-b.test")), &host("_x.a-b.test"));
}

#[test]
fn no_name_is_absent() {
    check(None, &Hello::Complete(Name::Absent));
    check(Some(&[]), &Hello::Complete(Name::Absent));
    check(Some(&extension(16, &[])), &Hello::Complete(Name::Absent));
    check(
        Some(&names(&[(7, b"other kind")])),
        &Hello::Complete(Name::Absent),
    );
}

#[test]
fn an_address_is_no_name() {
    check(Some(&sni(b"127.0.0.1")), &Hello::Complete(Name::Address));
    check(Some(&sni(b"2001:db8::1")), &Hello::Complete(Name::Address));
}

#[test]
fn what_is_no_host_is_invalid() {
    let long = [b'a'; 64];
    let deep = vec!["a"; 128].join(".").into_bytes();
    for name in [
        &b""[..],
        b".",
        b"a..b",
        b"a b",
        b"a\0b",
        b"\xff\xfe",
        "b\u{fc}cher.test".as_bytes(),
        &long,
        &deep,
    ] {
        check(Some(&sni(name)), &Hello::Complete(Name::Invalid));
    }
}

#[test]
fn contradictions_are_malformed() {
    check(
        Some(&[sni(b"a.test"), sni(b"b.test")].concat()),
        &Hello::Malformed("two server_name extensions"),
    );
    check(
        Some(&names(&[(0, b"a.test"), (0, b"b.test")])),
        &Hello::Malformed("two host names"),
    );
    check(
        Some(&extension(0, &[0, 9, 0])),
        &Hello::Malformed("a length points beyond the message"),
    );
    check(
        Some(&extension(0, &[])),
        &Hello::Malformed("a length points beyond the message"),
    );
    check(
        Some(&[0, 0, 0, 99, 0]),
        &Hello::Malformed("a length points beyond the message"),
    );
    let trailing = [vector16(&[]), vec![1]].concat();
    check(
        Some(&extension(0, &trailing)),
        &Hello::Malformed("bytes follow the server names"),
    );
}

#[test]
fn the_first_bytes_decide_what_is_not_tls() {
    let cases: [(&[u8], Hello); 8] = [
        (b"", Hello::Partial),
        (b"GET / HTTP/1.1\r\n", Hello::NotTls),
        (b"PRI * HTTP/2.0", Hello::NotTls),
        (b"\x80\x2e\x01\x03\x01", Hello::NotTls), // an SSLv2 hello
        (b"\x16", Hello::Partial),
        (b"\x16\x02", Hello::NotTls),
        (b"\x17\x03\x03\x00\x01x", Hello::NotTls),
        (b"\x15\x03\x03\x00\x02\x02\x28", Hello::NotTls),
    ];
    for (bytes, expected) in cases {
        assert_eq!(parse(bytes), expected, "{bytes:?}");
    }
}

#[test]
fn limits_are_kept() {
    let cases: [(&[u8], &str); 4] = [
        (
            b"\x16\x03\x01\x00\x00",
            "a record of no or too much payload",
        ),
        (
            b"\x16\x03\x01\x40\x01",
            "a record of no or too much payload",
        ),
        (
            b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
            "the first message is no ClientHello",
        ),
        (
            b"\x16\x03\x01\x00\x04\x01\x00\xff\xff",
            "the ClientHello is too long",
        ),
    ];
    for (bytes, fault) in cases {
        assert_eq!(parse(bytes), Hello::Malformed(fault), "{bytes:?}");
    }
    let message = hello(Some(&sni(b"a.test")));
    assert_eq!(
        parse(&records(&message, 1)),
        Hello::Malformed("too many records")
    );
}

#[test]
fn another_kind_of_record_may_not_interrupt() {
    let message = hello(Some(&sni(b"a.test")));
    let mut bytes = records(&message[..20], 20);
    bytes.extend_from_slice(b"\x17\x03\x03\x00\x01x");
    assert_eq!(parse(&bytes), Hello::NotTls);
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        parse(&bytes);
    }

    #[test]
    fn any_handshake_record_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        parse(&records(&hello(Some(&bytes)), 1 << 14));
        parse(&[&[22, 3, 1][..], &vector16(&bytes)].concat());
    }

    #[test]
    fn an_answer_stays_whatever_follows(
        name in "[a-z]{1,20}\\.test",
        size in 8usize..200,
        cut in any::<prop::sample::Index>(),
        more in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = records(&hello(Some(&sni(name.as_bytes()))), size);
        prop_assert_eq!(parse(&bytes[..cut.index(bytes.len())]), Hello::Partial);
        bytes.extend_from_slice(&more);
        prop_assert_eq!(parse(&bytes), host(&name));
    }
}
