//! CAs, limits, the zone, tenants and certificates by the command line.

use std::fs;

use rcgen::{CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, KeyPair};
use state::{Change, KeyPurpose, Sealed, Term};

use crate::{
    node::Node,
    program::{Home, Ran, stand},
};

/// As a CA gives it.
const HMAC: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";

#[track_caller]
fn shows_no(ran: &Ran, secret: &str) {
    assert!(
        !ran.out.contains(secret) && !ran.err.contains(secret),
        "{ran:?}"
    );
}

/// A CA of one's own, of these days: the node's clock stands at the start of 2026.
struct OwnCa(CertifiedIssuer<'static, KeyPair>);

impl OwnCa {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Own CA");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, name: &str, key: &impl rcgen::PublicKeyData) -> String {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2025, 12, 31);
        params.not_after = rcgen::date_time_ymd(2026, 1, 25);
        params.signed_by(key, &self.0).unwrap().pem() + &self.0.pem()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_from_its_addition_to_its_end() {
    let (node, home) = stand().await;
    home.run("ca add letsencrypt-staging")
        .await
        .ends(1)
        .complains("--agree-to-terms");
    home.run("ca add https://ca.internal/dir --agree-to-terms")
        .await
        .ends(1)
        .complains("needs a name");
    let line = "ca add letsencrypt-staging --agree-to-terms --contact ops@saas.example -o json";
    let added = home.run(line).await.ends(0).json();
    assert_eq!(added["name"], "letsencrypt-staging");
    assert_eq!(added["contacts"][0], "mailto:ops@saas.example");
    assert_eq!(added["limits"].as_array().unwrap().len(), 4);
    home.run(line).await.ends(1).complains("CA_EXISTS");
    let line = "ca add https://ca.internal/dir --name own --agree-to-terms --rank 0 \
                --allow orders=300/36s -o json";
    let own = home.run(line).await.ends(0).json();
    assert_eq!(own["limits"][0]["refill_ms"], 36_000);

    let line = "ca set own --profile short --contact= --finalize-atomic true -o json";
    let set = home.run(line).await.ends(0).json();
    assert_eq!(
        (&set["profile"], &set["finalize_atomic"]),
        (&"short".into(), &true.into())
    );
    let list = home.run("ca list -o json").await.ends(0).json();
    let names: Vec<&str> = list["cas"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ca| ca["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["own", "test-ca", "letsencrypt-staging"]);
    home.run("ca rollover own")
        .await
        .ends(1)
        .complains("ACCOUNT_STATE");
    node.alone.register(Term(1), "thumbprint");
    let rolled = home.run("ca rollover test-ca -o json").await.ends(0).json();
    assert_eq!(rolled["registration"], "rollover-wanted");
    home.run("ca remove own --revision 1")
        .await
        .ends(1)
        .complains("REVISION_MISMATCH");
    let removed = home.run("ca remove own").await.ends(0);
    assert!(
        removed.out.starts_with("own was removed at index"),
        "{removed:?}"
    );
    home.run("ca show own")
        .await
        .ends(1)
        .complains("hostquorum ca list");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_account_comes_from_a_file_or_standard_input() {
    let (node, home) = stand().await;
    let file = home.path("hmac");
    fs::write(&file, format!("{HMAC}\n")).unwrap();
    let line = format!(
        "ca add zerossl --agree-to-terms --eab-key-id kid-1 --eab-hmac-file {} -o json",
        file.display()
    );
    let added = home.run(&line).await.ends(0);
    shows_no(&added, HMAC);
    assert_eq!(added.json()["external_account_key_id"], "kid-1");
    let bind = "ca bind zerossl --eab-key-id kid-2 --eab-hmac-file - -o json";
    let bound = home.run_with(bind, HMAC).await.ends(0);
    assert_eq!(bound.json()["external_account_key_id"], "kid-2");
    let refused = home.run_with(bind, "not+base64").await.ends(1);
    refused.complains("base64url");
    shows_no(&refused, "not+base64");
    home.run_with(bind, " \n")
        .await
        .ends(1)
        .complains("is empty");
    home.run("ca unbind zerossl").await.ends(0);
    assert!(!format!("{:?}", node.alone.log()).contains(HMAC));
}

#[tokio::test(flavor = "multi_thread")]
async fn init_takes_presets_by_name_and_an_account_by_file() {
    let mut node = Node::start().await;
    let home = Home::new();
    let socket = home.path("hostquorumd.sock");
    node.open_socket(&socket);
    let line = format!(
        "cluster init --acme zerossl --agree-to-terms --admin-name founder --eab-key-id kid \
         --eab-hmac-file - --socket {}",
        socket.display()
    );
    home.run_with(&line, "").await.ends(1).complains("is empty");
    let formed = home.run_with(&line, HMAC).await.ends(0);
    shows_no(&formed, HMAC);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_shown_forecast_and_excepted_from() {
    let (node, home) = stand().await;
    let line = "ca set test-ca --allow orders=20/1m,certificates-per-domain=4/1h";
    home.run(line).await.ends(0);
    node.alone.authorize("s.client.com");
    let shown = home.run("ledger show -o json").await.ends(0).json();
    assert_eq!(shown["buckets"][0]["left"], 20);
    let line = "ledger override test-ca --allow certificates-per-domain=300/1m --key client.com";
    home.run(line).await.ends(0);
    let shown = home
        .run("ledger show --key client.com -o json")
        .await
        .ends(0)
        .json();
    let bucket = &shown["buckets"][0];
    assert_eq!(
        (&bucket["left"], &bucket["overridden"]),
        (&300.into(), &true.into())
    );
    let line = "ledger override test-ca --clear certificates-per-domain --key client.com";
    home.run(line).await.ends(0);
    home.run("ledger show --ca nowhere")
        .await
        .ends(1)
        .complains("CA_NOT_FOUND");
    let forecast = home
        .run("ledger forecast --days 2 -o json")
        .await
        .ends(0)
        .json();
    assert_eq!(forecast["waiting"], 1);
    assert_eq!(forecast["days"].as_array().unwrap().len(), 2);
    let table = home.run("ledger forecast").await.ends(0);
    assert!(table.out.contains("no limit holds anything"), "{table:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_under_proof_tells_what_to_publish() {
    let (_node, home) = stand().await;
    let line = "zone set --ownership proof --edge-domain edge.example --points-to 192.0.2.1 \
                --points-to 2001:db8::1 --dns-zone acme.edge.example \
                --nameserver ns1.acme.edge.example=192.0.2.1 \
                --nameserver ns2.acme.edge.example=192.0.2.2 -o json";
    let set = home.run(line).await.ends(0).json();
    assert_eq!(set["ownership"], "proof");
    assert_eq!(set["dns"]["nameservers"].as_array().unwrap().len(), 2);
    assert_eq!(home.run("zone show -o json").await.ends(0).json(), set);
    let line = "hostname add shop.example --tenant acme --wildcard --keys both -o json";
    let added = home.run(line).await.ends(0).json();
    let hostname = &added["hostnames"][0];
    assert_eq!(
        (&hostname["state"], &hostname["tenant"]),
        (&"unproven".into(), &"acme".into())
    );
    let shown = home.run("hostname show shop.example").await.ends(0);
    for words in [
        "unproven since",
        "token:",
        "cname target:",
        "challenge target:",
        "both",
    ] {
        assert!(shown.out.contains(words), "{words}: {shown:?}");
    }
    let cleared = home
        .run("zone set --dns-zone= -o json")
        .await
        .ends(0)
        .json();
    assert!(cleared["dns"].is_null());
    home.run("zone set --edge-domain nonsense")
        .await
        .ends(1)
        .complains("one label");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_claim_and_hostnames_want() {
    let (_node, home) = stand().await;
    home.run("hostname add shop.example --tenant acme")
        .await
        .ends(0);
    home.run("hostname add other.example --tenant other")
        .await
        .ends(0);
    home.run("hostname add shop.example --tenant other")
        .await
        .ends(1)
        .complains("hostname contest");
    let contested = home
        .run("hostname contest shop.example --tenant other -o json")
        .await;
    assert_eq!(contested.ends(0).json()["contest"]["tenant"], "other");
    let shown = home.run("hostname explain shop.example").await.ends(0);
    assert!(shown.out.contains("Tenant other claims it"), "{shown:?}");
    let ended = home
        .run("hostname end-contest shop.example -o json")
        .await
        .ends(0)
        .json();
    assert!(ended["contest"].is_null());
    let list = home
        .run("hostname list --tenant acme -o json")
        .await
        .ends(0)
        .json();
    assert_eq!(list["hostnames"].as_array().unwrap().len(), 1);

    let line = "hostname set shop.example --keys rsa --manual true --challenge http-01 -o json";
    let set = home.run(line).await.ends(0).json();
    assert_eq!(set["wants"]["keys"], "rsa");
    let revision = set["revision"].as_u64().unwrap();
    let line = format!("hostname set shop.example --manual false --revision {revision} -o json");
    let set = home.run(&line).await.ends(0).json();
    assert_eq!(
        (&set["wants"]["manual"], &set["wants"]["keys"]),
        (&false.into(), &"rsa".into())
    );
    home.run(&line).await.ends(1).complains("REVISION_MISMATCH");
    home.run("hostname set shop.example --wildcard true")
        .await
        .ends(1)
        .complains("dns-01 only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_one_s_own_is_brought_and_shown() {
    let (_node, home) = stand().await;
    home.run("hostname add shop.example").await.ends(0);
    let (ca, key) = (OwnCa::new(), KeyPair::generate().unwrap());
    let (cert, key_file) = (home.path("cert.pem"), home.path("key.pem"));
    fs::write(&cert, ca.sign("shop.example", &key)).unwrap();
    fs::write(&key_file, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let line = format!(
        "certificate upload shop.example --cert {} --key {} --keep -o json",
        cert.display(),
        key_file.display()
    );
    let refused = home.run(&line).await.ends(1);
    refused.complains("KEY_MISMATCH");
    shows_no(&refused, "PRIVATE KEY");
    fs::write(&key_file, key.serialize_pem()).unwrap();
    let uploaded = home.run(&line).await.ends(0);
    shows_no(&uploaded, "PRIVATE KEY");
    let id = uploaded.json()["certificate"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        uploaded.json()["warnings"][0]
            .as_str()
            .unwrap()
            .contains("root Own CA")
    );

    let list = home
        .run("certificate list --expiring 30 -o json")
        .await
        .ends(0)
        .json();
    assert_eq!(list["certificates"][0]["source"], "uploaded");
    let none = home
        .run("certificate list --expiring 10 -o json")
        .await
        .ends(0)
        .json();
    assert!(none["certificates"].as_array().unwrap().is_empty());
    let pem = home
        .run(&format!("certificate show {id} --pem"))
        .await
        .ends(0);
    assert!(
        pem.out.starts_with("-----BEGIN CERTIFICATE-----\n"),
        "{pem:?}"
    );
    let status = home.run("cluster status").await.ends(0);
    assert!(status.out.contains("WARNING:"), "{status:?}");
    assert!(
        status
            .out
            .contains("the uploaded certificate of shop.example ends at"),
        "{status:?}"
    );
    home.run(&format!("certificate revoke {id} --reason superseded"))
        .await
        .ends(1)
        .complains("its own CA must revoke it");
    home.run("certificate upload shop.example --cert /nowhere")
        .await
        .ends(1)
        .complains("could not read the certificate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_signed_elsewhere_and_its_key_stays() {
    let (_node, home) = stand().await;
    home.run("hostname add shop.example --manual").await.ends(0);
    let csr_file = home.path("shop.csr");
    let line = format!(
        "certificate request shop.example --out {}",
        csr_file.display()
    );
    home.run(&line).await.ends(0);
    home.run(&line).await.ends(1).complains("exists already");
    let shown = home.run("certificate request shop.example").await.ends(0);
    let csr = CertificateSigningRequestParams::from_pem(&shown.out).expect("the answer alone");
    let cert = home.path("cert.pem");
    fs::write(&cert, OwnCa::new().sign("shop.example", &csr.public_key)).unwrap();
    let line = format!("certificate upload shop.example --cert {}", cert.display());
    let uploaded = home.run(&line).await.ends(0);
    assert!(
        uploaded.out.contains("upload the next one in time"),
        "{uploaded:?}"
    );
    home.run(&line)
        .await
        .ends(1)
        .complains("give its private key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reissue_says_what_it_would_do_before_it_does_it() {
    let (node, home) = stand().await;
    for (number, name) in (0u8..).zip(["a.example", "b.example"]) {
        node.alone.authorize(name);
        let key = Sealed {
            purpose: KeyPurpose::Serving,
            generation: 1,
            nonce: [0; 12],
            ciphertext: bytes::Bytes::new(),
        };
        let leaf = vec![number, 1, 2].into();
        node.alone.install(Term(1), name, key, leaf, Vec::new());
    }
    let reissues = || {
        let log = node.alone.log();
        log.iter()
            .filter(|it| matches!(it.change, Change::ReissueCertificates { .. }))
            .count()
    };
    let planned = home.run("certificate reissue --where all").await.ends(0);
    assert!(
        planned.out.contains("2 certificates of 2 hostnames"),
        "{planned:?}"
    );
    assert!(planned.out.contains("give --yes to do it"), "{planned:?}");
    assert_eq!(reissues(), 0);
    let line = "certificate reissue --where ca=test-ca --where hostname=a.example --urgent --yes \
                -o json";
    let asked = home.run(line).await.ends(0).json();
    assert_eq!(
        (&asked["asked"], &asked["certificates"]),
        (&1.into(), &1.into())
    );
    assert_eq!(reissues(), 1);
    home.run("certificate reissue --where everything --yes")
        .await
        .ends(1)
        .complains("a condition is");
    let list = home
        .run("certificate list --hostname a.example -o json")
        .await
        .ends(0)
        .json();
    let certificate = &list["certificates"][0];
    assert_eq!(certificate["reissue"], "urgent");
    let id = certificate["id"].as_str().unwrap();
    let line = format!("certificate revoke {id} --reason key-compromise -o json");
    let revoked = home.run(&line).await.ends(0).json();
    assert_eq!(revoked["revocation"]["reason"], "key-compromise");
    assert_eq!(revoked["revocation"]["state"], "wanted");
}
