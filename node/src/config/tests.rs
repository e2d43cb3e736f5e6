use super::*;

const LEAST: &str = r#"
name = "a"
data_dir = "data"
[key]
file = "/etc/hostquorum/key"
[peer]
advertise = "10.0.0.1:7443"
[admin]
advertise = "10.0.0.1:7444"
"#;

#[track_caller]
fn faults(text: &str) -> Vec<String> {
    match Config::parse(text, Path::new("/base")) {
        Ok(config) => panic!("{config:?}"),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_least_file_is_enough() {
    let config = Config::parse(LEAST, Path::new("/base")).unwrap();
    assert_eq!(config.data_dir, Path::new("/base/data"));
    assert_eq!(config.peer.advertise, "10.0.0.1:7443");
    assert_eq!(config.raft.election_max, Duration::from_millis(450));
}

#[test]
fn every_fault_is_told_at_once_with_line_and_key() {
    let text = r#"name = "a b"
dta_dir = "data"
[key]
file = "x"
environment = "Y"
[https]
listen = "here"
[peer]
listen = "0.0.0.0:8080"
[admin]
advertise = "10.0.0.1"
[raft]
heartbeat = "1s"
store = "bolt"
[colour]
red = 1
"#;
    assert_eq!(
        faults(text),
        [
            "data_dir: is missing: where durable data is",
            "peer.advertise: is missing: host:port at which others reach this node",
            "raft.election_min: must be at least two heartbeats, or every delay is an election",
            "line 1: name: a name is 1 to 63 letters, digits, dots, hyphens and underscores",
            "line 2: dta_dir: there is no such key",
            "line 4: key.file: exactly one of file, environment, passphrase_file and kms is wanted",
            "line 7: https.listen: `here` is not an address and port such as \"0.0.0.0:8443\" or \"[::]:8443\"",
            "line 9: peer.listen: port 8080 is taken by http.listen",
            "line 11: admin.advertise: `10.0.0.1` is not host:port",
            "line 14: raft.store: `bolt` is not a store; \"sled\" and \"redb\" are",
            "line 16: colour.red: there is no such section",
        ]
    );
}

#[test]
fn a_key_of_kms_names_its_cluster_too() {
    let text = |key: &str, aws: &str| {
        let text = LEAST.replace("file = \"/etc/hostquorum/key\"", key);
        format!("{text}{aws}")
    };
    let arn = "arn:aws:kms:eu-central-1:111122223333:key/0f";
    let whole = text(
        &format!("kms = \"{arn}\""),
        "[aws]\ncluster = \"edge\"\nregion = \"eu-central-1\"\n",
    );
    let config = Config::parse(&whole, Path::new("/base")).unwrap();
    let aws = Aws {
        cluster: "edge".to_owned(),
        region: Some("eu-central-1".to_owned()),
        parameters: false,
        join: false,
    };
    let key = arn.to_owned();
    assert_eq!(config.key, KeyProvider::Kms(KmsKey { key, aws }));
    let cases = [
        (
            text("kms = \"alias/edge\"", ""),
            "line 5: key.kms: wants aws.cluster, too: KMS is told for which cluster it wraps",
        ),
        (
            text("kms = \"alias/edge\"", "[aws]\nregion = \"eu-central-1\"\n"),
            "aws.cluster: is missing: what the cluster is called in the policies of AWS",
        ),
        (
            text("kms = \"\"", "[aws]\ncluster = \"edge\"\n"),
            "line 5: key.kms: the ARN of a key or an alias of KMS is wanted, or its id or name",
        ),
        (
            text("kms = \"alias/edge\"", "[aws]\ncluster = \"my edge\"\n"),
            "line 11: aws.cluster: a cluster's name has 1 to 63 letters, digits and hyphens",
        ),
        (
            format!("{LEAST}[aws]\ncluster = \"edge\"\nregion = \"eu central\"\n"),
            "line 12: aws.region: a Region is written as in \"eu-central-1\"",
        ),
        (
            format!("{LEAST}[aws]\ncluster = \"edge\"\njoin = true\n"),
            "line 12: aws.join: needs aws.parameters: by those a machine knows which cluster it enters",
        ),
    ];
    for (text, fault) in cases {
        assert_eq!(faults(&text), [fault]);
    }
}

#[test]
fn a_level_that_another_version_knows_holds_nothing_back() {
    let held = |line: &str| {
        let text = format!("{LEAST}[membership]\n{line}\n");
        let config = Config::parse(&text, Path::new("/base")).unwrap();
        config.feature_level_at_most
    };
    assert_eq!(held(""), FeatureLevel::NEWEST);
    assert_eq!(held("feature_level_at_most = 1"), FeatureLevel::FIRST);
    assert_eq!(held("feature_level_at_most = 9"), FeatureLevel::NEWEST);
    let text = format!("{LEAST}[membership]\nfeature_level_at_most = 0\n");
    assert_eq!(
        faults(&text),
        ["line 11: membership.feature_level_at_most: 0 is not between 1 and 1000"]
    );
}

#[test]
fn bounds_are_told_with_their_limits() {
    let text = format!("{LEAST}[edge]\ngrace = \"2h\"\nthreads = 1000\nlame_duck = 5\n");
    assert_eq!(
        faults(&text),
        [
            "line 11: edge.grace: 2h is not between 0s and 1h",
            "line 12: edge.threads: 1000 is not between 0 and 256",
            "line 13: edge.lame_duck: a integer stands here; a duration such as \"250ms\", \"30s\" or \"24h\" in quotes is wanted",
        ]
    );
}

#[test]
fn dns_is_answered_where_it_is_said_and_nowhere_else() {
    let listen = |line: &str| {
        let text = format!("{LEAST}[dns]\n{line}\n");
        let config = Config::parse(&text, Path::new("/base")).unwrap();
        config
            .dns
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(listen(""), [""; 0]);
    assert_eq!(listen("listen = \"0.0.0.0:53\""), ["0.0.0.0:53"]);
    let two = listen("listen = [\"192.0.2.1:53\", \"[2001:db8::1]:53\"]");
    assert_eq!(two, ["192.0.2.1:53", "[2001:db8::1]:53"]);
    for (line, fault) in [
        (
            "53",
            "line 11: dns.listen: a integer stands here; an address and port such as \"0.0.0.0:53\", or a list of them, in quotes is wanted",
        ),
        (
            "[\"192.0.2.1\"]",
            "line 11: dns.listen: `192.0.2.1` is not an address and port such as \"0.0.0.0:8443\" or \"[::]:8443\"",
        ),
        (
            "\"0.0.0.0:8443\"",
            "line 11: dns.listen: port 8443 is taken by https.listen",
        ),
        (
            "[\"0.0.0.0:53\", \"192.0.2.1:53\"]",
            "line 11: dns.listen: port 53 is taken by dns.listen",
        ),
    ] {
        assert_eq!(faults(&format!("{LEAST}[dns]\nlisten = {line}\n")), [fault]);
    }
}

#[test]
fn hostnames_are_looked_at_from_the_machines_resolvers_unless_others_are_named() {
    let config = Config::parse(LEAST, Path::new("/base")).unwrap();
    assert_eq!(config.verification.resolvers, None);
    assert!(config.verification.authoritative && config.verification.addresses_prove);
    let text = format!(
        "{LEAST}[verification]\nresolvers = [\"192.0.2.53:53\", \"[2001:db8::53]:53\"]\nauthoritative = false\negress_allow = [\"10.0.0.0/8\"]\nretry = \"2s\"\n"
    );
    let config = Config::parse(&text, Path::new("/base")).unwrap();
    assert_eq!(config.verification.resolvers.map(|all| all.len()), Some(2));
    assert!(!config.verification.authoritative);
    let ten = "10.0.0.0/8".parse().unwrap();
    assert_eq!(config.verification.egress_allow, [ten]);
    let wrong = "resolvers = []\negress_allow = [\"10.0.0.0\"]\nauthoritative = \"no\"";
    assert_eq!(
        faults(&format!("{LEAST}[verification]\n{wrong}\n")),
        [
            "line 11: verification.resolvers: 0 resolvers; 1 to 8 are wanted",
            "line 12: verification.egress_allow: `10.0.0.0` is not an address and how many of its bits are fixed, as in \"10.0.0.0/8\"",
            "line 13: verification.authoritative: a string stands here; true or false is wanted",
        ]
    );
}

#[test]
fn who_stands_in_front_is_a_list_of_networks() {
    let text = format!("{LEAST}[https]\nproxy_protocol_from = [\"10.0.0.0/16\", \"fd00::/8\"]\n");
    let config = Config::parse(&text, Path::new("/base")).unwrap();
    assert_eq!(config.https_from.len(), 2);
    assert!(config.http_from.is_empty());
    assert_eq!(
        faults(&format!("{LEAST}[http]\nproxy_protocol_from = true\n")),
        [
            "line 11: http.proxy_protocol_from: a boolean stands here; a list of networks such as [\"10.0.0.0/8\"] is wanted"
        ]
    );
}

#[test]
fn an_access_log_is_off_until_it_has_somewhere_to_go() {
    let read = |more: &str| Config::parse(&format!("{LEAST}{more}"), Path::new("/base"));
    assert_eq!(read("").unwrap().access_log, None);
    assert_eq!(
        read("[access_log]\nsample = 10\n").unwrap().access_log,
        None
    );
    assert_eq!(
        read("[access_log]\nstderr = false\n").unwrap().access_log,
        None
    );
    let config = read(
        "[access_log]\nfile = \"access.log\"\nsample = 100\nsample_4xx = 10\nsample_3xx = 0\n",
    );
    let log = config.unwrap().access_log.unwrap();
    assert_eq!(log.output, AccessOutput::File("/base/access.log".into()));
    assert_eq!(log.one_in, [1, 100, 100, 0, 10, 1]);
    assert!(!log.query);
    for (line, output) in [
        ("stderr = true", AccessOutput::Stderr),
        ("stream_socket = \"/s\"", AccessOutput::Stream("/s".into())),
        (
            "datagram_socket = \"/d\"",
            AccessOutput::Datagram("/d".into()),
        ),
    ] {
        let log = read(&format!("[access_log]\n{line}\n")).unwrap();
        assert_eq!(log.access_log.unwrap().output, output);
    }
    assert_eq!(
        faults(&format!(
            "{LEAST}[access_log]\nstderr = true\nfile = \"a\"\nsample = 2000000\n[stats]\ntop = 101\n"
        )),
        [
            "line 11: access_log.stderr: at most one of stderr, file, stream_socket and datagram_socket is wanted",
            "line 13: access_log.sample: 2000000 is not between 0 and 1000000",
            "line 15: stats.top: 101 is not between 0 and 100",
        ]
    );
}

#[test]
fn nobody_is_asked_until_it_is_said_who() {
    let read = |more: &str| Config::parse(&format!("{LEAST}{more}"), Path::new("/base"));
    assert_eq!(read("").unwrap().on_demand, None);
    let unsaid = "[on_demand]\ntenant = \"client-17\"\nquestions_per_second = 5\n";
    assert_eq!(read(unsaid).unwrap().on_demand, None);
    for good in [
        "https://app.example",
        "https://app.example:8443/allowed?key=secret",
        "http://127.0.0.1:5555/",
        "http://[::1]:5555/ask",
    ] {
        let config = read(&format!("[on_demand]\nask = \"{good}\"\n")).unwrap();
        let on_demand = config.on_demand.unwrap();
        assert_eq!(on_demand.ask, good.parse::<http::Uri>().unwrap());
        assert_eq!(on_demand.limits, edge::on_demand::Limits::default());
        assert_eq!(on_demand.tenant, state::Tenant::default());
    }
    let said = "[on_demand]\nask = \"https://app.example/\"\nroots = \"ca.pem\"\ntenant = \"client-17\"\n\
                timeout = \"1s\"\nquestions_at_once = 1\nquestions_per_second = 2\nquestions_per_client = 3\n\
                authorized_per_hour = 4\nauthorized_per_domain = 5\nyes_for = \"6s\"\nno_for = \"7s\"\nfailed_for = \"8s\"\n";
    let on_demand = read(said).unwrap().on_demand.unwrap();
    assert_eq!(on_demand.roots, Some("/base/ca.pem".into()));
    assert_eq!(on_demand.tenant.as_str(), "client-17");
    let seconds = Duration::from_secs;
    let expected = edge::on_demand::Limits {
        timeout: seconds(1),
        questions_at_once: 1,
        questions_per_second: 2,
        questions_per_client: 3,
        authorized_per_hour: 4,
        authorized_per_domain: 5,
        yes_for: seconds(6),
        no_for: seconds(7),
        failed_for: seconds(8),
    };
    assert_eq!(on_demand.limits, expected);
}

#[test]
fn who_is_asked_must_be_who_answers() {
    for bad in [
        "http://app.example/",
        "http://localhost/",
        "http://192.0.2.1/",
        "https://name:word@app.example/",
        "app.example",
        "ftp://127.0.0.1/",
        "/allowed",
    ] {
        let found = faults(&format!("{LEAST}[on_demand]\nask = \"{bad}\"\n"));
        let expected = "line 11: on_demand.ask: what stands here is not an address such as \"https://app.example/allowed\", or one that begins with http:// and an address of this machine";
        assert_eq!(found, [expected], "{bad}");
    }
    let wrong = "[on_demand]\ntenant = \"a b\"\nno_for = \"0s\"\nauthorized_per_hour = 0\n";
    assert_eq!(
        faults(&format!("{LEAST}{wrong}")),
        [
            "line 11: on_demand.tenant: a tenant's name is 1 to 64 of letters, digits and the characters - _ . :",
            "line 12: on_demand.no_for: 0s is not between 1s and 1day",
            "line 13: on_demand.authorized_per_hour: 0 is not between 1 and 100000",
        ]
    );
}

#[test]
fn traces_are_left_alone_unless_it_is_said() {
    let read = |more: &str| Config::parse(&format!("{LEAST}{more}"), Path::new("/base")).unwrap();
    let usual = Trace {
        request_id: false,
        traceparent: edge::TraceContext::Pass,
        one_in: 1,
    };
    assert_eq!(read("").trace, usual);
    let said = "[trace]\nrequest_id = true\ntraceparent = \"accept\"\nsample = 0\n";
    let expected = Trace {
        request_id: true,
        traceparent: edge::TraceContext::Accept,
        one_in: 0,
    };
    assert_eq!(read(said).trace, expected);
    assert_eq!(
        faults(&format!("{LEAST}[trace]\ntraceparent = \"on\"\n")),
        ["line 11: trace.traceparent: `on` is none of \"pass\", \"drop\", \"new\" and \"accept\""]
    );
}

#[test]
fn a_key_beside_the_data_is_refused() {
    let text = LEAST.replace("/etc/hostquorum/key", "data/key");
    assert!(faults(&text)[0].contains("must not lie in data_dir"));
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    assert!(faults("name = \"a\"\n[key\n")[0].starts_with("line 2: this is not TOML"));
}
