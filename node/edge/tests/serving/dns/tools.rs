//! Programs of others: skipped, loudly, where they are not installed.

use std::{
    io::Write as _,
    process::{Command, Output},
};

/// A word that is to be seen whether or not the test's output is captured.
pub(crate) fn skipped(program: &str, package: &str) {
    let mut out = std::io::stderr();
    let _ = writeln!(
        out,
        "SKIPPED: {program} is not installed (apt-get install {package})"
    );
}

/// What `dig` says; `None` where it is not installed.
pub(crate) fn dig(arguments: &[&str]) -> Option<String> {
    let Ok(Output { stdout, .. }) = Command::new("dig").args(arguments).output() else {
        skipped("dig", "bind9-dnsutils");
        return None;
    };
    Some(String::from_utf8(stdout).unwrap())
}

#[tokio::test]
async fn dig_finds_nothing_to_warn_of() {
    let stand = super::Stand::start();
    stand.book.place("busy", 15);
    let port = stand.address().port().to_string();
    let cases = [
        ("TXT busy.acme.edge.example", "status: NOERROR"),
        ("TXT busy.acme.edge.example +tcp", "status: NOERROR"),
        ("TXT busy.acme.edge.example +bufsize=512", "status: NOERROR"),
        (
            "TXT busy.acme.edge.example +noedns +ignore",
            "flags: qr aa tc;",
        ),
        ("TXT none.acme.edge.example", "status: NXDOMAIN"),
        (
            "CAA tenant.edge.example",
            "0 issue \"ca.example; accounturi=",
        ),
        ("NS edge.example", "ns1.in.edge.example."),
        ("SOA acme.edge.example", "hostmaster.acme.edge.example. 7 "),
        ("ANY edge.example", "HINFO\t\"RFC8482\" \"\""),
        ("AXFR edge.example", "Transfer failed."),
        ("IXFR=1 edge.example", "Transfer failed."),
        ("TXT version.bind CH", "status: REFUSED"),
        (
            "TXT busy.acme.edge.example +edns=1 +noednsnegotiation",
            "status: BADVERS",
        ),
        (
            "TXT busy.acme.edge.example +opcode=notify",
            "status: NOTIMP",
        ),
        (
            "TXT busy.acme.edge.example +opcode=update",
            "status: NOTIMP",
        ),
        (
            "TXT busy.acme.edge.example +cookie +nsid +padding=128",
            "status: NOERROR",
        ),
        (
            "TXT busy.acme.edge.example +header-only +noedns",
            "status: FORMERR",
        ),
    ];
    for (question, expected) in cases {
        let mut arguments = vec![
            "@127.0.0.1",
            "-p",
            &port,
            "+time=5",
            "+tries=1",
            "+norecurse",
        ];
        arguments.extend(question.split(' '));
        let ask = arguments
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        let asked = tokio::task::spawn_blocking(move || {
            dig(&ask.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let Some(said) = asked.await.unwrap() else {
            return;
        };
        assert!(said.contains(expected), "{question}: {said}");
        let lower = said.to_lowercase();
        assert!(
            !lower.contains("warning") && !lower.contains("malformed"),
            "{question}: {said}"
        );
    }
}
