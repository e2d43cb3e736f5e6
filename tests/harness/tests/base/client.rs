//! An ACME client that keeps nothing to itself: every status, header and body is there to
//! be looked at.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Requests whose nonce is refused by chance are sent again so often (Pebble refuses one in
/// twenty).
const NONCE_ATTEMPTS: usize = 8;

/// A client of one CA.
pub(crate) struct Client {
    tls: TlsConnector,
    pub(crate) directory: Value,
    /// The external account that vouches for new ones, where one must: id and key.
    pub(crate) vouching: Option<(&'static str, &'static [u8])>,
}

/// A key that signs, and the account it is of.
pub(crate) struct Account {
    key: EcdsaKeyPair,
    pub(crate) url: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Checks that this is a problem document of one of these statuses and this type.
    #[track_caller]
    pub(crate) fn problem(&self, statuses: &[u16], kind: &str) {
        assert!(statuses.contains(&self.status), "{self:?}");
        assert_eq!(self.kind(), kind, "{self:?}");
        let kind = self.header("content-type");
        assert!(kind.starts_with("application/problem+json"), "{self:?}");
    }

    /// The error type, without its namespace.
    pub(crate) fn kind(&self) -> String {
        let body = self.json();
        let kind = body["type"].as_str().unwrap_or_default();
        let kind = kind.strip_prefix("urn:ietf:params:acme:error:");
        kind.unwrap_or_default().to_owned()
    }
}

impl Client {
    /// A client that trusts this root and reads this directory.
    pub(crate) async fn new(root_pem: &str, directory: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(root_pem.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = Self {
            tls: Arc::new(config).into(),
            directory: Value::Null,
            vouching: None,
        };
        client.directory = client.get(directory).await.expect(200).json();
        client
    }

    pub(crate) fn url(&self, resource: &str) -> String {
        self.directory[resource].as_str().unwrap().to_owned()
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.send(Method::GET, url, None).await.unwrap()
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        body: Option<String>,
    ) -> io::Result<Answer> {
        let uri: Uri = url.parse().unwrap();
        let authority = uri.authority().unwrap();
        let address: SocketAddr = authority.as_str().parse().unwrap();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = self.tls.connect(name, stream).await?;
        let exchange = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = exchange.map_err(io::Error::other)?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(uri.path_and_query().unwrap().as_str())
            .header("host", authority.as_str())
            .header("user-agent", "hostquorum-tests");
        if body.is_some() {
            request = request.header("content-type", "application/jose+json");
        }
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default())));
        let response = sender.send_request(request.unwrap()).await;
        let (head, body) = response.map_err(io::Error::other)?.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            text: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    pub(crate) async fn nonce(&self) -> String {
        let answer = self.send(Method::HEAD, &self.url("newNonce"), None).await;
        answer.unwrap().header("replay-nonce").to_owned()
    }

    /// Posts as an account; a null payload makes it a POST-as-GET.
    pub(crate) async fn post(&self, account: &Account, url: &str, payload: &Value) -> Answer {
        let who = json!({ "kid": account.url });
        self.post_as(&account.key, &who, url, payload).await
    }

    /// Posts with a key instead of an account.
    pub(crate) async fn post_with_key(
        &self,
        key: &EcdsaKeyPair,
        url: &str,
        payload: &Value,
    ) -> Answer {
        let who = json!({ "jwk": jwk(key) });
        self.post_as(key, &who, url, payload).await
    }

    /// Posts with this much of a header, again where the nonce was refused by chance.
    async fn post_as(&self, key: &EcdsaKeyPair, who: &Value, url: &str, payload: &Value) -> Answer {
        let mut last = None;
        for _ in 0..NONCE_ATTEMPTS {
            let mut header = who.clone();
            header["alg"] = "ES256".into();
            header["url"] = url.into();
            header["nonce"] = self.nonce().await.into();
            let body = jws(key, &header, &bytes(payload)).to_string();
            let answer = self.send(Method::POST, url, Some(body)).await.unwrap();
            let refused = answer.status == 400 && answer.kind() == "badNonce";
            last = Some(answer);
            if !refused {
                break;
            }
        }
        last.unwrap()
    }

    /// Makes an account of a new key.
    pub(crate) async fn account(&self) -> Account {
        let key = key();
        let mut payload = json!({ "termsOfServiceAgreed": true });
        let url = self.url("newAccount");
        if let Some((kid, secret)) = self.vouching {
            payload["externalAccountBinding"] = binding(&key, &url, kid, secret);
        }
        let answer = self.post_with_key(&key, &url, &payload).await.expect(201);
        let url = answer.header("location").to_owned();
        Account { key, url }
    }

    pub(crate) async fn order(&self, account: &Account, names: &[&str]) -> Answer {
        let names = names.iter();
        let identifiers: Vec<_> = names
            .map(|name| json!({ "type": "dns", "value": name }))
            .collect();
        let payload = json!({ "identifiers": identifiers });
        self.post(account, &self.url("newOrder"), &payload).await
    }
}

impl Account {
    pub(crate) fn with(key: EcdsaKeyPair, url: &str) -> Self {
        let url = url.to_owned();
        Self { key, url }
    }

    pub(crate) fn key(&self) -> &EcdsaKeyPair {
        &self.key
    }

    /// The answer to a challenge (RFC 8555 section 8.1).
    pub(crate) fn key_authorization(&self, token: &str) -> String {
        let JwkParts { x, y } = parts(&self.key);
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        format!("{token}.{}", sha256(&canonical))
    }
}

/// The word of an external account for a key (RFC 8555 section 7.3.4).
pub(crate) fn binding(key: &EcdsaKeyPair, url: &str, kid: &str, secret: &[u8]) -> Value {
    let header = json!({ "alg": "HS256", "kid": kid, "url": url });
    let protected = b64(header.to_string().as_bytes());
    let payload = b64(jwk(key).to_string().as_bytes());
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mac = hmac::sign(&secret, format!("{protected}.{payload}").as_bytes());
    json!({ "protected": protected, "payload": payload, "signature": b64(mac.as_ref()) })
}

pub(crate) fn key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

/// The digest of a text, base64url.
pub(crate) fn sha256(text: &str) -> String {
    b64(digest(&SHA256, text.as_bytes()).as_ref())
}

struct JwkParts {
    x: String,
    y: String,
}

fn parts(key: &EcdsaKeyPair) -> JwkParts {
    let point = &key.public_key().as_ref()[1..];
    let (x, y) = point.split_at(32);
    JwkParts {
        x: b64(x),
        y: b64(y),
    }
}

pub(crate) fn jwk(key: &EcdsaKeyPair) -> Value {
    let JwkParts { x, y } = parts(key);
    json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
}

/// A flattened JWS with this header.
pub(crate) fn jws(key: &EcdsaKeyPair, header: &Value, payload: &[u8]) -> Value {
    let protected = b64(header.to_string().as_bytes());
    let payload = b64(payload);
    let signed = format!("{protected}.{payload}");
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    json!({ "protected": protected, "payload": payload, "signature": b64(signature.as_ref()) })
}

pub(crate) fn b64(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

fn bytes(payload: &Value) -> Vec<u8> {
    match payload {
        Value::Null => Vec::new(),
        other => other.to_string().into_bytes(),
    }
}
