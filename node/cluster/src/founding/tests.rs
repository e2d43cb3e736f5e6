use std::sync::Arc;

use enroll::PrivateKey;
use rcgen::{CertificateParams, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::pki_types::CertificateDer;
use state::{
    Batch, Command, Index, Outcome, Secret,
    ports::{Identities as _, Seal},
    testing::START,
};

use super::*;
use crate::{Certifier, entropy::SystemEntropy, hpke::KeyPair as HpkeKeyPair, keyring::Keyring};

fn facts() -> NodeFacts {
    NodeFacts {
        name: "first".to_owned(),
        peer_address: "10.0.0.1:7443".to_owned(),
        admin_address: "10.0.0.1:7444".to_owned(),
    }
}

fn request() -> wire::InitRequest {
    wire::InitRequest {
        acme: Some(wire::AcmeDirectory {
            url: "https://ca.example/directory".to_owned(),
            trust_roots_pem: String::new(),
            contacts: vec!["mailto:ops@saas.example".to_owned()],
            terms_agreed: true,
            ..Default::default()
        }),
        admin_name: "alice".to_owned(),
        csr: PrivateKey::generate().unwrap().request().unwrap().into(),
        origin: "http://10.0.0.9:8080".to_owned(),
        ..Default::default()
    }
}

fn form(request: &wire::InitRequest) -> Result<Formation, FormError> {
    Formation::new(request, &facts(), START, &SystemEntropy)
}

fn founded(formation: &Formation) -> State {
    let mut state = State::default();
    let command = Command {
        at: START,
        actor: state::Actor::socket(),
        duty: None,
        change: formation.change(),
    };
    let batch = Batch {
        commands: vec![command],
    };
    let (outcomes, _) = state.apply(Index(1), &batch);
    assert_eq!(outcomes, [Outcome::Done(state::Done::Node(FOUNDER))]);
    state
}

#[test]
fn a_request_that_cannot_be_met_is_told_why() {
    let acme = |change: fn(&mut wire::AcmeDirectory)| {
        let mut request = request();
        change(request.acme.as_mut().unwrap());
        request
    };
    let named = |change: fn(&mut wire::AcmeDirectory)| {
        let mut request = acme(|a| a.url.clear());
        change(request.acme.as_mut().unwrap());
        request
    };
    let other = |change: fn(&mut wire::InitRequest)| {
        let mut request = request();
        change(&mut request);
        request
    };
    let cases = [
        (other(|r| r.acme = None), "no default"),
        (acme(|a| a.url.clear()), "no default"),
        (acme(|a| a.url = "http://ca.example".into()), "https URL"),
        (acme(|a| a.terms_agreed = false), "terms of service"),
        (acme(|a| a.contacts = vec!["ops@x".into()]), "mailto:"),
        (
            acme(|a| a.contacts = vec!["mailto:a@b".into(); 9]),
            "at most 8",
        ),
        (acme(|a| a.trust_roots_pem = "nonsense".into()), "PEM"),
        (acme(|a| a.preset = "letsencrypt".into()), "not both"),
        (named(|a| a.preset = "letsencrypt-prod".into()), "zerossl"),
        (named(|a| a.preset = "zerossl".into()), "knows otherwise"),
        (
            acme(|a| a.url = "https://acme.zerossl.com/v2/DV90".into()),
            "knows otherwise",
        ),
        (bound("", "c2VjcmV0LXNlY3JldC1zZWNyZXQ"), "account's id"),
        (bound("a b", "c2VjcmV0LXNlY3JldC1zZWNyZXQ"), "account's id"),
        (bound("kid", "c2VjcmV0"), "16 to 256 bytes"),
        (bound("kid", "not+base64/url=="), "16 to 256 bytes"),
        (other(|r| r.admin_name = "a\nb".into()), "operator's name"),
        (other(|r| r.csr = "x".into()), "PKCS #10"),
        (other(|r| r.origin = "ftp://x".into()), "origin"),
    ];
    for (request, words) in cases {
        let error = form(&request).unwrap_err();
        assert!(error.is_callers(), "{error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}

fn bound(key_id: &str, hmac: &str) -> wire::InitRequest {
    let mut request = request();
    request.acme.as_mut().unwrap().external_account = Some(wire::ExternalAccount {
        key_id: key_id.to_owned(),
        hmac: hmac.to_owned(),
    });
    request
}

#[test]
fn a_ca_that_is_known_brings_what_is_known_of_it() {
    let mut request = bound("kid", "c2VjcmV0LXNlY3JldC1zZWNyZXQ=");
    let acme = request.acme.as_mut().unwrap();
    acme.url.clear();
    acme.preset = "zerossl".to_owned();
    let formation = form(&request).unwrap();
    let state = founded(&formation);
    let ca = state.ca("zerossl").unwrap();
    assert_eq!(ca.settings.directory, "https://acme.zerossl.com/v2/DV90");
    assert_eq!(ca.settings.caa_identities, ["sectigo.com", "zerossl.com"]);
    let account = ca.external_account.as_ref().unwrap();
    assert_eq!(account.key_id, "kid");
    let keyring = Keyring::new(&formation.identity, Arc::new(SystemEntropy));
    let context = SealContext::ExternalAccountKey(ca.name.clone());
    let opened = keyring.open(&account.hmac, &context).unwrap();
    assert_eq!(opened.expose(), b"secret-secret-secret");
    let shown = format!("{formation:?}");
    assert!(!shown.contains("c2VjcmV0") && !shown.contains("secret-secret"));

    let mut request = self::request();
    let acme = request.acme.as_mut().unwrap();
    acme.url.clear();
    acme.preset = "letsencrypt-staging".to_owned();
    let state = founded(&form(&request).unwrap());
    let ca = state.ca("letsencrypt-staging").unwrap();
    assert!(ca.settings.finalize_atomic && ca.settings.limits.len() == 4);
}

#[test]
fn the_founder_opens_what_the_first_command_holds_and_nobody_else_does() {
    let formation = form(&request()).unwrap();
    let state = founded(&formation);
    let keyring = Keyring::new(&formation.identity, Arc::new(SystemEntropy));
    let authority = state.authority().unwrap();
    let open = |sealed, context| -> Secret { keyring.open(sealed, &context).unwrap() };
    PrivateKey::from_pkcs8(open(&authority.root_key, SealContext::RootKey).expose()).unwrap();
    PrivateKey::from_pkcs8(open(&authority.issuing_key, SealContext::IssuingKey).expose()).unwrap();
    keyring
        .open(&authority.root_key, &SealContext::IssuingKey)
        .unwrap_err();

    let mut stranger = formation.identity.clone();
    stranger.keys.hpke = HpkeKeyPair::generate().unwrap();
    stranger.data_keys.clear();
    let stranger = Keyring::new(&stranger, Arc::new(SystemEntropy));
    assert!(!stranger.take_up(&state), "no copy is for another key");
    assert!(!formation.identity.data_keys.is_empty());
    assert_eq!(
        state.zone().origin.as_ref().unwrap().to_string(),
        "http://10.0.0.9:8080"
    );
}

#[test]
fn what_a_request_says_of_itself_counts_for_nothing() {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.subject_alt_names = vec![
        SanType::URI("spiffe://0/node/1".try_into().unwrap()),
        SanType::DnsName("evil.example".try_into().unwrap()),
    ];
    let csr = params.serialize_request(&key).unwrap();
    let asked = wire::InitRequest {
        csr: csr.der().to_vec().into(),
        ..request()
    };
    let formation = form(&asked).unwrap();
    let leaf = formation.found.admin_certificate.leaf.to_vec();
    let read = enroll::Leaf::read(&CertificateDer::from(leaf)).unwrap();
    assert!(read.hosts.is_empty(), "{:?}", read.hosts);
    let subject = enroll::Subject::Operator {
        role: OperatorRole::Admin,
        id: 1,
    };
    assert_eq!(
        read.subject(),
        Some((formation.found.cluster_id.0, subject))
    );
}

#[test]
fn two_clusters_share_nothing() {
    let (one, other) = (form(&request()).unwrap(), form(&request()).unwrap());
    assert_ne!(one.found.cluster_id, other.found.cluster_id);
    assert_ne!(one.found.authority.root, other.found.authority.root);
    assert_ne!(one.identity.data_keys, other.identity.data_keys);
}

#[test]
fn a_key_that_the_cluster_has_dropped_is_forgotten_and_no_other() {
    let formation = form(&request()).unwrap();
    let mut state = founded(&formation);
    let entropy = Arc::new(SystemEntropy);
    let keyring = Arc::new(Keyring::new(&formation.identity, entropy.clone()));
    let certifier = Certifier::new(keyring.clone(), entropy);
    let mut apply = |change: Change| {
        let duty = match &change {
            Change::TakeOver { .. } => Some(state::Term(1)),
            change => change.is_duty().then_some(state::Term(1)),
        };
        let command = Command {
            at: START,
            actor: state::Actor::leader(),
            duty,
            change,
        };
        let commands = vec![command];
        let index = Index(state.index().0 + 1);
        let (outcomes, _) = state.apply(index, &Batch { commands });
        assert!(matches!(outcomes[..], [Outcome::Done(_)]), "{outcomes:?}");
        state.clone()
    };
    let state = apply(Change::TakeOver { node: NodeId(1) });
    let rotate = certifier.rotate_data_key(&state, KeyPurpose::Serving, &[NodeId(1)]);
    let state = apply(rotate.unwrap());
    let held = || keyring.held().into_keys().collect::<Vec<_>>();
    let (serving, control) = (KeyPurpose::Serving, KeyPurpose::Control);
    assert!(keyring.take_up(&state));
    assert_eq!(held(), [(serving, 1), (serving, 2), (control, 1)]);
    let behind = founded(&formation);
    let state = apply(Change::DropDataKey {
        purpose: serving,
        generation: 1,
    });
    assert!(
        !keyring.take_up(&behind),
        "a state that has not heard of it"
    );
    assert!(keyring.take_up(&state));
    assert!(!keyring.take_up(&state));
    assert_eq!(held(), [(serving, 2), (control, 1)]);
}
