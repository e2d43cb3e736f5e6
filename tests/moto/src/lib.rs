//! Moto on loopback: what of AWS can be had without AWS, for tests. It is a program of others, in
//! Python; `scripts/install-aws-tools.sh` brings it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

/// How long it may take to start: it is much Python, and the machine may be busy.
const START_MAX: Duration = Duration::from_secs(60);

/// Credentials that it takes, as it takes all.
pub const ACCESS_KEY: (&str, &str) = ("AKIAIOSFODNN7EXAMPLE", "secret");

struct Moto {
    /// It ends with its standard input, which we hold, and so with this process, however that
    /// ends.
    _child: Child,
    url: String,
}

/// Where it is, such as `http://127.0.0.1:40123`; started at the first call, one for the process.
///
/// # Panics
/// If it is not installed or does not start.
pub fn url() -> &'static str {
    static MOTO: OnceLock<Moto> = OnceLock::new();
    &MOTO.get_or_init(start).url
}

/// What whoever administers `service` asks, such as `TrentService.CreateKey` of `kms`; the answer as
/// it came. Moto looks at no signature.
///
/// # Panics
/// If it refuses.
pub fn ask(service: &str, region: &str, target: &str, body: &str) -> String {
    let headers = format!("x-amz-target: {target}\r\ncontent-type: application/x-amz-json-1.1\r\n");
    post(service, region, &headers, body)
}

/// The same of a service that is asked by forms, such as `Action=RunInstances&...` of `ec2`; the XML
/// as it came.
///
/// # Panics
/// If it refuses.
pub fn query(service: &str, region: &str, form: &str) -> String {
    let headers = "content-type: application/x-www-form-urlencoded; charset=utf-8\r\n";
    post(service, region, headers, form)
}

#[expect(
    clippy::unwrap_used,
    reason = "a test that cannot prepare what it needs has failed"
)]
fn post(service: &str, region: &str, headers: &str, body: &str) -> String {
    let host = url().trim_start_matches("http://");
    let (key, _) = ACCESS_KEY;
    let mut stream = TcpStream::connect(host).unwrap();
    let request = format!(
        "POST / HTTP/1.0\r\nhost: {host}\r\n{headers}content-length: {}\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={key}/20260101/{region}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{service}: {answer}");
    body.to_owned()
}

/// A machine of EC2 with this private address and the tags of `node` of `cluster`, and what its
/// role, `role`, gives it: its id and the three of its credentials.
///
/// # Panics
/// If it refuses.
pub fn machine(region: &str, address: &str, [cluster, node, role]: [&str; 3]) -> [String; 4] {
    let run = format!(
        "Action=RunInstances&Version=2016-11-15&ImageId=ami-12c6146b&MinCount=1&MaxCount=1\
         &PrivateIpAddress={address}&TagSpecification.1.ResourceType=instance\
         &TagSpecification.1.Tag.1.Key=hostquorum%3Acluster&TagSpecification.1.Tag.1.Value={cluster}\
         &TagSpecification.1.Tag.2.Key=hostquorum%3Anode&TagSpecification.1.Tag.2.Value={node}"
    );
    let id = text(&query("ec2", region, &run), "instanceId");
    let [key, secret, token] = credentials(region, role, &id);
    [id, key, secret, token]
}

/// What `role` gives to a session of that name: an id, a secret and a token.
///
/// # Panics
/// If it refuses.
pub fn credentials(region: &str, role: &str, session: &str) -> [String; 3] {
    let assume = format!(
        "Action=AssumeRole&Version=2011-06-15&RoleSessionName={session}\
         &RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2F{role}"
    );
    let given = query("sts", region, &assume);
    ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|name| text(&given, name))
}

/// What stands in the first element of that name.
#[expect(
    clippy::unwrap_used,
    reason = "a test that cannot prepare what it needs has failed"
)]
fn text(xml: &str, name: &str) -> String {
    let (_, after) = xml.split_once(&format!("<{name}>")).unwrap();
    after.split_once('<').unwrap().0.to_owned()
}

#[expect(
    clippy::unwrap_used,
    reason = "a test that cannot start what it needs has failed"
)]
fn start() -> Moto {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = here.join("../../target/aws-tools/bin/python");
    assert!(
        python.exists(),
        "moto is missing: run scripts/install-aws-tools.sh"
    );
    let mut child = Command::new(python)
        .arg(here.join("server.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let (told, heard) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        // What cannot be read is no address, and told so below.
        let _ = BufReader::new(output).read_line(&mut line);
        let _ = told.send(line.trim().to_owned());
    });
    let url = heard.recv_timeout(START_MAX).unwrap_or_default();
    assert!(
        url.starts_with("http://127.0.0.1:"),
        "moto did not start within {START_MAX:?}; what it said stands above"
    );
    Moto { _child: child, url }
}
