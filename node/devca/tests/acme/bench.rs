//! A CA without sockets, and a client that speaks to it by function calls.

use std::time::Duration;

use bytes::Bytes;
use devca::{
    Authority, Behaviour, ChallengeKind, Core, Disruption, Effect, Entropy, Keyring, Policy,
    Problem, Record, Step, SystemEntropy, Timestamp, Validation,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde_json::{Value, json};

use crate::signer::{Signer, b64};

pub(crate) const BASE: &str = "https://ca.example:14000";

/// The CA, its time, and everything it wrote and wants done.
pub(crate) struct Bench {
    pub(crate) core: Core,
    pub(crate) now: u64,
    pub(crate) records: Vec<Record>,
    pub(crate) effects: Vec<Effect>,
    /// Whether every answer is checked for what all answers of ACME have; not where a
    /// fault or a limit speaks for a load balancer.
    pub(crate) strict: bool,
    keyring: Keyring,
    policy: Policy,
}

/// A client's account.
pub(crate) struct Account {
    pub(crate) signer: Signer,
    pub(crate) url: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) disruption: Option<Disruption>,
}

impl Answer {
    fn new(response: Response<Bytes>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            disruption: head.extensions.get().copied(),
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        let value = value.unwrap_or_else(|| panic!("no {name}: {self:?}"));
        value.to_str().unwrap()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Checks that this is a problem of this type and status, and gives its detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, kind: &str) -> String {
        let body = self.json();
        assert_eq!(
            (self.status.as_u16(), body["type"].as_str().unwrap()),
            (
                status,
                format!("urn:ietf:params:acme:error:{kind}").as_str()
            ),
            "{body}"
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["status"], status);
        body["detail"].as_str().unwrap().to_owned()
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_delay(Duration::ZERO)
    }

    /// A CA that behaves so.
    pub(crate) fn behaving(behaviour: Behaviour) -> Self {
        let mut bench = Self::new();
        bench.core.set_behaviour(behaviour);
        bench
    }

    /// Changes a part of how the CA behaves.
    pub(crate) fn adjust(&mut self, change: impl FnOnce(&mut Behaviour)) {
        let mut behaviour = self.core.behaviour().clone();
        change(&mut behaviour);
        self.core.set_behaviour(behaviour);
    }

    pub(crate) fn with_delay(issue_delay: Duration) -> Self {
        let now = 1_800_000_000;
        let keyring = Keyring::generate(Timestamp::from_unix(now), &mut SystemEntropy).unwrap();
        let policy = Policy {
            base_url: BASE.into(),
            certificate_validity: Duration::from_secs(90 * 86_400),
            order_lifetime: Duration::from_secs(3_600),
            issue_delay,
        };
        let authority = Authority::open(&keyring).unwrap();
        Self {
            core: Core::new(policy.clone(), authority, []),
            now,
            records: Vec::new(),
            effects: Vec::new(),
            strict: true,
            keyring,
            policy,
        }
    }

    /// The CA as it would be after a crash: from its records alone.
    pub(crate) fn restart(&mut self) {
        let authority = Authority::open(&self.keyring).unwrap();
        let behaviour = self.core.behaviour().clone();
        self.core = Core::new(self.policy.clone(), authority, self.records.clone());
        self.core.set_behaviour(behaviour);
        self.effects = self.core.resume(self.time());
    }

    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_unix(self.now)
    }

    fn keep(&mut self, step: Step) {
        self.records.extend(step.records);
        self.effects.extend(step.effects);
    }

    pub(crate) fn send(&mut self, request: &Request<Bytes>) -> Answer {
        self.send_with(request, &mut SystemEntropy)
    }

    pub(crate) fn send_with(
        &mut self,
        request: &Request<Bytes>,
        entropy: &mut dyn Entropy,
    ) -> Answer {
        let (response, step) = self.core.handle(request, self.time(), entropy);
        self.keep(step);
        let answer = Answer::new(response);
        if !self.strict {
            return answer;
        }
        assert!(
            answer
                .headers
                .get_all("link")
                .iter()
                .any(|link| *link == format!("<{BASE}/directory>;rel=\"index\"")),
            "{answer:?}"
        );
        if request.method() == Method::POST {
            assert!(!answer.header("replay-nonce").is_empty());
        }
        answer
    }

    pub(crate) fn get(&mut self, method: Method, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        self.send(&request.body(Bytes::new()).unwrap())
    }

    pub(crate) fn nonce(&mut self) -> String {
        let answer = self.get(Method::HEAD, "/nonce").expect(200);
        answer.header("replay-nonce").to_owned()
    }

    /// Posts a body as it is.
    pub(crate) fn post_raw(&mut self, url: &str, content_type: &str, body: String) -> Answer {
        let request = Request::post(url.strip_prefix(BASE).unwrap())
            .header("content-type", content_type)
            .body(body.into())
            .unwrap();
        self.send(&request)
    }

    /// Posts a JWS with this header.
    pub(crate) fn post_jws(
        &mut self,
        url: &str,
        signer: &Signer,
        header: &Value,
        payload: &[u8],
    ) -> Answer {
        let body = signer.jws(header, payload).to_string();
        self.post_raw(url, "application/jose+json", body)
    }

    /// Posts as an account, on the bench's word.
    pub(crate) fn vouched(&mut self, account: &str, path: &str, payload: &Value) -> Answer {
        let (payload, now) = (bytes(payload), self.time());
        let core = &mut self.core;
        let (response, step) =
            core.handle_vouched(account, path, &payload, now, &mut SystemEntropy);
        self.keep(step);
        Answer::new(response)
    }

    /// Posts as an account; a null payload makes it a POST-as-GET.
    pub(crate) fn post(&mut self, account: &Account, url: &str, payload: &Value) -> Answer {
        let header = json!({
            "alg": account.signer.algorithm(),
            "kid": account.url,
            "nonce": self.nonce(),
            "url": url,
        });
        self.post_jws(url, &account.signer, &header, &bytes(payload))
    }

    /// Posts with a key instead of an account.
    pub(crate) fn post_as_key(&mut self, signer: &Signer, url: &str, payload: &Value) -> Answer {
        let header = json!({
            "alg": signer.algorithm(),
            "jwk": signer.jwk(),
            "nonce": self.nonce(),
            "url": url,
        });
        self.post_jws(url, signer, &header, &bytes(payload))
    }

    pub(crate) fn account_of(&mut self, signer: Signer) -> Account {
        let payload = json!({ "termsOfServiceAgreed": true });
        let answer = self.post_as_key(&signer, &format!("{BASE}/account"), &payload);
        let url = answer.expect(201).header("location").to_owned();
        Account { signer, url }
    }

    pub(crate) fn account(&mut self) -> Account {
        self.account_of(Signer::p256())
    }

    pub(crate) fn order(&mut self, account: &Account, names: &[&str]) -> Order {
        Order::read(&self.try_order(account, names, &json!({})).expect(201))
    }

    /// Asks for an order of these names; `more` are further fields of the payload.
    pub(crate) fn try_order(&mut self, account: &Account, names: &[&str], more: &Value) -> Answer {
        let identifiers: Vec<_> = names
            .iter()
            .map(|name| json!({ "type": "dns", "value": name }))
            .collect();
        let mut payload = more.clone();
        payload["identifiers"] = identifiers.into();
        self.post(account, &format!("{BASE}/order"), &payload)
    }

    /// The status of an order or an authorization.
    pub(crate) fn status(&mut self, account: &Account, url: &str) -> String {
        let answer = self.post(account, url, &Value::Null).expect(200);
        answer.json()["status"].as_str().unwrap().to_owned()
    }

    /// Answers all challenges of an order, and lets the CA find the answers right.
    pub(crate) fn prove(&mut self, account: &Account, order: &Order) {
        for url in &order.authorizations {
            if self.status(account, url) == "pending" {
                self.post(account, &format!("{url}/http-01"), &json!({}))
                    .expect(200);
            }
        }
        while let Some(validation) = self.due_validation() {
            self.conclude(&validation, Ok(()));
        }
    }

    /// Takes the next validation that the CA wants done.
    pub(crate) fn due_validation(&mut self) -> Option<Validation> {
        let place = self
            .effects
            .iter()
            .position(|effect| matches!(effect, Effect::Validate(_)))?;
        match self.effects.remove(place) {
            Effect::Validate(validation) => Some(validation),
            Effect::Issue { .. } => None,
        }
    }

    pub(crate) fn conclude(&mut self, validation: &Validation, outcome: Result<(), Problem>) {
        let (id, now) = (&validation.authorization, self.time());
        let kind = validation.kind;
        let step = self
            .core
            .conclude(id, kind, outcome, now, &mut SystemEntropy);
        self.keep(step);
    }

    /// Makes the certificates that are due.
    pub(crate) fn issue_due(&mut self) {
        for effect in std::mem::take(&mut self.effects) {
            if let Effect::Issue { order, .. } = effect {
                let now = self.time();
                let step = self.core.issue(&order, now, &mut SystemEntropy);
                self.keep(step);
            }
        }
    }

    /// A ready order, whose certificate is only to be asked for.
    pub(crate) fn ready_order(&mut self, account: &Account, names: &[&str]) -> Order {
        let order = self.order(account, names);
        self.prove(account, &order);
        order
    }

    /// An issued certificate: its key and its DER.
    pub(crate) fn issued(&mut self, account: &Account, names: &[&str]) -> (KeyPair, Vec<u8>) {
        let order = self.ready_order(account, names);
        let key = KeyPair::generate().unwrap();
        let leaf = self.finalized(account, &order, &key, names);
        (key, leaf)
    }

    /// The certificate of a ready order, DER.
    pub(crate) fn finalized(
        &mut self,
        account: &Account,
        order: &Order,
        key: &KeyPair,
        names: &[&str],
    ) -> Vec<u8> {
        self.post(account, &order.finalize, &csr(key, names))
            .expect(200);
        self.issue_due();
        let valid = self.post(account, &order.url, &Value::Null);
        let url = valid.expect(200).json()["certificate"].clone();
        let chain = self.post(account, url.as_str().unwrap(), &Value::Null);
        let leaf = chain.expect(200).text;
        let leaf = x509_parser::pem::parse_x509_pem(leaf.as_bytes()).unwrap().1;
        leaf.contents
    }

    /// Lets one validation of a new order for `name` fail.
    pub(crate) fn fail(&mut self, account: &Account, name: &str) {
        let order = self.order(account, &[name]);
        let url = format!("{}/http-01", order.authorizations[0]);
        self.post(account, &url, &json!({})).expect(200);
        let validation = self.due_validation().unwrap();
        let problem = Problem::new(devca::Kind::Connection, "nobody is there");
        self.conclude(&validation, Err(problem));
    }
}

/// An order as its client knows it.
pub(crate) struct Order {
    pub(crate) url: String,
    pub(crate) authorizations: Vec<String>,
    pub(crate) finalize: String,
}

impl Order {
    /// From the answer of newOrder.
    pub(crate) fn read(answer: &Answer) -> Self {
        let body = answer.json();
        let texts = |value: &Value| -> Vec<String> {
            let values = value.as_array().unwrap().iter();
            values.map(|url| url.as_str().unwrap().to_owned()).collect()
        };
        Self {
            url: answer.header("location").to_owned(),
            authorizations: texts(&body["authorizations"]),
            finalize: body["finalize"].as_str().unwrap().to_owned(),
        }
    }
}

/// The payload that finalizes an order.
pub(crate) fn csr(key: &KeyPair, names: &[&str]) -> Value {
    json!({ "csr": b64(&csr_der(key, names)) })
}

pub(crate) fn csr_der(key: &KeyPair, names: &[&str]) -> Vec<u8> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.serialize_request(key).unwrap().der().to_vec()
}

/// The kind of every challenge that is offered for a plain name, as its URL ends.
pub(crate) fn kinds() -> [&'static str; 2] {
    [ChallengeKind::Http01, ChallengeKind::TlsAlpn01].map(ChallengeKind::name)
}

fn bytes(payload: &Value) -> Vec<u8> {
    match payload {
        Value::Null => Vec::new(),
        other => other.to_string().into_bytes(),
    }
}
