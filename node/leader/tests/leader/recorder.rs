//! An HTTPS server that says what a test wants and keeps every request that reached it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How a request is answered.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Status line's end, more headers, body.
    Say(&'static str, String),
    /// All of it as it stands; `{base}` is the server's own address.
    Whole(String),
    /// The same, and the connection ends.
    Cut(String),
    /// Nothing, and the connection stays open.
    Silence,
}

type Script = dyn Fn(&str, u32) -> Option<Answer> + Send + Sync;

pub(crate) struct Recorder {
    pub(crate) base: String,
    pub(crate) root_pem: String,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: AtomicU32,
    resets: AtomicU32,
}

impl Recorder {
    /// `script` may answer a request by its first line, and by how many came before; the
    /// rest is answered as a CA would.
    pub(crate) async fn start(
        script: impl Fn(&str, u32) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!(
            "https://127.0.0.1:{}",
            listener.local_addr().unwrap().port()
        );
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let seen = Arc::new(Seen::default());
        let desk = Arc::new(Desk {
            base: base.clone(),
            script: Box::new(script),
            seen: seen.clone(),
        });
        tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(tls)), desk));
        Self {
            base,
            root_pem: certificate.pem(),
            seen,
        }
    }

    /// First line and body of each request.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub(crate) fn posts(&self) -> usize {
        let requests = self.requests();
        requests.iter().filter(|it| it.starts_with("POST")).count()
    }

    pub(crate) fn connections(&self) -> u32 {
        self.seen.connections.load(SeqCst)
    }

    /// Connections that ended by a reset.
    pub(crate) fn resets(&self) -> u32 {
        self.seen.resets.load(SeqCst)
    }
}

struct Desk {
    base: String,
    script: Box<Script>,
    seen: Arc<Seen>,
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, desk: Arc<Desk>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, desk) = (tls.clone(), desk.clone());
        tokio::spawn(async move {
            if let Ok(stream) = tls.accept(stream).await {
                desk.seen.connections.fetch_add(1, SeqCst);
                desk.converse(stream).await;
            }
        });
    }
}

impl Desk {
    async fn converse(&self, mut stream: TlsStream<TcpStream>) {
        loop {
            match read(&mut stream).await {
                Ok(Some(request)) => {
                    let (answer, last) = self.answer(&request);
                    if stream.write_all(answer.as_bytes()).await.is_err() || last {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    if error.kind() == std::io::ErrorKind::ConnectionReset {
                        self.seen.resets.fetch_add(1, SeqCst);
                    }
                    return;
                }
            }
        }
    }

    /// What to write, and whether it is the last.
    fn answer(&self, request: &str) -> (String, bool) {
        let before = {
            let mut requests = self.seen.requests.lock().unwrap();
            requests.push(request.to_owned());
            u32::try_from(requests.len()).unwrap() - 1
        };
        let line = request.lines().next().unwrap_or_default();
        let scripted = (self.script)(line, before);
        let (head, body) = match scripted.unwrap_or_else(|| self.usual(line)) {
            Answer::Say(head, body) => (head, body),
            Answer::Whole(text) => return (text.replace("{base}", &self.base), false),
            Answer::Cut(text) => return (text.replace("{base}", &self.base), true),
            Answer::Silence => return (String::new(), false),
        };
        let body = body.replace("{base}", &self.base);
        let (length, base) = (body.len(), &self.base);
        let body = if line.starts_with("HEAD") { "" } else { &body };
        let answer = format!(
            "HTTP/1.1 {head}\r\nReplay-Nonce: nonce-{before}\r\nLocation: {base}/order/1\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        (answer, false)
    }

    fn usual(&self, line: &str) -> Answer {
        let base = &self.base;
        if line.contains("/directory") {
            let body = format!(
                r#"{{"newNonce":"{base}/nonce","newAccount":"{base}/account","newOrder":"{base}/new"}}"#
            );
            return Answer::Say("200 OK", body);
        }
        if line.contains("/nonce") {
            return Answer::Say("200 OK", String::new());
        }
        let body = format!(
            r#"{{"status":"ready","authorizations":["{base}/authorization/1"],"finalize":"{base}/finalize/1"}}"#
        );
        Answer::Say("201 Created", body)
    }
}

async fn read(stream: &mut TlsStream<TcpStream>) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.trim().parse().unwrap());
        if body.len() >= length {
            let line = head.lines().next().unwrap_or_default();
            return Ok(Some(format!("{line}\n{body}")));
        }
    }
}
