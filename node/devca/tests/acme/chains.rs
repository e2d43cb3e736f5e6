//! Alternate chains (RFC 8555 section 7.4.2).

use devca::Behaviour;
use http::Method;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use serde_json::Value;

use crate::bench::{Account, Answer, Bench, csr};

fn issued(alternate_chains: u8) -> (Bench, Account, Answer) {
    let mut bench = Bench::behaving(Behaviour {
        alternate_chains,
        ..Behaviour::default()
    });
    let account = bench.account();
    let order = bench.ready_order(&account, &["a.example"]);
    let key = rcgen::KeyPair::generate().unwrap();
    let done = bench.post(&account, &order.finalize, &csr(&key, &["a.example"]));
    let url = done.expect(200).json()["certificate"].clone();
    let chain = bench.post(&account, url.as_str().unwrap(), &Value::Null);
    (bench, account, chain.expect(200))
}

fn alternates(chain: &Answer) -> Vec<String> {
    let links = chain.headers.get_all("link").iter();
    links
        .filter_map(|link| {
            let link = link.to_str().unwrap();
            let url = link.strip_prefix('<')?;
            let url = url.strip_suffix(">;rel=\"alternate\"")?;
            Some(url.to_owned())
        })
        .collect()
}

/// Whether a chain leads to a root, for TLS.
fn leads_to(chain: &str, root_pem: &str, now: u64) -> bool {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
        .map(Result::unwrap)
        .collect();
    let root = CertificateDer::from_pem_slice(root_pem.as_bytes()).unwrap();
    let anchors = [webpki::anchor_from_trusted_cert(&root).unwrap()];
    let leaf = webpki::EndEntityCert::try_from(&chain[0]).unwrap();
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &chain[1..],
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(now)),
        webpki::KeyUsage::server_auth(),
        None,
        None,
    )
    .is_ok()
}

#[test]
fn each_chain_leads_to_its_own_root_and_names_the_others() {
    let (mut bench, account, chain) = issued(2);
    let usual = bench.core.root_pem().to_owned();
    assert!(leads_to(&chain.text, &usual, bench.now));
    let urls = alternates(&chain);
    assert_eq!(urls.len(), 2);
    for (number, url) in (1..).zip(&urls) {
        let other = bench.post(&account, url, &Value::Null).expect(200);
        assert_eq!(alternates(&other).len(), 2);
        let root = bench.get(Method::GET, &format!("/management/root/{number}"));
        let root = root.expect(200).text;
        assert!(leads_to(&other.text, &root, bench.now));
        assert!(!leads_to(&other.text, &usual, bench.now));
        let leaf = |chain: &str| chain.split("-----END").next().unwrap().to_owned();
        assert_eq!(leaf(&other.text), leaf(&chain.text));
    }
    let beyond = urls[1].replace("/2", "/3");
    bench
        .post(&account, &beyond, &Value::Null)
        .problem(404, "malformed");
}

#[test]
fn there_are_none_unless_they_are_switched_on() {
    let (mut bench, _, chain) = issued(0);
    assert!(alternates(&chain).is_empty());
    bench
        .get(Method::GET, "/management/root/1")
        .problem(404, "malformed");
}
