//! Requests as clients write them, replies as CAs do, tokens, and operators' messages.

use enroll::{RootPin, Secret, Token};
use prost::Message;
use proto::admin::v1;

use super::{Seeds, led_by, named};

pub(super) fn tokens() -> Seeds {
    let token = Token {
        cluster: [0xab, 0xcd, 0xef, 0x01],
        root: RootPin([1; 32]),
        invitation: 42,
        secret: Secret::new([2; 32]),
    };
    named([
        ("token", token.to_string().into_bytes()),
        (
            "file",
            format!("  {token}\r\n")
                .to_uppercase()
                .replace("HQ1", "hq1")
                .into_bytes(),
        ),
        ("swarm", b"SWMTKN-1-0123456789-abcdef".to_vec()),
    ])
}

pub(super) fn requests() -> Seeds {
    let raw = |text: &str| text.replace('\n', "\r\n").into_bytes();
    named([
        (
            "get",
            raw("GET /a?b=c HTTP/1.1\nHost: shop.client.example\nUser-Agent: x\n\n"),
        ),
        ("old", raw("GET / HTTP/1.0\nHost: shop.client.example\n\n")),
        // Found by mutation: its target is `?/`, with no path.
        (
            "absolute-without-path",
            raw("GET https://shop.client.example?/ HTTP/1.1\nHost: shop.client.example\n\n"),
        ),
        (
            "absolute",
            raw("GET https://shop.client.example/ HTTP/1.1\nHost: shop.client.example:443\n\n"),
        ),
        (
            "post",
            raw(
                "POST / HTTP/1.1\nHost: shop.client.example\nContent-Length: 3\n\nabcGET / HTTP/1.1\nHost: a.b\n\n",
            ),
        ),
        (
            "chunked",
            raw(
                "POST / HTTP/1.1\nHost: a.b\nTransfer-Encoding: chunked\nTrailer: x\n\n3\nabc\n0\nx: y\n\n",
            ),
        ),
        (
            "websocket",
            raw(
                "GET /ws HTTP/1.1\nHost: a.b\nConnection: keep-alive, Upgrade\nUpgrade: websocket\nSec-WebSocket-Key: x\n\n",
            ),
        ),
        (
            "hop-by-hop",
            raw(
                "GET / HTTP/1.1\nHost: a.b\nConnection: close, x-private, host, cookie\nX-Private: 1\nTE: trailers\nKeep-Alive: 1\nProxy-Connection: x\nCookie: a=b\nCookie: c=d\nExpect: 100-continue\n\n",
            ),
        ),
        (
            "forged",
            raw(
                "GET / HTTP/1.1\nHost: a.b\nX-Forwarded-For: 10.0.0.1\nX_Forwarded_For: 10.0.0.2\nForwarded: for=x\nX-Real-IP: y\nX-Forwarded-Port: 1\nVia: 1.1 hostquorum\n\n",
            ),
        ),
        (
            "smuggled",
            raw(
                "POST / HTTP/1.1\nHost: a.b\nContent-Length: 4\nTransfer-Encoding: chunked\n\n0\n\nGET /x HTTP/1.1\nHost: a.b\n\n",
            ),
        ),
        (
            "twice",
            raw("POST / HTTP/1.1\nHost: a.b\nContent-Length: 3\nContent-Length: 3\n\nabc"),
        ),
        ("options", raw("OPTIONS * HTTP/1.1\nHost: a.b\n\n")),
        (
            "connect",
            raw("CONNECT a.b:443 HTTP/1.1\nHost: a.b:443\n\n"),
        ),
        ("bare", b"GET / HTTP/1.1\nHost: a.b\n\n".to_vec()),
        (
            "grpc",
            raw(
                "POST /s/m HTTP/1.1\nHost: a.b\nContent-Type: application/grpc\nTE: trailers\nTransfer-Encoding: chunked\n\n0\n\n",
            ),
        ),
    ])
}

pub(super) fn acme() -> Seeds {
    let reply = |text: &str| text.as_bytes().to_vec();
    named([
        (
            "directory",
            reply(concat!(
                "200\nContent-Type: application/json\n\n",
                r#"{"newNonce":"https://ca.example/nonce","newAccount":"https://ca.example/acct","#,
                r#""newOrder":"https://ca.example/order","revokeCert":"https://ca.example/revoke","#,
                r#""keyChange":"https://ca.example/key","renewalInfo":"https://ca.example/ari","#,
                r#""meta":{"termsOfService":"https://ca.example/tos","website":"https://ca.example","#,
                r#""caaIdentities":["ca.example"],"externalAccountRequired":true,"#,
                r#""profiles":{"classic":"https://ca.example/p","shortlived":"x"}}}"#
            )),
        ),
        (
            "order",
            reply(concat!(
                "201\nLocation: https://ca.example/order/1\nRetry-After: 3\n\n",
                r#"{"status":"valid","expires":"2027-01-15T08:00:10.5Z","#,
                r#""identifiers":[{"type":"dns","value":"shop.example"}],"#,
                r#""authorizations":["https://ca.example/a"],"finalize":"https://ca.example/f","#,
                r#""certificate":"https://ca.example/c","profile":"shortlived","replaces":"aki.serial","#,
                r#""error":{"type":"urn:ietf:params:acme:error:caa","detail":"no"}}"#
            )),
        ),
        (
            "authorization",
            reply(concat!(
                "200\nRetry-After: Fri, 15 Jan 2027 08:01:40 GMT\n\n",
                r#"{"status":"pending","expires":"2027-01-15T08:00:00Z","wildcard":true,"#,
                r#""identifier":{"type":"dns","value":"shop.example"},"challenges":["#,
                r#"{"type":"http-01","url":"https://ca.example/c/1","token":"abc_-","status":"pending"},"#,
                r#"{"type":"dns-persist-01","url":"https://ca.example/c/2","status":"valid","#,
                r#""accounturi":"https://ca.example/acct/1","issuer-domain-names":["ca.example"]}]}"#
            )),
        ),
        (
            "renewal",
            reply(concat!(
                "200\nRetry-After: 21600\n\n",
                r#"{"suggestedWindow":{"start":"2027-01-02T04:00:00Z","end":"2027-01-03T04:00:00Z"},"#,
                r#""explanationURL":"https://ca.example/why"}"#
            )),
        ),
        (
            "limited",
            reply(concat!(
                "429\nRetry-After: 60\nLink: <https://ca.example/directory>;rel=\"index\"\n\n",
                r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many"}"#
            )),
        ),
        (
            "compound",
            reply(concat!(
                "400\n\n",
                r#"{"type":"urn:ietf:params:acme:error:compound","detail":"Please visit: https://p.ca.example/x","#,
                r#""instance":"https://ca.example/i","subproblems":[{"type":"urn:ietf:params:acme:error:dns","#,
                r#""detail":"no","identifier":{"type":"dns","value":"*.shop.example"}}]}"#
            )),
        ),
        (
            "certificate",
            reply(concat!(
                "200\nLink: <https://ca.example/c/1>;rel=\"alternate\", <https://ca.example/c/2,x>; rel=alternate\n\n",
                "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
            )),
        ),
        ("account", reply("200\n\n{\"status\":\"deactivated\"}")),
        ("front", reply("503\nRetry-After: 7\n\n<html>")),
    ])
}

pub(super) fn admin() -> Seeds {
    let create = v1::CreateHostnameRequest {
        hostname: "shop.client.example".to_owned(),
        ..Default::default()
    };
    let upload = v1::UploadCertificateRequest {
        hostname: "hostnames/shop.client.example".to_owned(),
        chain_pem: "chain".to_owned(),
        private_key_pem: "a key that must not show".to_owned(),
        ..Default::default()
    };
    let reissue = v1::ReissueCertificatesRequest {
        r#where: vec!["issuer=R11".to_owned(), "expiring<30d".to_owned()],
        ..Default::default()
    };
    let hostname = state::Hostname::parse("shop.client.example").unwrap();
    let id = state::CertificateId([7; 32]);
    let bucket = state::BucketKey {
        ca: "le".parse().unwrap(),
        kind: state::LimitKind::Sets,
        key: "client.example,*.client.example".into(),
    };
    named([
        ("hostname", led_by(0, b"hostnames/shop.client.example")),
        ("unicode", led_by(0, "hostnames/bücher.example".as_bytes())),
        ("member", led_by(0, b"members/3")),
        ("ca", led_by(0, b"cas/letsencrypt")),
        (
            "certificate",
            led_by(0, admin::fuzzing::name_of_certificate(id).as_bytes()),
        ),
        ("set", led_by(0, b"client.example,*.client.example")),
        (
            "page-hostname",
            led_by(
                1,
                admin::fuzzing::token_of_hostname(0, &hostname).as_bytes(),
            ),
        ),
        (
            "page-certificate",
            led_by(1, admin::fuzzing::token_of_certificate(0, id).as_bytes()),
        ),
        (
            "page-bucket",
            led_by(1, admin::fuzzing::token_of_bucket(0, &bucket).as_bytes()),
        ),
        (
            "page-invitation",
            led_by(
                1,
                admin::fuzzing::token_of_invitation(state::InvitationId(7)).as_bytes(),
            ),
        ),
        ("all", led_by(2, b"all")),
        (
            "select",
            led_by(
                2,
                b"issuer=R11\nca=le\ntenant=acme\nhostname=shop.client.example\nexpiring<30d",
            ),
        ),
        ("create", led_by(3, &create.encode_to_vec())),
        ("reissue", led_by(3, &reissue.encode_to_vec())),
        ("upload", led_by(4, &upload.encode_to_vec())),
    ])
}
