//! A CA, a client of it, and what its challenges look at.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use devca::{
    Behaviour, Config, ExternalAccount, ExternalAccounts, LookUpText, Probing, Running, Server,
};
use harness::pebble::{Manners, Pebble};
use harness::wait;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Account, Answer, Client, b64, sha256};
use crate::site::Site;

const DAY: Duration = Duration::from_secs(86_400);
/// What a CA does by itself is done by then.
const SOON: Duration = Duration::from_secs(30);

/// All of it.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) site: Site,
    ca: Ca,
    /// So that no two orders of a suite are for the same name.
    names: u32,
}

enum Ca {
    Development { _ca: Running, texts: Texts },
    Pebble { pebble: Box<Pebble>, _dir: TempDir },
}

/// The texts of dns-01, as the development CA looks them up.
#[derive(Debug, Clone, Default)]
struct Texts(Arc<Mutex<HashMap<String, Vec<String>>>>);

#[async_trait::async_trait]
impl LookUpText for Texts {
    async fn texts(&self, name: &str) -> io::Result<Vec<String>> {
        Ok(self
            .0
            .lock()
            .unwrap()
            .get(name)
            .cloned()
            .unwrap_or_default())
    }
}

/// What the CAs of some cases ask and offer beyond the others'.
pub(crate) const KID: &str = "kid-1";
pub(crate) const SECRET: &[u8] = b"thirty-two bytes of a shared key";
pub(crate) const ALTERNATES: u8 = 2;

impl World {
    /// The development CA, plain.
    pub(crate) async fn development() -> Self {
        let behaviour = Behaviour {
            dns_01: true,
            ..Behaviour::default()
        };
        Self::behaving(behaviour).await
    }

    /// The development CA with external accounts and alternate chains.
    pub(crate) async fn demanding_development() -> Self {
        let vouching = ExternalAccount {
            kid: KID.into(),
            hmac_key: b64(SECRET),
        };
        let behaviour = Behaviour {
            external_accounts: Some(ExternalAccounts {
                keys: vec![vouching],
                single_use: false,
            }),
            alternate_chains: ALTERNATES,
            ..Behaviour::default()
        };
        let mut world = Self::behaving(behaviour).await;
        world.client.vouching = Some((KID, SECRET));
        world
    }

    async fn behaving(behaviour: Behaviour) -> Self {
        let site = Site::start().await;
        let texts = Texts::default();
        let mut probing = Probing::loopback(site.port, 1);
        probing.texts = Some(Arc::new(texts.clone()));
        let mut config = Config::new((Ipv4Addr::LOCALHOST, 0).into(), probing, clock());
        config.behaviour = behaviour;
        let ca = Server::start(config).await.unwrap();
        let client = Client::new(ca.root_pem(), ca.directory_url()).await;
        Self {
            client,
            site,
            ca: Ca::Development { _ca: ca, texts },
            names: 0,
        }
    }

    /// Pebble, plain.
    pub(crate) async fn pebble() -> Self {
        Self::pebble_with(|_| {}).await
    }

    /// Pebble with external accounts and alternate chains.
    pub(crate) async fn demanding_pebble() -> Self {
        let demand = |manners: &mut Manners| {
            manners.external_accounts = vec![(KID.into(), b64(SECRET))];
            manners.alternate_chains = ALTERNATES;
        };
        let mut world = Self::pebble_with(demand).await;
        world.client.vouching = Some((KID, SECRET));
        world
    }

    async fn pebble_with(adjust: impl FnOnce(&mut Manners)) -> Self {
        let site = Site::start().await;
        let dir = tempfile::tempdir().unwrap();
        let here = Ipv4Addr::LOCALHOST;
        let mut manners = Manners::new((here, site.port).into(), (here, 1).into());
        manners.validity = DAY;
        adjust(&mut manners);
        let pebble = Pebble::start(dir.path(), &manners).await;
        let client = Client::new(pebble.tls_root_pem(), pebble.directory()).await;
        Self {
            client,
            site,
            ca: Ca::Pebble {
                pebble: Box::new(pebble),
                _dir: dir,
            },
            names: 0,
        }
    }

    /// A name that was not used before.
    pub(crate) fn name(&mut self) -> String {
        self.names += 1;
        format!("shop{}.client.example", self.names)
    }

    /// Adds a text for dns-01.
    pub(crate) async fn text(&self, name: &str, text: &str) {
        match &self.ca {
            Ca::Development { texts, .. } => {
                let mut texts = texts.0.lock().unwrap();
                texts.entry(name.into()).or_default().push(text.into());
            }
            Ca::Pebble { pebble, .. } => pebble.add_text(name, text).await,
        }
    }

    /// A new account, and its pending order for a new name.
    pub(crate) async fn ordered(&mut self) -> (Account, Order) {
        let account = self.client.account().await;
        let name = self.name();
        let order = self.order(&account, &[&name]).await;
        (account, order)
    }

    pub(crate) async fn order(&self, account: &Account, names: &[&str]) -> Order {
        let answer = self.client.order(account, names).await.expect(201);
        Order {
            url: answer.header("location").to_owned(),
            body: answer.json(),
            names: names.iter().map(ToString::to_string).collect(),
        }
    }

    /// A new account, and its order that is ready.
    pub(crate) async fn ready(&mut self) -> (Account, Order) {
        let (account, order) = self.ordered().await;
        self.prove(&account, &order).await;
        (account, order)
    }

    /// Answers all challenges of an order by http-01.
    pub(crate) async fn prove(&self, account: &Account, order: &Order) {
        for url in order.authorizations() {
            let challenge = self.challenge(account, &url, "http-01").await;
            let token = challenge["token"].as_str().unwrap();
            self.site.answer(token, &account.key_authorization(token));
            let url = challenge["url"].as_str().unwrap();
            self.client.post(account, url, &json!({})).await.expect(200);
        }
        self.becomes(account, &order.url, "ready").await;
    }

    /// Answers all challenges of an order by dns-01.
    pub(crate) async fn prove_by_dns(&self, account: &Account, order: &Order) {
        for url in order.authorizations() {
            let shown = self.show(account, &url).await;
            let challenge = self.challenge(account, &url, "dns-01").await;
            let token = challenge["token"].as_str().unwrap();
            let name = shown["identifier"]["value"].as_str().unwrap();
            let digest = sha256(&account.key_authorization(token));
            self.text(&format!("_acme-challenge.{name}"), &digest).await;
            let url = challenge["url"].as_str().unwrap();
            self.client.post(account, url, &json!({})).await.expect(200);
        }
        self.becomes(account, &order.url, "ready").await;
    }

    /// A challenge of this type.
    pub(crate) async fn challenge(&self, account: &Account, url: &str, kind: &str) -> Value {
        let shown = self.show(account, url).await;
        let mut challenges = shown["challenges"].as_array().unwrap().iter();
        let found = challenges.find(|challenge| challenge["type"] == kind);
        found
            .unwrap_or_else(|| panic!("no {kind}: {shown}"))
            .clone()
    }

    /// Reads by POST-as-GET.
    pub(crate) async fn show(&self, account: &Account, url: &str) -> Value {
        let answer = self.client.post(account, url, &Value::Null).await;
        answer.expect(200).json()
    }

    /// Waits until an order or an authorization has this status; what it is then.
    pub(crate) async fn becomes(&self, account: &Account, url: &str, status: &str) -> Value {
        let what = format!("{url} is {status}");
        wait::until(&what, SOON, || async {
            let shown = self.show(account, url).await;
            (shown["status"] == status).then_some(shown)
        })
        .await
    }

    pub(crate) async fn finalize(
        &self,
        account: &Account,
        order: &Order,
        names: &[String],
    ) -> Answer {
        let payload = csr(names);
        self.client.post(account, &order.finalize(), &payload).await
    }

    /// The certificate chain of a ready order, PEM.
    pub(crate) async fn issued(&self, account: &Account, order: &Order) -> Answer {
        let answer = self.finalize(account, order, &order.names).await;
        answer.expect(200);
        let valid = self.becomes(account, &order.url, "valid").await;
        let url = valid["certificate"].as_str().unwrap();
        let chain = self.client.post(account, url, &Value::Null).await;
        chain.expect(200)
    }
}

/// An order as its client knows it.
pub(crate) struct Order {
    pub(crate) url: String,
    pub(crate) body: Value,
    pub(crate) names: Vec<String>,
}

impl Order {
    pub(crate) fn authorizations(&self) -> Vec<String> {
        let urls = self.body["authorizations"].as_array().unwrap().iter();
        urls.map(|url| url.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn finalize(&self) -> String {
        self.body["finalize"].as_str().unwrap().to_owned()
    }
}

/// The payload that asks for a certificate of a new key.
fn csr(names: &[String]) -> Value {
    let mut params = CertificateParams::new(names.to_vec()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    let key = KeyPair::generate().unwrap();
    let request = params.serialize_request(&key).unwrap();
    json!({ "csr": b64(request.der()) })
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that is handed in"
)]
fn clock() -> devca::Clock {
    Arc::new(|| {
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH);
        since.unwrap().as_secs()
    })
}
